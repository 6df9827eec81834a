"""DeepLabV3+: separable atrous pyramid with a low-level skip (Chen et al. 2018)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tune_knee.networks.base import EncoderDecoder
from tune_knee.networks.blocks import ConvBnRelu, Head, SeparableConv, resize, scale_channels
from tune_knee.networks.resnet import auxiliary_head, resnet50_v1c

_CHANNELS = 512
_LOW_LEVEL_CHANNELS = 48
_DILATIONS = (12, 24, 36)


class DeepLabV3PlusHead(Head):
    """Atrous spatial pyramid pooling on the last stage, joined with the first stage.

    Image pooling, a 1 × 1 convolution and separable 3 × 3 convolutions of dilation 12, 24,
    36 are concatenated and fused (3 × 3), resized to stage 1, concatenated with its reduced
    map, and pass two separable 3 × 3 convolutions. Batch norm on the pooled image needs
    two frames in training.
    """

    def __init__(
        self, feature_channels: list[int], channels: int, low_level_channels: int, regions: int
    ) -> None:
        super().__init__(channels, regions)
        first, last = feature_channels[0], feature_channels[-1]
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvBnRelu(last, channels, 1))
        self.aspp_modules = nn.ModuleList(
            [
                ConvBnRelu(last, channels, 1),
                *(SeparableConv(last, channels, dilation) for dilation in _DILATIONS),
            ]
        )
        self.bottleneck = ConvBnRelu((len(self.aspp_modules) + 1) * channels, channels, 3)
        self.c1_bottleneck = ConvBnRelu(first, low_level_channels, 1)
        self.sep_bottleneck = nn.Sequential(
            SeparableConv(channels + low_level_channels, channels),
            SeparableConv(channels, channels),
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (N, R, H/4, W/4)."""
        x = features[-1]
        pyramid = [resize(self.image_pool(x), like=x), *(branch(x) for branch in self.aspp_modules)]
        high_level = self.bottleneck(torch.cat(pyramid, dim=1))
        low_level = self.c1_bottleneck(features[0])
        joined = torch.cat([resize(high_level, like=low_level), low_level], dim=1)
        return self.classify(self.sep_bottleneck(joined))


def deeplabv3plus_r50c(
    regions: int, in_channels: int, width: float, pretrained: bool
) -> EncoderDecoder:
    """DeepLabV3+ with ResNet-V1c-50 at output stride 8."""
    backbone, channels = resnet50_v1c(in_channels, 8, width, pretrained)
    head = DeepLabV3PlusHead(
        channels,
        scale_channels(_CHANNELS, width),
        scale_channels(_LOW_LEVEL_CHANNELS, width),
        regions,
    )
    return EncoderDecoder(backbone, head, auxiliary_head(channels, regions, width))
