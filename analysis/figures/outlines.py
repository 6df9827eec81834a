"""Figure 3: what every trial makes of one typical frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.absent import Absent
from analysis.aggregate import mean_overlap
from analysis.figures.figure import Figure
from analysis.figures.outline_grid import grid_sheet, is_grid
from analysis.figures.outline_list import list_sheet
from analysis.figures.outline_sheet import BORDER_IN, Sheet
from analysis.figures.style import FAINT_INK, case_title, region_colours, style
from analysis.figures.xray import Outline, Panel, Window, find_frames, new_sheet, outlines
from analysis.figures.xray_key import draw_key, key_height_in
from analysis.load import LABEL, STATUS
from analysis.pictures import Pictures
from analysis.tables.trial_columns import TAU, trial_rows
from analysis.typical import TypicalFrame
from tune_knee import keys

_TITLE: Final = "Figure 3. A typical frame, segmented by every trial"
_MOST_PANELS: Final = 60
_SMALL_IN: Final = 1.0
_THIN_PT: Final = 0.6
_THICK_PT: Final = 0.9
_EMPTY: Final = {  # other states speak for themselves
    keys.STATUS_RUNNING: "still\ntraining",
    keys.STATUS_TRAINED: "not tested\nyet",
    keys.STATUS_TESTED: "masks\nnot kept",
    keys.STATUS_FAILED: "failed",
}


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What every panel shows: a frame (H, W), its true bit mask, and a colour by region."""

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    colours: Mapping[str, str]

    @classmethod
    def of(cls, pictures: Pictures, typical: TypicalFrame) -> Self:
        chosen = pd.DataFrame({keys.CASE: [typical.case], keys.FRAME: [typical.frame]})
        place = find_frames(pictures, chosen)[0]
        return cls(
            image=pictures.images[place],
            truth=pictures.masks[place],
            colours=region_colours(pictures.regions),
        )

    @property
    def window(self) -> Window:
        return Window.around(self.truth[None])

    def outlines(self, mask: NDArray[np.uint8]) -> list[Outline]:
        return outlines(mask, range(len(self.colours)), self.window)


def draw_outlines(
    trials: pd.DataFrame,
    frames: pd.DataFrame,
    pictures: Pictures,
    typical: TypicalFrame,
    predicted: Mapping[str, NDArray[np.uint8]],
) -> Figure | Absent:
    """True and predicted outlines of all regions on one frame, a panel for each trial.

    Networks by losses where the trials are such a grid; else one after the other, best first.

    Args:
        trials: all of the study's, tested or not.
        frames: per-frame metrics of the tested trials.
        pictures: the test frames.
        typical: the frame to draw.
        predicted: by trial, its bit mask of that frame, uint8 (H, W); trials may lack.
    """
    rows, grid = _drawn(trials, frames)
    if not rows[keys.TRIAL].isin(list(predicted)).any():
        return Absent(
            title=_TITLE,
            reason="No trial kept its predicted masks; they are kept when a trial is tested.",
        )
    shown = _Shown.of(pictures, typical)
    sheet = (grid_sheet if grid else list_sheet)(rows, shown.window.aspect)
    of_frame = frames[(frames[keys.CASE] == typical.case) & (frames[keys.FRAME] == typical.frame)]
    overlap = mean_overlap(of_frame, [keys.TRIAL])
    with style():
        figure, axes = new_sheet(
            sheet.height_in + key_height_in(pictures.regions, truth=True) + BORDER_IN
        )
        _write_names(axes, sheet)
        _draw_panels(axes, sheet, shown, predicted, _notes(trials, overlap, predicted))
        draw_key(axes, sheet.height_in, shown.colours, truth=True)
    return Figure(
        name="figure_3_outlines",
        title=_TITLE,
        caption=_caption(trials, typical, overlap.reindex(rows[keys.TRIAL]), predicted, grid=grid),
        alt=(
            f"Outlines of {len(pictures.regions)} regions, true and predicted, on one X-ray, "
            f"for {len(sheet.cells)} trials."
        ),
        drawing=figure,
    )


