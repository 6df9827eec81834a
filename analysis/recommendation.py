"""The τ that a search recommends, how sure it is, and what it gains over the grid."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.response import VALUE, Response
from analysis.search import KNOWN, TAU, Objective
from analysis.tau_lattice import TauLattice
from tune_knee import keys

LEVEL: Final = 0.95

Tau = tuple[float, float, float]
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What a recommended τ gains over the grid's best point; more than 0 is better.

    Attributes:
        trial: the grid's with the best observed value, the first of equals.
        tau: its τ.
        predicted: how much better the response is at the recommended τ than at the grid's,
            by the posterior mean of both.
        interval: 95 % of the posterior draws of that.
        observed: how much better the best of the first `own_trials` of the search is than the
            best of the grid's `grid_trials`; each single values, noise included. None if the
            search has no finished trial of the network.
        own_trials: as many as the grid's, or all where they are fewer: equal training.
        grid_trials: how many the grid has.
    """

    trial: str
    tau: Tau
    predicted: float
    interval: Range
    observed: float | None
    own_trials: int
    grid_trials: int


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """Where the response of a network is best.

    Attributes:
        network: whose response.
        objective: of which.
        tau: the lattice's point with the best posterior mean.
        value: posterior mean there.
        value_interval: 95 % of the posterior draws there.
        density: how often a lattice point or one near it is the best of a draw; smoothed,
            unit-free. Shape (L,).
        threshold: the largest density at which `region` holds the best one of 95 % of draws.
        ranges: smallest and largest of each part of τ in the region.
        trials: how many finished ones it rests on.
        gain: over the grid; None without known trials.
    """

    network: str
    objective: Objective
    tau: Tau
    value: float
    value_interval: Range
    density: NDArray[np.float64]
    threshold: float
    ranges: tuple[Range, Range, Range]
    trials: int
    gain: Gain | None

    @property
    def region(self) -> NDArray[np.bool_]:
        """Lattice points where the best τ lies in 95 % of the draws. Shape (L,)."""
        return np.asarray(self.density >= self.threshold)


def recommend(response: Response, *, draws: int = 1000, seed: int = 0) -> Recommendation:
    """The best τ by the posterior mean, with what posterior draws say of it.

    The draws are over what the kernel may be, too, so that intervals and region are not too
    narrow where trials are few.

    Args:
        response: of one network and objective.
        draws: of the whole response from its posterior.
        seed: of the draws.
    """
    objective, lattice = response.objective, response.lattice
    best = int(np.argmax(objective.sign * response.mean))
    grid = response.points[response.points[KNOWN]]
    places, rival = lattice.tau, None
    if len(grid):
        rival = int((objective.sign * grid[VALUE]).to_numpy().argmax())
        places = np.vstack([places, grid[list(TAU)].to_numpy()[rival]])
    drawn = response.draw(places, draws, np.random.default_rng(seed))
    on_lattice = drawn[:, : len(lattice.tau)]
    density, threshold = _density(lattice, (objective.sign * on_lattice).argmax(axis=1))
    inside = lattice.tau[density >= threshold]
    low, high = inside.min(axis=0), inside.max(axis=0)
    ce, dice, boundary = (
        (float(least), float(most)) for least, most in zip(low, high, strict=True)
    )
    return Recommendation(
        network=response.network,
        objective=objective,
        tau=_tau(lattice.tau[best]),
        value=float(response.values[best]),
        value_interval=_interval(on_lattice[:, best]),
        density=density,
        threshold=threshold,
        ranges=(ce, dice, boundary),
        trials=len(response.points),
        gain=None if rival is None else _gain(response, drawn, best, rival),
    )


def _density(lattice: TauLattice, best: NDArray[np.intp]) -> tuple[NDArray[np.float64], float]:
    """Of the draws' best points, smoothed so that the region hangs together; and its threshold."""
    share = np.bincount(best, minlength=len(lattice.tau)) / len(best)
    density = lattice.nearness @ share
    order = np.argsort(-density, kind="stable")
    last = int(np.searchsorted(share[order].cumsum(), LEVEL - 1e-9))
    return density, float(density[order[last]])


def _gain(response: Response, drawn: NDArray[np.float64], best: int, rival: int) -> Gain:
    objective, points = response.objective, response.points
    grid, own = points[points[KNOWN]], points[~points[KNOWN]]
    mean, _ = response.kriging.moments(grid[list(TAU)].to_numpy()[[rival]])
    at_grid = float(objective.from_model(mean)[0])
    first = objective.sign * own[VALUE].head(len(grid))
    best_known = (objective.sign * grid[VALUE]).max()
    return Gain(
        trial=str(grid[keys.TRIAL].iloc[rival]),
        tau=_tau(grid[list(TAU)].to_numpy()[rival]),
        predicted=objective.sign * (float(response.values[best]) - at_grid),
        interval=_interval(objective.sign * (drawn[:, best] - drawn[:, -1])),
        observed=float(first.max() - best_known) if len(first) else None,
        own_trials=len(first),
        grid_trials=len(grid),
    )


def _interval(draws: NDArray[np.float64]) -> Range:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _tau(parts: NDArray[np.float64]) -> Tau:
    ce, dice, boundary = (float(part) for part in parts)
    return ce, dice, boundary
