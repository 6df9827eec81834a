"""The dataset on disk: memory-mapped frames and masks, one bit a region.

A folder holds ``images.npy`` uint8 (N, H, W), ``masks.npy`` uint8 (N, H, W) with bit r set
where region r is, ``frames.parquet`` (one row a frame, in the arrays' order) and
``dataset.json`` (schema version, region order, training areas, fingerprint).
"""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from tune_knee.data.resizing import at_least_half, resize

SCHEMA_VERSION: Final = 1
SPLITS: Final = ("train", "validation", "test")
Split = Literal["train", "validation", "test"]
MAX_REGIONS: Final = 8  # bits of a uint8 mask

# frames.parquet. spacing_mm: of a stored pixel, NaN and its source empty where unknown.
SpacingSource = Literal["", "patient", "uncalibrated", "detector", "scanner", "phantom"]
FRAME_COLUMNS: Final = (
    "case",
    "frame",
    "split",
    "side",
    "spacing_mm",
    "spacing_source",
    "source",
    "content_hash",
)

# Columns that a dataset of this schema may lack: names of frames of one recording, seconds
# since its first (NaN: unknown), bits of a source pixel, and the regions, separated by commas,
# whose outline crosses itself.
SEQUENCE_COLUMNS: Final = ("sequence", "time_s", "bits_stored", "self_crossing")


@dataclass(frozen=True)
class Spacing:
    """Size of the pixels of N frames.

    `mm` (N,) at the dataset's size; `source`: where all of them were measured.
    """

    mm: NDArray[np.float64]
    source: SpacingSource


