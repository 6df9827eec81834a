"""Figures 5 and 7: ground truth and prediction along typical sequences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from analysis.aggregate import mean_overlap
from analysis.figures.figure import Figure
from analysis.figures.lettering import fold_to, longest_part_in
from analysis.figures.outline_sheet import BORDER_IN, GAP_IN, left_in, panel_in
from analysis.figures.style import region_colours, region_title, style
from analysis.figures.xray import Panel, Window, find_frames, follow, new_sheet, outlines
from analysis.figures.xray_key import draw_key, key_height_in
from analysis.pictures import Pictures
from analysis.typical import TypicalSequence, frames_of
from tune_knee import keys

_SIZE: Final = 6.5
_SIDE_IN: Final = 0.3
_LARGEST_IN: Final = 1.8
_HEAD_IN: Final = 0.4
_LINE_PT: Final = 0.9
_CLOSE_SHARE: Final = 0.35  # margin around a single region


def draw_sequences(
    sequences: Sequence[TypicalSequence],
    pictures: Pictures,
    predicted: NDArray[np.uint8],
    frames: pd.DataFrame,
    label: str,
) -> Figure:
    """Figure 5: all regions as a trial sees them, below the ground truth.

    Args:
        sequences: one a side, from `typical_sequences`.
        pictures: the test frames.
        predicted: the trial's bit masks of `frames_of(sequences)`, uint8 (n, H, W).
        frames: the trial's per-frame metrics.
        label: the trial in words.
    """
    key = region_colours(pictures.regions)
    colours = dict(enumerate(key.values()))
    return Figure(
        name="figure_5_sequences",
        title="Figure 5. The best trial along typical sequences",
        caption=_caption(
            sequences, frames, f"the best trial, {label}", "mean overlap of the regions"
        )
        + " Each sequence is cropped to its true regions.",
        alt=_alt(sequences, "all regions"),
        drawing=_draw(_strips(sequences, pictures, predicted, None), colours, frames, key),
    )


def draw_region_sequences(
    sequences: Sequence[TypicalSequence],
    pictures: Pictures,
    predicted: NDArray[np.uint8],
    frames: pd.DataFrame,
    label: str,
    region: str,
) -> Figure:
    """Figure 7: one region, the hardest, as the trial that is best on it sees it.

    Args:
        sequences: one a side, from `typical_sequences`.
        pictures: the test frames.
        predicted: the trial's bit masks of `frames_of(sequences)`, uint8 (n, H, W).
        frames: the trial's per-frame metrics.
        label: the trial in words.
        region: the region.
    """
    name = region_title(region).lower()
    colour = region_colours(pictures.regions)[region]
    colours = {pictures.regions.index(region): colour}
    strips = _strips(sequences, pictures, predicted, region)
    of_region = frames[frames[keys.REGION] == region]
    return Figure(
        name="figure_7_hardest_region_sequences",
        title=f"Figure 7. The hardest region, {name}, along typical sequences",
        caption=_caption(
            sequences, of_region, f"the trial that is best on the {name}, {label}", "overlap"
        )
        + f" Each frame is cropped around the true {name}; what is predicted elsewhere is not "
        "seen.",
        alt=_alt(sequences, name),
        drawing=_draw(strips, colours, of_region, {region: colour}),
    )


@dataclass(frozen=True, kw_only=True)
class _Strip:
    """One sequence as it is drawn: n frames, true and predicted, uint8 (n, H, W)."""

    sequence: TypicalSequence
    images: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    windows: Sequence[Window]


def _draw(
    strips: Sequence[_Strip],
    colours: Mapping[int, str],
    frames: pd.DataFrame,
    key: Mapping[str, str],
) -> Drawing:
    """Strips one below the other; `colours` by bit, `key` by region."""
    columns = max(len(strip.windows) for strip in strips)
    width = panel_in(columns, _SIDE_IN, _LARGEST_IN)
    left = left_in(columns, _SIDE_IN, width)
    steps = [2 * (width * strip.windows[0].aspect + GAP_IN) + _HEAD_IN for strip in strips]
    overlap = mean_overlap(frames, [keys.CASE, keys.FRAME])
    with style():
        foot = sum(steps) + BORDER_IN
        drawing, axes = new_sheet(foot + key_height_in(list(key), truth=False) + BORDER_IN)
        for strip, y in zip(strips, np.cumsum([0.0, *steps[:-1]]), strict=True):
            _write_head(axes, strip.sequence, left, y, width)
            y += _HEAD_IN
            panels = _panels(axes, strip, left + _SIDE_IN, y, width)
            _draw_row("ground truth", panels, strip.images, strip.truth, colours)
            y += panels[0].height + GAP_IN
            panels = _panels(axes, strip, left + _SIDE_IN, y, width)
            _draw_row("prediction", panels, strip.images, strip.predicted, colours)
            for panel, frame in zip(panels, strip.sequence.frames, strict=True):
                panel.note(f"{overlap[strip.sequence.typical.case, frame]:.2f}")
        draw_key(axes, foot, key, truth=False)
    return drawing


def _strips(
    sequences: Sequence[TypicalSequence],
    pictures: Pictures,
    predicted: NDArray[np.uint8],
    region: str | None,
) -> list[_Strip]:
    """Sequences with all regions, each in one window; or with one, followed by the window."""
    places = find_frames(pictures, frames_of(sequences))
    truth = pictures.masks[places]
    if region is not None:
        bit = np.uint8(1 << pictures.regions.index(region))
        truth, predicted = truth & bit, predicted & bit
    following = follow(truth, _CLOSE_SHARE)
    strips, start = [], 0
    for one in sequences:
        part = slice(start, start + len(one.frames))
        whole = [Window.around(truth[part])] * len(one.frames)
        strips.append(
            _Strip(
                sequence=one,
                images=pictures.images[places[part]],
                truth=truth[part],
                predicted=predicted[part],
                windows=whole if region is None else following[part],
            )
        )
        start = part.stop
    return strips


def _draw_row(
    name: str,
    panels: Sequence[Panel],
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    colours: Mapping[int, str],
) -> None:
    first = panels[0]
    size = _SIZE * min(1.0, first.height / longest_part_in(name, _SIZE))
    first.axes.text(
        first.x - _SIDE_IN / 2,
        first.y + first.height / 2,
        fold_to(name, first.height, size),
        size=size,
        rotation=90,
        ha="center",
        va="center",
    )
    for panel, image, mask in zip(panels, images, masks, strict=True):
        panel.show(image)
        drawn = outlines(mask, colours, panel.window)
        for outline, colour in zip(drawn, colours.values(), strict=True):
            panel.trace(outline, colour, _LINE_PT)


def _panels(axes: Axes, strip: _Strip, x: float, y: float, width: float) -> list[Panel]:
    return [
        Panel(axes=axes, window=window, x=x + column * (width + GAP_IN), y=y, width=width)
        for column, window in enumerate(strip.windows)
    ]


def _write_head(axes: Axes, sequence: TypicalSequence, left: float, y: float, width: float) -> None:
    knee = f"{sequence.side.capitalize()} knee" if sequence.side else "Typical case"
    text = f"{knee}: {sequence.typical.case}"
    axes.text(left + _SIDE_IN, y + 0.17, text, size=7.5, weight="bold", va="baseline")
    for column, place in enumerate(sequence.places):
        middle = left + _SIDE_IN + column * (width + GAP_IN) + width / 2
        axes.text(
            middle,
            y + _HEAD_IN - 0.04,
            f"{place} of {sequence.length}",
            size=_SIZE,
            ha="center",
            va="baseline",
        )


def _caption(
    sequences: Sequence[TypicalSequence], frames: pd.DataFrame, trial: str, number: str
) -> str:
    overlap = mean_overlap(frames, [keys.CASE, keys.FRAME])
    chosen = overlap[[(one.typical.case, frame) for one in sequences for frame in one.frames]]
    typical = " and ".join(map(_typical, sequences))
    unknown = "" if sequences[0].side else " The dataset does not tell left from right knees."
    return (
        f"Evenly spaced frames, ground truth above, prediction of {trial}, below, with its "
        f"{number} on that frame ({chosen.min():.2f} to {chosen.max():.2f} here; mean over all "
        f"test frames {overlap.mean():.2f}).{unknown} A typical case is the one whose overlap "
        "(mean of IoU, Dice, precision and recall over its frames, all tested trials and "
        f"regions) is nearest to the median over cases: {typical}."
    )


def _typical(sequence: TypicalSequence) -> str:
    typical = sequence.typical
    cases = f"{typical.among} {sequence.side} cases" if sequence.side else f"{typical.among} cases"
    return f"{typical.case} ({typical.overlap:.3f}; median of {cases} {typical.median:.3f})"


def _alt(sequences: Sequence[TypicalSequence], what: str) -> str:
    cases = " and ".join(one.typical.case for one in sequences)
    return f"Outlines of {what} along the sequences of {cases}, ground truth above prediction."
