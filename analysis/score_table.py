"""Scores for the terminal: a row per model, a column per region, total and rank."""

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.ranking import RANK, rank_trials
from tune_knee import keys

NONE: Final = "–"
_NAME_WIDTH: Final = 18  # holds the longest of the paper's networks on one line


def score_table(
    scores: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    name: str = keys.TRIAL,
    unscored: Sequence[str] = (),
    beside: Mapping[str, Mapping[str, str]] | None = None,
) -> Table:
    """The ranking, best first; equal totals share the better rank.

    Args:
        scores: trial, region, score, from `ranking.score_trials`.
        labels: a trial's words.
        name: of the column of those.
        unscored: trials to list below, in this order.
        beside: more columns by their titles, each with a text for every trial.
    """
    beside = beside or {}
    table = plain_table()
    table.add_column(RANK, justify="right")
    table.add_column(name, min_width=_NAME_WIDTH, overflow="fold")
    points = region_scores(scores)
    for region in points.columns:
        table.add_column(region_header(region), justify="right", overflow="fold")
    table.add_column(keys.SCORE, justify="right", style="bold")
    for title in beside:
        table.add_column(title, justify="right")
    of_trial = points.to_dict("index")
    for trial, total, rank in rank_trials(scores).itertuples(index=False):
        cells = [*(f"{value:g}" for value in of_trial[trial].values()), f"{total:g}"]
        more = [texts[trial] for texts in beside.values()]
        table.add_row(str(rank), Text(labels[trial]), *cells, *more)
    for trial in unscored:
        more = [texts[trial] for texts in beside.values()]
        table.add_row(NONE, Text(labels[trial]), *[NONE] * (len(points.columns) + 1), *more)
    return table


def region_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with a row per trial and a column per region, in the order of `scores`."""
    return scores.pivot_table(keys.SCORE, keys.TRIAL, keys.REGION, sort=False)


def plain_table() -> Table:
    """An empty table in the look that all of them have."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption_justify="left")


def region_header(region: str) -> Text:
    """A region's name, a word a line: numbers below it are narrow."""
    return Text(region.replace("_", "\n"))
