"""Pictures as PNG."""

import cv2
import numpy as np
from numpy.typing import NDArray


def png(picture: NDArray[np.uint8]) -> bytes:
    """A PNG of 8 bits: grey of (H, W), RGB of (H, W, 3)."""
    stored = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    encoded, content = cv2.imencode(".png", stored)
    assert encoded, "a picture of 8 bits has a PNG"
    return bytes(content.tobytes())
