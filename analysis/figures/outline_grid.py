"""Figure 3 as a grid, networks by losses, where a study's trials are one."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final

import pandas as pd

from analysis.figures.lettering import fold_to, height_in, longest_part_in
from analysis.figures.outline_sheet import (
    BORDER_IN,
    GAP_IN,
    Cell,
    Name,
    Sheet,
    best_sheet,
    left_in,
    panel_in,
)
from analysis.tables.trial_columns import TAU
from tune_knee import keys
from tune_knee.config import LOSS_TERMS, NETWORKS

_MOST_COLUMNS: Final = 12
_LEAST_FILLED: Final = 0.5
_SIZE: Final = 6.5
_SIDE_IN: Final = 0.25
_Column = tuple[str, str]  # loss and τ


def is_grid(rows: pd.DataFrame) -> bool:
    """Whether no two trials share network, loss and τ, and half the cells at least are filled.

    Args:
        rows: network, loss and tau (as text) of each trial.
    """
    columns = len(rows.drop_duplicates([keys.LOSS, TAU]))
    cells = rows[keys.NETWORK].nunique() * columns
    return (
        not rows.duplicated([keys.NETWORK, keys.LOSS, TAU]).any()
        and 1 < columns <= _MOST_COLUMNS
        and len(rows) >= _LEAST_FILLED * cells
    )


def grid_sheet(rows: pd.DataFrame, aspect: float) -> Sheet:
    """Rows are networks, columns losses with their τ, in bands if they are many.

    Args:
        rows: trial, network, loss and tau (as text).
        aspect: of a panel, height over width.
    """
    columns = rows[[keys.LOSS, TAU]].drop_duplicates()
    columns = columns.sort_values(keys.LOSS, key=_place_in(LOSS_TERMS), kind="stable")
    pairs = list(columns.itertuples(index=False, name=None))
    networks = rows[keys.NETWORK].drop_duplicates()
    networks = networks.sort_values(key=_place_in(NETWORKS), kind="stable")
    trials = {
        (network, loss, tau): str(trial)
        for network, loss, tau, trial in rows[
            [keys.NETWORK, keys.LOSS, TAU, keys.TRIAL]
        ].itertuples(index=False, name=None)
    }

    def layout(columns: int, widest_in: float) -> Sheet:
        return _lay_out(trials, networks.tolist(), _bands(pairs, columns), aspect, widest_in)

    return best_sheet(layout, len(pairs), aspect)


def _place_in(known: Iterable[str]) -> "Callable[[pd.Series[str]], pd.Series[int]]":
    places = {name: place for place, name in enumerate(known)}
    return lambda names: names.map(lambda name: places.get(name, len(places))).astype(int)


def _lay_out(
    trials: dict[tuple[str, str, str], str],
    networks: Sequence[str],
    bands: Sequence[Sequence[_Column]],
    aspect: float,
    widest_in: float,
) -> Sheet:
    wide = max(map(len, bands))
    high = panel_in(wide, _SIDE_IN, widest_in) * aspect
    longest = max(longest_part_in(network, _SIZE) for network in networks)
    size = _SIZE * min(1.0, high / longest)
    upright = {network: fold_to(network, high, size) for network in networks}
    side = max(height_in(text, size) for text in upright.values()) + 0.08
    panel = panel_in(wide, side, widest_in)
    left = left_in(wide, side, panel)
    cells, names, y = [], [], BORDER_IN
    for band in bands:
        heads, head_in = _heads(band, panel, left + side, y)
        names += heads
        y += head_in
        for network in networks:
            of_row = [trials.get((network, *column)) for column in band]
            if not any(of_row):
                continue
            middle = left + (side - 0.04) / 2, y + panel * aspect / 2
            names.append(
                Name(text=upright[network], x=middle[0], y=middle[1], size=size, upright=True)
            )
            cells += [
                Cell(trial=trial, x=left + side + place * (panel + GAP_IN), y=y)
                for place, trial in enumerate(of_row)
                if trial
            ]
            y += panel * aspect + GAP_IN
        y += 0.1
    return Sheet(height_in=y, panel_in=panel, cells=tuple(cells), names=tuple(names))


def _bands(columns: Sequence[_Column], most: int) -> list[list[_Column]]:
    """Columns in bands of so many at most; a loss begins a band rather than being torn."""
    bands: list[list[_Column]] = [[]]
    for _, group in groupby(columns, key=lambda column: column[0]):
        of_loss = list(group)
        if bands[-1] and len(bands[-1]) + len(of_loss) > most:
            bands.append([])
        for column in of_loss:
            if len(bands[-1]) == most:
                bands.append([])
            bands[-1].append(column)
    return bands


def _heads(
    band: Sequence[_Column], panel: float, left: float, y: float
) -> tuple[list[Name], float]:
    """Losses over their columns, τ over each; and the height of both."""
    step = panel + GAP_IN
    ratios = [fold_to(ratio, panel, _SIZE) for _, ratio in band]
    ratio_in = max(height_in(ratio, _SIZE) for ratio in ratios)
    spans = [
        (loss, list(group)) for loss, group in groupby(range(len(band)), lambda at: band[at][0])
    ]
    texts = [fold_to(loss, len(of) * step - GAP_IN, _SIZE) for loss, of in spans]
    loss_foot = y + max(height_in(text, _SIZE) for text in texts)
    foot = loss_foot + (ratio_in + 0.05 if ratio_in else 0)
    names = [
        Name(text=ratio, x=left + place * step + panel / 2, y=foot, size=_SIZE)
        for place, ratio in enumerate(ratios)
        if ratio
    ]
    for text, (_, of) in zip(texts, spans, strict=True):
        span, tied = len(of) * step - GAP_IN, bool(ratios[of[0]])
        x = left + of[0] * step + span / 2
        names.append(
            Name(
                text=text,
                x=x,
                y=loss_foot if tied else foot,
                size=_SIZE,
                span=span if tied else 0,
            )
        )
    return names, foot - y + 0.05
