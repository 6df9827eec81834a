"""What can be written of a prediction, and what is written where nothing is asked for."""

from typing import Final, Literal, get_args

Format = Literal["masks", "overlays", "animation", "labelme", "dicom-seg"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
# A DICOM segmentation names the patient, as the standard wants it.
DEFAULT_FORMATS: Final[tuple[Format, ...]] = ("masks", "overlays", "animation", "labelme")


def parse_formats(text: str) -> tuple[Format, ...]:
    """Formats from their names, separated by commas; masks are always among them.

    Raises:
        ValueError: if a name is none of `FORMATS`.
    """
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise ValueError(f"formats must be of {', '.join(FORMATS)}, got {', '.join(unknown)}")
    return tuple(name for name in FORMATS if name in names or name == "masks")
