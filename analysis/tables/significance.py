"""Paired tests of every trial against the leader."""

from typing import Final

import pandas as pd

from analysis.absent import Absent
from analysis.figures.style import region_title
from analysis.findings import Findings
from analysis.load import Study
from analysis.significance import Significance
from analysis.tables.metric_columns import METRIC_TITLES
from analysis.tables.table import Column, Table
from analysis.tables.trial_columns import trial_columns, trial_labels, trial_rows
from tune_knee import keys

_TITLE: Final = "Tests of every trial against the leader"
_MEASURE: Final = "measure"
_VALUES: Final = ("p", "p_holm", "difference", "statistic")


def significance_table(study: Study, findings: Findings) -> Table | Absent:
    """Holm-corrected and raw p of all scored trials, per measure and region."""
    significance = findings.significance
    if significance is None:
        return Absent(
            title=_TITLE, reason="Paired tests over cases need at least two in the test set."
        )
    tests = significance.tests
    others = findings.ranking.loc[findings.ranking[keys.TRIAL] != significance.leader, [keys.TRIAL]]
    rows = others.merge(trial_rows(study.trials), on=keys.TRIAL)
    columns = list(trial_columns(study.trials))
    for (region, measure), family in _families(study, tests):
        name = f"{region}_{measure}" if region else measure
        values = family.set_index(keys.TRIAL)[list(_VALUES)].add_prefix(f"{name}_")
        rows = rows.merge(values, left_on=keys.TRIAL, right_index=True, how="left")
        columns.append(_p_column(rows, region, measure, name, significance.level))
    return Table(
        name="significance",
        title=_TITLE,
        caption=_caption(study, significance),
        rows=rows,
        columns=tuple(columns),
    )


def _families(study: Study, tests: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    wanted = [
        ("", keys.SCORE),
        *((region, name) for region in study.regions for name in (keys.OVERLAP, keys.DISTANCE_PX)),
    ]
    return [
        (key, tests[(tests[keys.REGION] == key[0]) & (tests[_MEASURE] == key[1])]) for key in wanted
    ]


def _p_column(rows: pd.DataFrame, region: str, measure: str, name: str, level: float) -> Column:
    below = frozenset(rows.index[rows[f"{name}_p_holm"] < level].tolist())
    return Column(
        title=METRIC_TITLES.get(measure, "Score"),
        of=(f"{name}_p_holm", f"{name}_p"),
        pattern="{:.2g}\n({:.2g})",
        bold=below,
        group=region_title(region) if region else "All regions",
    )


def _caption(study: Study, significance: Significance) -> str:
    leader = trial_labels(study.trials)[significance.leader]
    return (
        f"Wilcoxon signed-rank tests over {significance.cases} cases against {leader}: p after "
        f"Holm's correction, and before it in brackets; below {significance.level:g} in bold. "
        f"So many cases can give no p below {significance.smallest_p:.2g}."
    )
