"""A legend in as many columns as the page has room for."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.lettering import letter_in
from analysis.figures.style import PAGE_WIDTH_IN

Place: TypeAlias = Literal["outside upper left", "outside lower center"]

_SIZE: Final = 7
_BESIDE_IN: Final = 0.55  # a handle, and the room around it and its label


def add_legend(figure: Figure, handles: Sequence[Line2D], place: Place) -> None:
    """Explain handles beside the axes, in rows that fit the page; nothing for none."""
    if not handles:
        return
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = int(PAGE_WIDTH_IN / (longest * letter_in(_SIZE) + _BESIDE_IN))
    figure.legend(
        handles=list(handles),
        loc=place,
        ncols=min(max(columns, 1), len(handles)),
        fontsize=_SIZE,
    )
