"""Tables of a study for the terminal."""

from typing import Final

from rich.table import Table

from analysis.load import LABEL, STATUS, Study
from analysis.ranking import RANK, UNSCORED_LOSSES, Ties, rank_trials, score_trials
from tune_knee import keys

_NONE: Final = "–"


def ranking_table(study: Study, *, ties: Ties = "average") -> Table:
    """The ranking, best first: scores by region and in total, and the mean test IoU.

    Trials that are tested and not scored (ce1) stand below, in the order they started.
    """
    scores = score_trials(study.tests, ties=ties)
    points = scores.pivot(index=keys.TRIAL, columns=keys.REGION, values=keys.SCORE)
    of_trial = points.to_dict("index")
    labels = study.trials.set_index(keys.TRIAL)[LABEL]
    iou = study.tests.groupby(keys.TRIAL, sort=False)["iou"].mean()
    table = Table(title=f"{study.name}, budget {study.budget.name}", caption=_caption(study))
    table.add_column(RANK, justify="right")
    table.add_column(keys.TRIAL)
    for region in study.regions:
        table.add_column(region, justify="right")
    table.add_column(keys.SCORE, justify="right", style="bold")
    table.add_column("test IoU", justify="right")
    for trial, total, rank in rank_trials(scores).itertuples(index=False):
        table.add_row(
            str(rank),
            labels[trial],
            *(f"{of_trial[trial][region]:g}" for region in study.regions),
            f"{total:g}",
            f"{iou[trial]:.4f}",
        )
    for trial in iou.index.difference(points.index, sort=False):
        blanks = [_NONE] * (len(study.regions) + 1)
        table.add_row(_NONE, labels[trial], *blanks, f"{iou[trial]:.4f}")
    return table


def _caption(study: Study) -> str:
    counts = study.trials[STATUS].value_counts()
    tested = f"{counts[keys.STATUS_TESTED]} of {len(study.trials)} trials tested"
    others = (
        f"{counts[status]} {status}"
        for status in (keys.STATUS_FAILED, keys.STATUS_TRAINED, keys.STATUS_RUNNING)
        if status in counts
    )
    unscored = "ce1 is compared with ce2 alone and has no score" if _has_ce1(study) else ""
    return "; ".join(part for part in (", ".join((tested, *others)), unscored) if part)


def _has_ce1(study: Study) -> bool:
    return bool(study.tests[keys.LOSS].isin(UNSCORED_LOSSES).any())
