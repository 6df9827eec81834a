"""The course of a sequence as a picture: flexion, tendon length, height of the patella."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tune_knee.motion import columns

_INK: Final = "#1b1b1c"
_FAINT_INK: Final = "#8a8a8c"
_GRID: Final = "#d9d9dc"
_LINE: Final = "#0e65d0"
_DOUBT: Final = "#d51b2e"
_BAND: Final = "#f7dcdf"
_REGIONS: Final = ("#0e65d0", "#ee9312", "#35bf85", "#a2659a", "#d51b2e", "#687269")

# Narrow, so that letters are still read where a phone shows it across its width.
_WIDTH_IN: Final = 5.0
_PANEL_IN: Final = 1.75
_HEAD_IN: Final = 0.75
_DPI: Final = 180
_FLEXION: Final = "Flexion (°)"
# What a panel spans at least, so that what hardly changes is not drawn as if it did.
_LEAST_DEG: Final = 20.0
_LEAST_SHARE: Final = 0.25
_SETTINGS: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT_INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.constrained_layout.use": True,
}


def draw_motion(table: pd.DataFrame, title: str) -> Figure:
    """Draw one sequence's table, as `measure_sequence` returns it.

    One panel for each measure of the joint that some frame has, in mm where these are known; the
    regions' areas where there is none. Doubtful frames are banded and their points hollow.
    """
    panels = [panel for panel in _panels(table) if table[panel[0]].notna().any()]
    rows = max(1, len(panels))
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH_IN, _HEAD_IN + rows * _PANEL_IN))
        axes = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
        x, label = _course(table)
        for one, (column, name) in zip(axes, panels, strict=False):
            _draw_course(one, x, table[column].to_numpy(float), table, name)
        if not panels:
            _draw_areas(axes[0], x, table)
        axes[-1].set_xlabel(label)
        doubtful = int(table[columns.DOUBTFUL].sum())
        marked = f"{doubtful} of {len(table)} frames doubtful (banded, hollow)"
        figure.suptitle(
            f"{title}\n{marked if doubtful else 'no frame doubtful'}",
            x=0.01,
            ha="left",
            size=10,
        )
    return figure


def save_motion(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, on white."""
    with mpl.rc_context(_SETTINGS):
        figure.savefig(path, dpi=_DPI, facecolor="#ffffff")


def _panels(table: pd.DataFrame) -> list[tuple[str, str]]:
    mm = bool(table[columns.PATELLA_MM].notna().any())
    return [
        (columns.FLEXION_DEG, _FLEXION),
        (
            columns.TENDON_MM if mm else columns.TENDON_PX,
            f"Patellar tendon's length ({'mm' if mm else 'px'})",
        ),
        (columns.INSALL_SALVATI, "Insall–Salvati ratio (tendon / patella)"),
    ]


def _course(table: pd.DataFrame) -> tuple["pd.Series[float]", str]:
    if table[columns.TIME_MS].isna().all():
        return table[columns.FRAME_NUMBER].astype(float), "Frame"
    return table[columns.TIME_MS] / 1000, "Time (s)"


def _draw_course(
    axes: Axes, x: "pd.Series[float]", y: np.ndarray[Any, Any], table: pd.DataFrame, name: str
) -> None:
    doubtful = table[columns.DOUBTFUL].to_numpy(bool)
    _band(axes, x, doubtful)
    trusted = np.where(doubtful, np.nan, y)
    axes.plot(x, trusted, "o-", color=_LINE, linewidth=1.4, markersize=4)
    axes.plot(
        x[doubtful],
        y[doubtful],
        "o",
        color=_DOUBT,
        markerfacecolor="#ffffff",
        markeredgewidth=1.4,
        markersize=5,
    )
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_title(name)
    low, high = axes.get_ylim()
    least = _LEAST_DEG if name == _FLEXION else _LEAST_SHARE * float(np.nanmedian(y))
    margin = max(0.0, least - (high - low)) / 2
    axes.set_ylim(low - margin, high + margin)


def _draw_areas(axes: Axes, x: "pd.Series[float]", table: pd.DataFrame) -> None:
    _band(axes, x, table[columns.DOUBTFUL].to_numpy(bool))
    suffix = columns.area_px("")
    areas = [column for column in table.columns if column.endswith(suffix)]
    for number, column in enumerate(areas):
        colour = _REGIONS[number % len(_REGIONS)]
        name = column.removesuffix(suffix).replace("_", " ")
        axes.plot(x, table[column], color=colour, linewidth=1.4, label=name)
    axes.set_title("Area (px)")
    axes.legend()


def _band(axes: Axes, x: "pd.Series[float]", doubtful: np.ndarray[Any, Any]) -> None:
    step = float(x.iloc[1] - x.iloc[0]) if len(x) > 1 else 1.0
    for at in x[doubtful]:
        axes.axvspan(at - step / 2, at + step / 2, color=_BAND, linewidth=0, zorder=0)
