import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy.stats import friedmanchisquare
from stepped_frames import stepped_frames

from analysis.aggregate import aggregate_frames
from analysis.case_sums import CaseSums, sum_cases
from analysis.ranking import rank_trials, score_trials
from analysis.significance import compare_with_leader
from tune_knee import keys

NAN = float("nan")


def sums_of(overlap: np.ndarray, distance_px: np.ndarray) -> CaseSums:
    """One region, one frame a case; both of shape (C, M)."""
    values = np.stack([overlap] * 4 + [distance_px] * 2, axis=-1)[:, :, None]
    return CaseSums(
        trials=tuple("abcdefgh"[: overlap.shape[1]]),
        cases=tuple(f"k{n}" for n in range(len(overlap))),
        regions=("femur",),
        sums=np.nan_to_num(values),
        defined=(~np.isnan(values)).astype(float),
    )


def random_sums(trials: int, cases: int, seed: int = 0) -> CaseSums:
    rng = np.random.default_rng(seed)
    skill = np.linspace(0, 0.3, trials)
    return sums_of(
        rng.uniform(0.2, 0.7, (cases, trials)) + skill,
        rng.uniform(2, 7, (cases, trials)) - 3 * skill,
    )


def rows_of(significance, measure: str) -> pd.DataFrame:
    tests = significance.tests
    return tests[tests["measure"] == measure].set_index("trial")


class TestCompareWithLeader:
    def test_by_hand(self):
        # b is worse than a in all of six cases, c as good.
        cases = np.arange(6)
        a, b = 0.9 - cases / 100, 0.8 - cases / 50
        sums = sums_of(np.stack([a, b, a], axis=1), np.stack([1 - a, 1 - b, 1 - a], axis=1))
        found = compare_with_leader(sums, "a")
        assert (found.leader, found.level, found.cases, found.smallest_p) == ("a", 0.05, 6, 2 / 64)
        overlap = rows_of(found, "overlap")
        assert overlap.index.tolist() == ["b", "c"]
        assert overlap["against"].tolist() == ["a", "a"]
        assert overlap["region"].tolist() == ["femur", "femur"]
        assert overlap["p"].tolist() == [2 / 64, 1]
        assert overlap["p_holm"].tolist() == [4 / 64, 1]
        assert overlap["cases"].tolist() == [6, 0]
        assert overlap["difference"].tolist() == pytest.approx([-0.125, 0])
        # Points of a case: 2.5 + 2.5 for a and c, 1 + 1 for b.
        score = rows_of(found, "score")
        assert score["region"].tolist() == ["", ""]
        assert score["difference"].tolist() == [-3, 0]
        assert found.mean_ranks.to_dict() == {"a": 1.5, "c": 1.5, "b": 3}

    def test_all_measures_and_regions_but_the_leader(self):
        found = compare_with_leader(sum_cases(stepped_frames(0)), "t2")
        families = found.tests.groupby(["measure", "region"], sort=False)["trial"].agg(list)
        assert families.index.tolist() == [
            ("score", ""),
            ("overlap", "femur"),
            ("distance_px", "femur"),
            ("overlap", "tibia"),
            ("distance_px", "tibia"),
        ]
        assert all(trials == ["t0", "t1", "t3", "t4"] for trials in families)

    def test_the_score_of_a_case_is_that_of_its_frames_alone(self):
        frames = stepped_frames(7)
        found = compare_with_leader(sum_cases(frames), "t0")
        by_case = []
        for _, own in frames.groupby("case", sort=False):
            means = aggregate_frames(own)
            ranked = rank_trials(score_trials(means, unscored_losses=())).set_index("trial")
            by_case.append(ranked["score"])
        scores = pd.concat(by_case, axis=1)
        median = scores.sub(scores.loc["t0"]).median(axis=1)
        difference = rows_of(found, "score")["difference"]
        assert difference.to_dict() == median.drop("t0").to_dict()
        expected = scores.rank(ascending=False).mean(axis=1)
        assert_allclose(found.mean_ranks[expected.index], expected)
        assert found.mean_ranks.is_monotonic_increasing

    def test_an_undefined_distance_is_worse_than_any_and_leaves_no_case_out(self):
        overlap = np.full((6, 3), 0.5)
        leader = np.array([1.0, 2, 3, NAN, NAN, 6])
        b = np.array([NAN, NAN, NAN, NAN, 50, 5])  # worse thrice, equal, better, better by 1
        c = np.array([NAN] * 6)
        found = compare_with_leader(sums_of(overlap, np.stack([leader, b, c], axis=1)), "a")
        distance = rows_of(found, "distance_px")
        assert distance["cases"].tolist() == [5, 4]
        # Sizes inf, inf, inf, 1 and inf rank 3.5, 3.5, 3.5, 1 and 3.5: better in 3.5 + 1.
        assert distance["statistic"].tolist() == [4.5, 0]
        assert distance.loc["c", "p"] == 2 / 2**4
        assert np.isnan(distance.loc["c", "difference"])

    def test_friedmans_test_is_scipys(self):
        sums = random_sums(5, 9)
        scores = sums.scores(sums.each_case)
        found = compare_with_leader(sums, "e")
        assert found.friedman_p == pytest.approx(friedmanchisquare(*scores.T).pvalue)
        assert 0 < found.friedman_p < 1

    def test_two_trials_have_no_friedman_test_and_equal_ones_differ_in_nothing(self):
        assert np.isnan(compare_with_leader(random_sums(2, 5), "a").friedman_p)
        equal = compare_with_leader(sums_of(np.full((4, 3), 0.5), np.full((4, 3), 2.0)), "b")
        assert equal.friedman_p == 1
        assert equal.tests["p_holm"].tolist() == [1] * 6
        assert equal.mean_ranks.tolist() == [2, 2, 2]

    def test_order_of_cases_does_not_matter(self):
        frames = stepped_frames(3)
        turned = pd.concat([own for _, own in reversed(list(frames.groupby("case")))])
        one, other = (compare_with_leader(sum_cases(table), "t0") for table in (frames, turned))
        pd.testing.assert_frame_equal(one.tests, other.tests)

    @pytest.mark.parametrize(
        ("sums", "leader", "message"),
        [
            (random_sums(3, 1), "a", "two cases and two trials or more, got cases=1, trials=3"),
            (random_sums(1, 3), "a", "got cases=3, trials=1"),
            (random_sums(3, 3), "x", "one of the trials, got leader=x"),
        ],
    )
    def test_bad_input(self, sums, leader, message):
        with pytest.raises(ValueError, match=message):
            compare_with_leader(sums, leader)


