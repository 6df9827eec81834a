"""FCN_UNet: a five-stage U-Net (Ronneberger et al. 2015) with fully convolutional heads."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from tune_knee.networks.base import EncoderDecoder
from tune_knee.networks.blocks import ConvBnRelu, FcnHead, scale_channels

_STAGE_CHANNELS = (64, 128, 256, 512, 1024)
_HEAD_CHANNELS = 64


class _TwoConvs(nn.Module):
    """Two 3 × 3 convolutions."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            ConvBnRelu(in_channels, channels, 3), ConvBnRelu(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convs(x)
        return y


class _Up(nn.Module):
    """Doubles a map, reduces it to the skip's channels, and joins both by two convolutions."""

    def __init__(self, in_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.upsample = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            ConvBnRelu(in_channels, skip_channels, 1),
        )
        self.conv_block = _TwoConvs(2 * skip_channels, skip_channels)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        y: Tensor = self.conv_block(torch.cat([skip, self.upsample(x)], dim=1))
        return y


class UNet(nn.Module):
    """Encoder of five stages with max-pooling between them, and a decoder of four."""

    def __init__(self, in_channels: int, stage_channels: tuple[int, ...]) -> None:
        super().__init__()
        inputs = (in_channels, *stage_channels)
        self.encoder = nn.ModuleList(
            nn.Sequential(*([nn.MaxPool2d(2)] if stage else []), _TwoConvs(inputs[stage], channels))
            for stage, channels in enumerate(stage_channels)
        )
        self.decoder = nn.ModuleList(
            _Up(deep, shallow) for shallow, deep in pairwise(stage_channels)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """The deepest map (N, C, H/16, W/16), then the decoder's, up to the full size.

        Raises:
            ValueError: if height or width is no multiple of 16.
        """
        stride = 2 ** len(self.decoder)
        height, width = images.shape[-2:]
        if height % stride or width % stride:
            raise ValueError(
                f"height and width must be multiples of {stride}, got height={height}, "
                f"width={width}"
            )
        x = images
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        maps = [x]
        for up, skip in zip(reversed(self.decoder), reversed(skips[:-1]), strict=True):
            maps.append(up(skip, maps[-1]))
        return maps


def fcn_unet(regions: int, in_channels: int, width: float, pretrained: bool) -> EncoderDecoder:
    """U-Net; main head on its full-size map, auxiliary head on the one of half the size.

    Raises:
        ValueError: if pretrained weights are asked for: there are none.
    """
    if pretrained:
        raise ValueError(
            "pretrained must be False for fcn_unet: its U-Net has no ImageNet weights, "
            f"got pretrained={pretrained}"
        )
    channels = tuple(scale_channels(count, width) for count in _STAGE_CHANNELS)
    head_channels = scale_channels(_HEAD_CHANNELS, width)
    return EncoderDecoder(
        UNet(in_channels, channels),
        FcnHead(channels[0], head_channels, regions, stage=4),
        FcnHead(channels[1], head_channels, regions, stage=3),
    )
