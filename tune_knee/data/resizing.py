"""Planes at another size: images by area, masks by majority."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def resize(plane: NDArray[Any], size_px: int) -> NDArray[Any]:
    """A square plane at another side length: area averages down, linear interpolation up."""
    interpolation = cv2.INTER_AREA if size_px < plane.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (size_px, size_px), interpolation=interpolation))


def at_least_half(share: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a pixel belongs to a region: half of its area or more, up to rounding errors."""
    return share >= 0.5 - 1e-5
