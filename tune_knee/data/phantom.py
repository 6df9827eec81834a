"""A dataset made by the project itself: dynamic lateral knee radiographs with four regions.

It stands in where no patient data can be had, and its geometry is known exactly. Beside
the dataset's own files it has phantom_truth.parquet: case, frame, flexion_deg, tendon_length_px
and landmarks (x right, y down, in px, 0 at the image's upper left corner).
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from tune_knee.data.dataset import SPLITS, KneeDataset, Split, must_be_new, write_dataset
from tune_knee.data.phantom_anatomy import Pose, bend, draw_knee, moved
from tune_knee.data.phantom_xray import REGIONS, Scene, draw_exposure, expose, set_scene

TRUTH_TABLE: Final = "phantom_truth"
_MIN_SIZE_PX: Final = 32

# The paper's data: cases and frames of each split, right knees among the cases. It gives
# no number of validation cases; 8 of 19 frames come nearest to the others' 20.
_PAPER_CASES: Final[dict[Split, int]] = {"train": 42, "validation": 8, "test": 14}
_PAPER_FRAMES: Final[dict[Split, int]] = {"train": 862, "validation": 152, "test": 283}
_PAPER_RIGHT: Final = 29


@dataclass(frozen=True)
class CasePlan:
    """What is decided about a case before it is drawn."""

    number: int
    split: Split
    side: str
    frames: int

    @property
    def name(self) -> str:
        """Counted from 1."""
        return f"case_{self.number + 1:03d}"


def make_phantom(
    out: Path, *, size_px: int = 512, seed: int = 0, cases: int = 64, frames: int | None = None
) -> KneeDataset:
    """Make a phantom dataset and write it to a new folder.

    Args:
        out: the folder; must not exist.
        size_px: side of the square frames. A seed shows the same anatomy at every size.
        seed: not negative; determines everything.
        cases: at least 3, dealt to train, validation and test as in the paper
            (42 : 8 : 14). A case's anatomy depends on seed and its number alone.
        frames: of all cases together; None takes the paper's 1,297 for 64 cases, and
            about 20 a case for another number.

    Returns:
        The dataset; regions patella, femur, tibia, patellar_tendon.

    Raises:
        ValueError: if `out` exists, there are fewer than 3 cases or fewer frames than
            cases, `size_px` is below 32, or `seed` is negative.
    """
    must_be_new(out)
    if size_px < _MIN_SIZE_PX:
        raise ValueError(f"size_px must be at least {_MIN_SIZE_PX}, got size_px={size_px}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got seed={seed}")
    plans = plan_cases(seed, cases, frames)
    shape = (sum(plan.frames for plan in plans), size_px, size_px)
    images, masks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    tables, truths = [], []
    first = 0
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        drawn = pool.map(partial(draw_case, seed=seed, size_px=size_px), plans)
        for case in tqdm(drawn, "phantom", len(plans), unit="case", disable=None):
            chosen = slice(first, first + len(case.images))
            images[chosen], masks[chosen] = case.images, case.masks
            tables.append(case.frames)
            truths.append(case.truth)
            first = chosen.stop
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for the other cases
    table = pd.concat(tables, ignore_index=True)
    truth = pd.concat(truths, ignore_index=True)
    return write_dataset(out, images, masks, table, REGIONS, extra={TRUTH_TABLE: truth})


def plan_cases(seed: int, cases: int, frames: int | None) -> list[CasePlan]:
    """Deal cases to the splits, frames to the cases and sides, as the paper's shares want.

    Raises:
        ValueError: if there are fewer than 3 cases, or fewer frames than cases.
    """
    if cases < len(SPLITS):
        raise ValueError(f"cases must be at least {len(SPLITS)}, one a split, got cases={cases}")
    share = cases / sum(_PAPER_CASES.values())
    if frames is None:
        frames = round(share * sum(_PAPER_FRAMES.values()))
    if frames < cases:
        raise ValueError(f"frames must be at least as many as cases ({cases}), got frames={frames}")
    by_split: dict[Split, int] = {
        split: max(1, round(share * _PAPER_CASES[split])) for split in SPLITS
    }
    by_split["train"] = cases - by_split["validation"] - by_split["test"]
    # every case has one frame; the others are dealt so that a case has the paper's many
    others = {s: n * (_PAPER_FRAMES[s] / _PAPER_CASES[s] - 1) for s, n in by_split.items()}
    dealt = _apportion(frames - cases, np.array(list(others.values())))
    lengths = [
        1 + extra
        for n, total in zip(by_split.values(), dealt, strict=True)
        for extra in _apportion(total, np.ones(n))
    ]
    splits = [split for split, n in by_split.items() for _ in range(n)]
    rng = np.random.default_rng(seed)
    order = rng.permutation(cases)
    right = set(rng.permutation(cases)[: round(share * _PAPER_RIGHT)].tolist())
    return [
        CasePlan(number, splits[at], "right" if number in right else "left", lengths[at])
        for number, at in enumerate(order.tolist())
    ]


def _apportion(total: int, weights: NDArray[np.float64]) -> list[int]:
    """Whole numbers that sum to `total`, near to the weights' shares (largest remainder)."""
    quotas = total * weights / weights.sum()
    whole = np.floor(quotas).astype(int)
    most = np.argsort(whole - quotas, kind="stable")[: total - whole.sum()]
    whole[most] += 1
    return [int(n) for n in whole]


