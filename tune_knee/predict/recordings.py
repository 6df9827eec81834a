"""Frames by recording: what is one sequence, and what its files are called."""

import math
from dataclasses import dataclass
from itertools import pairwise

from tune_knee.data.dicom_sequence import Moment
from tune_knee.data.dicom_source import DicomFrame
from tune_knee.data.frames import LabelledFrame
from tune_knee.data.problems import Problems


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The frames of one sequence, in order.

    Attributes:
        case: as `data prepare` names it; a patient's pseudonym for DICOM objects.
        folder: where its files lie below each format's folder, with forward slashes.
        names: of the N frames, within that folder.
        frames: to be read.
    """

    case: str
    folder: str
    names: tuple[str, ...]
    frames: tuple[LabelledFrame, ...]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def is_dicom(self) -> bool:
        """Whether its frames are DICOM objects'."""
        return isinstance(self.frames[0].image, DicomFrame)

    @property
    def times_s(self) -> tuple[float, ...] | None:
        """When its frames were recorded; None unless all are known, each later than the last."""
        times = tuple(frame.facts.time_s for frame in self.frames)
        known = all(math.isfinite(time) for time in times)
        return times if known and all(a < b for a, b in pairwise(times)) else None

    @property
    def spacing_mm(self) -> float | None:
        """Side of a source pixel; None unless known and one for all frames."""
        known = {frame.facts.spacing_mm for frame in self.frames}
        spacing = known.pop()
        return spacing if not known and math.isfinite(spacing) else None


def moment_of(frame: LabelledFrame) -> Moment:
    """Which frame of which object a DICOM frame is."""
    assert isinstance(frame.image, DicomFrame), "only DICOM frames are asked"
    return frame.image.sequence.moments[frame.image.position]


def recordings_of(frames: list[LabelledFrame], problems: Problems) -> list[Recording]:
    """Group frames by case and sequence; names that would meet in one file are a problem."""
    groups: dict[tuple[str, str], list[LabelledFrame]] = {}
    for frame in frames:
        groups.setdefault((frame.case, frame.sequence), []).append(frame)
    recordings, taken = [], dict[str, str]()
    for (case, sequence), members in groups.items():
        folder = _folder(case, sequence)
        if ".." in folder.split("/"):
            must, mend = "a case must name a folder", "change --case-from"
            problems.add(members[0].place, must, got=f"case={case}", mend=mend)
        names = tuple(frame.frame.rsplit("/", 1)[-1] for frame in members)
        for name, frame in zip(names, members, strict=True):
            path = f"{folder}/{name}"
            if (other := taken.setdefault(path, frame.place)) != frame.place:
                must, mend = "frames of a sequence must differ in name", "rename one of them"
                problems.add(frame.place, must, got=f"{other} too", mend=mend)
        recordings.append(Recording(case=case, folder=folder, names=names, frames=tuple(members)))
    return recordings


def _folder(case: str, sequence: str) -> str:
    """Where a sequence's files lie: below its case, as in the source where that is so too."""
    parts = [part for part in case.split("/") if part not in ("", ".")]
    inner = [part for part in sequence.split("/") if part != "."]
    return "/".join(inner if inner[: len(parts)] == parts else [*parts, *inner])
