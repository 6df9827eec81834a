"""What a network makes of a split: masks, and the metrics of every frame and region."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tune_knee.data.batch import make_batch
from tune_knee.data.frame_store import FrameStore
from tune_knee.metrics import frame_metrics, mean_distance_px, mean_metrics, overlap_metrics


@dataclass(frozen=True)
class Validation:
    """Predictions of one split of N frames, and how well they overlap with the truth.

    Attributes:
        predictions: bit masks, uint8 (N, H, W).
        truths: bit masks, uint8 (N, H, W).
        overlaps: IoU, Dice, precision and recall as means over frames. Shape (R, 4).
    """

    predictions: NDArray[np.uint8]
    truths: NDArray[np.uint8]
    overlaps: NDArray[np.float64]

    @property
    def mean_iou(self) -> float:
        """Mean IoU over frames and regions, in [0, 1]; higher is better."""
        return float(self.overlaps[:, 0].mean())

    @property
    def overlap(self) -> float:
        """Mean of the four overlap metrics over frames and regions, in [0, 1]."""
        return float(self.overlaps.mean())

    @cached_property
    def frame_metrics(self) -> NDArray[np.float64]:
        """All six metrics of every frame and region. Shape (N, R, 6)."""
        return frame_metrics(self.predictions, self.truths, len(self.overlaps))

    def distance_px(self) -> float:
        """Mean of HD95 and ASSD over regions, pixels; lower is better.

        Each region's mean is over the frames where the distance is defined; NaN if a
        region is missed on every frame.
        """
        return float(mean_distance_px(mean_metrics(self.frame_metrics).mean).mean())


def pack_bits(channels: Tensor) -> Tensor:
    """Boolean (B, R, H, W) to bit masks uint8 (B, H, W); region r becomes bit r."""
    bits = 2 ** torch.arange(channels.shape[1], device=channels.device, dtype=torch.uint8)
    return (channels * bits[:, None, None]).sum(dim=1, dtype=torch.uint8)


@torch.inference_mode()
def validate(network: nn.Module, frames: FrameStore, regions: int, batch_size: int) -> Validation:
    """Predict all frames of a split (probability above one half) and count the overlaps."""
    network.eval()
    packed, counts = [], []
    for start in range(0, len(frames), batch_size):
        chosen = np.arange(start, min(start + batch_size, len(frames)))
        batch = make_batch(*frames.take(chosen), regions)
        predicted = network(batch.images.contiguous(memory_format=torch.channels_last)) > 0
        true = batch.targets
        inside = (predicted & true).sum(dim=(2, 3))
        counts.append(torch.stack([inside, predicted.sum(dim=(2, 3)), true.sum(dim=(2, 3))]))
        packed.append(pack_bits(predicted))
    hits, predicted_px, true_px = torch.cat(counts, dim=1).cpu().numpy()
    overlaps = overlap_metrics(hits, predicted_px - hits, true_px - hits)
    return Validation(torch.cat(packed).cpu().numpy(), frames.masks, overlaps.mean(axis=0))
