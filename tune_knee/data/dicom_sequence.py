"""DICOM objects to sequences: frames in the order of their recording, one window for all."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tune_knee.data.dicom_facts import Window
from tune_knee.data.dicom_files import DicomImage
from tune_knee.data.dicom_pixels import (
    UnreadablePixelsError,
    decode,
    looked_up,
    windowed,
)
from tune_knee.data.natural_order import natural
from tune_knee.data.problems import Problems

WINDOW_PERCENTILES: Final = (0.1, 99.9)
_WINDOW_FRAMES: Final = 16  # evenly spaced ones tell a sequence's range
_WINDOW_PX: Final = 2**18  # of each

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moment:
    """One frame of a sequence: frame `index`, from 0, of an object; seconds since the first."""

    image: DicomImage
    index: int
    time_s: float


@dataclass(frozen=True)
class DicomSequence:
    """Frames of one recording in order: a multi-frame object, or a series of single frames."""

    moments: tuple[Moment, ...]

    def __len__(self) -> int:
        return len(self.moments)

    @property
    def uid(self) -> str:
        """What tells this sequence from others. A patient's data: for `Pseudonyms` alone."""
        first = self.moments[0].image
        return first.instance if first.frames > 1 else first.series

    @cached_property
    def window(self) -> Window | None:
        """The one window of all frames; None for a VOI lookup table, or if none is needed.

        The medians of the frames' first windows, where they give any. Else the sequence's
        0.1th to 99.9th percentile, padding left out. None too for plain 8-bit values, which
        are for the eye already, and where no frame can be read.
        """
        images = list(dict.fromkeys(moment.image for moment in self.moments))
        if _has_one_lut(images):
            return None
        given = [window for image in images for window in image.windows]
        if given:
            return _median(given)
        if all(image.plain for image in images):
            return None
        return self._percentiles()

    def read(self, position: int) -> tuple[NDArray[np.float32], str]:
        """A frame as it is to be seen, in [0, 255], brighter is higher, and its content hash.

        Modality LUT or rescale, then the sequence's window, then the inversion of MONOCHROME1
        or INVERSE, once. Padding is black.

        Raises:
            UnreadablePixelsError: if it cannot be decoded, or all of the sequence is one grey.
        """
        moment = self.moments[position]
        decoded = decode(moment.image, moment.index)
        if self.window is not None:
            grey = windowed(decoded.values, self.window)
        elif moment.image.voi_lut:
            grey = looked_up(decoded.values, moment.image)
        elif moment.image.plain:
            grey = decoded.values
        else:
            raise UnreadablePixelsError("no range of grey values")
        if moment.image.inverted:
            grey = 255 - grey
        grey[decoded.padded] = 0
        return grey, decoded.content_hash

    def _percentiles(self) -> Window | None:
        chosen = np.linspace(0, len(self) - 1, min(len(self), _WINDOW_FRAMES)).round().astype(int)
        seen = []
        for moment in (self.moments[n] for n in chosen):
            try:
                decoded = decode(moment.image, moment.index)
            except UnreadablePixelsError:
                continue  # told where the frame itself is read
            values = decoded.values[~decoded.padded]
            seen.append(values[:: max(1, len(values) // _WINDOW_PX)])
        if not sum(map(len, seen)):
            return None
        low, high = np.percentile(np.concatenate(seen), WINDOW_PERCENTILES)
        return Window(float(low), float(high)) if low < high else None


def sequences_of(images: Sequence[DicomImage], problems: Problems) -> list[DicomSequence]:
    """Group objects into sequences, and put the frames of each into order.

    A multi-frame object is a sequence. Objects of one frame are one by SeriesInstanceUID; in
    the order of InstanceNumber if all have one of their own, else of the time of
    acquisition if all have, else of their names, with a warning.
    """
    _must_differ(images, problems)
    single = sorted((image for image in images if image.frames == 1), key=lambda i: i.series)
    series = [list(group) for _, group in groupby(single, key=lambda image: image.series)]
    return [
        *(_object_sequence(image) for image in images if image.frames > 1),
        *(_series_sequence(group) for group in series),
    ]


def _object_sequence(image: DicomImage) -> DicomSequence:
    times = image.times_s or (np.nan,) * image.frames
    order = np.argsort(times, kind="stable")  # NaN stay as they are stored
    return DicomSequence(tuple(Moment(image, int(n), float(times[n])) for n in order))


def _series_sequence(images: list[DicomImage]) -> DicomSequence:
    numbers = {image.number for image in images} - {None}
    times = {image.acquired_s for image in images} - {None}
    if len(numbers) == len(images):
        ordered = sorted(images, key=lambda image: image.number or 0)
    elif len(times) == len(images):
        ordered = sorted(images, key=lambda image: image.acquired_s or 0)
    else:
        ordered = sorted(images, key=lambda image: natural(image.place))
        _log.warning(
            "%s: neither InstanceNumber nor time tells the order of a series; names do",
            ordered[0].place,
        )
    return DicomSequence(
        tuple(
            Moment(image, 0, time_s)
            for image, time_s in zip(ordered, _series_times(ordered), strict=True)
        )
    )


def _series_times(ordered: list[DicomImage]) -> list[float]:
    acquired = [image.acquired_s for image in ordered if image.acquired_s is not None]
    if len(acquired) == len(ordered) and (np.diff(acquired) > 0).all():
        return [moment - acquired[0] for moment in acquired]
    interval = ordered[0].interval_s
    return [float("nan") if interval is None else n * interval for n in range(len(ordered))]


def _must_differ(images: Sequence[DicomImage], problems: Problems) -> None:
    counts = Counter(image.instance for image in images)
    first: dict[str, str] = {}
    for image in images:
        if counts[image.instance] > 1 and first.setdefault(image.instance, image.place) != (
            image.place
        ):
            must = "an object must lie in the folder once"
            got = f"{first[image.instance]} with the same SOPInstanceUID"
            problems.add(image.place, must, got=got, mend="remove one of them")


def _has_one_lut(images: Sequence[DicomImage]) -> bool:
    return bool(images[0].voi_lut) and len({image.voi_lut for image in images}) == 1


def _median(windows: Sequence[Window]) -> Window:
    return Window(
        low=float(np.median([window.low for window in windows])),
        high=float(np.median([window.high for window in windows])),
        function=windows[0].function,
    )
