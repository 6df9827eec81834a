"""Numbers beside points that lie close to each other."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.figures.style import INK

_SIZE: Final = 7
_REACH: Final = 8.0  # from a point to the middle of its number, in typographic points
_DIRECTIONS: Final = 12
_POINTS_PER_IN: Final = 72


def number_points(axes: Axes, places: Sequence[tuple[float, float]]) -> None:
    """Write 1, 2, ... beside places (x, y), each on the side with the most room.

    Call it when the axes' limits are set and all that takes room of the figure is in its place;
    scales must be linear.
    """
    if not places:
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    size = np.array(axes.bbox.size) / figure.dpi * _POINTS_PER_IN
    low = np.array([axes.get_xlim()[0], axes.get_ylim()[0]])
    high = np.array([axes.get_xlim()[1], axes.get_ylim()[1]])
    points = (np.array(places) - low) / (high - low) * size
    # Up and left first: there a front has nothing beside it.
    angles = 0.75 * np.pi + 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    ways = _REACH * np.column_stack([np.cos(angles), np.sin(angles)])
    taken = points
    for number, (place, point) in enumerate(zip(places, points, strict=True), start=1):
        others = np.delete(taken, number - 1, axis=0)
        room = [_room(point + way, others, size) for way in ways]
        way = ways[int(np.argmax(np.round(room, 1)))]
        taken = np.vstack([taken, point + way])
        axes.annotate(
            str(number),
            place,
            xytext=tuple(way),
            textcoords="offset points",
            ha="center",
            va="center",
            size=_SIZE,
            fontweight="bold",
            color=INK,
        )


def _room(
    place: NDArray[np.float64], others: NDArray[np.float64], size: NDArray[np.float64]
) -> float:
    """Distance to the nearest of the others, or to twice the axes' edge; enough is enough."""
    edge = 2 * min(*place, *(size - place))
    nearest = np.linalg.norm(others - place, axis=1).min(initial=np.inf)
    return float(min(edge, nearest, 2 * _REACH))
