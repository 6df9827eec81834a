"""DICOM segmentations: which frames they label, and their masks."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from tune_knee.data.dicom_attributes import (
    PARSER_ERRORS,
    frame_item,
    number,
    numbers,
    quiet_parser,
    text,
)
from tune_knee.data.dicom_files import LABEL_MAP, SEGMENTATION
from tune_knee.data.frames import SourceImage
from tune_knee.data.labelme import Bitmap, Shape
from tune_knee.data.pixel_worker import PixelWorker
from tune_knee.data.problems import Problems

_AGAIN: Final = "export it as binary segments that reference their images"
_worker: Final = PixelWorker()  # starts no process before the first compressed object
_OBJECTS_KEPT: Final = 2

FrameKey = tuple[str, int]  # SOPInstanceUID, number of the frame from 0


@dataclass(frozen=True)
class SegmentLabels:
    """The segments of one object that lie on one frame.

    Attributes:
        path: the object; `place` names it for messages.
        planes: number of a frame of the object, from 0, and its segment's label.
    """

    path: Path
    place: str
    planes: tuple[tuple[int, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the segments."""
        return tuple(dict.fromkeys(label for _, label in self.planes))

    @property
    def crossing(self) -> tuple[str, ...]:
        """None: a segment has no outline to cross itself."""
        return ()

    def read(self, image: SourceImage, problems: Problems) -> tuple[Shape, ...]:
        """Its segments; what does not fit the image goes to `problems`."""
        try:
            packed, height, width = _packed(self.path, self.path.stat().st_mtime_ns)
            planes = [(label, packed[n]) for n, label in self.planes]
        except PARSER_ERRORS:
            must = "a segmentation's pixels must be readable"
            problems.add(self.place, must, got="some that are not", mend=_AGAIN)
            return ()
        if (height, width) != (image.height, image.width):
            must = (
                f"a segmentation must have its image's height x width "
                f"{image.height} x {image.width}"
            )
            problems.add(self.place, must, got=f"{height} x {width}", mend=_AGAIN)
            return ()
        masks = (
            (label, np.unpackbits(plane, count=height * width).reshape(height, width) > 0)
            for label, plane in planes
        )
        return tuple(Bitmap(label, 0, 0, mask) for label, mask in masks if mask.any())


@dataclass(frozen=True)
class Segmentation:
    """A segmentation object: the labels of each frame that it references."""

    place: str
    frames: dict[FrameKey, SegmentLabels] = field(repr=False)


def is_segmentation(header: Dataset) -> bool:
    """Whether an object is a segmentation, of a kind that can be read or not."""
    return text(header.get("SOPClassUID")) in (SEGMENTATION, LABEL_MAP)


def read_segmentation(
    header: Dataset, path: Path, place: str, problems: Problems
) -> Segmentation | None:
    """Read what a segmentation references, or None where it cannot be used.

    A frame of it belongs to the images of its DerivationImageSequence, by SOPInstanceUID and
    frame number; without a number, to the first frame. Its region is SegmentLabel.
    """
    try:
        with quiet_parser():
            kind = text(header.get("SegmentationType")) or "none"
            if text(header.get("SOPClassUID")) == LABEL_MAP or kind != "BINARY":
                known = kind if kind in ("FRACTIONAL", "LABELMAP") else "another"
                must = "SegmentationType must be BINARY, in which regions may overlap"
                problems.add(place, must, got=known, mend=_AGAIN)
                return None
            planes = _planes(header)
    except PARSER_ERRORS:
        must = "a segmentation must name its segments and the images that they lie on"
        problems.add(place, must, got="one that does not", mend=_AGAIN)
        return None
    return Segmentation(
        place,
        {key: SegmentLabels(path, place, tuple(found)) for key, found in planes.items()},
    )


def _planes(header: Dataset) -> dict[FrameKey, list[tuple[int, str]]]:
    labels = {int(item.SegmentNumber): text(item.SegmentLabel) for item in header.SegmentSequence}
    found: dict[FrameKey, list[tuple[int, str]]] = {}
    frames = int(number(header.get("NumberOfFrames") or 1) or 1)
    if frames > len(header.PerFrameFunctionalGroupsSequence):
        raise ValueError
    for n in range(frames):
        segment = frame_item(header, "SegmentIdentificationSequence", n)
        label = labels[int(segment.ReferencedSegmentNumber)]
        derivation = frame_item(header, "DerivationImageSequence", n)
        for source in derivation.SourceImageSequence:
            stated = numbers(source.get("ReferencedFrameNumber")) or (1,)
            for frame in stated:
                key = text(source.ReferencedSOPInstanceUID), int(frame) - 1
                found.setdefault(key, []).append((n, label))
    return found


@lru_cache(maxsize=_OBJECTS_KEPT)
def _packed(path: Path, changed_ns: int) -> tuple[NDArray[np.uint8], int, int]:
    """An object's masks at eight pixels a byte, (n, bytes), with height and width.

    `changed_ns` tells a file from what it was before.
    """
    with quiet_parser():
        dataset = dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            frames = int(number(dataset.get("NumberOfFrames") or 1) or 1)
            values = np.stack([_worker.decode(path, n) for n in range(frames)])
        else:
            values = pixel_array(dataset)
            if len(dataset.PixelData) * 8 < values.size:  # else filled up with zeros
                raise ValueError
    masks = values.reshape(-1, *values.shape[-2:])
    height, width = masks.shape[1:]
    return np.packbits(masks.reshape(len(masks), -1) > 0, axis=1), height, width
