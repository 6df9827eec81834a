"""A source's header as highdicom takes it: one plain frame of the same patient and study."""

from collections.abc import Callable
from typing import Final

from highdicom import PatientSexValues
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage
from pydicom.valuerep import DA, TM

_KEPT: Final = (
    "SpecificCharacterSet",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "Modality",
    "Rows",
    "Columns",
    "PixelSpacing",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
# Type 2: they must be there, and may be empty.
_CHECKS: Final[dict[str, Callable[[str], object] | None]] = {
    "PatientID": None,
    "PatientName": None,
    "PatientBirthDate": DA,
    "PatientSex": lambda text: text and PatientSexValues(text),
    "StudyID": None,
    "StudyDate": DA,
    "StudyTime": TM,
    "AccessionNumber": None,
    "ReferringPhysicianName": None,
}


def stand_in(header: Dataset) -> tuple[Dataset, tuple[str, ...]]:
    """What a segmentation takes over from its source, and which of it was not valid.

    X-rays have no coordinate system of the patient, and highdicom then takes objects of one
    frame alone, of a class that knows no frames: such is the stand-in, whatever the source is.
    """
    plain, left_out = Dataset(), []
    plain.SOPClassUID = ComputedRadiographyImageStorage
    for keyword in _KEPT:
        if keyword in header:
            plain[keyword] = header[keyword]
    if "PixelSpacing" in plain and not all(float(side) > 0 for side in plain.PixelSpacing or [0]):
        del plain.PixelSpacing
    for keyword, check in _CHECKS.items():
        value = header.get(keyword)
        try:
            if check is not None and value:
                check(str(value))
        except ValueError:
            left_out.append(keyword)
            value = ""
        setattr(plain, keyword, "" if value is None else value)
    return plain, tuple(left_out)
