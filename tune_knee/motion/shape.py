"""What a region is by itself in one frame: size, place, direction, parts."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]  # (H, W)
Point: TypeAlias = NDArray[np.float64]  # (2,): x right, y down, 0 at the middle of the first pixel

_ROUND: Final = 1e-6  # relative difference of second moments below which there is no direction


@dataclass(frozen=True)
class Shape:
    """One region of one frame; everything but area and parts is NaN or False where it is empty.

    Attributes:
        area_px: pixels.
        centroid_px: mean of the pixels' middles, x right and y down, 0 at the upper left
            corner of the image.
        axis_deg: direction of the principal axis, in (-90, 90], anticlockwise from the
            image's horizontal as one sees it; NaN where no direction is longer.
        parts: 8-connected components.
        stray: share in [0, 1) of the area that lies outside of the largest part.
        touches_border: whether a pixel lies in the image's first or last row or column.
    """

    area_px: int
    centroid_px: Point
    axis_deg: float
    parts: int
    stray: float
    touches_border: bool


def measure_shape(mask: Mask) -> Shape:
    """Area, centroid, principal axis, parts and border of a mask, bool (H, W).

    The principal axis is the eigenvector of the larger eigenvalue of the second central
    moments: tan 2θ = 2 μ11 / (μ20 - μ02).
    """
    plane = mask.astype(np.uint8)
    moments = cv2.moments(plane, binaryImage=True)
    area = round(moments["m00"])
    if area == 0:
        return Shape(0, np.full(2, np.nan), float("nan"), 0, float("nan"), False)
    centroid = np.array([moments["m10"], moments["m01"]]) / area
    sizes = cv2.connectedComponentsWithStats(plane, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    direction = principal_direction(mask)
    axis = float("nan") if direction is None else _undirected_deg(direction)
    return Shape(
        area_px=area,
        centroid_px=centroid + 0.5,
        axis_deg=axis,
        parts=len(sizes),
        stray=1 - float(sizes.max()) / area,
        touches_border=any(edge.any() for edge in edges),
    )


def principal_direction(mask: Mask) -> Point | None:
    """Unit vector along the principal axis of a mask that is not empty; None if it is round."""
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    along, across = 2 * moments["mu11"], moments["mu20"] - moments["mu02"]
    if np.hypot(along, across) <= _ROUND * (moments["mu20"] + moments["mu02"]):
        return None
    angle = np.arctan2(along, across) / 2
    return np.array([np.cos(angle), np.sin(angle)])


def _undirected_deg(direction: Point) -> float:
    angle = float(np.rad2deg(np.arctan2(-direction[1], direction[0])))
    return angle if -90 < angle <= 90 else angle - np.copysign(180, angle)


def points_of(mask: Mask) -> NDArray[np.float64]:
    """Middles of a mask's pixels, (P, 2)."""
    rows, columns = np.nonzero(mask)
    return np.column_stack([columns, rows]).astype(np.float64)


def largest_part(mask: Mask) -> Mask:
    """The largest 8-connected component of a mask that is not empty."""
    labels, stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[1:3]
    return np.asarray(labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def without_specks(mask: Mask, share: float) -> Mask:
    """The components that are at least this share of a mask's area."""
    labels, stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[1:3]
    kept = stats[:, cv2.CC_STAT_AREA] >= share * mask.sum()
    kept[0] = False
    return np.asarray(kept[labels])
