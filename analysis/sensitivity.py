"""Other sensible ways to rank the same trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.ranking import RANK, UNSCORED_LOSSES, rank_trials, score_trials
from tune_knee import keys

SCORE_ITSELF: Final = "score"
WITHOUT_DOUBLES: Final = "without Dice and ASSD"
SHIFT: Final = "shift"
ALTERNATIVE: Final = "alternative"
_SINGLE_OVERLAPS: Final = ("iou", "precision", "recall")
_SINGLE_DISTANCE: Final = "hd95_px"


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """One way to rank.

    Attributes:
        name: e.g. ``score``, ``without segformer_b2``, ``without Dice and ASSD``.
        description: what it does, one sentence.
        scores: trial, score, rank, best first; trials it leaves out have no row.
    """

    name: str
    description: str
    scores: pd.DataFrame


def alternatives(tests: pd.DataFrame) -> tuple[Alternative, ...]:
    """The score itself, then what else could have been done with the same means.

    A network is left out, or a kind of loss with all its ratios, and those that remain are
    scored among themselves: a sum of ranks depends on who else is there. Left out is each
    where two or more trials remain. Dice is 2 IoU / (1 + IoU) of a frame and ASSD follows
    HD95, so that the score counts one thing twice: without them overlap is the mean of
    IoU, precision and recall, and the distance is HD95.

    Args:
        tests: a row per trial and region with network, loss, the means of `keys.METRICS`,
            overlap and distance_px; trials of `UNSCORED_LOSSES` are not ranked.

    Raises:
        ValueError: see `score_trials`.
    """
    scored = tests[~tests[keys.LOSS].isin(UNSCORED_LOSSES)]
    found = [_alternative(SCORE_ITSELF, "The paper's score of all trials.", scored)]
    for column in (keys.NETWORK, keys.LOSS):
        for value in scored[column].unique():
            remaining = scored[scored[column] != value]
            if remaining[keys.TRIAL].nunique() >= 2:
                description = f"The trials of {column} {value} are left out, the others rescored."
                found.append(_alternative(f"without {value}", description, remaining))
    single = scored.assign(
        **{
            keys.OVERLAP: scored[list(_SINGLE_OVERLAPS)].mean(axis=1),
            keys.DISTANCE_PX: scored[_SINGLE_DISTANCE],
        }
    )
    description = "Overlap from IoU, precision and recall, distance from HD95 alone."
    return (*found, _alternative(WITHOUT_DOUBLES, description, single))


def rank_shifts(ways: Sequence[Alternative]) -> pd.DataFrame:
    """How far each alternative moves each trial, against the first.

    Columns alternative, trial, place (among the trials that the alternative ranks, by the
    score of the first), rank (in the alternative) and shift = place - rank: positive where
    the trial moves up. Best place first within an alternative; the first has no rows.
    """
    score, *others = ways
    tables = []
    for way in others:
        kept = score.scores[score.scores[keys.TRIAL].isin(way.scores[keys.TRIAL])]
        place = kept[keys.SCORE].rank(method="min", ascending=False).astype(int)
        table = kept[[keys.TRIAL]].assign(place=place)
        table = table.merge(way.scores[[keys.TRIAL, RANK]], on=keys.TRIAL)
        table.insert(0, ALTERNATIVE, way.name)
        tables.append(table.assign(**{SHIFT: table["place"] - table[RANK]}))
    return pd.concat(tables, ignore_index=True)


def _alternative(name: str, description: str, tests: pd.DataFrame) -> Alternative:
    scores = rank_trials(score_trials(tests))
    return Alternative(name=name, description=description, scores=scores)
