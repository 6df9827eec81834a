"""Which parameters decide about each objective."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from analysis.figures.figure import Figure
from analysis.figures.style import INK, new_figure, style
from analysis.importance import PARAMETER, Importance
from analysis.search import OTHERS, TAU
from tune_knee import keys

_BAR: Final = "#0059b9"
_NAMES: Final = {
    keys.TAU_CE: "τ of CE",
    keys.TAU_DICE: "τ of Dice",
    keys.TAU_BOUNDARY: "τ of boundary",
    keys.NETWORK: "network",
    **OTHERS,
}


def draw_importance(found: Sequence[Importance]) -> Figure:
    """Bars of importance, a panel per objective; rows in the order of the first.

    Args:
        found: by objective, of one search; one at least.
    """
    parameters = list(found[0].table[PARAMETER])
    with style():
        figure = new_figure(0.24 * len(parameters) + 1.0)
        panels = figure.subplots(1, len(found), squeeze=False)[0]
        for number, (axes, importance) in enumerate(zip(panels, found, strict=True)):
            _draw_bars(axes, importance, parameters)
            names = [_NAMES[name] for name in parameters] if number == 0 else []
            axes.set_yticks(range(len(names)), names)
    return Figure(
        name="importance",
        title="What decides about the objectives",
        caption=_caption(found),
        alt="Bars of the importance of each parameter for each objective.",
        drawing=figure,
    )


def _draw_bars(axes: Axes, importance: Importance, parameters: Sequence[str]) -> None:
    table = importance.table.set_index(PARAMETER).loc[list(parameters)]
    rows = range(len(parameters))
    axes.barh(rows, table["importance"], height=0.62, color=_BAR, alpha=0.85)
    axes.hlines(rows, table["importance_low"], table["importance_high"], color=INK, linewidth=1.2)
    axes.set_ylim(len(parameters) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_title(importance.objective.title.split(" (")[0])
    axes.set_xlabel("share of the main effects")


def _caption(found: Sequence[Importance]) -> str:
    words = (
        f"Functional ANOVA (Hutter et al. 2014, by Optuna) over {found[0].trials} finished "
        "trials: how much of what the parameters do one by one each does. Mean and range of "
        "ten forests, each without another fifth of the trials."
    )
    if any(name in TAU for name in found[0].table[PARAMETER]):
        words += " The parts of τ sum to one, so that they share their importance."
    for importance in found:
        first = importance.table.iloc[0]
        words += (
            f" Most for {importance.objective.aim}: {_NAMES[first[PARAMETER]]}, "
            f"{first['importance']:.0%} ({first['importance_low']:.0%} to "
            f"{first['importance_high']:.0%})."
        )
    return words
