"""DICOM objects in a folder: what their headers say, pixels aside."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tune_knee.data.dicom_attributes import (
    PARSER_ERRORS,
    frame_value,
    number,
    quiet_parser,
    text,
)
from tune_knee.data.dicom_facts import (
    PixelSpacing,
    Window,
    acquired_s,
    frame_times_s,
    interval_s,
    inverted,
    pixel_spacing,
    side,
    voi_lut_digest,
    windows,
)
from tune_knee.data.image_size import LARGEST_PX
from tune_knee.data.problems import Problems

DICOM_SUFFIXES: Final = (".dcm", ".dicom", ".ima")
SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"
_MAGIC: Final = b"DICM"
_MAGIC_AT: Final = 128
_LEAST_FRAME_BYTES: Final = 8  # an item's tag and length, with nothing in it
_BITS: Final = range(8, 17)
_AGAIN: Final = "export it again or take it out of the folder"


@dataclass(frozen=True, kw_only=True)
class DicomImage:
    """A DICOM object with a picture or several, all but the pixels.

    Identifiers are a patient's data: they are kept out of `repr`, and leave this package
    only through `Pseudonyms`.

    Attributes:
        path: the file; `place` names it relative to the source folder.
        patient, series, instance: PatientID, SeriesInstanceUID, SOPInstanceUID.
        number: InstanceNumber.
        frames: how many, from NumberOfFrames.
        bits_stored: of a pixel.
        plain: whether its values are unsigned 8 bit and without a modality transformation.
        acquired_s, interval_s, times_s: see `dicom_facts`.
        burned_in: whether it says that annotations are part of its picture.
    """

    path: Path
    place: str
    patient: str = field(repr=False)
    series: str = field(repr=False)
    instance: str = field(repr=False)
    number: int | None
    frames: int
    height: int
    width: int
    bits_stored: int
    plain: bool
    inverted: bool
    windows: tuple[Window, ...]
    voi_lut: str
    spacing: PixelSpacing
    side: str
    acquired_s: float | None = field(repr=False)
    interval_s: float | None
    times_s: tuple[float, ...] | None
    burned_in: bool


def is_dicom(path: Path) -> bool:
    """Whether a file is meant as DICOM: by its suffix, or the mark that DICOM files begin with."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC


def stem(path: Path) -> str:
    """A file's name without a DICOM suffix: numbers after a dot are part of the name."""
    return path.stem if path.suffix.lower() in DICOM_SUFFIXES else path.name


def read_header(path: Path, place: str, problems: Problems) -> Dataset | None:
    """A DICOM object without its pixels, or None where it is none; `problems` says why."""
    try:
        with quiet_parser():
            if _deflated(path):
                must, got = "must not be deflated as a whole", DeflatedExplicitVRLittleEndian.name
                mend = "export it uncompressed, or with its pixels compressed"
                problems.add(place, must, got=got, mend=mend)
                return None
            dataset = dcmread(path, stop_before_pixels=True)
            text(dataset.get("SOPClassUID"))  # read now, while the parser is quiet
    except PARSER_ERRORS as error:
        got = "a header that cannot be read" if not isinstance(error, OSError) else "no access"
        problems.add(place, "must be a DICOM file", got=got, mend=_AGAIN)
        return None
    return dataset


def _deflated(path: Path) -> bool:
    """Whether all but the first lines is one compressed stream, of a size that nobody tells."""
    meta = read_file_meta_info(path)
    return bool(meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian)


def read_image_header(
    dataset: Dataset, path: Path, place: str, problems: Problems
) -> DicomImage | None:
    """What an object with a picture says of it, or None where it cannot be used."""
    try:
        with quiet_parser():
            faults = list(_faults(dataset, path))
            image = _image(dataset, path, place) if not faults else None
    except PARSER_ERRORS:
        faults, image = [("its attributes must be readable", "some that are not")], None
    for must, got in faults:
        problems.add(place, must, got=got, mend=_AGAIN)
    return image


