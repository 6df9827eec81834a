"""Other sensible ways to rank the same trials."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """One way to rank.

    Attributes:
        name: e.g. ``score``, ``without segformer_b2``, ``without Dice and ASSD``.
        description: what it does, one sentence.
        scores: trial, score, rank, best first; trials it leaves out have no row.
    """

    name: str
    description: str
    scores: pd.DataFrame
