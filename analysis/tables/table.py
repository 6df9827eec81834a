"""A table with what a report says about it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from string import Formatter
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

MISSING: Final = "–"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as it is read, made of one or more columns of a table's rows.

    Attributes:
        title: its heading.
        of: columns of the rows that it is made of; the first is what it is about, and a
            row without that shows a dash.
        pattern: text of a cell, a format of the values in turn, e.g. ``{:.4f} ± {:.4f}``; a new
            line in it is one in the cell.
        bold: positions of the rows that are set in bold.
        group: heading above this column and its neighbours of the same group.
        once: shown where it changes only, with those to its left that are so, too.
    """

    title: str
    of: tuple[str, ...]
    pattern: str = "{}"
    bold: Collection[int] = ()
    group: str = ""
    once: bool = False

    def cells(self, rows: pd.DataFrame) -> list[str]:
        """The text of each row's cell."""
        return [
            MISSING if pd.isna(values[0]) else _FORMATTER.format(self.pattern, *values)
            for values in zip(*(rows[name] for name in self.of), strict=True)
        ]

    def is_number(self, rows: pd.DataFrame) -> bool:
        """Whether its values are numbers, which stand flush right."""
        dtype = rows[self.of[0]].dtype
        return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    Attributes:
        name: of its files, e.g. ``table_5_patella``.
        number: of the paper's table that it answers to, e.g. ``5`` or ``A1``; or none.
        title: what it holds.
        caption: how to read it and what to see in it; whole sentences.
        rows: the values in the order shown, in full precision, columns named for
            programs (``hd95_px``, ``hd95_px_sd``); no index.
        columns: what of them is shown, and how.
    """

    name: str
    title: str
    caption: str
    rows: pd.DataFrame
    columns: tuple[Column, ...]
    number: str = ""

    @property
    def heading(self) -> str:
        """Its title, after its number if it has one."""
        return numbered(self.number, self.title)

    def cells(self) -> list[tuple[str, ...]]:
        """The text of each cell, row by row."""
        texts = [column.cells(self.rows) for column in self.columns]
        repeated = np.ones(len(self.rows), dtype=bool)
        for column, text in zip(self.columns, texts, strict=True):
            if column.once:
                repeated &= [False, *map(str.__eq__, text[1:], text[:-1])][: len(text)]
                text[:] = [
                    "" if again else cell for cell, again in zip(text, repeated, strict=True)
                ]
        return list(zip(*texts, strict=True))


def numbered(number: str, title: str) -> str:
    """A table's title after its number, e.g. ``Table 5. Patella``."""
    return f"Table {number}. {title}" if number else title


def number(
    title: str, value: str, decimals: int, *, bold: Collection[int] = (), group: str = ""
) -> Column:
    """A column of numbers with so many digits after the point, thousands set apart."""
    pattern = f"{{:z,.{decimals}f}}"
    return Column(title=title, of=(value,), pattern=pattern, bold=bold, group=group)


def best(values: "pd.Series[Any]", better: Literal["max", "min"]) -> frozenset[int]:
    """Positions of the best value, all that are equal; none where all are missing."""
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isnan(numbers).all():
        return frozenset()
    top = np.nanmax(numbers) if better == "max" else np.nanmin(numbers)
    return frozenset(np.flatnonzero(numbers == top).tolist())


def column_groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Headings above adjoining columns, each with how many columns it spans; "" for none."""
    return [(group, len(list(run))) for group, run in groupby(columns, lambda column: column.group)]


class _CellFormatter(Formatter):
    """Dashes for what is missing, words for yes and no, true minus signs."""

    def format_field(self, value: object, spec: str) -> str:
        if pd.isna(value):  # type: ignore[call-overload]
            return MISSING
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        text = format(value, spec)
        return text.replace("-", "−") if isinstance(value, int | float) else text


_FORMATTER: Final = _CellFormatter()
