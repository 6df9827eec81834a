"""What overlap the cost of a trial bought."""

from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from analysis.absent import Absent
from analysis.figures.cost import COST, add_cost, amount
from analysis.figures.figure import Figure
from analysis.figures.log_scale import spread_out
from analysis.figures.style import (
    FAINT_INK,
    INK,
    PAPER,
    loss_markers,
    network_colours,
    new_figure,
    style,
)
from analysis.figures.trial_rows import trial_colours, trial_markers
from analysis.load import LABEL
from analysis.pareto import non_dominated
from tune_knee import keys

_TITLE: Final = "Overlap against cost"
_NAMED: Final = 12
_CROWDED: Final = 200


def draw_cost_benefit(trials: pd.DataFrame, tests: pd.DataFrame) -> Figure | Absent:
    """Mean test overlap of each trial against its cost; the Pareto front numbered and named.

    Args:
        trials: all of the study's.
        tests: a row per tested trial and region with ``overlap``.
    """
    spent, unit = add_cost(trials)
    overlap = tests.groupby(keys.TRIAL, sort=False)[keys.OVERLAP].mean()
    tested = spent.merge(overlap, left_on=keys.TRIAL, right_index=True)
    if tested.empty:
        return Absent(title=_TITLE, reason="No tested trial has reported its time.")
    front = tested.iloc[non_dominated(tested[COST].to_numpy(), tested[keys.OVERLAP].to_numpy())]
    named = front.tail(_NAMED)
    with style():
        figure = new_figure(3.4 + 0.17 * len(named))
        axes = figure.subplots()
        _draw_trials(axes, tested, trials)
        axes.step(front[COST], front[keys.OVERLAP], where="post", color=FAINT_INK, linewidth=0.9)
        for number, (cost, value) in enumerate(zip(named[COST], named[keys.OVERLAP], strict=True)):
            _number(axes, cost, value, number + 1)
        spread_out(axes, "x", tested[COST])
        axes.set_xlabel(f"{unit} (fewer are cheaper)")
        axes.set_ylabel("test overlap, mean of regions")
        _name_front(figure, named, unit, trials)
        _explain(figure, tested, trials)
    return Figure(
        name="cost_benefit",
        title=_TITLE,
        caption=_caption(tested, front, unit),
        alt=f"Test overlap of {len(tested)} trials against their cost, {len(front)} on the front.",
        drawing=figure,
    )


def _draw_trials(axes: Axes, tested: pd.DataFrame, trials: pd.DataFrame) -> None:
    colours, markers = trial_colours(trials), trial_markers(trials)
    size = 5 if len(tested) <= _CROWDED else 3
    for trial, cost, value in tested[[keys.TRIAL, COST, keys.OVERLAP]].itertuples(index=False):
        axes.plot(
            cost,
            value,
            marker=markers[trial],
            color=colours[trial],
            markersize=size,
            markeredgewidth=0,
            alpha=0.85,
        )


def _number(axes: Axes, cost: float, value: float, number: int) -> None:
    axes.annotate(
        str(number),
        (cost, value),
        xytext=(-3, 4),
        textcoords="offset points",
        ha="right",
        size=7,
        fontweight="bold",
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
    )


def _name_front(figure: Drawing, named: pd.DataFrame, unit: str, trials: pd.DataFrame) -> None:
    colours, markers = trial_colours(trials), trial_markers(trials)
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=markers[trial],
            color=colours[trial],
            markeredgewidth=0,
            markersize=5,
            label=f"{number + 1}  {label}: {value:.3f} for {amount(cost)} {unit}",
        )
        for number, (trial, label, cost, value) in enumerate(
            named[[keys.TRIAL, LABEL, COST, keys.OVERLAP]].itertuples(index=False)
        )
    ]
    figure.legend(handles=handles, loc="outside lower left", labelcolor=INK)


def _explain(figure: Drawing, tested: pd.DataFrame, trials: pd.DataFrame) -> None:
    look: dict[str, Any] = {"linestyle": "none", "markeredgewidth": 0}
    present = tested[keys.NETWORK].value_counts().head(_NAMED).index
    handles = [
        Line2D([], [], color=colour, marker=".", markersize=9, label=network, **look)
        for network, colour in network_colours(trials[keys.NETWORK]).items()
        if network in present
    ]
    handles += [
        Line2D([], [], color=FAINT_INK, marker=marker, markersize=5, label=loss, **look)
        for loss, marker in loss_markers(trials[keys.LOSS]).items()
        if loss in set(tested[keys.LOSS])
    ]
    figure.legend(handles=handles, loc="outside right upper", fontsize=6)


def _caption(tested: pd.DataFrame, front: pd.DataFrame, unit: str) -> str:
    cheap, best = front.iloc[0], front.iloc[-1]
    words = (
        "A point is a tested trial, up is better and left is cheaper; the line and the numbers "
        "are those that no other beats in both. "
        f"{len(front)} of {len(tested)} are on that front. The best, {best[LABEL]}, has "
        f"{best[keys.OVERLAP]:.3f} for {amount(best[COST])} {unit}"
    )
    if len(front) == 1:
        words += ", and none is cheaper."
    else:
        words += (
            f"; the cheapest, {cheap[LABEL]}, {cheap[keys.OVERLAP]:.3f} for {amount(cheap[COST])}: "
            f"{best[COST] / cheap[COST]:.2g} times the cost for "
            f"{best[keys.OVERLAP] - cheap[keys.OVERLAP]:.3f} more overlap."
        )
    if len(front) > _NAMED:
        words += f" The best {_NAMED} of the front are named."
    return words
