"""Tables 5 and on: overlap, distance and score of every scored trial, one table a region."""

from typing import Final

import pandas as pd

from analysis.absent import Absent
from analysis.figures.style import region_title
from analysis.load import Study
from analysis.ranking import RANK, UNSCORED_LOSSES
from analysis.tables.metric_columns import best_metric, mean_column
from analysis.tables.table import Table, best, number, numbered
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys

_FIRST: Final = 5


def region_scores_table(study: Study, region: str, scores: pd.DataFrame | None) -> Table | Absent:
    """One region: overlap, distance_px, missed frames, and score and rank if there are any.

    Args:
        study: with the tested means.
        region: one of `Study.regions`.
        scores: trial, region, score; None where too few trials are tested to score them.
    """
    place = str(_FIRST + study.regions.index(region))
    title = f"{region_title(region)}: overlap, distance and score"
    tests = study.tests[
        (study.tests[keys.REGION] == region) & ~study.tests[keys.LOSS].isin(UNSCORED_LOSSES)
    ]
    if tests.empty:
        return Absent(
            title=numbered(place, title), reason="No trial with a scored loss is tested yet."
        )
    means = tests[[keys.TRIAL, keys.OVERLAP, keys.DISTANCE_PX, keys.MISSED_FRAMES]]
    rows = trial_rows(study.trials).merge(means, on=keys.TRIAL)
    columns = [
        *trial_columns(study.trials),
        *(
            mean_column(metric, bold=best_metric(rows, metric))
            for metric in (keys.OVERLAP, keys.DISTANCE_PX)
        ),
        number("Missed frames", keys.MISSED_FRAMES, 0),
    ]
    if scores is not None:
        rows = rows.merge(rank_in_region(scores, region), on=keys.TRIAL)
        columns += [
            number("Score", keys.SCORE, 1, bold=best(rows[keys.SCORE], "max")),
            number("Rank", RANK, 0),
        ]
    return Table(
        name=f"table_{place}_{region}",
        number=place,
        title=title,
        caption=_caption(rows, scored=scores is not None),
        rows=rows,
        columns=tuple(columns),
    )


def rank_in_region(scores: pd.DataFrame, region: str) -> pd.DataFrame:
    """Trial, score and rank in one region; 1 is best, equal scores share the lowest rank."""
    own = scores.loc[scores[keys.REGION] == region, [keys.TRIAL, keys.SCORE]]
    return own.assign(**{RANK: own[keys.SCORE].rank(method="min", ascending=False).astype(int)})


def _caption(rows: pd.DataFrame, *, scored: bool) -> str:
    never = int(rows[keys.DISTANCE_PX].isna().sum())
    parts = ["The best of each column in bold."]
    if scored:
        n = len(rows)
        parts.append(f"Points run from 2 to {2 * n:,} over {n} trials and sum to {n * (n + 1):,}.")
    if never:
        parts.append(
            f"Never found by {never} of {len(rows)} trials, which have no distance (–) and share "
            "the fewest points."
        )
    missed = int((rows[keys.MISSED_FRAMES] > 0).sum())
    parts.append(
        f"Missed in at least one frame by {missed}; such a frame counts as overlap 0 and in no "
        "distance."
        if missed
        else "No trial misses it in any frame."
    )
    return " ".join(parts)
