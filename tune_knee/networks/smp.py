"""Networks of segmentation-models-pytorch, beyond the paper's five."""

import segmentation_models_pytorch
import timm
from torch import Tensor, nn

from tune_knee.config import SMP_PREFIX
from tune_knee.networks.base import SegmentationNetwork
from tune_knee.networks.pretrained import fetching_weights

_TIMM_PREFIX = "tu-"


class SmpNetwork(SegmentationNetwork):
    """A model of segmentation-models-pytorch; it has no auxiliary head."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def head_logits(self, images: Tensor) -> tuple[Tensor, None]:
        """Logits (N, R, H, W), already at the images' size, and no auxiliary ones."""
        return self.model(images), None


def smp_network(name: str, regions: int, in_channels: int, pretrained: bool) -> SmpNetwork:
    """Build ``smp:<architecture>:<encoder>``, e.g. ``smp:unetplusplus:resnet34``.

    The encoder is one of segmentation-models-pytorch, or ``tu-<name>`` for one of timm.

    Raises:
        ValueError: if the name has another form, if architecture or encoder is unknown or
            they do not fit each other, or if the encoder has no ImageNet weights.
        ConnectionError: if the pretrained weights can neither be fetched nor found in the cache.
    """
    architecture, _, encoder = name.removeprefix(SMP_PREFIX).partition(":")
    if not encoder:
        raise ValueError(f"network must be smp:<architecture>:<encoder>, got network={name}")
    _check_names(name, architecture, encoder)
    # Which weights a timm encoder has is part of its name.
    weights = True if encoder.startswith(_TIMM_PREFIX) else "imagenet"
    try:
        with fetching_weights(encoder):
            model = segmentation_models_pytorch.create_model(
                architecture,
                encoder,
                weights if pretrained else None,
                in_channels=in_channels,
                classes=regions,
            )
    except KeyError as error:
        raise ValueError(
            f"{encoder} must have ImageNet weights to start from, got network={name}: {error}"
        ) from error
    return SmpNetwork(model)


def _check_names(name: str, architecture: str, encoder: str) -> None:
    architectures = segmentation_models_pytorch.MODEL_ARCHITECTURES_MAPPING
    if architecture not in architectures:
        raise ValueError(
            f"architecture must be one of {', '.join(architectures)}, got "
            f"architecture={architecture} in network={name}"
        )
    encoders = segmentation_models_pytorch.encoders.get_encoder_names()
    of_timm = encoder.startswith(_TIMM_PREFIX)
    known = timm.is_model(encoder.removeprefix(_TIMM_PREFIX)) if of_timm else encoder in encoders
    if not known:
        raise ValueError(
            f"encoder must be one of {', '.join(encoders)}, or {_TIMM_PREFIX}<model of timm>, "
            f"got encoder={encoder} in network={name}"
        )
