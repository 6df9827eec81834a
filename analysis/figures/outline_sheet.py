"""Where panels and names of figure 3 are on its sheet, in inches from the upper left corner."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from analysis.figures.style import PAGE_WIDTH_IN

BORDER_IN: Final = 0.05
GAP_IN: Final = 0.04
_LARGEST_IN: Final = 1.8
_LARGE_IN: Final = 1.5  # wider panels are no reason for a taller sheet
_LEAST_IN: Final = 0.5
_TALLEST_IN: Final = 9.0  # what a page holds beside a caption
_SLACK_IN: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A trial's panel, by its upper left corner."""

    trial: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Name:
    """A name beside or above panels, in one line or more.

    Attributes:
        text: the name.
        x: of its middle.
        y: of its foot; of its middle if it is upright.
        size: in points.
        upright: written upwards.
        span: width of the line below it that ties several columns together; 0 for none.
    """

    text: str
    x: float
    y: float
    size: float
    upright: bool = False
    span: float = 0


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """All panels and names.

    Attributes:
        height_in: of the sheet, without the key.
        panel_in: width of a panel.
        cells: a panel for each trial that is drawn.
        names: of networks, losses and ratios.
    """

    height_in: float
    panel_in: float
    cells: tuple[Cell, ...]
    names: tuple[Name, ...]


# Lays so many columns of panels, of a width at most, out on a sheet.
Layout = Callable[[int, float], Sheet]


def best_sheet(layout: Layout, most_columns: int, aspect: float) -> Sheet:
    """The sheet with the largest panels that a page holds, and of equal ones the least tall.

    Args:
        layout: makes a sheet.
        most_columns: to try.
        aspect: of a panel, height over width.
    """
    sheets = [_fit(layout, columns, aspect) for columns in range(1, most_columns + 1)]
    return min(sheets, key=_worth)


def panel_in(columns: int, side_in: float, widest_in: float) -> float:
    """Width of so many panels beside names that take so much."""
    room = PAGE_WIDTH_IN - side_in - 2 * BORDER_IN
    return min(widest_in, (room + GAP_IN) / columns - GAP_IN)


def left_in(columns: int, side_in: float, panel: float) -> float:
    """Where names and panels begin, so that they stand in the middle of the page."""
    return (PAGE_WIDTH_IN - side_in - columns * (panel + GAP_IN) + GAP_IN) / 2


def _fit(layout: Layout, columns: int, aspect: float) -> Sheet:
    sheet = layout(columns, _LARGEST_IN)
    too_much = sheet.height_in - _TALLEST_IN
    if too_much <= 0:
        return sheet
    rows = len({cell.y for cell in sheet.cells})
    return layout(columns, max(_LEAST_IN, sheet.panel_in - too_much / (rows * aspect)))


def _worth(sheet: Sheet) -> tuple[bool, float, float]:
    too_tall = sheet.height_in > _TALLEST_IN + _SLACK_IN
    return too_tall, -min(sheet.panel_in, _LARGE_IN), sheet.height_in
