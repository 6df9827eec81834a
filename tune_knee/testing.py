"""Test trained networks: masks and six metrics of every frame and region, and their means."""

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from tune_knee import keys
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import Budget, TrialConfig
from tune_knee.data.dataset import KneeDataset
from tune_knee.data.frame_store import FrameStore
from tune_knee.networks import build_network
from tune_knee.precision import autocast
from tune_knee.validation import validate


@dataclass(frozen=True)
class Tested:
    """A network on the test frames.

    Attributes:
        frames: a row per frame and region with case, frame, region and the six metrics:
            overlaps in [0, 1], distances in pixels of the data set's size, NaN where
            exactly one of prediction and truth is empty. Where `KneeDataset.spacing` knows
            one, also `keys.MM_METRICS`, the distances times their frame's spacing, and
            spacing_source, where that was measured; else no such columns.
        masks: a row per frame with case, frame and png, the predicted bit mask (bit r is
            region r) as a grey PNG of 8 bits.
    """

    frames: pd.DataFrame
    masks: pd.DataFrame


def evaluate_frames(
    network: torch.nn.Module, dataset: KneeDataset, *, batch_size: int, device: torch.device
) -> Tested:
    """Test every frame."""
    with autocast(device):
        result = validate(
            network, FrameStore(dataset, "test", device), len(dataset.regions), batch_size
        )
    about = dataset.frames.iloc[dataset.indices("test")]
    per_frame = len(dataset.regions)
    rows = pd.DataFrame(
        {
            keys.CASE: np.repeat(about["case"].to_numpy(), per_frame),
            keys.FRAME: np.repeat(about["frame"].to_numpy(), per_frame),
            keys.REGION: np.tile(np.array(dataset.regions, dtype=object), len(about)),
        }
    )
    values = pd.DataFrame(
        result.frame_metrics.reshape(-1, len(keys.METRICS)), columns=list(keys.METRICS)
    )
    masks = about[[keys.CASE, keys.FRAME]].reset_index(drop=True)
    masks[keys.PNG] = [_png(mask) for mask in result.predictions]
    return Tested(
        frames=_with_millimetres(pd.concat([rows, values], axis=1), dataset),
        masks=masks,
    )


def _with_millimetres(frames: pd.DataFrame, dataset: KneeDataset) -> pd.DataFrame:
    """The rows of the test frames with distances in millimetres, if all spacings allow it."""
    spacing = dataset.spacing()
    if spacing is None:
        return frames
    mm = spacing.mm[dataset.indices("test")].repeat(len(dataset.regions))
    pairs = zip(keys.MM_METRICS, keys.DISTANCE_METRICS, strict=True)
    return frames.assign(
        **{in_mm: frames[in_px] * mm for in_mm, in_px in pairs},
        **{keys.SPACING_SOURCE: spacing.source},
    )


def spacing_source(frames: pd.DataFrame) -> str:
    """Where the spacing of a test's millimetres was measured; empty where it has none."""
    return str(frames[keys.SPACING_SOURCE].iloc[0]) if keys.SPACING_SOURCE in frames else ""


def _png(mask: NDArray[np.uint8]) -> bytes:
    encoded, content = cv2.imencode(".png", mask)
    assert encoded, "a grey picture of 8 bits has a PNG"
    return content.tobytes()


def aggregate_frames(frames: pd.DataFrame) -> dict[str, float]:
    """Test means of every region by their names in MLflow, with overlap and distance_px.

    With distance_mm and the means that it is of where the rows have millimetres.
    A distance's mean is over the frames where it is defined, with the number of the others
    beside it as ``test/<region>/missed_frames``; it is NaN where no frame defines it.
    """
    in_mm = keys.MM_METRICS if spacing_source(frames) else ()
    means_of = {keys.OVERLAP: keys.OVERLAP_METRICS, keys.DISTANCE_PX: keys.DISTANCE_METRICS}
    if in_mm:
        means_of[keys.DISTANCE_MM] = in_mm
    metrics = {}
    for region, rows in frames.groupby(keys.REGION, sort=False):
        means = rows[[*keys.METRICS, *in_mm]].mean()
        for metric, value in means.items():
            metrics[keys.test(str(region), str(metric))] = float(value)
        for name, of in means_of.items():
            mean = means[list(of)].mean(skipna=False)
            metrics[keys.test(str(region), name)] = float(mean)
        missed = int(rows["hd95_px"].isna().sum())
        metrics[keys.test(str(region), keys.MISSED_FRAMES)] = float(missed)
    return metrics


def evaluate_trial(
    checkpoints: Checkpoints, trial: TrialConfig, budget: Budget, dataset: KneeDataset
) -> Tested:
    """Test a trained trial's best weights.

    Raises:
        ValueError: if it has none.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_network(trial.network, regions=len(dataset.regions), width=budget.width)
    _, weights = checkpoints.load_best()
    network.load_state_dict(weights)
    network = network.to(device).to(memory_format=torch.channels_last)
    return evaluate_frames(network, dataset, batch_size=budget.batch_size, device=device)
