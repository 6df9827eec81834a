"""SegFormer with the MiT-B2 backbone (Xie et al. 2021)."""

import math
from collections.abc import Sequence

import timm
import torch
from timm.models.pvt_v2 import Attention, MlpWithDepthwiseConv
from torch import Tensor, nn

from tune_knee.networks.base import EncoderDecoder
from tune_knee.networks.blocks import ConvBnRelu, Head, resize, scale_channels

_HEADS = (1, 2, 5, 8)  # attention heads of each stage; each head has 64 channels
_HEAD_CHANNELS = 64
_DECODER_CHANNELS = 256
_LAYER_NORM_EPS = 1e-6


class SegformerHead(Head):
    """Every stage to equal channels (1 × 1), resized to stage 1, concatenated, fused (1 × 1)."""

    def __init__(self, feature_channels: list[int], channels: int, regions: int) -> None:
        super().__init__(channels, regions)
        self.convs = nn.ModuleList(ConvBnRelu(count, channels, 1) for count in feature_channels)
        self.fusion_conv = ConvBnRelu(len(feature_channels) * channels, channels, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (N, R, H/4, W/4)."""
        maps = [
            resize(conv(feature), like=features[0])
            for conv, feature in zip(self.convs, features, strict=True)
        ]
        return self.classify(self.fusion_conv(torch.cat(maps, dim=1)))


def _mit_b2(in_channels: int, width: float) -> tuple[nn.Module, list[int]]:
    """MiT-B2 as a special case of timm's PVT v2, with the channels of its four feature maps.

    The width acts on the channels of each attention head, so that heads always divide
    the embedding.
    """
    embedding = [heads * scale_channels(_HEAD_CHANNELS, width) for heads in _HEADS]
    backbone = timm.create_model(
        "pvt_v2_b2",
        features_only=True,
        in_chans=in_channels,
        embed_dims=tuple(embedding),
        mlp_ratios=(4, 4, 4, 4),
        drop_path_rate=0.1,
    )
    for module in backbone.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = _LAYER_NORM_EPS
        elif isinstance(module, MlpWithDepthwiseConv):
            # MiT's are 1 × 1 convolutions, and start as such.
            for linear in (module.fc1, module.fc2):
                nn.init.kaiming_normal_(linear.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, Attention):
            # MiT's are one projection (3E, E) for query, key and value: its Xavier bound.
            bound = math.sqrt(6 / (4 * module.dim))
            for linear in (module.q, module.kv):
                nn.init.uniform_(linear.weight, -bound, bound)
    return backbone, embedding


def segformer_b2(regions: int, in_channels: int, width: float, pretrained: bool) -> EncoderDecoder:
    """SegFormer-B2; it has no auxiliary head.

    Raises:
        ValueError: if pretrained weights are asked for: timm has none of this shape.
    """
    if pretrained:
        raise ValueError(
            "pretrained must be False for segformer_b2: timm has no ImageNet weights of MiT-B2 "
            "(those of pvt_v2_b2 have wider feed-forward layers), got "
            f"pretrained={pretrained}; load a trained MMSegmentation checkpoint instead"
        )
    backbone, channels = _mit_b2(in_channels, width)
    head = SegformerHead(channels, scale_channels(_DECODER_CHANNELS, width), regions)
    return EncoderDecoder(backbone, head)
