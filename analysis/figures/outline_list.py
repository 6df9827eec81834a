"""Figure 3 as a list of panels, where a study's trials are no grid."""

from typing import Final

import pandas as pd

from analysis.figures.lettering import fold_to, height_in, longest_part_in
from analysis.figures.outline_sheet import (
    BORDER_IN,
    GAP_IN,
    Cell,
    Name,
    Sheet,
    best_sheet,
    left_in,
    panel_in,
)
from analysis.figures.style import PAGE_WIDTH_IN
from analysis.load import LABEL
from tune_knee import keys

_SIZE: Final = 5.5


def list_sheet(rows: pd.DataFrame, aspect: float) -> Sheet:
    """Panels one after the other, row by row, each below its trial's words.

    Args:
        rows: trial and label, in the order to draw them.
        aspect: of a panel, height over width.
    """
    labels = dict(zip(rows[keys.TRIAL], rows[LABEL], strict=True))
    least = max(longest_part_in(label, _SIZE) for label in labels.values())
    most = int((PAGE_WIDTH_IN - 2 * BORDER_IN) / (least + GAP_IN))

    def layout(columns: int, widest_in: float) -> Sheet:
        return _lay_out(labels, columns, max(widest_in, least), aspect)

    return best_sheet(layout, min(len(labels), most), aspect)


def _lay_out(labels: dict[str, str], columns: int, widest_in: float, aspect: float) -> Sheet:
    panel = panel_in(columns, 0, widest_in)
    left = left_in(columns, 0, panel)
    texts = {trial: fold_to(label, panel, _SIZE) for trial, label in labels.items()}
    name_in = max(height_in(text, _SIZE) for text in texts.values()) + 0.03
    step = name_in + panel * aspect + 0.1
    cells, names = [], []
    for place, (trial, text) in enumerate(texts.items()):
        row, column = divmod(place, columns)
        x, y = left + column * (panel + GAP_IN), BORDER_IN + row * step + name_in
        cells.append(Cell(trial=trial, x=x, y=y))
        names.append(Name(text=text, x=x + panel / 2, y=y - 0.03, size=_SIZE))
    rows = -(-len(texts) // columns)
    return Sheet(
        height_in=BORDER_IN + rows * step, panel_in=panel, cells=tuple(cells), names=tuple(names)
    )
