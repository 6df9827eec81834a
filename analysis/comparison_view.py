"""Studies side by side, as shown, as JSON and as CSV."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.agreement import TOTAL
from analysis.comparison import FIRST, MEASURES, StudyComparison
from analysis.load import LABEL, Study
from analysis.ranking import RANK
from analysis.score_table import NONE, plain_table, region_header
from analysis.signed_rank import case_differences, smallest_p
from analysis.trial_pairs import OTHER
from tune_knee import keys

_LEVEL: Final = 0.05
_STAR: Final = "*"
_DECIMALS: Final = {keys.OVERLAP: 4, keys.DISTANCE_PX: 2}
_BETTER: Final = {keys.OVERLAP: 1, keys.DISTANCE_PX: -1}


def name_apart(studies: Sequence[Study]) -> list[Study]:
    """The studies, with the ids of those that bear one name added to it.

    Raises:
        ValueError: if a study is there twice.
    """
    ids = [study.study_id for study in studies]
    names = [study.name for study in studies]
    for study in studies:
        if ids.count(study.study_id) > 1:
            raise ValueError(f"studies must be different ones, got {study.name} twice")
    return [
        replace(study, name=f"{study.name} {study.study_id}")
        if names.count(study.name) > 1
        else study
        for study in studies
    ]


def print_comparison(found: StudyComparison, console: Console) -> None:
    """What was compared, in words; who is better where; and trial by trial."""
    console.print(Text(f"Study {found.other.name} beside {found.first.name}", "bold"))
    console.print(Text("\n".join(sentences(found)) + "\n"))
    console.print(_summary_table(found))
    for measure in MEASURES:
        console.print(_trial_table(found, measure))
    if found.pairs.alone:
        lines = ["Without a partner:", *(f"  {line}" for line in found.pairs.alone)]
        console.print(Text("\n".join(lines) + "\n"))


def sentences(found: StudyComparison) -> list[str]:
    """What is the same in the two studies, what is not, and what the tests can show."""
    first, other = found.first, found.other
    lines = [f"{len(found.pairs.table)} trials are tested in both."]
    for name, count in found.pairs.differing.items():
        lines.append(f"{count} of them differ in {name}.")
    if first.budget != other.budget:
        lines.append(f"Budgets differ: {_budget(first)}; {_budget(other)}.")
    if found.scale != 1:
        lines.append(
            f"Distances of {other.name} are multiplied by {found.scale:g}, to pixels of "
            f"{first.name}."
        )
    if found.other_regions:
        lines.append(f"Regions of one study alone, left out: {', '.join(found.other_regions)}.")
    lines.extend(_cases(found))
    total = found.correlations.set_index(keys.REGION)["kendall_tau"].get(TOTAL, float("nan"))
    if pd.notna(total):
        lines.append(f"Kendall's tau-b between the two rankings: {total:.2f}.")
    return lines


def as_json(found: StudyComparison) -> dict[str, Any]:
    """One comparison; trials by their words."""
    return {
        "against": _study(found.first),
        "study": _study(found.other),
        "regions": found.regions,
        "other_regions": found.other_regions,
        "cases": found.cases,
        "distance_scale": found.scale,
        "notes": sentences(found),
        "differing": found.pairs.differing,
        "alone": found.pairs.alone,
        "correlations": found.correlations,
        "places": _worded(found, found.places),
        "differences": _worded(found, found.differences),
    }


def as_rows(comparisons: Sequence[StudyComparison]) -> pd.DataFrame:
    """All differences, a row per comparison, trial, region and measure."""
    tables = []
    for found in comparisons:
        table = _worded(found, found.differences)
        table.insert(0, "against", found.first.name)
        table.insert(1, "study", found.other.name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _cases(found: StudyComparison) -> list[str]:
    first, other = found.first, found.other
    lines = []
    if first.fingerprint != other.fingerprint:
        lines.append(
            f"Datasets differ (fingerprints {first.fingerprint}, {other.fingerprint})"
            + (": cases are paired by their names." if found.cases else ".")
        )
    if found.cases is None:
        lines.append("The test frames are not the same: nothing is paired, and nothing tested.")
    elif found.cases < 2:
        lines.append("There is one test case: nothing can be tested.")
    else:
        least = smallest_p(found.cases)
        lines.append(
            f"Paired over {found.cases} cases; {_STAR} marks p < {_LEVEL:g}: Wilcoxon signed-rank, "
            "Holm-corrected over the trials of a region and measure."
        )
        if least * len(found.pairs.table) >= _LEVEL:
            lines.append(
                f"So few cases give p = {least:.2g} at the least, {len(found.pairs.table)} times "
                f"that after the correction: no single trial can reach {_LEVEL:g}."
            )
    return lines


def _summary_table(found: StudyComparison) -> Table:
    table = plain_table()
    table.title = f"In how many trials {found.other.name} is better"
    table.add_column(keys.REGION)
    table.add_column("measure")
    titles = ("better", "worse", f"better{_STAR}", f"worse{_STAR}", "median", "tau-b")
    for title in titles:
        table.add_column(title, justify="right")
    taus = found.correlations.set_index(keys.REGION)["kendall_tau"].reindex(list(found.regions))
    for region in found.regions:
        for measure in MEASURES:
            rows = found.differences.query("region == @region and measure == @measure")
            gain = _gain(rows, measure)
            sure = (rows["p_holm"] < _LEVEL).to_numpy()
            counts = (gain > 0, gain < 0, (gain > 0) & sure, (gain < 0) & sure)
            first = measure == MEASURES[0]
            table.add_row(
                region_header(region.replace("_", " ") if first else ""),
                measure,
                *(str(count.sum()) for count in counts),
                _number(rows["difference"].median(), measure),
                _tau(taus[region]) if first else "",
            )
    return table


def _gain(rows: pd.DataFrame, measure: str) -> NDArray[np.float64]:
    """Above 0 where the other study is better; a distance that is undefined is the worst."""
    worst = {keys.OVERLAP: -np.inf, keys.DISTANCE_PX: np.inf}[measure]
    values = rows[[OTHER, FIRST]].fillna(worst).to_numpy()
    return case_differences(values[:, 0], values[:, 1]) * _BETTER[measure]


def _trial_table(found: StudyComparison, measure: str) -> Table:
    table = plain_table()
    table.title = f"{measure}: {found.other.name} minus {found.first.name}"
    table.caption = f"from, to: rank in {found.first.name}, in {found.other.name}"
    if measure == keys.DISTANCE_PX:
        table.caption += "\nfound, lost: there is a distance in one of the two only"
    table.add_column(keys.TRIAL, min_width=18, overflow="fold")
    for name in ("from", "to"):
        table.add_column(name, justify="right")
    for region in found.regions:
        table.add_column(region_header(region), justify="right", overflow="fold")
    rows = found.differences[found.differences["measure"] == measure]
    texts = {
        (row[keys.TRIAL], row[keys.REGION]): _cell(row, measure) for row in rows.to_dict("records")
    }
    places = found.places.set_index(keys.TRIAL)[[f"{FIRST}_{RANK}", f"{OTHER}_{RANK}"]]
    labels = found.pairs.table.set_index(keys.TRIAL)[LABEL]
    unscored = [trial for trial in labels.index if trial not in places.index]
    for trial in (*places.index, *unscored):
        ranks = map(str, places.loc[trial]) if trial in places.index else (NONE, NONE)
        cells = (texts[trial, region] for region in found.regions)
        table.add_row(Text(labels[trial]), *ranks, *cells)
    return table


def _cell(row: Mapping[Hashable, Any], measure: str) -> str:
    star = _STAR if row["p_holm"] < _LEVEL else " "
    if pd.isna(row[FIRST]) and not pd.isna(row[OTHER]):
        return f"found{star}"
    if pd.isna(row[OTHER]) and not pd.isna(row[FIRST]):
        return f"lost{star}"
    return _number(row["difference"], measure) + star


def _number(value: float, measure: str) -> str:
    return NONE if pd.isna(value) else f"{value:+.{_DECIMALS[measure]}f}"


def _tau(value: float) -> str:
    return NONE if pd.isna(value) else f"{value:.2f}"


def _worded(found: StudyComparison, table: pd.DataFrame) -> pd.DataFrame:
    labels = found.pairs.table.set_index(keys.TRIAL)[LABEL]
    words = table.copy()
    words.insert(0, "model", table[keys.TRIAL].map(labels))
    return words


def _study(study: Study) -> dict[str, str]:
    return {
        "name": study.name,
        "study_id": study.study_id,
        "budget": study.budget.name,
        "fingerprint": study.fingerprint,
        "tracking_uri": study.tracking_uri,
    }


def _budget(study: Study) -> str:
    budget = study.budget
    return f"{study.name} {budget.name} ({budget.image_size_px} px, {budget.max_steps:,} steps)"
