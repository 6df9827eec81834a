"""A search made up in memory: trials at random τ, with a response whose best is known."""

import numpy as np
import pandas as pd

from analysis.search import Search
from tune_knee import keys
from tune_knee.config import NETWORKS, LossWeights, TrialConfig

BEST = np.array([0.5, 0.3, 0.2])
LEARNING_RATE = 1e-4
_GRID = (
    ("ce2", "1"),
    ("ce2+dice", "0.9:0.1"),
    ("ce2+dice", "0.5:0.5"),
    ("ce2+dice", "0.1:0.9"),
    ("ce2+boundary", "0.9:0.1"),
    ("ce2+boundary", "0.5:0.5"),
    ("ce2+boundary", "0.1:0.9"),
    ("ce2+dice+boundary", "0.8:0.1:0.1"),
    ("ce2+dice+boundary", "0.34:0.33:0.33"),
    ("ce2+dice+boundary", "0.5:0.25:0.25"),
)


def made_search(
    *,
    networks: tuple[str, ...] = NETWORKS[:1],
    points: int = 12,
    seeds: int = 1,
    known: int = 0,
    missing: float = 0.0,
    pruned: float = 0.0,
    rates: bool = False,
    noise: float = 0.005,
    seed: int = 0,
) -> Search:
    """A search of `points` x `seeds` trials and a grid of `known`, over the networks in turn.

    Overlap is 0.85 less six tenths of the squared way from τ to `BEST`, distance 2 px and 40
    times that way.

    Args:
        networks: the later, the better by a little.
        points: of the search.
        seeds: trials at each of them.
        known: trials of the grid; the paper's mixes, again and again.
        missing: share of the trials with a boundary part above one half without a distance.
        pruned: share of the search's trials.
        rates: the learning rate differs between points, and higher is better.
        noise: standard deviation between trials at one τ.
        seed: of it all.
    """
    rng = np.random.default_rng(seed)
    grid, own = [], []
    for number in range(known):
        loss, ratio = _GRID[number // len(networks) % len(_GRID)]
        tau = LossWeights.parse(loss, ratio)
        grid.append(TrialConfig(network=networks[number % len(networks)], loss=loss, tau=tau))
    for number in range(points):
        ce, dice = np.round(rng.dirichlet([1, 1, 1])[:2], 4)
        tau = LossWeights(ce=ce, dice=dice, boundary=round(1 - ce - dice, 4))
        rate = float(f"{10 ** rng.uniform(-5, -3):.3g}") if rates else None
        for repeat in range(seeds):
            point = {"loss": "ce2+dice+boundary", "tau": tau, "learning_rate": rate}
            network = networks[number % len(networks)]
            own.append(TrialConfig(network=network, repeat=repeat, **point))
    trials = _rows("s", own, networks, rng, missing, noise)
    trials.loc[rng.random(len(trials)) < pruned, "status"] = keys.STATUS_PRUNED
    return Search(
        trials=trials,
        known=_rows("g", grid, networks, rng, missing, noise),
        learning_rate=LEARNING_RATE,
    )


def response(tau: np.ndarray) -> np.ndarray:
    """Squared way from τ (..., 3) to `BEST`, in [0, 1.4)."""
    return np.asarray(((tau - BEST) ** 2).sum(axis=-1))


def _rows(
    prefix: str,
    configs: list[TrialConfig],
    networks: tuple[str, ...],
    rng: np.random.Generator,
    missing: float,
    noise: float,
) -> pd.DataFrame:
    if not configs:  # as `trials` of nothing: its columns, no rows
        return _rows(prefix, [TrialConfig(network=networks[0])], networks, rng, 0, 0).head(0)
    rows = []
    for number, config in enumerate(configs):
        tau = np.array([config.tau.ce, config.tau.dice, config.tau.boundary])
        rate = config.learning_rate or LEARNING_RATE
        worse = float(response(tau)) - 0.02 * networks.index(config.network)
        worse -= 0.1 * np.log10(rate / LEARNING_RATE)
        lost = tau[2] > 0.5 and rng.random() < missing
        rows.append(
            {
                keys.TRIAL: f"{prefix}{number}",
                "label": config.label,
                "status": keys.STATUS_TESTED,
                **config.params(),
                keys.LEARNING_RATE: np.nan if config.learning_rate is None else rate,
                keys.REPEAT: config.repeat,
                keys.BEST_OVERLAP: min(0.85 - 0.6 * worse + rng.normal(0, noise), 1.0),
                keys.BEST_DISTANCE_PX: np.nan
                if lost
                else (2 + 40 * max(worse, 0)) * np.exp(rng.normal(0, 10 * noise)),
                keys.WALL_TIME_S: 90.0,
            }
        )
    return pd.DataFrame(rows)
