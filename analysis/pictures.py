"""The test frames of a study's dataset with their true masks: what figures are drawn on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.absent import Absent
from tune_knee.data.dataset import open_dataset

_TITLE: Final = "Pictures of test frames"


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """N test frames at the study's image size.

    Attributes:
        images: uint8 (N, H, W).
        masks: true masks, uint8 (N, H, W); bit r is region r.
        frames: case, frame, side (``left``, ``right`` or empty) of each, in that order.
        regions: names of the R regions, in bit order.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    frames: pd.DataFrame
    regions: tuple[str, ...]


def open_pictures(data: Path, fingerprint: str, size_px: int) -> Pictures | Absent:
    """Test frames of a dataset folder, or why there are none.

    Args:
        data: the dataset's folder.
        fingerprint: identity of the data that the study was made with.
        size_px: side length to bring the frames to.
    """
    if not data.exists():
        return Absent(
            title=_TITLE,
            reason=f"The study's data are not at {data}; name their folder with --data.",
        )
    dataset = open_dataset(data)
    if dataset.fingerprint != fingerprint:
        return Absent(
            title=_TITLE,
            reason=f"{data} holds other data (fingerprint {dataset.fingerprint}) than the "
            f"study's ({fingerprint}); name their folder with --data.",
        )
    test = dataset.part(dataset.indices("test")).resized(size_px)
    return Pictures(
        images=np.asarray(test.images),
        masks=np.asarray(test.masks),
        frames=test.frames[["case", "frame", "side"]],
        regions=test.regions,
    )
