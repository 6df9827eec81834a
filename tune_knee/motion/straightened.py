"""A mask turned so that one direction runs along the rows: widths and mid-lines."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.motion.shape import Mask, Point, points_of


@dataclass(frozen=True)
class Straightened:
    """A mask cut into slices of 1 px across a direction.

    Attributes:
        origin: a point; slices are counted from it.
        direction: unit vector.
        along: (S,) positions of the slices, in px from the origin along the direction.
        widths: (S,) of the mask in each slice, in px.
        middles: (S,) mean of the mask in each slice, in px from the line through the origin,
            positive towards `normal`; NaN in empty slices.
    """

    origin: Point
    direction: Point
    along: NDArray[np.float64]
    widths: NDArray[np.float64]
    middles: NDArray[np.float64]

    @classmethod
    def of(cls, mask: Mask, direction: Point) -> Self:
        """Turn a mask that is not empty, by linear interpolation."""
        points = points_of(mask)
        low, high = points.min(axis=0), points.max(axis=0)
        origin = (low + high) / 2
        reach = int(np.ceil(np.hypot(*(high - low)) / 2)) + 1
        normal = np.array([-direction[1], direction[0]])
        crop = mask[int(low[1]) : int(high[1]) + 1, int(low[0]) : int(high[0]) + 1]
        onto = np.column_stack([direction, normal, origin - low - reach * (direction + normal)])
        turned = cv2.warpAffine(
            crop.astype(np.float32),
            onto,
            (2 * reach + 1, 2 * reach + 1),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        across = np.arange(-reach, reach + 1, dtype=np.float64)
        widths = turned.sum(axis=0, dtype=np.float64)
        sums = across @ turned
        middles = np.divide(sums, widths, out=np.full_like(widths, np.nan), where=widths > 0)
        return cls(origin, direction, across, widths, middles)

    @property
    def normal(self) -> Point:
        """Unit vector across, to the right of the direction as one sees the image."""
        return np.array([-self.direction[1], self.direction[0]])

    def place(self, point: Point) -> float:
        """Position of a point along the direction."""
        return float((point - self.origin) @ self.direction)
