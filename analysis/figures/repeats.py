"""Several seeds at each point: how much is noise."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from analysis.figures.figure import Figure, name_of
from analysis.figures.style import INK, network_colours, new_figure, style
from analysis.figures.trial_rows import row_height_in, set_rows
from analysis.repeats import POINT, Repeats
from analysis.search import TAU, ratio_text

_ROWS: Final = 60


def draw_repeats(found: Sequence[Repeats], networks: Sequence[str]) -> Figure:
    """Points of one network as rows, best on top: seeds as dots, mean ± SD as a bar.

    Args:
        found: one network's, by objective; one at least. Each panel has its own order.
        networks: all of the study, for the colours.
    """
    network = found[0].network
    rows = min(max(len(repeats.points) for repeats in found), _ROWS)
    with style():
        figure = new_figure(row_height_in(rows) * rows + 1.0)
        panels = figure.subplots(1, len(found), squeeze=False)[0]
        for axes, repeats in zip(panels, found, strict=True):
            _draw_points(axes, repeats, rows, network_colours(networks)[network])
    return Figure(
        name=name_of("repeats", network),
        title=f"Noise between seeds of {network}",
        caption=_caption(found),
        alt=f"Values of every seed at {len(found[0].points)} points of {network}, with mean and "
        "standard deviation.",
        drawing=figure,
    )


def _draw_points(axes: Axes, repeats: Repeats, rows: int, colour: str) -> None:
    shown = repeats.points.head(rows)
    trials = repeats.trials[repeats.trials[POINT] < rows]
    set_rows(axes, rows)
    names = [ratio_text(tau) for tau in shown[list(TAU)].itertuples(index=False)]
    axes.set_yticks(range(len(names)), names, fontsize=6 if rows > 20 else 7)
    low, high = shown["mean"] - shown["sd"], shown["mean"] + shown["sd"]
    axes.hlines(shown[POINT], low, high, color=colour, linewidth=5, alpha=0.35)
    axes.plot(shown["mean"], shown[POINT], "|", color=colour, markersize=9, markeredgewidth=2)
    axes.plot(trials[repeats.objective.key], trials[POINT], "o", color=INK, markersize=2.6)
    axes.set_title(repeats.objective.title.split(" (")[0])
    better = "higher" if repeats.objective.higher_is_better else "lower"
    axes.set_xlabel(f"{better} is better")


def _caption(found: Sequence[Repeats]) -> str:
    words = (
        "A row is a point, τ as CE:Dice:boundary, best mean on top; dots are its seeds, the tick "
        "their mean, the bar ± one standard deviation."
    )
    for repeats in found:
        objective, (low, high) = repeats.objective, repeats.icc_interval
        words += (
            f" {objective.aim.capitalize()}: standard deviation "
            f"{objective.text(repeats.seed_sd)} between seeds, "
            f"{objective.text(repeats.point_sd)} between points; {max(repeats.icc, 0):.0%} of the "
            f"variance is between points (95 % interval {max(low, 0):.0%} to {max(high, 0):.0%})."
        )
        if repeats.missing:
            words += f" {repeats.missing} trials without a value are left out."
    if max(len(repeats.points) for repeats in found) > _ROWS:
        words += f" The best {_ROWS} points are drawn."
    return words
