"""The τ that a search recommends for each network."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from analysis.recommendation import Recommendation
from analysis.search import TAU, TAU_TITLES, Objective, ratio_text
from analysis.tables.table import Column, Table, number
from tune_knee import keys

_GRID_TAU: Final = "grid_tau"


def recommended_table(found: Sequence[Recommendation]) -> Table:
    """A row per network: the best τ by the response, its range, and the gain over the grid.

    Args:
        found: for one objective, by network; one at least.
    """
    objective = found[0].objective
    rows = pd.DataFrame([_row(recommended) for recommended in found])
    compared = [recommended for recommended in found if recommended.gain is not None]
    shares = (
        Column(
            title=title,
            of=(part, f"{part}_low", f"{part}_high"),
            pattern="{:.2f} ({:.2f}–{:.2f})",
            group="Recommended τ (95 % of draws)",
        )
        for part, title in zip(TAU, TAU_TITLES, strict=True)
    )
    return Table(
        name=f"recommended_{objective.name}",
        title=f"Recommended τ for {objective.aim}",
        caption=_caption(objective, compared),
        rows=rows,
        columns=(
            Column(title="Network", of=(keys.NETWORK,)),
            *shares,
            _interval("value", objective),
            *(_gain_columns(rows, objective) if compared else ()),
            number("Trials", "trials", 0),
        ),
    )


def _gain_columns(rows: pd.DataFrame, objective: Objective) -> tuple[Column, ...]:
    group = "Gain over the grid"
    sure = [place for place, low in enumerate(rows["gain_low"]) if low > 0]
    return (
        Column(title="Grid's best τ", of=(_GRID_TAU,)),
        _interval("gain", objective, sign="+", bold=sure, group=group),
        Column(
            title="Observed", of=("gain_observed",), pattern=_digits(objective, "+"), group=group
        ),
    )


def _interval(
    name: str, objective: Objective, *, sign: str = "", bold: Sequence[int] = (), group: str = ""
) -> Column:
    digits = _digits(objective, sign)
    return Column(
        title="Predicted (95 %)",
        of=(name, f"{name}_low", f"{name}_high"),
        pattern=f"{digits} ({digits} to {digits})",
        bold=bold,
        group=group,
    )


def _digits(objective: Objective, sign: str) -> str:
    return f"{{:{sign}z.{objective.decimals}f}}"


def _row(recommended: Recommendation) -> dict[str, object]:
    gain = recommended.gain
    row: dict[str, object] = {keys.NETWORK: recommended.network}
    for part, share, (low, high) in zip(TAU, recommended.tau, recommended.ranges, strict=True):
        row |= {part: share, f"{part}_low": low, f"{part}_high": high}
    low, high = recommended.value_interval
    row |= {"value": recommended.value, "value_low": low, "value_high": high}
    row |= {
        _GRID_TAU: None if gain is None else ratio_text(gain.tau),
        "gain": float("nan") if gain is None else gain.predicted,
        "gain_low": float("nan") if gain is None else gain.interval[0],
        "gain_high": float("nan") if gain is None else gain.interval[1],
        "gain_observed": float("nan") if gain is None or gain.observed is None else gain.observed,
        "own_trials": None if gain is None else gain.own_trials,
        "grid_trials": None if gain is None else gain.grid_trials,
        "trials": recommended.trials,
    }
    return row


def _caption(objective: Objective, compared: Sequence[Recommendation]) -> str:
    aim = objective.title[0].lower() + objective.title[1:]
    words = (
        f"Where a Gaussian process over τ has its best {aim}. In parentheses: what holds the best "
        "τ in 95 % of draws from the process, and 95 % of its values there."
    )
    if not compared:
        return words + " No grid was given to compare with."
    gains = [recommended.gain for recommended in compared if recommended.gain is not None]
    sure = sum(gain.interval[0] > 0 for gain in gains)
    own, grid = sum(gain.own_trials for gain in gains), sum(gain.grid_trials for gain in gains)
    words += (
        " Gain: how much better than the grid's best trial, more than 0 is better; predicted at "
        "both τ by the process, bold where its interval lies above 0; observed between the best "
        f"trials of the two, at equal training: the search's first {own} against the grid's "
        f"{grid} in all, single values with the noise of a trial. "
    )
    return words + f"The predicted gain is above 0 for {sure} of {len(gains)} networks."
