"""Which trials can be told from the leader, case by case."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Significance:
    """Paired tests over cases of every trial against the leader, and of all ranks.

    Attributes:
        tests: a row per trial but the leader, measure and region: trial, against (the
            leader), measure (``score``, ``overlap`` or ``distance_px``), region ("" for
            the score, which sums over regions), statistic and p (Wilcoxon signed-rank,
            two-sided), p_holm (corrected over all trials of this measure and region),
            difference (median over cases of trial minus leader; NaN where it is not a
            number), cases (in which the two differ).
        leader: the first of the ranking.
        level: below which p_holm tells a trial from the leader.
        cases: how many there are.
        smallest_p: 2 / 2^cases, the least p that so many cases can give.
        mean_ranks: mean over cases of a trial's place by the score of that case, 1 is
            best; index trial.
        friedman_p: that all trials rank alike over the cases; NaN with two trials.
        nemenyi: p of each pair of mean ranks; square, rows and columns trial.
        critical_difference: of mean ranks, at `level`.
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
