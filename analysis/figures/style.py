"""One look for all figures: a colour per network and region, a marker per loss, the page's inks."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from tune_knee.config import LOSS_TERMS, NETWORKS

# Chosen so that any two differ with any colour vision, and stand off white and near-black.
_COLOURS: Final = ("#0e65d0", "#ee9312", "#35bf85", "#a2659a", "#d51b2e", "#afb3d1", "#687269")
# Lighter than the networks', to be seen on the greys of an X-ray and not taken for them.
_REGION_COLOURS: Final = (
    "#f9ca36",
    "#15d6ff",
    "#d66988",
    "#badc87",
    "#617cff",
    "#8d9e15",
    "#aa6eb4",
    "#5c994e",
)
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
    "path.simplify_threshold": 0.25,  # pixels, so that outlines of large masks stay small files
    "svg.hashsalt": "tune_knee",  # the same figure is the same file
}


def style() -> AbstractContextManager[None]:
    """Matplotlib's settings of the house, for a ``with`` block around drawing and saving."""
    return mpl.rc_context(_SETTINGS)


def new_figure(height_in: float, width_in: float = PAGE_WIDTH_IN) -> Figure:
    """An empty figure in the house's style, known to nobody else; call it within `style`."""
    return Figure(figsize=(width_in, height_in))


def network_colours(networks: Iterable[str]) -> dict[str, str]:
    """Colour by network: fixed for the paper's five; the rest share, in order, what is left.

    What is left are two colours, then those of the paper's networks that are not among them.
    """
    return _assign(networks, NETWORKS, _COLOURS)


def loss_markers(losses: Iterable[str]) -> dict[str, str]:
    """Matplotlib marker by loss: fixed for the five of `LOSS_TERMS`, then what is left."""
    return _assign(losses, tuple(LOSS_TERMS), _MARKERS)


def region_colours(regions: Iterable[str]) -> dict[str, str]:
    """Colour by region, by its place in the dataset's order; give all of them, in that order."""
    return _assign(regions, (), _REGION_COLOURS)


def region_title(region: str) -> str:
    """A region's name for readers: ``patellar_tendon`` is ``Patellar tendon``."""
    words = region.replace("_", " ")
    return words[:1].upper() + words[1:]


def case_title(case: str) -> str:
    """A case's name for readers, as one: ``17`` is ``case 17``, ``case_022`` stays."""
    return case if case.casefold().startswith("case") else f"case {case}"


def _assign(
    names: Iterable[str], fixed: tuple[str, ...], values: tuple[str, ...]
) -> dict[str, str]:
    wanted = dict.fromkeys(names)
    known = dict(zip(fixed, values, strict=False))
    free = (value for name, value in known.items() if name not in wanted)
    left = (*values[len(fixed) :], *free) or values
    others = [name for name in wanted if name not in known]
    extra = {name: left[number % len(left)] for number, name in enumerate(others)}
    return {name: known.get(name) or extra[name] for name in wanted}
