"""A segmentation of one frame to that of all frames of its source."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

_TEMPORAL_POSITION_INDEX: Final = Tag(0x0020, 0x9128)
_FRAME_CONTENT_SEQUENCE: Final = Tag(0x0020, 0x9111)
_BITS: Final = 8


def with_frames(
    made: Dataset, numbers: Sequence[int], planes: Iterable[NDArray[np.bool_]]
) -> Dataset:
    """The object with segments of every frame of its multi-frame source.

    Each of its frames references its source's frame; the second dimension, after the segment,
    is time.

    Args:
        made: a segmentation of the first frame, all segments of it; it is changed.
        numbers: of the source's frames, from 1, in order of time.
        planes: (H, W) of every segment of every frame, segments of one frame together.
    """
    time = Dataset()
    time.DimensionOrganizationUID = made.DimensionIndexSequence[0].DimensionOrganizationUID
    time.DimensionIndexPointer = _TEMPORAL_POSITION_INDEX
    time.FunctionalGroupPointer = _FRAME_CONTENT_SEQUENCE
    time.DimensionDescriptionLabel = "Temporal Position Index"
    made.DimensionIndexSequence.append(time)
    segments = list(made.PerFrameFunctionalGroupsSequence)
    groups = []
    for position, number in enumerate(numbers, start=1):
        for segment, like in enumerate(segments, start=1):
            group = copy.deepcopy(like)
            content = group.FrameContentSequence[0]
            content.TemporalPositionIndex = position
            content.DimensionIndexValues = [segment, position]
            group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = number
            groups.append(group)
    made.PerFrameFunctionalGroupsSequence = groups
    made.NumberOfFrames = len(groups)
    made.PixelData, overlap = _packed(planes, len(segments))
    made.SegmentsOverlap = "YES" if overlap else "NO"
    return made


def _packed(planes: Iterable[NDArray[np.bool_]], segments: int) -> tuple[bytes, bool]:
    """Bits of all planes one after the other, of even length, and whether segments overlap."""
    content, overlap = bytearray(), False
    rest = np.zeros(0, dtype=bool)
    for frame in _by(segments, planes):
        overlap |= bool((frame.sum(axis=0) > 1).any())
        bits = np.concatenate([rest, frame.ravel()])
        whole = len(bits) // _BITS * _BITS
        content += np.packbits(bits[:whole], bitorder="little").tobytes()
        rest = bits[whole:]
    content += np.packbits(rest, bitorder="little").tobytes()
    return bytes(content + b"\0" * (len(content) % 2)), overlap


def _by(number: int, planes: Iterable[NDArray[np.bool_]]) -> Iterator[NDArray[np.bool_]]:
    several = iter(planes)
    while group := list(islice(several, number)):
        yield np.stack(group)
