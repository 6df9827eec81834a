import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scikit_posthocs import posthoc_nemenyi_friedman

from analysis.nemenyi import critical_difference, nemenyi_p


def random_scores(trials: int, cases: int, *, seed: int = 0) -> np.ndarray:
    """Whole numbers, so that some are equal."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3 * trials, (cases, trials)) + np.linspace(0, trials, trials).round()


@pytest.mark.parametrize(("trials", "cases"), [(2, 3), (4, 14), (30, 5)])
def test_p_is_scikit_posthocs(trials, cases):
    scores = random_scores(trials, cases, seed=trials)
    assert_allclose(nemenyi_p(scores), posthoc_nemenyi_friedman(scores), atol=1e-12)


def test_equal_trials_are_not_told_apart():
    scores = np.array([[3.0, 1, 3], [5, 0, 5], [2, 1, 2]])
    p = nemenyi_p(scores)
    assert p[0, 2] == 1
    assert p[0, 1] == p[1, 2] < 1
    assert_array_equal(nemenyi_p(np.full((4, 3), 7.0)), np.ones((3, 3)))


def test_order_of_cases_and_trials_does_not_matter():
    scores, rng = random_scores(6, 8), np.random.default_rng(1)
    trials = rng.permutation(6)
    again = nemenyi_p(rng.permutation(scores)[:, trials])
    assert_array_equal(again, nemenyi_p(scores)[np.ix_(trials, trials)])


@pytest.mark.parametrize(
    ("trials", "cases", "q"), [(4, 14, 2.569), (2, 10, 1.960), (10, 30, 3.164)]
)
def test_critical_difference_is_of_the_published_quantiles(trials, cases, q):
    """Demšar 2006 (JMLR 7:1-30), table 5a, for a level of 0.05."""
    expected = q * np.sqrt(trials * (trials + 1) / (6 * cases))
    assert critical_difference(trials, cases, 0.05) == pytest.approx(expected, rel=2e-4)
