"""A Gaussian process whose hyperparameters are drawn from their posterior, not chosen.

With tens of trials many lengths and noises explain the values about as well. The likeliest of
them alone, taken for the truth, makes intervals too narrow.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.stats import qmc

FEWEST: Final = 4  # values, so that the variance of the response has a finite mean

# Three lengths, from a fifth of an edge (finer cannot be told from noise with tens of trials)
# to far beyond it (the part does not matter), and the noise's share of the response's variance.
_LOW: Final = np.log([0.2, 0.2, 0.2, 1e-6])
_HIGH: Final = np.log([10.0, 10.0, 10.0, 10.0])
_STARTS: Final = 1024  # a power of two, as Sobol's sequence wants
_BATCHES: Final = 8
_WALKERS: Final = 64
_SWEEPS: Final = 40
_DRAWN_FROM: Final = 16  # of the walkers: a covariance over a whole lattice takes its time
_STRETCH: Final = 2.0
_APART: Final = 0.1  # logarithmic; walkers at one place would never part
_JITTER: Final = 1e-7  # of the response's variance, so that near-singular covariances have a root

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """What K sets of hyperparameters make of the values; the mean is estimated with each.

    Attributes:
        roots: lower roots of the covariances, in units of the response's variance. (K, N, N).
        means: of the response over everything. (K,).
        weights: inverse covariances times the values less the mean. (K, N).
        squares: the values' sum of squares about the mean, in the covariances' metric. (K,).
        density: logarithm of the marginal likelihood, mean and variance integrated out. (K,).
    """

    roots: Values
    means: Values
    weights: Values
    squares: Values
    density: Values


@dataclass(frozen=True, kw_only=True)
class Kriging:
    """A response over the simplex, and what may be known of it from noisy values.

    Attributes:
        tau: where the values were taken. (N, 3).
        lengths: of the K drawn sets of hyperparameters. (K, 3).
        noise: variances of the noise as shares of the response's. (K,).
        fit: what they make of the values.
    """

    tau: Values
    lengths: Values
    noise: Values
    fit: _Fit

    @classmethod
    def of(cls, tau: Values, values: Values, *, seed: int) -> Self:
        """Fit N values at τ (N, 3).

        Matérn kernel (ν = 5/2) with a length for each of the three parts, so that a change of
        their order changes nothing, plus white noise. The mean has a flat prior and the
        variance 1/variance, and both are integrated out (Handcock and Stein, Technometrics
        1993;35:403-410); lengths and noise are as likely at every logarithm between their
        bounds, and drawn by an ensemble of walkers (Goodman and Weare, CAMCoS 2010;5:65-80)
        that start where Sobol's sequence finds them likely.

        Args:
            tau: at least `FEWEST` rows.
            values: not all equal. (N,).
            seed: of the walkers.
        """
        assert len(values) >= FEWEST, "too few values to fit"
        # In an order of the parts' own, so that the random numbers do not tell them apart.
        order = np.argsort(tau.mean(axis=0), kind="stable")
        drawn = _draw_hyperparameters(tau[:, order], values, np.random.default_rng(seed))
        drawn[:, order] = drawn[:, : len(order)].copy()
        lengths, noise = np.exp(drawn[:, :3]), np.exp(drawn[:, 3])
        return cls(tau=tau, lengths=lengths, noise=noise, fit=_solve(drawn, tau, values))

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise: root of its variance's posterior mean."""
        return float(np.sqrt(np.mean(self.noise * self._variances())))

    def moments(self, tau: Values) -> tuple[Values, Values]:
        """Posterior mean and standard deviation of the response at τ (P, 3), noise left out.

        (P,) each.
        """
        means, shares = [], []
        for k in range(len(self.noise)):
            mean, crossed, solved, unexplained, total = self._at(tau, k)
            means.append(mean)
            share = 1 - (crossed * solved.T).sum(axis=1) + unexplained**2 / total
            shares.append(np.maximum(share, 0))  # below 0 by rounding only
        within = (np.array(shares) * self._variances()[:, None]).mean(axis=0)
        between = np.var(means, axis=0)
        return np.mean(means, axis=0), np.sqrt(within + between)

    def draw(self, tau: Values, draws: int, rng: np.random.Generator) -> Values:
        """Responses drawn from the posterior, jointly at τ (P, 3). (draws, P).

        They are of one in four sets of hyperparameters, in turn.
        """
        found = []
        chosen = range(0, len(self.noise), len(self.noise) // _DRAWN_FROM)
        parts = np.array_split(np.arange(draws), len(chosen))
        for k, part in zip(chosen, parts, strict=True):
            mean, crossed, solved, unexplained, total = self._at(tau, k)
            covariance = _matern(tau, tau, self.lengths[k]) - crossed @ solved
            covariance += np.outer(unexplained, unexplained) / total
            root = cholesky(covariance + _JITTER * np.eye(len(tau)), lower=True)
            freedom = rng.chisquare(len(self.tau) - 1, (len(part), 1))
            sd = np.sqrt(self.fit.squares[k] / freedom)
            found.append(mean + sd * (rng.standard_normal((len(part), len(tau))) @ root.T))
        return np.concatenate(found)

    def _variances(self) -> Values:
        """Posterior means of the response's variance. (K,)."""
        return self.fit.squares / (len(self.tau) - 3)

    def _at(self, tau: Values, k: int) -> tuple[Values, Values, Values, Values, float]:
        """Posterior mean (P,) by set k of hyperparameters, and what its covariance is made of.

        That is the covariances with the values (P, N), their product with the inverse (N, P),
        what the values leave of the overall mean (P,), and that mean's precision.
        """
        crossed = _matern(tau, self.tau, self.lengths[k])
        right = np.column_stack([crossed.T, np.ones(len(self.tau))])
        solved = cho_solve((self.fit.roots[k], True), right)
        mean = self.fit.means[k] + crossed @ self.fit.weights[k]
        unexplained = 1 - crossed @ solved[:, -1]
        return mean, crossed, solved[:, :-1], unexplained, float(solved[:, -1].sum())


def _matern(tau: Values, other: Values, lengths: Values) -> Values:
    """Correlations of τ (P, 3) with other τ (N, 3), lengths (..., 3). (..., P, N)."""
    one, two = tau / lengths[..., None, :], other / lengths[..., None, :]
    squared = (one**2).sum(axis=-1)[..., None] + (two**2).sum(axis=-1)[..., None, :]
    squared -= 2 * one @ two.swapaxes(-1, -2)
    way = np.sqrt(5 * np.maximum(squared, 0))  # below 0 by rounding only
    return np.asarray((1 + way + way**2 / 3) * np.exp(-way))


def _solve(hyperparameters: Values, tau: Values, values: Values) -> _Fit:
    count = len(values)
    lengths, noise = np.exp(hyperparameters[:, :3]), np.exp(hyperparameters[:, 3])
    covariances = _matern(tau, tau, lengths) + noise[:, None, None] * np.eye(count)
    roots: Values = np.asarray(np.linalg.cholesky(covariances), dtype=np.float64)
    both = np.broadcast_to(np.column_stack([values, np.ones(count)]), (len(roots), count, 2))
    whitened, ones = np.moveaxis(np.linalg.solve(roots, both), -1, 0)
    precisions = (ones**2).sum(axis=-1)
    means = (whitened * ones).sum(axis=-1) / precisions
    residuals = whitened - means[:, None] * ones
    squares = (residuals**2).sum(axis=-1)
    logs = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=-1)
    return _Fit(
        roots=roots,
        means=means,
        weights=np.linalg.solve(roots.swapaxes(1, 2), residuals[..., None])[..., 0],
        squares=squares,
        density=-logs - np.log(precisions) / 2 - (count - 1) / 2 * np.log(squares),
    )


