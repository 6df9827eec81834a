"""Folders of labelled X-rays to a dataset: crop, resize, rasterise, split, write."""

import logging
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from tqdm import tqdm

from tune_knee.data.dataset import (
    KneeDataset,
    Split,
    must_be_new,
    must_be_regions,
    write_dataset,
)
from tune_knee.data.frames import LabelledFrame
from tune_knee.data.image_files import EmbeddedImage
from tune_knee.data.problems import Problems
from tune_knee.data.rendering import RenderedFrames, render_case
from tune_knee.data.sources import Found, find_frames
from tune_knee.data.splitting import Shares, read_split, split_by_shares

PAPER_REGIONS: Final = ("patella", "femur", "tibia", "patellar_tendon")
PAPER_SHARES: Final = (0.665, 0.117, 0.218)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How a source folder becomes a dataset.

    Attributes:
        size_px: side of the square frames.
        regions: names in order; None takes the labels found, the paper's first, in its
            order, then by name. With names given, any other label is an error.
        case_from: see `find_frames`.
        split: shares of training, validation and test, or a CSV file, see `read_split`.
        seed: of the shuffle of cases.
        salt_path: the salt file that DICOM patients' names are hidden with, see
            `pseudonyms`; None takes the one in the user's home.
    """

    size_px: int = 512
    regions: tuple[str, ...] | None = None
    case_from: str | None = None
    split: Shares | Path = PAPER_SHARES
    seed: int = 0
    salt_path: Path | None = None

    def __post_init__(self) -> None:
        if self.size_px < 1:
            raise ValueError(f"size_px must be positive, got size_px={self.size_px}")
        if self.regions is not None:
            must_be_regions(self.regions)


def prepare(src: Path, out: Path, preparation: Preparation) -> KneeDataset:
    """Make a dataset folder of images or DICOM objects and their labels.

    The largest square about a frame's centre is resized by area averaging; a pixel
    belongs to a shape that covers at least half of it. Of DICOM objects side, spacing and
    time are kept, and nothing that names a patient.

    Raises:
        ValueError: if `out` exists or is to hold the salt, or with all problems of the
            source, one line each.
    """
    must_be_new(out)
    _salt_must_be_apart(out, preparation.salt_path)
    problems = Problems()
    found = find_frames(
        src,
        preparation.case_from,
        problems,
        regions=preparation.regions,
        salt_path=preparation.salt_path,
    )
    frames = found.frames
    regions = _regions(frames, preparation.regions, problems)
    split = _split(found, preparation, problems)
    _must_be_labelled(frames, regions, split, problems)
    rendered = _render(frames, regions, preparation.size_px, problems)
    _warn_of_sources(found)
    problems.raise_if_any(src)
    table = _frame_table(frames, split, rendered)
    training = rendered.masks[table["split"].to_numpy() == "train"]
    for r, region in enumerate(regions):
        if not (training & (1 << r)).any():
            must, mend = "must cover a pixel of a training frame", "split otherwise or drop it"
            problems.add(f"region {region}", must, got="none in the centre squares", mend=mend)
    problems.raise_if_any(src)
    return write_dataset(out, rendered.images, rendered.masks, table, regions)


def _salt_must_be_apart(out: Path, salt_path: Path | None) -> None:
    if salt_path is not None and salt_path.resolve().is_relative_to(out.resolve()):
        raise ValueError(
            f"the salt must lie outside of the dataset, got salt_file={salt_path}; "
            "with it names of patients can be tried out"
        )


def _render(
    frames: list[LabelledFrame], regions: tuple[str, ...], size_px: int, problems: Problems
) -> RenderedFrames:
    shape = (len(frames), size_px, size_px)
    images, masks = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.uint8)
    hashes: list[str] = []
    spacings: list[float] = []
    bits: list[int] = []
    with tqdm(total=len(frames), desc="reading frames", unit="frame") as progress:
        for _, group in groupby(frames, key=lambda frame: frame.case):
            case = list(group)
            rendered = render_case(case, regions, size_px, problems)
            if rendered is not None:
                filled = slice(len(hashes), len(hashes) + len(case))
                images[filled], masks[filled] = rendered.images, rendered.masks
                hashes += rendered.content_hashes
                spacings += rendered.spacing_mm
                bits += rendered.bits_stored
            progress.update(len(case))
    return RenderedFrames(images, masks, tuple(hashes), tuple(spacings), tuple(bits))


def _regions(
    frames: list[LabelledFrame], wanted: tuple[str, ...] | None, problems: Problems
) -> tuple[str, ...]:
    labels = {label for frame in frames for label in frame.label_names}
    if wanted is None:
        paper = [region for region in PAPER_REGIONS if region in labels]
        regions = (*paper, *sorted(labels.difference(paper)))
        try:
            must_be_regions(regions)
        except ValueError as error:
            problems.lines.append(f"labels: {error}; or choose with --regions")
        return regions
    for frame in frames:
        for label in sorted(set(frame.label_names).difference(wanted)):
            must = f"a label must be one of {', '.join(wanted)}"
            mend = "rename or delete it, or add it to --regions"
            problems.add(frame.place, must, got=f"unknown label {label}", mend=mend)
    return wanted


def _split(found: Found, preparation: Preparation, problems: Problems) -> dict[str, Split]:
    frames_by_case = Counter(frame.case for frame in found.frames)
    if isinstance(preparation.split, Path):
        return read_split(preparation.split, set(frames_by_case), problems, found.pseudonyms)
    try:
        return split_by_shares(frames_by_case, preparation.split, preparation.seed)
    except ValueError as error:
        problems.lines.append(f"split: {error}")
        return {}


def _must_be_labelled(
    frames: list[LabelledFrame],
    regions: tuple[str, ...],
    split: dict[str, Split],
    problems: Problems,
) -> None:
    training = [frame for frame in frames if split.get(frame.case) == "train"]
    if not training:
        return  # an empty split is a problem already
    trained = {label for frame in training for label in frame.label_names}
    for region in regions:
        if region not in trained:
            problems.add(
                f"region {region}",
                "must be labelled in a training frame",
                got=f"none of {len(training)}",
                mend="label it, split otherwise, or leave it out with --regions",
            )


def _warn_of_sources(found: Found) -> None:
    for kind, places in (
        ("images without labels are left out", found.unlabelled),
        ("DICOM objects without a picture are passed over", found.passed_over),
    ):
        if places:
            _log.warning("%d %s, e.g. %s", len(places), kind, places[0])
    if embedded := sum(isinstance(frame.image, EmbeddedImage) for frame in found.frames):
        _log.warning(
            "%d images are absent and come from imageData, which LabelMe keeps as lossy 8-bit "
            "JPEG where the image was neither PNG nor JPEG",
            embedded,
        )
    for frame in found.frames:
        if crossing := _crossing(frame):
            _log.warning(
                "%s: the outline of %s crosses itself, and part of its inside counts as outside; "
                "draw it again",
                frame.place,
                crossing,
            )


def _crossing(frame: LabelledFrame) -> str:
    return ",".join(dict.fromkeys(name for labels in frame.labels for name in labels.crossing))


def _frame_table(
    frames: list[LabelledFrame], split: dict[str, Split], rendered: RenderedFrames
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "case": [frame.case for frame in frames],
            "frame": [frame.frame for frame in frames],
            "split": [split[frame.case] for frame in frames],
            "side": [frame.facts.side for frame in frames],
            "spacing_mm": rendered.spacing_mm,
            "spacing_source": [frame.facts.spacing_source for frame in frames],
            "source": [frame.source for frame in frames],
            "content_hash": rendered.content_hashes,
            "sequence": [frame.sequence for frame in frames],
            "time_s": [frame.facts.time_s for frame in frames],
            "bits_stored": rendered.bits_stored,
            "self_crossing": [_crossing(frame) for frame in frames],
        }
    )
