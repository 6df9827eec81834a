"""From a picture of any size to the square that a network sees, and back."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.data.rasterisation import CentreCrop
from tune_knee.data.resizing import resize
from tune_knee.segmenter.saved_model import ModelFacts


def to_square(grey: NDArray[Any], facts: ModelFacts) -> NDArray[np.uint8]:
    """A picture as a network of these facts was trained and tested on.

    As `tune_knee.data prepare` makes a frame, the largest square about the centre at the
    dataset's size, and then as a study brings it to its budget's.

    Args:
        grey: (H, W), of any type, in [0, 255].

    Returns:
        Shape (S, S), S the model's image_size_px.
    """
    height, width = grey.shape
    crop = CentreCrop(height, width, facts.prepared_size_px)
    plane = resize(crop.crop(grey).astype(np.float32), facts.prepared_size_px)
    return to_model_size(np.rint(plane).astype(np.uint8), facts)


def to_model_size(prepared: NDArray[np.uint8], facts: ModelFacts) -> NDArray[np.uint8]:
    """A frame of a prepared dataset, square, as a study brings it to its budget's size.

    Returns:
        Shape (S, S), S the model's image_size_px.
    """
    if facts.image_size_px == facts.prepared_size_px:
        return prepared
    return np.asarray(resize(prepared, facts.image_size_px), dtype=np.uint8)


def to_original(
    probabilities: NDArray[np.floating], height: int, width: int
) -> NDArray[np.float64]:
    """Probabilities of the square, laid back over the picture it was cut from.

    Bilinear where the picture is larger, area averages where it is smaller; 0 outside of the
    square, which the network never saw.

    Args:
        probabilities: (R, S, S), in [0, 1].
        height, width: of the picture, H and W.

    Returns:
        Shape (R, H, W).
    """
    crop = CentreCrop(height, width, probabilities.shape[-1])
    left, top = crop.corner
    whole = np.zeros((len(probabilities), height, width))
    for plane, laid in zip(probabilities, whole, strict=True):
        laid[top : top + crop.side, left : left + crop.side] = _resized(plane, crop.side)
    return whole


def _resized(plane: NDArray[np.floating], size_px: int) -> NDArray[np.floating]:
    if plane.shape[0] == size_px:
        return plane  # to the last bit
    interpolation = cv2.INTER_AREA if size_px < plane.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (size_px, size_px), interpolation=interpolation))
