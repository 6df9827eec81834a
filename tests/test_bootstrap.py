import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from stepped_frames import stepped_frames

from analysis import bootstrap
from analysis.aggregate import aggregate_frames
from analysis.bootstrap import Bootstrap, bootstrap_cases, draw_cases
from analysis.case_sums import sum_cases
from analysis.ranking import rank_trials, score_trials


def ranked_slowly(frames: pd.DataFrame, cases: list[str]) -> pd.DataFrame:
    """The ranking of the frames of these cases, some of them several times."""
    drawn = [
        frames[frames["case"] == case].assign(case=f"draw {number}")
        for number, case in enumerate(cases)
    ]
    means = aggregate_frames(pd.concat(drawn))
    return rank_trials(score_trials(means, unscored_losses=())).set_index("trial")


class TestBootstrapCases:
    @pytest.mark.parametrize("seed", range(3))
    def test_agrees_with_resampling_frames(self, seed):
        frames = stepped_frames(seed, trials=6, cases=5)
        sums = sum_cases(frames)
        found = bootstrap_cases(sums, draws=40, seed=seed)
        for draw, times in enumerate(draw_cases(5, draws=40, seed=seed)):
            ranked = ranked_slowly(frames, np.repeat(sums.cases, times).tolist())
            assert_array_equal(found.scores[draw], ranked.loc[list(sums.trials), "score"])
            assert_array_equal(found.ranks[draw], ranked.loc[list(sums.trials), "rank"])

    def test_the_seed_is_honoured(self):
        sums = sum_cases(stepped_frames(1))
        one, same, other = (bootstrap_cases(sums, draws=50, seed=seed) for seed in (4, 4, 5))
        assert_array_equal(one.scores, same.scores)
        assert_array_equal(one.ranks, same.ranks)
        assert (one.scores != other.scores).any()
        assert (one.seed, one.draws, one.cases, one.trials) == (4, 50, 4, sums.trials)

    @pytest.mark.parametrize("chunk", [1, 100, 10**9])
    def test_the_memory_it_takes_changes_nothing(self, chunk, monkeypatch):
        sums = sum_cases(stepped_frames(2))
        expected = bootstrap_cases(sums, draws=30)
        monkeypatch.setattr(bootstrap, "_CHUNK", chunk)
        assert_array_equal(bootstrap_cases(sums, draws=30).scores, expected.scores)

    def test_equal_trials_are_never_parted(self):
        ranks = bootstrap_cases(sum_cases(stepped_frames(0)), draws=200).ranks
        assert_array_equal(ranks[:, 0], ranks[:, 1])

    @pytest.mark.parametrize(
        ("cases", "draws", "message"),
        [(1, 10, "two cases or more .* cases=1"), (3, 0, "1 or more, got draws=0")],
    )
    def test_bad_input(self, cases, draws, message):
        with pytest.raises(ValueError, match=message):
            bootstrap_cases(sum_cases(stepped_frames(0, cases=cases)), draws=draws)


class TestDrawCases:
    def test_as_many_as_there_are_each_as_often(self):
        times = draw_cases(14, draws=20_000, seed=0)
        assert times.shape == (20_000, 14)
        assert (times.sum(axis=1) == 14).all()
        assert times.mean(axis=0) == pytest.approx(np.ones(14), abs=0.05)
        assert (times == 0).mean() == pytest.approx((13 / 14) ** 14, abs=0.01)


def made(scores: list[list[float]], ranks: list[list[float]]) -> Bootstrap:
    return Bootstrap(
        trials=("a", "b"),
        cases=3,
        draws=len(scores),
        seed=0,
        scores=np.array(scores, dtype=float),
        ranks=np.array(ranks, dtype=float),
    )


class TestIntervals:
    def test_by_hand(self):
        scores = [[score, 50] for score in range(101, 141)]
        ranks = [[1, 2]] * 38 + [[1, 1]] + [[2, 1]]
        a, b = made(scores, ranks).intervals().to_dict("records")
        # At most one of 40 draws lies beyond either bound.
        assert (a["score_low"], a["score_median"], a["score_high"]) == (102, 120, 139)
        assert (a["rank_low"], a["rank_median"], a["rank_high"]) == (1, 1, 1)
        assert (b["rank_low"], b["rank_median"], b["rank_high"]) == (1, 2, 2)
        assert (a["trial"], a["first_share"], b["first_share"]) == ("a", 39 / 40, 2 / 40)

    def test_bounds_hold_at_least_the_level(self):
        found = bootstrap_cases(sum_cases(stepped_frames(4)), draws=500)
        for level in (0.5, 0.9, 0.95):
            table = found.intervals(level)
            low, high = (table[name].to_numpy() for name in ("rank_low", "rank_high"))
            inside = (found.ranks >= low) & (found.ranks <= high)
            assert (inside.mean(axis=0) >= level).all()

    @pytest.mark.parametrize("level", [0, 1, 95])
    def test_a_level_is_a_share(self, level):
        with pytest.raises(ValueError, match=f"between 0 and 1, got level={level}"):
            made([[1, 2]], [[2, 1]]).intervals(level)
