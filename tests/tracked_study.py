"""A small study in a real MLflow store, as the driver would track it."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.aggregate import aggregate_frames
from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET, LossWeights, TrialConfig
from tune_knee.tracking import StudyTracker
from tune_knee.tracking_store import sqlite_uri

REGIONS = ("femur", "tibia")
HALF = LossWeights(ce=0.5, dice=0.5)
TRIALS = {
    "t1": TrialConfig(network="fcn_unet", loss="ce1", experiment=1),
    "t2": TrialConfig(network="fcn_unet", loss="ce2+dice", tau=HALF, experiment=3),
    "t3": TrialConfig(network="segformer_b2", loss="ce2", internal_weights="balanced"),
    "t4": TrialConfig(network="pspnet_r50c", loss="ce2", pretrained=True),
}


def frames_of(quality: float, *, found: bool = True, spacing_source: str = "") -> pd.DataFrame:
    """Two frames of each region; without `found`, the tibia is never found.

    With a spacing source, a pixel is half a millimetre.
    """
    rows = []
    for region in REGIONS:
        hit = found or region == "femur"
        values = [quality] * 4 + [2 / quality, 1 / quality] if hit else [0.0] * 4 + [math.nan] * 2
        rows += [("k1", frame, region, *values) for frame in (0, 1)]
    frames = pd.DataFrame(rows, columns=["case", "frame", "region", *keys.METRICS])
    if spacing_source:
        frames[list(keys.MM_METRICS)] = frames[list(keys.DISTANCE_METRICS)] / 2
        frames[keys.SPACING_SOURCE] = spacing_source
    return frames


def track(
    out: Path, study: str, study_id: str, manifest: Mapping[str, str] | None = None
) -> StudyTracker:
    defining = {
        keys.DATA: str(out / "data"),
        keys.PLANNED: str(len(TRIALS) + 1),
        keys.HARDEST_REGION: "tibia",
    }
    return StudyTracker(
        sqlite_uri(out),
        study,
        study_id=study_id,
        outbox=out / f"unsent-{study_id}.jsonl",
        budget=PREVIEW_BUDGET,
        fingerprint="f1",
        regions=REGIONS,
        artifact_root=out / "mlartifacts",
        manifest=defining if manifest is None else manifest,
    )


def log_test(tracker: StudyTracker, trial_id: str, frames: pd.DataFrame, folder: Path) -> None:
    means = aggregate_frames(frames, by=()).set_index(keys.REGION)
    metrics = {
        keys.test(region, name): float(means.loc[region, name])
        for region in REGIONS
        for name in means.columns
    }
    path = folder / keys.TEST_FRAMES
    frames.to_parquet(path, index=False)
    tracker.finish_trial(trial_id, stop_reason="plateau", opened={"train_loss": 25})
    source = frames[keys.SPACING_SOURCE].iloc[0] if keys.SPACING_SOURCE in frames else ""
    tracker.log_test(trial_id, metrics, path, spacing_source=source)
    tracker.flush()
