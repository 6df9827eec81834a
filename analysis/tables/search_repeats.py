"""Noise between seeds, and what repeated points reach."""

from collections.abc import Sequence

import pandas as pd

from analysis.repeats import Repeats
from analysis.search import TAU, TAU_TITLES
from analysis.tables.table import Column, Table, best, number
from tune_knee import keys


def noise_table(found: Sequence[Repeats]) -> Table:
    """A row per network: standard deviations between seeds and points, and the split.

    Args:
        found: for one objective, by network; one at least.
    """
    objective = found[0].objective
    digits = f"{{:z.{objective.decimals}f}}"
    return Table(
        name=f"repeats_{objective.name}",
        title=f"Noise between seeds: {objective.aim}",
        caption=(
            f"{objective.title}. One-way random effects over points trained with several seeds; "
            "95 % intervals. Between points: what is left once the noise of the seeds is taken "
            "off, 0 where that is all there is. Share: of the variance, between points (the "
            "intraclass correlation); near 1 one seed tells points apart, near 0 it does not, "
            "and below 0 points differ by less than seeds alone would make them."
        ),
        rows=pd.DataFrame([_row(repeats) for repeats in found]),
        columns=(
            Column(title="Network", of=(keys.NETWORK,)),
            number("Points", "points", 0),
            number("Trials", "trials", 0),
            Column(
                title="Between seeds",
                of=("seed_sd", "seed_sd_low", "seed_sd_high"),
                pattern=f"{digits} ({digits} to {digits})",
                group="Standard deviation",
            ),
            number("Between points", "point_sd", objective.decimals, group="Standard deviation"),
            Column(
                title="Share between points",
                of=("icc", "icc_low", "icc_high"),
                pattern="{:z.2f} ({:z.2f} to {:z.2f})",
            ),
            number("Without a value", "missing", 0),
        ),
    )


def repeated_points_table(found: Sequence[Repeats]) -> Table:
    """A row per repeated point: mean ± SD over its seeds, best first within each network.

    Args:
        found: for one objective, by network; one at least.
    """
    objective = found[0].objective
    rows = pd.concat([repeats.points for repeats in found], ignore_index=True)
    digits = f"{{:z.{objective.decimals}f}}"
    columns = [
        Column(title="Network", of=(keys.NETWORK,), once=True),
        *(number(title, part, 4, group="τ") for part, title in zip(TAU, TAU_TITLES, strict=True)),
    ]
    if len(rows[keys.LEARNING_RATE].unique()) > 1:
        columns.append(Column(title="Learning rate", of=(keys.LEARNING_RATE,), pattern="{:.3g}"))
    return Table(
        name=f"repeated_points_{objective.name}",
        title=f"Repeated points: {objective.aim}",
        caption=(
            f"{objective.title}, mean ± standard deviation over the seeds of each point; best "
            "mean of all in bold."
        ),
        rows=rows,
        columns=(
            *columns,
            number("Seeds", "seeds", 0),
            Column(
                title="Mean ± SD",
                of=("mean", "sd"),
                pattern=f"{digits} ± {digits}",
                bold=best(rows["mean"], "max" if objective.higher_is_better else "min"),
            ),
        ),
    )


def _row(repeats: Repeats) -> dict[str, object]:
    return {
        keys.NETWORK: repeats.network,
        "points": len(repeats.points),
        "trials": len(repeats.trials),
        "seed_sd": repeats.seed_sd,
        "seed_sd_low": repeats.seed_sd_interval[0],
        "seed_sd_high": repeats.seed_sd_interval[1],
        "point_sd": repeats.point_sd,
        "icc": repeats.icc,
        "icc_low": repeats.icc_interval[0],
        "icc_high": repeats.icc_interval[1],
        "missing": repeats.missing,
    }
