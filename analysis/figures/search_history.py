"""How a search went: every trial in order, the best so far, and the area dominated so far."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.figures.legend import add_legend
from analysis.figures.log_scale import spread_out
from analysis.figures.search_points import draw_points, network_handles, point_look
from analysis.figures.style import FAINT_INK, GRID, INK, new_figure, style
from analysis.pareto import ReferencePoint, hypervolume, pareto_front
from analysis.search import DISTANCE, KNOWN, OVERLAP, Objective, Search
from tune_knee import keys

_TITLE: Final = "How the search went"
_NUMBER: Final = "number"
_PRUNED: Final[dict[str, Any]] = {
    "linestyle": "none",
    "marker": "x",
    "color": FAINT_INK,
    "markersize": 4.5,
    "markeredgewidth": 1.0,
}


def draw_search_history(search: Search) -> Figure | Absent:
    """Objectives of each trial in the order they started, and what was reached up to each.

    Known trials of the grid come first, on shaded ground, at numbers below 1.
    """
    own = search.finished[~search.finished[KNOWN]]
    if own.empty:
        return Absent(title=_TITLE, reason="No trial of the search is finished yet.")
    finished, pruned = _numbered(search)
    area = _areas(finished) if len(search.objectives) > 1 else None
    panels = len(search.objectives) + (area is not None)
    with style():
        figure = new_figure(1.7 * panels + 0.5)
        rows = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        for axes, objective in zip(rows, search.objectives, strict=False):
            _draw_objective(axes, objective, finished, pruned, search)
        if area is not None:
            rows[-1].step(finished[_NUMBER], area, where="post", color=INK, linewidth=1.1)
            rows[-1].set_ylabel("hypervolume")
            rows[-1].set_title("Area dominated so far (higher is better)")
        first = finished[_NUMBER].min()
        for axes in rows:
            if first < 1:
                axes.axvspan(first - 0.5, 0.5, color=GRID, alpha=0.45, linewidth=0, zorder=0)
            axes.set_xlim(first - 0.9, max(len(search.trials), 1) + 0.9)
        rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        rows[-1].xaxis.set_major_formatter(lambda number, _: f"{number:g}" if number > 0 else "")
        rows[-1].set_xlabel("trial of the search, as started")
        _explain(figure, search, shaded=first < 1, pruned=len(pruned) > 0)
    return Figure(
        name="search_history",
        title=_TITLE,
        caption=_caption(search, finished, area),
        alt=f"Objectives of {len(own)} trials of the search in order, with the best so far.",
        drawing=figure,
    )


def _numbered(search: Search) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Finished and pruned trials with their place: the search's from 1, the grid's up to 0."""
    places = {trial: place for place, trial in enumerate(search.trials[keys.TRIAL], start=1)}
    finished = search.finished
    known = int(finished[KNOWN].sum())
    numbers = [*range(1 - known, 1), *(places[trial] for trial in finished[keys.TRIAL][known:])]
    pruned = search.pruned
    return (
        finished.assign(**{_NUMBER: numbers}),
        pruned.assign(**{_NUMBER: pruned[keys.TRIAL].map(places)}),
    )


def _areas(finished: pd.DataFrame) -> Sequence[float] | None:
    """Hypervolume of the trials up to each, from the worst of all; None without distances."""
    if finished[DISTANCE.key].isna().all():
        return None
    reference = ReferencePoint.worst_of(finished)
    front, areas = finished.head(0), []
    for place in range(len(finished)):
        front = pareto_front(pd.concat([front, finished.iloc[[place]]]))
        areas.append(hypervolume(front, reference))
    return areas


def _draw_objective(
    axes: Axes,
    objective: Objective,
    finished: pd.DataFrame,
    pruned: pd.DataFrame,
    search: Search,
) -> None:
    values = finished[objective.key]
    draw_points(axes, finished, _NUMBER, objective.key, search.networks)
    axes.plot(pruned[_NUMBER], pruned[objective.key], zorder=1.8, **_PRUNED)
    best = values.cummax() if objective.higher_is_better else values.cummin()
    axes.step(finished[_NUMBER], best.ffill(), where="post", color=INK, linewidth=1.1, zorder=2.5)
    missing = finished.loc[values.isna(), _NUMBER]
    if len(missing):
        axes.plot(
            missing,
            np.full(len(missing), 0.96),
            linestyle="none",
            marker="^",
            markersize=4,
            color=FAINT_INK,
            transform=axes.get_xaxis_transform(),
        )
    spread_out(axes, "y", values)
    axes.set_title(objective.title)
    axes.set_ylabel(objective.unit.strip() or "overlap")


def _explain(figure: Drawing, search: Search, *, shaded: bool, pruned: bool) -> None:
    handles = network_handles(search.networks)
    if shaded:
        handles.append(
            Line2D([], [], label="trial of the grid", **point_look(FAINT_INK, known=True))
        )
    if pruned:
        handles.append(Line2D([], [], label="pruned", **_PRUNED))
    handles.append(Line2D([], [], color=INK, linewidth=1.1, label="best so far"))
    add_legend(figure, handles, "outside lower center")


def _caption(search: Search, finished: pd.DataFrame, area: Sequence[float] | None) -> str:
    known = int(finished[KNOWN].sum())
    own = finished[~finished[KNOWN]]
    words = f"{len(own)} of {len(search.trials)} trials of the search are finished, "
    words += f"{len(search.pruned)} were pruned. The line is the best so far of all networks."
    if known:
        words += f" Shaded: the {known} trials of the grid that the search was given."
    for objective in search.objectives:
        ordered = objective.sign * finished[objective.key]
        if ordered.isna().all():
            continue
        best = finished.iloc[int(np.nanargmax(ordered))]
        place = "in the grid" if best[KNOWN] else f"at trial {best[_NUMBER]}"
        words += f" Best {objective.aim}: {objective.text(best[objective.key])}, {place}."
    if area is not None:
        reference = ReferencePoint.worst_of(finished)
        words += (
            " The area that the front dominates counts from the worst of all values, "
            f"{OVERLAP.text(reference.overlap)} and {DISTANCE.text(reference.distance_px)}, in "
            "overlap times px."
        )
    missing = int(finished[DISTANCE.key].isna().sum())
    if missing and DISTANCE in search.objectives:
        words += f" Triangles at the top: {missing} trials that never found a region."
    return words
