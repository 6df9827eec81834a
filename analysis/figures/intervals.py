"""How far score and rank of each trial move when the cases are drawn again."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.absent import Absent
from analysis.bootstrap import Bootstrap
from analysis.figures.figure import Figure
from analysis.figures.style import INK, new_figure, style
from analysis.figures.trial_rows import (
    name_rows,
    row_height_in,
    set_rows,
    shown_trials,
    tell_left_out,
    trial_colours,
)
from analysis.findings import Findings
from tune_knee import keys

_TITLE: Final = "Scores and ranks over redrawn cases"
_LEVEL: Final = 0.95
_LEAST_SHARE: Final = 0.005
_STEP_PT: Final = 0.25
_POINTS_PER_INCH: Final = 72


def draw_intervals(
    findings: Findings, labels: Mapping[str, str], trials: pd.DataFrame
) -> Figure | Absent:
    """Bootstrap intervals of score, and a blob for each rank, of every trial; best on top.

    Args:
        findings: of the ranking.
        labels: trial to its words.
        trials: all of the study's, for colours and markers.
    """
    bootstrap = findings.bootstrap
    if bootstrap is None:
        return Absent(
            title=_TITLE,
            reason="The test set has one case; intervals over cases need two or more.",
        )
    shown = shown_trials(findings.ranking)
    intervals = bootstrap.intervals(_LEVEL).set_index(keys.TRIAL)
    colours = trial_colours(trials)
    tints = [colours[trial] for trial in shown]
    height = row_height_in(len(shown))
    with style():
        figure = new_figure(height * len(shown) + 0.8)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.4])
        name_rows(left, shown, labels, trials)
        _draw_scores(left, intervals.loc[shown], tints)
        set_rows(right, len(shown))
        right.set_yticks(range(len(shown)), [""] * len(shown))
        _draw_blobs(right, bootstrap, shown, tints, height)
        _draw_rank_lines(right, intervals.loc[shown])
    return Figure(
        name="bootstrap_intervals",
        title=_TITLE,
        caption=_caption(bootstrap, intervals, findings.ranking, labels),
        alt=f"Bootstrap intervals of score and rank of {len(shown)} trials, best on top.",
        drawing=figure,
    )


def _draw_scores(axes: Axes, intervals: pd.DataFrame, tints: list[str]) -> None:
    rows = np.arange(len(intervals))
    axes.hlines(rows, intervals["score_low"], intervals["score_high"], colors=tints, linewidth=2.2)
    axes.plot(intervals["score_median"], rows, "|", color=INK, markersize=5, markeredgewidth=1)
    axes.margins(x=0.04)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("score (higher is better)")


def _draw_blobs(
    axes: Axes, bootstrap: Bootstrap, shown: list[str], tints: list[str], height_in: float
) -> None:
    column = {trial: number for number, trial in enumerate(bootstrap.trials)}
    largest_pt = 1.1 * height_in * _POINTS_PER_INCH
    blobs: dict[float, list[tuple[float, int, str]]] = {}  # by diameter: an SVG keeps each once
    for row, (trial, colour) in enumerate(zip(shown, tints, strict=True)):
        ranks, counts = np.unique(bootstrap.ranks[:, column[trial]], return_counts=True)
        for rank, share in zip(ranks, counts / bootstrap.draws, strict=True):
            if share >= _LEAST_SHARE:
                diameter = round(largest_pt * np.sqrt(share) / _STEP_PT) * _STEP_PT
                blobs.setdefault(diameter, []).append((rank, row, colour))
    for diameter, alike in blobs.items():
        ranks_of, rows, colours = zip(*alike, strict=True)
        axes.scatter(
            ranks_of,
            rows,
            s=diameter**2,
            c=colours,
            alpha=0.75,
            linewidths=0,
            clip_on=False,
        )


def _draw_rank_lines(axes: Axes, intervals: pd.DataFrame) -> None:
    rows = np.arange(len(intervals))
    axes.hlines(rows, intervals["rank_low"], intervals["rank_high"], colors=INK, linewidth=0.6)
    axes.plot(intervals["rank_median"], rows, "x", color=INK, markersize=3, markeredgewidth=0.7)
    worst = int(intervals["rank_high"].max())
    axes.set_xlim(1 - max(0.5, worst / 60), worst + max(0.5, worst / 60))
    later = MaxNLocator(6, integer=True, prune="lower").tick_values(1, worst)
    axes.set_xticks([1, *(tick for tick in later if 1 < tick <= worst)])
    axes.set_xlabel("rank (1 is best)")


def _caption(
    bootstrap: Bootstrap,
    intervals: pd.DataFrame,
    ranking: pd.DataFrame,
    labels: Mapping[str, str],
) -> str:
    leader = ranking[keys.TRIAL].iloc[0]
    best = intervals.loc[leader]
    places = _places(best["rank_low"], best["rank_high"])
    first = int((intervals["rank_low"] == 1).sum())
    width = (intervals["rank_high"] - intervals["rank_low"]).median() + 1
    return (
        f"{bootstrap.draws:,} draws of {bootstrap.cases} cases with replacement "
        f"(seed {bootstrap.seed}), all frames of a case together. Left: line, 95 % of the draws' "
        "scores; tick, their median. Right: a blob's area is the share of draws in which the "
        "trial has that rank (less than 0.5 % is not drawn); line, 95 % of them; cross, the "
        f"median. The order is that of the whole test set. {labels[leader]} is first in "
        f"{best['first_share']:.0%} of the draws, its interval {places}; {first} of "
        f"{len(intervals)} trials have the first place in theirs, and the median interval is "
        f"{width:g} wide." + tell_left_out(ranking)
    )


def _places(low: float, high: float) -> str:
    return f"place {low:g} alone" if low == high else f"places {low:g} to {high:g}"
