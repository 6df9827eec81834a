"""Masks drawn for the tests of the metrics."""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def mask_of(shape: tuple[int, int], *pixels: tuple[int, int]) -> Mask:
    mask = np.zeros(shape, bool)
    for y, x in pixels:
        mask[y, x] = True
    return mask


def disc(shape: tuple[int, int], y: float, x: float, radius: float) -> Mask:
    rows, columns = np.indices(shape)
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)
