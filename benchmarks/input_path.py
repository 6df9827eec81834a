"""Frames per second ready for the network: batches of 8 at 512², augmented.

    python benchmarks/input_path.py

Peers: a torch DataLoader of 2 worker processes that makes the same changes frame by frame
with albumentations, and kornia's batched augmentation on one CPU thread. Ours runs in the
training process, on one CPU thread, and on a GPU where there is one. The bars: at least 1x the
DataLoader on the CPU, at least 5x on a GPU, at least 3x kornia.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tune_knee.data import torch_changes
from tune_knee.data.augmentation import augment_batch
from tune_knee.data.batch import region_channels, standardise
from tune_knee.data.changes import draw_changes
from tune_knee.data.dataset import KneeDataset
from tune_knee.data.frame_store import FrameStore
from tune_knee.training_config import AugmentationConfig

BATCH, SIZE, REGIONS, WORKERS, FRAMES = 8, 512, 4, 2, 256
CONFIG = AugmentationConfig()


def random_frames() -> KneeDataset:
    """Smooth frames, and bit masks of blobs, all for training."""
    rng = np.random.default_rng(0)
    images = np.empty((FRAMES, SIZE, SIZE), dtype=np.uint8)
    masks = np.zeros_like(images)
    for n in range(FRAMES):
        coarse = rng.integers(0, 255, (16, 16), dtype=np.uint8)
        images[n] = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        for r in range(REGIONS):
            blob = cv2.resize(rng.random((8, 8)), (SIZE, SIZE)) > 0.7
            masks[n] |= blob.astype(np.uint8) << r
    frames = pd.DataFrame({"split": ["train"] * FRAMES})
    return KneeDataset(images, masks, frames, tuple("abcd"), fingerprint="")


def albumentations_changes() -> Any:
    """The seven kinds with our ranges and probabilities; scaling and rotation in one warp."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A  # noqa: N812

    p = CONFIG.probability
    smallest = round(CONFIG.crop_share * SIZE)
    gamma = tuple(round(100 * g) for g in CONFIG.gamma)
    return A.Compose(
        [
            A.HorizontalFlip(p=CONFIG.flip_probability),
            A.Affine(
                scale=CONFIG.scale,
                rotate=(-CONFIG.rotation_deg, CONFIG.rotation_deg),
                p=1 - (1 - p) ** 2,
            ),
            A.RandomSizedCrop(min_max_height=(smallest, SIZE), size=(SIZE, SIZE), p=p),
            A.GaussianBlur(sigma_limit=(0.0, CONFIG.blur_sigma_share * SIZE), blur_limit=0, p=p),
            A.RandomGamma(gamma_limit=gamma, p=p),
            A.GaussNoise(std_range=(0.0, CONFIG.noise_sd), p=p),
        ]
    )


class PerFrame(Dataset[tuple[Tensor, Tensor]]):
    """One augmented frame at a time, standardised, with one channel a region."""

    def __init__(self, dataset: KneeDataset) -> None:
        self.images, self.masks = dataset.images, dataset.masks
        self.change = albumentations_changes()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        changed = self.change(image=self.images[index], mask=self.masks[index])
        grey = torch.from_numpy(changed["image"].astype(np.float32) / 255)
        mask = torch.from_numpy(np.ascontiguousarray(changed["mask"]))
        return standardise(grey[None])[0], region_channels(mask[None], REGIONS)[0]


def one_thread(_worker: int = 0) -> None:
    """Neither torch nor OpenCV may take more than the core that this process stands for."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def loader_batches(dataset: KneeDataset) -> Iterator[Any]:
    """Endless batches of the DataLoader; its workers live on between epochs."""
    loader = DataLoader(
        PerFrame(dataset),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        worker_init_fn=one_thread,
        persistent_workers=True,
    )
    while True:
        yield from loader


def taken(dataset: KneeDataset, device: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Random frames and masks as a training takes them, without end."""
    store = FrameStore(dataset, "train", torch.device(device))
    rng = np.random.default_rng(0)
    while True:
        yield store.take(rng.integers(FRAMES, size=BATCH))


def our_batches(dataset: KneeDataset, device: str) -> Iterator[Any]:
    """Endless batches of ours."""
    generator = torch.Generator().manual_seed(0)
    for images, masks in taken(dataset, device):
        yield augment_batch(images, masks, REGIONS, CONFIG, generator)
        if device == "cuda":
            torch.cuda.synchronize()


def torch_batches(dataset: KneeDataset) -> Iterator[Any]:
    """The changes as a GPU makes them, noise left out, here on the CPU: why it has its own."""
    generator = torch.Generator().manual_seed(0)
    for images, masks in taken(dataset, "cpu"):
        yield torch_changes.change_frames(images, masks, draw_changes(BATCH, CONFIG, generator))


def kornia_batches(dataset: KneeDataset) -> Iterator[Any]:
    """Endless batches of kornia's augmentation, frames and masks."""
    import kornia.augmentation as K  # noqa: N812

    p, sigma = CONFIG.probability, CONFIG.blur_sigma_share * SIZE
    change = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=CONFIG.flip_probability),
        K.RandomAffine(degrees=CONFIG.rotation_deg, scale=CONFIG.scale, p=1 - (1 - p) ** 2),
        K.RandomResizedCrop((SIZE, SIZE), scale=(CONFIG.crop_share**2, 1.0), ratio=(1, 1), p=p),
        K.RandomGaussianBlur((9, 9), (0.1, sigma), p=p),
        K.RandomGamma(CONFIG.gamma, p=p),
        K.RandomGaussianNoise(std=CONFIG.noise_sd / 2, p=p),
        data_keys=["input", "mask"],
    )
    for images, masks in taken(dataset, "cpu"):
        labels = region_channels(masks, REGIONS).float()
        grey, labels = change(images.unsqueeze(1).float() / 255, labels)
        yield standardise(grey[:, 0].contiguous()), labels > 0.5


def frames_per_s(batches: Iterator[Any], count: int) -> float:
    """Rate over the next batches."""
    started = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * BATCH / (time.perf_counter() - started)


def main() -> None:
    """Measure in turns, so that a busy machine slows all alike; print each one's best round."""
    warnings.simplefilter("ignore")  # the peers' own
    one_thread()
    dataset = random_frames()
    peer = f"DataLoader, {WORKERS} workers, albumentations"
    ways: dict[str, tuple[Callable[[], Iterator[Any]], int]] = {
        peer: (lambda: loader_batches(dataset), 40),
        "kornia, 1 thread": (lambda: kornia_batches(dataset), 2),
        "ours as on a GPU, 1 CPU thread": (lambda: torch_batches(dataset), 10),
        "ours, 1 CPU thread": (lambda: our_batches(dataset, "cpu"), 40),
    }
    if torch.cuda.is_available():
        ways["ours, GPU"] = (lambda: our_batches(dataset, "cuda"), 200)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, (start, count) in ways.items():
            batches = start()
            frames_per_s(batches, min(count, 8))  # start workers, warm caches
            rates[name].append(frames_per_s(batches, count))
            del batches
    sys.stdout.write(f"batches of {BATCH} at {SIZE} x {SIZE}, augmented\n")
    for name, values in rates.items():
        rate, ratio = max(values), max(values) / max(rates[peer])
        sys.stdout.write(
            f"{name:38} {rate:8.1f} frames/s {1000 / rate:8.2f} ms/frame {ratio:7.2f} x\n"
        )


if __name__ == "__main__":
    main()
