"""Figure 2: equal against area-based external weights of the cross-entropy."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.absent import Absent
from analysis.ce_pairs import BY_AREA, EQUAL, ce_pairs
from analysis.figures.figure import Figure
from analysis.figures.lettering import fold
from analysis.figures.style import (
    FAINT_INK,
    INK,
    PAPER,
    loss_markers,
    network_colours,
    new_figure,
    region_title,
    style,
)
from tune_knee import keys

_TITLE: Final = "Figure 2. CE1 against CE2"
_ROWS: Final = 48  # of pairs, over all regions
_MOST_OF_REGION: Final = 12
_LETTERS: Final = 20
_LEAST_WIDTH: Final = 0.1
_MEASURES: Final = {
    keys.OVERLAP: "overlap (higher is better)",
    keys.DISTANCE_PX: "distance in px (lower is better)",
}
_DECIMALS: Final = {keys.OVERLAP: 3, keys.DISTANCE_PX: 2}


def draw_ce_comparison(
    trials: pd.DataFrame, tests: pd.DataFrame, labels: Mapping[str, str], regions: Sequence[str]
) -> Figure | Absent:
    """Overlap and distance of ce1 beside ce2, per region and network.

    Args:
        trials: all of the study's.
        tests: means of the tested ones, as `Study.tests`.
        labels: trial to its words.
        regions: of the study, in its order.
    """
    pairs = ce_pairs(trials)
    if pairs.empty:
        return Absent(
            title=_TITLE,
            reason="It needs a network tested with both ce1 and ce2 and otherwise alike.",
        )
    means = tests.set_index([keys.REGION, keys.TRIAL])
    shown = _best(pairs, means, min(_MOST_OF_REGION, _ROWS // len(regions)))
    names = [fold(_words(labels[trial]), _LETTERS) for trial in shown[BY_AREA]]
    colours = network_colours(trials[keys.NETWORK])
    tints = [colours[name] for name in shown[keys.NETWORK]]
    row_in = 0.29 if any("\n" in name for name in names) else 0.18
    rows_in = row_in * len(shown) + 0.45
    with style():
        drawing = new_figure(rows_in * len(regions) + 0.5)
        grid = drawing.subplots(len(regions), 2, squeeze=False, sharey=True)
        for row, region in zip(grid, regions, strict=True):
            row[0].set_title(region_title(region))
            _draw_region(row, means.loc[[region]].droplevel(keys.REGION), shown, tints)
            row[0].set_yticks(range(len(names)), names)
        for axes, words in zip(grid[-1], _MEASURES.values(), strict=True):
            axes.set_xlabel(words)
        _explain(drawing)
    return Figure(
        name="figure_2_ce1_ce2",
        title=_TITLE,
        caption=_caption(pairs, shown, means, regions),
        alt=f"Overlap and distance of ce1 and ce2 in {len(regions)} regions, by network.",
        drawing=drawing,
    )


def _best(pairs: pd.DataFrame, means: pd.DataFrame, most: int) -> pd.DataFrame:
    """The pairs with the best mean overlap, in their order."""
    overlap = means[keys.OVERLAP].groupby(keys.TRIAL).mean()
    both = pairs[EQUAL].map(overlap) + pairs[BY_AREA].map(overlap)
    return pairs.loc[sorted(both.nlargest(most).index)]


def _words(label: str) -> str:
    """What the two have in common: the label of one, without its loss."""
    return " ".join(word for word in label.split() if word != BY_AREA)


def _draw_region(
    row: Sequence[Axes], means: pd.DataFrame, shown: pd.DataFrame, tints: list[str]
) -> None:
    for axes, measure in zip(row, _MEASURES, strict=True):
        equal, by_area = (
            means[measure].reindex(shown[loss]).to_numpy() for loss in (EQUAL, BY_AREA)
        )
        _draw_pairs(axes, equal, by_area, tints)
        _scale(axes, np.concatenate([equal, by_area]), measure)
        _write_differences(axes, equal, by_area, _DECIMALS[measure])


def _draw_pairs(
    axes: Axes, equal: NDArray[np.float64], by_area: NDArray[np.float64], tints: list[str]
) -> None:
    markers = loss_markers([EQUAL, BY_AREA])
    rows = np.arange(len(tints))
    axes.hlines(rows, equal, by_area, colors=tints, linewidth=1.6, alpha=0.6)
    axes.scatter(
        equal, rows, marker=markers[EQUAL], s=20, facecolors=PAPER, edgecolors=tints, linewidths=1.2
    )
    axes.scatter(by_area, rows, marker=markers[BY_AREA], s=20, c=tints, linewidths=0)
    axes.set_ylim(len(tints) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _scale(axes: Axes, values: NDArray[np.float64], measure: str) -> None:
    """Overlap as wide as it is spread, and 0.1 at least; distance from 0 on."""
    seen = values[~np.isnan(values)]
    if not len(seen):
        axes.set_xticks([])
        return
    low, high = float(seen.min()), float(seen.max())
    if measure == keys.DISTANCE_PX:
        axes.set_xlim(0, 1.06 * high if high else 1)
    else:
        width = max(high - low, _LEAST_WIDTH)
        low = max(0.0, min(low, (low + high - width) / 2))
        axes.set_xlim(low - 0.04 * width, low + 1.04 * width)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _write_differences(
    axes: Axes, equal: NDArray[np.float64], by_area: NDArray[np.float64], decimals: int
) -> None:
    """ce2 minus ce1 at the right of each row; which of them has no value, where one has none."""
    for row, (first, second) in enumerate(zip(equal, by_area, strict=True)):
        lost = [loss for loss, value in ((EQUAL, first), (BY_AREA, second)) if np.isnan(value)]
        text = f"{' and '.join(lost)}: none" if lost else f"{second - first:+.{decimals}f}"
        axes.annotate(
            text.replace("-", "−"),
            (1, row),
            xycoords=axes.get_yaxis_transform(),
            xytext=(3, 0),
            textcoords="offset points",
            size=6.5,
            color=FAINT_INK if lost else INK,
            va="center_baseline",
        )


def _explain(drawing: Drawing) -> None:
    markers = loss_markers([EQUAL, BY_AREA])
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=markers[loss],
            markersize=4.5,
            color=INK,
            markerfacecolor=PAPER if loss == EQUAL else INK,
            label=words,
        )
        for loss, words in (
            (EQUAL, "ce1: equal external weights"),
            (BY_AREA, "ce2: by area; at the right, ce2 − ce1"),
        )
    ]
    drawing.legend(handles=handles, loc="outside lower center", ncols=2)


def _caption(
    pairs: pd.DataFrame, shown: pd.DataFrame, means: pd.DataFrame, regions: Sequence[str]
) -> str:
    gains = []
    for region in regions:
        overlap = means[keys.OVERLAP].loc[region]
        gain = pairs[BY_AREA].map(overlap) - pairs[EQUAL].map(overlap)
        middle = f"{gain.median():+.3f}".replace("-", "−")
        gains.append(f"{region_title(region).lower()} {(gain > 0).sum()} ({middle})")
    undefined = (
        means.loc[
            means.index.get_level_values(keys.TRIAL).isin([*pairs[EQUAL], *pairs[BY_AREA]]),
            keys.DISTANCE_PX,
        ]
        .isna()
        .sum()
    )
    missed = (
        f" Where no distance is drawn ({undefined} times), the region was found on no frame."
        if undefined
        else ""
    )
    more = (
        f" The {len(shown)} of {len(pairs)} pairs with the highest overlap are drawn."
        if len(shown) < len(pairs)
        else ""
    )
    return (
        "Each line joins one network's two trials, equal external weights (ce1, open) and "
        "area-based ones (ce2, filled), in means over the test frames; every panel has a scale "
        "of its own. Pairs in which ce2 has the higher overlap, and the median of ce2 − ce1, "
        f"of {len(pairs)}: {', '.join(gains)}.{missed}{more}"
    )
