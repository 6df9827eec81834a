"""What a network and its loss take: standardised frames and one channel a region."""

from dataclasses import dataclass

import torch
from torch import Tensor

_CONSTANT_BELOW = 1e-6  # of a range of 1; rounding of a constant frame's mean stays below


@dataclass(frozen=True)
class Batch:
    """B frames, ready for the network.

    Attributes:
        images: float32 (B, 1, H, W), each frame of mean 0 and standard deviation 1.
        targets: bool (B, R, H, W).
    """

    images: Tensor
    targets: Tensor


def make_batch(images: Tensor, masks: Tensor, regions: int) -> Batch:
    """A batch without augmentation, for validation and test, on the tensors' device.

    Args:
        images: uint8 (B, H, W).
        masks: uint8 (B, H, W); bit r is region r.
        regions: R, at most 8.
    """
    return Batch(standardise(images.float().div_(255)), region_channels(masks, regions))


def standardise(images: Tensor) -> Tensor:
    """Bring each frame to mean 0 and standard deviation 1, in place; a constant one to 0.

    Args:
        images: float32 or float64 (B, H, W), of a range of 1, contiguous.

    Returns:
        A view (B, 1, H, W).
    """
    values = images.flatten(1)
    values -= values.mean(dim=1, keepdim=True)
    deviation = torch.linalg.vector_norm(values, dim=1, keepdim=True) / values.shape[1] ** 0.5
    values *= torch.where(deviation > _CONSTANT_BELOW, 1 / deviation, 0.0)
    return images.unsqueeze(1)


def region_channels(masks: Tensor, regions: int) -> Tensor:
    """Bit masks uint8 (B, H, W) unpacked to bool (B, R, H, W)."""
    bits = 2 ** torch.arange(regions, device=masks.device, dtype=torch.uint8)
    return (masks.unsqueeze(1) & bits[:, None, None]).bool()
