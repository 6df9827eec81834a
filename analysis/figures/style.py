"""One look for all figures: a colour per network, a marker per loss, inks that follow the page."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from tune_knee.config import LOSS_TERMS, NETWORKS

# Okabe and Ito's palette, without its yellow and black: told apart with any colour vision,
# and readable on white and on near-black.
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6bb1")
_MARKERS: Final = ("o", "s", "^", "D", "P", "X", "v", "*")
# The page replaces these by its own inks (light or dark); nothing else may have these colours.
INK: Final = "#1b1b1c"
FAINT_INK: Final = "#8a8a8c"
GRID: Final = "#d9d9dc"
PAPER: Final = "#fefefe"  # behind labels that lie on lines

PAGE_WIDTH_IN: Final = 7.2
_SETTINGS: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.fontsize": 7,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT_INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
}


def style() -> AbstractContextManager[None]:
    """Matplotlib's settings of the house, for a ``with`` block around drawing and saving."""
    return mpl.rc_context(_SETTINGS)


def new_figure(height_in: float, width_in: float = PAGE_WIDTH_IN) -> Figure:
    """An empty figure in the house's style, known to nobody else; call it within `style`."""
    return Figure(figsize=(width_in, height_in))


def network_colours(networks: Iterable[str]) -> dict[str, str]:
    """Colour by network: fixed for the paper's five, the rest share what is left, in order."""
    return _assign(networks, NETWORKS, _COLOURS)


def loss_markers(losses: Iterable[str]) -> dict[str, str]:
    """Matplotlib marker by loss: fixed for the five of `LOSS_TERMS`, then what is left."""
    return _assign(losses, tuple(LOSS_TERMS), _MARKERS)


def region_title(region: str) -> str:
    """A region's name for readers: ``patellar_tendon`` is ``Patellar tendon``."""
    words = region.replace("_", " ")
    return words[:1].upper() + words[1:]


def _assign(
    names: Iterable[str], fixed: tuple[str, ...], values: tuple[str, ...]
) -> dict[str, str]:
    wanted = dict.fromkeys(names)
    known = dict(zip(fixed, values, strict=False))
    left = values[len(fixed) :] or values
    others = [name for name in wanted if name not in known]
    extra = {name: left[number % len(left)] for number, name in enumerate(others)}
    return {name: known.get(name) or extra[name] for name in wanted}
