"""Tables of a study for the terminal."""

from rich.table import Table

from analysis.load import LABEL, STATUS, Study
from analysis.ranking import UNSCORED_LOSSES, Ties, score_trials
from analysis.score_table import score_table
from tune_knee import keys


def ranking_table(study: Study, *, ties: Ties = "average") -> Table:
    """The ranking, best first: scores by region and in total, and the mean test IoU.

    Trials that are tested and not scored (ce1) stand below, in the order they started.
    """
    scores = score_trials(study.tests, ties=ties)
    iou = study.tests.groupby(keys.TRIAL, sort=False)["iou"].mean().map("{:.4f}".format)
    table = score_table(
        scores,
        dict(zip(study.trials[keys.TRIAL], study.trials[LABEL], strict=True)),
        unscored=iou.index.difference(scores[keys.TRIAL].tolist(), sort=False).tolist(),
        beside={"IoU": dict(zip(iou.index, iou, strict=True))},
    )
    table.title = f"{study.name}, budget {study.budget.name}"
    table.caption = _caption(study)
    return table


def _caption(study: Study) -> str:
    counts = study.trials[STATUS].value_counts()
    lines = ["trials: " + ", ".join(f"{count} {status}" for status, count in counts.items())]
    if study.tests[keys.LOSS].isin(UNSCORED_LOSSES).any():
        lines.append("ce1 is compared with ce2 alone and has no score")
    lines.append("IoU: mean over test frames and regions")
    return "\n".join(lines)
