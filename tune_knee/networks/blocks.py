"""The convolutions, resizing and heads that the networks share."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def scale_channels(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8, at least 8."""
    return max(8, 8 * round(channels * width / 8))


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Resize (N, C, h, w) bilinearly to the height and width of `like`; corners not aligned."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class ConvBnRelu(nn.Module):
    """Convolution without bias, batch norm, ReLU; the size stays.

    Initialised Kaiming normal, fan-out.
    """

    def __init__(
        self, in_channels: int, channels: int, kernel: int, dilation: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(
            in_channels,
            channels,
            kernel,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(channels)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, H, W)."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class SeparableConv(nn.Module):
    """Depthwise 3 × 3, then 1 × 1 convolution, each with batch norm and ReLU."""

    def __init__(self, in_channels: int, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.depthwise_conv = ConvBnRelu(
            in_channels, in_channels, 3, dilation=dilation, groups=in_channels
        )
        self.pointwise_conv = ConvBnRelu(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, H, W)."""
        y: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return y


class Head(nn.Module):
    """What every head ends in: dropout of whole channels (0.1), then a 1 × 1 classifier.

    The classifier's weights start from N(0, 0.01), its bias from 0.
    """

    def __init__(self, channels: int, regions: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(0.1)
        self.conv_seg = nn.Conv2d(channels, regions, 1)
        nn.init.normal_(self.conv_seg.weight, std=0.01)
        nn.init.zeros_(self.conv_seg.bias)  # type: ignore[arg-type]

    def classify(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to logits (N, R, H, W)."""
        logits: Tensor = self.conv_seg(self.dropout(x))
        return logits


class FcnHead(Head):
    """One 3 × 3 convolution on one of the feature maps, then the classifier."""

    def __init__(self, in_channels: int, channels: int, regions: int, stage: int) -> None:
        super().__init__(channels, regions)
        self.stage = stage
        self.convs = nn.Sequential(ConvBnRelu(in_channels, channels, 3))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (N, R, h, w) at the size of the feature map `stage`."""
        return self.classify(self.convs(features[self.stage]))
