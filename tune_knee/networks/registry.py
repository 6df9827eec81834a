"""Networks by name."""

import math
from typing import Final, Protocol

from tune_knee.config import NETWORKS, SMP_PREFIX
from tune_knee.networks.base import SegmentationNetwork
from tune_knee.networks.deeplabv3plus import deeplabv3plus_r50c
from tune_knee.networks.fcn_unet import fcn_unet
from tune_knee.networks.pspnet import pspnet_r50c
from tune_knee.networks.segformer import segformer_b2
from tune_knee.networks.smp import smp_network
from tune_knee.networks.upernet import upernet_r50c


class _Builder(Protocol):
    def __call__(
        self, regions: int, in_channels: int, width: float, pretrained: bool
    ) -> SegmentationNetwork: ...


_BUILDERS: Final[dict[str, _Builder]] = {
    "fcn_unet": fcn_unet,
    "pspnet_r50c": pspnet_r50c,
    "deeplabv3plus_r50c": deeplabv3plus_r50c,
    "upernet_r50c": upernet_r50c,
    "segformer_b2": segformer_b2,
}


def build_network(
    name: str,
    regions: int = 4,
    in_channels: int = 1,
    width: float = 1.0,
    pretrained: bool = False,
) -> SegmentationNetwork:
    """Build a network; its random weights come from torch's global generator.

    Training PSPNet, DeepLabV3+ and UPerNet takes at least two frames in a batch, because
    they normalise 1 × 1 maps over the batch.

    Args:
        name: one of `NETWORKS`, equal to MMSegmentation's, or ``smp:<architecture>:<encoder>``.
        regions: channels of the logits, one a region.
        in_channels: channels of the images.
        width: factor on all channels, rounded to multiples of 8; 1 for ``smp:`` networks.
        pretrained: start the backbone from ImageNet weights, at width 1.

    Raises:
        ValueError: if the name is unknown, a number is out of range, or pretrained weights
            do not exist for this network and width.
        ConnectionError: if pretrained weights cannot be fetched.
    """
    for argument, value in {"regions": regions, "in_channels": in_channels, "width": width}.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{argument} must be a positive number, got {argument}={value}")
    if pretrained and width != 1:
        raise ValueError(f"width must be 1 with pretrained weights, got width={width}")
    if name.startswith(SMP_PREFIX):
        if width != 1:
            raise ValueError(f"width must be 1 for {SMP_PREFIX} networks, got width={width}")
        return smp_network(name, regions, in_channels, pretrained)
    if name not in _BUILDERS:
        choices = ", ".join((*NETWORKS, f"{SMP_PREFIX}<architecture>:<encoder>"))
        raise ValueError(f"network must be one of {choices}, got network={name}")
    return _BUILDERS[name](regions, in_channels, width, pretrained)
