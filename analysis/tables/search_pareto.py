"""The trials of a search and its grid that no other beats."""

from typing import Final

import numpy as np

from analysis.absent import Absent
from analysis.pareto import pareto_front
from analysis.search import DISTANCE, KNOWN, OVERLAP, TAU, TAU_TITLES, Search
from analysis.tables.table import Column, Table, best, number
from tune_knee import keys

_TITLE: Final = "The Pareto front"
_ORIGIN: Final = "origin"


def pareto_table(search: Search) -> Table | Absent:
    """All trials of the front, by ascending distance."""
    front = pareto_front(search.finished)
    if front.empty:
        return Absent(title=_TITLE, reason="No trial of the search is finished yet.")
    rows = front.reset_index(drop=True)
    rows[keys.LEARNING_RATE] = rows[keys.LEARNING_RATE].fillna(search.learning_rate)
    rows[_ORIGIN] = np.where(rows[KNOWN], "grid", "search")
    names = [keys.TRIAL, keys.NETWORK, *TAU, keys.LEARNING_RATE, keys.REPEAT, _ORIGIN]
    rows = rows[[*names, OVERLAP.key, DISTANCE.key]]
    columns = [
        Column(title="Network", of=(keys.NETWORK,)),
        *(number(title, part, 4, group="τ") for part, title in zip(TAU, TAU_TITLES, strict=True)),
    ]
    if len(search.finished[keys.LEARNING_RATE].unique()) > 1:
        columns.append(Column(title="Learning rate", of=(keys.LEARNING_RATE,), pattern="{:.3g}"))
    columns += [
        number("Overlap", OVERLAP.key, OVERLAP.decimals, bold=best(rows[OVERLAP.key], "max")),
        number(
            "Distance, px", DISTANCE.key, DISTANCE.decimals, bold=best(rows[DISTANCE.key], "min")
        ),
        Column(title="Of the", of=(_ORIGIN,)),
        Column(title="Trial", of=(keys.TRIAL,)),
    ]
    return Table(
        name="pareto_front",
        title=_TITLE,
        caption=(
            f"{len(rows)} of {len(search.finished)} finished trials, on validation: no other is at "
            "least as good in overlap (higher) and distance (lower) and better in one. Best of "
            "each in bold. A missing distance (–), of a region never found, is worse than any."
        ),
        rows=rows,
        columns=tuple(columns),
    )
