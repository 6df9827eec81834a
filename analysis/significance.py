"""Which trials can be told from the leader, case by case."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import friedmanchisquare

from analysis.case_sums import CaseSums
from analysis.nemenyi import critical_difference, nemenyi_p
from analysis.signed_rank import case_differences, signed_rank_tests, smallest_p
from tune_knee import keys

LEVEL: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Significance:
    """Paired tests over cases of every trial against the leader, and of all ranks.

    Attributes:
        tests: a row per trial but the leader, measure and region: trial, against (the
            leader), measure (``score``, ``overlap`` or ``distance_px``), region ("" for
            the score, which sums over regions), statistic and p (Wilcoxon signed-rank,
            two-sided), p_holm (corrected over all trials of this measure and region),
            difference (median over cases of trial minus leader; NaN where no number
            stands in the middle), cases (in which the two differ).
        leader: the first of the ranking.
        level: below which p_holm tells a trial from the leader.
        cases: how many there are.
        smallest_p: 2 / 2^cases, the least p that so many cases can give.
        mean_ranks: mean over cases of a trial's place by the score of that case, 1 is
            best; index trial, best first.
        friedman_p: that all trials rank alike over the cases; NaN with two trials.
        nemenyi: p of each pair of mean ranks; square, rows and columns trial.
        critical_difference: of two mean ranks, at `level`.
    """

    tests: pd.DataFrame
    leader: str
    level: float
    cases: int
    smallest_p: float
    mean_ranks: pd.Series
    friedman_p: float
    nemenyi: pd.DataFrame
    critical_difference: float


def compare_with_leader(sums: CaseSums, leader: str, *, level: float = LEVEL) -> Significance:
    """Test every trial against the leader, and all mean ranks against each other.

    The score of a case is the paper's with that case's means alone. Each trial's values are
    paired with the leader's by case and tested by `signed_rank_test`; Holm's correction over
    the trials, for each measure and region apart.

    A distance that is undefined in all frames of a case is worse than any number, and as
    bad as another undefined one: such a case has the largest difference, or none. None is
    left out.

    Friedman's test and Nemenyi's (`nemenyi_p`, `critical_difference`) compare the trials' places
    by the score of each case.

    Raises:
        ValueError: if there is one case only, one trial only, or no trial named `leader`.
    """
    cases, trials = len(sums.cases), sums.trials
    if cases < 2 or len(trials) < 2:
        raise ValueError(
            "a test needs two cases and two trials or more, "
            f"got cases={cases}, trials={len(trials)}"
        )
    if leader not in trials:
        raise ValueError(f"leader must be one of the trials, got leader={leader}")
    scores = sums.scores(sums.each_case)
    by_case = pd.DataFrame(scores, columns=list(trials))
    mean_ranks = by_case.rank(axis=1, ascending=False).mean()
    return Significance(
        tests=pd.concat(_families(sums, scores, leader), ignore_index=True),
        leader=leader,
        level=level,
        cases=cases,
        smallest_p=smallest_p(cases),
        mean_ranks=mean_ranks.sort_values(kind="stable"),
        friedman_p=_friedman_p(scores),
        nemenyi=pd.DataFrame(nemenyi_p(scores), index=list(trials), columns=list(trials)),
        critical_difference=critical_difference(len(trials), cases, level),
    )


def _families(sums: CaseSums, scores: NDArray[np.float64], leader: str) -> Iterator[pd.DataFrame]:
    """Tests of the score of each case, then of both measures in each region."""
    yield _family(scores, sums.trials, leader, keys.SCORE, "")
    overlap, distance_px = sums.means(sums.each_case)
    worst = np.where(np.isnan(distance_px), np.inf, distance_px)
    for number, region in enumerate(sums.regions):
        yield _family(overlap[..., number], sums.trials, leader, keys.OVERLAP, region)
        yield _family(worst[..., number], sums.trials, leader, keys.DISTANCE_PX, region)


def _family(
    values: NDArray[np.float64], trials: tuple[str, ...], leader: str, measure: str, region: str
) -> pd.DataFrame:
    """Tests of one measure; `values` has shape (C, M), infinity where it is undefined."""
    at = trials.index(leader)
    others = np.arange(len(trials)) != at
    tests = signed_rank_tests(case_differences(values[:, others], values[:, [at]]))
    tests.insert(0, keys.TRIAL, np.array(trials)[others])
    tests.insert(1, "against", leader)
    tests.insert(2, "measure", measure)
    tests.insert(3, keys.REGION, region)
    return tests


def _friedman_p(scores: NDArray[np.float64]) -> float:
    if scores.shape[1] < 3:
        return float("nan")
    if (scores == scores[:, :1]).all():
        return 1.0  # a statistic of 0 / 0
    return float(friedmanchisquare(*scores.T).pvalue)