def _drawn(trials: pd.DataFrame, frames: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """As many trials as a sheet holds, those with the best mean overlap; and if they are a grid.

    In the study's order if they are; else best first, and untested ones last.
    """
    rows = trial_rows(trials).merge(trials[[keys.TRIAL, LABEL]], on=keys.TRIAL)
    rows[TAU] = rows[TAU].fillna("")
    overlap = rows[keys.TRIAL].map(mean_overlap(frames, [keys.TRIAL]))
    best = overlap.sort_values(ascending=False, kind="stable").index[:_MOST_PANELS]
    in_order = rows.loc[best.sort_values()]
    return (in_order, True) if is_grid(in_order) else (rows.loc[best], False)


def _write_names(axes: Axes, sheet: Sheet) -> None:
    for name in sheet.names:
        axes.text(
            name.x,
            name.y,
            name.text,
            size=name.size,
            rotation=90 if name.upright else 0,
            ha="center",
            va="center" if name.upright else "bottom",
            linespacing=1.05,
        )
        if name.span:
            ends = [name.x - name.span / 2, name.x + name.span / 2]
            axes.plot(ends, [name.y + 0.02] * 2, color=FAINT_INK, linewidth=0.5)


def _draw_panels(
    axes: Axes,
    sheet: Sheet,
    shown: _Shown,
    predicted: Mapping[str, NDArray[np.uint8]],
    notes: Mapping[str, str],
) -> None:
    truth = shown.outlines(shown.truth)
    width_pt = _THIN_PT if sheet.panel_in < _SMALL_IN else _THICK_PT
    for cell in sheet.cells:
        panel = Panel(axes=axes, window=shown.window, x=cell.x, y=cell.y, width=sheet.panel_in)
        if cell.trial not in predicted:
            panel.leave_empty(notes[cell.trial])
            continue
        panel.show(shown.image)
        for outline in truth:
            panel.trace_truth(outline, 0.8 * width_pt)
        own = shown.outlines(predicted[cell.trial])
        for outline, colour in zip(own, shown.colours.values(), strict=True):
            panel.trace(outline, colour, width_pt)
        panel.note(notes[cell.trial])


def _notes(
    trials: pd.DataFrame, overlap: "pd.Series[float]", predicted: Mapping[str, NDArray[np.uint8]]
) -> dict[str, str]:
    """By trial, its overlap on the frame, or why it has no picture."""
    return {
        trial: f"{overlap[trial]:.2f}" if trial in predicted else _EMPTY.get(status, status)
        for trial, status in trials[[keys.TRIAL, STATUS]].itertuples(index=False)
    }


def _caption(
    trials: pd.DataFrame,
    typical: TypicalFrame,
    overlap: "pd.Series[float]",
    predicted: Mapping[str, NDArray[np.uint8]],
    *,
    grid: bool,
) -> str:
    seen = overlap[overlap.index.isin(list(predicted))]
    labels = dict(zip(trials[keys.TRIAL], trials[LABEL], strict=True))
    order = (
        "Rows are networks, columns losses with their τ."
        if grid
        else "Trials stand by their mean overlap over all test frames, highest first."
    )
    left_out = len(trials) > len(overlap)
    more = f" The best {len(overlap)} of {len(trials)} trials are drawn." if left_out else ""
    return (
        f"Frame {typical.frame} of {case_title(typical.case)}. It is the typical frame: of "
        f"{typical.among} test frames, the one whose overlap (mean of IoU, Dice, precision and "
        f"recall over all tested trials and regions), {typical.overlap:.3f}, is nearest to the "
        f"median, {typical.median:.3f}. {order} Dashed: ground truth; solid: prediction; cropped "
        "to the true regions. Where a solid line covers a dashed one, they agree. The number is "
        "the trial's overlap on this frame, mean over regions: highest for "
        f"{labels[str(seen.idxmax())]} ({seen.max():.2f}), lowest for {labels[str(seen.idxmin())]} "
        f"({seen.min():.2f}).{more}"
    )
