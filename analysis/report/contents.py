"""What a report says, apart from how it looks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.tables.table import Table
from analysis.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Topic:
    """What the blocks that follow are about.

    Attributes:
        title: a heading below the section's.
        text: a paragraph.
    """

    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Words with what they mean, or names with their values.

    Attributes:
        items: each a term and its text.
    """

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A line for a shell.

    Attributes:
        line: as it is typed.
    """

    line: str


Block: TypeAlias = "str | Topic | Terms | Command | Table | Figure | Absent"  # text is a paragraph


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report with a heading of its own.

    Attributes:
        anchor: its place in the page's address.
        title: its heading.
        blocks: what it says, in order.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A report.

    Attributes:
        title: of the page.
        facts: what was studied.
        notices: what a reader must know before all else, as sentences.
        verdict: what came of it; None without a ranking.
        sections: in order.
        made: by what and when, one line.
    """

    title: str
    facts: Terms
    notices: tuple[str, ...]
    verdict: Verdict | None
    sections: tuple[Section, ...]
    made: str

    def blocks(self) -> Iterator[Block]:
        """All blocks, in order."""
        for section in self.sections:
            yield from section.blocks

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, in order."""
        return tuple(block for block in self.blocks() if isinstance(block, Table))

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures, in order."""
        return tuple(block for block in self.blocks() if isinstance(block, Figure))
