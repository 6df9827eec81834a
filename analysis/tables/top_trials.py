"""The best trials: in total, and on the hardest region."""

from typing import Final

from analysis.figures.style import region_title
from analysis.findings import Findings
from analysis.load import Study
from analysis.ranking import RANK
from analysis.tables.metric_columns import best_metric, mean_column
from analysis.tables.region_scores import rank_in_region
from analysis.tables.table import Column, Table, best, number
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys

TOP: Final = 10
TOP_OF_HARDEST: Final = 5
_TOTAL_RANK: Final = "total_rank"
_SCORE_OF: Final = "score_"  # and a region


def top_trials_table(study: Study, findings: Findings) -> Table:
    """The first ten of the ranking: scores by region and in total, and how sure they are."""
    points = findings.scores.pivot(index=keys.TRIAL, columns=keys.REGION, values=keys.SCORE)
    rows = (
        findings.ranking.head(TOP)
        .merge(findings.tie_range, on=keys.TRIAL)
        .merge(points.add_prefix(_SCORE_OF).reset_index(), on=keys.TRIAL)
        .merge(trial_rows(study.trials), on=keys.TRIAL)
    )
    columns = [number("Rank", RANK, 0), *trial_columns(study.trials)]
    for region in study.regions:
        score = _SCORE_OF + region
        bold = best(rows[score], "max")
        columns.append(number(region_title(region), score, 1, bold=bold, group="Score"))
    columns += [
        number("Total", keys.SCORE, 1, bold=best(rows[keys.SCORE], "max"), group="Score"),
        Column(
            title="Under ties",
            of=("score_min", "score_max"),
            pattern="{:,.0f}–{:,.0f}",
            group="Score",
        ),
    ]
    if findings.bootstrap is not None:
        rows = rows.merge(findings.bootstrap.intervals(), on=keys.TRIAL)
        columns.append(
            Column(
                title="Rank, 95 % interval",
                of=("rank_low", "rank_high"),
                pattern="{:,.0f}–{:,.0f}",
            )
        )
    return Table(
        name="top_10",
        title=f"The first {len(rows)} of the ranking",
        caption=(
            f"Total score of {len(findings.ranking)} trials: the sum over regions, at most "
            f"{2 * len(findings.ranking) * len(study.regions):,}. Under ties: the totals if all "
            "equal values took the fewest and the most points. The best of these trials on each "
            "region in bold."
        ),
        rows=rows,
        columns=tuple(columns),
    )


def top_of_hardest_table(study: Study, findings: Findings) -> Table:
    """The first five on the region that the stopping criterion takes for the hardest."""
    region = study.hardest_region
    own = rank_in_region(findings.scores, region)
    total = findings.ranking[[keys.TRIAL, RANK]].rename(columns={RANK: _TOTAL_RANK})
    means = study.tests.loc[
        study.tests[keys.REGION] == region,
        [keys.TRIAL, keys.OVERLAP, keys.DISTANCE_PX, keys.MISSED_FRAMES],
    ]
    rows = (
        own.sort_values(RANK, kind="stable")
        .head(TOP_OF_HARDEST)
        .merge(means, on=keys.TRIAL)
        .merge(total, on=keys.TRIAL)
        .merge(trial_rows(study.trials), on=keys.TRIAL)
    )
    return Table(
        name=f"top_5_{region}",
        title=f"The first {len(rows)} on the hardest region: {region_title(region).lower()}",
        caption=(
            f"Ranked by the score of this region alone, which is at most {2 * len(own):,}. "
            "Rank in total: place by the sum over all regions."
        ),
        rows=rows,
        columns=(
            number("Rank", RANK, 0),
            *trial_columns(study.trials),
            *(
                mean_column(metric, bold=best_metric(rows, metric))
                for metric in (keys.OVERLAP, keys.DISTANCE_PX)
            ),
            number("Missed frames", keys.MISSED_FRAMES, 0),
            number("Score", keys.SCORE, 1),
            number("Rank in total", _TOTAL_RANK, 0),
        ),
    )
