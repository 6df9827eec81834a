"""What trials did while they trained: a row of panels for each network."""

from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from analysis.absent import Absent
from analysis.figures.figure import Figure
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
from analysis.figures.trial_rows import SHOWN
from analysis.load import STATUS, opened_column
from tune_knee import keys
from tune_knee.config import LOSS_TERMS, NETWORKS, Budget

_TITLE: Final = "Learning curves"
_NETWORKS: Final = 8  # rows of panels that fit a page
_POINTS: Final = 100
_ROW_IN: Final = 1.3
_DASHES: Final = ((0, (1, 1)), "-", (0, (4, 1.2)), (0, (5, 1, 1, 1)), (0, (7, 1, 1, 1, 1, 1)))
_BEST: Final[dict[str, Any]] = {"markersize": 5, "markeredgecolor": PAPER, "markeredgewidth": 0.5}
_OPENED: Final[dict[str, Any]] = {"marker": "|", "markersize": 8, "markeredgewidth": 1.3}
_PLATEAU: Final[dict[str, Any]] = {"marker": "d", "markersize": 6, "markerfacecolor": PAPER}
_FAILED: Final[dict[str, Any]] = {"marker": "x", "markersize": 6, "markeredgewidth": 1.3}


@dataclass(frozen=True, kw_only=True)
class _Quantity:
    """A column of panels: what is drawn, and the criterion that watches it."""

    column: str
    title: str
    criterion: str
    bound: float


def draw_learning_curves(
    histories: pd.DataFrame, trials: pd.DataFrame, budget: Budget, hardest_region: str
) -> Figure | Absent:
    """Validation IoU, that of the hardest region, and training loss over the steps.

    Args:
        histories: a row per trial and validation, from `artifacts.load_histories`.
        trials: all of the study's, with the steps at which the criteria opened.
        budget: of the study.
        hardest_region: that of the third stopping criterion.
    """
    if histories.empty:
        return Absent(title=_TITLE, reason="No trial has kept a history of its training yet.")
    ended = trials[trials[keys.TRIAL].isin(histories[keys.TRIAL].unique())]
    drawn = _drawn(ended)
    networks = sorted(
        set(drawn[keys.NETWORK]), key=lambda name: ((*NETWORKS, name).index(name), name)
    )
    quantities = _quantities(histories, budget, hardest_region)
    rows_of = histories.groupby(keys.TRIAL).indices
    colours = network_colours(trials[keys.NETWORK])
    with style():
        figure = new_figure(_ROW_IN * len(networks) + 0.9)
        panels = figure.subplots(
            len(networks), len(quantities), sharex=True, sharey="col", squeeze=False
        )
        for network, row in zip(networks, panels, strict=True):
            for trial in drawn[drawn[keys.NETWORK] == network].to_dict("records"):
                curve = thin_history(histories.iloc[rows_of[trial[keys.TRIAL]]], _POINTS)
                for axes, quantity in zip(row, quantities, strict=True):
                    _draw_trial(axes, trial, curve, quantity, colours[network])
            row[0].set_ylabel(network.replace(":", ":\n"), fontsize=7, fontweight="bold")
        _label(panels, quantities, histories, budget)
        _explain(figure, drawn)
    return Figure(
        name="learning_curves",
        title=_TITLE,
        caption=_caption(histories, ended, drawn, budget),
        alt=f"Validation IoU and training loss of {len(ended)} trials over their steps.",
        drawing=figure,
    )


