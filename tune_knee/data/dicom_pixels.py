"""A DICOM frame's pixels: from stored values to grey values for the eye."""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array

from tune_knee.data.dicom_attributes import (
    PARSER_ERRORS,
    frame_item,
    numbers,
    quiet_parser,
)
from tune_knee.data.dicom_facts import Window
from tune_knee.data.dicom_files import DicomImage
from tune_knee.data.pixel_worker import PixelWorker

_worker: Final = PixelWorker()  # starts no process before the first compressed frame
_SIGMOID_STEEPNESS: Final = 4.0  # PS3.3 C.11.2.1.3.1: exp(-4 (x - centre) / width)


class UnreadablePixelsError(Exception):
    """Pixels that cannot be made a picture. Says nothing of the file's content."""

    def __init__(self, got: str = "pixels that cannot be decoded"):
        super().__init__(got)


@dataclass(frozen=True)
class DecodedFrame:
    """Values of one frame after the modality transformation.

    Attributes:
        values: float32 (H, W).
        padded: where there is no picture, as PixelPaddingValue says. bool (H, W).
        content_hash: of the stored values: the same picture in another file has the same.
    """

    values: NDArray[np.float32]
    padded: NDArray[np.bool_]
    content_hash: str


def decode(image: DicomImage, frame: int) -> DecodedFrame:
    """Decode a frame, counted from 0, and apply its Modality LUT or its rescale.

    Raises:
        UnreadablePixelsError: if there are no such pixels, or too few.
    """
    try:
        with quiet_parser():
            stored, header = _stored(image, frame)
            if stored.shape != (image.height, image.width) or stored.dtype.kind not in "iu":
                raise UnreadablePixelsError
            stored = _without_unused_bits(stored, image.bits_stored)
            item = frame_item(header, "PixelValueTransformationSequence", frame)
            values = np.asarray(apply_modality_lut(stored, item), dtype=np.float32)
            padded = _padded(header, stored)
    except PARSER_ERRORS:
        raise UnreadablePixelsError from None
    if not np.isfinite(values).all():
        raise UnreadablePixelsError
    digest = hashlib.sha256(f"{stored.dtype.str} {stored.shape}".encode())
    digest.update(np.ascontiguousarray(stored).data)
    return DecodedFrame(values, padded, digest.hexdigest()[:16])


def _stored(image: DicomImage, frame: int) -> tuple[NDArray[np.integer], Dataset]:
    several = image.frames > 1  # then only this frame's bytes are read
    header = dcmread(image.path, stop_before_pixels=several)
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        return _worker.decode(image.path, frame), header
    return pixel_array(image.path if several else header, index=frame, raw=True), header


def windowed(values: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """Grey values through a window, in [0, 255]. (H, W)."""
    width = window.high - window.low
    share = (values - np.float32(window.low)) / np.float32(width)
    if window.function == "SIGMOID":
        with np.errstate(over="ignore"):
            share = 1 / (1 + np.exp(-_SIGMOID_STEEPNESS * (share - np.float32(0.5))))
    return np.asarray(np.clip(share, 0, 1) * 255, dtype=np.float32)


def looked_up(values: NDArray[np.float32], image: DicomImage) -> NDArray[np.float32]:
    """Grey values through the first VOI lookup table of an object, in [0, 255]. (H, W).

    Raises:
        UnreadablePixelsError: if the table cannot be used.
    """
    try:
        with quiet_parser():
            header = dcmread(image.path, stop_before_pixels=True)
            bits = numbers(header.VOILUTSequence[0].LUTDescriptor)[2]
            grey = apply_voi(np.rint(values).astype(np.int32), header, index=0)
    except PARSER_ERRORS:
        raise UnreadablePixelsError from None
    return np.asarray(np.clip(grey * (255 / (2**bits - 1)), 0, 255), dtype=np.float32)


def _without_unused_bits(stored: NDArray[np.integer], bits: int) -> NDArray[np.integer]:
    """Values without what the bits above BitsStored hold, overlays for one."""
    unused = stored.dtype.itemsize * 8 - bits
    if not unused:
        return stored
    native = stored.astype(stored.dtype.newbyteorder("="))
    return np.asarray((native << unused) >> unused)


def _padded(header: Dataset, stored: NDArray[np.integer]) -> NDArray[np.bool_]:
    padding = numbers(header.get("PixelPaddingValue"))
    if not padding:
        return np.zeros(stored.shape, dtype=bool)
    limits = (padding[0], *numbers(header.get("PixelPaddingRangeLimit")))
    return np.asarray((stored >= min(limits)) & (stored <= max(limits)))
