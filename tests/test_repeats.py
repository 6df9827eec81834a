from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_search import made_search
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from analysis.absent import Absent
from analysis.repeats import analyse_repeats
from analysis.search import DISTANCE, OVERLAP, TAU
from tune_knee import keys
from tune_knee.config import NETWORKS

NETWORK = NETWORKS[0]


@cache
def points_and_seeds(points, seeds):
    return made_search(points=points, seeds=seeds).finished


def repeated(values):
    """Finished trials: a list of values for each point."""
    trials = points_and_seeds(len(values), max(map(len, values)))
    rows = []
    for point, (_, group) in enumerate(trials.groupby(list(TAU), sort=False)):
        kept = group.head(len(values[point])).copy()
        kept[OVERLAP.key] = values[point]
        rows.append(kept)
    return pd.concat(rows, ignore_index=True)


def split(values):
    return analyse_repeats(repeated(values), NETWORK, OVERLAP)


class TestSplit:
    def test_hand_computed(self):
        """Means 1, 2, 6; B = 2 x 14 / 2 = 14, W = (2 + 2 + 2) / 3 = 2; n₀ = 2."""
        found = split([[0.0, 2.0], [1.0, 3.0], [5.0, 7.0]])
        assert found.seed_sd == pytest.approx(np.sqrt(2))
        assert found.point_variance == pytest.approx((14 - 2) / 2)
        assert found.point_sd == pytest.approx(np.sqrt(6))
        assert found.icc == pytest.approx((14 - 2) / (14 + 2))
        assert list(found.points["mean"]) == [6, 2, 1]
        assert found.points["sd"].to_numpy() == pytest.approx(np.sqrt(2))

    def test_unequal_numbers_agree_with_statsmodels(self):
        values = [[0.1, 0.2, 0.4], [0.5, 0.6], [0.3, 0.7, 0.8, 0.2]]
        found = split(values)
        flat = pd.DataFrame(
            [(str(point), value) for point, several in enumerate(values) for value in several],
            columns=["point", "value"],
        )
        table = anova_lm(ols("value ~ C(point)", flat).fit())
        between, within = table["mean_sq"]
        n0 = (9 - (9 + 4 + 16) / 9) / 2
        assert found.seed_sd**2 == pytest.approx(within)
        assert found.point_variance == pytest.approx((between - within) / n0)

    def test_shrout_and_fleiss(self):
        """Their example (1979, table 2): six targets, four judges, ICC(1,1) = 0.17."""
        ratings = [
            [9, 2, 5, 8],
            [6, 1, 3, 2],
            [8, 4, 6, 8],
            [7, 1, 2, 6],
            [10, 5, 6, 9],
            [6, 2, 4, 7],
        ]
        found = split([[float(value) for value in row] for row in ratings])
        assert found.icc == pytest.approx(0.1657, abs=5e-5)
        assert found.icc_interval == pytest.approx((-0.1329, 0.7226), abs=5e-4)

    def test_below_zero_where_points_are_alike(self):
        found = split([[0.0, 1.0], [0.0, 1.0]])
        assert found.point_variance < 0
        assert found.icc < 0
        assert found.point_sd == 0

    def test_intervals_hold_what_was_put_in(self):
        rng = np.random.default_rng(0)
        inside = []
        for _ in range(60):
            means = rng.normal(0, 2, 12)
            found = split([[*rng.normal(mean, 1, 3)] for mean in means])
            inside.append(
                (
                    found.seed_sd_interval[0] < 1 < found.seed_sd_interval[1],
                    found.icc_interval[0] < 0.8 < found.icc_interval[1],
                )
            )
        shares = np.mean(inside, axis=0)
        assert (shares > 0.85).all()
        assert (shares < 1).all()

    @settings(max_examples=20)
    @given(st.floats(-5, 5), st.floats(0.1, 5))
    def test_moving_and_stretching_moves_and_stretches(self, shift, factor):
        values = np.array([[0.1, 0.4], [0.6, 0.5], [0.9, 0.7]])
        found, moved = split(values.tolist()), split((shift + factor * values).tolist())
        assert moved.seed_sd == pytest.approx(factor * found.seed_sd)
        assert moved.point_sd == pytest.approx(factor * found.point_sd)
        assert moved.icc == pytest.approx(found.icc)

    def test_order_changes_nothing(self):
        trials = made_search(points=6, seeds=3).finished
        found, again = (
            analyse_repeats(rows, NETWORK, OVERLAP)
            for rows in (trials, trials.sample(frac=1, random_state=1))
        )
        assert again.icc == pytest.approx(found.icc)
        assert list(again.points["mean"]) == pytest.approx(list(found.points["mean"]))


class TestWhichTrials:
    def test_distances_best_first_is_least_first(self):
        found = analyse_repeats(made_search(points=5, seeds=2).finished, NETWORK, DISTANCE)
        assert found.points["mean"].is_monotonic_increasing

    def test_points_with_one_seed_are_left_out(self):
        found = split([[0.1, 0.2], [0.5, 0.6], [0.9]])
        assert len(found.points) == 2
        assert len(found.trials) == 4
        assert found.missing == 0

    def test_missing_values_are_left_out_and_counted(self):
        found = split([[0.1, 0.2, np.nan], [0.5, 0.6, 0.7], [0.9, np.nan]])
        assert list(found.points["seeds"]) == [3, 2]
        assert found.missing == 2

    def test_other_learning_rates_are_other_points(self):
        trials = repeated([[0.1, 0.2], [0.5, 0.6], [0.7, 0.9]])
        trials[keys.LEARNING_RATE] = np.where(trials[keys.REPEAT] == 0, 1e-3, 1e-4)
        assert isinstance(analyse_repeats(trials, NETWORK, OVERLAP), Absent)

    def test_needs_two_points(self):
        assert "there are 1" in split([[0.1, 0.2], [0.5]]).reason
        trials = made_search(points=6, seeds=2, networks=NETWORKS[:2]).finished
        assert "there are 0" in analyse_repeats(trials, "pspnet", OVERLAP).reason

    def test_needs_noise(self):
        assert "never differ" in split([[0.1, 0.1], [0.5, 0.5]]).reason
