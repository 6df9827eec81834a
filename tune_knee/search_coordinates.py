"""A search space as a sampler sees it: named coordinates, and trials from and to them."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from tune_knee import keys
from tune_knee.config import LossWeights, TrialConfig
from tune_knee.search_config import LogRange, SearchSpace
from tune_knee.simplex import SimplexRegion, rounded

Params = dict[str, Any]

# Broken off in this order: the boundary's part decides most (at 0.9 the published networks
# collapse), and so has a coordinate of its own.
_PARTS: Final = ("boundary", "dice", "ce")
_DIGITS: Final = 3  # significant ones of a learning rate or an internal weight
# Settings of a trial that stand as choices in the space, and the part of τ without which
# they change nothing; the network changes something always.
_CHOICES: Final = {
    keys.NETWORK: None,
    keys.BOUNDARY: "boundary",
    keys.WEIGHTS_IN: None,
    keys.INTERNAL_WEIGHTS: "ce",
    keys.LEARNING_RATE: None,
}


def loss_of(tau: LossWeights) -> str:
    """The loss whose terms τ names: ``ce2`` with those of Dice and boundary that are not 0.

    The cross-entropy stands in every name, also where its own part is 0: `LOSS_TERMS` has no
    name without it, a term whose part is 0 is not computed, and so every τ has one name.
    """
    return "+".join(["ce2", *(term for term in ("dice", "boundary") if getattr(tau, term))])


@dataclass(frozen=True, kw_only=True)
class SearchCoordinates:
    """What a sampler moves: τ in a unit square, and each setting that has more than one choice.

    Attributes:
        space: where the search looks.
        learning_rate: the budget's, that of trials which have none of their own.
    """

    space: SearchSpace
    learning_rate: float

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The coordinates by their names, in the order in which they are drawn."""
        found: dict[str, BaseDistribution] = {
            name: FloatDistribution(0.0, 1.0) for name in self._tau_names
        }
        for setting, choices in self._choices.items():
            if isinstance(choices, LogRange):
                found[setting] = FloatDistribution(choices.low, choices.high, log=True)
            elif len(choices) > 1:
                found[setting] = CategoricalDistribution([str(choice) for choice in choices])
        return found

    @cached_property
    def corners(self) -> list[Params]:
        """Where τ is extreme: on the whole simplex cross-entropy, Dice and boundary alone.

        No draw from a continuous distribution comes there, and each is what mixes with the
        others must improve on.
        """
        found = [(0.0,), (1.0,)] if len(self._tau_names) == 1 else [(0, 0), (0, 1), (1, 0.5)]
        return [dict(zip(self._tau_names, map(float, each), strict=True)) for each in found]

    def trial(self, params: Params) -> TrialConfig:
        """The trial at these coordinates; τ has four decimals, see `simplex.rounded`."""
        share = self._region.share([params[name] for name in self._tau_names])
        tau = LossWeights(**dict(zip(_PARTS, rounded(share, self._region), strict=True)))
        settings: Params = {}
        for setting, choices in self._choices.items():
            if isinstance(choices, LogRange):
                value = float(f"{params[setting]:.{_DIGITS}g}")
                settings[setting] = (1.0, value) if setting == keys.INTERNAL_WEIGHTS else value
            else:
                by_text = {str(choice): choice for choice in choices}
                settings[setting] = by_text[params[setting]] if len(choices) > 1 else choices[0]
        return self.canonical(
            TrialConfig(loss=loss_of(tau), tau=tau, pretrained=self.space.pretrained, **settings)
        )

    def params(self, point: TrialConfig) -> Params:
        """Coordinates of a point of the space, as `canonical` gives it."""
        share = [getattr(point.tau, part) for part in _PARTS]
        found: Params = dict(zip(self._tau_names, self._region.coordinates(share), strict=True))
        for setting, choices in self._choices.items():
            value = getattr(point, setting)
            if isinstance(choices, LogRange):
                number = value[1] if setting == keys.INTERNAL_WEIGHTS else value
                found[setting] = min(max(number, choices.low), choices.high)
            elif len(choices) > 1:
                found[setting] = str(value)
        return found

    def canonical(self, trial: TrialConfig) -> TrialConfig:
        """The one way to write a point: trials that train alike become equal.

        The loss follows from τ, a setting of a term whose part is 0 is the space's first
        choice, and experiment and repeat, which are no coordinates, are left out.

        Raises:
            ValueError: if the trial is no point of the space; says why.
        """
        if trial.loss == "ce1":
            raise ValueError("loss must weigh regions by area, got loss=ce1")
        if trial.pretrained != self.space.pretrained:
            raise ValueError(
                f"pretrained must be {self.space.pretrained}, got pretrained={trial.pretrained}"
            )
        for part in ("ce", "dice", "boundary"):
            low, high = getattr(self.space.tau, part)
            if not low - 1e-9 <= getattr(trial.tau, part) <= high + 1e-9:
                raise ValueError(
                    f"tau of {part} must be in [{low}, {high}], got tau={trial.tau.ratio()}"
                )
        settings = {
            setting: self._setting(trial, setting, needs) for setting, needs in _CHOICES.items()
        }
        return replace(trial, loss=loss_of(trial.tau), experiment=None, repeat=0, **settings)

    def _setting(self, trial: TrialConfig, setting: str, needs: str | None) -> Any:
        choices, value = self._choices[setting], getattr(trial, setting)
        if needs is not None and not getattr(trial.tau, needs):
            if not isinstance(choices, LogRange):
                return choices[0]
            return (1.0, choices.low)
        if setting == keys.LEARNING_RATE:
            own = self.learning_rate if value is None else value
            value = None if choices == (None,) and own == self.learning_rate else own
        if not _is_in(value, choices):
            raise ValueError(f"{setting} must be {_in_words(choices)}, got {setting}={value}")
        return value

    @cached_property
    def _choices(self) -> dict[str, Any]:
        rate = self.space.learning_rate
        return {
            keys.NETWORK: self.space.networks,
            keys.BOUNDARY: self.space.boundary,
            keys.WEIGHTS_IN: self.space.weights_in,
            keys.INTERNAL_WEIGHTS: self.space.internal_weights,
            keys.LEARNING_RATE: (None,) if rate is None else rate,
        }

    @cached_property
    def _region(self) -> SimplexRegion:
        ranges = self.space.tau
        first, second, third = (getattr(ranges, part) for part in _PARTS)
        return SimplexRegion((first[0], second[0], third[0]), (first[1], second[1], third[1]))

    @cached_property
    def _tau_names(self) -> list[str]:
        """Of the free parts but the last, which follows from the others."""
        return [f"u_{_PARTS[i]}" for i in self._region.free[:-1]]


def _is_in(value: Any, choices: Any) -> bool:
    """Whether a choice, or within a range but for the rounding to three digits."""
    if not isinstance(choices, LogRange):
        return value in choices
    if isinstance(value, tuple):
        background, value = value
        if background != 1:
            return False
    return not isinstance(value, str) and choices.low * 0.99 <= value <= choices.high * 1.01


def _in_words(choices: Any) -> str:
    if isinstance(choices, LogRange):
        return f"in [{choices.low}, {choices.high}]"
    return "the budget's" if choices == (None,) else f"one of {', '.join(map(str, choices))}"
