import dataclasses
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from stepped_frames import stepped_frames

from analysis.aggregate import aggregate_frames
from analysis.findings import find, tie_range
from analysis.ranking import rank_trials, score_trials

NAN = float("nan")
KINDS = {
    "t0": ("unet", "ce2"),
    "t1": ("unet", "ce2+dice"),
    "t2": ("pspnet", "ce2"),
    "t3": ("pspnet", "ce2+dice"),
    "t4": ("pspnet", "ce1"),
}
LABELS = {trial: f"{network} {loss}" for trial, (network, loss) in KINDS.items()}


def kinds_and_means(frames: pd.DataFrame) -> pd.DataFrame:
    means = aggregate_frames(frames)
    kinds = [KINDS[trial] for trial in means["trial"]]
    return means.assign(network=[kind[0] for kind in kinds], loss=[kind[1] for kind in kinds])


class TestFind:
    def test_its_parts_speak_of_the_same_trials(self):
        frames = stepped_frames(0, cases=5)
        found = find(frames, kinds_and_means(frames), LABELS, draws=60, seed=3)
        scored = {"t0", "t1", "t2", "t3"}  # t4 is ce1
        leader = found.ranking["trial"].iloc[0]
        assert set(found.ranking["trial"]) == set(found.scores["trial"]) == scored
        assert found.tie_range["trial"].tolist() == found.ranking["trial"].tolist()
        assert set(found.bootstrap.trials) == scored
        assert (found.bootstrap.draws, found.bootstrap.seed, found.bootstrap.cases) == (60, 3, 5)
        assert found.significance.leader == leader
        assert set(found.significance.tests["trial"]) == scored - {leader}
        assert found.alternatives[0].scores.equals(found.ranking)
        assert found.agreement.index.tolist() == [way.name for way in found.alternatives]
        assert found.region_agreement.columns.tolist() == ["femur", "tibia"]
        assert LABELS[leader] in found.verdict.headline

    def test_one_case_has_no_intervals_and_no_tests(self):
        frames = stepped_frames(0, cases=1)
        found = find(frames, kinds_and_means(frames), LABELS)
        assert found.bootstrap is None
        assert found.significance is None
        assert found.verdict.headline.endswith("a single case cannot say how surely")

    def test_the_same_seed_finds_the_same(self):
        frames = stepped_frames(1)
        one, same = (
            find(frames, kinds_and_means(frames), LABELS, draws=20, seed=9) for _ in range(2)
        )
        assert one.verdict == same.verdict
        assert np.array_equal(one.bootstrap.scores, same.bootstrap.scores)

    def test_the_findings_cannot_be_changed(self):
        frames = stepped_frames(1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            find(frames, kinds_and_means(frames), LABELS, draws=5).scores = None

    def test_one_scored_trial_is_not_enough(self):
        frames = stepped_frames(0).query("trial in ('t0', 't4')")
        with pytest.raises(ValueError, match=r"two scored trials or more .* got 1"):
            find(frames, kinds_and_means(frames), LABELS)

    def test_a_trial_without_frames_is_named(self):
        frames = stepped_frames(0)
        with pytest.raises(ValueError, match=r"got 1 without, e\.g\. trial=t2"):
            find(frames[frames["trial"] != "t2"], kinds_and_means(frames), LABELS)

    def test_trials_of_other_frames_are_not_compared(self):
        frames = stepped_frames(0)
        fewer = frames[~((frames["trial"] == "t1") & (frames["case"] == "k0"))]
        with pytest.raises(ValueError, match=r"on the same frames, .* trial=t1 has case=k0"):
            find(fewer, kinds_and_means(fewer), LABELS)


def means(overlap: dict[str, list[float]], distance: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        (f"t{number}", region, "ce2", overlap[region][number], distance[region][number])
        for region in overlap
        for number in range(len(overlap[region]))
    ]
    return pd.DataFrame(rows, columns=["trial", "region", "loss", "overlap", "distance_px"])


def order_by_breaking(values: list[float], chosen: tuple[int, ...]) -> np.ndarray:
    """Points 1 to N, ties broken by the place of a trial in `chosen`."""
    last = [-np.inf if np.isnan(value) else value for value in values]
    points = np.empty(len(values))
    ordered = sorted(range(len(values)), key=lambda n: (last[n], chosen.index(n)))
    points[ordered] = np.arange(1, len(values) + 1)
    return points


class TestTieRange:
    def test_by_hand(self):
        # t0 and t1 tie on the overlap alone.
        table = means({"femur": [0.9, 0.9, 0.5]}, {"femur": [2.0, 1.5, 3.0]})
        found = tie_range(table, rank_trials(score_trials(table)))
        assert found.columns.tolist() == ["trial", "score_min", "score_max", "rank_min", "rank_max"]
        assert found.to_numpy().tolist() == [
            ["t1", 5, 6, 1, 1],
            ["t0", 4, 5, 1, 2],
            ["t2", 2, 2, 3, 3],
        ]

    def test_without_ties_there_is_no_range(self):
        table = means({"femur": [0.9, 0.8, 0.5]}, {"femur": [2.0, 1.5, 3.0]})
        ranking = rank_trials(score_trials(table))
        found = tie_range(table, ranking)
        assert found["score_min"].tolist() == found["score_max"].tolist()
        assert found["rank_min"].tolist() == ranking["rank"].tolist()
        # t0 and t1 have equal totals: nothing to break puts either behind.
        assert found["rank_max"].tolist() == ranking["rank"].tolist()

    @pytest.mark.parametrize("seed", range(6))
    def test_holds_every_way_of_breaking_ties(self, seed):
        rng = np.random.default_rng(seed)
        few = np.array([0.0, 0.5, 1.0, NAN])
        overlap, distance = ({"x": list(rng.choice(few[:n], 4))} for n in (3, 4))
        table = means(overlap, distance)
        found = tie_range(table, rank_trials(score_trials(table))).set_index("trial").sort_index()
        ways = list(product(permutations(range(4)), repeat=2))
        totals = np.array(
            [
                order_by_breaking(overlap["x"], one)
                + order_by_breaking([-value for value in distance["x"]], other)
                for one, other in ways
            ]
        )
        assert found["score_min"].tolist() == totals.min(axis=0).tolist()
        assert found["score_max"].tolist() == totals.max(axis=0).tolist()
        ranks = 1 + (totals[:, None, :] > totals[:, :, None]).sum(axis=2)
        assert (ranks.min(axis=0) >= found["rank_min"]).all()
        assert (ranks.max(axis=0) <= found["rank_max"]).all()
        # Each pair apart it is exact: who can be ahead of whom.
        can_lead = found["score_max"].to_numpy()[:, None] > found["score_min"].to_numpy()
        ever_ahead = (totals[:, :, None] > totals[:, None, :]).any(axis=0)
        off_diagonal = ~np.eye(4, dtype=bool)
        assert (can_lead == ever_ahead)[off_diagonal].all()
