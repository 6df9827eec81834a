"""Figures 4 and 6: the highest scores, and the six metrics of the trial that has the best."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.figures.lettering import fold
from analysis.figures.metric_means import draw_metrics
from analysis.figures.style import (
    PAPER,
    new_figure,
    region_colours,
    region_title,
    style,
)
from analysis.figures.trial_rows import name_rows
from analysis.ranking import rank_trials
from analysis.tables.metric_columns import spread_of
from tune_knee import keys

TOP: Final = 10
TOP_OF_REGION: Final = 5
_TITLE: Final = "Figure 4. The highest total scores, and the best trial's metrics"
_TITLE_OF_REGION: Final = (
    "Figure 6. The hardest region: the highest scores, and the best trial's metrics"
)
_NONE: Final = "No trial has a score: ce1 alone is not scored."
_LETTERS: Final = 34


def draw_top_trials(
    scores: pd.DataFrame,
    frames: pd.DataFrame,
    labels: Mapping[str, str],
    trials: pd.DataFrame,
    regions: Sequence[str],
) -> Figure | Absent:
    """Figure 4: the first trials of the ranking by what each region adds; the best's metrics.

    Args:
        scores: trial, region and score, from `ranking.score_trials`.
        frames: per-frame metrics.
        labels: trial to its words.
        trials: all of the study's, for colours and markers.
        regions: of the study, in its order.
    """
    return _draw_first(
        scores,
        frames,
        labels,
        trials,
        region_colours(regions),
        most=TOP,
        name="figure_4_top_trials",
        title=_TITLE,
        place="",
        which="each region in its colour",
    )


def draw_top_of_region(
    scores: pd.DataFrame,
    frames: pd.DataFrame,
    labels: Mapping[str, str],
    trials: pd.DataFrame,
    regions: Sequence[str],
    region: str,
) -> Figure | Absent:
    """Figure 6: the same for one region, the hardest.

    Args:
        scores: trial, region and score, from `ranking.score_trials`.
        frames: per-frame metrics.
        labels: trial to its words.
        trials: all of the study's, for colours and markers.
        regions: of the study, in its order.
        region: the region.
    """
    place = f" on the {region_title(region).lower()}"
    return _draw_first(
        scores[scores[keys.REGION] == region],
        frames,
        labels,
        trials,
        {region: region_colours(regions)[region]},
        most=TOP_OF_REGION,
        name="figure_6_hardest_region",
        title=_TITLE_OF_REGION,
        place=place,
        which=f"the trial that is best{place}",
    )


def _draw_first(
    scores: pd.DataFrame,
    frames: pd.DataFrame,
    labels: Mapping[str, str],
    trials: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    most: int,
    name: str,
    title: str,
    place: str,
    which: str,
) -> Figure | Absent:
    """The first trials by the scores of the regions that have a colour, and the best's metrics."""
    if scores.empty:
        return Absent(title=title, reason=_NONE)
    ranked = rank_trials(scores)
    best, shown = str(ranked[keys.TRIAL].iloc[0]), ranked.head(most)
    spread = _spread(frames, best, list(colours))
    several = len(colours) > 1
    return Figure(
        name=name,
        title=title,
        caption=_caption(scores, ranked, shown, labels, several=several)
        + f" Right: mean ± SD over the test frames of {labels[best]}, {which}, cut off at 0 and "
        f"1.{_lowest(spread) if several else ''}{_missed(spread)}",
        alt=f"Scores of the best {len(shown)} trials{place}, and six metrics of the best"
        + " by region" * several
        + ".",
        drawing=_draw(scores, shown, spread, labels, trials, colours),
    )


def _draw(
    scores: pd.DataFrame,
    shown: pd.DataFrame,
    spread: pd.DataFrame,
    labels: Mapping[str, str],
    trials: pd.DataFrame,
    colours: Mapping[str, str],
) -> Drawing:
    most = 2 * scores[keys.TRIAL].nunique() * len(colours)
    with style():
        words = {trial: _lines(labels[trial]) for trial in shown[keys.TRIAL]}
        row_in = 0.12 * (max(text.count("\n") for text in words.values()) + 1) + 0.09
        drawing = new_figure(max(2.8, row_in * len(shown) + 0.75))
        grid = drawing.add_gridspec(2, 2, width_ratios=[1, 1.05], wspace=0.06)
        bars = drawing.add_subplot(grid[:, 0])
        _draw_scores(bars, scores, shown, colours, most)
        name_rows(bars, shown[keys.TRIAL].tolist(), words, trials)
        bars.grid(visible=False, axis="y")
        overlap, distance = (drawing.add_subplot(grid[row, 1]) for row in (0, 1))
        draw_metrics(overlap, distance, spread, colours)
        handles = [
            Patch(facecolor=colour, label=region_title(region))
            for region, colour in colours.items()
        ]
        drawing.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    return drawing


def _draw_scores(
    axes: Axes, scores: pd.DataFrame, shown: pd.DataFrame, colours: Mapping[str, str], most: int
) -> None:
    points = scores.set_index([keys.REGION, keys.TRIAL])[keys.SCORE]
    rows, start = np.arange(len(shown)), np.zeros(len(shown))
    for region, colour in colours.items():
        of_region = points.loc[region].loc[shown[keys.TRIAL]].to_numpy()
        axes.barh(
            rows,
            of_region,
            left=start,
            height=0.6,
            color=colour,
            edgecolor=PAPER,
            linewidth=0.6,
        )
        start += of_region
    for row, total in enumerate(shown[keys.SCORE]):
        axes.annotate(
            f"{total:,g}",
            (total, row),
            xytext=(3, 0),
            textcoords="offset points",
            size=7,
            va="center_baseline",
        )
    axes.set_xlim(0, 1.12 * most)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel(f"score, at most {most:,}")


def _lines(label: str) -> str:
    network, _, mix = label.partition(" ")
    return f"{fold(network, _LETTERS)}\n{fold(mix, _LETTERS)}"


def _spread(frames: pd.DataFrame, trial: str, regions: Sequence[str]) -> pd.DataFrame:
    of_trial = frames[frames[keys.TRIAL] == trial]
    return spread_of(of_trial, [keys.REGION]).set_index(keys.REGION).loc[list(regions)]


def _caption(
    scores: pd.DataFrame,
    ranked: pd.DataFrame,
    shown: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    several: bool,
) -> str:
    best, total = ranked[keys.TRIAL].iloc[0], ranked[keys.SCORE].iloc[0]
    parts = "; a part of a bar is what a region adds" if several else ""
    if len(ranked) == 1:
        return f"Left: score of the one scored trial{parts}."
    second, behind = ranked[keys.TRIAL].iloc[1], total - ranked[keys.SCORE].iloc[1]
    lead = f"is {behind:,g} ahead of" if behind else "is level with"
    return (
        f"Left: the best {len(shown)} of {len(ranked)} scored trials{parts}. {labels[best]} has "
        f"{total:,g} and {lead} {labels[second]}."
    )


def _lowest(spread: pd.DataFrame) -> str:
    region = str(spread["iou"].idxmin())
    return (
        f" Its lowest mean IoU is that of the {region_title(region).lower()}, "
        f"{spread['iou'].min():.3f}."
    )


def _missed(spread: pd.DataFrame) -> str:
    missed = spread[keys.MISSED_FRAMES]
    lost = [
        f"the {region_title(str(region)).lower()} on {int(count)}"
        for region, count in zip(missed.index, missed, strict=True)
        if count
    ]
    if not lost:
        return ""
    return f" Frames without a distance, because one of the two masks is empty: {', '.join(lost)}."
