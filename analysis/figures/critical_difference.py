"""Mean ranks over cases, and which of them the critical difference tells apart.

Demšar's diagram names its methods left and right of one axis and draws their groups below:
it reads with a dozen, not with fifty. Here the trials are rows, at any number of them.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.figures.style import FAINT_INK, GRID, INK, new_figure, style
from analysis.figures.trial_rows import (
    SHOWN,
    name_rows,
    row_height_in,
    set_rows,
    trial_colours,
    trial_markers,
)
from analysis.findings import Findings
from analysis.significance import Significance

_TITLE: Final = "Mean ranks and critical difference"
_GROUP_IN: Final = 0.075
_FEWEST_GROUPS: Final = 8  # as much room as their heading needs
_WIDEST_IN: Final = 1.6


def draw_critical_difference(
    findings: Findings, labels: Mapping[str, str], trials: pd.DataFrame
) -> Figure | Absent:
    """Mean rank over cases of each trial, and lines that join those not told apart.

    Args:
        findings: of the ranking.
        labels: trial to its words.
        trials: all of the study's, for colours and markers.
    """
    significance = findings.significance
    if significance is None:
        return Absent(
            title=_TITLE,
            reason="The test set has one case; mean ranks over cases need two or more.",
        )
    ranks = significance.mean_ranks.sort_values(kind="stable")
    shown = ranks.head(SHOWN)
    groups = [
        (first, min(last, len(shown) - 1))
        for first, last in alike_groups(ranks.to_numpy(), significance.critical_difference)
        if first < len(shown) - 1
    ]
    names = [str(trial) for trial in shown.index]
    side = min(_WIDEST_IN, _GROUP_IN * max(len(groups), _FEWEST_GROUPS))
    with style():
        figure = new_figure(row_height_in(len(shown)) * len(shown) + 0.9)
        left, right = figure.subplots(1, 2, width_ratios=[4 - side, side])
        name_rows(left, names, labels, trials)
        _draw_ranks(left, shown, significance.critical_difference, trials)
        _draw_groups(right, groups, len(shown))
    return Figure(
        name="critical_difference",
        title=_TITLE,
        caption=_caption(significance, ranks, labels),
        alt=f"Mean ranks of {len(shown)} trials over {significance.cases} cases, best on top.",
        drawing=figure,
    )


def alike_groups(ranks: NDArray[np.float64], difference: float) -> list[tuple[int, int]]:
    """First and last of each largest run of ascending ranks no further apart than that.

    Runs of one are left out, and so are runs that lie within another.
    """
    lasts = np.searchsorted(ranks, ranks + difference, side="right") - 1
    return [
        (first, int(last))
        for first, last in enumerate(lasts)
        if last > first and (first == 0 or last > lasts[first - 1])
    ]


def _draw_ranks(axes: Axes, shown: pd.Series, difference: float, trials: pd.DataFrame) -> None:
    colours, markers = trial_colours(trials), trial_markers(trials)
    best = shown.iloc[0]
    axes.axvspan(best, best + difference, facecolor=GRID, alpha=0.55, linewidth=0)
    axes.hlines(range(len(shown)), best, shown, colors=FAINT_INK, linewidth=0.5)
    for row, (trial, rank) in enumerate(shown.items()):
        colour = colours[str(trial)]
        axes.plot(rank, row, markers[str(trial)], color=colour, markersize=5, markeredgewidth=0)
    axes.errorbar(
        best + difference / 2,
        -1.1,
        xerr=difference / 2,
        color=INK,
        linewidth=1.2,
        capsize=3,
        clip_on=False,
    )
    axes.annotate(
        f"critical difference {difference:.2f}",
        (best, -1.1),
        xytext=(0, 4),
        textcoords="offset points",
        size=7,
        annotation_clip=False,
    )
    axes.set_ylim(len(shown) - 0.5, -0.7)
    reach = max(shown.iloc[-1], best + difference) - best
    axes.set_xlim(best - 0.04 * reach, best + 1.04 * reach)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("mean rank over cases (1 is best)")


def _draw_groups(axes: Axes, groups: list[tuple[int, int]], rows: int) -> None:
    set_rows(axes, rows)
    axes.set_ylim(rows - 0.5, -0.7)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for number, (first, last) in enumerate(groups):
        axes.plot([number, number], [first - 0.3, last + 0.3], color=INK, linewidth=1.4)
    middle = (len(groups) - 1) / 2
    reach = max(len(groups) + 1, _FEWEST_GROUPS) / 2
    axes.set_xlim(middle - reach, middle + reach)
    axes.set_xlabel("not told\napart")


def _caption(significance: Significance, ranks: pd.Series, labels: Mapping[str, str]) -> str:
    difference = significance.critical_difference
    within = int((ranks - ranks.iloc[0] <= difference).sum()) - 1
    friedman = (
        ""
        if np.isnan(significance.friedman_p)
        else f" That all rank alike has p = {significance.friedman_p:.2g} (Friedman)."
    )
    left_out = f" The best {SHOWN} of {len(ranks)} are drawn." if len(ranks) > SHOWN else ""
    return (
        "Trials by their mean place in the scores of single cases, which need not be the order "
        "of the score over all frames. Two whose mean ranks differ by more than the critical "
        f"difference, {difference:.2f} (Nemenyi, {significance.level:g}, "
        f"{significance.cases} cases), are told apart; a line at the right joins trials that are "
        f"not, and the shade reaches from the best as far as the difference. "
        f"{within} of {len(ranks) - 1} cannot be told from {labels[str(ranks.index[0])]}."
        + friedman
        + left_out
    )
