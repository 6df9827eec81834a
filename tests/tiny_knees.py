"""A dataset small enough to train on in a test: a bright disc and a bar on dark noise."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from tune_knee import keys
from tune_knee.config import Budget
from tune_knee.data.dataset import FRAME_COLUMNS, KneeDataset, dataset_fingerprint
from tune_knee.training_config import AugmentationConfig, OptimizerConfig, ScheduleConfig

REGIONS = ("disc", "bar")


def tiny_knees(
    train: int = 6, validation: int = 2, test: int = 2, *, size_px: int = 32, seed: int = 0
) -> KneeDataset:
    """Frames with a disc (bit 0) crossed by a thin bar (bit 1), which overlap."""
    rng = np.random.default_rng(seed)
    split = ["train"] * train + ["validation"] * validation + ["test"] * test
    images = rng.integers(0, 60, (len(split), size_px, size_px), dtype=np.uint8)
    masks = np.zeros_like(images)
    y, x = np.mgrid[:size_px, :size_px] / size_px
    for image, mask in zip(images, masks, strict=True):
        centre_y, centre_x = rng.uniform(0.4, 0.6, 2)
        disc = (y - centre_y) ** 2 + (x - centre_x) ** 2 < 0.3**2
        bar = (abs(y - centre_y) < 0.1) & (abs(x - centre_x) < 0.4)
        image += 80 * disc.astype(np.uint8) + 100 * bar.astype(np.uint8)
        mask |= disc.astype(np.uint8) | bar.astype(np.uint8) << 1
    frames = pd.DataFrame({"frame": range(len(split)), "split": split})
    frames["case"] = "case_" + frames["split"]
    for column in set(FRAME_COLUMNS).difference(frames.columns):
        frames[column] = np.nan if column == "spacing_mm" else ""
    frames = frames[list(FRAME_COLUMNS)]
    return KneeDataset(
        images, masks, frames, REGIONS, dataset_fingerprint(images, masks, frames, REGIONS)
    )


def tiny_budget(**changes) -> Budget:
    """Three validations two steps apart, saved each time."""
    settings = {
        "name": "tiny",
        "image_size_px": 32,
        "width": 0.25,
        "max_steps": 6,
        "evaluation_interval": 2,
        "checkpoint_interval": 1,
        "batch_size": 2,
        "optimizer": OptimizerConfig(learning_rate=2e-3),
    }
    return Budget(**{**settings, **changes})


PLAIN = {  # for learning fast: no augmentation, no warm-up
    "augmentation": AugmentationConfig(probability=0, flip_probability=0),
    "schedule": ScheduleConfig(warmup_share=0),
}


def to_the_bit(reports: Iterable[Mapping[str, float]], *, timed: bool = False):
    """Reports in a form that is equal where they are to the last bit, NaN included.

    Without `timed`, but for the time they took.
    """
    return [
        {
            key: float(value).hex()
            for key, value in report.items()
            if timed or key != keys.WALL_TIME_S
        }
        for report in reports
    ]
