"""What a search and its grid reach in both objectives, and the trials that no other beats."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.figures.legend import add_legend
from analysis.figures.log_scale import spread_out
from analysis.figures.numbering import number_points
from analysis.figures.search_points import draw_points, network_handles, point_look
from analysis.figures.style import FAINT_INK, INK, network_colours, new_figure, style
from analysis.pareto import ReferencePoint, hypervolume, pareto_front
from analysis.search import DISTANCE, KNOWN, OVERLAP, TAU, Search, ratio_text
from tune_knee import keys

_TITLE: Final = "Pareto front"
_NAMED: Final = 12
_NEAR: Final = 0.3  # share of the trials, by either objective, that the close view holds
_MARGIN: Final = 0.1


def draw_pareto(search: Search) -> Figure | Absent:
    """Overlap against distance of all finished trials, and close to the front, which is named."""
    finished = search.finished
    measured = finished.dropna(subset=[OVERLAP.key, DISTANCE.key])
    if measured.empty:
        return Absent(title=_TITLE, reason="No finished trial has both an overlap and a distance.")
    front = pareto_front(finished)
    drawn = front.dropna(subset=[DISTANCE.key])
    named = drawn.head(_NAMED)
    with style():
        figure = new_figure(2.9 + 0.16 * len(named))
        whole, close = figure.subplots(1, 2)
        for axes in (whole, close):
            draw_points(axes, measured, DISTANCE.key, OVERLAP.key, search.networks)
            _draw_front(axes, pareto_front(measured[measured[KNOWN]]), color=FAINT_INK, dashes=True)
            _draw_front(axes, drawn, color=INK, dashes=False)
            axes.set_xlabel("distance, px (lower is better)")
        whole.set_title("All")
        whole.set_ylabel("validation overlap (higher is better)")
        spread_out(whole, "x", measured[DISTANCE.key])
        close.set_title("Near the front")
        _come_close(close, measured, drawn)
        _name_front(figure, named, search)
        _explain(figure, measured, search)
        number_points(close, list(zip(named[DISTANCE.key], named[OVERLAP.key], strict=True)))
    return Figure(
        name="pareto_front",
        title=_TITLE,
        caption=_caption(finished, measured, front),
        alt=f"Overlap against distance of {len(measured)} trials, {len(drawn)} of them on the "
        "Pareto front.",
        drawing=figure,
    )


def _draw_front(axes: Axes, front: pd.DataFrame, *, color: str, dashes: bool) -> None:
    axes.step(
        front[DISTANCE.key],
        front[OVERLAP.key],
        where="post",
        color=color,
        linewidth=0.9,
        linestyle="--" if dashes else "-",
        zorder=1.5,
    )


def _come_close(axes: Axes, measured: pd.DataFrame, front: pd.DataFrame) -> None:
    """Limits that hold the front and the better of what is beside it."""
    for key, share, limits in (
        (DISTANCE.key, _NEAR, axes.set_xlim),
        (OVERLAP.key, 1 - _NEAR, axes.set_ylim),
    ):
        ends = [*front[key], measured[key].quantile(share)]
        span = np.ptp(ends) or abs(ends[0]) * _MARGIN or 1.0
        limits(min(ends) - _MARGIN * span, max(ends) + _MARGIN * span)


def _name_front(figure: Drawing, named: pd.DataFrame, search: Search) -> None:
    colours = network_colours(search.networks)
    columns = [keys.NETWORK, *TAU, OVERLAP.key, DISTANCE.key, KNOWN]
    handles = [
        Line2D(
            [],
            [],
            label=f"{number + 1}  {network} {ratio_text(tau)}: {OVERLAP.text(overlap)}, "
            f"{DISTANCE.text(distance)}" + ", of the grid" * known,
            **point_look(colours[network], known=known),
        )
        for number, (network, *tau, overlap, distance, known) in enumerate(
            named[columns].itertuples(index=False)
        )
    ]
    figure.legend(handles=handles, loc="outside lower left", labelcolor=INK)


def _explain(figure: Drawing, measured: pd.DataFrame, search: Search) -> None:
    handles = network_handles(search.networks) if len(search.networks) > 1 else []
    if measured[KNOWN].any():
        handles += [
            Line2D([], [], label="trial of the search", **point_look(FAINT_INK, known=False)),
            Line2D([], [], label="trial of the grid", **point_look(FAINT_INK, known=True)),
            Line2D([], [], color=INK, linewidth=0.9, label="front"),
            Line2D([], [], color=FAINT_INK, linewidth=0.9, linestyle="--", label="grid's front"),
        ]
    add_legend(figure, handles, "outside upper left")


def _caption(finished: pd.DataFrame, measured: pd.DataFrame, front: pd.DataFrame) -> str:
    words = (
        "A point is a finished trial, on validation; up and left is better. On the front are "
        f"{len(front)} of {len(finished)}: no other is at least as good in both and better in one. "
        "τ is CE:Dice:boundary."
    )
    known = measured[measured[KNOWN]]
    if len(known):
        reference = ReferencePoint.worst_of(measured)
        whole, grid = hypervolume(measured, reference), hypervolume(known, reference)
        words += f" {int(front[KNOWN].sum())} of these are the grid's."
        if grid > 0:
            words += (
                f" With the search the dominated area is {whole / grid - 1:.1%} larger than the "
                f"grid's, from the worst of all values, {OVERLAP.text(reference.overlap)} and "
                f"{DISTANCE.text(reference.distance_px)}."
            )
    lost = len(finished) - len(measured)
    if lost:
        words += (
            f" {lost} trials never found a region, have no distance, which is worse than any, and "
            "are not drawn."
        )
    if len(front) > _NAMED:
        words += f" The {_NAMED} of the front with the least distance are named."
    return words
