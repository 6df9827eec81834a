"""The points that a search recommended, among the trials of a grid."""

from typing import Final

import pandas as pd

from analysis.beside_grid import BesideGrid
from analysis.figures.style import region_title
from analysis.ranking import RANK, rank_trials, score_trials
from analysis.score_table import region_scores
from analysis.tables.table import Column, Table, best, number
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys

TOP: Final = 10
REFINED: Final = "refined"
_SCORE_OF: Final = "score_"  # and a region


def joint_ranking(field: BesideGrid) -> pd.DataFrame:
    """All that is ranked together, best first: trial, rank, score, scores by region, `REFINED`."""
    scores = score_trials(field.study.tests)
    points = region_scores(scores)
    ranked = rank_trials(scores).merge(points.add_prefix(_SCORE_OF).reset_index(), on=keys.TRIAL)
    return ranked.assign(**{REFINED: ranked[keys.TRIAL].isin(field.refined)})


def refined_table(field: BesideGrid) -> Table:
    """The first ten of the joint ranking and all refined points, best first."""
    study, ranked = field.study, joint_ranking(field)
    shown = ranked[(ranked.index < TOP) | ranked[REFINED]]
    rows = shown.merge(trial_rows(study.trials), on=keys.TRIAL)
    columns = [
        number("Rank", RANK, 0),
        *trial_columns(study.trials),
        Column(title="Refined", of=(REFINED,)),
    ]
    for region in study.regions:
        score = _SCORE_OF + region
        bold = best(rows[score], "max")
        columns.append(number(region_title(region), score, 1, bold=bold, group="Score"))
    bold = best(rows[keys.SCORE], "max")
    columns.append(number("Total", keys.SCORE, 1, bold=bold, group="Score"))
    return Table(
        name="refined",
        title=f"Refined points among the {len(ranked)} that are ranked together",
        caption=(
            f"The first {TOP} and every refined point. Total score: the sum over regions, at most "
            f"{2 * len(ranked) * len(study.regions):,}. Scores are of this ranking, and other than "
            "those of the grid alone."
        ),
        rows=rows,
        columns=tuple(columns),
    )
