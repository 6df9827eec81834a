"""What a DICOM object says of its frames: spacing, side, time, window."""

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset

from tune_knee.data.dataset import SpacingSource
from tune_knee.data.dicom_attributes import frame_value, number, numbers, text

_LARGEST_ANISOTROPY: Final = 0.01
_SIDES: Final = {"L": "left", "R": "right"}
_WINDOW_FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class PixelSpacing:
    """Millimetres a source pixel, NaN where unknown, and where they were measured."""

    mm: float
    source: SpacingSource
    doubt: str = ""  # why a spacing that is there does not count


def pixel_spacing(dataset: Dataset) -> PixelSpacing:
    """Spacing of an object's pixels, which must be square, and where it was measured.

    ``patient``: PixelSpacing that was calibrated (PixelSpacingCalibrationType is GEOMETRY or
    FIDUCIAL, or it differs from ImagerPixelSpacing, PS3.3 10.7.1.3). ``uncalibrated``:
    PixelSpacing of which nothing more is known. ``detector``: ImagerPixelSpacing, or a
    PixelSpacing equal to it: magnification is not taken out. ``scanner``:
    NominalScannedPixelSpacing of a film. Zeros, and rows and columns that differ by more
    than 1 %, count as absent, with a doubt.
    """
    inner = _square(frame_value(dataset, "PixelSpacing", "PixelMeasuresSequence"))
    imager = _square(frame_value(dataset, "ImagerPixelSpacing", "FramePixelDataPropertiesSequence"))
    scanned = _square(dataset.get("NominalScannedPixelSpacing"))
    doubt = next((found for found in (inner, imager, scanned) if isinstance(found, str)), "")
    if isinstance(inner, float):
        kind = text(dataset.get("PixelSpacingCalibrationType"))
        if kind in ("GEOMETRY", "FIDUCIAL"):
            return PixelSpacing(inner, "patient")
        if not isinstance(imager, float):
            return PixelSpacing(inner, "uncalibrated")
        same = math.isclose(inner, imager, rel_tol=1e-4)
        return PixelSpacing(inner, "detector" if same else "patient")
    if isinstance(imager, float):
        return PixelSpacing(imager, "detector", doubt)
    if isinstance(scanned, float):
        return PixelSpacing(scanned, "scanner", doubt)
    return PixelSpacing(math.nan, "", doubt)


def _square(value: object) -> float | str | None:
    """Side of square pixels; None where absent; a doubt where it cannot be used."""
    found = numbers(value)
    if not found:
        return None
    row, column = found[0], found[-1]
    if len(found) > 2 or not min(row, column) > 0:
        return "pixel spacing is not positive and counts as absent"
    if abs(row - column) > _LARGEST_ANISOTROPY * max(row, column):
        return "pixels are not square, and their spacing counts as absent"
    return math.sqrt(row * column)


def side(dataset: Dataset) -> str:
    """``left``, ``right``, or empty where the object names none, both, or two that differ."""
    anatomy = frame_value(dataset, "FrameLaterality", "FrameAnatomySequence")
    stated = (anatomy, dataset.get("ImageLaterality"), dataset.get("Laterality"))
    letters = {text(value).upper() for value in stated} - {""}
    return _SIDES.get(letters.pop(), "") if len(letters) == 1 else ""


def frame_times_s(dataset: Dataset, frames: int) -> tuple[float, ...] | None:
    """Seconds of an object's frames, the first at 0; None where it tells none.

    In this order: the frames' own date and time, FrameTimeVector, FrameTime (ms),
    CineRate, RecommendedDisplayFrameRate (1/s).
    """
    for keyword in ("FrameAcquisitionDateTime", "FrameReferenceDateTime"):
        moments = [
            seconds(frame_value(dataset, keyword, "FrameContentSequence", n)) for n in range(frames)
        ]
        known = [moment for moment in moments if moment is not None]
        if len(known) == frames and len(set(known)) == frames:
            return tuple(moment - min(known) for moment in known)
    steps_ms = numbers(dataset.get("FrameTimeVector"))
    if len(steps_ms) == frames and min(steps_ms[1:], default=1) > 0:
        return tuple(sum(steps_ms[1 : n + 1]) / 1000 for n in range(frames))
    interval = interval_s(dataset)
    return None if interval is None else tuple(n * interval for n in range(frames))


