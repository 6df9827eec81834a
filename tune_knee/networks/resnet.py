"""ResNet-V1c-50, the backbone of three networks, and the auxiliary head that they share."""

import timm
from torch import nn

from tune_knee.networks.blocks import FcnHead, scale_channels
from tune_knee.networks.pretrained import fetching_weights

_STAGE_CHANNELS = (64, 128, 256, 512)
_EXPANSION = 4  # channels that a stage gives, over those of its 3 × 3 convolutions
_STEM_CHANNELS = 32
_AUXILIARY_STAGE = 2
_AUXILIARY_CHANNELS = 256


def resnet50_v1c(
    in_channels: int, output_stride: int, width: float, pretrained: bool
) -> tuple[nn.Module, list[int]]:
    """timm's ``resnet50c`` as a backbone, with the channels of its four feature maps.

    Three 3 × 3 convolutions instead of the 7 × 7 stem (the "V1c"). Feature maps at stride
    4, 8, 16, 32, or with `output_stride` 8 at 4, 8, 8, 8 with dilated convolutions.

    Args:
        in_channels: channels of the image; pretrained weights are adapted to them.
        output_stride: 8, 16 or 32.
        width: factor on all channels.
        pretrained: take ImageNet weights; they are fetched once, then cached.

    Raises:
        ConnectionError: if the pretrained weights can neither be fetched nor found in the cache.
    """
    stage_channels = [scale_channels(channels, width) for channels in _STAGE_CHANNELS]
    with fetching_weights("resnet50c"):
        backbone = timm.create_model(
            "resnet50c",
            pretrained=pretrained,
            features_only=True,
            out_indices=(1, 2, 3, 4),
            output_stride=output_stride,
            in_chans=in_channels,
            stem_width=scale_channels(_STEM_CHANNELS, width),
            channels=tuple(stage_channels),
        )
    return backbone, [_EXPANSION * channels for channels in stage_channels]


def auxiliary_head(feature_channels: list[int], regions: int, width: float) -> FcnHead:
    """The auxiliary head on stage 3 of a ResNet: 3 × 3 to 256, then the classifier."""
    return FcnHead(
        feature_channels[_AUXILIARY_STAGE],
        scale_channels(_AUXILIARY_CHANNELS, width),
        regions,
        stage=_AUXILIARY_STAGE,
    )
