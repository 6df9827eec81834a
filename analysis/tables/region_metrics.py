"""Table A1: the six metrics of every tested trial, one table a region."""

import pandas as pd

from analysis.figures.style import region_title
from analysis.load import Study
from analysis.tables.metric_columns import best_metric, spread_column, spread_of
from analysis.tables.table import Table, number
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys


def region_metrics_table(study: Study, frames: pd.DataFrame, region: str) -> Table:
    """Mean ± SD (max–min) over test frames in one region, and the frames it was missed in.

    Args:
        study: which trials there are.
        frames: a row per trial, case, frame and region with `keys.METRICS`.
        region: one of `Study.regions`.
    """
    own = frames[frames[keys.REGION] == region]
    rows = trial_rows(study.trials).merge(spread_of(own, [keys.TRIAL]), on=keys.TRIAL)
    count = len(own[[keys.CASE, keys.FRAME]].drop_duplicates())
    return Table(
        name=f"table_a1_{region}",
        number="A1",
        title=f"{region_title(region)}: six metrics",
        caption=(
            f"Mean ± SD (max–min) over {count:,} test frames; the best mean in bold. Distances "
            "are over the frames where the region was found and is there; missed frames are the "
            "others."
        ),
        rows=rows,
        columns=(
            *trial_columns(study.trials),
            *(spread_column(metric, bold=best_metric(rows, metric)) for metric in keys.METRICS),
            number("Missed frames", keys.MISSED_FRAMES, 0),
        ),
    )
