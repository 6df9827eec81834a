"""What tells the trials of a study apart, as the first columns of its tables."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from analysis.load import LABEL
from analysis.parameters import SETTINGS
from analysis.tables.table import Column, number
from tune_knee import keys
from tune_knee.config import LossWeights, TrialConfig

TAU: Final = "tau"
_WEIGHTS: Final = (keys.TAU_CE, keys.TAU_DICE, keys.TAU_BOUNDARY)
_PARAMETERS: Final = (
    keys.NETWORK,
    keys.LOSS,
    TAU,
    *_WEIGHTS,
    *SETTINGS,
    keys.REPEAT,
)
# Shown only where the trials of the study differ in them.
_OTHERS: Final = {
    keys.BOUNDARY: "Boundary loss",
    keys.INTERNAL_WEIGHTS: "Internal weights",
    keys.WEIGHTS_IN: "Weights in",
    keys.PRETRAINED: "Pretrained",
    keys.LEARNING_RATE: "Learning rate",
    keys.REPEAT: "Repeat",
}
_RATE: Final = "{:.4g}"


def trial_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """Id, experiment number and parameters of each trial, by number, then as they started.

    ``tau`` is the mixing ratio of the loss's own terms as text, e.g. ``0.50:0.50``; missing
    for a loss of one term.

    Args:
        trials: `Study.trials`, or part of it.
    """
    rows = trials.copy()
    rows[TAU] = [
        _ratio(network, loss, tau)
        for network, loss, *tau in trials[[keys.NETWORK, keys.LOSS, *_WEIGHTS]].itertuples(
            index=False
        )
    ]
    rows = rows.sort_values(keys.EXPERIMENT, kind="stable", ignore_index=True)
    return rows[[keys.TRIAL, keys.EXPERIMENT, *_PARAMETERS]]


def trial_columns(trials: pd.DataFrame) -> tuple[Column, ...]:
    """How trials are named in the tables of a study: only by what they differ in.

    Network, loss and τ always; the experiment's number if any has one; other parameters
    where they differ; the id where all of that leaves two trials alike.

    Args:
        trials: all of `Study.trials`, so that all tables of a study name trials alike.
    """
    rows = trial_rows(trials)
    numbered = rows[keys.EXPERIMENT].notna().any()
    columns = [number("Exp.", keys.EXPERIMENT, 0)] if numbered else []
    columns += [
        Column(title="Network", of=(keys.NETWORK,)),
        Column(title="Loss", of=(keys.LOSS,)),
        Column(title="τ", of=(TAU,)),
    ]
    columns += [
        Column(title=title, of=(name,), pattern=_RATE if name == keys.LEARNING_RATE else "{}")
        for name, title in _OTHERS.items()
        if len(rows[name].unique()) > 1
    ]
    if rows.duplicated([column.of[0] for column in columns]).any():
        columns.append(Column(title="Trial", of=(keys.TRIAL,)))
    return tuple(columns)


def trial_labels(trials: pd.DataFrame) -> dict[str, str]:
    """Each trial's words by its id."""
    return dict(zip(trials[keys.TRIAL].map(str), trials[LABEL].map(str), strict=True))


def _ratio(network: str, loss: str, tau: Sequence[float]) -> str | None:
    ce, dice, boundary = tau
    weights = LossWeights(ce=ce, dice=dice, boundary=boundary)
    return TrialConfig(network=network, loss=loss, tau=weights).ratio or None