def _density(points: Values, tau: Values, values: Values) -> Values:
    """Log density of hyperparameters (M, 4), minus infinity beyond their bounds. (M,)."""
    inside = ((points >= _LOW) & (points <= _HIGH)).all(axis=1)
    density = np.full(len(points), -np.inf)
    if inside.any():
        density[inside] = _solve(points[inside], tau, values).density
    return density


def _draw_hyperparameters(tau: Values, values: Values, rng: np.random.Generator) -> Values:
    """From their posterior, as logarithms. (`_WALKERS`, 4)."""
    starts = qmc.scale(qmc.Sobol(len(_LOW), seed=rng).random(_STARTS), _LOW, _HIGH)
    batches = np.array_split(starts, _BATCHES)
    density = np.concatenate([_density(batch, tau, values) for batch in batches])
    shares = np.exp(density - density.max())
    chosen = rng.choice(starts, _WALKERS, p=shares / shares.sum())
    walkers = np.clip(chosen + rng.normal(0, _APART, chosen.shape), _LOW, _HIGH)
    density = _density(walkers, tau, values)
    half = _WALKERS // 2
    halves = slice(half), slice(half, None)
    for _ in range(_SWEEPS):
        for own, others in (halves, halves[::-1]):
            stretch = ((_STRETCH - 1) * rng.random(half) + 1) ** 2 / _STRETCH
            rivals = walkers[others][rng.integers(half, size=half)]
            moved = rivals + stretch[:, None] * (walkers[own] - rivals)
            there = _density(moved, tau, values)
            gain = (len(_LOW) - 1) * np.log(stretch) + there - density[own]
            goes = np.log(rng.random(half)) < gain
            walkers[own] = np.where(goes[:, None], moved, walkers[own])
            density[own] = np.where(goes, there, density[own])
    return walkers
