"""Optuna's samplers, set up for a search."""

import warnings
from typing import Final

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

# What a candidate costs is little, and few dimensions leave room to look at many.
_CANDIDATES: Final = 256


def make_sampler(name: str, *, startup: int, seed: int, number: int, learnt: int) -> BaseSampler:
    """The sampler that proposes one trial.

    It is made anew for each, so that a proposal follows from the seed, the trial's number and
    what was told about the others: a resumed search goes on as one that never stopped. Until
    `startup` trials are told, a quasi-random sequence covers the space; NSGA-II draws its
    first generation, of that size, itself, since it takes only its own into account.

    Args:
        name: one of `SAMPLERS`.
        startup: trials that must be told before the sampler learns.
        seed: of the search.
        number: of the trial to propose.
        learnt: trials told so far.
    """
    own_seed = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    if name == "nsga2":
        return NSGAIISampler(population_size=max(startup, 2), seed=own_seed)
    if name == "quasi_random" or learnt < startup:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # QMCSampler has been for years
            return QMCSampler(
                scramble=True,
                seed=seed,  # one sequence, whose place is kept in the study
                independent_sampler=RandomSampler(seed=own_seed),
                warn_independent_sampling=False,
            )
    if name == "gp":
        return GPSampler(n_startup_trials=startup, seed=own_seed)
    assert name == "tpe"
    return TPESampler(
        n_startup_trials=startup,
        n_ei_candidates=_CANDIDATES,
        multivariate=True,  # the parts of τ act together, in several objectives too
        constant_liar=True,
        seed=own_seed,
    )
