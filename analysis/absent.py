"""What a report lacks, and why: named, never silently left out."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A table or figure that this study cannot fill.

    Attributes:
        title: of what is not there.
        reason: why not, and what would bring it, as a sentence.
    """

    title: str
    reason: str
