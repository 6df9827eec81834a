"""Random changes of training frames: the paper's seven kinds, on the frames' device.

Our own fused warp instead of kornia's, because on one CPU core it makes about 20 times as many
frames a second (`benchmarks/input_path.py`).
"""

import torch
from torch import Tensor

from tune_knee.data import opencv_changes, torch_changes
from tune_knee.data.batch import Batch, region_channels, standardise
from tune_knee.data.changes import draw_changes
from tune_knee.training_config import AugmentationConfig


def augment_batch(
    images: Tensor,
    masks: Tensor,
    regions: int,
    config: AugmentationConfig,
    generator: torch.Generator,
) -> Batch:
    """A training batch: every frame with random changes of its own.

    Scaling, cropping, flipping and rotation in one affine warp, then Gaussian filter, gamma
    and noise, then standardised. Images are sampled bilinearly, labels nearest: a pixel keeps
    all regions of the pixel it comes from, and overlaps survive, for the cost of one channel.
    What enters from outside a frame is 0 in image and labels.

    Args:
        images: uint8 (B, S, S).
        masks: uint8 (B, S, S); bit r is region r.
        regions: R, at most 8.
        config: ranges and probabilities.
        generator: on the CPU; the only source of randomness. Equal states give equal changes
            on every device, up to the noise, whose values depend on it.

    Raises:
        ValueError: if the frames are not square.
    """
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"frames must be square, got images of shape {tuple(images.shape)}")
    changes = draw_changes(len(images), config, generator)
    make = opencv_changes if images.device.type == "cpu" else torch_changes
    grey, masks = make.change_frames(images, masks, changes)
    _add_noise(grey, changes.noise_sd, changes.noise_seed)
    return Batch(standardise(grey), region_channels(masks, regions))


def _add_noise(grey: Tensor, noise_sd: Tensor, seed: int) -> None:
    source = torch.Generator(grey.device).manual_seed(seed)
    for frame, sd in zip(grey, noise_sd.tolist(), strict=True):
        if sd:
            frame.add_(torch.randn(frame.shape, generator=source, device=grey.device), alpha=sd)
