"""What each trial cost: device time and wall time."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.absent import Absent
from analysis.device_time import HOUR_S, device_seconds
from analysis.figures.figure import Figure
from analysis.figures.style import INK, loss_markers, network_colours, new_figure, style
from analysis.figures.trial_rows import row_height_in, set_rows
from analysis.load import GPUS, LABEL, STATUS
from tune_knee import keys
from tune_knee.config import LOSS_TERMS, NETWORKS

COST: Final = "cost"
_TITLE: Final = "Time and cost of the trials"
_ROWS: Final = 60
_MINUTE_S: Final = 60
_SHORT_S: Final = 600
_FAILED: Final[dict[str, Any]] = {"marker": "x", "markersize": 5, "markeredgewidth": 1.2}


def add_cost(trials: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Trials that took any time, with the column `COST`, and its unit.

    The cost is wall time by the GPUs that the trial held, or by its CPU cores if it held
    none; in hours, or in minutes where no trial took ten. Training and validation count.
    """
    spent = trials[trials[keys.WALL_TIME_S] > 0]
    on_gpu = spent[GPUS] > 0
    device = "GPU" if on_gpu.all() else "device" if on_gpu.any() else "CPU-core"
    devices_s = device_seconds(spent)
    short = not spent.empty and devices_s.max() < _SHORT_S
    unit_s, name = (_MINUTE_S, "minutes") if short else (HOUR_S, "hours")
    return spent.assign(**{COST: devices_s / unit_s}), f"{device}-{name}"


def draw_cost(trials: pd.DataFrame) -> Figure | Absent:
    """Cost of each trial, by network and loss; networks that cost most where not all fit.

    Args:
        trials: all of the study's.
    """
    spent, unit = add_cost(trials)
    if spent.empty:
        return Absent(title=_TITLE, reason="No trial has reported a validation yet.")
    groups = _groups(spent)
    with style():
        figure = new_figure(row_height_in(len(groups)) * len(groups) + 1.1)
        axes = figure.subplots()
        _draw_rows(axes, spent, groups, unit)
        _mark_trials(axes, spent, groups, network_colours(trials[keys.NETWORK]))
        axes.set_xlim(left=0)
        axes.set_xlabel(unit)
        share = spent[COST] / spent[keys.WALL_TIME_S]
        if np.allclose(share, share.iloc[0]):
            _add_wall_time(axes, float(share.iloc[0]), unit)
        if (spent[STATUS] == keys.STATUS_FAILED).any():
            handle = Line2D([], [], color=INK, linestyle="none", label="failed", **_FAILED)
            figure.legend(handles=[handle], loc="outside lower right")
    return Figure(
        name="cost",
        title=_TITLE,
        caption=_caption(spent, unit, sum(loss is None for _, loss in groups)),
        alt=f"Cost of {len(spent)} trials, by network and loss.",
        drawing=figure,
    )


def amount(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _groups(spent: pd.DataFrame) -> list[tuple[str, str | None]]:
    """Rows: a network (no loss) and below it its losses, in the order of the configuration."""
    totals = spent.groupby(keys.NETWORK, sort=False)[COST].sum().sort_values(ascending=False)
    blocks: dict[str, list[tuple[str, str | None]]] = {}
    for network in totals.index:
        losses = set(spent.loc[spent[keys.NETWORK] == network, keys.LOSS])
        ordered = sorted(losses, key=lambda loss: (*LOSS_TERMS, loss).index(loss))
        block = [(network, None), *((network, loss) for loss in ordered)]
        if blocks and sum(map(len, blocks.values())) + len(block) > _ROWS:
            break
        blocks[network] = block
    networks = sorted(blocks, key=lambda name: (*NETWORKS, name).index(name))
    return [row for network in networks for row in blocks[network]]


def _draw_rows(
    axes: Axes, spent: pd.DataFrame, groups: list[tuple[str, str | None]], unit: str
) -> None:
    totals = spent.groupby(keys.NETWORK)[COST].sum()
    names = [
        f"{network}, {amount(totals[network])} {unit}" if loss is None else loss
        for network, loss in groups
    ]
    set_rows(axes, len(groups))
    axes.set_yticks(range(len(groups)), names)
    for tick, (_, loss) in zip(axes.get_yticklabels(), groups, strict=True):
        tick.set_fontweight("bold" if loss is None else "normal")


def _mark_trials(
    axes: Axes,
    spent: pd.DataFrame,
    groups: list[tuple[str, str | None]],
    colours: dict[str, str],
) -> None:
    for row, (network, loss) in enumerate(groups):
        if loss is None:
            continue
        here = spent[(spent[keys.NETWORK] == network) & (spent[keys.LOSS] == loss)]
        failed = here[STATUS] == keys.STATUS_FAILED
        done, lost = here.loc[~failed, COST], here.loc[failed, COST]
        look: dict[str, Any] = {"markersize": 5, "markeredgewidth": 0, "alpha": 0.85}
        marker = loss_markers([loss])[loss]
        axes.plot(done, [row] * len(done), marker, color=colours[network], **look)
        axes.plot(lost, [row] * len(lost), color=INK, linestyle="none", **_FAILED)


def _add_wall_time(axes: Axes, share: float, unit: str) -> None:
    """A second scale above; all trials held as much of a device, so wall time goes along."""
    name = unit.rpartition("-")[2]
    unit_s = _MINUTE_S if name == "minutes" else HOUR_S
    above = axes.twiny()
    above.set_xlim(0, axes.get_xlim()[1] / share / unit_s)
    above.grid(visible=False)
    above.spines["left"].set_visible(False)
    above.set_xlabel(f"wall time ({name})")


def _caption(spent: pd.DataFrame, unit: str, networks: int) -> str:
    most = spent.iloc[int(spent[COST].argmax())]
    least = spent.iloc[int(spent[COST].argmin())]
    wall_h = spent[keys.WALL_TIME_S].sum() / HOUR_S
    words = (
        "A point is a trial; its cost is the wall time of training and validation by the "
        f"{unit.rpartition('-')[0]} share it held. All {len(spent)} trials together: "
        f"{amount(spent[COST].sum())} {unit}, {amount(wall_h)} hours one after another. Dearest: "
        f"{most[LABEL]}, {amount(most[COST])}; cheapest: {least[LABEL]}, {amount(least[COST])}."
    )
    failed = spent.loc[spent[STATUS] == keys.STATUS_FAILED, COST]
    if len(failed):
        words += f" {amount(failed.sum())} went into {len(failed)} that failed."
    total = spent[keys.NETWORK].nunique()
    return words + (f" The {networks} dearest of {total} networks are drawn." * (networks < total))
