"""PNG, JPEG and TIFF images, and those inside LabelMe files, as grey."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.data.frames import SourceImage
from tune_knee.data.image_size import LARGEST_PX, image_size
from tune_knee.data.labelme import embedded_image
from tune_knee.data.problems import Problems

IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class ImageFile:
    """An image file. Colour becomes luma; an orientation in EXIF data is applied."""

    path: Path
    place: str  # for messages

    def read(self, problems: Problems) -> SourceImage | None:
        """The image, or None where it cannot be read; `problems` then says why."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            problems.add(self.place, _READABLE, got=error, mend="restore the file")
            return None
        return decoded(content, self.place, problems)


@dataclass(frozen=True)
class EmbeddedImage:
    """The image that a LabelMe file holds itself, in its imageData."""

    label_path: Path
    place: str  # for messages

    def read(self, problems: Problems) -> SourceImage | None:
        """The image, or None where it cannot be read; `problems` then says why."""
        try:
            content = embedded_image(self.label_path)
        except (OSError, ValueError) as error:
            problems.add(self.place, _READABLE, got=error, mend="restore the file")
            return None
        return decoded(content, self.place, problems)


_READABLE: Final = "the image must be readable"


def decoded(content: bytes, where: str, problems: Problems) -> SourceImage | None:
    """The image in a file's bytes, or None where it cannot be read; `problems` then says why."""
    size = image_size(content)
    if size is not None and math.prod(size) > LARGEST_PX:
        must = f"an image must have {LARGEST_PX} pixels at most"
        problems.add(where, must, got=f"{size[0]} x {size[1]}", mend="export it again")
        return None
    pixels = _pixels(content) if size is not None else None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        got = "none" if pixels is None else str(pixels.dtype)
        must = "the image must be a whole PNG, JPEG or TIFF of 8 or 16 bit"
        problems.add(where, must, got=got, mend="export it again")
        return None
    return SourceImage(pixels, hashlib.sha256(content).hexdigest()[:16], 8 * pixels.dtype.itemsize)


def _pixels(content: bytes) -> NDArray[Any] | None:
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH
    try:
        return cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
    except cv2.error:  # too large to be an image, for one
        return None
