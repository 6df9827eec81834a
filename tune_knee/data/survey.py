"""What lies in a source folder, before it is told what belongs to which frame."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tune_knee.data.dicom_sequence import DicomSequence
from tune_knee.data.dicom_source import DicomFolder, key_of, read_dicom_folder
from tune_knee.data.image_files import IMAGE_SUFFIXES
from tune_knee.data.image_source import image_key
from tune_knee.data.label_files import MASK_SUFFIXES
from tune_knee.data.label_index import FrameKey, FrameNames
from tune_knee.data.problems import Problems


@dataclass(frozen=True)
class Survey:
    """The files of a source.

    Attributes:
        paths: all of them.
        dicom: DICOM sequences and segmentations.
        dicom_keys: frames of these by what label files call them.
        image_paths: files of images; masks are among them.
        names: all frames, by what label files call them.
    """

    paths: list[Path]
    dicom: DicomFolder
    dicom_keys: dict[FrameKey, tuple[DicomSequence, int]]
    image_paths: list[Path]
    names: FrameNames

    @classmethod
    def of(cls, root: Path, paths: list[Path], problems: Problems, *, labels: bool = True) -> Self:
        """Look at files in a folder; without `labels`, DICOM segmentations are passed over."""
        known = (".json", *MASK_SUFFIXES, *IMAGE_SUFFIXES)
        others = [path for path in paths if not path.name.lower().endswith(known)]
        folder = read_dicom_folder(root, others, problems, labels=labels)
        dicom_keys = folder.frame_keys()
        image_paths = [
            path
            for path in paths
            if path.suffix.lower() in IMAGE_SUFFIXES and image_key(path) not in dicom_keys
        ]
        names = FrameNames([*dicom_keys, *map(image_key, image_paths)], _series(folder))
        return cls(paths, folder, dicom_keys, image_paths, names)


def visible_files(src: Path) -> list[Path]:
    """Files of a folder in depth, but for names that begin with a dot."""
    paths = sorted(path for path in src.rglob("*") if path.is_file())
    return [
        path
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(src).parts)
    ]


def files_within(src: Path, problems: Problems) -> list[Path]:
    """The visible files that lie in a folder; a link that leads out of it is a problem."""
    root, kept = src.resolve(), []
    for path in visible_files(src):
        if path.resolve().is_relative_to(root):
            kept.append(path)
            continue
        must, mend = "a link must stay in the source folder", "put a copy in its place"
        problems.add(path.relative_to(src).as_posix(), must, got=path.resolve(), mend=mend)
    return kept


def case_pattern(text: str | None) -> re.Pattern[str] | None:
    """What --case-from says, compiled.

    Raises:
        ValueError: if it is no regular expression with one group.
    """
    if text is None:
        return None
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
