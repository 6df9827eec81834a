"""Frames and cases that stand for a study: found by a rule, never picked by hand.

How well a frame or a case went is its mean overlap: the mean of IoU, Dice, precision and
recall over all tested trials and all regions, in [0, 1]; higher is better. Typical is what
comes nearest to the median of these means; of those equally near, the first in the order of
the table.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from analysis.aggregate import mean_overlap
from tune_knee import keys

SIDES: Final = ("right", "left")
_SHOWN: Final = 8
_ROUNDING: Final = 9  # decimals: what differs by less is equally near


@dataclass(frozen=True, kw_only=True)
class TypicalFrame:
    """The frame whose mean overlap is nearest to the median over all frames.

    Attributes:
        case: which it is of.
        frame: its name.
        overlap: its mean overlap, in [0, 1].
        median: over all frames.
        among: how many frames there are.
    """

    case: str
    frame: str
    overlap: float
    median: float
    among: int


@dataclass(frozen=True, kw_only=True)
class TypicalCase:
    """The case whose mean overlap is nearest to the median over some cases.

    Attributes:
        case: its name.
        overlap: its mean overlap, in [0, 1].
        median: over those cases.
        among: how many those are.
    """

    case: str
    overlap: float
    median: float
    among: int


@dataclass(frozen=True, kw_only=True)
class TypicalSequence:
    """Evenly spaced frames of the typical case among those of one side.

    Attributes:
        side: ``right`` or ``left``; empty if the dataset does not know sides.
        typical: the case, and how near to the median it is.
        frames: names of the frames to show, in their order; the first and the last are in.
        places: where each stands in the sequence, from 1.
        length: how many frames the sequence has.
    """

    side: str
    typical: TypicalCase
    frames: tuple[str, ...]
    places: tuple[int, ...]
    length: int


def typical_frame(frames: pd.DataFrame) -> TypicalFrame:
    """The frame whose mean overlap over trials and regions is nearest to the median.

    Args:
        frames: a row per trial, case, frame and region with the overlap metrics, of all
            tested trials.
    """
    means = mean_overlap(frames, [keys.CASE, keys.FRAME])
    place, median = _nearest_to_median(means)
    case, frame = means.index[place]
    return TypicalFrame(
        case=case,
        frame=frame,
        overlap=float(means.iloc[place]),
        median=median,
        among=len(means),
    )


def typical_case(frames: pd.DataFrame, cases: Collection[str]) -> TypicalCase:
    """The case, of some, whose mean overlap over its frames, trials and regions is typical.

    Args:
        frames: as for `typical_frame`.
        cases: those to choose from; the median is over them.

    Raises:
        ValueError: if none of them was tested.
    """
    means = mean_overlap(frames[frames[keys.CASE].isin(list(cases))], [keys.CASE])
    if means.empty:
        raise ValueError(
            f"one of the cases must be among the tested frames, got cases={sorted(cases)}"
        )
    place, median = _nearest_to_median(means)
    return TypicalCase(
        case=str(means.index[place]),
        overlap=float(means.iloc[place]),
        median=median,
        among=len(means),
    )


def typical_sequences(frames: pd.DataFrame, listed: pd.DataFrame) -> tuple[TypicalSequence, ...]:
    """The typical right and the typical left sequence; one where no frame has a side.

    Args:
        frames: as for `typical_frame`.
        listed: case, frame and side of the test frames, each sequence in its own order.
    """
    tested = listed[listed[keys.CASE].isin(frames[keys.CASE].unique())]
    sides = [side for side in SIDES if (tested["side"] == side).any()] or [""]
    sequences = []
    for side in sides:
        of_side = tested[tested["side"] == side]
        typical = typical_case(frames, of_side[keys.CASE].unique().tolist())
        names = of_side.loc[of_side[keys.CASE] == typical.case, keys.FRAME].tolist()
        chosen = _evenly_spaced(len(names))
        sequences.append(
            TypicalSequence(
                side=side,
                typical=typical,
                frames=tuple(names[place] for place in chosen),
                places=tuple(place + 1 for place in chosen),
                length=len(names),
            )
        )
    return tuple(sequences)


def frames_of(sequences: Sequence[TypicalSequence]) -> pd.DataFrame:
    """Case and frame of all that sequences show, one after the other."""
    rows = [(one.typical.case, frame) for one in sequences for frame in one.frames]
    return pd.DataFrame(rows, columns=[keys.CASE, keys.FRAME])


def _nearest_to_median(means: "pd.Series[float]") -> tuple[int, float]:
    values = means.to_numpy()
    median = float(np.median(values))
    return int(np.abs(values - median).round(_ROUNDING).argmin()), median


def _evenly_spaced(length: int) -> list[int]:
    shown = min(length, _SHOWN)
    return [int(place) for place in np.linspace(0, length - 1, shown).round()]
