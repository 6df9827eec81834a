"""How often a response's 95 % intervals hold the truth. No result of any training.

    python benchmarks/interval_coverage.py [--repeats 100]

Made-up responses over the simplex whose truth is known, of unit spread: bowls, and draws of a
Gaussian process with one length, 0.8 (smooth) or 0.35 (rough). Trials at random τ, with noise.
Shares: of the lattice's points whose interval holds the truth, and of repeats in which that of the
recommended τ does, which is where the mean is highest and so a little too high.
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from tqdm import tqdm

from analysis.kriging import Kriging
from analysis.tau_lattice import TauLattice

LATTICE = TauLattice.within(steps=20).tau
LENGTHS = {"smooth": 0.8, "rough": 0.35}
KINDS = ("bowl", *LENGTHS)
TRIALS = ((10, 0.1), (20, 0.3))  # how many, and the noise's standard deviation
DRAWS = 1000

Values = NDArray[np.float64]


def truth(kind: str, tau: Values, rng: np.random.Generator) -> Values:
    """A response at τ, its spread 1 over the lattice, which comes first."""
    if kind == "bowl":
        found = -((tau - rng.dirichlet([2, 2, 2])) ** 2 @ rng.uniform(0.5, 2, 3))
    else:
        way = np.sqrt(5) * cdist(tau, tau) / LENGTHS[kind]
        covariance = (1 + way + way**2 / 3) * np.exp(-way) + 1e-8 * np.eye(len(tau))
        found = np.linalg.cholesky(covariance) @ rng.standard_normal(len(tau))
    return np.asarray(found / found[: len(LATTICE)].std())


def coverage(kind: str, trials: int, noise: float, seed: int) -> tuple[float, float]:
    """Share of the lattice whose interval holds the truth; 1 if that of the best mean does."""
    rng = np.random.default_rng([seed, trials, KINDS.index(kind)])
    tau = rng.dirichlet([1, 1, 1], trials)
    true = truth(kind, np.vstack([LATTICE, tau]), rng)
    values = true[len(LATTICE) :] + rng.normal(0, noise, trials)
    kriging = Kriging.of(tau, values, seed=seed)
    low, high = np.quantile(kriging.draw(LATTICE, DRAWS, rng), [0.025, 0.975], axis=0)
    inside = (low <= true[: len(LATTICE)]) & (true[: len(LATTICE)] <= high)
    return float(inside.mean()), float(inside[kriging.moments(LATTICE)[0].argmax()])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    for kind in KINDS:
        for trials, noise in TRIALS:
            seeds = tqdm(range(repeats), f"{kind}, {trials} trials", disable=None)
            found = np.mean([coverage(kind, trials, noise, seed) for seed in seeds], axis=0)
            print(
                f"{kind:6s} {trials} trials, noise {noise}: lattice {found[0]:.1%}, "
                f"recommended {found[1]:.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
