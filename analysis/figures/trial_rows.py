"""Trials as the rows of a figure: best on top, each with its name, colour and marker."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from analysis.figures.style import loss_markers, network_colours
from tune_knee import keys

SHOWN: Final = 60
_CROWDED: Final = 20
_GUTTER_PT: Final = 7.0


def shown_trials(ranking: pd.DataFrame) -> list[str]:
    """The best `SHOWN` trials, best first: more names than that cannot be read on a page."""
    return [str(trial) for trial in ranking[keys.TRIAL].head(SHOWN)]


def tell_left_out(ranking: pd.DataFrame) -> str:
    """The sentence for a caption about trials that are not drawn; empty where all are."""
    if len(ranking) <= SHOWN:
        return ""
    return f" The best {SHOWN} of {len(ranking)} trials are drawn."


def row_height_in(rows: int) -> float:
    """Height of a row in inches: less where there are many."""
    return 0.15 if rows > _CROWDED else 0.22


def trial_colours(trials: pd.DataFrame) -> dict[str, str]:
    """Colour of each trial's network, by trial; from all of a study's trials."""
    colours = network_colours(trials[keys.NETWORK])
    return {row[keys.TRIAL]: colours[row[keys.NETWORK]] for row in trials.to_dict("records")}


def trial_markers(trials: pd.DataFrame) -> dict[str, str]:
    """Marker of each trial's loss, by trial; from all of a study's trials."""
    markers = loss_markers(trials[keys.LOSS])
    return {row[keys.TRIAL]: markers[row[keys.LOSS]] for row in trials.to_dict("records")}


def name_rows(
    axes: Axes, shown: Sequence[str], labels: Mapping[str, str], trials: pd.DataFrame
) -> None:
    """Make row y = 0, 1, ... downwards of the trials shown, named at the left."""
    set_rows(axes, len(shown))
    size = 6 if len(shown) > _CROWDED else 7
    axes.set_yticks(range(len(shown)), [labels[trial] for trial in shown], fontsize=size)
    axes.tick_params(axis="y", pad=_GUTTER_PT + 4)
    colours, markers = trial_colours(trials), trial_markers(trials)
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    gutter = offset_copy(axes.get_yaxis_transform(), figure, x=-_GUTTER_PT, units="points")
    for marker in dict.fromkeys(markers[trial] for trial in shown):
        rows = [row for row, trial in enumerate(shown) if markers[trial] == marker]
        axes.scatter(
            np.zeros(len(rows)),
            rows,
            s=14,
            c=[colours[shown[row]] for row in rows],
            marker=marker,
            linewidths=0,
            transform=gutter,
            clip_on=False,
        )


def set_rows(axes: Axes, rows: int) -> None:
    """Make row y = 0, 1, ... downwards without names: for panels beside a named one."""
    axes.set_ylim(rows - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
