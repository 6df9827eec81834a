import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from stepped_frames import COLUMNS, stepped_frames

from analysis.aggregate import aggregate_frames
from analysis.case_sums import CaseSums, sum_cases
from analysis.ranking import rank_trials, score_trials

NAN = float("nan")


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def laid_out(means: pd.DataFrame, column: str, sums: CaseSums) -> np.ndarray:
    wide = means.pivot_table(column, "trial", "region", dropna=False)
    return wide.loc[list(sums.trials), list(sums.regions)].to_numpy()


class TestMeans:
    def test_by_hand(self):
        sums = sum_cases(
            table(
                ("a", "k1", 0, "femur", 0.8, 0.8, 0.8, 0.8, 2.0, 1.0),
                ("a", "k1", 1, "femur", 0.0, 0.0, 0.0, 0.0, NAN, NAN),
                ("a", "k2", 0, "femur", 0.2, 0.4, 0.6, 0.8, 6.0, 3.0),
            )
        )
        assert (sums.trials, sums.cases, sums.regions) == (("a",), ("k1", "k2"), ("femur",))
        overlap, distance_px = sums.means([[1, 0], [0, 1], [2, 1]])
        assert_allclose(overlap[:, 0, 0], [0.4, 0.5, (4 * 0.4 + 0.5) / 5])
        assert_allclose(distance_px[:, 0, 0], [1.5, 4.5, (2 * 1.5 + 4.5) / 3])

    @settings(max_examples=30)
    @given(st.integers(0, 1000))
    def test_of_each_case_once_are_those_of_all_frames(self, seed):
        frames = stepped_frames(seed)
        sums, means = sum_cases(frames), aggregate_frames(frames)
        overlap, distance_px = sums.means(np.ones(len(sums.cases)))
        assert_allclose(overlap, laid_out(means, "overlap", sums), rtol=1e-15)
        assert_allclose(distance_px, laid_out(means, "distance_px", sums), rtol=1e-15)

    @settings(max_examples=30)
    @given(st.integers(0, 1000))
    def test_of_one_case_are_those_of_its_frames(self, seed):
        frames = stepped_frames(seed)
        sums = sum_cases(frames)
        overlap, distance_px = sums.means(sums.each_case)
        for number, case in enumerate(sums.cases):
            means = aggregate_frames(frames[frames["case"] == case])
            assert_allclose(overlap[number], laid_out(means, "overlap", sums))
            assert_allclose(distance_px[number], laid_out(means, "distance_px", sums))

    def test_without_a_defined_distance_there_is_none(self):
        sums = sum_cases(stepped_frames(0))
        overlap, distance_px = sums.means(np.ones(4))
        assert overlap[-1, -1] == 0
        assert np.isnan(distance_px[-1, -1])

    def test_a_distance_of_one_kind_alone_is_none(self):
        sums = sum_cases(table(("a", "k1", 0, "femur", 0.5, 0.5, 0.5, 0.5, 2.0, NAN)))
        assert np.isnan(sums.means([1])[1]).all()

    def test_equal_trials_stay_equal_in_every_choice(self):
        rng = np.random.default_rng(1)
        frames = stepped_frames(0, trials=2).drop(columns=["hd95_px", "assd_px"])
        frames[["iou", "dice", "precision", "recall"]] = np.tile(
            rng.random((len(frames) // 2, 4)), (2, 1)
        )
        frames = frames.assign(hd95_px=1 - frames["iou"], assd_px=1 - frames["dice"])
        overlap, distance_px = sum_cases(frames).means(rng.integers(0, 5, (500, 4)) + 1)
        assert_array_equal(overlap[:, 0], overlap[:, 1])
        assert_array_equal(distance_px[:, 0], distance_px[:, 1])


class TestScores:
    def test_are_the_ranking_of_the_chosen_frames(self):
        frames = stepped_frames(3)
        sums = sum_cases(frames)
        scores = rank_trials(score_trials(aggregate_frames(frames), unscored_losses=()))
        expected = scores.set_index("trial")["score"][list(sums.trials)]
        assert_array_equal(sums.scores(np.ones(4)), expected)

    def test_have_the_shape_of_the_choices(self):
        sums = sum_cases(stepped_frames(3))
        assert sums.scores(np.ones((2, 3, 4))).shape == (2, 3, 5)
        assert sums.scores(sums.each_case).shape == (4, 5)


class TestSumCases:
    def test_order_of_rows_does_not_matter(self):
        frames = stepped_frames(5)
        sums, moved = sum_cases(frames), sum_cases(frames.sample(frac=1, random_state=2))
        assert set(moved.trials) == set(sums.trials)
        order = [moved.trials.index(trial) for trial in sums.trials]
        moved_scores = moved.scores(np.ones(4))[order]
        assert_array_equal(moved_scores, sums.scores(np.ones(4)))

    def test_a_missing_row_is_named(self):
        frames = stepped_frames(0)
        lost = (frames["trial"] == "t2") & (frames["case"] == "k1") & (frames["frame"] == 0)
        lost &= frames["region"] == "tibia"
        with pytest.raises(
            ValueError, match=r"got 1 rows .*trial=t2 has case=k1 frame=0 region=tibia 0 times"
        ):
            sum_cases(frames[~lost])

    def test_a_repeated_row_is_named(self):
        frames = stepped_frames(0)
        with pytest.raises(ValueError, match="trial=t0 has case=k0 frame=0 region=femur 2 times"):
            sum_cases(pd.concat([frames, frames.iloc[[0]]]))

    def test_a_trial_of_other_frames_is_named(self):
        frames = stepped_frames(0)
        frames.loc[frames["trial"] == "t3", "frame"] += 10
        with pytest.raises(ValueError, match="tested once on the same frames"):
            sum_cases(frames)
