"""What is measured of every frame, in one pass, before anything is found wrong."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tune_knee.data.dataset import KneeDataset
from tune_knee.data.resizing import resize

THUMBNAIL_PX: Final = 64


@dataclass(frozen=True)
class Pieces:
    """Connected pieces of one region in one frame that should be one without holes.

    Attributes:
        frame, region: their numbers.
        islands_px: areas of all pieces but the largest, largest first.
        holes_px: areas of the holes, largest first.
    """

    frame: int
    region: int
    islands_px: tuple[int, ...]
    holes_px: tuple[int, ...]


@dataclass(frozen=True)
class Measures:
    """Of N frames and R regions.

    Attributes:
        thumbnails: float32 (N, 64, 64).
        histograms: pixels of each grey value. (N, 256).
        centroids_x: of each region as a share of the width, NaN where it is not. (N, R).
        pieces: of regions in several pieces or with holes.
    """

    thumbnails: NDArray[np.float32]
    histograms: NDArray[np.int64]
    centroids_x: NDArray[np.float64]
    pieces: tuple[Pieces, ...]


def measure(dataset: KneeDataset) -> Measures:
    """Read every frame and mask once."""
    frames, regions = len(dataset), len(dataset.regions)
    thumbnails = np.zeros((frames, THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.float32)
    histograms = np.zeros((frames, 256), dtype=np.int64)
    centroids_x = np.full((frames, regions), np.nan)
    pieces = []
    pairs = zip(dataset.images, dataset.masks, strict=True)
    for n, (image, mask) in enumerate(tqdm(pairs, "checking frames", frames, unit="frame")):
        thumbnails[n] = resize(image.astype(np.float32), THUMBNAIL_PX)
        histograms[n] = np.bincount(image.ravel(), minlength=256)
        for r in range(regions):
            inside = (mask >> r & 1).astype(np.uint8)
            columns = np.flatnonzero(inside.any(axis=0))
            if not len(columns):
                continue
            rows = np.flatnonzero(inside.any(axis=1))
            box = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            weights = box.sum(axis=0)
            x = np.arange(columns[0], columns[-1] + 1) + 0.5
            centroids_x[n, r] = (weights @ x) / weights.sum() / dataset.size_px
            found = pieces_of(box)
            if found != ((), ()):
                pieces.append(Pieces(n, r, *found))
    return Measures(thumbnails, histograms, centroids_x, tuple(pieces))


def pieces_of(inside: NDArray[np.uint8]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Areas of a mask's islands and of its holes, each largest first.

    Pixels of the region hold together over corners, those of a hole do not.
    """
    padded = np.pad(inside, 1)
    return (
        _areas(padded, connectivity=8)[1:],
        _areas(1 - padded, connectivity=4, but_corner=True),
    )


def _areas(
    mask: NDArray[np.uint8], *, connectivity: int, but_corner: bool = False
) -> tuple[int, ...]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity)
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = np.ones(len(areas), dtype=bool)
    kept[0] = False
    if but_corner:
        kept[labels[0, 0]] = False
    return tuple(sorted((int(area) for area in areas[kept]), reverse=True))
