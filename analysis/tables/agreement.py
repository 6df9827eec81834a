"""How far rankings agree: Kendall's tau-b of each pair."""

import pandas as pd

from analysis.figures.style import region_title
from analysis.findings import Findings
from analysis.tables.table import Column, Table, number


def agreement_table(findings: Findings) -> Table:
    """Kendall's tau-b between the ways to rank."""
    first = "ranking"
    return Table(
        name="agreement",
        title="Agreement of the ways to rank",
        caption=(
            "Kendall's tau-b of each pair over the trials that both rank: 1 is the same order, "
            "0 no relation, −1 the reverse."
        ),
        rows=_square(findings.agreement, first),
        columns=(
            Column(title="Ranking", of=(first,)),
            *(
                number(name[:1].upper() + name[1:], name, 2)
                for name in map(str, findings.agreement)
            ),
        ),
    )


def region_agreement_table(findings: Findings) -> Table:
    """Kendall's tau-b between the scores of the regions."""
    first = "region"
    matrix = findings.region_agreement
    return Table(
        name="region_agreement",
        title="Agreement of the regions",
        caption=(
            "Kendall's tau-b between the regions' scores over all scored trials: 1 means that "
            "they rank the trials alike, 0 that they have nothing to do with each other."
        ),
        rows=_square(matrix.rename(index=region_title), first),
        columns=(
            Column(title="Region", of=(first,)),
            *(number(region_title(region), region, 2) for region in map(str, matrix)),
        ),
    )


def _square(matrix: pd.DataFrame, first: str) -> pd.DataFrame:
    return matrix.rename_axis(index=first, columns=None).reset_index()
