"""Which parameters of a search decide about an objective: functional ANOVA by Optuna."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from analysis.absent import Absent
from analysis.response import VALUE, worst_value
from analysis.search import TAU, Objective, Search, differing
from tune_knee import keys

PARAMETER: Final = "parameter"
LEAST_TRIALS: Final = 10
_TREES: Final = 16
_FORESTS: Final = 10
_KEPT: Final = 0.8

Space: TypeAlias = dict[str, BaseDistribution]


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much of an objective's variance goes with each parameter alone.

    Attributes:
        objective: whose.
        table: parameter, importance (share in [0, 1], together 1: mean over forests, each
            without another fifth of the trials), importance_low and importance_high (lowest and
            highest of them); most important first.
        trials: how many finished ones it rests on.
    """

    objective: Objective
    table: pd.DataFrame
    trials: int


def parameter_importance(
    search: Search, objective: Objective, *, seed: int = 0
) -> Importance | Absent:
    """Importance of each parameter in which finished trials differ, the grid's included.

    Functional ANOVA over a random forest (Hutter, Hoos and Leyton-Brown 2014), as Optuna has
    it: the share of each parameter's main effect in the sum of main effects. The parts of τ
    sum to 1, so that they share what one of them does. Ten forests, each without another
    fifth of the trials, tell how far the shares hang on the trials at hand. Values count
    on the objective's scale for models, missing ones as the worst.

    Args:
        search: whose trials.
        objective: which one.
        seed: of the forests and of what is left out.

    Returns:
        The shares; absent with fewer than `LEAST_TRIALS` finished trials, without two
        parameters that differ, or where all values are equal.
    """
    title = f"Importance for {objective.title}"
    trials = search.finished
    if len(trials) < LEAST_TRIALS:
        reason = f"It needs {LEAST_TRIALS} finished trials or more; there are {len(trials)}."
        return Absent(title=title, reason=reason)
    filled = trials[objective.key].fillna(worst_value(trials, objective))
    if filled.nunique() < 2:
        return Absent(title=title, reason="All trials have the same value, or none has any.")
    params = differing(search.parameters)
    if params.shape[1] < 2:
        return Absent(title=title, reason="Trials differ in one parameter at most.")
    values = pd.Series(objective.to_model(filled.to_numpy()), name=VALUE)
    table = _thinned(params, values, seed).sort_values("importance", ascending=False, kind="stable")
    return Importance(
        objective=objective,
        table=table.rename_axis(PARAMETER).reset_index(),
        trials=len(trials),
    )


def _thinned(params: pd.DataFrame, values: "pd.Series[float]", seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    space = _space(params)
    kept = round(_KEPT * len(values))
    shares: list[pd.Series[float]] = []
    for forest in range(_FORESTS):
        rows = rng.permutation(len(values))[:kept]
        shares.append(_evaluate(params.iloc[rows], values.iloc[rows], space, seed + forest))
    fits = pd.concat(shares, axis=1)
    return pd.DataFrame(
        {
            "importance": fits.mean(axis=1),
            "importance_low": fits.min(axis=1),
            "importance_high": fits.max(axis=1),
        }
    )


def _evaluate(
    params: pd.DataFrame, values: "pd.Series[float]", space: Space, seed: int
) -> "pd.Series[float]":
    with _quiet_optuna():
        study = optuna.create_study(direction="minimize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params=dict(zip(space, row, strict=True)), distributions=space, value=value
                )
                for row, value in zip(params.itertuples(index=False), values, strict=True)
            ]
        )
        found = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(n_trees=_TREES, seed=seed)
        )
    return pd.Series(found, name="importance").reindex(params.columns)


def _space(params: pd.DataFrame) -> Space:
    space: Space = {}
    for name in map(str, params.columns):
        values = params[name]
        if name in TAU:
            space[name] = FloatDistribution(0.0, 1.0)
        elif name == keys.LEARNING_RATE:
            space[name] = FloatDistribution(float(values.min()), float(values.max()), log=True)
        else:
            space[name] = CategoricalDistribution(sorted(set(values)))
    return space


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without a line for every study that lives in memory for a moment."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
