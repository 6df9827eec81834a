"""A triangle whose corners are the pure losses; every τ is a point in it."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from analysis.figures.style import FAINT_INK, GRID, INK
from analysis.search import TAU_TITLES
from analysis.tau_lattice import TauLattice

_CORNERS: Final = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])  # CE, Dice, boundary
_LINES: Final = (0.25, 0.5, 0.75)
_LONG_EDGE: Final = 1.5  # steps; triangles with a longer one lie outside a ragged lattice


def to_plane(tau: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place of τ (..., 3) in the triangle with edges of length 1. Shape (..., 2)."""
    return np.asarray(tau @ _CORNERS)


def triangulate(lattice: TauLattice) -> Triangulation:
    """The lattice's own triangles in the plane; the lattice must not be a line."""
    places = to_plane(lattice.tau)
    mesh = Triangulation(places[:, 0], places[:, 1])
    corners = places[mesh.triangles]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
    mesh.set_mask((edges > _LONG_EDGE * lattice.step).any(axis=1))
    return mesh


def draw_triangle(axes: Axes) -> None:
    """Edges, lines at every quarter and their shares, and the names of the corners.

    Shares of CE stand below, those of Dice at the right, those of the boundary at the left;
    each line runs from its number away from the corner of its part.
    """
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")
    axes.set_xlim(-0.13, 1.13)
    axes.set_ylim(-0.17, 0.99)
    axes.fill(*_CORNERS.T, facecolor="none", edgecolor=FAINT_INK, linewidth=0.9, zorder=3)
    for part in range(3):
        for share in _LINES:
            _draw_line(axes, part, share)
    names = zip(
        _CORNERS, TAU_TITLES, (("right", "top"), ("left", "top"), ("center", "bottom")), strict=True
    )
    for (x, y), name, (horizontal, vertical) in names:
        lift = -0.03 if vertical == "top" else 0.03
        axes.text(x, y + lift, name, ha=horizontal, va=vertical, size=8, weight="bold", color=INK)


def _draw_line(axes: Axes, part: int, share: float) -> None:
    following, before = np.eye(3)[(part + 1) % 3], np.eye(3)[(part + 2) % 3]
    ends = share * np.eye(3)[part] + (1 - share) * np.array([following, before])
    start, end = to_plane(ends)
    axes.plot(*np.transpose([start, end]), color=GRID, linewidth=0.6, alpha=0.55, zorder=2)
    outwards = (start - end) / np.linalg.norm(start - end)
    x, y = start + 0.05 * outwards
    axes.text(x, y, f"{share:g}", size=5.5, ha="center", va="center", color=FAINT_INK)
