"""What a trial is: frozen dataclasses, checked when they are made."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from tune_knee import keys
from tune_knee.checks import must_be_one_of, must_be_positive, must_be_share
from tune_knee.training_config import (
    FORBID_EXTRA,
    AugmentationConfig,
    OptimizerConfig,
    ScheduleConfig,
    StoppingConfig,
)

NETWORKS: Final = (
    "fcn_unet",
    "pspnet_r50c",
    "deeplabv3plus_r50c",
    "upernet_r50c",
    "segformer_b2",
)
SMP_PREFIX: Final = "smp:"  # smp:<architecture>:<encoder>, beyond the paper's five

LOSS_TERMS: Final[dict[str, tuple[str, ...]]] = {
    "ce1": ("ce",),
    "ce2": ("ce",),
    "ce2+dice": ("ce", "dice"),
    "ce2+boundary": ("ce", "boundary"),
    "ce2+dice+boundary": ("ce", "dice", "boundary"),
}
BOUNDARY_KINDS: Final = ("balanced_bce", "mmseg_1_2_1", "signed_distance")
WEIGHTS_IN: Final = ("ce", "all")


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """The mixing ratio τ1:τ2:τ3 of cross-entropy, Dice and boundary loss.

    Each in [0, 1]; together 1 (the simplex), so that all mixes have one scale.
    """

    ce: float = 1.0
    dice: float = 0.0
    boundary: float = 0.0

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        must_be_share(ce=self.ce, dice=self.dice, boundary=self.boundary)
        total = self.ce + self.dice + self.boundary
        if abs(total - 1) > 1e-6:
            raise ValueError(f"loss weights must sum to 1, got {self.ratio()}, sum={total:g}")

    @classmethod
    def parse(cls, loss: str, ratio: str) -> Self:
        """Read a ratio in the order of the loss's terms: ``("ce2+boundary", "0.9:0.1")``.

        Raises:
            ValueError: if the loss is unknown, a part is not a number, the number of
                parts differs from the number of terms, or they do not sum to 1.
        """
        must_be_one_of(tuple(LOSS_TERMS), loss=loss)
        terms = LOSS_TERMS[loss]
        try:
            values = [float(part) for part in ratio.split(":")]
        except ValueError:
            raise ValueError(f"tau must be numbers joined by ':', got tau={ratio}") from None
        if len(values) != len(terms):
            expected = ":".join(terms)
            raise ValueError(f"tau of {loss} must have the parts {expected}, got tau={ratio}")
        return cls(**{"ce": 0.0, **dict(zip(terms, values, strict=True))})

    def ratio(self) -> str:
        """All three parts, e.g. ``0.50:0.25:0.25``."""
        return f"{self.ce:.4g}:{self.dice:.4g}:{self.boundary:.4g}"


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One network with one loss: what differs between the trials of a study.

    Attributes:
        network: one of `NETWORKS`, or ``smp:<architecture>:<encoder>``.
        loss: one of `LOSS_TERMS`; ce1 has equal external weights, ce2 area-based ones.
        tau: mixing ratio; parts of terms that `loss` does not name must be 0.
        boundary: kind of boundary loss, one of `BOUNDARY_KINDS`.
        internal_weights: weight of (background, foreground) inside each binary
            cross-entropy, or ``balanced`` for inverse class frequency per region.
        weights_in: where the external weights act: in the cross-entropy (the paper),
            or in all terms (its future work).
        pretrained: start from an ImageNet backbone instead of random weights.
        learning_rate: AdamW's initial one; None takes the budget's.
        repeat: which repetition of the same point this is, from 0; each has its own seed.
        experiment: number in the paper's Table 2; a label, no part of the identity.
    """

    network: str
    loss: str = "ce2"
    tau: LossWeights = field(default_factory=LossWeights)
    boundary: str = "balanced_bce"
    internal_weights: tuple[float, float] | Literal["balanced"] = (1.0, 1.0)
    weights_in: str = "ce"
    pretrained: bool = False
    learning_rate: float | None = None
    repeat: int = 0
    experiment: int | None = None

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        if not self.network.startswith(SMP_PREFIX):
            must_be_one_of((*NETWORKS, "smp:<architecture>:<encoder>"), network=self.network)
        elif self.network.count(":") != 2 or self.network.endswith(":"):
            raise ValueError(
                f"network must be smp:<architecture>:<encoder>, got network={self.network}"
            )
        must_be_one_of(tuple(LOSS_TERMS), loss=self.loss)
        must_be_one_of(BOUNDARY_KINDS, boundary=self.boundary)
        must_be_one_of(WEIGHTS_IN, weights_in=self.weights_in)
        for term in ("ce", "dice", "boundary"):
            if term not in LOSS_TERMS[self.loss] and getattr(self.tau, term) != 0:
                raise ValueError(
                    f"tau of {term} must be 0 in loss {self.loss}, got tau={self.tau.ratio()}"
                )
        if isinstance(self.internal_weights, tuple):
            background, foreground = self.internal_weights
            must_be_positive(
                internal_weight_background=background, internal_weight_foreground=foreground
            )
        if self.learning_rate is not None:
            must_be_positive(learning_rate=self.learning_rate)
        if self.repeat < 0:
            raise ValueError(f"repeat must be at least 0, got repeat={self.repeat}")

    @property
    def ratio(self) -> str:
        """τ of the loss's own terms as text, e.g. ``0.50:0.50``; empty for ce1 and ce2.

        Two decimals, and up to four where τ has them.
        """
        terms = LOSS_TERMS[self.loss]
        if len(terms) == 1:
            return ""
        return ":".join(_at_least_two_decimals(getattr(self.tau, term)) for term in terms)

    @property
    def label(self) -> str:
        """The trial in words, e.g. ``segformer_b2 ce2+dice 0.50:0.50``.

        A learning rate of its own and a repetition follow: ``lr=0.003``, ``#2`` (the second).
        """
        rate = "" if self.learning_rate is None else f"lr={self.learning_rate:.4g}"
        repetition = f"#{self.repeat + 1}" if self.repeat else ""
        parts = (self.network, self.loss, self.ratio, rate, repetition)
        return " ".join(part for part in parts if part)

    def params(self) -> dict[str, str | float | int | bool]:
        """The flat, named parameters, as MLflow, tables and ``--json`` show them.

        Experiment, learning rate and repeat are left out where they say nothing.
        """
        pair = self.internal_weights
        internal = pair if isinstance(pair, str) else f"{pair[0]:g}:{pair[1]:g}"
        own = {
            keys.EXPERIMENT: self.experiment,
            keys.LEARNING_RATE: self.learning_rate,
            keys.REPEAT: self.repeat or None,
        }
        return {
            **{name: value for name, value in own.items() if value is not None},
            keys.NETWORK: self.network,
            keys.LOSS: self.loss,
            keys.TAU_CE: self.tau.ce,
            keys.TAU_DICE: self.tau.dice,
            keys.TAU_BOUNDARY: self.tau.boundary,
            keys.BOUNDARY: self.boundary,
            keys.INTERNAL_WEIGHTS: internal,
            keys.WEIGHTS_IN: self.weights_in,
            keys.PRETRAINED: self.pretrained,
        }


