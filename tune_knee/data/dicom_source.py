"""Labelled frames of the DICOM objects in a folder, their patients' names hidden."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tune_knee.data.dicom_files import (
    DicomImage,
    has_picture,
    is_dicom,
    read_header,
    read_image_header,
    stem,
)
from tune_knee.data.dicom_pixels import UnreadablePixelsError
from tune_knee.data.dicom_segmentation import (
    Segmentation,
    is_segmentation,
    read_segmentation,
)
from tune_knee.data.dicom_sequence import DicomSequence, Moment, sequences_of
from tune_knee.data.frames import FrameFacts, FrameLabels, LabelledFrame, SourceImage
from tune_knee.data.label_index import FrameKey, LabelIndex
from tune_knee.data.problems import Problems
from tune_knee.data.pseudonyms import Pseudonyms

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DicomFolder:
    """The sequences and segmentations of a folder; `passed_over` names objects of other kinds."""

    sequences: tuple[DicomSequence, ...]
    segmentations: tuple[Segmentation, ...]
    passed_over: tuple[str, ...]

    def frame_keys(self) -> dict[FrameKey, tuple[DicomSequence, int]]:
        """Each frame by what label files call it: the sequence, and the place in it from 0."""
        return {
            key_of(sequence, position): (sequence, position)
            for sequence in self.sequences
            for position in range(len(sequence))
        }


@dataclass(frozen=True)
class DicomFrame:
    """An image of a sequence; `place` names its file for messages."""

    sequence: DicomSequence
    position: int
    place: str

    def read(self, problems: Problems) -> SourceImage | None:
        """The image, or None where it cannot be read; `problems` then says why."""
        try:
            grey, content_hash = self.sequence.read(self.position)
        except UnreadablePixelsError as error:
            must = "the image must have whole pixels that can be decoded and differ"
            problems.add(self.place, must, got=error, mend="export it again, uncompressed")
            return None
        image = self.sequence.moments[self.position].image
        return SourceImage(grey, content_hash, image.bits_stored)


def read_dicom_folder(
    src: Path, paths: Iterable[Path], problems: Problems, *, labels: bool = True
) -> DicomFolder:
    """Read the headers of a folder's DICOM files; what is wrong with them goes to `problems`.

    Without `labels`, segmentations are passed over, whatever is wrong with them.
    """
    images: list[DicomImage] = []
    segmentations: list[Segmentation] = []
    passed_over: list[str] = []
    for path in paths:
        place = path.relative_to(src).as_posix()
        if not is_dicom(path) or (header := read_header(path, place, problems)) is None:
            continue
        if is_segmentation(header):
            if not labels:
                continue
            segmentation = read_segmentation(header, path, place, problems)
            segmentations += [] if segmentation is None else [segmentation]
        elif has_picture(header):
            image = read_image_header(header, path, place, problems)
            images += [] if image is None else [image]
        else:
            passed_over.append(place)
    sequences = sequences_of(images, problems)
    for sequence in sequences:
        _warn_of(sequence)
    return DicomFolder(tuple(sequences), tuple(segmentations), tuple(passed_over))


def key_of(sequence: DicomSequence, position: int) -> FrameKey:
    """What label files call a frame: folder, name, and number from 1 in an object of several."""
    moment = sequence.moments[position]
    path = moment.image.path
    return FrameKey(path.parent, stem(path), moment.index + 1 if moment.image.frames > 1 else None)


def labelled_frames(
    folder: DicomFolder,
    index: LabelIndex,
    case_from: re.Pattern[str] | None,
    pseudonyms: Pseudonyms,
    problems: Problems,
) -> tuple[list[LabelledFrame], list[str]]:
    """Frames with labels, and the places of those without; named as in `dicom_frame`."""
    segments = _segments(folder, problems)
    frames, unlabelled = [], []
    for sequence in folder.sequences:
        for position, moment in enumerate(sequence.moments):
            labels = (
                *index.labels(key_of(sequence, position)),
                *segments.get((moment.image.instance, moment.index), ()),
            )
            if labels:
                frames += dicom_frame(sequence, position, labels, case_from, pseudonyms, problems)
            else:
                unlabelled.append(_place(moment))
    return frames, unlabelled


def dicom_frame(
    sequence: DicomSequence,
    position: int,
    labels: Sequence[FrameLabels],
    case_from: re.Pattern[str] | None,
    pseudonyms: Pseudonyms,
    problems: Problems,
) -> list[LabelledFrame]:
    """A frame of a sequence; none where no case can be told.

    The case is the patient: a pseudonym of PatientID, or of what `case_from` finds in the
    file's path. So are the names of sequence, frame and source.
    """
    moment = sequence.moments[position]
    patient = _patient(moment.image, case_from, problems)
    if patient is None:
        return []
    return [_frame(sequence, position, _place(moment), labels, patient, pseudonyms)]


def _place(moment: Moment) -> str:
    image = moment.image
    return f"{image.place} frame {moment.index + 1}" * (image.frames > 1) or image.place


def _frame(
    sequence: DicomSequence,
    position: int,
    place: str,
    labels: Sequence[FrameLabels],
    patient: str,
    pseudonyms: Pseudonyms,
) -> LabelledFrame:
    moment = sequence.moments[position]
    image = moment.image
    name = pseudonyms.sequence(sequence.uid)
    number = f"#{moment.index + 1}" * (image.frames > 1)
    return LabelledFrame(
        case=pseudonyms.case(patient),
        frame=f"{name}/{position + 1:04}",
        sequence=name,
        source=f"dicom:{pseudonyms.instance(image.instance)}{number}",
        place=place,
        image=DicomFrame(sequence, position, place),
        labels=tuple(labels),
        facts=FrameFacts(
            side=image.side,
            spacing_mm=image.spacing.mm,
            spacing_source=image.spacing.source,
            time_s=moment.time_s,
        ),
    )


def _patient(
    image: DicomImage, case_from: re.Pattern[str] | None, problems: Problems
) -> str | None:
    if case_from is None:
        if not image.patient:
            mend = "name the patient's folder with --case-from"
            problems.add(image.place, "PatientID must be given", got="none", mend=mend)
        return image.patient or None
    match = case_from.search(image.place)
    if match is None or not match[1]:
        must = f"the path must match --case-from {case_from.pattern}"
        problems.add(image.place, must, got="no case", mend="widen the pattern")
        return None
    return match[1]


def _segments(folder: DicomFolder, problems: Problems) -> dict[tuple[str, int], list[FrameLabels]]:
    known = {
        (moment.image.instance, moment.index)
        for sequence in folder.sequences
        for moment in sequence.moments
    }
    found: dict[tuple[str, int], list[FrameLabels]] = {}
    for segmentation in folder.segmentations:
        here = known.intersection(segmentation.frames)
        if not here:
            must = "a segmentation must reference an image of the folder"
            problems.add(segmentation.place, must, got="none", mend="add its images")
        elif len(here) < len(segmentation.frames):
            lacking = len(segmentation.frames) - len(here)
            _log.warning(
                "%s: %d of the frames that it labels are not here", segmentation.place, lacking
            )
        for key in here:
            found.setdefault(key, []).append(segmentation.frames[key])
    return found


def _warn_of(sequence: DicomSequence) -> None:
    place = sequence.moments[0].image.place
    doubts = {moment.image.spacing.doubt for moment in sequence.moments} - {""}
    for doubt in sorted(doubts):
        _log.warning("%s and its sequence: %s", place, doubt)
    windows = {window for moment in sequence.moments for window in moment.image.windows}
    if len(windows) > 1:
        _log.warning(
            "%s and its sequence: %d windows; their median is taken for all", place, len(windows)
        )
    if any(moment.image.burned_in for moment in sequence.moments):
        _log.warning(
            "%s and its sequence: BurnedInAnnotation is YES: names may be part of the picture; "
            "look at it before you share what is made of it",
            place,
        )
