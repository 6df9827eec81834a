"""UPerNet: a feature pyramid over a ResNet, pyramid pooling on top (Xiao et al. 2018)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tune_knee.networks.base import EncoderDecoder
from tune_knee.networks.blocks import ConvBnRelu, resize, scale_channels
from tune_knee.networks.pyramid_pooling import PyramidPoolingHead
from tune_knee.networks.resnet import auxiliary_head, resnet50_v1c

_CHANNELS = 512


class UperHead(PyramidPoolingHead):
    """Top-down pyramid: laterals (1 × 1), sums, smoothing (3 × 3), fusion at stage 1 (3 × 3)."""

    def __init__(self, feature_channels: list[int], channels: int, regions: int) -> None:
        super().__init__(feature_channels[-1], channels, regions)
        lower = feature_channels[:-1]
        self.lateral_convs = nn.ModuleList(ConvBnRelu(count, channels, 1) for count in lower)
        self.fpn_convs = nn.ModuleList(ConvBnRelu(channels, channels, 3) for _ in lower)
        self.fpn_bottleneck = ConvBnRelu(len(feature_channels) * channels, channels, 3)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (N, R, H/4, W/4)."""
        level = self.pool(features[-1])
        smoothed = [level]
        for index in reversed(range(len(self.lateral_convs))):
            lateral = self.lateral_convs[index](features[index])
            level = lateral + resize(level, like=lateral)
            smoothed.insert(0, self.fpn_convs[index](level))
        finest, *coarser = smoothed
        pyramid = torch.cat([finest, *(resize(x, like=finest) for x in coarser)], dim=1)
        return self.classify(self.fpn_bottleneck(pyramid))


def upernet_r50c(regions: int, in_channels: int, width: float, pretrained: bool) -> EncoderDecoder:
    """UPerNet with ResNet-V1c-50 at output stride 32."""
    backbone, channels = resnet50_v1c(in_channels, 32, width, pretrained)
    return EncoderDecoder(
        backbone,
        UperHead(channels, scale_channels(_CHANNELS, width), regions),
        auxiliary_head(channels, regions, width),
    )
