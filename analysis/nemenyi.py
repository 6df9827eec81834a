"""Nemenyi's test: which trials' mean ranks over cases are told apart."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, studentized_range


def nemenyi_p(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """p of each pair of trials that their mean ranks differ by chance; 1 on the diagonal.

    A difference d of two mean ranks of k trials on N cases, equal scores sharing theirs, is
    sqrt(2) d / sqrt(k (k + 1) / (6 N)) in units of the studentized range of k and infinite
    degrees of freedom, whose survival function is p (Demšar 2006, JMLR 7:1-30). It is an
    integral for each value, so that it is evaluated once per different d: rank sums are
    multiples of one half, and of a thousand trials' half million differences few are different.

    Args:
        scores: of k trials in each of N cases; all are numbers. Shape (N, k).

    Returns:
        A symmetric array of shape (k, k).
    """
    cases, trials = scores.shape
    sums = rankdata(scores, axis=1).sum(axis=0)
    apart, which = np.unique(np.abs(np.subtract.outer(sums, sums)), return_inverse=True)
    p = studentized_range.sf(np.sqrt(2) * apart / cases / _unit(trials, cases), trials, np.inf)
    found: NDArray[np.float64] = p[which]
    np.fill_diagonal(found, 1.0)
    return found


def critical_difference(trials: int, cases: int, level: float) -> float:
    """Difference of two mean ranks beyond which `nemenyi_p` is below a level.

    q sqrt(k (k + 1) / (6 N)) of k trials on N cases, with q the studentized range's quantile
    over sqrt(2) (Demšar 2006).
    """
    return float(
        studentized_range.ppf(1 - level, trials, np.inf) / np.sqrt(2) * _unit(trials, cases)
    )


def _unit(trials: int, cases: int) -> float:
    return float(np.sqrt(trials * (trials + 1) / (6 * cases)))
