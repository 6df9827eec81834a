"""Maps of the response over the triangle of mixing ratios."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.figures.figure import Figure, name_of
from analysis.figures.legend import add_legend
from analysis.figures.style import INK, PAPER, new_figure, style
from analysis.figures.ternary_axes import draw_triangle, to_plane, triangulate
from analysis.recommendation import Recommendation
from analysis.response import Response
from analysis.search import KNOWN, TAU, ratio_text
from analysis.tau_lattice import TauLattice

_BRIGHT_IS_MORE: Final = "viridis"
_DARK_IS_MORE: Final = "cividis_r"
_RECOMMENDED: Final = "#d55e00"
_LEVELS: Final = 12
_OWN: Final[dict[str, Any]] = {
    "marker": "o",
    "color": INK,
    "markeredgecolor": PAPER,
    "markersize": 4,
    "markeredgewidth": 0.6,
}
_GRID: Final[dict[str, Any]] = {
    "marker": "o",
    "color": "none",
    "markeredgecolor": INK,
    "markersize": 5.5,
    "markeredgewidth": 1.1,
    "path_effects": [withStroke(linewidth=2.4, foreground=PAPER)],  # seen on any colour
}
_BEST: Final[dict[str, Any]] = {
    "marker": "*",
    "color": _RECOMMENDED,
    "markeredgecolor": PAPER,
    "markersize": 13,
    "markeredgewidth": 0.8,
}


def draw_response(maps: Sequence[tuple[Response, Recommendation]]) -> Figure:
    """Maps of one network, a row per objective: the response, and how uncertain it is.

    Args:
        maps: one network's responses with what they recommend; one at least.
    """
    network = maps[0][0].network
    with style():
        figure = new_figure(2.95 * len(maps) + 0.15)
        panels = figure.subplots(len(maps), 2, squeeze=False)
        for (response, recommended), (left, right) in zip(maps, panels, strict=True):
            _draw_map(figure, left, response, recommended)
            _draw_spread(figure, right, response)
        _explain(figure, maps[0][0])
    return Figure(
        name=name_of("response", network),
        title=f"Response of {network} to the mixing ratio",
        caption=_caption(maps),
        alt=f"Triangular maps of what {network} reaches at every mixture of the three losses.",
        drawing=figure,
    )


def _draw_map(figure: Drawing, axes: Axes, response: Response, recommended: Recommendation) -> None:
    objective = response.objective
    name = _BRIGHT_IS_MORE if objective.higher_is_better else f"{_BRIGHT_IS_MORE}_r"
    _fill(figure, axes, response.lattice, response.values, name)
    if not response.lattice.is_line:
        axes.tricontour(
            triangulate(response.lattice),
            recommended.density,
            levels=[recommended.threshold],
            colors=[_RECOMMENDED],
            linewidths=1.4,
            zorder=4,
        )
    _mark_points(axes, response)
    axes.plot(*to_plane(np.array(recommended.tau)), linestyle="none", zorder=7, **_BEST)
    axes.set_title(objective.title)


def _draw_spread(figure: Drawing, axes: Axes, response: Response) -> None:
    _fill(figure, axes, response.lattice, response.spread, _DARK_IS_MORE)
    _mark_points(axes, response)
    unit = response.objective.unit.strip()
    axes.set_title(f"Its uncertainty, ± {unit or 'overlap'}")


def _fill(
    figure: Drawing,
    axes: Axes,
    lattice: TauLattice,
    values: NDArray[np.float64],
    name: str,
) -> None:
    draw_triangle(axes)
    levels = MaxNLocator(_LEVELS).tick_values(values.min(), values.max())
    scale = ScalarMappable(Normalize(levels[0], levels[-1]), name)
    if lattice.is_line:
        places = to_plane(lattice.tau)
        x, y = places.T
        axes.scatter(x, y, c=scale.to_rgba(values), s=60, linewidths=0, zorder=1)
    else:
        scale = axes.tricontourf(triangulate(lattice), values, levels=levels, cmap=name, zorder=1)
        scale.set(edgecolor="face", linewidth=0.4)  # else the page shows between the bands
    bar = figure.colorbar(scale, ax=axes, shrink=0.7, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=6.5)
    bar.ax.grid(visible=False)


def _mark_points(axes: Axes, response: Response) -> None:
    points = response.points
    for known, look, order in ((False, _OWN, 5), (True, _GRID, 6)):
        places = to_plane(points.loc[points[KNOWN] == known, list(TAU)].to_numpy())
        axes.plot(places[:, 0], places[:, 1], linestyle="none", zorder=order, **look)


def _explain(figure: Drawing, response: Response) -> None:
    known = response.points[KNOWN]
    looks = [
        ("trial of the search", _OWN, not known.all()),
        ("trial of the grid", _GRID, known.any()),
        ("recommended τ", _BEST | {"markersize": 9}, True),
    ]
    handles = [
        Line2D([], [], linestyle="none", label=label, **look)
        for label, look, shown in looks
        if shown
    ]
    if not response.lattice.is_line:
        label = "where the best τ lies, 95 %"
        handles.append(Line2D([], [], color=_RECOMMENDED, linewidth=1.4, label=label))
    add_legend(figure, handles, "outside lower center")


def _caption(maps: Sequence[tuple[Response, Recommendation]]) -> str:
    points = maps[0][0].points
    known = int(points[KNOWN].sum())
    grid = f" and {known} of the grid" if known else ""
    words = (
        f"A Gaussian process over τ, fitted to {len(points) - known} finished trials of the search"
        f"{grid}; brighter is better. Numbers along the edges are shares of CE (below), Dice "
        "(right) and boundary (left). The uncertainty, ± one standard deviation, is that of the "
        "response itself, without the noise of a single trial."
    )
    return " ".join([words, *(_say(*pair) for pair in maps), *_say_noise(maps)])


def _say(response: Response, recommended: Recommendation) -> str:
    objective = response.objective
    value = objective.text(recommended.value)
    low, high = (objective.text(end) for end in recommended.value_interval)
    ranges = ", ".join(
        f"{name} {least:.2f}–{most:.2f}"
        for name, (least, most) in zip(("CE", "Dice", "boundary"), recommended.ranges, strict=True)
    )
    words = (
        f"For {objective.aim}, {ratio_text(recommended.tau)} (CE:Dice:boundary) is best: {value} "
        f"({low} to {high}); in 95 % of draws from the process the best lies within {ranges}."
    )
    if response.missing:
        words += (
            f" {response.missing} trials without a {objective.aim} count as the worst of the "
            "others."
        )
    return words


def _say_noise(maps: Sequence[tuple[Response, Recommendation]]) -> list[str]:
    unmapped = ", ".join(maps[0][0].unmapped)
    return [f"What trials differ in beside τ counts as noise here: {unmapped}."] if unmapped else []
