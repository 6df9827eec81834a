"""How alike the rankings are: of the other ways to rank, and of the regions."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.absent import Absent
from analysis.figures.cells import LESS, NO_TINT, ColumnHeads, draw_cells, tint
from analysis.figures.figure import Figure
from analysis.figures.style import new_figure, region_title, style
from analysis.findings import Findings

_WAYS_TITLE: Final = "Agreement of the ways to rank"
_REGIONS_TITLE: Final = "Agreement of the regions"
_MOST: Final = 20
_ROW_IN: Final = 0.26
_CELLS_IN: Final = 5.6
_TAU: Final = (
    "Kendall's tau-b of each pair, from −1 (the reverse order) to 1 (the same order); "
    "a dash where the two share too few trials. The stronger the colour, the less alike."
)


def draw_agreement(findings: Findings) -> Figure | Absent:
    """Kendall's tau-b between the score and the other ways to rank, and among these."""
    taus = findings.agreement
    drawn = _least_alike(taus)
    pairs = _pairs(drawn)
    if pairs.empty:
        return Absent(
            title=_WAYS_TITLE,
            reason=f"No two of {len(taus)} rankings share trials enough for a correlation.",
        )
    names = [str(name) for name in drawn.index]
    numbers = [str(number + 1) for number in range(len(names))]
    rows = [f"{name}  {number}" for name, number in zip(names, numbers, strict=True)]
    caption = (
        f"{_TAU} The columns are those of the rows, by number. {_least_like_first(taus)}"
        f"Over all pairs tau lies between {pairs.min():.2f} and {pairs.max():.2f}."
    )
    if len(drawn) < len(taus):
        caption += f" The {_MOST} least like the first of {len(taus)} are drawn."
    return _draw(drawn, rows, numbers, "agreement", _WAYS_TITLE, caption)


def draw_region_agreement(findings: Findings) -> Figure | Absent:
    """Kendall's tau-b between the scores of each pair of regions."""
    taus = findings.region_agreement
    pairs = _pairs(taus)
    if pairs.empty:
        return Absent(
            title=_REGIONS_TITLE,
            reason=f"The study has {len(taus)} region; agreement needs two that rank the trials."
            if len(taus) == 1
            else "No two regions rank the trials in an order that could be compared.",
        )
    names = [region_title(str(region)) for region in taus.index]
    least, most = pairs.idxmin(), pairs.idxmax()
    caption = (
        f"{_TAU} A region that agrees little with the others draws the total its own way. "
        f"Least alike: {_both(least)} ({pairs.min():.2f}); most: {_both(most)} ({pairs.max():.2f})."
    )
    return _draw(taus, names, names, "region_agreement", _REGIONS_TITLE, caption)


def _draw(
    taus: pd.DataFrame, rows: list[str], columns: list[str], name: str, title: str, caption: str
) -> Figure:
    heads = ColumnHeads.of(columns, _CELLS_IN)
    with style():
        figure = new_figure(_ROW_IN * len(rows) + heads.height_in + 0.2)
        axes = figure.subplots()
        _draw_taus(axes, taus.to_numpy())
        heads.draw(axes)
        axes.set_yticks(range(len(rows)), rows)
    alt = f"Kendall's tau-b between {len(rows)} rankings, as a table."
    return Figure(name=name, title=title, caption=caption, alt=alt, drawing=figure)


def _draw_taus(axes: Axes, taus: NDArray[np.float64]) -> None:
    tints = np.array([[_tint(tau) for tau in row] for row in taus])
    texts = [[_number(tau) for tau in row] for row in taus]
    for itself in range(len(taus)):
        tints[itself, itself], texts[itself][itself] = NO_TINT, ""
    draw_cells(axes, tints, texts, size=6.5)


def _tint(tau: float) -> tuple[float, float, float, float]:
    # The root, because all that is of interest happens near 1.
    return NO_TINT if np.isnan(tau) else tint(LESS, np.sqrt(np.clip(1 - tau, 0, 1)))


def _number(tau: float) -> str:
    return "–" if np.isnan(tau) else f"{tau:.2f}".replace("-", "−")


def _least_alike(taus: pd.DataFrame) -> pd.DataFrame:
    """All, or where they are too many to draw the first and those least like it, in order."""
    if len(taus) <= _MOST:
        return taus
    others = taus.iloc[0, 1:].nsmallest(_MOST - 1).index
    kept = [name for name in taus.index if name == taus.index[0] or name in others]
    return taus.loc[kept, kept]


def _least_like_first(taus: pd.DataFrame) -> str:
    first = taus.iloc[0, 1:].dropna()
    if first.empty:
        return ""
    if first.min() == 1:
        return f"All keep the order of the {taus.index[0]}. "
    return f"Least like the {taus.index[0]}: {first.idxmin()} ({first.min():.2f}). "


def _pairs(taus: pd.DataFrame) -> pd.Series:
    """Each pair once, without a ranking and itself, and without NaN."""
    above = np.triu_indices(len(taus), k=1)
    names = list(zip(taus.index[above[0]], taus.columns[above[1]], strict=True))
    return pd.Series(taus.to_numpy()[above], index=pd.Index(names, tupleize_cols=False)).dropna()


def _both(pair: object) -> str:
    assert isinstance(pair, tuple)
    return " and ".join(region_title(str(region)).lower() for region in pair)