@dataclass(frozen=True)
class KneeDataset:
    """N square frames with their region masks.

    Attributes:
        images: uint8 (N, H, W), perhaps a read-only memory map.
        masks: uint8 (N, H, W); bit r is region r.
        frames: one row a frame, columns `FRAME_COLUMNS`, perhaps `SEQUENCE_COLUMNS`.
        regions: names of the R regions, in bit order.
        fingerprint: hash of images, masks, splits and regions; the data's identity, kept
            through `resized`.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    frames: pd.DataFrame
    regions: tuple[str, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size_px(self) -> int:
        """Side of the square frames."""
        return int(self.images.shape[1])

    def indices(self, split: Split) -> NDArray[np.intp]:
        """Positions of a split's frames, ascending."""
        return np.flatnonzero(self.frames["split"].to_numpy() == split)

    def region_masks(self, indices: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Masks of some frames unpacked to (n, R, H, W)."""
        bits = np.arange(len(self.regions), dtype=np.uint8)[:, None, None]
        return (self.masks[indices][:, None] >> bits & 1).astype(bool)

    def areas_px(self, split: Split = "train") -> NDArray[np.int64]:
        """Pixels of each region summed over a split. Shape (R,)."""
        chosen = self.masks[self.indices(split)]
        return np.array(
            [np.count_nonzero(chosen & (1 << r)) for r in range(len(self.regions))], dtype=np.int64
        )

    def spacing(self) -> Spacing | None:
        """Size of the pixels, where it is known for all frames and measured in one plane.

        Else None: at the detector and in the patient it differs by the magnification.
        """
        mm = self.frames["spacing_mm"].to_numpy(dtype=np.float64, na_value=np.nan)
        sources = set(self.frames["spacing_source"])
        if len(sources) != 1 or "" in sources or not (np.isfinite(mm) & (mm > 0)).all():
            return None
        return Spacing(mm, sources.pop())

    def verify(self) -> None:
        """Read everything once and compare it with the fingerprint.

        Raises:
            ValueError: if images, masks, cases, splits or regions are not what they were
                when the dataset was written.
        """
        found = dataset_fingerprint(self.images, self.masks, self.frames, self.regions)
        if found != self.fingerprint:
            raise ValueError(
                f"the data must be as they were written, fingerprint {self.fingerprint}, "
                f"got fingerprint={found}; prepare the dataset again"
            )

    def part(self, indices: NDArray[np.intp]) -> Self:
        """Some of the frames, in memory."""
        return dataclasses.replace(
            self,
            images=self.images[indices],
            masks=self.masks[indices],
            frames=self.frames.iloc[indices].reset_index(drop=True),
        )

    def resized(self, size_px: int) -> Self:
        """The same frames at another side length, in memory.

        Images by area averaging; a mask's pixel is set where at least half of its area is.
        """
        if size_px == self.size_px:
            return self
        images = np.stack([resize(image, size_px) for image in self.images])
        masks = np.zeros_like(images)
        for n, mask in enumerate(self.masks):
            for r in range(len(self.regions)):
                share = resize((mask >> r & 1).astype(np.float32), size_px)
                masks[n] |= at_least_half(share).astype(np.uint8) << r
        scale = self.size_px / size_px
        frames = self.frames.assign(spacing_mm=self.frames["spacing_mm"] * scale)
        return dataclasses.replace(self, images=images, masks=masks, frames=frames)


def dataset_fingerprint(
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    frames: pd.DataFrame,
    regions: tuple[str, ...],
) -> str:
    """Hash of all that a result depends on: pixels, labels, cases, splits, region order."""
    digest = hashlib.sha256()
    digest.update(json.dumps([list(images.shape), list(regions)]).encode())
    digest.update(
        frames[["case", "frame", "split"]].to_csv(index=False, lineterminator="\n").encode()
    )
    for image, mask in zip(images, masks, strict=True):
        digest.update(np.ascontiguousarray(image).data)
        digest.update(np.ascontiguousarray(mask).data)
    return digest.hexdigest()[:16]


def must_be_new(out: Path) -> None:
    """Raise ValueError if a folder to be made is there already."""
    if out.exists():
        raise ValueError(f"out must not exist, got out={out}; remove it or name another folder")


def write_dataset(
    out: Path,
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    frames: pd.DataFrame,
    regions: tuple[str, ...],
    *,
    extra: Mapping[str, pd.DataFrame] | None = None,
) -> KneeDataset:
    """Write a dataset folder: aside first, then renamed, so that none is ever half there.

    Tables in `extra` are written beside it, each as <name>.parquet, and are no part of
    the data's identity.

    Raises:
        ValueError: if `out` exists, there are more than `MAX_REGIONS` regions, or a name
            of one cannot stand in the name of a metric.
    """
    must_be_new(out)
    must_be_regions(regions)
    fingerprint = dataset_fingerprint(images, masks, frames, regions)
    dataset = KneeDataset(images, masks, frames, regions, fingerprint)
    spacing = dataset.spacing()
    about = {
        "schema_version": SCHEMA_VERSION,
        "regions": list(regions),
        "frames": len(images),
        "size_px": dataset.size_px,
        "training_areas_px": dict(zip(regions, dataset.areas_px().tolist(), strict=True)),
        "spacing_source": spacing.source if spacing else None,  # None: no millimetres
        "fingerprint": fingerprint,
    }
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        np.save(aside / "images.npy", images)
        np.save(aside / "masks.npy", masks)
        kept = [column for column in SEQUENCE_COLUMNS if column in frames]
        frames[[*FRAME_COLUMNS, *kept]].to_parquet(aside / "frames.parquet", index=False)
        for name, table in (extra or {}).items():
            table.to_parquet(aside / f"{name}.parquet", index=False)
        (aside / "dataset.json").write_text(json.dumps(about, indent=2) + "\n")
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return dataset


def must_be_regions(regions: tuple[str, ...]) -> None:
    """Raise ValueError unless these can be the regions of a dataset."""
    if not 1 <= len(regions) <= MAX_REGIONS:
        raise ValueError(
            f"a dataset must have 1 to {MAX_REGIONS} regions, got {len(regions)}: "
            f"{', '.join(regions)}"
        )
    if len(set(regions)) < len(regions):
        raise ValueError(f"regions must differ, got regions={', '.join(regions)}")
    for region in regions:
        if not re.fullmatch(r"(?!\.+$)[\w.-]([\w. -]*[\w.-])?", region, flags=re.ASCII):
            raise ValueError(
                "a region's name must be of letters, digits, '_', '-', '.' and inner spaces, "
                f"got region={region!r}; rename it in the labels"
            )


def open_dataset(root: Path) -> KneeDataset:
    """Open a dataset folder; arrays are memory-mapped and read-only.

    Raises:
        ValueError: if a file is missing, unreadable, of another schema, or the files do
            not fit each other.
    """
    about_path = root / "dataset.json"
    if not about_path.is_file():
        raise ValueError(
            f"a dataset folder must hold dataset.json, got data={root}; "
            "make one with 'python -m tune_knee.data prepare' or 'phantom'"
        )
    try:
        about = _read_about(about_path)
        images = np.load(root / "images.npy", mmap_mode="r")
        masks = np.load(root / "masks.npy", mmap_mode="r")
        frames = pd.read_parquet(root / "frames.parquet")
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(
            f"a dataset folder must be readable, got data={root} ({error}); prepare it again"
        ) from error
    shape = (about.frames, about.size_px, about.size_px)
    for name, array in {"images": images, "masks": masks}.items():
        if array.shape != shape or array.dtype != np.uint8:
            raise ValueError(
                f"{name}.npy must be uint8 {shape} as dataset.json says, got {array.dtype} "
                f"{array.shape} in {root}; prepare the dataset again"
            )
    if len(frames) != about.frames or not set(FRAME_COLUMNS) <= set(frames.columns):
        raise ValueError(
            f"frames.parquet must have {about.frames} rows with {', '.join(FRAME_COLUMNS)}, "
            f"got {len(frames)} with {', '.join(frames.columns)} in {root}; "
            "prepare the dataset again"
        )
    return KneeDataset(images, masks, frames, about.regions, about.fingerprint)


@dataclass(frozen=True)
class _About:
    """What `open_dataset` needs of dataset.json."""

    regions: tuple[str, ...]
    frames: int
    size_px: int
    fingerprint: str


def _read_about(path: Path) -> _About:
    content = json.loads(path.read_text())
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(f"schema_version must be {SCHEMA_VERSION}, got schema_version={version}")
    about = TypeAdapter(_About).validate_python(content)
    must_be_regions(about.regions)
    return about
