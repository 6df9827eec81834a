"""What must hold before a study starts; each failure is one error with its mend."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import torch

from tune_knee.config import BUDGETS, Budget, TrialConfig
from tune_knee.data.dataset import KneeDataset
from tune_knee.networks import build_network
from tune_knee.training_config import StoppingConfig

# Last state (weights and AdamW's two moments), and up to two sets of best weights.
_COPIES_ON_DISK: Final = 5
_BYTES_PER_WEIGHT: Final = 4
_SPARE_BYTES: Final = 200 * 2**20  # MLflow, logs, Parquet


def choose_budget(asked: str | None, *, cluster_gpus: float | None = None) -> tuple[Budget, str]:
    """The budget of a name; None or ``auto`` is paper on a GPU, else preview. And why.

    Args:
        asked: the name.
        cluster_gpus: GPUs of the cluster that trains; None where this machine does.
    """
    if asked not in (None, "auto"):
        return BUDGETS[asked], "asked for"
    where = "" if cluster_gpus is None else " in the cluster"
    if torch.cuda.is_available() if cluster_gpus is None else cluster_gpus > 0:
        return BUDGETS["paper"], f"there is a GPU{where}"
    return (
        BUDGETS["preview"],
        f"there is no GPU{where}; --budget paper trains at full size all the same",
    )


def hardest_region(stopping: StoppingConfig, dataset: KneeDataset) -> str:
    """Region of the third stopping criterion: the named one, or the smallest in training.

    Raises:
        ValueError: if the data set has no region of that name.
    """
    if stopping.hardest_region is None:
        return dataset.regions[int(dataset.areas_px().argmin())]
    if stopping.hardest_region not in dataset.regions:
        raise ValueError(
            f"hardest_region must be one of {', '.join(dataset.regions)}, "
            f"got hardest_region={stopping.hardest_region}"
        )
    return stopping.hardest_region


def check_dataset(dataset: KneeDataset, budget: Budget) -> None:
    """Every split holds frames, training a batch of them and every region.

    Raises:
        ValueError: else.
    """
    for split in ("validation", "test"):
        if len(dataset.indices(split)) == 0:
            raise ValueError(f"every split must hold frames, got none in split={split}")
    frames = len(dataset.indices("train"))
    if frames < budget.batch_size:
        raise ValueError(
            f"the training split must hold a batch of {budget.batch_size} frames, got {frames}; "
            "lower batch_size in the grid's budget"
        )
    for region, area in zip(dataset.regions, dataset.areas_px(), strict=True):
        if area == 0:
            raise ValueError(f"every region must occur in training, got none of region={region}")


def disk_needed(trials: Iterable[TrialConfig], budget: Budget, regions: int) -> int:
    """Bytes that the trials' states and best weights take at most."""
    weights: dict[str, int] = {}
    total = 0
    for trial in trials:
        if trial.network not in weights:
            with torch.device("meta"):
                network = build_network(trial.network, regions=regions, width=budget.width)
            weights[trial.network] = sum(p.numel() for p in network.parameters())
        total += weights[trial.network]
    return total * _BYTES_PER_WEIGHT * _COPIES_ON_DISK + _SPARE_BYTES


def check_pretrained(trials: Iterable[TrialConfig], budget: Budget) -> None:
    """Every network that is to start from an ImageNet backbone can.

    Raises:
        ValueError: if there are no such weights, or they cannot be fetched.
    """
    for network in {trial.network for trial in trials if trial.pretrained}:
        try:
            build_network(network, width=budget.width, pretrained=True)
        except ConnectionError as error:
            raise ValueError(str(error)) from error


def check_disk(out: Path, needed: int) -> None:
    """There is room for what the study writes.

    Raises:
        ValueError: else.
    """
    free = shutil.disk_usage(out).free
    if free < needed:
        raise ValueError(
            f"the disk of --out must have {needed / 2**30:.1f} GiB free for checkpoints, "
            f"got {free / 2**30:.1f} GiB at {out}; free some, or name another --out"
        )
