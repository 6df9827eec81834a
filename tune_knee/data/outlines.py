"""Outlines of regions, each in its colour."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.data.resizing import at_least_half

# Okabe and Ito's palette without its black, told apart with every kind of colour vision.
COLOURS: Final = (
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
    (204, 121, 167),
    (0, 158, 115),
    (213, 94, 0),
    (255, 255, 255),
    (0, 114, 178),
)


def outlined(
    grey: NDArray[Any], mask: NDArray[np.uint8], regions: int, thickness: int = 1
) -> NDArray[np.uint8]:
    """A frame in RGB with the borders of a bit mask's regions. (h, w, 3).

    Args:
        grey: uint8 (h, w).
        mask: uint8 (H, W); bit r is region r. Where its size is another, a pixel of the
            frame belongs to a region that covers half of it or more.
        regions: how many.
        thickness: of the lines, in pixels of the frame.
    """
    height, width = grey.shape
    canvas = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    for r in range(regions):
        inside = _at((mask >> r & 1).astype(np.uint8), height, width)
        contours, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, COLOURS[r], thickness=thickness)
    return np.asarray(canvas, dtype=np.uint8)


def _at(inside: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if inside.shape == (height, width):
        return inside
    interpolation = cv2.INTER_AREA if height < inside.shape[0] else cv2.INTER_LINEAR
    share: NDArray[Any] = cv2.resize(
        inside.astype(np.float32), (width, height), interpolation=interpolation
    )
    return np.asarray(at_least_half(share), dtype=np.uint8)
