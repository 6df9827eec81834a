"""What augmentation, loss and metrics add to a bare forward and backward pass, at 512².

    python benchmarks/step_overhead.py [network ...]      (minutes: a pass takes up to one)

One CPU thread, batch 2. The peer is the network alone: logits of its heads, and their gradient.
Added, each timed by itself since it is small beside a pass of many seconds: augmentation of
the batch; resizing the logits of both heads to 512² and the mixed loss (CE2, Dice and boundary
on both, the auxiliary head at 0.4), forward and backward; and the overlap counts of a
validation batch as large as the training batch (the paper validates 0.4 frames a training
frame). The bar: at most 10 % for every network.
"""

import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tune_knee.config import NETWORKS, LossWeights, TrialConfig
from tune_knee.data.augmentation import augment_batch
from tune_knee.data.batch import Batch
from tune_knee.losses import MixedLoss
from tune_knee.metrics import overlap_metrics
from tune_knee.networks import SegmentationNetwork, build_network
from tune_knee.training_config import AugmentationConfig

BATCH, SIZE, REGIONS, AUXILIARY_WEIGHT = 2, 512, 4, 0.4
TAU = LossWeights(ce=0.5, dice=0.25, boundary=0.25)


def random_frames() -> tuple[Tensor, Tensor]:
    """Frames, and masks that cover a fifth of each region's channel. uint8 (B, H, W) each."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (BATCH, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    masks = torch.zeros_like(images)
    for r in range(REGIONS):
        masks[:, 100 * r : 100 * r + 200, 100:360] |= 1 << r
    return images, masks


def heads(network: SegmentationNetwork, images: Tensor) -> list[Tensor]:
    """Logits of the main head and, if there is one, the auxiliary head."""
    return [logits for logits in network.head_logits(images) if logits is not None]


def bare_step(network: SegmentationNetwork, images: Tensor) -> None:
    """Forward and backward from a gradient of ones at the heads."""
    network.zero_grad()
    logits = heads(network, images)
    torch.autograd.backward(logits, [torch.ones_like(each) for each in logits])


def loss_step(loss: nn.Module, logits: list[Tensor], targets: Tensor) -> None:
    """From the heads' logits to the loss and back to their gradient."""
    weighted = []
    for weight, each in zip((1.0, AUXILIARY_WEIGHT), logits, strict=False):
        each.grad = None
        resized = functional.interpolate(each, size=(SIZE, SIZE), mode="bilinear")
        weighted.append(weight * loss(resized, targets).total)
    torch.autograd.backward(torch.stack(weighted).sum())


def count_overlaps(logits: Tensor, targets: Tensor) -> None:
    """The four overlap metrics of every frame and region."""
    with torch.inference_mode():
        resized = functional.interpolate(logits, size=(SIZE, SIZE), mode="bilinear")
        predicted = resized > 0
        hits = (predicted & targets).sum((2, 3)).numpy()
        found, true = predicted.sum((2, 3)).numpy(), targets.sum((2, 3)).numpy()
        overlap_metrics(hits, found - hits, true - hits)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of some runs, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def added_seconds(network: SegmentationNetwork, batch: Batch) -> dict[str, float]:
    """Time of each thing that a study adds to the bare step."""
    with torch.no_grad():
        computed = heads(network, batch.images)
    logits = [each.detach().requires_grad_() for each in computed]
    images, masks = random_frames()
    trial = TrialConfig(network="fcn_unet", loss="ce2+dice+boundary", tau=TAU)
    loss = MixedLoss(trial, np.array([58, 483, 435, 24]), 10_000)
    draws = torch.Generator().manual_seed(0)
    config = AugmentationConfig(probability=1)
    return {
        "augmentation": seconds(lambda: augment_batch(images, masks, REGIONS, config, draws), 5),
        "loss": seconds(lambda: loss_step(loss, logits, batch.targets), 5),
        "metrics": seconds(lambda: count_overlaps(logits[0], batch.targets), 5),
    }


def main() -> None:
    """Print a line for each network."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    sys.stdout.write(f"batch of {BATCH} at {SIZE} x {SIZE}, 1 thread\n")
    config = AugmentationConfig()
    batch = augment_batch(*random_frames(), REGIONS, config, torch.Generator().manual_seed(0))
    for name in sys.argv[1:] or NETWORKS:
        network = build_network(name, regions=REGIONS).to(memory_format=torch.channels_last)
        network.train()
        added = added_seconds(network, batch)
        bare = seconds(lambda network=network: bare_step(network, batch.images), 1)  # type: ignore[misc]
        parts = ", ".join(f"{part} {1000 * value:.0f} ms" for part, value in added.items())
        share = sum(added.values()) / bare
        sys.stdout.write(f"{name:20} bare {bare:6.2f} s; {parts}; added {share:.1%}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
