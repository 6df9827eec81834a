import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import PermutationMethod, false_discovery_control, wilcoxon

from analysis.signed_rank import (
    case_differences,
    signed_rank_test,
    signed_rank_tests,
    smallest_p,
)

INF, NAN = float("inf"), float("nan")


def column(*differences: float) -> np.ndarray:
    return np.array(differences, dtype=float)[:, None]


class TestSignedRankTest:
    def test_by_hand(self):
        # 1 is the smallest of four: of 16 choices of signs two give a sum of ranks of 1 or less.
        statistic, p = signed_rank_test(column(-1, 2, 3, 4))
        assert (statistic[0], p[0]) == (1, 2 * 2 / 16)

    def test_ties_by_hand(self):
        # All ranks are 2.5: of 16 choices five have one sign alone or one of the other.
        statistic, p = signed_rank_test(column(-1, 1, 1, 1))
        assert (statistic[0], p[0]) == (2.5, 2 * 5 / 16)

    def test_without_ties_it_is_scipys_exact_test(self):
        differences = np.random.default_rng(0).normal(0.3, 1, (14, 40))
        expected = wilcoxon(differences, method="exact", axis=0)
        statistic, p = signed_rank_test(differences)
        assert_array_equal(statistic, expected.statistic)
        assert_allclose(p, expected.pvalue, rtol=1e-12)

    @settings(max_examples=40)
    @given(hnp.arrays(np.float64, st.integers(2, 8), elements=st.integers(-3, 4)))
    def test_with_ties_and_zeros_it_is_scipys_over_all_signs(self, differences):
        statistic, p = signed_rank_test(differences[:, None])
        if differences.any():
            every = PermutationMethod(n_resamples=np.inf)
            expected = wilcoxon(differences, method=every)
            assert statistic[0] == expected.statistic
            assert p[0] == pytest.approx(expected.pvalue)
        else:
            assert (statistic[0], p[0]) == (0, 1)

    def test_above_50_cases_it_is_scipys_approximation(self):
        differences = np.random.default_rng(1).normal(0.1, 1, (51, 5))
        differences[:, 2] = 0
        statistic, p = signed_rank_test(differences)
        assert (statistic[2], p[2]) == (0, 1)
        others = [0, 1, 3, 4]
        expected = wilcoxon(differences[:, others], method="asymptotic", axis=0)
        assert_array_equal(statistic[others], expected.statistic)
        assert_allclose(p[others], expected.pvalue)
        assert_array_equal(signed_rank_test(np.zeros((51, 2)))[1], [1, 1])

    def test_exact_and_approximate_meet(self):
        differences = np.random.default_rng(2).normal(0.25, 1, (50, 20))
        expected = wilcoxon(differences, method="asymptotic", axis=0).pvalue
        assert_allclose(signed_rank_test(differences)[1], expected, atol=0.01)

    def test_infinities_are_the_largest_differences(self):
        found = signed_rank_test(column(1, -2, 3, INF, INF, -INF))
        expected = signed_rank_test(column(1, -2, 3, 4, 4, -4))
        assert_array_equal(found, expected)

    @pytest.mark.parametrize("cases", [1, 2, 5, 14, 50])
    def test_one_sided_cases_have_the_smallest_p(self, cases):
        _, p = signed_rank_test(np.arange(1.0, cases + 1)[:, None])
        assert p[0] == smallest_p(cases)

    @given(hnp.arrays(np.float64, (6, 3), elements=st.integers(-3, 3)))
    def test_which_is_paired_with_which_does_not_matter(self, differences):
        assert_array_equal(signed_rank_test(differences), signed_rank_test(-differences))
        assert_array_equal(signed_rank_test(differences), signed_rank_test(differences[::-1]))


class TestCaseDifferences:
    def test_undefined_is_worse_than_any_number_and_equal_to_itself(self):
        found = case_differences([[1.0, INF], [INF, 2.0]], [[3.0], [INF]])
        assert_array_equal(found, [[-2, INF], [0, -INF]])


class TestSignedRankTests:
    def test_holm_by_hand(self):
        # p 2/2^5, 2/2^5 * 2 (one sign turned: statistic 1) and 1.
        ascending = np.arange(1.0, 6)
        first, second = ascending, ascending * [-1, 1, 1, 1, 1]
        table = signed_rank_tests(np.stack([second, first, np.zeros(5)], axis=1))
        assert table["p"].tolist() == [0.125, 0.0625, 1]
        assert table["p_holm"].tolist() == [0.25, 0.1875, 1]
        assert table["statistic"].tolist() == [1, 0, 0]
        assert table["cases"].tolist() == [5, 5, 0]
        assert table["difference"].tolist() == [3, 3, 0]

    def test_holm_is_at_least_the_p_and_at_least_what_controls_less(self):
        differences = np.random.default_rng(3).normal(0.4, 1, (12, 9))
        table = signed_rank_tests(differences)
        assert (table["p_holm"] >= table["p"]).all()
        assert (table["p_holm"] >= false_discovery_control(table["p"])).all()

    def test_a_median_that_is_no_number_is_missing(self):
        table = signed_rank_tests(np.array([[INF, -INF, 1, INF], [INF, INF, 2, 1], [1, 2, 3, 2]]))
        assert_array_equal(table["difference"], [NAN, 2, 2, 2])
        half = signed_rank_tests(column(INF, -INF))
        assert np.isnan(half["difference"]).all()
        assert half["cases"].tolist() == [2]
