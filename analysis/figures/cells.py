"""Tables of tinted cells: heat maps that are read by their numbers too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.figures.style import GRID, INK

# The ends of a diverging scale, told apart with any colour vision.
MORE: Final = "#0072b2"
LESS: Final = "#d55e00"
NO_TINT: Final = (0.0, 0.0, 0.0, 0.0)
_FAINTEST: Final = 0.12
_STRONGEST: Final = 0.62  # ink on it stays readable, on light paper and on dark
_HEAD_SIZE: Final = 6.5
_MANY: Final = 14  # columns; in more there is no room for upright lines beside each other
_LETTER_IN: Final = 0.058  # mean width of a letter of a head
_LONG: Final = 20
_CELLS_IN: Final = 3.6  # width that long names of trials leave to the cells


def tint(colour: str, strength: float) -> tuple[float, float, float, float]:
    """A see-through colour, strength from 0 (faint) to 1; the page shines through it."""
    return to_rgba(colour, alpha=_FAINTEST + (_STRONGEST - _FAINTEST) * strength)


def draw_cells(
    axes: Axes,
    tints: NDArray[np.float64],
    texts: Sequence[Sequence[str]],
    *,
    size: float,
    inks: Sequence[Sequence[str]] | None = None,
) -> None:
    """Fill the rows and columns of an axes with tinted cells and their texts.

    Args:
        axes: its limits are set to rows downwards and columns to the right.
        tints: RGBA. Shape (rows, columns, 4).
        texts: by row and column; empty where a cell has none.
        size: of the texts, in points.
        inks: colours of the texts, by row and column; `INK` by default.
    """
    rows, columns = tints.shape[:2]
    patches = [
        Rectangle((column - 0.47, row - 0.46), 0.94, 0.92)
        for row in range(rows)
        for column in range(columns)
    ]
    axes.add_collection(
        PatchCollection(patches, facecolors=tints.reshape(-1, 4), edgecolors=GRID, linewidths=0.4)
    )
    for row, column in np.ndindex(rows, columns):
        if texts[row][column]:
            colour = INK if inks is None else inks[row][column]
            axes.text(
                column,
                row,
                texts[row][column],
                size=size,
                color=colour,
                ha="center",
                va="center_baseline",
            )
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


@dataclass(frozen=True, kw_only=True)
class ColumnHeads:
    """Names above columns of cells: upright where they are too wide to lie.

    Attributes:
        names: as written, long ones in two lines.
        upright: whether they are turned.
        height_in: what they take, in inches.
    """

    names: tuple[str, ...]
    upright: bool
    height_in: float

    @classmethod
    def of(cls, names: Sequence[str], cells_in: float = _CELLS_IN) -> Self:
        """Lying if they fit into that width, if need be in two lines; else upright."""
        broken = tuple(_break(name) for name in names)
        for lying, height_in in ((tuple(names), 0.2), (broken, 0.32)):
            if _width_in(lying) <= cells_in / len(names):
                return cls(names=lying, upright=False, height_in=height_in)
        shortest = _LONG if len(names) <= _MANY else np.inf
        upright = tuple(_break(name) if len(name) > shortest else name for name in names)
        return cls(names=upright, upright=True, height_in=_width_in(upright))

    def draw(self, axes: Axes) -> None:
        """Write them above the axes."""
        axes.xaxis.tick_top()
        turn = 90 if self.upright else 0
        axes.set_xticks(range(len(self.names)), self.names, rotation=turn, fontsize=_HEAD_SIZE)


def _width_in(names: Sequence[str]) -> float:
    lines = [line for name in names for line in name.split("\n")]
    return _LETTER_IN * max(map(len, lines)) + 0.1


def _break(name: str) -> str:
    """A name in two lines, after the space, colon or plus nearest its middle."""
    cuts = [at + 1 for at, letter in enumerate(name) if letter in " :+"]
    if not cuts:
        return name
    middle = min(cuts, key=lambda at: abs(at - len(name) / 2))
    return f"{name[:middle].rstrip()}\n{name[middle:]}"
