"""Which label files belong to which frame, by their names.

``<name>.json``, ``<name>.<region>.png`` and ``<name>.<region>.nii.gz`` beside the image
``<name>.dcm``, ``<name>.png``, ...; ``bits`` and ``classes`` in a region's place hold all
regions, which ``regions.json`` beside them names. The frames of a multi-frame object are
``<name>_1``, ``<name>_2``, ...; a NIfTI named after the whole object, or ``series`` beside the
files of one series, is a stack of its frames.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

from tune_knee.data.frames import FrameLabels
from tune_knee.data.label_files import (
    BITS,
    CLASSES,
    MASK_SUFFIXES,
    STACK_SUFFIXES,
    LabelMeLabels,
    MaskLabels,
)
from tune_knee.data.problems import Problems
from tune_knee.data.region_names import read_region_names

SERIES: Final = "series"


class FrameKey(NamedTuple):
    """What label files call a frame; `number` from 1, of objects with several frames."""

    folder: Path
    name: str
    number: int | None = None


@dataclass(frozen=True)
class Labelling:
    """A LabelMe file: what it says, and the DICOM frame that it belongs to, if any."""

    path: Path
    labels: LabelMeLabels
    key: FrameKey | None


@dataclass(frozen=True)
class LabelIndex:
    """Labels by frame, and the mask files among them."""

    found: Mapping[FrameKey, list[FrameLabels]]
    masks: frozenset[Path] = field(default_factory=frozenset)

    def with_labellings(self, labellings: Iterable[Labelling]) -> Self:
        """With the LabelMe files that belong to DICOM frames."""
        found = {key: list(labels) for key, labels in self.found.items()}
        for labelling in labellings:
            if labelling.key is not None:
                found.setdefault(labelling.key, []).insert(0, labelling.labels)
        return dataclasses.replace(self, found=found)

    def labels(self, key: FrameKey) -> tuple[FrameLabels, ...]:
        """Labels of a frame; none where no file is named after it."""
        return tuple(self.found.get(key, ()))


class FrameNames:
    """The frames of a folder by name.

    Args:
        keys: of all frames.
        series: of each folder that holds one series of single frames: its keys in order.
    """

    def __init__(self, keys: Iterable[FrameKey], series: Mapping[Path, list[FrameKey]]):
        self._keys = set(keys)
        self._series = dict(series)
        self._numbers: dict[tuple[Path, str], list[int]] = defaultdict(list)
        for key in sorted(key for key in self._keys if key.number is not None):
            self._numbers[key.folder, key.name].append(key.number or 0)

    def frame(self, folder: Path, name: str) -> FrameKey | None:
        """The frame of that name: as it is, or with its number after an underscore."""
        if (key := FrameKey(folder, name)) in self._keys:
            return key
        match = re.fullmatch(r"(.+)_(\d{1,9})", name)
        key = FrameKey(folder, match[1], int(match[2])) if match else key
        return key if key in self._keys else None

    def stack(self, folder: Path, name: str) -> list[FrameKey]:
        """The frames of an object of several, or of the folder's one series; else none."""
        if numbers := self._numbers.get((folder, name)):
            return [FrameKey(folder, name, number) for number in numbers]
        return self._series.get(folder, []) if name == SERIES else []


def index_masks(
    src: Path,
    paths: Collection[Path],
    names: FrameNames,
    regions: tuple[str, ...] | None,
    problems: Problems,
) -> LabelIndex:
    """Find the masks among a folder's files; names that say too little go to `problems`.

    `regions` are what bits and classes mean, in order, where no regions.json beside them
    says it.
    """
    meanings = {folder: read_region_names(folder) for folder in {path.parent for path in paths}}
    found: dict[FrameKey, list[FrameLabels]] = defaultdict(list)
    masks = set()
    for path in paths:
        suffix = next((s for s in reversed(MASK_SUFFIXES) if path.name.lower().endswith(s)), None)
        if suffix is None:
            continue
        place = path.relative_to(src).as_posix()
        target = _target(path.parent, path.name[: -len(suffix)], suffix in STACK_SUFFIXES, names)
        if target is None:
            if suffix in STACK_SUFFIXES:
                must = "a NIfTI must be called <frame or sequence>.<region, bits or classes>"
                problems.add(place, must, got=path.name, mend="rename it as docs/data.md says")
            continue
        keys, kind = target
        masks.add(path)
        meaning = meanings[path.parent] or regions
        if kind in (BITS, CLASSES) and meaning is None:
            must = f"what the values of .{kind} mean must be told"
            problems.add(place, must, got="no regions", mend="name them in order with --regions")
            continue
        for n, key in enumerate(keys):
            found[key].append(MaskLabels(path, place, kind, meaning or (), n, len(keys)))
    return LabelIndex(found, frozenset(masks))


def _target(
    folder: Path, text: str, stacked: bool, names: FrameNames
) -> tuple[list[FrameKey], str] | None:
    """The frames that a file's name means, and its kind; the longest name that is one wins."""
    for dot in reversed([match.start() for match in re.finditer(r"\.", text)]):
        name, kind = text[:dot], text[dot + 1 :]
        key = names.frame(folder, name)
        if key is not None:
            return [key], kind
        if stacked and (keys := names.stack(folder, name)):
            return keys, kind
    return None
