"""Finding labelled frames in a folder: images and DICOM objects with their labels."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tune_knee.data.dicom_sequence import DicomSequence
from tune_knee.data.dicom_source import DicomFolder, key_of, labelled_frames, read_dicom_folder
from tune_knee.data.frames import LabelledFrame
from tune_knee.data.image_files import IMAGE_SUFFIXES
from tune_knee.data.image_source import image_frames, image_key, read_labellings
from tune_knee.data.label_files import MASK_SUFFIXES
from tune_knee.data.label_index import FrameKey, FrameNames, index_masks
from tune_knee.data.natural_order import natural
from tune_knee.data.problems import Problems
from tune_knee.data.pseudonyms import Pseudonyms, default_salt_path, read_salt


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a source folder holds.

    Attributes:
        frames: with labels, in natural order of case and frame.
        unlabelled: places of images and frames without.
        passed_over: places of DICOM objects without a picture.
        pseudonyms: by which DICOM frames got their names; None where there are none.
    """

    frames: list[LabelledFrame]
    unlabelled: list[str]
    passed_over: tuple[str, ...] = ()
    pseudonyms: Pseudonyms | None = None


def find_frames(
    src: Path,
    case_from: str | None,
    problems: Problems,
    *,
    regions: tuple[str, ...] | None = None,
    salt_path: Path | None = None,
) -> Found:
    """All frames of a folder that have labels, searched in depth.

    A LabelMe file belongs to the DICOM frame that it is named after, else to the image that
    its imagePath names; where that is absent, to its own imageData. Masks belong to the
    frame that they are named after, see `label_index`; DICOM segmentations to those that
    they reference. Several labels of a frame add up. Names that begin with a dot are passed
    over.

    Args:
        src: the folder.
        case_from: regular expression with one group, searched for in the file's path
            relative to `src`; None takes the folder of images, the patient of DICOM objects.
        problems: takes what is wrong with the files.
        regions: what the values of masks mean, in order.
        salt_path: the salt file of DICOM names; None takes `default_salt_path`.

    Raises:
        ValueError: if `src` is no folder or without labels, `case_from` is invalid, or the
            salt file holds no salt.
    """
    pattern = None if case_from is None else _case_pattern(case_from)
    if not src.is_dir():
        raise ValueError(f"src must be a folder, got src={src}")
    paths = _within(src, visible_files(src), problems)
    known = (".json", *MASK_SUFFIXES, *IMAGE_SUFFIXES)
    others = [path for path in paths if not path.name.lower().endswith(known)]
    folder = read_dicom_folder(src, others, problems)
    if not folder.segmentations and not any(_may_label(path) for path in paths):
        problems.raise_if_any(src)
        raise ValueError(
            "src must hold labels (LabelMe JSON files, masks or DICOM segmentations), "
            f"got none in src={src}"
        )
    dicom_keys = folder.frame_keys()
    image_paths = [
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES and image_key(path) not in dicom_keys
    ]
    names = FrameNames([*dicom_keys, *map(image_key, image_paths)], _series(folder))
    masks = index_masks(src, paths, names, regions, problems)
    labellings = read_labellings(src, paths, names, dicom_keys, problems)
    frames, unlabelled = image_frames(src, image_paths, labellings, masks, pattern, problems)
    pseudonyms = None
    if folder.sequences:
        pseudonyms = read_salt(salt_path or default_salt_path())
        index = masks.with_labellings(labellings)
        more, without = labelled_frames(folder, index, pattern, pseudonyms, problems)
        frames, unlabelled = [*frames, *more], [*unlabelled, *without]
    return Found(
        frames=sorted(frames, key=lambda frame: (natural(frame.case), natural(frame.frame))),
        unlabelled=unlabelled,
        passed_over=folder.passed_over,
        pseudonyms=pseudonyms,
    )


def _may_label(path: Path) -> bool:
    return path.name.lower().endswith((".json", *MASK_SUFFIXES))


def visible_files(src: Path) -> list[Path]:
    """Files of a folder in depth, but for names that begin with a dot."""
    paths = sorted(path for path in src.rglob("*") if path.is_file())
    return [
        path
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(src).parts)
    ]


def _within(src: Path, paths: list[Path], problems: Problems) -> list[Path]:
    """Those that lie in a folder; a link that leads out of it is a problem."""
    root, kept = src.resolve(), []
    for path in paths:
        if path.resolve().is_relative_to(root):
            kept.append(path)
            continue
        must, mend = "a link must stay in the source folder", "put a copy in its place"
        problems.add(path.relative_to(src).as_posix(), must, got=path.resolve(), mend=mend)
    return kept


def _series(folder: DicomFolder) -> dict[Path, list[FrameKey]]:
    """The frames of each folder's one series of single frames, in order."""
    found: dict[Path, list[DicomSequence]] = defaultdict(list)
    for sequence in folder.sequences:
        if sequence.moments[0].image.frames == 1:
            for place in {moment.image.path.parent for moment in sequence.moments}:
                found[place].append(sequence)
    return {
        place: [key_of(several[0], position) for position in range(len(several[0]))]
        for place, several in found.items()
        if len(several) == 1
    }


def _case_pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(
            f"case_from must be a regular expression, got case_from={text} ({error})"
        ) from error
    if pattern.groups != 1:
        raise ValueError(
            f"case_from must have one group, got case_from={text} with {pattern.groups}; "
            "put the part that names the case in parentheses"
        )
    return pattern