class TestCriticalDifference:
    def test_demsars_example(self):
        # 4 classifiers on 14 data sets: 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25 (JMLR 7:1-30).
        found = compare_with_leader(random_sums(4, 14), "a")
        assert found.critical_difference == pytest.approx(2.569 * np.sqrt(20 / 84), abs=5e-4)

    @pytest.mark.parametrize("trials", [4, 8])
    def test_it_is_where_nemenyis_p_is_the_level(self, trials):
        sums = random_sums(trials, 12, seed=trials)
        found = compare_with_leader(sums, "a")
        apart = np.abs(np.subtract.outer(*[found.mean_ranks.to_numpy()] * 2))
        order = list(found.mean_ranks.index)
        p = found.nemenyi.loc[order, order].to_numpy()
        beyond = apart > found.critical_difference
        assert (beyond == (p < found.level)).all()
        assert 0 < beyond.sum() < beyond.size - trials

    def test_nemenyi_is_over_the_scores_of_cases(self):
        sums = random_sums(4, 10)
        expected = posthoc_nemenyi_friedman(sums.scores(sums.each_case))
        found = compare_with_leader(sums, "a").nemenyi
        assert found.index.tolist() == found.columns.tolist() == ["a", "b", "c", "d"]
        assert_allclose(found, expected)


def test_measures_are_named_as_everywhere():
    found = compare_with_leader(random_sums(3, 4), "a")
    assert set(found.tests["measure"]) == {keys.SCORE, keys.OVERLAP, keys.DISTANCE_PX}
