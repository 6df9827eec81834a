"""Means and standard deviations of a trial's six metrics."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.figures.style import FAINT_INK, INK
from analysis.tables.metric_columns import METRIC_TITLES
from tune_knee import keys


def draw_metrics(
    overlap: Axes, distance: Axes, spread: pd.DataFrame, colours: Mapping[str, str]
) -> None:
    """Draw mean ± SD of the best trial, the overlaps on one axes and the distances on another.

    Args:
        overlap: axes of the overlaps.
        distance: axes of the distances.
        spread: a row per region, from `metric_columns.spread_of`.
        colours: by region, in the order drawn.
    """
    overlap.set_title("Overlap of the best trial")
    overlap.set_ylabel("higher is better")
    _draw_metrics(overlap, spread, keys.OVERLAP_METRICS, colours, 3)
    overlap.set_ylim(_lowest_shown(spread), 1.02)
    distance.set_title("Distance of the best trial (px)")
    distance.set_ylabel("lower is better")
    _draw_metrics(distance, spread, keys.DISTANCE_METRICS, colours, 2)
    distance.set_ylim(bottom=0)


def _draw_metrics(
    axes: Axes,
    spread: pd.DataFrame,
    metrics: Sequence[str],
    colours: Mapping[str, str],
    decimals: int,
) -> None:
    places = np.arange(len(metrics))
    step = 0.7 / len(colours)
    for number, (region, colour) in enumerate(colours.items()):
        row = spread.loc[region]
        means = row[list(metrics)].to_numpy(dtype=float)
        x = places + (number - (len(colours) - 1) / 2) * step
        axes.errorbar(
            x,
            means,
            yerr=np.nan_to_num(row[[f"{metric}_sd" for metric in metrics]].to_numpy(dtype=float)),
            fmt="o",
            color=colour,
            markersize=4.5,
            markeredgecolor=INK,
            markeredgewidth=0.5,
            ecolor=FAINT_INK,
            elinewidth=1,
        )
        if len(colours) == 1:
            _write_beside(axes, x, means, decimals)
    axes.set_xticks(places, [METRIC_TITLES[metric].partition(" ")[0] for metric in metrics])
    axes.set_xlim(-0.55, len(metrics) - (0.45 if len(colours) > 1 else 0.3))
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if spread[list(metrics)].isna().all(axis=None):
        axes.set_yticks([])
        axes.text(0.5, 0.5, "none: never found", ha="center", transform=axes.transAxes)


def _write_beside(
    axes: Axes, places: NDArray[np.floating], means: NDArray[np.floating], decimals: int
) -> None:
    for place, mean in zip(places, means, strict=True):
        if not np.isnan(mean):
            axes.annotate(
                f"{mean:.{decimals}f}",
                (place, mean),
                xytext=(5, 0),
                textcoords="offset points",
                size=7,
                va="center_baseline",
            )


def _lowest_shown(spread: pd.DataFrame) -> float:
    ends = [spread[name] - spread[f"{name}_sd"].fillna(0) for name in keys.OVERLAP_METRICS]
    return float(np.clip(min(end.min() for end in ends) - 0.02, -0.03, 0.9))
