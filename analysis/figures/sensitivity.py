"""How the ranking moves when a network, a loss or a doubled metric is left out, and under ties."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.absent import Absent
from analysis.figures.cells import LESS, MORE, NO_TINT, ColumnHeads, draw_cells, tint
from analysis.figures.figure import Figure
from analysis.figures.style import GRID, INK, new_figure, style
from analysis.figures.trial_rows import (
    name_rows,
    row_height_in,
    shown_trials,
    tell_left_out,
    trial_colours,
)
from analysis.findings import Findings
from analysis.ranking import RANK
from analysis.sensitivity import ALTERNATIVE, SHIFT, rank_shifts
from tune_knee import keys

_COLUMNS: Final = 14
_WITHOUT: Final = "without "
_TIES_TITLE: Final = "Scores under ties"


def draw_sensitivity(
    findings: Findings, labels: Mapping[str, str], trials: pd.DataFrame
) -> Figure | Absent:
    """Places that each trial gains or loses by each other way to rank; best on top.

    Args:
        findings: of the ranking.
        labels: trial to its words.
        trials: all of the study's, for colours and markers.
    """
    shown = shown_trials(findings.ranking)
    shifts = rank_shifts(findings.alternatives)
    table = shifts.pivot_table(SHIFT, keys.TRIAL, ALTERNATIVE)
    table = table.reindex(index=shown, columns=[way.name for way in findings.alternatives[1:]])
    drawn = _most_moving(table)
    ways = list(drawn.columns)
    with style():
        heads = ColumnHeads.of([way.removeprefix(_WITHOUT) for way in ways])
        figure = new_figure(row_height_in(len(shown)) * len(shown) + heads.height_in + 0.4)
        axes = figure.subplots()
        name_rows(axes, shown, labels, trials)
        _draw_shifts(axes, drawn)
        heads.draw(axes)
        axes.set_title("Places gained (+) or lost (−) without …")
    return Figure(
        name="rank_sensitivity",
        title="Ranks when a network, a loss or the doubled metrics are left out",
        caption=_caption(shifts, len(table.columns) - len(ways), labels)
        + tell_left_out(findings.ranking),
        alt=f"Places gained or lost by {len(shown)} trials under {len(ways)} other rankings.",
        drawing=figure,
    )


def draw_tie_ranges(
    findings: Findings, labels: Mapping[str, str], trials: pd.DataFrame
) -> Figure | Absent:
    """Score from its least to its most under ties, of the trials that tie; best on top."""
    ranges = findings.tie_range
    tied = ranges[ranges["score_max"] > ranges["score_min"]]
    if tied.empty:
        return Absent(
            title=_TIES_TITLE,
            reason=f"No two of {len(ranges)} trials have an equal mean metric in any region: "
            "ties decide nothing.",
        )
    shown = shown_trials(tied)
    rows = tied.set_index(keys.TRIAL).loc[shown]
    score = findings.ranking.set_index(keys.TRIAL)[keys.SCORE].loc[shown]
    colours = trial_colours(trials)
    with style():
        figure = new_figure(row_height_in(len(shown)) * len(shown) + 0.8)
        axes = figure.subplots()
        name_rows(axes, shown, labels, trials)
        _draw_ranges(axes, rows, score, [colours[trial] for trial in shown])
    return Figure(
        name="tie_ranges",
        title=_TIES_TITLE,
        caption=_ties_caption(ranges, tied, labels) + tell_left_out(tied),
        alt=f"Least and most score that ties allow, of {len(shown)} trials.",
        drawing=figure,
    )


def _most_moving(table: pd.DataFrame) -> pd.DataFrame:
    """The columns in their order; where there are too many to draw, those that move most."""
    moved = table.abs().mean()
    return table[table.columns[table.columns.isin(moved.nlargest(_COLUMNS).index)]]


def _draw_shifts(axes: Axes, shifts: pd.DataFrame) -> None:
    largest = np.nanmax(np.abs(shifts.to_numpy()), initial=1)
    tints, texts = np.empty((*shifts.shape, 4)), []
    for row, values in enumerate(shifts.to_numpy()):
        texts.append([f"{value:+.0f}".replace("-", "−") if value else "" for value in values])
        for column, value in enumerate(values):
            if np.isnan(value):
                tints[row, column], texts[row][column] = tint(GRID, 1), ""
            elif value:
                tints[row, column] = tint(MORE if value > 0 else LESS, abs(value) / largest)
            else:
                tints[row, column] = NO_TINT
    draw_cells(axes, tints, texts, size=6)


def _draw_ranges(axes: Axes, rows: pd.DataFrame, score: pd.Series, tints: list[str]) -> None:
    y = np.arange(len(rows))
    axes.hlines(y, rows["score_min"], rows["score_max"], colors=tints, linewidth=2.2)
    axes.plot(score, y, "|", color=INK, markersize=5, markeredgewidth=1)
    axes.margins(x=0.04)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("score (higher is better)")
    ranks = axes.twinx()
    ranks.set_ylim(axes.get_ylim())
    spans = zip(rows["rank_min"], rows["rank_max"], strict=True)
    ranks.set_yticks(y, [_span(low, high) for low, high in spans], fontsize=6)
    ranks.tick_params(axis="y", length=0)
    ranks.grid(visible=False)
    ranks.spines[:].set_visible(False)
    ranks.text(1.01, 1, "rank", size=7, transform=ranks.transAxes, va="bottom")


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def _caption(shifts: pd.DataFrame, left_out: int, labels: Mapping[str, str]) -> str:
    moved = shifts.iloc[int(shifts[SHIFT].abs().argmax())]
    firsts = shifts[shifts["place"] == 1]
    toppled = firsts.loc[firsts[RANK] > 1, ALTERNATIVE].drop_duplicates().tolist()
    total = shifts[ALTERNATIVE].nunique()
    words = (
        "Each column leaves something out and scores the rest anew; a number is how many places "
        "a trial moves among those that remain (blue and +, up; orange and −, down; empty, no "
        "move; grey, left out). "
    )
    if moved[SHIFT]:
        words += (
            f"The largest move: {labels[moved[keys.TRIAL]]}, from place {moved['place']} to "
            f"{moved[RANK]} {moved[ALTERNATIVE]}. "
        )
    words += (
        f"The first place changes hands in {len(toppled)} of {total}: {', '.join(toppled[:5])}"
        f"{', …' if len(toppled) > 5 else ''}."
        if toppled
        else f"The first place changes hands in none of {total}."
    )
    return words + (f" The {_COLUMNS} that move most are drawn." if left_out else "")


def _ties_caption(ranges: pd.DataFrame, tied: pd.DataFrame, labels: Mapping[str, str]) -> str:
    reach = ranges.loc[ranges["rank_min"] == 1, keys.TRIAL]
    widest = tied.iloc[int((tied["score_max"] - tied["score_min"]).argmax())]
    first = (
        f"{labels[reach.iloc[0]]} is first however ties are broken."
        if len(reach) == 1
        else f"Ties alone let {len(reach)} trials be first: "
        + ", ".join(labels[trial] for trial in reach.head(5))
        + (", …." if len(reach) > 5 else ".")
    )
    return (
        "Line: the score if all ties go against the trial, to the score if all go for it; tick: "
        "ties share their mean rank. Right: the ranks that are possible. "
        f"{len(tied)} of {len(ranges)} trials tie with another in a mean metric of some region; "
        f"the widest range is {widest['score_max'] - widest['score_min']:g} points, of "
        f"{labels[widest[keys.TRIAL]]}. {first}"
    )
