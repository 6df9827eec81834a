"""What every network is: images in, logits of each region out."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from tune_knee.networks.blocks import resize


class SegmentationNetwork(nn.Module, ABC):
    """A network with R regions: images (N, C, H, W) become logits, one channel a region."""

    @abstractmethod
    def head_logits(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (N, R, h, w) of the main and, if there is one, the auxiliary head.

        Each at its head's own resolution; the auxiliary head's only serves training.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, R, H, W) of the main head at the images' size."""
        main, _ = self.head_logits(images)
        return resize(main, like=images)


class EncoderDecoder(SegmentationNetwork):
    """A backbone, a decode head, and an auxiliary head or none.

    Both heads see all of the backbone's feature maps. The modules of the heads bear
    MMSegmentation's names, so that its checkpoints map onto them by name.
    """

    def __init__(
        self, backbone: nn.Module, decode_head: nn.Module, auxiliary_head: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.decode_head = decode_head
        self.auxiliary_head = auxiliary_head

    def head_logits(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (N, R, h, w) of the main and, if there is one, the auxiliary head."""
        features = self.backbone(images)
        auxiliary = None if self.auxiliary_head is None else self.auxiliary_head(features)
        return self.decode_head(features), auxiliary

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, R, H, W) of the main head at the images' size; the other is not run."""
        main: Tensor = self.decode_head(self.backbone(images))
        return resize(main, like=images)
