"""regions.json beside mask PNGs: which bit is which region."""

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

REGIONS_JSON: Final = "regions.json"


class _Names(BaseModel):
    model_config = ConfigDict(extra="ignore")

    regions: tuple[str, ...]


def read_region_names(folder: Path) -> tuple[str, ...] | None:
    """Names of the regions, in bit order; None where the folder's file does not tell them.

    A LabelMe file may have the same name: it tells none.
    """
    try:
        return _Names.model_validate_json((folder / REGIONS_JSON).read_bytes()).regions
    except (OSError, ValidationError):
        return None
