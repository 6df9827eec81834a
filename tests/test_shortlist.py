from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_search import BEST, made_search

from analysis.response import Response, fit_response
from analysis.search import DISTANCE, OVERLAP
from analysis.shortlist import APART_STEPS, merit, shortlist, tau_distance
from analysis.tau_lattice import TauLattice
from tune_knee.config import NETWORKS

APART = 0.1  # five steps of the whole simplex's lattice
UNIT = st.floats(0, 1)


def test_the_first_point_of_one_objective_is_what_the_report_recommends():
    search = replace(made_search(points=14), objectives=(OVERLAP,))
    (point,) = shortlist(search, 1)
    lattice = TauLattice.within(search.tau_low, search.tau_high)
    response = fit_response(search, NETWORKS[0], OVERLAP, lattice)
    assert isinstance(response, Response)
    assert point.tau == pytest.approx(lattice.tau[int(response.mean.argmax())])
    assert point.predicted == {OVERLAP.key: pytest.approx(float(max(response.values)))}


def test_the_first_point_lies_near_the_best_of_both_objectives():
    (point,) = shortlist(made_search(points=20), 1)
    assert float(tau_distance(np.array(point.tau), BEST)) <= APART


def test_points_are_apart_on_the_simplex_and_the_best_come_first():
    search = made_search(points=9, noise=0.05)
    points = shortlist(search, 4)
    places = np.array([point.tau for point in points])
    assert np.allclose(places.sum(axis=1), 1)
    assert (places >= 0).all()
    for number, place in enumerate(places):
        assert (tau_distance(places[:number], place) >= APART - 1e-9).all()
    assert shortlist(search, 2) == points[:2]


def test_each_networks_best_comes_before_any_second_point():
    # The later of the made networks is the better.
    search = replace(
        made_search(networks=NETWORKS[:2], points=18, noise=0.001), objectives=(OVERLAP,)
    )
    points = shortlist(search, 3)
    assert [point.network for point in points] == [NETWORKS[1], NETWORKS[0], NETWORKS[1]]
    assert shortlist(search, 1) == points[:1]


def test_networks_may_be_named():
    search = made_search(networks=NETWORKS[:2], points=20)
    (point,) = shortlist(search, 1, networks=NETWORKS[:1])
    assert point.network == NETWORKS[0]


def test_the_seed_decides_all():
    search = made_search(points=8, noise=0.1)
    assert shortlist(search, 3, seed=1) == shortlist(search, 3, seed=1)


def test_ranges_hold_and_shrink_what_is_apart():
    search = replace(made_search(points=14), tau_low=(0.3, 0.2, 0.1), tau_high=(0.6, 0.5, 0.4))
    points = np.array([point.tau for point in shortlist(search, 2)])
    assert (points >= np.array([0.3, 0.2, 0.1]) - 1e-9).all()
    assert (points <= np.array([0.6, 0.5, 0.4]) + 1e-9).all()
    step = TauLattice.within(search.tau_low, search.tau_high).step
    assert float(tau_distance(points[0], points[1])) >= APART_STEPS * step - 1e-9


def test_more_than_there_are_is_refused_with_how_many_there_are():
    search = made_search(points=14, noise=0.001)
    with pytest.raises(ValueError, match=r"at most the \d+ points") as error:
        shortlist(search, 1000)
    available = int(str(error.value).split("the ")[1].split()[0])
    assert len(shortlist(search, available)) == available
    with pytest.raises(ValueError, match="got top="):
        shortlist(search, available + 1)


def test_too_few_trials_are_refused():
    with pytest.raises(ValueError, match="5 different τ or more; there are 4"):
        shortlist(made_search(points=4), 1)


def test_an_objective_that_no_trial_has_leaves_the_other():
    search = made_search(points=12)
    trials = search.trials.assign(**{DISTANCE.key: np.nan})
    (point,) = shortlist(replace(search, trials=trials), 1)
    assert np.isnan(point.predicted[DISTANCE.key])
    assert float(tau_distance(np.array(point.tau), BEST)) <= 2 * APART


def test_merit_is_the_sum_of_ranks_and_the_missing_are_last():
    values = pd.DataFrame(
        {OVERLAP.key: [0.9, 0.8, 0.8, 0.7], DISTANCE.key: [np.nan, 1.0, 3.0, 2.0]}
    )
    assert merit(values, (OVERLAP, DISTANCE)).tolist() == [5.0, 6.5, 4.5, 4.0]
    assert merit(values, (DISTANCE,)).tolist() == [1.0, 4.0, 2.0, 3.0]


@given(st.lists(st.tuples(UNIT, UNIT, UNIT), min_size=2, max_size=2))
def test_tau_distance_is_symmetric_and_zero_of_the_same(parts):
    one, other = np.array(parts)
    assert float(tau_distance(one, other)) == float(tau_distance(other, one))
    assert float(tau_distance(one, one)) == 0.0


def test_tau_distance_is_the_share_that_lies_elsewhere():
    assert float(tau_distance(np.array([1.0, 0, 0]), np.array([0, 0.5, 0.5]))) == 1.0
    assert float(tau_distance(np.array([0.5, 0.5, 0]), np.array([0.4, 0.5, 0.1]))) == (
        pytest.approx(0.1)
    )
