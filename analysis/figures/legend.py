"""A legend in as many columns as the page has room for, below or above what it explains."""

from collections.abc import Sequence
from math import ceil
from typing import Final, Literal, TypeAlias

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.lettering import letter_in
from analysis.figures.style import PAGE_WIDTH_IN

Place: TypeAlias = Literal["outside upper left", "outside lower center"]

_SIZE: Final = 7
_BESIDE_IN: Final = 0.55  # a handle, and the room around it and its label
_ROW_IN: Final = 0.155


def add_legend(figure: Figure, handles: Sequence[Line2D], place: Place) -> None:
    """Explain handles in rows that fit the page, by which the figure grows; nothing for none."""
    if not handles:
        return
    longest = max(len(str(handle.get_label())) for handle in handles)
    room = int(PAGE_WIDTH_IN / (longest * letter_in(_SIZE) + _BESIDE_IN))
    columns = min(max(room, 1), len(handles))
    figure.set_figheight(figure.get_figheight() + _ROW_IN * ceil(len(handles) / columns))
    figure.legend(handles=list(handles), loc=place, ncols=columns, fontsize=_SIZE)
