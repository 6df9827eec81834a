"""Tables of a study for the terminal."""

from typing import Final

from rich import box
from rich.table import Table

from analysis.load import LABEL, STATUS, Study
from analysis.ranking import RANK, UNSCORED_LOSSES, Ties, rank_trials, score_trials
from tune_knee import keys
from tune_knee.config import NETWORKS

_NONE: Final = "–"
_LONGEST_NETWORK: Final = max(map(len, NETWORKS))  # else a narrow terminal cuts names


def ranking_table(study: Study, *, ties: Ties = "average") -> Table:
    """The ranking, best first: scores by region and in total, and the mean test IoU.

    Trials that are tested and not scored (ce1) stand below, in the order they started.
    """
    scores = score_trials(study.tests, ties=ties)
    points = scores.pivot(index=keys.TRIAL, columns=keys.REGION, values=keys.SCORE)
    of_trial = points.to_dict("index")
    labels = study.trials.set_index(keys.TRIAL)[LABEL]
    iou = study.tests.groupby(keys.TRIAL, sort=False)["iou"].mean()
    title = f"{study.name}, budget {study.budget.name}"
    table = Table(title=title, caption=_caption(study), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(RANK, justify="right")
    table.add_column(keys.TRIAL, min_width=_LONGEST_NETWORK)
    for region in study.regions:
        table.add_column(region.replace("_", " "), justify="right")
    table.add_column(keys.SCORE, justify="right", style="bold")
    table.add_column("IoU", justify="right")
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
    lines = ["trials: " + ", ".join(f"{count} {status}" for status, count in counts.items())]
    if study.tests[keys.LOSS].isin(UNSCORED_LOSSES).any():
        lines.append("ce1 is compared with ce2 alone and has no score")
    lines.append("IoU: mean over test frames and regions")
    return "\n".join(lines)
