"""A mask as polygons that a hand can move: few corners, no holes, and still the mask."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import shapely
from contourpy import FillType, contour_generator
from numpy.typing import NDArray

from tune_knee.data.rasterisation import polygon_coverage
from tune_knee.data.resizing import at_least_half

TOLERANCES_PX: Final = (3.0, 2.0, 1.5, 1.0, 0.7, 0.5, 0.4, 0.25)  # the first that will do
IOU: Final = 0.99
_DIGITS: Final = 2
_SMALLEST_PX: Final = 1e-6  # of area; less is a trace of the cutting


def polygons_of(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]] | None:
    """Polygons without holes that together are a mask, few corners each.

    The mask's outline runs along its pixels' edges, across their corners. Corners are left out
    (Douglas and Peucker), of each part by the largest of `TOLERANCES_PX` that keeps an IoU of
    `IOU` with it, in area and drawn as `data prepare` draws it; where no such is, none are. A
    part with holes is cut in two through each, along a column's edge: polygons of LabelMe have
    no holes, and a label's polygons unite.

    Args:
        mask: (H, W), not empty.

    Returns:
        Arrays (n, 2) of x, y in [0, W] x [0, H]; pixel (i, j) is [j, j + 1) x [i, i + 1). None
        where no polygons are the mask: holes of single pixels that lie close, for one.
    """
    polygons = [piece for part in _outlines(mask) for piece in _simplified(part)]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    drawn = _drawn(polygons, (columns[0], rows[0]), cut.shape)
    return polygons if _iou_drawn(drawn, cut) >= IOU else None


def _outlines(mask: NDArray[np.bool_]) -> list[shapely.Polygon]:
    inside = np.pad(mask, 1).astype(np.float64)
    lines = contour_generator(z=inside, fill_type=FillType.OuterOffset)
    polygons = []
    for points, offsets in zip(*lines.filled(0.5, 2.0), strict=True):
        rings = [
            points[start:stop] - 0.5  # from the centres of padded pixels to edges
            for start, stop in pairwise(offsets)
        ]
        polygons.append(shapely.Polygon(rings[0], rings[1:]))
    return polygons


def _simplified(part: shapely.Polygon) -> list[NDArray[np.float64]]:
    """A part by as few corners as will do, without holes."""
    left, top, right, bottom = part.bounds
    corner = (np.floor(left), np.floor(top))
    shape = (int(np.ceil(bottom) - corner[1]), int(np.ceil(right) - corner[0]))
    exact = _pieces(part)
    wanted = _drawn(exact, corner, shape)
    for tolerance in TOLERANCES_PX:
        simple = part.simplify(tolerance, preserve_topology=True)
        common = simple.intersection(part).area
        if common < IOU * (simple.area + part.area - common):
            continue
        pieces = _pieces(simple)
        if _iou_drawn(_drawn(pieces, corner, shape), wanted) >= IOU:
            return pieces
    return exact


def _pieces(part: shapely.Polygon) -> list[NDArray[np.float64]]:
    return [
        np.round(np.asarray(piece.exterior.coords)[:-1], _DIGITS) for piece in _without_holes(part)
    ]


def _drawn(
    polygons: Sequence[NDArray[np.float64]], corner: tuple[float, float], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Polygons as `data prepare` draws them, in a box of rows and columns at a corner (x, y)."""
    size = max(shape)
    inside = np.zeros((size, size), dtype=bool)
    for points in polygons:
        inside |= at_least_half(polygon_coverage(points - corner, size))
    return inside[: shape[0], : shape[1]]


def _iou_drawn(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = int((one | other).sum())
    return float((one & other).sum() / union) if union else 1.0


def _without_holes(polygon: shapely.Polygon) -> Iterator[shapely.Polygon]:
    if not polygon.interiors:
        yield polygon
        return
    left, _, right, _ = polygon.interiors[0].bounds
    cut = np.ceil((left + right) / 2 - 0.5)
    if not left < cut < right:
        cut = (left + right) / 2
    low_x, low_y, high_x, high_y = polygon.bounds
    for half in (
        shapely.box(low_x, low_y, cut, high_y),
        shapely.box(cut, low_y, high_x, high_y),
    ):
        for piece in shapely.get_parts(polygon.intersection(half)):
            if piece.area > _SMALLEST_PX:
                yield from _without_holes(piece)
