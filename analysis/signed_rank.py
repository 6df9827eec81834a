"""Wilcoxon's signed-rank test over cases, exact with ties too, for many trials at once."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

_EXACT: Final = 50  # cases; scipy's own bound: above, the normal approximation serves


def case_differences(values: ArrayLike, against: ArrayLike) -> NDArray[np.float64]:
    """Values minus those they are paired with; 0 where both are the same infinity.

    Infinity stands for a value that is undefined and worse than any number: paired with a
    number it gives the largest difference, paired with another no difference.

    Args:
        values: of C cases in T tests. Shape (C, T).
        against: broadcast to it, e.g. shape (C, 1).
    """
    these, those = np.broadcast_arrays(
        np.asarray(values, dtype=np.float64), np.asarray(against, dtype=np.float64)
    )
    differences = np.zeros(these.shape)
    np.subtract(these, those, out=differences, where=these != those)
    return differences


def signed_rank_tests(differences: NDArray[np.float64]) -> pd.DataFrame:
    """Test T columns of differences by `signed_rank_test`, and correct over them.

    Returns:
        a row per test: statistic, p, p_holm (Holm's correction over the T tests),
        difference (median over cases; NaN where no number stands in the middle), cases
        (that differ).
    """
    statistic, p = signed_rank_test(differences)
    with np.errstate(invalid="ignore"):  # the middle between two infinities
        median = np.median(differences, axis=0)
    return pd.DataFrame(
        {
            "statistic": statistic,
            "p": p,
            "p_holm": multipletests(p, method="holm")[1],
            "difference": np.where(np.isfinite(median), median, np.nan),
            "cases": (differences != 0).sum(axis=0),
        }
    )


def smallest_p(cases: int) -> float:
    """The least two-sided p that so many cases can give: 2 / 2^cases."""
    return 2.0 ** (1 - cases)


def signed_rank_test(
    differences: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whether paired values differ, in T tests at once; two-sided.

    Differences of 0 say nothing and do not enter; where all are 0, p is 1. Up to 50 cases p
    is the share of all 2^n choices of signs of the n others that give as small a sum of
    ranks, doubled: exact, ties included, where scipy's exact distribution assumes none and
    its permutation test lists every choice. Above, scipy's normal approximation.

    Args:
        differences: of C cases; only their signs and the order of their sizes count, so
            that infinities are welcome. Shape (C, T).

    Returns:
        the smaller sum of ranks, of the positive or of the negative differences, and p.
        Each of shape (T,).
    """
    nonzero = differences != 0
    sizes = pd.DataFrame(np.where(nonzero, np.abs(differences), np.nan))
    ranks = np.nan_to_num(sizes.rank().to_numpy())
    positive = np.where(differences > 0, ranks, 0.0).sum(axis=0)
    statistic = np.minimum(positive, ranks.sum(axis=0) - positive)
    if len(differences) <= _EXACT:
        return statistic, _exact_p(ranks, statistic)
    p, any_differ = np.ones(len(statistic)), nonzero.any(axis=0)
    if any_differ.any():
        p[any_differ] = wilcoxon(differences[:, any_differ], method="asymptotic", axis=0).pvalue
    return statistic, p


def _exact_p(ranks: NDArray[np.float64], statistic: NDArray[np.float64]) -> NDArray[np.float64]:
    cases, tests = ranks.shape
    sums = np.arange(cases * (cases + 1) + 1)  # of doubled ranks: those of ties are halves
    chance = np.tile((sums == 0).astype(np.float64), (tests, 1))
    for rank in (2 * ranks).astype(np.int64):
        without = sums - rank[:, None]
        positive = np.take_along_axis(chance, np.maximum(without, 0), axis=1)
        chance = (chance + np.where(without >= 0, positive, 0.0)) / 2
    tail: NDArray[np.float64] = np.where(sums <= 2 * statistic[:, None], chance, 0.0).sum(axis=1)
    return np.minimum(2 * tail, 1.0)