def _at_least_two_decimals(share: float) -> str:
    whole, decimals = f"{share:.4f}".split(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much is spent on each trial: what all trials of a study have in common.

    Attributes:
        name: shown wherever a result of this budget is shown.
        image_size_px: side of the square frames that the networks see.
        width: factor on the channels of every network.
        max_steps: optimizer steps at most.
        evaluation_interval: steps between two validations.
        checkpoint_interval: validations between two saved states.
        batch_size: frames a step.
        select_on: split whose mean IoU chooses the best checkpoint. ``test`` is what the
            paper's table may have done; it flatters every result.
    """

    name: str
    image_size_px: int = 512
    width: float = 1.0
    max_steps: int = 50_000
    evaluation_interval: int = 50
    checkpoint_interval: int = 5
    batch_size: int = 8
    select_on: str = "validation"
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        must_be_positive(
            width=self.width,
            max_steps=self.max_steps,
            evaluation_interval=self.evaluation_interval,
            checkpoint_interval=self.checkpoint_interval,
        )
        if self.image_size_px < 32 or self.image_size_px % 32:
            raise ValueError(
                "image_size_px must be a positive multiple of 32, "
                f"got image_size_px={self.image_size_px}"
            )
        must_be_one_of(("validation", "test"), select_on=self.select_on)
        if self.batch_size < 2:
            raise ValueError(
                "batch_size must be at least 2 (batch norm on pooled 1x1 features), "
                f"got batch_size={self.batch_size}"
            )


PAPER_BUDGET: Final = Budget(name="paper")
# As many steps as let 55 trials end on two CPU cores in about a quarter of an hour. So few
# want a high learning rate, small batches, and frames that are changed less.
PREVIEW_BUDGET: Final = Budget(
    name="preview",
    image_size_px=64,
    width=0.25,
    max_steps=260,
    evaluation_interval=65,
    checkpoint_interval=1,
    batch_size=4,
    optimizer=OptimizerConfig(learning_rate=1.2e-2),
    augmentation=AugmentationConfig(probability=0.2),
)
BUDGETS: Final = {budget.name: budget for budget in (PAPER_BUDGET, PREVIEW_BUDGET)}


def trial_id(trial: TrialConfig, budget: Budget, fingerprint: str) -> str:
    """Identity of a trial: 12 hex digits of SHA-256 over all that determines its result.

    Parameters, budget and dataset fingerprint count; the experiment number, which only
    labels the trial, does not, nor do a learning rate and a repetition that say nothing, so
    that a plain trial's id has stayed what it was before there were any. Equal trials of two
    studies have one id.
    """
    identity = dataclasses.asdict(trial)
    del identity["experiment"]
    for name in ("learning_rate", "repeat"):
        if not identity[name]:
            del identity[name]
    content: dict[str, Any] = {
        "trial": identity,
        "budget": dataclasses.asdict(budget),
        "dataset": fingerprint,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def trial_seed(identity: str) -> int:
    """Seed of a trial, in [0, 2**32), derived from its id."""
    return int(hashlib.sha256(identity.encode()).hexdigest()[:8], 16)