def interval_s(dataset: Dataset) -> float | None:
    """Seconds from a frame to the next, where the object tells a constant."""
    frame_time_ms = number(dataset.get("FrameTime"))
    if frame_time_ms is not None and frame_time_ms > 0:
        return frame_time_ms / 1000
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = number(dataset.get(keyword))
        if rate is not None and rate > 0:
            return 1 / rate
    return None


def acquired_s(dataset: Dataset) -> float | None:
    """When an object was acquired, in seconds of an arbitrary beginning; only differences count."""
    moment = seconds(dataset.get("AcquisitionDateTime"))
    if moment is not None:
        return moment
    for kind in ("Acquisition", "Content"):
        date, time = text(dataset.get(f"{kind}Date")), text(dataset.get(f"{kind}Time"))
        moment = seconds((date if len(date) == 8 else "20000101") + time) if time else None
        if moment is not None:
            return moment
    return None


def seconds(value: object) -> float | None:
    """A DICOM date and time, YYYYMMDDHHMMSS.ffffff, in seconds; None where it is none.

    A zone is passed over: it is one throughout a sequence.
    """
    match = re.fullmatch(
        r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d(?:\.\d{1,6})?)(?:[+-]\d{4})?", text(value)
    )
    if match is None:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    try:
        moment = datetime(year, month, day, hour, minute)
    except ValueError:
        return None
    minutes = moment.toordinal() * 24 * 60 + hour * 60 + minute
    return minutes * 60 + float(match[6])


@dataclass(frozen=True)
class Window:
    """A VOI window: grey values from `low` to `high` fill the display's range."""

    low: float
    high: float
    function: str = "LINEAR_EXACT"


def windows(dataset: Dataset, frames: int) -> tuple[Window, ...]:
    """The first VOI window of every frame that gives one, or of the object.

    PS3.3 C.11.2.1.2 and C.11.2.1.3: LINEAR spans centre - 0.5 ± (width - 1) / 2, LINEAR_EXACT
    and SIGMOID centre ± width / 2. Widths that are not positive (LINEAR: up to 1) are none.
    """
    per_frame = bool(dataset.get("PerFrameFunctionalGroupsSequence"))
    found = [_window(dataset, n) for n in range(frames if per_frame else 1)]
    return tuple(dict.fromkeys(window for window in found if window is not None))


def _window(dataset: Dataset, frame: int) -> Window | None:
    macro = "FrameVOILUTSequence"
    centre = number(frame_value(dataset, "WindowCenter", macro, frame))
    width = number(frame_value(dataset, "WindowWidth", macro, frame))
    if centre is None or width is None:
        return None
    stated = text(frame_value(dataset, "VOILUTFunction", macro, frame)).upper()
    function = stated if stated in _WINDOW_FUNCTIONS else "LINEAR"
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
        function = "LINEAR_EXACT"
    return Window(centre - width / 2, centre + width / 2, function) if width > 0 else None


def voi_lut_digest(dataset: Dataset) -> str:
    """Digest of an object's first VOI lookup table; empty where it has none."""
    tables = dataset.get("VOILUTSequence")
    if not tables or "LUTData" not in tables[0]:
        return ""
    table = tables[0]
    return hashlib.sha256(f"{table.get('LUTDescriptor')} {table.LUTData!r}".encode()).hexdigest()


def inverted(dataset: Dataset) -> bool:
    """Whether low values are to be shown bright: MONOCHROME1, or the INVERSE that goes with it.

    The two say one thing (PS3.3 C.8.11.3): together they do not cancel.
    """
    return (
        text(dataset.get("PhotometricInterpretation")) == "MONOCHROME1"
        or text(dataset.get("PresentationLUTShape")) == "INVERSE"
    )
