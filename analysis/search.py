"""A search's trials, with those of the grid it was given, and what it went for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from analysis.load import STATUS
from analysis.ranking import UNSCORED_LOSSES
from tune_knee import keys

KNOWN: Final = "known"
TAU: Final = (keys.TAU_CE, keys.TAU_DICE, keys.TAU_BOUNDARY)
TAU_TITLES: Final = ("CE", "Dice", "Boundary")
# What a search may vary beside τ and the network.
OTHERS: Final = {
    keys.BOUNDARY: "kind of boundary loss",
    keys.INTERNAL_WEIGHTS: "internal weights",
    keys.WEIGHTS_IN: "external weights in",
    keys.LEARNING_RATE: "learning rate",
}
_SQUEEZE: Final = 0.005
FINISHED: Final = (keys.STATUS_TRAINED, keys.STATUS_TESTED)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A validation metric that a search improves.

    Attributes:
        key: its column in `Study.trials`.
        name: for files and columns, e.g. ``distance_px``.
        title: in words, with its unit and good direction.
        unit: appended to a value, e.g. `` px``.
        decimals: digits shown of a value.
        higher_is_better: the good direction.
        scale: on which it is modelled: ``logit``, of a share, squeezed so that 0 and 1 are
            finite (Smithson and Verkuilen 2006), or ``log``, of 1 + value.
    """

    key: str
    name: str
    title: str
    unit: str
    decimals: int
    higher_is_better: bool
    scale: Literal["logit", "log"]

    @property
    def aim(self) -> str:
        """What it is in a sentence: overlap, or distance."""
        return self.name.removesuffix("_px")

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1: times this, higher is better."""
        return 1 if self.higher_is_better else -1

    def to_model(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values on the scale on which they are modelled."""
        if self.scale == "log":
            return np.log1p(values)
        return np.asarray(logit(_SQUEEZE + (1 - 2 * _SQUEEZE) * values))

    def from_model(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `to_model`."""
        if self.scale == "log":
            return np.expm1(values)
        return np.asarray((expit(values) - _SQUEEZE) / (1 - 2 * _SQUEEZE))

    def text(self, value: float, *, signed: bool = False) -> str:
        """A value with its unit and a true minus sign."""
        plus = "+" if signed else ""
        return f"{value:{plus}z.{self.decimals}f}{self.unit}".replace("-", "−")


OVERLAP: Final = Objective(
    key=keys.BEST_OVERLAP,
    name=keys.OVERLAP,
    title="Validation overlap (higher is better)",
    unit="",
    decimals=4,
    higher_is_better=True,
    scale="logit",
)
DISTANCE: Final = Objective(
    key=keys.BEST_DISTANCE_PX,
    name=keys.DISTANCE_PX,
    title="Validation distance in px (lower is better)",
    unit=" px",
    decimals=2,
    higher_is_better=False,
    scale="log",
)


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search tried, what it knew before, and where it looked.

    Attributes:
        trials: its own, as `load.Study.trials`, in the order they started.
        known: trials of the grid whose results it was given; without rows if there was none.
        objectives: what it improved, of `OVERLAP` and `DISTANCE`.
        learning_rate: that of trials without one of their own.
        tau_low: smallest part of (ce, dice, boundary) that it looked at.
        tau_high: largest part.
    """

    trials: pd.DataFrame
    known: pd.DataFrame
    objectives: tuple[Objective, ...] = (OVERLAP, DISTANCE)
    learning_rate: float
    tau_low: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tau_high: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """Those that it tried, as they came."""
        return tuple(dict.fromkeys(self.trials[keys.NETWORK]))

    @cached_property
    def finished(self) -> pd.DataFrame:
        """Trials trained to their end that have an overlap: known ones first, then in order.

        Column `KNOWN` tells them apart. Of the grid, the networks that were searched, without
        `UNSCORED_LOSSES`, which lie beside the simplex. Pruned trials saw less training than
        the others and are not among them.
        """
        both = self.trials.assign(**{KNOWN: False})
        if len(self.known):
            both = pd.concat([self.known.assign(**{KNOWN: True}), both])
        comparable = both[keys.NETWORK].isin(self.networks) & ~both[keys.LOSS].isin(UNSCORED_LOSSES)
        done = both[STATUS].isin(FINISHED) & both[keys.BEST_OVERLAP].notna()
        return both[comparable & done].reset_index(drop=True)

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """τ, network and `OTHERS` of the `finished` trials; each has a learning rate."""
        rates = self.finished[keys.LEARNING_RATE].fillna(self.learning_rate)
        whole = self.finished.assign(**{keys.LEARNING_RATE: rates})
        return whole[[*TAU, keys.NETWORK, *OTHERS]]

    def unmapped(self, network: str) -> tuple[str, ...]:
        """Names of the `OTHERS` in which a network's finished trials differ."""
        own = differing(self.parameters[self.parameters[keys.NETWORK] == network])
        return tuple(words for name, words in OTHERS.items() if name in own)

    @cached_property
    def pruned(self) -> pd.DataFrame:
        """Its trials that were stopped as hopeless; their values are those up to there."""
        return self.trials[self.trials[STATUS] == keys.STATUS_PRUNED]


def differing(parameters: pd.DataFrame) -> pd.DataFrame:
    """The columns in which not all rows are equal."""
    return parameters[[name for name in parameters if len(parameters[name].unique()) > 1]]


def ratio_text(tau: Sequence[float]) -> str:
    """All three parts with two decimals: CE, Dice, boundary.

    >>> ratio_text((0.5, 0.25, 0.25))
    '0.50:0.25:0.25'
    """
    return ":".join(f"{part:.2f}" for part in tau)
