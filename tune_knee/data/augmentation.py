"""Random changes of training frames, batched and on their device: the paper's seven kinds.

Scaling, cropping, flipping and rotation are fused into one affine warp. What a frame goes
through is drawn first, on the CPU, so that every device makes the same changes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tune_knee.config import AugmentationConfig
from tune_knee.data.batch import Batch, region_channels, standardised


@dataclass(frozen=True)
class Changes:
    """What B frames go through, on the CPU; a neutral value leaves a frame as it is.

    Attributes:
        affine: output position -> source position, both in [-1, 1]. (B, 2, 3).
        blur_sigma: of the Gaussian filter, as a share of the side; neutral 0. (B,).
        gamma: exponent on grey values in [0, 1]; neutral 1. (B,).
        noise_sd: of Gaussian noise, of a range of 1; neutral 0. (B,).
        noise_seed: seeds the noise.
    """

    affine: Tensor
    blur_sigma: Tensor
    gamma: Tensor
    noise_sd: Tensor
    noise_seed: int


def draw_changes(frames: int, config: AugmentationConfig, generator: torch.Generator) -> Changes:
    """Draw what each of B frames goes through, each kind on its own.

    The number of draws does not depend on what is drawn.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(frames, generator=generator)

    def sometimes(values: Tensor, neutral: float) -> Tensor:
        chosen = torch.rand(frames, generator=generator) < config.probability
        return torch.where(chosen, values, neutral)

    scale = sometimes(_log_uniform(uniform, *config.scale), 1.0)
    angle = sometimes(uniform(-1, 1) * math.radians(config.rotation_deg), 0.0)
    crop = sometimes(uniform(config.crop_share, 1), 1.0)
    offset_x, offset_y = uniform(-1, 1) * (1 - crop), uniform(-1, 1) * (1 - crop)
    flipped = torch.rand(frames, generator=generator) < config.flip_probability
    return Changes(
        affine=_affine(scale, angle, crop, torch.stack([offset_x, offset_y], dim=1), flipped),
        blur_sigma=sometimes(uniform(0, config.blur_sigma_share), 0.0),
        gamma=sometimes(_log_uniform(uniform, *config.gamma), 1.0),
        noise_sd=sometimes(uniform(0, config.noise_sd), 0.0),
        noise_seed=int(torch.randint(2**62, (), generator=generator)),
    )


def augment_batch(
    images: Tensor,
    masks: Tensor,
    regions: int,
    config: AugmentationConfig,
    generator: torch.Generator,
) -> Batch:
    """A training batch: each frame with its own random changes, on the tensors' device.

    One affine warp (images bilinear, labels nearest: every pixel keeps all regions of the
    pixel it comes from, for the cost of one channel), Gaussian filter, gamma, noise, then
    standardised. What enters from outside the frame is 0 in image and labels.

    Args:
        images: uint8 (B, S, S).
        masks: uint8 (B, S, S); bit r is region r.
        regions: R, at most 8.
        config: ranges and probabilities.
        generator: a CPU generator, from which all randomness comes. The same changes are made
            on every device; the noise's own values differ between devices.

    Raises:
        ValueError: if the frames are not square.
    """
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"frames must be square, got images.shape={tuple(images.shape)}")
    changes = draw_changes(len(images), config, generator)
    grey, masks = _warped(images, masks, changes.affine)
    grey = grey / 255
    grey = _filtered(grey, changes.blur_sigma * images.shape[-1])
    grey = _gamma_corrected(grey, changes.gamma)
    grey = _noisy(grey, changes.noise_sd, changes.noise_seed)
    return Batch(standardised(grey), region_channels(masks, regions))


def _affine(scale: Tensor, angle: Tensor, crop: Tensor, offset: Tensor, flipped: Tensor) -> Tensor:
    """Source = offset + crop / scale · rotation · mirror · output. (B, 2, 3)."""
    zoom = crop / scale
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    mirror = 1.0 - 2.0 * flipped
    rows = [
        torch.stack([mirror * cos, -sin, offset[:, 0]], dim=1),
        torch.stack([mirror * sin, cos, offset[:, 1]], dim=1),
    ]
    return torch.stack(rows, dim=1)


def _warped(images: Tensor, masks: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
    size = images.shape[-1]
    steps = (2 * torch.arange(size, device=images.device) + 1) / size - 1
    matrix = affine.to(images.device)
    along_x = steps[:, None] * matrix[:, None, :, 0]
    along_y = steps[:, None] * matrix[:, None, :, 1] + matrix[:, None, :, 2]
    grid = along_y[:, :, None] + along_x[:, None]

    def sampled(planes: Tensor, mode: str) -> Tensor:
        return functional.grid_sample(planes[:, None].float(), grid, mode, align_corners=False)[
            :, 0
        ]

    return sampled(images, "bilinear"), sampled(masks, "nearest").to(torch.uint8)


def _filtered(grey: Tensor, sigma_px: Tensor) -> Tensor:
    chosen = sigma_px.nonzero()[:, 0]
    if not len(chosen):
        return grey
    sigma = sigma_px[chosen, None]
    radius = math.ceil(3 * float(sigma.max()))
    weights = (-(torch.arange(-radius, radius + 1) ** 2) / (2 * sigma**2)).exp()
    weights = (weights / weights.sum(1, keepdim=True)).to(grey.device)[:, None]
    planes = functional.pad(grey[chosen.to(grey.device)][None], (radius,) * 4, mode="replicate")
    planes = functional.conv2d(planes, weights[:, :, None], groups=len(chosen))
    planes = functional.conv2d(planes, weights[:, :, :, None], groups=len(chosen))
    return grey.index_copy(0, chosen.to(grey.device), planes[0])


def _gamma_corrected(grey: Tensor, gamma: Tensor) -> Tensor:
    chosen = (gamma != 1).nonzero()[:, 0].to(grey.device)
    exponents = gamma.to(grey.device)[chosen, None, None]
    return grey.index_copy(0, chosen, grey[chosen].clamp_min(0) ** exponents)


def _noisy(grey: Tensor, noise_sd: Tensor, seed: int) -> Tensor:
    chosen = noise_sd.nonzero()[:, 0].to(grey.device)
    generator = torch.Generator(grey.device).manual_seed(seed)
    noise = torch.randn(grey[chosen].shape, generator=generator, device=grey.device)
    return grey.index_add(0, chosen, noise * noise_sd.to(grey.device)[chosen, None, None])


def _log_uniform(uniform: Callable[[float, float], Tensor], low: float, high: float) -> Tensor:
    return uniform(math.log(low), math.log(high)).exp()
