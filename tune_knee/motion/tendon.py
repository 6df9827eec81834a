"""The patellar tendon's length and the patella's, from pole and tuberosity as landmarks."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from tune_knee.motion.shape import (
    Mask,
    Point,
    largest_part,
    principal_direction,
    without_specks,
)
from tune_knee.motion.straightened import Straightened

_SPECK: Final = 0.1  # parts below this share of the tendon are not of it
_CREST_PX: Final = 0.5  # what lies within this of the foremost point is the tuberosity's crest
_THINNEST: Final = 0.5  # px of a slice that counts as tendon
_OUTLYING: Final = 3.0  # robust standard deviations
_MAD_TO_SD: Final = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class TendonLength:
    """The tendon between the patella's lower pole and the tibial tuberosity.

    Attributes:
        length_px: along its mid-line.
        seen: share in [0, 1] of that length over which the mask has the tendon.
        mid_line: (P, 2) points from the pole's side to the tuberosity's.
    """

    length_px: float
    seen: float
    mid_line: NDArray[np.float64]


def longest_diagonal(mask: Mask) -> NDArray[np.float64]:
    """Ends (2, 2) of the longest line between two points of a mask's largest part.

    Points are the middles of the outer pixels' edges: an outline drawn at half coverage.
    """
    corners = _corners(largest_part(mask))
    distances = squareform(pdist(corners))
    return np.asarray(corners[list(np.unravel_index(np.argmax(distances), distances.shape))])


def _corners(mask: Mask) -> NDArray[np.float64]:
    """Corners of the hull."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    rim = outlines[0][:, 0].astype(np.float64)
    sides = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
    points = (rim[:, None] + sides).reshape(-1, 2)
    return np.asarray(points[ConvexHull(points).vertices])


def measure_tendon(tendon: Mask, pole: Point, insertion: Point) -> TendonLength | None:
    """Length of the tendon's mid-line from the patella's lower pole to the tuberosity.

    The mid-line is a parabola through the middles of slices across the tendon's principal
    axis; the two landmarks bound it, as the mask runs on over both bones.

    Args:
        tendon: not empty.
        pole: the patella's lower pole.
        insertion: the tuberosity.

    Returns:
        None where fewer than three slices of tendon lie between the landmarks.
    """
    kept = without_specks(tendon, _SPECK)
    direction = principal_direction(kept) if kept.any() else None
    if direction is None:
        return None
    slices = Straightened.of(kept, direction)
    first, last = sorted((slices.place(pole), slices.place(insertion)))
    between = (slices.along >= first) & (slices.along <= last)
    chosen = between & (slices.widths >= _THINNEST)
    if chosen.sum() < 3:
        return None
    parabola = _fit_parabola(slices.along[chosen], slices.middles[chosen])
    along = np.linspace(first, last, 50)
    across = polynomial.polyval(along, parabola)
    points = slices.origin + along[:, None] * direction + across[:, None] * slices.normal
    length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    return TendonLength(length, float(chosen.sum() / between.sum()), points)


def _fit_parabola(along: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares, again without what lies far off. Coefficients (3,), lowest order first."""
    fit = np.asarray(polynomial.polyfit(along, across, 2), dtype=np.float64)
    off = np.abs(across - polynomial.polyval(along, fit))
    kept = off <= _OUTLYING * _MAD_TO_SD * np.median(off)
    if kept.sum() <= len(fit):
        return fit
    return np.asarray(polynomial.polyfit(along[kept], across[kept], 2), dtype=np.float64)