@dataclass(frozen=True)
class DrawnCase:
    """One case's n frames: uint8 (n, H, W) twice, and their rows of both tables."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    frames: pd.DataFrame
    truth: pd.DataFrame


def draw_case(plan: CasePlan, *, seed: int, size_px: int) -> DrawnCase:
    """Draw a case's anatomy, exposure and course of flexion, and expose its frames."""
    # counted from 1: a SeedSequence does not tell a trailing 0 from nothing
    rng = np.random.default_rng([seed, plan.number + 1])
    knee, exposure = draw_knee(rng), draw_exposure(rng, mirrored=plan.side == "left")
    course = _flexion_course(rng, plan.frames)
    scene = set_scene(knee, exposure, rng, size_px)
    images = np.empty((plan.frames, size_px, size_px), np.uint8)
    masks = np.empty_like(images)
    frames, truth = [], []
    for n, flexion_deg in enumerate(course.tolist()):
        pose = bend(knee, flexion_deg)
        noise = np.random.default_rng([seed, plan.number + 1, n + 1])
        images[n], masks[n] = expose(scene, pose, noise)
        place = {"case": plan.name, "frame": f"{n:03d}"}
        frames.append(
            {
                **place,
                "split": plan.split,
                "side": plan.side,
                "spacing_mm": exposure.fov_mm / size_px,
                "spacing_source": "phantom",
                "source": "",
                "content_hash": _content_hash(images[n], masks[n]),
            }
        )
        truth.append({**place, "flexion_deg": flexion_deg, **_landmarks(scene, pose)})
    return DrawnCase(images, masks, pd.DataFrame(frames), pd.DataFrame(truth))


def _flexion_course(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """Degrees over a half to a whole swing that begins straight or bent."""
    low, high = rng.uniform(0, 10), rng.uniform(88, 102)
    start, swing = rng.choice([0.0, 0.5]), rng.uniform(0.5, 1.0)
    phase = start + swing * np.linspace(0, 1, frames)
    return np.asarray(low + (high - low) * (1 - np.cos(2 * np.pi * phase)) / 2)


def _landmarks(scene: Scene, pose: Pose) -> dict[str, float]:
    """The tendon's length and, in image coordinates, what a radiologist would mark."""
    knee = scene.knee
    to_px = np.diag([scene.size_px, scene.size_px, 1.0]) @ scene.view(pose.flexion_deg)
    places = {
        "patella_apex": moved(to_px @ pose.patella, knee.apex),
        "patella_base": moved(to_px @ pose.patella, knee.base),
        "tuberosity": moved(to_px @ pose.tibia, knee.tuberosity),
        "condyle_centre": moved(to_px, np.zeros(2)),
        "plateau_centre": moved(to_px @ pose.tibia, np.zeros(2)),
    }
    length = float(np.linalg.norm(places["patella_apex"] - places["tuberosity"]))
    marks = {
        f"{name}_{axis}_px": float(at[i])
        for name, at in places.items()
        for i, axis in enumerate("xy")
    }
    return {"tendon_length_px": length, **marks}


def _content_hash(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> str:
    return hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()[:16]