def has_picture(dataset: Dataset) -> bool:
    """Whether an object is a picture; directories, reports and presentation states are not."""
    return "Rows" in dataset and "Columns" in dataset


def _faults(dataset: Dataset, path: Path) -> Iterable[tuple[str, object]]:
    """What must hold and does not: (what, got). Values that might name someone are not got."""
    photometric = text(dataset.get("PhotometricInterpretation"))
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        known = photometric if photometric in ("RGB", "YBR_FULL", "PALETTE COLOR") else "another"
        yield "PhotometricInterpretation must be MONOCHROME1 or MONOCHROME2", known
    for keyword, allowed in (("SamplesPerPixel", (1,)), ("PixelRepresentation", (0, 1))):
        if (value := number(dataset.get(keyword, allowed[0]))) not in allowed:
            yield f"{keyword} must be {' or '.join(map(str, allowed))}", value
    bits, allocated = (number(dataset.get(name)) for name in ("BitsStored", "BitsAllocated"))
    fits = bits is not None and allocated is not None and bits <= allocated
    if not fits or bits not in _BITS or allocated not in (8, 16):
        yield "BitsStored must be 8 to 16 in BitsAllocated of 8 or 16", f"{bits} in {allocated}"
    rows, columns = (number(dataset.get(name)) for name in ("Rows", "Columns"))
    if not rows or not columns or rows * columns > LARGEST_PX:
        yield (
            f"Rows and Columns must be positive, {LARGEST_PX} pixels at most",
            f"{rows} x {columns}",
        )
    frames = number(dataset.get("NumberOfFrames") or 1)
    if frames is None or not 1 <= frames <= _most_frames(dataset, path):
        yield "NumberOfFrames must be a number of frames that fit into the file", frames
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
        if not text(dataset.get(keyword)):
            yield f"{keyword} must be given", "none"


def _most_frames(dataset: Dataset, path: Path) -> float:
    """How many frames a file has room for, of its pixels or compressed to nothing; at least one."""
    least: float = _LEAST_FRAME_BYTES
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        bits = (number(dataset.get(name)) or 0 for name in ("Rows", "Columns", "BitsAllocated"))
        least = max(1, math.prod(bits) // 8)
    return max(1.0, path.stat().st_size / least)


def _image(dataset: Dataset, path: Path, place: str) -> DicomImage:
    frames = int(number(dataset.get("NumberOfFrames") or 1) or 1)
    instance_number = number(dataset.get("InstanceNumber"))
    return DicomImage(
        path=path,
        place=place,
        patient=text(dataset.get("PatientID")),
        series=text(dataset.SeriesInstanceUID),
        instance=text(dataset.SOPInstanceUID),
        number=None if instance_number is None else math.floor(instance_number),
        frames=frames,
        height=int(dataset.Rows),
        width=int(dataset.Columns),
        bits_stored=int(dataset.BitsStored),
        plain=int(dataset.BitsStored) == 8 and not _is_transformed(dataset),
        inverted=inverted(dataset),
        windows=windows(dataset, frames),
        voi_lut=voi_lut_digest(dataset),
        spacing=pixel_spacing(dataset),
        side=side(dataset),
        acquired_s=acquired_s(dataset),
        interval_s=interval_s(dataset),
        times_s=frame_times_s(dataset, frames) if frames > 1 else None,
        burned_in=text(dataset.get("BurnedInAnnotation")) == "YES",
    )


def _is_transformed(dataset: Dataset) -> bool:
    macro = "PixelValueTransformationSequence"
    slope = number(frame_value(dataset, "RescaleSlope", macro))
    intercept = number(frame_value(dataset, "RescaleIntercept", macro))
    return (
        number(dataset.get("PixelRepresentation", 0)) == 1
        or "ModalityLUTSequence" in dataset
        or slope not in (None, 1)
        or intercept not in (None, 0)
    )
