import dataclasses

import numpy as np
import pytest
from made_search import BEST, made_search, response

from analysis.absent import Absent
from analysis.recommendation import recommend
from analysis.response import VALUE, fit_response
from analysis.search import DISTANCE, OVERLAP, TAU, Search
from analysis.tau_lattice import TauLattice
from tune_knee import keys
from tune_knee.config import NETWORKS

LATTICE = TauLattice.within(steps=20)
TRUE_OVERLAP = 0.85 - 0.6 * response(LATTICE.tau)


def fit(search: Search, objective=OVERLAP, lattice=LATTICE, **settings):
    return fit_response(search, search.networks[0], objective, lattice, **settings)


class TestFit:
    def test_comes_near_the_truth_and_knows_how_near(self):
        found = fit(made_search(points=30, noise=0.01))
        error = found.values - TRUE_OVERLAP
        assert np.abs(error).mean() < 0.02
        assert (np.abs(error) < 3 * found.spread).mean() > 0.9
        assert found.noise_sd > 0

    def test_is_less_sure_where_there_is_nothing(self):
        search = made_search(points=40)
        near_ce = search.trials[keys.TAU_CE] > 0.4
        found = fit(dataclasses.replace(search, trials=search.trials[near_ce]))
        ce = LATTICE.tau[:, 0]
        assert found.sd[ce < 0.1].min() > found.sd[ce > 0.5].max()

    def test_more_trials_make_it_surer(self):
        few, many = (fit(made_search(points=points, noise=0.02)) for points in (8, 60))
        assert many.sd.mean() < few.sd.mean()

    def test_corners_are_treated_alike(self):
        """Trials with their parts turned round give the map turned round."""
        search = made_search(points=25, noise=0.01)
        turned = search.trials.copy()
        turned[list(TAU)] = search.trials[[TAU[2], TAU[0], TAU[1]]].to_numpy()
        found, other = (
            fit(dataclasses.replace(search, trials=trials)) for trials in (search.trials, turned)
        )
        places = {tuple(np.round(tau, 6)): n for n, tau in enumerate(LATTICE.tau)}
        moved = [places[tuple(np.round(tau[[2, 0, 1]], 6))] for tau in LATTICE.tau]
        assert other.values[moved] == pytest.approx(found.values, abs=2e-3)

    def test_order_of_trials_changes_nothing(self):
        search = made_search(points=20, known=10, noise=0.01)
        shuffled = dataclasses.replace(search, trials=search.trials.sample(frac=1, random_state=0))
        assert fit(shuffled).values == pytest.approx(fit(search).values, abs=1e-3)

    def test_a_missing_distance_counts_as_the_worst(self):
        search = made_search(points=20, missing=1.0)
        lost = search.trials[DISTANCE.key].isna()
        found = fit(search, DISTANCE)
        assert found.missing == lost.sum() > 0
        worst = search.trials[DISTANCE.key].max()
        assert (found.points[VALUE][lost.to_numpy()] == worst).all()

    def test_only_the_network_asked_for(self):
        found = fit(made_search(networks=NETWORKS[:2], points=20, known=4))
        assert set(found.points[keys.NETWORK]) == {NETWORKS[0]}
        assert len(found.points) == 12


class TestAbsent:
    def test_needs_five_places(self):
        assert isinstance(fit(made_search(points=4, seeds=3)), Absent)
        found = fit(made_search(points=4))
        assert "5 different τ or more; there are 4" in found.reason
        assert not isinstance(fit(made_search(points=5)), Absent)

    def test_needs_values_that_differ(self):
        search = made_search(points=8)
        search.trials[DISTANCE.key] = np.nan
        assert "same value, or none" in fit(search, DISTANCE).reason
        search.trials[DISTANCE.key] = 3.0
        assert "same value" in fit(search, DISTANCE).reason


class TestDraws:
    def test_have_the_mean_and_spread_of_the_response(self):
        found = fit(made_search(points=12, noise=0.02))
        drawn = found.draw(LATTICE.tau, 4000, np.random.default_rng(0))
        modelled = OVERLAP.to_model(drawn)
        assert modelled.mean(axis=0) == pytest.approx(found.mean, abs=0.2 * found.sd.max())
        assert modelled.std(axis=0) == pytest.approx(found.sd, rel=0.3, abs=0.01)

    def test_are_those_of_the_seed(self):
        found = fit(made_search(points=12, noise=0.02))
        same, again, other = (recommend(found, seed=seed) for seed in (3, 3, 4))
        assert same.value_interval == again.value_interval != other.value_interval
        np.testing.assert_array_equal(same.density, again.density)


class TestRecommendation:
    @pytest.mark.parametrize("objective", [OVERLAP, DISTANCE])
    @pytest.mark.parametrize("seed", range(4))
    def test_finds_the_best_within_its_own_interval(self, objective, seed):
        search = made_search(points=20, noise=0.01, seed=seed)
        found = recommend(fit(search, objective))
        nearest = int(np.abs(LATTICE.tau - BEST).sum(axis=1).argmin())
        assert found.region[nearest]
        for share, (low, high), chosen in zip(BEST, found.ranges, found.tau, strict=True):
            assert low - 1e-9 <= share <= high + 1e-9
            assert low - 1e-9 <= chosen <= high + 1e-9
        low, high = found.value_interval
        assert low < found.value < high

    def test_region_grows_with_noise(self):
        sizes = [
            recommend(fit(made_search(points=20, noise=noise))).region.sum()
            for noise in (0.002, 0.08)
        ]
        assert sizes[0] < sizes[1] < len(LATTICE.tau)

    def test_keeps_within_the_ranges_of_the_search(self):
        search = made_search(points=20)
        lattice = TauLattice.within((0.0, 0.0, 0.4), (1.0, 1.0, 1.0))
        found = recommend(fit(search, lattice=lattice))
        assert found.tau[2] == pytest.approx(0.4)


class TestGain:
    def test_without_a_grid_there_is_none(self):
        assert recommend(fit(made_search(points=10))).gain is None

    @pytest.mark.parametrize("objective", [OVERLAP, DISTANCE])
    def test_is_positive_where_the_grid_misses_the_best(self, objective):
        search = made_search(points=30, known=7, noise=0.003)
        gain = recommend(fit(search, objective)).gain
        low, high = gain.interval
        assert 0 < low < gain.predicted < high
        known = search.known
        values = known[objective.key]
        best = known.loc[values.idxmax() if objective.higher_is_better else values.idxmin()]
        assert gain.trial == best[keys.TRIAL]
        assert gain.tau == tuple(best[list(TAU)])

    def test_observed_counts_as_many_trials_as_the_grid(self):
        search = made_search(points=30, known=10, noise=0.003)
        gain = recommend(fit(search)).gain
        first = search.trials[OVERLAP.key].head(10).max()
        assert (gain.own_trials, gain.grid_trials) == (10, 10)
        assert gain.observed == pytest.approx(first - search.known[OVERLAP.key].max())
        assert search.trials[OVERLAP.key].max() > first

    def test_observed_distance_is_positive_where_it_is_smaller(self):
        search = made_search(points=4, known=10)
        gain = recommend(fit(search, DISTANCE)).gain
        smaller = search.known[DISTANCE.key].min() - search.trials[DISTANCE.key].min()
        assert gain.observed == pytest.approx(smaller)
        assert gain.own_trials == 4

    def test_a_search_that_has_not_finished_any_trial(self):
        search = made_search(points=3, known=10)
        search.trials["status"] = keys.STATUS_RUNNING
        gain = recommend(fit(search)).gain
        assert gain.observed is None
        assert gain.own_trials == 0
