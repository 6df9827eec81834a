"""How an objective responds to τ: a Gaussian process over the simplex, for one network."""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cholesky
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from analysis.absent import Absent
from analysis.search import TAU, Objective, Search
from analysis.tau_lattice import TauLattice
from tune_knee import keys

VALUE: Final = "value"
LEAST_POINTS: Final = 5
_RESTARTS: Final = 4
_JITTER: Final = 1e-6  # of the largest variance, so that near-singular covariances have a root


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
        process: the fitted process.
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
    process: GaussianProcessRegressor

    @property
    def values(self) -> NDArray[np.float64]:
        """Posterior mean on the objective's own scale, where it is the median. (L,)."""
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
        mean, covariance = _posterior(self.process, tau)
        jitter = _JITTER * covariance.diagonal().max() + np.finfo(float).tiny
        root = cholesky(covariance + jitter * np.eye(len(tau)), lower=True)
        noise = rng.standard_normal((draws, len(tau)))
        return self.objective.from_model(mean + noise @ root.T)


def fit_response(
    search: Search, network: str, objective: Objective, lattice: TauLattice, *, seed: int = 0
) -> Response | Absent:
    """Fit a Gaussian process to a network's finished trials, the grid's and the search's.

    Matérn kernel (ν = 5/2) with a length for each of the three parts of τ, so that a change of
    their order changes nothing, plus white noise; values standardised, hyperparameters by
    maximal marginal likelihood (Rasmussen and Williams 2006, ch. 5), on the objective's scale
    for models. A trial without a distance, since it never found a region, gets the worst of the
    network's: it is at least that bad, and left out the place would look untried. Whatever
    else differs between trials counts as noise.

    Args:
        search: whose trials.
        network: which of its networks.
        objective: which one.
        lattice: where to evaluate the fit.
        seed: of the restarts of the likelihood's maximisation.

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
    process = _fit(points[list(TAU)].to_numpy(), objective.to_model(points[VALUE].to_numpy()), seed)
    mean, covariance = _posterior(process, lattice.tau)
    return Response(
        network=network,
        objective=objective,
        points=points,
        unmapped=search.unmapped(network),
        missing=int(points[objective.key].isna().sum()),
        lattice=lattice,
        mean=mean,
        sd=np.sqrt(np.maximum(covariance.diagonal(), 0)),  # below 0 by rounding only
        noise_sd=float(np.sqrt(_noise(process))),
        process=process,
    )


def _points(search: Search, network: str, objective: Objective) -> pd.DataFrame:
    own = search.finished[search.finished[keys.NETWORK] == network].reset_index(drop=True)
    return own.assign(**{VALUE: own[objective.key].fillna(worst_value(own, objective))})


def worst_value(points: pd.DataFrame, objective: Objective) -> float:
    """The worst that any of the trials has; NaN if none has any."""
    values = objective.sign * points[objective.key]
    return float(objective.sign * values.min())


def _fit(
    tau: NDArray[np.float64], values: NDArray[np.float64], seed: int
) -> GaussianProcessRegressor:
    # Lengths from a fifth of an edge (finer cannot be told from noise with tens of trials) to
    # far beyond it (the part does not matter).
    shape = Matern(length_scale=[0.5] * 3, length_scale_bounds=(0.2, 10.0), nu=2.5)
    amplitude = ConstantKernel(1.0, constant_value_bounds=(0.01, 100.0))
    noise = WhiteKernel(0.1, noise_level_bounds=(1e-4, 2.0))
    process = GaussianProcessRegressor(
        amplitude * shape + noise,
        normalize_y=True,
        n_restarts_optimizer=_RESTARTS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # A hyperparameter at its bound is an answer: no noise, or a part that does not matter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return process.fit(tau, values)


def _posterior(
    process: GaussianProcessRegressor, tau: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (P,) and covariance (P, P) of the response itself, noise between trials taken off."""
    mean, covariance = process.predict(tau, return_cov=True)
    return mean, covariance - _noise(process) * np.eye(len(tau))


def _noise(process: GaussianProcessRegressor) -> float:
    """Variance of the noise, in the squared unit of what was fitted."""
    return float(process.kernel_.k2.noise_level * process._y_train_std**2)
