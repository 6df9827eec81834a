"""When each stopping criterion opened in each trial, and where and why it stopped."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.figures.style import FAINT_INK, INK, PAPER, new_figure, region_title, style
from analysis.figures.trial_rows import SHOWN, name_rows, row_height_in, trial_colours
from analysis.load import LABEL, STATUS, opened_column
from tune_knee import keys
from tune_knee.config import Budget

_TITLE: Final = "Where and why trials stopped"
_SERIES: Final = (keys.OPENS_TRAIN_LOSS, keys.OPENS_VAL_IOU, keys.OPENS_HARDEST_IOU)
_STAGES: Final = ((0.2, 0.3), (0.4, 0.5), (0.6, 0.7), (0.8, 1.0))  # height, opacity
_ENDS: Final[dict[str, dict[str, Any]]] = {
    "plateau": {"marker": "D", "markersize": 4, "markerfacecolor": INK},
    "maximum of steps": {"marker": "|", "markersize": 7, "markeredgewidth": 1.6},
    "stopped otherwise": {"marker": "s", "markersize": 4, "markerfacecolor": PAPER},
    "failed": {"marker": "x", "markersize": 5, "markeredgewidth": 1.5},
    "still running": {"marker": ">", "markersize": 4.5, "markerfacecolor": PAPER},
}

_ENDINGS: Final = {
    "plateau": "reached the plateau",
    "maximum of steps": "went to the maximum",
    "stopped otherwise": "were stopped otherwise",
    "failed": "failed",
    "still running": "are still running",
}


def draw_stopping(trials: pd.DataFrame, budget: Budget, hardest_region: str) -> Figure | Absent:
    """A line per trial over the steps, thicker with every criterion open, and its end.

    Args:
        trials: all of the study's, in the order they are drawn.
        budget: of the study.
        hardest_region: that of the third stopping criterion.
    """
    started = trials[trials[keys.STEP].notna()]
    if started.empty:
        return Absent(title=_TITLE, reason="No trial has reported a validation yet.")
    rows = started
    if len(started) > SHOWN:
        best = started[keys.BEST_IOU].nlargest(SHOWN).index
        rows = started[started.index.isin(best)]
    shown = [str(trial) for trial in rows[keys.TRIAL]]
    ends = rows.apply(_end, axis=1, max_steps=budget.max_steps)
    with style():
        figure = new_figure(row_height_in(len(shown)) * len(shown) + 1.0)
        axes = figure.subplots()
        name_rows(axes, shown, dict(zip(trials[keys.TRIAL], trials[LABEL], strict=True)), trials)
        _draw_stages(axes, rows, trial_colours(trials))
        for end in ends.unique():
            at = np.flatnonzero(ends == end)
            steps = rows[keys.STEP].to_numpy()[at]
            axes.plot(steps, at, color=INK, linestyle="none", clip_on=False, **_ENDS[end])
        axes.set_xlim(0, budget.max_steps * 1.01)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel("step")
        _explain(figure, budget, hardest_region, set(ends))
    return Figure(
        name="stopping",
        title=_TITLE,
        caption=_caption(started, budget),
        alt=f"Steps of {len(shown)} trials until they stopped, by open criteria.",
        drawing=figure,
    )


def _end(trial: pd.Series, max_steps: int) -> str:
    if trial[STATUS] == keys.STATUS_FAILED:
        return "failed"
    if trial[STATUS] == keys.STATUS_RUNNING:
        return "still running"
    if not np.isnan(trial[opened_column(keys.OPENS_PLATEAU)]):
        return "plateau"
    return "maximum of steps" if trial[keys.STEP] >= max_steps else "stopped otherwise"


def _draw_stages(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    last = rows[keys.STEP].to_numpy(dtype=np.float64)
    starts = [np.zeros(len(rows))]
    starts += [rows[opened_column(name)].fillna(rows[keys.STEP]).to_numpy() for name in _SERIES]
    for (height, opacity), start, end in zip(_STAGES, starts, [*starts[1:], last], strict=True):
        axes.barh(
            np.arange(len(rows)),
            end - start,
            left=start,
            height=height,
            color=[to_rgba(colours[trial], opacity) for trial in rows[keys.TRIAL]],
            linewidth=0,
        )


def _explain(figure: Drawing, budget: Budget, hardest: str, ends: set[str]) -> None:
    stopping = budget.stopping
    words = (
        "no criterion open",
        f"training loss below {stopping.train_loss_below:g}",
        f"and mean IoU above {stopping.val_iou_above:g}",
        f"and {region_title(hardest).lower()} IoU above {stopping.hardest_iou_above:g}",
    )
    stages = [
        Patch(facecolor=to_rgba(FAINT_INK, opacity), label=text)
        for (_, opacity), text in zip(_STAGES, words, strict=True)
    ]
    marks = [
        Line2D([], [], color=INK, linestyle="none", label=end, **look)
        for end, look in _ENDS.items()
        if end in ends
    ]
    figure.legend(handles=[*stages, *marks], loc="outside lower center", ncols=4)


def _caption(started: pd.DataFrame, budget: Budget) -> str:
    counts = started.apply(_end, axis=1, max_steps=budget.max_steps).value_counts()
    steps = started[keys.STEP]
    words = (
        "A trial trains until all criteria are open in series and the validation IoU stays on a "
        f"plateau, or to {budget.max_steps:,} steps. The line is thicker and stronger with each "
        "criterion that has opened; where it ends, the mark says why. "
        f"{_series(counts)}. Half of the trials took {steps.median():,.0f} steps or fewer, all "
        f"together {steps.sum() / (budget.max_steps * len(started)):.0%} of the most they could."
    )
    if len(started) > SHOWN:
        words += f" The {SHOWN} trials that validated best of {len(started)} are drawn."
    return words


def _series(counts: pd.Series) -> str:
    return ", ".join(f"{count} {_ENDINGS[str(end)]}" for end, count in counts.items())
