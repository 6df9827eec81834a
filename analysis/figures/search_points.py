"""How trials of a search, and of the grid it knew, look as points."""

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.style import PAPER, network_colours
from analysis.search import KNOWN
from tune_knee import keys

_NETWORKS: Final = 12  # in a legend


def point_look(colour: str, *, known: bool) -> dict[str, Any]:
    """Arguments of a line that draws points: filled, or hollow for known trials of the grid."""
    return {
        "linestyle": "none",
        "marker": "o",
        "markersize": 5,
        "markerfacecolor": "none" if known else colour,
        "markeredgecolor": colour if known else PAPER,
        "markeredgewidth": 1.1 if known else 0.4,
    }


def draw_points(axes: Axes, trials: pd.DataFrame, x: str, y: str, networks: Sequence[str]) -> None:
    """Draw trials as points in the colours of their networks.

    Args:
        axes: to draw on.
        trials: of `Search.finished`.
        x: column of the abscissa.
        y: column of the ordinate.
        networks: all of the search, in its order.
    """
    colours = network_colours(networks)
    for network in networks:
        for known in (False, True):
            rows = trials[(trials[keys.NETWORK] == network) & (trials[KNOWN] == known)]
            axes.plot(rows[x], rows[y], **point_look(colours[network], known=known))


def network_handles(networks: Sequence[str]) -> list[Line2D]:
    """Explains the colours of the first dozen networks."""
    colours = network_colours(networks)
    return [
        Line2D([], [], label=network, **point_look(colours[network], known=False))
        for network in networks[:_NETWORKS]
    ]
