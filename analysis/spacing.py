"""Where the spacing of pixels was measured, in words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NO_MILLIMETRES: Final = (
    "The pixel spacing is not known for all frames, or was not measured in one plane for all "
    "tests: distances are in pixels alone."
)
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "patient": "calibrated, in the patient (patient)",
        "uncalibrated": "as the files state it, of unknown calibration (uncalibrated)",
        "detector": "at the detector, where all is magnified, so lengths are too long (detector)",
        "scanner": "on a scanned film, where all is magnified, so lengths are too long (scanner)",
        "phantom": "the phantom's own (phantom)",
    }
)


def spacing_words(source: str) -> str:
    """What a dataset's ``spacing_source`` means, the name itself in brackets."""
    return _WORDS[source]
