"""The YAML form of a grid."""

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from tune_knee.config import LOSS_TERMS, NETWORKS, Budget, LossWeights, TrialConfig


def valid_in_trial(field: str) -> AfterValidator:
    """Leaves the checking of a value to `TrialConfig`, so that each rule stands once."""

    def check(value: Any) -> Any:
        TrialConfig(**{"network": NETWORKS[0], field: value})
        return value

    return AfterValidator(check)


def listed(value: object) -> object:
    """A single name may stand without brackets."""
    return [value] if isinstance(value, str) else value


def paired(value: object) -> object:
    """Internal weights as `TrialConfig` has them."""
    if value == "balanced":
        return value
    if isinstance(value, list) and len(value) == 2:
        background, foreground = value
        if isinstance(background, int | float) and isinstance(foreground, int | float):
            return (float(background), float(foreground))
    raise ValueError(f"internal_weights must be balanced or [background, foreground], got {value}")


def _names_a_folder(name: str) -> str:
    if not re.fullmatch(r"\w([\w .+-]*[\w+-])?", name):
        raise ValueError(
            "must be of letters, digits, '_', '-', '+', inner spaces and inner '.', as a folder "
            f"bears it, got {name}"
        )
    return name


def _fits_losses(ratio: str, info: ValidationInfo) -> str:
    for loss in info.data.get("loss", ()):
        LossWeights.parse(loss, ratio)
    return ratio


Network = Annotated[str, valid_in_trial("network")]
Loss = Annotated[str, valid_in_trial("loss")]
Name = Annotated[str, AfterValidator(_names_a_folder)]
Ratio = Annotated[str, AfterValidator(_fits_losses)]


class Settings(BaseModel):
    """What every trial has besides network, loss and τ; see `TrialConfig`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    boundary: Annotated[str, valid_in_trial("boundary")] = TrialConfig.boundary
    internal_weights: Annotated[
        Any, BeforeValidator(paired), valid_in_trial("internal_weights")
    ] = TrialConfig.internal_weights
    weights_in: Annotated[str, valid_in_trial("weights_in")] = TrialConfig.weights_in
    pretrained: bool = TrialConfig.pretrained

    def given(self) -> dict[str, Any]:
        """The settings that the file gives."""
        return self.model_dump(include=set(Settings.model_fields), exclude_unset=True)


class Experiment(Settings):
    """All combinations of networks, losses and ratios; a pure loss needs no ratio."""

    experiment: int | None = None
    network: Annotated[list[Network], BeforeValidator(listed), Field(min_length=1)]
    loss: Annotated[list[Loss], BeforeValidator(listed), Field(min_length=1)]
    tau: Annotated[list[Ratio], BeforeValidator(listed)] = Field([], validate_default=True)

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

    network: Annotated[list[Network], BeforeValidator(listed)] = []
    loss: Annotated[list[Loss], BeforeValidator(listed)] = []


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

    name: Name | None = None
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
