"""The best trial's six means."""

import pandas as pd

from analysis.aggregate import MM_MEANS
from analysis.figures.style import region_title
from analysis.findings import Findings
from analysis.load import Study
from analysis.spacing import spacing_words
from analysis.tables.metric_columns import mean_column
from analysis.tables.table import Column, Table, number
from analysis.tables.trial_columns import trial_labels
from tune_knee import keys


def best_trial_table(study: Study, findings: Findings) -> Table:
    """The first of the ranking: six means per region, and their means over the regions.

    Distances are in millimetres too where the study has them.
    """
    leader = findings.ranking[keys.TRIAL].iloc[0]
    label = trial_labels(study.trials)[leader]
    shown = [*keys.METRICS, keys.OVERLAP, keys.DISTANCE_PX]
    if study.spacing_source:
        shown += MM_MEANS
    means = study.tests[study.tests[keys.TRIAL] == leader].set_index(keys.REGION)
    means = means.loc[list(study.regions), [*shown, keys.MISSED_FRAMES]]
    over_regions = means[shown].mean(skipna=False).to_frame("Mean of regions").T
    named = means.rename(index=region_title)
    rows = pd.concat([named, over_regions]).rename_axis(keys.REGION).reset_index()
    return Table(
        name="best_trial",
        title=f"The best trial: {label}",
        caption=(
            "Means over test frames. Overlap is that of IoU, Dice, precision and recall, distance "
            "that of HD95 and ASSD. A mean over regions is missing (–) where one region has none."
            + _of_millimetres(study.spacing_source)
        ),
        rows=rows,
        columns=(
            Column(title="Region", of=(keys.REGION,)),
            *(mean_column(metric) for metric in shown),
            number("Missed frames", keys.MISSED_FRAMES, 0),
        ),
    )


def _of_millimetres(source: str) -> str:
    return f" Spacing of the millimetres: {spacing_words(source)}." if source else ""
