"""Where each trial stands under other ways to rank."""

from analysis.findings import Findings
from analysis.load import Study
from analysis.ranking import RANK
from analysis.tables.table import Table, number
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys


def alternatives_table(study: Study, findings: Findings) -> Table:
    """Rank of all scored trials under each alternative, in the order of the score itself."""
    rows = findings.ranking[[keys.TRIAL]].merge(trial_rows(study.trials), on=keys.TRIAL)
    columns = list(trial_columns(study.trials))
    for alternative in findings.alternatives:
        score, rank = f"{keys.SCORE}: {alternative.name}", f"{RANK}: {alternative.name}"
        places = alternative.scores[[keys.TRIAL, keys.SCORE, RANK]]
        renamed = places.rename(columns={keys.SCORE: score, RANK: rank})
        rows = rows.merge(renamed, on=keys.TRIAL, how="left").astype({rank: "Int64"})
        first = frozenset((rows.index[rows[rank] == 1]).tolist())
        columns.append(number(_heading(alternative.name), rank, 0, bold=first, group="Rank"))
    return Table(
        name="alternatives",
        title="Ranks under other ways to rank",
        caption=(
            "Each column ranks the trials that it leaves in among themselves (– is left out), so "
            "that places move up where others are gone; the first in bold."
        ),
        rows=rows,
        columns=tuple(columns),
    )


def _heading(name: str) -> str:
    return name[:1].upper() + name[1:]
