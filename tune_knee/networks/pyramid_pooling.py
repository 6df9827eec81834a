"""Pyramid pooling of the last feature map, as PSPNet and UPerNet use it."""

import torch
from torch import Tensor, nn

from tune_knee.networks.blocks import ConvBnRelu, Head, resize

_POOL_SIZES = (1, 2, 3, 6)


class PyramidPoolingHead(Head):
    """A head with the pyramid pooling module of Zhao et al. 2017, "Pyramid Scene Parsing Network".

    The map is averaged over 1, 2, 3 and 6 cells a side; each average passes a 1 × 1
    convolution and is resized back; map and averages are concatenated and fused by a
    3 × 3 convolution. Batch norm on the 1 × 1 average needs two frames in training.
    """

    def __init__(self, in_channels: int, channels: int, regions: int) -> None:
        super().__init__(channels, regions)
        self.psp_modules = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), ConvBnRelu(in_channels, channels, 1))
            for size in _POOL_SIZES
        )
        self.bottleneck = ConvBnRelu(in_channels + len(_POOL_SIZES) * channels, channels, 3)

    def pool(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, H, W)."""
        pooled = [resize(module(x), like=x) for module in self.psp_modules]
        fused: Tensor = self.bottleneck(torch.cat([x, *pooled], dim=1))
        return fused
