"""How an objective responds to τ: a Gaussian process over the simplex, for one network."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.absent import Absent
from analysis.kriging import Kriging
from analysis.search import TAU, Objective, Search
from analysis.tau_lattice import TauLattice
from tune_knee import keys

VALUE: Final = "value"
LEAST_POINTS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Response:
    """What trials of a network say about an objective at every τ.

    Attributes:
        network: whose trials.
        objective: of which the response is.
        points: the finished trials it was fitted to, known ones first, with `VALUE`.
        unmapped: names of what they differ in beside τ, which counts as noise.
        missing: how many of them have no value of their own and were given the worst that
            any other has.
        lattice: where it is evaluated.
        mean: posterior mean at the lattice, on the model's scale (`Objective.to_model`).
            Shape (L,).
        sd: posterior standard deviation of the response there, without the noise between
            trials. Shape (L,).
        noise_sd: between trials at one τ, as fitted; model's scale.
        kriging: the fitted process.
    """

    network: str
    objective: Objective
    points: pd.DataFrame
    unmapped: tuple[str, ...]
    missing: int
    lattice: TauLattice
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    noise_sd: float
    kriging: Kriging

    @property
    def values(self) -> NDArray[np.float64]:
        """Posterior mean, brought to the objective's own scale. (L,)."""
        return self.objective.from_model(self.mean)

    @property
    def spread(self) -> NDArray[np.float64]:
        """Half the width of mean ± one standard deviation, on the objective's own scale. (L,)."""
        high = self.objective.from_model(self.mean + self.sd)
        low = self.objective.from_model(self.mean - self.sd)
        return np.asarray((high - low) / 2)

    def draw(
        self, tau: NDArray[np.float64], draws: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Responses drawn from the posterior, jointly at τ (P, 3); own scale. Shape (draws, P)."""
        return self.objective.from_model(self.kriging.draw(tau, draws, rng))


def fit_response(
    search: Search, network: str, objective: Objective, lattice: TauLattice, *, seed: int = 0
) -> Response | Absent:
    """Fit a Gaussian process to a network's finished trials, the grid's and the search's.

    By `Kriging.of`, on the objective's scale for models. A trial without a distance, since it
    never found a region, gets the worst of the network's: it is at least that bad, and left out
    the place would look untried. Whatever else differs between trials counts as noise.

    Args:
        search: whose trials.
        network: which of its networks.
        objective: which one.
        lattice: where to evaluate the fit.
        seed: of the hyperparameters' draws.

    Returns:
        The response; absent with fewer than `LEAST_POINTS` different τ, or where all values
        are equal.
    """
    title = f"{network}: {objective.title}"
    points = _points(search, network, objective)
    places = len(points[list(TAU)].drop_duplicates())
    if places < LEAST_POINTS:
        reason = f"A map needs trials at {LEAST_POINTS} different τ or more; there are {places}."
        return Absent(title=title, reason=reason)
    if points[VALUE].nunique() < 2:
        return Absent(title=title, reason="All trials have the same value, or none has any.")
    values = objective.to_model(points[VALUE].to_numpy())
    kriging = Kriging.of(points[list(TAU)].to_numpy(), values, seed=seed)
    mean, sd = kriging.moments(lattice.tau)
    return Response(
        network=network,
        objective=objective,
        points=points,
        unmapped=search.unmapped(network),
        missing=int(points[objective.key].isna().sum()),
        lattice=lattice,
        mean=mean,
        sd=sd,
        noise_sd=kriging.noise_sd,
        kriging=kriging,
    )


def _points(search: Search, network: str, objective: Objective) -> pd.DataFrame:
    own = search.finished[search.finished[keys.NETWORK] == network].reset_index(drop=True)
    return own.assign(**{VALUE: own[objective.key].fillna(worst_value(own, objective))})


def worst_value(points: pd.DataFrame, objective: Objective) -> float:
    """The worst that any of the trials has; NaN if none has any."""
    values = objective.sign * points[objective.key]
    return float(objective.sign * values.min())
