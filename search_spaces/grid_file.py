"""The YAML form of a grid, and its problems in words."""

from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from tune_knee.config import LOSS_TERMS, NETWORKS, Budget, LossWeights, TrialConfig


def _valid_in_trial(field: str) -> AfterValidator:
    """Leaves the checking of a value to `TrialConfig`, so that each rule stands once."""

    def check(value: Any) -> Any:
        TrialConfig(**{"network": NETWORKS[0], field: value})
        return value

    return AfterValidator(check)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _paired(value: object) -> object:
    if value == "balanced":
        return value
    if isinstance(value, list) and len(value) == 2:
        background, foreground = value
        if isinstance(background, int | float) and isinstance(foreground, int | float):
            return (float(background), float(foreground))
    raise ValueError(f"internal_weights must be balanced or [background, foreground], got {value}")


def _fits_losses(ratio: str, info: ValidationInfo) -> str:
    for loss in info.data.get("loss", ()):
        LossWeights.parse(loss, ratio)
    return ratio


Network = Annotated[str, _valid_in_trial("network")]
Loss = Annotated[str, _valid_in_trial("loss")]
Ratio = Annotated[str, AfterValidator(_fits_losses)]


class Settings(BaseModel):
    """What every trial has besides network, loss and τ; see `TrialConfig`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    boundary: Annotated[str, _valid_in_trial("boundary")] = TrialConfig.boundary
    internal_weights: Annotated[
        Any, BeforeValidator(_paired), _valid_in_trial("internal_weights")
    ] = TrialConfig.internal_weights
    weights_in: Annotated[str, _valid_in_trial("weights_in")] = TrialConfig.weights_in
    pretrained: bool = TrialConfig.pretrained

    def given(self) -> dict[str, Any]:
        """The settings that the file gives."""
        return self.model_dump(include=set(Settings.model_fields), exclude_unset=True)


class Experiment(Settings):
    """All combinations of networks, losses and ratios; a pure loss needs no ratio."""

    experiment: int | None = None
    network: Annotated[list[Network], BeforeValidator(_listed), Field(min_length=1)]
    loss: Annotated[list[Loss], BeforeValidator(_listed), Field(min_length=1)]
    tau: Annotated[list[Ratio], BeforeValidator(_listed)] = Field([], validate_default=True)

    @field_validator("tau")
    @classmethod
    def _given_for_mixes(cls, tau: list[str], info: ValidationInfo) -> list[str]:
        for loss in info.data.get("loss", ()):
            if not tau and len(LOSS_TERMS[loss]) > 1:
                raise ValueError(f"must list ratios {':'.join(LOSS_TERMS[loss])} for {loss}")
        return tau


class Only(BaseModel):
    """What to keep of the extended grid; an empty list keeps all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: Annotated[list[Network], BeforeValidator(_listed)] = []
    loss: Annotated[list[Loss], BeforeValidator(_listed)] = []


class GridFile(BaseModel):
    """A grid's file.

    Attributes:
        name: the file's name without its ending, where not given.
        extends: a grid that ships, or a path beside this file; its trials come first.
        only: narrows what is extended.
        defaults: settings of all trials, those of the extended grid included, whose
            experiment does not set them itself.
        experiments: the trials.
        budget: the whole budget that the file's changes lead to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    description: str
    extends: str | None = None
    only: Only = Only()
    defaults: Settings = Settings()
    experiments: list[Experiment] = Field([], validate_default=True)
    budget: Budget

    @field_validator("only")
    @classmethod
    def _narrows_something(cls, only: Only, info: ValidationInfo) -> Only:
        if info.data.get("extends", "") is None:
            raise ValueError("must come with extends, the grid to narrow")
        return only

    @field_validator("experiments")
    @classmethod
    def _not_empty(cls, experiments: list[Experiment], info: ValidationInfo) -> list[Experiment]:
        if not experiments and info.data.get("extends", "") is None:
            raise ValueError("must list at least one, where no grid is extended")
        return experiments


def problems_of(error: ValidationError) -> list[str]:
    """One line per problem: the field's path, what must hold, what was found."""
    return [_in_words(problem["loc"], problem) for problem in error.errors()]


def _in_words(loc: tuple[int | str, ...], problem: Any) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    path = path.removeprefix(".") or "file"
    match problem["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{path}: must be one of the fields {', '.join(_siblings(loc))}"
        case "missing":
            return f"{path}: must be given"
        case "value_error":
            return f"{path}: {problem['ctx']['error']}"
        case _:
            return f"{path}: {problem['msg'].lower()}, got {problem['input']!r}"


def _siblings(loc: tuple[int | str, ...]) -> list[str]:
    """Fields of the class in which the path's last part was looked for."""
    kind: Any = GridFile
    for part in loc[:-1]:
        kind = get_args(kind)[0] if isinstance(part, int) else get_type_hints(kind)[part]
    return [field.name for field in fields(kind)] if is_dataclass(kind) else [*kind.model_fields]
