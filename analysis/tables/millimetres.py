"""The two distances in millimetres, every tested trial and region."""

from typing import Final

import pandas as pd

from analysis.absent import Absent
from analysis.figures.style import region_title
from analysis.load import Study
from analysis.spacing import NO_MILLIMETRES, spacing_words
from analysis.tables.metric_columns import METRIC_TITLES, spread_of
from analysis.tables.table import Column, Table, best
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys

_TITLE: Final = "Distances in millimetres"


def millimetres_table(study: Study, frames: pd.DataFrame) -> Table | Absent:
    """Mean ± SD over test frames of HD95 and ASSD in mm, and where the spacing was measured.

    Args:
        study: which trials there are.
        frames: a row per trial, case, frame and region, with `keys.MM_METRICS` where the study
            has a spacing_source.
    """
    if not study.spacing_source:
        return Absent(title=_TITLE, reason=NO_MILLIMETRES)
    spread = spread_of(frames, [keys.TRIAL, keys.REGION], keys.MM_METRICS)
    rows = trial_rows(study.trials)
    columns = list(trial_columns(study.trials))
    for region in study.regions:
        own = spread[spread[keys.REGION] == region].drop(columns=keys.REGION)
        prefix = f"{region}_"
        named = own.set_index(keys.TRIAL).add_prefix(prefix).reset_index()
        rows = rows.merge(named, on=keys.TRIAL)
        columns += [
            Column(
                title=METRIC_TITLES[metric].partition(" ")[0],
                of=(prefix + metric, f"{prefix}{metric}_sd"),
                pattern="{:z.2f} ± {:z.2f}",
                bold=best(rows[prefix + metric], "min"),
                group=f"{region_title(region)} (mm)",
            )
            for metric in keys.MM_METRICS
        ]
    return Table(
        name="distances_mm",
        title=_TITLE,
        caption=(
            "Mean ± SD over the test frames in which the region was found and is there, each "
            "frame's distance times the spacing of its pixels; lower is better, the best mean in "
            f"bold. Spacing: {spacing_words(study.spacing_source)}. The ranking takes the "
            "distances in pixels, as the criterion does."
        ),
        rows=rows,
        columns=tuple(columns),
    )
