"""Table 4: equal against area-based external weights, every region."""

from dataclasses import replace
from typing import Final

import pandas as pd

from analysis.absent import Absent
from analysis.ce_pairs import BY_AREA, CE_SHARED, EQUAL, ce_pairs
from analysis.figures.style import region_title
from analysis.load import Study
from analysis.tables.metric_columns import best_metric, mean_sd_column, spread_of
from analysis.tables.table import Column, Table, number, numbered
from analysis.tables.trial_columns import trial_columns
from tune_knee import keys

_NUMBER: Final = "4"
_TITLE: Final = "CE1 against CE2"
DIFFERENCE: Final = "ce2 − ce1"


def ce_comparison_table(study: Study, frames: pd.DataFrame) -> Table | Absent:
    """Six metrics of ce1 and ce2 and of their difference, per region and network.

    Args:
        study: which trials there are.
        frames: a row per trial, case, frame and region with `keys.METRICS`.
    """
    pairs = ce_pairs(study.trials)
    if pairs.empty:
        return Absent(
            title=numbered(_NUMBER, _TITLE),
            reason="It needs a network tested with both ce1 and ce2 and otherwise alike.",
        )
    row = [keys.CASE, keys.FRAME, keys.REGION]
    of_trial = frames.groupby(keys.TRIAL)
    parts = []
    for pair in pairs.to_dict("records"):
        equal, by_area = (
            of_trial.get_group(pair[loss]).set_index(row)[list(keys.METRICS)]
            for loss in (EQUAL, BY_AREA)
        )
        by_loss = {EQUAL: equal, BY_AREA: by_area, DIFFERENCE: by_area - equal}
        shared = {name: pair[name] for name in CE_SHARED}
        parts += [
            table.reset_index().assign(**shared, **{keys.LOSS: loss})
            for loss, table in by_loss.items()
        ]
    rows = spread_of(pd.concat(parts), [keys.REGION, *CE_SHARED, keys.LOSS])
    rank = {region: place for place, region in enumerate(study.regions)}
    rows = rows.sort_values(
        keys.REGION, key=lambda regions: regions.map(rank), kind="stable", ignore_index=True
    )
    return Table(
        name="table_4_ce1_ce2",
        number=_NUMBER,
        title=_TITLE,
        caption=_caption(study, pairs, rows),
        rows=rows.assign(**{keys.REGION: rows[keys.REGION].map(region_title)}),
        columns=_columns(study, rows),
    )


def _columns(study: Study, rows: pd.DataFrame) -> tuple[Column, ...]:
    alike = [column for column in trial_columns(study.trials) if column.of[0] in CE_SHARED]
    return (
        Column(title="Region", of=(keys.REGION,), once=True),
        *(replace(column, once=True) for column in alike),
        Column(title="Loss", of=(keys.LOSS,)),
        *(
            mean_sd_column(metric, bold=_better_of_each_pair(rows, metric))
            for metric in keys.METRICS
        ),
        number("Missed frames", keys.MISSED_FRAMES, 0),
    )


def _better_of_each_pair(rows: pd.DataFrame, metric: str) -> frozenset[int]:
    losses = rows[rows[keys.LOSS] != DIFFERENCE]
    bold: set[int] = set()
    for _, pair in losses.groupby([keys.REGION, *CE_SHARED], sort=False, dropna=False):
        better = best_metric(pair, metric)
        if len(better) == 1:
            bold.update(pair.index[list(better)])
    return frozenset(bold)


def _caption(study: Study, pairs: pd.DataFrame, rows: pd.DataFrame) -> str:
    hardest = rows[(rows[keys.REGION] == study.hardest_region) & (rows[keys.LOSS] == DIFFERENCE)]
    gains = hardest["iou"]
    return (
        "Mean ± SD over test frames of the same network with equal (ce1) and with area-based "
        "(ce2) external weights; the better mean of the two in bold. The difference is taken "
        "frame by frame; for distances, where both have one. On the hardest region, "
        f"{region_title(study.hardest_region).lower()}, area-based weights raise the mean IoU in "
        f"{(gains > 0).sum()} of {len(pairs)} comparisons, by {gains.median():+.4f} in the median."
    )
