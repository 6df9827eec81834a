"""The order in which people number files."""

import re
from typing import Any


def natural(name: str) -> list[Any]:
    """Sort key by which frame2 comes before frame10: text and numbers in turn."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
