"""PSPNet: pyramid pooling on a dilated ResNet (Zhao et al. 2017)."""

from collections.abc import Sequence

from torch import Tensor

from tune_knee.networks.base import EncoderDecoder
from tune_knee.networks.blocks import scale_channels
from tune_knee.networks.pyramid_pooling import PyramidPoolingHead
from tune_knee.networks.resnet import auxiliary_head, resnet50_v1c

_CHANNELS = 512


class PspHead(PyramidPoolingHead):
    """Classifies the pooled last feature map."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (N, R, H/8, W/8)."""
        return self.classify(self.pool(features[-1]))


def pspnet_r50c(regions: int, in_channels: int, width: float, pretrained: bool) -> EncoderDecoder:
    """PSPNet with ResNet-V1c-50 at output stride 8."""
    backbone, channels = resnet50_v1c(in_channels, 8, width, pretrained)
    return EncoderDecoder(
        backbone,
        PspHead(channels[-1], scale_channels(_CHANNELS, width), regions),
        auxiliary_head(channels, regions, width),
    )
