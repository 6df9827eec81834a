"""The YAML form of a search."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from search_spaces.grid_file import Name, Network, listed, paired
from tune_knee.config import NETWORKS, Budget
from tune_knee.search_config import LogRange, SearchConfig, SearchSpace, TauRanges


def _valid_in_space(field: str) -> AfterValidator:
    """Leaves the checking of a value to `SearchSpace`, as a tuple where it is a list."""

    def check(value: Any) -> Any:
        value = tuple(value) if isinstance(value, list) else value
        SearchSpace(**{"networks": NETWORKS[:1], field: value})
        return value

    return AfterValidator(check)


def _valid_in_config(field: str) -> AfterValidator:
    """Leaves the checking of a value to `SearchConfig`, as a tuple where it is a list."""

    def check(value: Any) -> Any:
        value = tuple(value) if isinstance(value, list) else value
        SearchConfig(**{field: value})
        return value

    return AfterValidator(check)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(value: Any) -> tuple[float, float]:
    if _is_number(value):
        return (float(value), float(value))
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
        return (float(value[0]), float(value[1]))
    raise ValueError(f"must be a number or [low, high], got {value}")


def _log_range(value: Any) -> LogRange | None:
    """The range that a mapping means; None if it is no mapping of low and high to numbers."""
    if not (isinstance(value, dict) and set(value) == {"low", "high"}):
        return None
    return LogRange(**value) if all(map(_is_number, value.values())) else None


def _learning_rate(value: Any) -> object:
    values = [value] if _is_number(value) else value
    if value is None:
        return None
    if isinstance(values, list) and all(map(_is_number, values)):
        return tuple(float(each) for each in values)
    if (found := _log_range(value)) is not None:
        return found
    raise ValueError(
        f"learning_rate must be null, a number, a list of them, or {{low, high}}, got {value}"
    )


def _internal_weights(value: Any) -> object:
    """One choice, a list of them, or the range of the foreground's weight."""
    if (found := _log_range(value)) is not None:
        return found
    single = isinstance(value, str) or (isinstance(value, list) and all(map(_is_number, value)))
    return tuple(map(paired, [value] if single else _as_list(value)))


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise ValueError(
        "internal_weights must be balanced, [background, foreground], a list of them, or "
        f"{{low, high}} of the foreground's weight, got {value}"
    )


class TauSection(BaseModel):
    """Ranges of the parts of τ; see `TauRanges`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ce: Annotated[Any, BeforeValidator(_range)] = TauRanges.ce
    dice: Annotated[Any, BeforeValidator(_range)] = TauRanges.dice
    boundary: Annotated[Any, BeforeValidator(_range)] = TauRanges.boundary

    @model_validator(mode="after")
    def _meets_the_simplex(self) -> Self:
        self.ranges()
        return self

    def ranges(self) -> TauRanges:
        """The ranges, checked."""
        return TauRanges(ce=self.ce, dice=self.dice, boundary=self.boundary)


class SearchSection(BaseModel):
    """Where to look and how; see `SearchSpace` and `SearchConfig`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    networks: Annotated[list[Network], BeforeValidator(listed), _valid_in_space("networks")]
    tau: TauSection = TauSection()
    boundary: Annotated[list[str], BeforeValidator(listed), _valid_in_space("boundary")] = [
        *SearchSpace.boundary
    ]
    weights_in: Annotated[list[str], BeforeValidator(listed), _valid_in_space("weights_in")] = [
        *SearchSpace.weights_in
    ]
    internal_weights: Annotated[
        Any, BeforeValidator(_internal_weights), _valid_in_space("internal_weights")
    ] = SearchSpace.internal_weights
    learning_rate: Annotated[
        Any, BeforeValidator(_learning_rate), _valid_in_space("learning_rate")
    ] = SearchSpace.learning_rate
    pretrained: bool = SearchSpace.pretrained
    sampler: Annotated[str, _valid_in_config("sampler")] = SearchConfig.sampler
    objectives: Annotated[list[str], BeforeValidator(listed), _valid_in_config("objectives")] = [
        *SearchConfig.objectives
    ]
    startup_trials: Annotated[int | None, _valid_in_config("startup_trials")] = None
    seed: Annotated[int, _valid_in_config("seed")] = SearchConfig.seed

    def space(self) -> SearchSpace:
        """Where to look."""
        return SearchSpace(
            networks=tuple(self.networks),
            tau=self.tau.ranges(),
            boundary=tuple(self.boundary),
            weights_in=tuple(self.weights_in),
            internal_weights=self.internal_weights,
            learning_rate=self.learning_rate,
            pretrained=self.pretrained,
        )

    def config(self) -> SearchConfig:
        """How to look."""
        return SearchConfig(
            sampler=self.sampler,
            objectives=tuple(self.objectives),
            startup_trials=self.startup_trials,
            seed=self.seed,
        )


class SearchFile(BaseModel):
    """A search's file.

    Attributes:
        name: the file's name without its ending, where not given.
        search: where to look and how.
        budget: the whole budget that the file's changes lead to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name | None = None
    description: str
    search: SearchSection
    budget: Budget
