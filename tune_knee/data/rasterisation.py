"""Shapes to pixels: the share of every target pixel that a shape covers."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tune_knee.data.labelme import Bitmap, Outline, Shape
from tune_knee.data.resizing import at_least_half, resize

SCANLINES: Final = 64  # per pixel row


@dataclass(frozen=True)
class CentreCrop:
    """The largest square about a frame's centre, resized to `size_px`.

    Where the surplus is odd, the extra row or column is cut at the lower or right side.
    """

    height: int
    width: int
    size_px: int

    @property
    def side(self) -> int:
        """Side of the square before resizing."""
        return min(self.height, self.width)

    @property
    def corner(self) -> tuple[int, int]:
        """Its upper left corner: (left, top)."""
        return (self.width - self.side) // 2, (self.height - self.side) // 2

    def crop(self, plane: NDArray[np.generic]) -> NDArray[np.generic]:
        """The square of a plane (H, W), not yet resized. Shape (side, side)."""
        left, top = self.corner
        return plane[top : top + self.side, left : left + self.side]

    def points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Source coordinates (n, 2) in target coordinates."""
        return (points - self.corner) * (self.size_px / self.side)


def rasterise(shape: Shape, crop: CentreCrop) -> NDArray[np.bool_]:
    """Target pixels of which the shape covers at least half. Shape (size_px, size_px).

    An outline is moved into target coordinates and measured there, which keeps what
    drawing whole source pixels first would round away. A bitmap has whole source pixels:
    it is cropped and area-averaged.
    """
    if isinstance(shape, Outline):
        return at_least_half(polygon_coverage(crop.points(shape.points), crop.size_px))
    return at_least_half(_bitmap_coverage(shape, crop))


def polygon_coverage(points: NDArray[np.float64], size_px: int) -> NDArray[np.float32]:
    """Share of each pixel inside a polygon, in [0, 1]. Shape (size_px, size_px).

    Even-odd rule, as LabelMe shows it: where a polygon crosses itself, what it encloses
    twice is outside. Exact along x; along y the mean of `SCANLINES` lines a pixel.

    Args:
        points: x, y of the corners, (n, 2), any sense of rotation; pixel (i, j) covers
            [j, j + 1) x [i, i + 1). What lies beyond the frame is cut off.
        size_px: side of the square frame.
    """
    line, x = _crossings(points, size_px * SCANLINES)
    order = np.lexsort((x, line))
    line, x = line[order], np.clip(x[order], 0, size_px)
    assert len(x) % 2 == 0, "a closed polygon crosses every line an even number of times"
    # Inside begins at the even crossings of a line and ends at the odd ones. Beginning at
    # x fills 1 - frac(x) of its pixel and all pixels to the right; summed up along x.
    sign = np.where(np.arange(len(x)) % 2 == 0, 1.0, -1.0) / SCANLINES
    column = np.floor(x).astype(np.intp)
    beyond = x - column
    slope = np.zeros((size_px, size_px + 2))
    np.add.at(slope, (line // SCANLINES, column), sign * (1 - beyond))
    np.add.at(slope, (line // SCANLINES, column + 1), sign * beyond)
    return np.cumsum(slope, axis=1)[:, :size_px].astype(np.float32)


def _crossings(
    points: NDArray[np.float64], lines: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where the polygon's edges cross the scanlines: line numbers and x, unordered."""
    start, end = points, np.roll(points, -1, axis=0)
    # Line k is at y = (k + 1/2) / SCANLINES. An edge owns its upper end and not its lower,
    # so that a corner counts once for the two edges that meet there.
    y = np.stack([start[:, 1], end[:, 1]]) * SCANLINES - 0.5
    first = np.clip(np.ceil(y.min(axis=0)), 0, lines).astype(np.intp)
    last = np.clip(np.ceil(y.max(axis=0)), 0, lines).astype(np.intp)
    count = last - first
    edge = np.repeat(np.arange(len(points)), count)
    line = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    t = (line - y[0, edge]) / (y[1, edge] - y[0, edge])
    return line, start[edge, 0] + t * (end[edge, 0] - start[edge, 0])


def _bitmap_coverage(bitmap: Bitmap, crop: CentreCrop) -> NDArray[np.float32]:
    plane = np.zeros((crop.height, crop.width), dtype=np.float32)
    height, width = bitmap.pixels.shape
    plane[bitmap.top : bitmap.top + height, bitmap.left : bitmap.left + width] = bitmap.pixels
    return resize(crop.crop(plane), crop.size_px)
