"""What a search looks through, how, and from what it starts: checked frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tune_knee import keys
from tune_knee.checks import must_be_one_of, must_be_positive, must_be_share
from tune_knee.config import NETWORKS, TrialConfig
from tune_knee.simplex import UNITS
from tune_knee.training_config import FORBID_EXTRA

SAMPLERS: Final = ("tpe", "gp", "nsga2", "quasi_random")
# What a search can improve, all on the split that selects, and the good direction.
OBJECTIVES: Final[dict[str, Literal["maximize", "minimize"]]] = {
    keys.BEST_OVERLAP: "maximize",
    keys.BEST_DISTANCE_PX: "minimize",
}
_STARTUP_TRIALS: Final = 10

InternalWeights = tuple[float, float] | Literal["balanced"]


@dataclass(frozen=True, kw_only=True)
class LogRange:
    """Positive numbers from `low` to `high`, drawn evenly on a logarithmic scale."""

    low: float
    high: float

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        must_be_positive(low=self.low, high=self.high)
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got low={self.low}, high={self.high}")


@dataclass(frozen=True, kw_only=True)
class TauRanges:
    """(low, high) of each part of τ, with four decimals at most; together on the simplex.

    A part whose low equals its high is fixed; two parts at least are free.
    """

    ce: tuple[float, float] = (0.0, 1.0)
    dice: tuple[float, float] = (0.0, 1.0)
    boundary: tuple[float, float] = (0.0, 1.0)

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        ranges = {"ce": self.ce, "dice": self.dice, "boundary": self.boundary}
        for name, (low, high) in ranges.items():
            must_be_share(**{f"{name} low": low, f"{name} high": high})
            if low > high:
                raise ValueError(f"{name} must be low <= high, got {name}=({low}, {high})")
            if any(abs(end * UNITS - round(end * UNITS)) > 1e-6 for end in (low, high)):
                raise ValueError(
                    f"{name} must have at most four decimals, as τ has, got {name}=({low}, {high})"
                )
        shown = ", ".join(f"{name}=({low}, {high})" for name, (low, high) in ranges.items())
        least, most = (round(sum(ends) * UNITS) for ends in zip(*ranges.values(), strict=True))
        if least > UNITS or most < UNITS:
            side = "lows sum to more" if least > UNITS else "highs sum to less"
            raise ValueError(
                f"ranges of tau must hold a point of the simplex, where the parts sum to 1; "
                f"the {side} than 1, got {shown}"
            )
        if least == UNITS or most == UNITS:
            raise ValueError(
                f"ranges of tau must leave more than one point of the simplex, got {shown}; "
                "one point is for a grid"
            )


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """Where a search looks: τ, and what else may differ between its trials.

    The loss follows from τ: area-weighted cross-entropy, with the terms that are not 0.

    Attributes:
        networks: more than one is a categorical dimension.
        tau: ranges of the three parts.
        boundary: kinds of boundary loss; more than one is a dimension, as in the next two.
        weights_in: where the external weights act.
        internal_weights: choices, or a range of the foreground's weight beside 1 for the
            background.
        learning_rate: choices or a range; None takes the budget's.
        pretrained: as in `TrialConfig`, for all trials.
    """

    networks: tuple[str, ...]
    tau: TauRanges = field(default_factory=TauRanges)
    boundary: tuple[str, ...] = (TrialConfig.boundary,)
    weights_in: tuple[str, ...] = (TrialConfig.weights_in,)
    internal_weights: tuple[InternalWeights, ...] | LogRange = (TrialConfig.internal_weights,)
    learning_rate: tuple[float, ...] | LogRange | None = None
    pretrained: bool = False

    def __post_init__(self) -> None:
        for name in ("networks", "boundary", "weights_in", "internal_weights", "learning_rate"):
            choices = getattr(self, name)
            if not isinstance(choices, tuple):
                continue
            if not choices or len(set(choices)) < len(choices):
                raise ValueError(
                    f"{name} must be at least one choice and none twice, got {name}={choices}"
                )
            setting = "network" if name == "networks" else name
            for choice in choices:
                TrialConfig(**{"network": NETWORKS[0], setting: choice})


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How a search chooses its trials.

    Attributes:
        sampler: ``tpe`` (tree-structured Parzen estimator), ``gp`` (Gaussian process),
            ``nsga2`` (genetic), or ``quasi_random`` (Sobol: covers evenly, learns nothing).
        objectives: one or several of `OBJECTIVES`; several are weighed by dominance alone.
        startup_trials: trials before the sampler takes what was learnt into account; known
            ones count. None takes 10, or the concurrency where that is more.
        seed: determines the trials, with what was told about those before.
    """

    sampler: str = "tpe"
    objectives: tuple[str, ...] = tuple(OBJECTIVES)
    startup_trials: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        must_be_one_of(SAMPLERS, sampler=self.sampler)
        for objective in self.objectives:
            if objective in (keys.SCORE, keys.TEST_SCORE):
                raise ValueError(
                    "objectives must be known when a trial ends; the study's rank score depends "
                    f"on the other trials and changes with each of them, got objective={objective}"
                )
            must_be_one_of(tuple(OBJECTIVES), objective=objective)
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(
                "objectives must be at least one and none twice, "
                f"got objectives={', '.join(self.objectives) or 'none'}"
            )
        if self.startup_trials is not None:
            must_be_positive(startup_trials=self.startup_trials)
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got seed={self.seed}")

    def startup(self, *, trials: int, concurrency: int, known: int = 0) -> int:
        """Trials before the sampler learns: at least as many as run at a time.

        Args:
            trials: how many the search may train.
            concurrency: how many run at a time.
            known: trained before, by another study.

        Raises:
            ValueError: if fewer were asked for than run at a time, or if all trials and the
                known ones are fewer, so that nothing would ever be learnt.
        """
        startup = self.startup_trials
        if startup is None:
            startup = max(_STARTUP_TRIALS, concurrency)
        if startup < concurrency:
            raise ValueError(
                f"startup_trials must be at least the {concurrency} that run at a time, "
                f"got startup_trials={startup}"
            )
        if trials + known < startup:
            raise ValueError(
                f"trials, with {known} known ones, must be at least the startup's {startup}, "
                f"got trials={trials}; ask for more, or set startup_trials in the search"
            )
        return startup


@dataclass(frozen=True, kw_only=True)
class KnownPoint:
    """A trial of another study, and its values of the objectives."""

    trial: TrialConfig
    values: Mapping[str, float]
