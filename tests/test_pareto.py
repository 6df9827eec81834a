from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.pareto import ReferencePoint, hypervolume, non_dominated, pareto_front
from analysis.search import DISTANCE, OVERLAP

NAN = float("nan")
# Few different values, so that ties are common.
POINTS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9]), st.sampled_from([1.0, 2.0, 5.0, 9.0, NAN])),
    max_size=9,
)


def table(points):
    return pd.DataFrame(points, columns=[OVERLAP.key, DISTANCE.key], dtype=float)


class TestNonDominated:
    def test_by_hand(self):
        cost = np.array([3.0, 1.0, 2.0, 2.0, 4.0])
        value = np.array([0.9, 0.5, 0.7, 0.8, 0.9])
        assert non_dominated(cost, value).tolist() == [1, 3, 0]

    def test_equals_stand_side_by_side(self):
        cost, value = np.array([2.0, 1.0, 2.0, 3.0, np.inf]), np.array([0.9, 0.5, 0.9, 0.9, 0.9])
        assert non_dominated(cost, value).tolist() == [1, 0, 2]

    def test_infinite_costs_are_equals(self):
        assert non_dominated(np.full(3, np.inf), np.array([0.5, 0.9, 0.9])).tolist() == [1, 2]

    def test_of_nothing_is_nothing(self):
        assert non_dominated(np.array([]), np.array([])).tolist() == []

    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
    def test_is_what_no_other_beats(self, points):
        cost, value = np.array(points, dtype=float).T
        front = non_dominated(cost, value)
        kept = {points[number] for number in front}
        beaten = {
            one
            for one, other in product(points, points)
            if other[0] <= one[0] and other[1] >= one[1] and other != one
        }
        assert kept == set(points) - beaten
        assert len(front) == sum(points.count(point) for point in kept) == len(set(front))
        assert (np.diff(cost[front]) >= 0).all()


class TestFront:
    def test_hand_made(self):
        trials = table([(0.9, 5), (0.8, 3), (0.8, 4), (0.7, 2), (0.6, 2), (0.95, 9)])
        assert list(pareto_front(trials).index) == [3, 1, 0, 5]

    def test_equals_stand_side_by_side(self):
        assert list(pareto_front(table([(0.9, 2), (0.9, 2), (0.9, 3)])).index) == [0, 1]

    def test_a_missing_distance_is_worse_than_any(self):
        assert list(pareto_front(table([(0.8, NAN), (0.8, 50)])).index) == [1]
        assert list(pareto_front(table([(0.9, NAN), (0.8, 50)])).index) == [1, 0]

    def test_without_overlap_never(self):
        assert list(pareto_front(table([(NAN, 1), (0.1, 50)])).index) == [1]
        assert pareto_front(table([])).empty

    @given(POINTS)
    def test_is_what_asking_every_pair_finds(self, points):
        def beats(one, other):
            far, near = (np.inf if np.isnan(p[1]) else p[1] for p in (other, one))
            return one[0] >= other[0] and near <= far and (one[0] > other[0] or near < far)

        expected = {
            n for n, point in enumerate(points) if not any(beats(other, point) for other in points)
        }
        assert set(pareto_front(table(points)).index) == expected

    @given(POINTS, st.randoms())
    def test_order_changes_nothing(self, points, random):
        shuffled = random.sample(points, len(points))
        front, again = (pareto_front(table(rows)).to_numpy() for rows in (points, shuffled))
        np.testing.assert_array_equal(front, again)


class TestHypervolume:
    def test_hand_made(self):
        """Two rectangles: 0.5 high over 2 to 4 px, 0.7 over 4 to 10 px."""
        trials = table([(0.7, 2), (0.9, 4), (0.5, 3), (0.9, 6)])
        reference = ReferencePoint(overlap=0.2, distance_px=10)
        assert hypervolume(trials, reference) == pytest.approx(0.5 * 2 + 0.7 * 6)

    def test_nothing_beyond_the_reference(self):
        reference = ReferencePoint(overlap=0.5, distance_px=5)
        assert hypervolume(table([(0.5, 1), (0.9, 5), (0.9, NAN), (NAN, 1)]), reference) == 0
        assert hypervolume(table([]), reference) == 0

    @given(POINTS)
    def test_counts_the_cells_that_are_dominated(self, points):
        cells = [(o / 20, d / 2) for o in range(20) for d in range(20)]
        dominated = sum(
            any(overlap >= o + 0.05 - 1e-9 and distance <= d for overlap, distance in points)
            for o, d in cells
        )
        found = hypervolume(table(points), ReferencePoint(overlap=0, distance_px=10))
        assert found == pytest.approx(dominated * 0.05 * 0.5)

    @given(POINTS, POINTS)
    def test_more_trials_never_take_away(self, points, others):
        reference = ReferencePoint(overlap=0, distance_px=10)
        more = hypervolume(table(points + others), reference)
        assert more >= hypervolume(table(points), reference) - 1e-12


class TestReference:
    def test_worst_of_what_there_is(self):
        reference = ReferencePoint.worst_of(table([(0.3, 2), (0.9, NAN), (0.5, 7)]))
        assert reference == ReferencePoint(overlap=0.3, distance_px=7.0)

    def test_needs_both(self):
        with pytest.raises(ValueError, match=r"needs an overlap and a distance, got .*=nan"):
            ReferencePoint.worst_of(table([(0.3, NAN)]))
