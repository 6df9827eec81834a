"""Every trial's score and rank when the cases are drawn again."""

from typing import Final

from analysis.absent import Absent
from analysis.findings import Findings
from analysis.load import Study
from analysis.ranking import RANK
from analysis.tables.table import Column, Table, number
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys

_TITLE: Final = "Score and rank of every trial, with their uncertainty"


def bootstrap_table(study: Study, findings: Findings) -> Table | Absent:
    """All scored trials, best first: score, rank, their ranges under ties and over cases."""
    bootstrap = findings.bootstrap
    if bootstrap is None:
        return Absent(
            title=_TITLE, reason="Drawing cases again needs at least two of them in the test set."
        )
    rows = (
        findings.ranking.merge(findings.tie_range, on=keys.TRIAL)
        .merge(bootstrap.intervals(), on=keys.TRIAL)
        .merge(trial_rows(study.trials), on=keys.TRIAL)
    )
    firsts = int((rows["rank_low"] == 1).sum())
    return Table(
        name="bootstrap",
        title=_TITLE,
        caption=(
            f"95 % intervals over {bootstrap.draws:,} draws of {bootstrap.cases} cases (seed "
            f"{bootstrap.seed}). First in: share of the draws in which no trial scores higher. "
            f"The interval of {firsts} of {len(rows)} trials reaches the first place."
        ),
        rows=rows,
        columns=(
            number("Rank", RANK, 0),
            *trial_columns(study.trials),
            number("Score", keys.SCORE, 1),
            _range("Under ties", "score_min", "score_max", "Score"),
            _range("95 % interval", "score_low", "score_high", "Score"),
            _range("Under ties", "rank_min", "rank_max", "Rank"),
            number("Median", "rank_median", 0, group="Rank"),
            _range("95 % interval", "rank_low", "rank_high", "Rank"),
            Column(title="First in", of=("first_share",), pattern="{:.1%}"),
        ),
    )


def _range(title: str, low: str, high: str, group: str) -> Column:
    return Column(title=title, of=(low, high), pattern="{:,.0f}–{:,.0f}", group=group)
