"""Two studies side by side: the same trial in both, paired by case."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.agreement import agree_rankings
from analysis.case_sums import CaseSums, sum_cases
from analysis.load import Study
from analysis.ranking import rank_trials, score_trials
from analysis.signed_rank import case_differences, signed_rank_tests
from analysis.trial_pairs import OTHER, TrialPairs, pair_trials
from tune_knee import keys

FIRST: Final = "first"
MEASURES: Final = (keys.OVERLAP, keys.DISTANCE_PX)
_TESTS: Final = ["median_difference", "cases", "p", "p_holm"]


@dataclass(frozen=True, kw_only=True)
class StudyComparison:
    """A study beside the first, over the trials and regions that both have.

    Attributes:
        first: the study compared with.
        other: the study compared.
        pairs: which trials are the same, and which have no partner.
        regions: that both have, in the first's order.
        other_regions: those of one study alone.
        cases: over how many the trials are paired; None where the studies were not tested
            on the same cases and frames, by their names.
        scale: what the other's distances are multiplied with, so that both are in pixels of
            the first's image size.
        differences: a row per trial, region and measure (`MEASURES`): trial (the first's
            id), region, measure, first and other (means over all test frames), difference
            (other minus first; above 0 is better for the overlap, worse for the distance),
            and, paired by case, median_difference, cases (that differ), p (Wilcoxon
            signed-rank) and p_holm (over the trials of this region and measure); NaN where
            fewer than two cases are paired.
        places: a row per scored trial, best of the first on top: trial, first_score,
            first_rank, other_score, other_rank; scored anew among the pairs alone.
        correlations: of the two studies' scores, from `agreement.agree_rankings`.
    """

    first: Study
    other: Study
    pairs: TrialPairs
    regions: tuple[str, ...]
    other_regions: tuple[str, ...]
    cases: int | None
    scale: float
    differences: pd.DataFrame
    places: pd.DataFrame
    correlations: pd.DataFrame


def compare_studies(
    first: Study, other: Study, first_frames: pd.DataFrame, other_frames: pd.DataFrame
) -> StudyComparison:
    """Compare trial by trial.

    Args:
        first: the study compared with.
        other: the study compared.
        first_frames: of all tested trials of the first, from `load_frames`.
        other_frames: likewise of the other.

    Raises:
        ValueError: if the studies share no region or no tested trial.
    """
    regions = tuple(region for region in first.regions if region in other.regions)
    if not regions:
        raise ValueError(
            f"studies must share a region, got {', '.join(first.regions)} in study={first.name}, "
            f"{', '.join(other.regions)} in study={other.name}"
        )
    pairs = pair_trials(first, other)
    names = dict(zip(pairs.table[f"{keys.TRIAL}_{OTHER}"], pairs.table[keys.TRIAL], strict=True))
    same = {name: name for name in names.values()}
    scale = first.budget.image_size_px / other.budget.image_size_px
    tests = {
        FIRST: _narrow(first.tests, same, regions, 1.0),
        OTHER: _narrow(other.tests, names, regions, scale),
    }
    sums = _sum_both(
        _narrow(first_frames, same, regions, 1.0), _narrow(other_frames, names, regions, scale)
    )
    scores = {whose: score_trials(table) for whose, table in tests.items()}
    return StudyComparison(
        first=first,
        other=other,
        pairs=pairs,
        regions=regions,
        other_regions=tuple(sorted({*first.regions, *other.regions} - set(regions))),
        cases=None if sums is None else len(sums.cases),
        scale=scale,
        differences=_differences(tests, sums, list(same), regions),
        places=_places(scores),
        correlations=agree_rankings(scores[FIRST], scores[OTHER]),
    )


def _narrow(
    table: pd.DataFrame, names: dict[str, str], regions: tuple[str, ...], scale: float
) -> pd.DataFrame:
    """The rows of the paired trials by the first's names, in its pixels."""
    rows = table[table[keys.TRIAL].isin(list(names)) & table[keys.REGION].isin(regions)]
    lengths = [name for name in (*keys.DISTANCE_METRICS, keys.DISTANCE_PX) if name in rows.columns]
    scaled = {name: rows[name] * scale for name in lengths}
    return rows.assign(**{keys.TRIAL: rows[keys.TRIAL].map(names)}, **scaled)


def _sum_both(first: pd.DataFrame, other: pd.DataFrame) -> CaseSums | None:
    """Sums of both studies' trials, or None where their test frames are not the same."""
    frame = [keys.CASE, keys.FRAME]
    tested = [
        set(map(tuple, table[frame].drop_duplicates().to_numpy())) for table in (first, other)
    ]
    if tested[0] != tested[1]:
        return None
    named = (table.assign(trial=whose + table[keys.TRIAL]) for whose, table in
             ((FIRST, first), (OTHER, other)))  # fmt: skip
    return sum_cases(pd.concat(named, ignore_index=True))


def _differences(
    tests: dict[str, pd.DataFrame],
    sums: CaseSums | None,
    trials: list[str],
    regions: tuple[str, ...],
) -> pd.DataFrame:
    row = [keys.TRIAL, keys.REGION]
    means = {whose: table.set_index(row) for whose, table in tests.items()}
    paired = None if sums is None or len(sums.cases) < 2 else _by_case(sums, trials)
    tables = []
    for measure in MEASURES:
        for region in regions:
            index = pd.MultiIndex.from_product([trials, [region]], names=row)
            values = {whose: table.loc[index, measure] for whose, table in means.items()}
            table = pd.DataFrame(values).reset_index()
            table.insert(2, "measure", measure)
            table["difference"] = table[OTHER] - table[FIRST]
            if paired is None:
                found = pd.DataFrame(np.nan, index=table.index, columns=_TESTS)
            else:
                found = signed_rank_tests(paired[measure, region])
                found = found.rename(columns={"difference": "median_difference"})[_TESTS]
            tables.append(table.join(found))
    return pd.concat(tables, ignore_index=True)


def _by_case(sums: CaseSums, trials: list[str]) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Other minus first by measure and region. Shape (C, M) each, trials in their order."""
    first, other = ([sums.trials.index(whose + trial) for trial in trials] for whose in
                    (FIRST, OTHER))  # fmt: skip
    differences = {}
    for measure, means in zip(MEASURES, sums.means(sums.each_case), strict=True):
        values = np.where(np.isnan(means), np.inf, means)
        for number, region in enumerate(sums.regions):
            differences[measure, region] = case_differences(
                values[:, other, number], values[:, first, number]
            )
    return differences


def _places(scores: dict[str, pd.DataFrame]) -> pd.DataFrame:
    first, other = (
        rank_trials(scores[whose]).set_index(keys.TRIAL).add_prefix(f"{whose}_")
        for whose in (FIRST, OTHER)
    )
    return first.join(other).reset_index()
