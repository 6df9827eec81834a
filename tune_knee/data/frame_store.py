"""A split's frames where the network is: on the GPU if they fit, else read by index."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_knee.data.dataset import KneeDataset, Split

# A network at 512 px wants most of a GPU; the paper's whole data set is 680 MB.
_LARGEST_SHARE_OF_FREE_MEMORY: Final = 0.1


class FrameStore:
    """Frames and bit masks of one split; a batch is an index into them.

    Raises:
        ValueError: if the split is empty.
    """

    def __init__(self, dataset: KneeDataset, split: Split, device: torch.device) -> None:
        self._positions = dataset.indices(split)
        if len(self._positions) == 0:
            raise ValueError(f"a split must hold frames, got none in split={split}")
        self._images = dataset.images
        self._masks = dataset.masks
        self._device = device
        self._resident: tuple[Tensor, Tensor] | None = None
        if device.type == "cuda" and self._fits():
            self._resident = (
                torch.from_numpy(self._images[self._positions]).to(device),
                torch.from_numpy(self._masks[self._positions]).to(device),
            )

    def __len__(self) -> int:
        return len(self._positions)

    def _fits(self) -> bool:
        frame_bytes = self._images[0].nbytes + self._masks[0].nbytes
        free, _ = torch.cuda.mem_get_info(self._device)
        return bool(len(self) * frame_bytes < _LARGEST_SHARE_OF_FREE_MEMORY * free)

    @property
    def masks(self) -> NDArray[np.uint8]:
        """Bit masks of the whole split. Shape (n, H, W)."""
        return self._masks[self._positions]

    def take(self, indices: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """Images and bit masks of some frames, uint8 (B, H, W) each, on the device."""
        if self._resident is not None:
            chosen = torch.from_numpy(indices).to(self._device)
            return self._resident[0][chosen], self._resident[1][chosen]
        positions = self._positions[indices]
        images = torch.from_numpy(self._images[positions]).to(self._device)
        return images, torch.from_numpy(self._masks[positions]).to(self._device)
