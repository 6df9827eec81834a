"""When each stopping criterion opened, and why each trial ended."""

from analysis.figures.style import region_title
from analysis.load import STATUS, STOP_REASON, Study, opened_column
from analysis.tables.table import Column, Table, number
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys


def stopping_table(study: Study) -> Table:
    """Step at which each of the four criteria first held in series, and the trial's end."""
    opened = [opened_column(criterion) for criterion in keys.CRITERIA]
    details = study.trials[[keys.TRIAL, STATUS, *opened, keys.STEP, STOP_REASON]]
    rows = trial_rows(study.trials).merge(details, on=keys.TRIAL, how="left")
    titles = _titles(study)
    counts = [
        f"{title} in {int(rows[name].notna().sum())}"
        for name, title in zip(opened, titles, strict=True)
    ]
    return Table(
        name="stopping",
        title="When each stopping criterion opened",
        caption=(
            "Step of the first validation at which a criterion and all to its left held; – means "
            f"never. Of {len(rows)} trials: {'; '.join(counts)}."
        ),
        rows=rows,
        columns=(
            *trial_columns(study.trials),
            *(
                number(title, name, 0, group="Opened at step")
                for name, title in zip(opened, titles, strict=True)
            ),
            number("Steps", keys.STEP, 0),
            Column(title="Why it stopped", of=(STOP_REASON,)),
        ),
    )


def _titles(study: Study) -> tuple[str, ...]:
    """What the criteria ask, in the order of `keys.CRITERIA`."""
    bounds = study.budget.stopping
    hardest = region_title(study.hardest_region)
    return (
        f"Loss < {bounds.train_loss_below:g}",
        f"IoU > {bounds.val_iou_above:g}",
        f"{hardest} IoU > {bounds.hardest_iou_above:g}",
        f"Fluctuation < {bounds.plateau_fluctuation:g}",
    )
