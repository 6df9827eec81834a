"""What training frames go through, drawn at random before any pixel is touched."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tune_knee.training_config import AugmentationConfig


@dataclass(frozen=True)
class Changes:
    """What each of B square frames goes through; a neutral value leaves a frame as it is.

    All on the CPU, so that every device makes the same changes.

    Attributes:
        affine: output position -> source position, both (x, y) in [-1, 1] between the frame's
            outer edges; neutral the identity. (B, 2, 3).
        blur_sigma: of the Gaussian filter, as a share of the side; neutral 0. (B,).
        gamma: exponent on grey values in [0, 1]; neutral 1. (B,).
        noise_sd: of added Gaussian noise, of a range of 1; neutral 0. (B,).
        noise_seed: seed of the noise of all frames.
    """

    affine: Tensor
    blur_sigma: Tensor
    gamma: Tensor
    noise_sd: Tensor
    noise_seed: int


def draw_changes(frames: int, config: AugmentationConfig, generator: torch.Generator) -> Changes:
    """Draw the changes of some frames, each frame and each kind on its own."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(frames, generator=generator)

    def sometimes(values: Tensor, neutral: float) -> Tensor:
        chosen = torch.rand(frames, generator=generator) < config.probability
        return torch.where(chosen, values, neutral)

    scale = sometimes(_log_uniform(config.scale, uniform), 1.0)
    angle = sometimes(math.radians(config.rotation_deg) * uniform(-1, 1), 0.0)
    crop = sometimes(uniform(config.crop_share, 1), 1.0)
    centre = (1 - crop)[:, None] * torch.stack([uniform(-1, 1), uniform(-1, 1)], dim=1)
    flipped = torch.rand(frames, generator=generator) < config.flip_probability
    return Changes(
        affine=_affine(crop / scale, angle, centre, flipped),
        blur_sigma=sometimes(uniform(0, config.blur_sigma_share), 0.0),
        gamma=sometimes(_log_uniform(config.gamma, uniform), 1.0),
        noise_sd=sometimes(uniform(0, config.noise_sd), 0.0),
        noise_seed=int(torch.randint(2**62, (), generator=generator)),
    )


def _affine(zoom: Tensor, angle: Tensor, centre: Tensor, flipped: Tensor) -> Tensor:
    """Source = centre + zoom · rotation · mirror · output. (B, 2, 3)."""
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    mirror = torch.where(flipped, -1.0, 1.0)
    x = torch.stack([cos * mirror, -sin, centre[:, 0]], dim=1)
    y = torch.stack([sin * mirror, cos, centre[:, 1]], dim=1)
    return torch.stack([x, y], dim=1)


def _log_uniform(bounds: tuple[float, float], uniform: Callable[[float, float], Tensor]) -> Tensor:
    return uniform(math.log(bounds[0]), math.log(bounds[1])).exp()
