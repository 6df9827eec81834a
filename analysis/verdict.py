"""What the ranking is worth, in plain words."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The head of a report.

    Attributes:
        headline: who leads and how surely, one line.
        sentences: what stands behind it, each whole by itself, the weightiest first.
    """

    headline: str
    sentences: tuple[str, ...]
