"""A table with what a report says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    Attributes:
        name: of its files, e.g. ``table_5_patella``.
        title: what it holds.
        caption: how to read it and what to see in it; whole sentences.
        rows: the values, columns named for readers (``Network``, ``HD95 (px)``), in the
            order shown; no index.
        decimals: digits after the point by column; others are shown as they are.
        best: columns whose best value is set in bold, with the better direction,
            ``max`` or ``min``.
    """

    name: str
    title: str
    caption: str
    rows: pd.DataFrame
    decimals: Mapping[str, int] = field(default_factory=dict)
    best: Mapping[str, str] = field(default_factory=dict)