def thin_history(history: pd.DataFrame, points: int) -> pd.DataFrame:
    """At most that many rows: medians of runs of validations of one length, in order.

    Runs are counted from the end, so that the last point stands for as many as the others.
    """
    run = -(-len(history) // points)
    if run == 1:
        return history
    number = np.arange(len(history))[::-1] // run
    numbers = history.select_dtypes("number")
    return numbers.groupby(number).median().iloc[::-1].reset_index(drop=True)


def _drawn(ended: pd.DataFrame) -> pd.DataFrame:
    """Trials in their order; where they are too many, those that validated best."""
    best = ended[keys.BEST_IOU].fillna(0)
    of_network = best.groupby(ended[keys.NETWORK], sort=False).max().nlargest(_NETWORKS)
    kept = best[ended[keys.NETWORK].isin(of_network.index)].nlargest(SHOWN)
    return ended[ended.index.isin(kept.index)]


def _quantities(histories: pd.DataFrame, budget: Budget, hardest: str) -> list[_Quantity]:
    stopping = budget.stopping
    mean = _Quantity(
        column=keys.VAL_IOU,
        title="Validation IoU, mean",
        criterion=keys.OPENS_VAL_IOU,
        bound=stopping.val_iou_above,
    )
    of_hardest = _Quantity(
        column=keys.validation(hardest, "iou"),
        title=f"Validation IoU, {region_title(hardest).lower()}",
        criterion=keys.OPENS_HARDEST_IOU,
        bound=stopping.hardest_iou_above,
    )
    loss = _Quantity(
        column=keys.TRAIN_LOSS,
        title="Training loss",
        criterion=keys.OPENS_TRAIN_LOSS,
        bound=stopping.train_loss_below,
    )
    # With one region it is the mean.
    alike = histories[of_hardest.column].equals(histories[keys.VAL_IOU])
    return [mean, loss] if alike else [mean, of_hardest, loss]


def _draw_trial(
    axes: Axes, trial: dict[str, Any], curve: pd.DataFrame, quantity: _Quantity, colour: str
) -> None:
    steps, values = curve[keys.STEP].to_numpy(), curve[quantity.column].to_numpy()
    axes.plot(steps, values, color=colour, linestyle=_dashes(trial[keys.LOSS]), linewidth=0.8)

    def mark(step: float, **look: Any) -> None:
        if not np.isnan(step):
            axes.plot(step, np.interp(step, steps, values), linestyle="none", zorder=3, **look)

    if quantity.column == keys.VAL_IOU:
        marker = loss_markers([trial[keys.LOSS]])[trial[keys.LOSS]]
        mark(trial[keys.BEST_STEP], color=colour, marker=marker, **_BEST)
        mark(trial[opened_column(keys.OPENS_PLATEAU)], color=INK, **_PLATEAU)
    mark(trial[opened_column(quantity.criterion)], color=INK, **_OPENED)
    if trial[STATUS] == keys.STATUS_FAILED:
        mark(float(steps[-1]), color=INK, **_FAILED)


def _dashes(loss: str) -> Any:
    """A dash pattern by loss: fixed for the five of `LOSS_TERMS`, solid for others."""
    return dict(zip(LOSS_TERMS, cycle(_DASHES), strict=False)).get(loss, "-")


def _label(
    panels: NDArray[np.object_],
    quantities: list[_Quantity],
    histories: pd.DataFrame,
    budget: Budget,
) -> None:
    for column, quantity in enumerate(quantities):
        panels[0, column].set_title(quantity.title, fontsize=8)
        panels[-1, column].set_xlabel("step")
        for axes in panels[:, column]:
            axes.axhline(quantity.bound, color=INK, linewidth=0.7, linestyle=(0, (6, 3)))
            if quantity.column != keys.TRAIN_LOSS:
                axes.set_ylim(0, 1)
            elif (histories[quantity.column].dropna() > 0).all():
                axes.set_yscale("log")
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.yaxis.set_minor_locator(NullLocator())
                axes.yaxis.set_major_formatter("{x:g}")
    axes = panels[-1, 0]
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(0, budget.max_steps * 1.02)


def _explain(figure: Drawing, drawn: pd.DataFrame) -> None:
    losses = sorted(set(drawn[keys.LOSS]), key=lambda loss: (*LOSS_TERMS, loss).index(loss))
    markers = loss_markers(losses)
    handles = [
        Line2D(
            [0, 1],
            [0, 0],
            color=FAINT_INK,
            linestyle=_dashes(loss),
            linewidth=0.9,
            marker=marker,
            markersize=4,
            markeredgewidth=0,
            markevery=[1],
            label=loss,
        )
        for loss, marker in markers.items()
    ]
    none: dict[str, Any] = {"color": INK, "linestyle": "none"}
    handles.append(Line2D([], [], **none, **_OPENED, label="criterion opened"))
    handles.append(Line2D([], [], **none, **_PLATEAU, label="plateau"))
    if (drawn[STATUS] == keys.STATUS_FAILED).any():
        handles.append(Line2D([], [], **none, **_FAILED, label="failed"))
    handles.append(
        Line2D([], [], color=INK, linewidth=0.7, linestyle=(0, (6, 3)), label="its bound")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=5, handlelength=3.2)


def _caption(
    histories: pd.DataFrame, ended: pd.DataFrame, drawn: pd.DataFrame, budget: Budget
) -> str:
    longest = int(histories[keys.TRIAL].value_counts().max())
    run = -(-longest // _POINTS)
    opened = {
        criterion: int(ended[opened_column(criterion)].notna().sum()) for criterion in keys.CRITERIA
    }
    validated = ended[ended[keys.BEST_IOU].notna()]
    words = (
        f"{len(ended)} trials of budget {budget.name}; a row is a network, the line's pattern the "
        "loss, its symbol the validation whose checkpoint was tested. A dashed line is the bound "
        "of the stopping criterion on this quantity, a tick the step at which it opened. "
        f"The training loss came below {budget.stopping.train_loss_below:g} in "
        f"{opened[keys.OPENS_TRAIN_LOSS]} trials, then the mean IoU above "
        f"{budget.stopping.val_iou_above:g} in {opened[keys.OPENS_VAL_IOU]}, then the hardest "
        f"region's above {budget.stopping.hardest_iou_above:g} in "
        f"{opened[keys.OPENS_HARDEST_IOU]}, and {opened[keys.OPENS_PLATEAU]} reached the plateau."
    )
    if len(validated):
        best = validated.iloc[int(validated[keys.BEST_IOU].argmax())]
        words += f" The best mean IoU is {best[keys.BEST_IOU]:.3f}, of {best['label']}."
    if run > 1:
        words += f" Points are medians of up to {run} validations in a row."
    if len(drawn) < len(ended):
        words += (
            f" The {len(drawn)} trials that validated best are drawn, of the "
            f"{drawn[keys.NETWORK].nunique()} best networks."
        )
    return words
