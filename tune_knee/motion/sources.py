"""Where masks come from: a prepared dataset's labels, or a folder of mask PNGs."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from tune_knee import keys
from tune_knee.data.dataset import KneeDataset, open_dataset

ABOUT_FILES: Final = ("regions.json", "dataset.json")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskSequence:
    """One knee's masks in the order of time.

    Attributes:
        case: its name.
        frames: names of the N frames.
        masks: uint8 (N, H, W), bit r is region r.
        regions: in bit order.
        spacing_mm: side of a pixel; None if it is not known.
        frame_time_ms: from one frame to the next; None likewise.
    """

    case: str
    frames: tuple[str, ...]
    masks: NDArray[np.uint8]
    regions: tuple[str, ...]
    spacing_mm: float | None
    frame_time_ms: float | None


def read_dataset(root: Path) -> tuple[int, Iterator[MaskSequence]]:
    """Number of cases of a prepared dataset, and one after the other, by name.

    Raises:
        ValueError: if it is no dataset.
    """
    dataset = open_dataset(root)
    return int(dataset.frames[keys.CASE].nunique()), _cases(dataset)


def _cases(dataset: KneeDataset) -> Iterator[MaskSequence]:
    for case, rows in dataset.frames.groupby(keys.CASE, sort=True):
        yield MaskSequence(
            case=str(case),
            frames=tuple(rows[keys.FRAME].astype(str)),
            masks=np.asarray(dataset.masks[rows.index.to_numpy()]),
            regions=dataset.regions,
            spacing_mm=_one_spacing(str(case), rows["spacing_mm"]),
            frame_time_ms=None,
        )


def _one_spacing(case: str, spacings: "pd.Series[float]") -> float | None:
    known = spacings.dropna().unique()
    if len(known) == 1 and spacings.notna().all():
        return float(known[0])
    if len(known):
        _LOG.warning("%s: frames differ in pixel spacing, so lengths are in pixels alone", case)
    return None


@dataclass(frozen=True)
class _About:
    """What is read of the JSON beside mask PNGs."""

    regions: tuple[str, ...]
    spacing_mm: float | None = None
    frame_time_ms: float | None = None


def read_mask_folders(root: Path) -> tuple[int, Iterator[MaskSequence]]:
    """Number of mask folders in a folder, and one after the other, by name; see `read_masks`.

    The folder may be one itself, or hold them in any depth, in its ``masks`` where there is
    one, as ``tune_knee.predict`` writes them.
    """
    if _about_path(root) is not None:
        return 1, iter([read_masks(root)])
    top = root / "masks" if (root / "masks").is_dir() else root
    folders = sorted({path.parent for name in ABOUT_FILES for path in top.rglob(name)})
    if not folders:
        return 1, iter([read_masks(root)])  # which says what is lacking
    return len(folders), (
        read_masks(folder, case=folder.relative_to(top).as_posix()) for folder in folders
    )


def read_masks(folder: Path, *, case: str | None = None) -> MaskSequence:
    """Read a folder of mask PNGs, one grey 8-bit picture a frame, bit r is region r.

    Frames are in the order of their names, numbers in these by size. Beside them lies
    ``regions.json`` (or ``dataset.json``), an object with ``regions``, the names in bit
    order, and where known ``spacing_mm`` and ``frame_time_ms``. A frame's name is the file's
    without ``.bits.png`` or ``.png``; the case is the folder's, unless it is given.

    Raises:
        ValueError: if the JSON or the PNGs are missing, unreadable or differ in size.
    """
    about = _read_about(folder)
    paths = sorted(folder.glob("*.png"), key=lambda path: _natural(path.stem))
    if not paths:
        raise ValueError(f"a folder of masks must hold PNGs, got masks={folder}")
    masks = [_read_mask(path) for path in paths]
    for path, mask in zip(paths, masks, strict=True):
        if mask.shape != masks[0].shape:
            raise ValueError(
                f"masks of a sequence must have one size, got {mask.shape} of {path} beside "
                f"{masks[0].shape} of {paths[0]}"
            )
    return MaskSequence(
        case=folder.resolve().name if case is None else case,
        frames=tuple(path.stem.removesuffix(".bits") for path in paths),
        masks=np.stack(masks),
        regions=about.regions,
        spacing_mm=about.spacing_mm,
        frame_time_ms=about.frame_time_ms,
    )


def _read_about(folder: Path) -> _About:
    path = _about_path(folder)
    if path is None:
        raise ValueError(
            f"a folder of masks must hold {' or '.join(ABOUT_FILES)} that names the regions, "
            f"got masks={folder}"
        )
    try:
        return TypeAdapter(_About).validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{path.name} must be a JSON object with a list of regions, got {path}: "
            f"{error.errors()[0]['msg']}"
        ) from error


def _about_path(folder: Path) -> Path | None:
    paths = (folder / name for name in ABOUT_FILES)
    return next((path for path in paths if path.is_file()), None)


def _read_mask(path: Path) -> NDArray[np.uint8]:
    plane = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if plane is None or plane.dtype != np.uint8 or plane.ndim != 2:
        raise ValueError(f"a mask must be a grey 8-bit PNG, got {path}")
    return np.asarray(plane)


def _natural(name: str) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]
