"""Tables of a study for the terminal."""

from collections.abc import Collection, Sequence

from rich.table import Table

from analysis.load import LABEL, STATUS, Study
from analysis.ranking import UNSCORED_LOSSES, Ties, score_trials
from analysis.score_table import score_table
from tune_knee import keys


def ranking_table(
    study: Study,
    *,
    ties: Ties = "average",
    refined: Collection[str] = (),
    notes: Sequence[str] = (),
) -> Table:
    """The ranking, best first: scores by region and in total, and the mean test IoU.

    Trials that are tested and not scored (ce1) stand below, in the order they started.

    Args:
        study: whose trials.
        ties: see `ranking.rank_sum_score`.
        refined: trials to mark as recommended by a search; see `beside_grid`.
        notes: sentences to stand below.
    """
    scores = score_trials(study.tests, ties=ties)
    iou = study.tests.groupby(keys.TRIAL, sort=False)["iou"].mean().map("{:.4f}".format)
    beside = {"IoU": dict(zip(iou.index, iou, strict=True))}
    if refined:
        beside["refined"] = {trial: "yes" if trial in refined else "" for trial in iou.index}
    table = score_table(
        scores,
        dict(zip(study.trials[keys.TRIAL], study.trials[LABEL], strict=True)),
        unscored=iou.index.difference(scores[keys.TRIAL].tolist(), sort=False).tolist(),
        beside=beside,
    )
    table.title = f"{study.name}, budget {study.budget.name}"
    table.caption = "\n".join([_caption(study), *notes])
    return table


def _caption(study: Study) -> str:
    counts = study.trials[STATUS].value_counts()
    lines = ["trials: " + ", ".join(f"{count} {status}" for status, count in counts.items())]
    if study.tests[keys.LOSS].isin(UNSCORED_LOSSES).any():
        lines.append("ce1 is compared with ce2 alone and has no score")
    lines.append("IoU: mean over test frames and regions")
    return "\n".join(lines)
