import math
from dataclasses import replace

import pytest

from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET, TrialConfig
from tune_knee.point_queue import PointQueue, TrialEnd
from tune_knee.search import TauSearch, storage_in
from tune_knee.search_config import KnownPoint, SearchConfig, SearchSpace
from tune_knee.trial_folder import FAILED, PRUNED, TRAINED

OBJECTIVES = (keys.BEST_OVERLAP, keys.BEST_DISTANCE_PX)
KNOWN = KnownPoint(
    trial=TrialConfig(network="segformer_b2"),
    values={keys.BEST_OVERLAP: 0.5, keys.BEST_DISTANCE_PX: 2.0},
)


def trained(overlap, distance_px=1.0):
    values = {keys.BEST_OVERLAP: overlap, keys.BEST_DISTANCE_PX: distance_px, "train/loss": 0.1}
    return TrialEnd(status=TRAINED, values=values)


class Session:
    """A search in a folder, opened as often as a session starts; remembers what ended."""

    def __init__(self, folder, points, seeds=1):
        self.folder, self.points, self.seeds = folder, points, seeds
        self.ends = {}
        self.open()

    def open(self):
        self.search = TauSearch(
            SearchSpace(networks=("segformer_b2",)),
            SearchConfig(sampler="quasi_random"),
            startup=1,
            budget=PREVIEW_BUDGET,
            storage=storage_in(self.folder),
            name="knees",
        )
        self.queue = PointQueue(
            self.search,
            points=self.points,
            seeds=self.seeds,
            objectives=OBJECTIVES,
            ended=self.ends.get,
        )

    def end(self, trial, end):
        self.ends[trial] = end
        self.queue.end(trial, end)

    def told(self):
        return [(each.state, each.values) for each in self.search.history()]


def values(overlap, distance_px):
    return dict(zip(OBJECTIVES, (overlap, distance_px), strict=True))


def test_every_point_is_handed_out_once_and_told(tmp_path):
    session = Session(tmp_path, points=3)
    trials = [session.queue.next_trial() for _ in range(3)]
    assert len(set(trials)) == 3
    assert session.queue.next_trial() is None
    for trial, overlap in zip(reversed(trials), (0.7, 0.8, 0.9), strict=True):
        session.end(trial, trained(overlap))
    assert session.told() == [("told", values(overlap, 1.0)) for overlap in (0.9, 0.8, 0.7)]


def test_a_point_of_several_seeds_is_told_their_mean_when_the_last_has_ended(tmp_path):
    session = Session(tmp_path, points=2, seeds=3)
    first = [session.queue.next_trial() for _ in range(3)]
    assert first == [replace(first[0], repeat=number) for number in range(3)]
    for trial, overlap in zip(first[1:], (0.6, 0.9), strict=True):
        session.end(trial, trained(overlap, distance_px=overlap * 10))
    assert session.told() == [("open", {})]
    session.end(first[0], trained(0.6, distance_px=6))
    assert session.told() == [("told", pytest.approx(values(0.7, 7.0)))]
    second = [session.queue.next_trial() for _ in range(3)]
    assert second[0] != first[0]
    assert session.queue.next_trial() is None


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((trained(0.6), TrialEnd(status=FAILED)), ("told", values(0.6, 1.0))),
        ((TrialEnd(status=PRUNED), trained(0.6)), ("told", values(0.6, 1.0))),
        ((TrialEnd(status=PRUNED), TrialEnd(status=FAILED)), ("pruned", {})),
        ((TrialEnd(status=FAILED), TrialEnd(status=FAILED)), ("failed", {})),
    ],
)
def test_trials_without_a_result_do_not_count(tmp_path, ends, told):
    session = Session(tmp_path, points=1, seeds=2)
    for end in ends:
        session.end(session.queue.next_trial(), end)
    assert session.told() == [told]


def test_a_distance_that_one_seed_lacks_is_lacking(tmp_path):
    session = Session(tmp_path, points=1, seeds=2)
    for distance_px in (1.0, math.nan):
        session.end(session.queue.next_trial(), trained(0.6, distance_px))
    diagonal = math.sqrt(2) * PREVIEW_BUDGET.image_size_px
    assert session.told() == [("told", pytest.approx(values(0.6, diagonal)))]


def test_an_interrupted_search_hands_out_what_had_not_ended_and_nothing_twice(tmp_path):
    session = Session(tmp_path, points=4, seeds=2)
    trials = [session.queue.next_trial() for _ in range(6)]
    session.end(trials[0], trained(0.5))
    session.end(trials[1], trained(0.7))
    session.end(trials[2], trained(0.6))
    session.ends[trials[4]] = session.ends[trials[5]] = trained(0.9)  # killed before it was told
    session.open()
    left = [session.queue.next_trial() for _ in range(3)]
    assert left[0] == trials[3]
    assert len({*trials, *left}) == 8
    assert session.queue.next_trial() is None
    for trial in left:
        session.end(trial, trained(0.8))
    assert [each["best/overlap"] for _, each in session.told()] == pytest.approx(
        [0.6, 0.7, 0.9, 0.8]
    )
    session.open()
    assert session.queue.next_trial() is None


def test_known_points_are_not_trained_and_do_not_count(tmp_path):
    session = Session(tmp_path, points=2)
    session.search.add_known([KNOWN])
    session.open()
    trials = [session.queue.next_trial() for _ in range(3)]
    assert trials[2] is None
    assert KNOWN.trial not in trials
