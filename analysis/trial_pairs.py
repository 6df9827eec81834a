"""Which trials of two studies are the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from analysis.load import LABEL, STATUS, Study
from analysis.parameters import MODEL, SETTINGS
from tune_knee import keys

OTHER: Final = "other"
_MODEL: Final = list(MODEL)
_DETAILS: Final = [*SETTINGS, keys.REPEAT]


@dataclass(frozen=True, kw_only=True)
class TrialPairs:
    """Trials that were tested in both studies.

    Attributes:
        table: a row per pair, in the first's order: trial and label of the first,
            trial_other.
        differing: parameters beside network, loss and τ that differ within pairs, with the
            number of those pairs.
        alone: trials without a partner: ``label (why)``.
    """

    table: pd.DataFrame
    differing: dict[str, int]
    alone: tuple[str, ...]


def pair_trials(first: Study, other: Study) -> TrialPairs:
    """Pair tested trials by all their parameters; seed, budget and data may differ.

    What is left is paired by network, loss and τ where that names one trial in each: so a
    study and its repetition with, say, pretrained backbones can be compared.

    Raises:
        ValueError: if there is no pair.
    """
    these, those = (
        study.trials[study.trials[STATUS] == keys.STATUS_TESTED] for study in (first, other)
    )
    equal = _merge(these, those, on=[*_MODEL, *_DETAILS])
    these = these[~these[keys.TRIAL].isin(equal[keys.TRIAL])]
    those = those[~those[keys.TRIAL].isin(equal[f"{keys.TRIAL}_{OTHER}"])]
    alike = _merge(_single(these), _single(those), on=_MODEL)
    pairs = pd.concat([equal, alike])
    if pairs.empty:
        raise ValueError(
            "studies must share a tested trial (network, loss and tau), got none in "
            f"study={first.name} and study={other.name}"
        )
    order = {trial: place for place, trial in enumerate(first.trials[keys.TRIAL])}
    pairs = pairs.sort_values(keys.TRIAL, key=lambda trials: trials.map(order), ignore_index=True)
    unlike = {name: _unlike(alike[name], alike[f"{name}_{OTHER}"]) for name in _DETAILS}
    alone = [  # one that is in both, and tested in one, is there twice
        *_alone(first, other, pairs[keys.TRIAL].tolist()),
        *_alone(other, first, pairs[f"{keys.TRIAL}_{OTHER}"].tolist()),
    ]
    return TrialPairs(
        table=pairs[[keys.TRIAL, LABEL, f"{keys.TRIAL}_{OTHER}"]],
        differing={name: count for name, count in unlike.items() if count},
        alone=tuple(dict.fromkeys(alone)),
    )


def _merge(first: pd.DataFrame, other: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    return first.merge(other, on=on, suffixes=("", f"_{OTHER}"))


def _unlike(first: "pd.Series[Any]", other: "pd.Series[Any]") -> int:
    """How many differ; two that are missing (the budget's learning rate) do not."""
    return int((first.ne(other) & ~(first.isna() & other.isna())).sum())


def _single(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[~trials.duplicated(_MODEL, keep=False)]


def _alone(study: Study, other: Study, paired: Sequence[str]) -> list[str]:
    """Label of each trial without a partner, and where it or its like got stuck."""
    there = other.trials.groupby(_MODEL)[STATUS].first().to_dict()
    lines = []
    for row in study.trials[~study.trials[keys.TRIAL].isin(paired)].to_dict("records"):
        status = there.get(tuple(row[name] for name in _MODEL))
        if row[STATUS] != keys.STATUS_TESTED:
            why = f"{row[STATUS]} in {study.name}"
        elif status is None:
            why = f"not in {other.name}"
        elif status != keys.STATUS_TESTED:
            why = f"{status} in {other.name}"
        else:
            why = f"several like it in {study.name} or {other.name}"
        lines.append(f"{row[LABEL]} ({why})")
    return lines
