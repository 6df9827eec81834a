import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from analysis.ranking import (
    rank_sum_score,
    rank_sum_scores,
    rank_trials,
    score_metrics,
    score_trials,
)

NAN = float("nan")


def numbers(n: int) -> st.SearchStrategy[np.ndarray]:
    """Values of N models, with ties, and now and then a missing one."""
    few = st.sampled_from([0.0, 0.1, 0.5, 0.9, NAN])
    return hnp.arrays(np.float64, n, elements=few | st.floats(0, 300))


models = st.integers(1, 12).flatmap(lambda n: st.tuples(numbers(n), numbers(n)))
two_or_more = st.integers(2, 12).flatmap(lambda n: st.tuples(numbers(n), numbers(n)))


class TestRankSumScore:
    def test_three_models_by_hand(self):
        # overlap gives 3, 1, 2 points; distance 2, 3, 1.
        assert_array_equal(rank_sum_score([0.9, 0.7, 0.8], [2.0, 1.5, 4.0]), [5, 4, 3])

    @pytest.mark.parametrize(
        ("ties", "expected"),
        [("average", [5.5, 4.5, 2]), ("min", [5, 4, 2]), ("max", [6, 5, 2])],
    )
    def test_equal_values_share_points_as_the_rule_says(self, ties, expected):
        assert_array_equal(rank_sum_score([0.9, 0.9, 0.7], [1.0, 2.0, 3.0], ties=ties), expected)

    def test_a_region_never_found_has_the_minimum_of_the_paper(self):
        assert rank_sum_score([0.5, 0.0, 0.9], [200.0, NAN, 2.0])[1] == 2

    @pytest.mark.parametrize(("ties", "expected"), [("average", 3), ("min", 2), ("max", 4)])
    def test_two_that_never_find_it_tie(self, ties, expected):
        scores = rank_sum_score([0.0, 0.0, 0.9], [NAN, NAN, 2.0], ties=ties)
        assert_array_equal(scores[:2], [expected, expected])

    def test_a_missing_value_ranks_below_the_worst_number(self):
        assert_array_equal(rank_sum_score([NAN, 0.0], [NAN, 1e300]), [2, 4])

    def test_one_model_and_none(self):
        assert_array_equal(rank_sum_score([0.3], [9.0]), [2])
        assert rank_sum_score([], []).shape == (0,)

    @pytest.mark.parametrize(
        ("overlap", "distance_px", "ties", "message"),
        [
            ([0.1, 0.2], [1.0], "average", r"one shape \(N,\)"),
            ([[0.1]], [[1.0]], "average", r"one shape \(N,\)"),
            (0.1, 1.0, "average", r"one shape \(N,\)"),
            ([0.1], [float("inf")], "average", "must be finite or NaN"),
            ([0.1], [1.0], "dense", "ties must be one of average, min, max, got ties=dense"),
        ],
    )
    def test_bad_input(self, overlap, distance_px, ties, message):
        with pytest.raises(ValueError, match=message):
            rank_sum_score(overlap, distance_px, ties=ties)

    @given(models)
    def test_average_scores_sum_to_n_times_n_plus_1(self, pair):
        n = len(pair[0])
        assert rank_sum_score(*pair).sum() == n * (n + 1)

    @given(models, st.sampled_from(["average", "min", "max"]))
    def test_scores_lie_between_2_and_2n_and_min_below_average_below_max(self, pair, ties):
        scores = rank_sum_score(*pair, ties=ties)
        assert ((scores >= 2) & (scores <= 2 * len(scores))).all()
        assert (rank_sum_score(*pair, ties="min") <= scores).all()
        assert (rank_sum_score(*pair, ties="max") >= scores).all()

    @given(models, st.randoms(use_true_random=False))
    def test_order_of_models_does_not_matter(self, pair, random):
        order = np.array(random.sample(range(len(pair[0])), len(pair[0])))
        moved = rank_sum_score(pair[0][order], pair[1][order])
        assert_array_equal(moved, rank_sum_score(*pair)[order])

    @given(two_or_more, st.sampled_from(["average", "min", "max"]))
    def test_a_better_model_never_scores_less_and_an_equal_one_the_same(self, pair, ties):
        overlap, distance = pair
        # A missing value is the worst of all, so compare with it as such.
        high = np.where(np.isnan(overlap), -np.inf, overlap)
        low = np.where(np.isnan(distance), np.inf, distance)
        scores = rank_sum_score(overlap, distance, ties=ties)
        for i in range(len(scores)):
            at_least = (high >= high[i]) & (low <= low[i])
            equal = (high == high[i]) & (low == low[i])
            assert (scores[at_least] >= scores[i]).all()
            assert (scores[equal] == scores[i]).all()
            assert (scores[at_least & ~equal] > scores[i]).all()

    @given(models)
    def test_only_the_order_of_values_counts(self, pair):
        assert_array_equal(rank_sum_score(4 * pair[0], 2 * pair[1]), rank_sum_score(*pair))


