"""The numbers of training: optimizer, schedule, stopping, augmentation."""

from dataclasses import dataclass
from typing import Final

from pydantic import ConfigDict

from tune_knee.checks import must_be_positive, must_be_share

FORBID_EXTRA: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW; weight decay spares norms and biases. `clip_norm` None clips nothing."""

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.01
    clip_norm: float | None = None

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        must_be_positive(learning_rate=self.learning_rate)
        must_be_share(beta1=self.beta1, beta2=self.beta2, weight_decay=self.weight_decay)
        if self.clip_norm is not None:
            must_be_positive(clip_norm=self.clip_norm)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Linear warm-up, polynomial decay, cosine to 0; the joints as shares of all steps."""

    warmup_share: float = 0.03
    power: float = 0.9
    cosine_from_share: float = 0.8

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        must_be_share(warmup_share=self.warmup_share, cosine_from_share=self.cosine_from_share)
        must_be_positive(power=self.power)
        if self.warmup_share > self.cosine_from_share:
            raise ValueError(
                "warmup_share must be at most cosine_from_share, "
                f"got warmup_share={self.warmup_share}, cosine_from_share={self.cosine_from_share}"
            )


@dataclass(frozen=True, kw_only=True)
class StoppingConfig:
    """The paper's criteria in series; training stops when the plateau is reached.

    Attributes:
        train_loss_below: criterion 1, on the mean training loss of the interval.
        val_iou_above: criterion 2, on the validation mean IoU over all regions.
        hardest_iou_above: criterion 3, on the validation mean IoU of the hardest region.
        hardest_region: its name; None takes the region of the smallest training area.
        plateau_window: criterion 4 looks at this many consecutive validations,
        plateau_fluctuation: and wants (max - min) / mean of them below this.
    """

    train_loss_below: float = 0.2
    val_iou_above: float = 0.8
    hardest_iou_above: float = 0.85
    hardest_region: str | None = None
    plateau_window: int = 10
    plateau_fluctuation: float = 0.001

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        must_be_share(val_iou_above=self.val_iou_above, hardest_iou_above=self.hardest_iou_above)
        must_be_positive(plateau_fluctuation=self.plateau_fluctuation)
        if self.plateau_window < 2:
            raise ValueError(
                f"plateau_window must be at least 2, got plateau_window={self.plateau_window}"
            )


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Ranges of the seven random changes of a training frame; each acts on its own.

    Attributes:
        probability: chance of each of noise, filtering, scaling, cropping, rotation
            and gamma on a frame.
        flip_probability: chance of a left-right mirror.
        noise_sd: largest standard deviation of added Gaussian noise, of a range of 1.
        blur_sigma_share: largest Gaussian filter sigma as a share of the image's side.
        scale: (smallest, largest) magnification.
        crop_share: smallest side of a random crop, as a share of the image's side.
        rotation_deg: largest rotation to either side.
        gamma: (smallest, largest) exponent, drawn log-uniformly.
    """

    probability: float = 0.5
    flip_probability: float = 0.5
    noise_sd: float = 0.05
    blur_sigma_share: float = 0.003
    scale: tuple[float, float] = (0.8, 1.25)
    crop_share: float = 0.8
    rotation_deg: float = 20.0
    gamma: tuple[float, float] = (0.7, 1.4)

    __pydantic_config__ = FORBID_EXTRA

    def __post_init__(self) -> None:
        must_be_share(
            probability=self.probability,
            flip_probability=self.flip_probability,
            noise_sd=self.noise_sd,
            blur_sigma_share=self.blur_sigma_share,
            crop_share=self.crop_share,
        )
        must_be_positive(crop_share=self.crop_share)
        for name, (low, high) in {"scale": self.scale, "gamma": self.gamma}.items():
            if not 0 < low <= high:
                raise ValueError(f"{name} must be 0 < low <= high, got {name}=({low}, {high})")
        if not 0 <= self.rotation_deg <= 180:
            raise ValueError(
                f"rotation_deg must be in [0, 180], got rotation_deg={self.rotation_deg}"
            )
