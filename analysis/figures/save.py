"""Figures to files: PNG for slides, SVG for papers."""

from pathlib import Path
from typing import Final

from analysis.figures.figure import Figure
from analysis.figures.style import style

_DPI: Final = 180
_WHITE: Final = "#ffffff"


def save_figure(figure: Figure, folder: Path) -> tuple[Path, Path]:
    """Write ``<name>.png`` and ``<name>.svg``; the PNG on white, the SVG on nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{figure.name}.png", folder / f"{figure.name}.svg"
    with style():
        figure.drawing.savefig(png, dpi=_DPI, facecolor=_WHITE)
        figure.drawing.savefig(svg, metadata={"Date": None})
    return png, svg