class TestRankSumScores:
    @given(st.data(), st.sampled_from(["average", "min", "max"]))
    def test_each_ranking_is_that_of_its_models_alone(self, data, ties):
        shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6)))
        values = hnp.arrays(np.float64, (2, *shape), elements=st.sampled_from([0.0, 0.5, 2.0, NAN]))
        overlap, distance = data.draw(values)
        scores = rank_sum_scores(overlap, distance, ties=ties)
        assert scores.shape == shape
        for at in np.ndindex(shape[:-1]):
            assert_array_equal(scores[at], rank_sum_score(overlap[at], distance[at], ties=ties))

    @pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
    def test_no_rankings_and_no_models(self, shape):
        assert rank_sum_scores(np.empty(shape), np.empty(shape)).shape == shape

    @pytest.mark.parametrize(
        ("overlap", "distance_px", "message"),
        [
            ([[0.1, 0.2]], [0.1, 0.2], r"one shape \(\.\.\., N\), got overlap \(1, 2\)"),
            (0.1, 1.0, r"one shape \(\.\.\., N\)"),
            ([[0.1]], [[float("-inf")]], "must be finite or NaN"),
        ],
    )
    def test_bad_input(self, overlap, distance_px, message):
        with pytest.raises(ValueError, match=message):
            rank_sum_scores(overlap, distance_px)


def two_regions() -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("a", "ce2", "femur", 0.9, 1.0),
            ("a", "ce2", "tibia", 0.9, 2.0),
            ("b", "ce2", "femur", 0.8, 2.0),
            ("b", "ce2", "tibia", 0.8, 1.0),
            ("c", "ce1", "femur", 0.95, 0.5),
            ("c", "ce1", "tibia", 0.95, 0.5),
        ],
        columns=["trial", "loss", "region", "overlap", "distance_px"],
    )


class TestScoreTrials:
    def test_regions_are_ranked_apart_and_ce1_neither_has_nor_takes_points(self):
        scores = score_trials(two_regions())
        assert scores.to_numpy().tolist() == [
            ["a", "femur", 4.0],
            ["a", "tibia", 3.0],
            ["b", "femur", 2.0],
            ["b", "tibia", 3.0],
        ]

    def test_all_can_be_scored(self):
        ranked = rank_trials(score_trials(two_regions(), unscored_losses=()))
        assert ranked.to_numpy().tolist() == [["c", 12.0, 1], ["a", 7.0, 2], ["b", 5.0, 3]]

    def test_no_loss_is_needed_where_none_is_left_out(self):
        table = two_regions().drop(columns="loss")
        assert len(score_trials(table, unscored_losses=())) == 6
        with pytest.raises(ValueError, match="got no loss"):
            score_trials(table)

    def test_only_unscored_trials_give_an_empty_table(self):
        table = two_regions().query("loss == 'ce1'")
        assert score_trials(table).columns.tolist() == ["trial", "region", "score"]
        assert rank_trials(score_trials(table)).empty

    def test_row_order_and_index_do_not_matter(self):
        table = two_regions()
        shuffled = table.sample(frac=1, random_state=3)
        merged = score_trials(table).merge(score_trials(shuffled), on=["trial", "region"])
        assert len(merged) == 4
        assert merged["score_x"].tolist() == merged["score_y"].tolist()

    def test_a_missing_region_is_named(self):
        with pytest.raises(ValueError, match="trial=b has region=tibia 0 times"):
            score_trials(two_regions().drop(index=3))

    def test_a_repeated_region_is_named(self):
        table = pd.concat([two_regions(), two_regions().iloc[[0]]])
        with pytest.raises(ValueError, match="trial=a has region=femur 2 times"):
            score_trials(table)


class TestRankTrials:
    def test_equal_totals_share_the_better_rank_in_their_order(self):
        scores = pd.DataFrame(
            {"trial": list("abcd"), "region": "femur", "score": [3.0, 5.5, 5.5, 6.0]}
        )
        ranked = rank_trials(scores)
        assert ranked.to_numpy().tolist() == [
            ["d", 6.0, 1],
            ["b", 5.5, 2],
            ["c", 5.5, 2],
            ["a", 3.0, 4],
        ]

    def test_names_in_mlflow(self):
        assert score_metrics(score_trials(two_regions())) == {
            "a": {"test/femur/score": 4.0, "test/tibia/score": 3.0, "test/score": 7.0},
            "b": {"test/femur/score": 2.0, "test/tibia/score": 3.0, "test/score": 5.0},
        }
