"""What the lines on X-rays mean: swatches with names, in rows across a sheet."""

from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.figures.style import PAGE_WIDTH_IN, region_title
from analysis.figures.xray import DASHES, SHADE, TRUTH

_SIZE: Final = 7
_LETTER_IN: Final = 0.06
_SWATCH_IN: Final = 0.26
_GAP_IN: Final = 0.07
_ROW_IN: Final = 0.18
_TRUTH: Final = "Ground truth"


def key_height_in(regions: Sequence[str], *, truth: bool) -> float:
    """Height of the key in inches."""
    return _ROW_IN * len(_rows(_names(regions, truth)))


def draw_key(axes: Axes, y: float, colours: Mapping[str, str], *, truth: bool) -> None:
    """Name each region's line, centred on the sheet, from y inches on.

    Args:
        axes: of the sheet.
        y: of the key's upper border.
        colours: by region.
        truth: whether the true outlines are drawn, too.
    """
    lines = {region_title(region): (colour, "solid") for region, colour in colours.items()}
    for row, names in enumerate(_rows(_names(list(colours), truth))):
        x = (PAGE_WIDTH_IN - sum(map(_width_in, names))) / 2
        middle = y + (row + 0.5) * _ROW_IN
        for name in names:
            colour, dashes = lines.get(name, (TRUTH, DASHES))
            corner = x, middle - 0.06
            axes.add_patch(Rectangle(corner, _SWATCH_IN, 0.12, facecolor=SHADE, linewidth=0))
            ends = [x + 0.03, x + _SWATCH_IN - 0.03]
            axes.plot(ends, [middle, middle], color=colour, linewidth=1, linestyle=dashes)
            axes.text(x + _SWATCH_IN + 0.05, middle, name, size=_SIZE, va="center_baseline")
            x += _width_in(name)


def _names(regions: Sequence[str], truth: bool) -> list[str]:
    return [*([_TRUTH] if truth else []), *map(region_title, regions)]


def _rows(names: Sequence[str]) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    for name in names:
        if rows[-1] and sum(map(_width_in, [*rows[-1], name])) > PAGE_WIDTH_IN:
            rows.append([])
        rows[-1].append(name)
    return rows


def _width_in(name: str) -> float:
    return _SWATCH_IN + 0.05 + _LETTER_IN * len(name) + 2 * _GAP_IN
