import numpy as np
import pytest

from analysis.kriging import Kriging
from analysis.tau_lattice import TauLattice

LATTICE = TauLattice.within(steps=20).tau
PLACES = LATTICE[[0, 50, 200]]


def matern(one: np.ndarray, other: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Correlations by the formula, pair by pair."""
    found = np.empty((len(one), len(other)))
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            r = np.sqrt(5) * np.linalg.norm((a - b) / lengths)
            found[i, j] = (1 + r + r * r / 3) * np.exp(-r)
    return found


def made(count: int = 12, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    tau = rng.dirichlet([1, 1, 1], count)
    return tau, 3 * tau[:, 0] - 2 * tau[:, 1] ** 2 + rng.normal(0, noise, count)


def ordinary_kriging(kriging: Kriging, k: int, tau: np.ndarray, values: np.ndarray):
    """Textbook means and variances at three τ, by the kriging system with a multiplier."""
    own = matern(tau, tau, kriging.lengths[k]) + kriging.noise[k] * np.eye(len(tau))
    system = np.ones((len(tau) + 1, len(tau) + 1))
    system[:-1, :-1], system[-1, -1] = own, 0
    to_places = np.ones((len(tau) + 1, len(PLACES)))
    to_places[:-1] = matern(tau, PLACES, kriging.lengths[k])
    weights = np.linalg.solve(system, to_places)
    precision = np.linalg.inv(own)
    residuals = values - (precision @ values).sum() / precision.sum()
    variance = residuals @ precision @ residuals / (len(tau) - 3)
    return weights[:-1].T @ values, (1 - (weights * to_places).sum(axis=0)) * variance


def test_moments_are_those_of_ordinary_kriging_with_an_unknown_variance():
    tau, values = made()
    kriging = Kriging.of(tau, values, seed=0)
    found = [ordinary_kriging(kriging, k, tau, values) for k in range(len(kriging.noise))]
    means, variances = np.moveaxis(found, 1, 0)
    mean, sd = kriging.moments(PLACES)
    assert mean == pytest.approx(means.mean(axis=0), abs=1e-4)
    assert sd == pytest.approx(np.sqrt(variances.mean(axis=0) + means.var(axis=0)), rel=1e-3)


def test_draws_have_the_moments():
    kriging = Kriging.of(*made(20), seed=0)
    mean, sd = kriging.moments(LATTICE)
    drawn = kriging.draw(LATTICE, 8000, np.random.default_rng(0))
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.2 * sd.max())
    assert drawn.std(axis=0) == pytest.approx(sd, rel=0.3)


def test_the_noise_is_found_where_points_were_repeated():
    rng = np.random.default_rng(0)
    tau = np.repeat(rng.dirichlet([1, 1, 1], 12), 5, axis=0)
    values = 3 * tau[:, 0] + rng.normal(0, 0.2, len(tau))
    assert Kriging.of(tau, values, seed=0).noise_sd == pytest.approx(0.2, rel=0.2)


def test_scale_and_shift_of_values_change_nothing_else():
    tau, values = made()
    mean, sd = Kriging.of(tau, values, seed=0).moments(LATTICE)
    other_mean, other_sd = Kriging.of(tau, 7 - 40 * values, seed=0).moments(LATTICE)
    assert other_mean == pytest.approx(7 - 40 * mean, abs=1e-3)
    assert other_sd == pytest.approx(40 * sd, rel=1e-3)


def test_the_parts_may_stand_in_any_order():
    tau, values = made()
    mean, sd = Kriging.of(tau, values, seed=0).moments(LATTICE)
    turned = Kriging.of(tau[:, [2, 0, 1]], values, seed=0).moments(LATTICE[:, [2, 0, 1]])
    assert turned[0] == pytest.approx(mean, abs=1e-6)
    assert turned[1] == pytest.approx(sd, rel=1e-6)


def test_the_seed_decides():
    same, again, other = (Kriging.of(*made(), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(same.lengths, again.lengths)
    assert not np.array_equal(same.lengths, other.lengths)
    draws = [kriging.draw(LATTICE, 20, np.random.default_rng(0)) for kriging in (same, again)]
    np.testing.assert_array_equal(*draws)


def truth(rng: np.random.Generator, places: np.ndarray) -> np.ndarray:
    """A response of unit spread: a bowl, or drawn with lengths unknown to the fit."""
    if rng.random() < 0.5:
        found = -((places - rng.dirichlet([2, 2, 2])) ** 2 @ rng.uniform(0.5, 2, 3))
    else:
        root = np.linalg.cholesky(
            matern(places, places, np.full(3, 0.8)) + 1e-8 * np.eye(len(places))
        )
        found = root @ rng.standard_normal(len(places))
    return found / found.std()


@pytest.mark.slow
@pytest.mark.parametrize(("count", "noise"), [(10, 0.1), (20, 0.3)])
def test_intervals_hold_the_truth_as_often_as_they_say(count, noise):
    """95 % of the lattice in 100 made-up responses, of which fits with one kernel hold 70-86 %."""
    places = TauLattice.within(steps=10).tau
    held, at_best = [], []
    for seed in range(100):
        rng = np.random.default_rng([seed, count])
        tau = rng.dirichlet([1, 1, 1], count)
        true = truth(rng, np.vstack([places, tau]))
        values = true[len(places) :] + rng.normal(0, noise, count)
        kriging = Kriging.of(tau, values, seed=seed)
        drawn = kriging.draw(places, 1000, rng)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        inside = (low <= true[: len(places)]) & (true[: len(places)] <= high)
        held.append(inside.mean())
        at_best.append(inside[kriging.moments(places)[0].argmax()])
    assert 0.92 < np.mean(held) < 0.98
    assert np.mean(at_best) > 0.9  # where the mean is highest for a part by chance
