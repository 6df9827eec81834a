"""How the points that a search recommended rank among a grid's."""

from collections.abc import Iterator

import pandas as pd

from analysis.absent import Absent
from analysis.beside_grid import BesideGrid
from analysis.ranking import RANK
from analysis.report.contents import Section
from analysis.tables.refined import REFINED, joint_ranking, refined_table
from analysis.tables.trial_columns import trial_labels
from tune_knee import keys

TITLE = "Refined points beside the grid"


def refined_section(field: BesideGrid) -> Section:
    """The joint ranking by the paper's score, or why there is none."""
    if field.grid is None:
        absent = Absent(title=TITLE, reason=" ".join(field.notes))
        return Section(anchor="refined", title=TITLE, blocks=(absent,))
    return Section(
        anchor="refined",
        title=TITLE,
        blocks=(
            "A search recommended the refined points on validation; here the tests of all are "
            f"scored together. {' '.join(field.notes)}",
            " ".join(_by_network(field)),
            refined_table(field),
        ),
    )


def _by_network(field: BesideGrid) -> Iterator[str]:
    """Of each network, its best refined point and the best of the others."""
    ranked = joint_ranking(field).merge(
        field.study.trials[[keys.TRIAL, keys.NETWORK]], on=keys.TRIAL
    )
    labels = trial_labels(field.study.trials)

    def place(row: "pd.Series[float]") -> str:
        return f"{labels[str(row[keys.TRIAL])]} is number {row[RANK]} of {len(ranked)}"

    for network, group in ranked[ranked[REFINED]].groupby(keys.NETWORK, sort=False):
        others = ranked[(ranked[keys.NETWORK] == network) & ~ranked[REFINED]]
        beaten = f"; of the grid's, {place(others.iloc[0])}" if len(others) else ""
        yield f"{network}: of its refined points, {place(group.iloc[0])}{beaten}."
