"""X-rays to masks and what is made of them, frame by frame, so that a killed run goes on."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from tune_knee.data.problems import Problems
from tune_knee.data.sources import Found, find_all_frames
from tune_knee.predict.dicom_seg import LONGEST_NAME
from tune_knee.predict.formats import DEFAULT_FORMATS, Format
from tune_knee.predict.manifest import Manifest
from tune_knee.predict.reading import ReadRecording, read_recordings
from tune_knee.predict.recordings import Recording, moment_of, recordings_of
from tune_knee.predict.writing import RecordingWriter
from tune_knee.segmenter.segmenter import Segmenter

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How frames are found and what is written of them.

    Attributes:
        formats: of `FORMATS`; masks always.
        case_from, salt_path: see `find_all_frames`.
    """

    formats: tuple[Format, ...] = DEFAULT_FORMATS
    case_from: str | None = None
    salt_path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What a run did: frames, of them predicted now and without any region; sequences, cases."""

    frames: int
    predicted: int
    empty: int
    sequences: int
    cases: int


def predict(src: Path, out: Path, segmenter: Segmenter, prediction: Prediction) -> Predicted:
    """Predict every frame of a folder or file, and write what is asked for below `out`.

    Every frame is read first: where anything is wrong with any, nothing is written. Then each
    file is written aside and renamed, and what is there already is left alone: the same call
    goes on after any interruption, and ends with the same files.

    Raises:
        ValueError: with all problems of the source, one line each; if it holds no frame; if
            `out` is another prediction's, or lies in the source.
    """
    if src.is_dir() and out.resolve().is_relative_to(src.resolve()):
        raise ValueError(f"out must lie outside of the source, got out={out}")
    problems = Problems()
    found = find_all_frames(src, prediction.case_from, problems, salt_path=prediction.salt_path)
    recordings = recordings_of(found.frames, problems)
    regions = segmenter.facts.regions
    if "dicom-seg" in prediction.formats:
        _must_be_dicom(recordings, regions, problems)
    read = read_recordings(recordings, segmenter.facts, problems)
    problems.raise_if_any(src, "it is predicted")
    _warn_of(found)
    manifest = Manifest.of(segmenter, read)
    manifest.claim(out)
    writers = [
        RecordingWriter(each, out, segmenter, prediction.formats, manifest.model_hash)
        for each in read
    ]
    _write(read, writers)
    return Predicted(
        frames=len(found.frames),
        predicted=sum(writer.predicted for writer in writers),
        empty=sum(writer.empty for writer in writers),
        sequences=len(read),
        cases=len({recording.case for recording in recordings}),
    )


def _write(read: Sequence[ReadRecording], writers: Sequence[RecordingWriter]) -> None:
    total = sum(len(each.recording) for each in read)
    with tqdm(total=total, desc="predicting", unit="frame", disable=None) as progress:
        for writer in writers:
            writer.write(progress.update)


def _must_be_dicom(
    recordings: Sequence[Recording], regions: tuple[str, ...], problems: Problems
) -> None:
    others = [recording for recording in recordings if not recording.is_dicom]
    if others:
        must = "dicom-seg wants DICOM objects"
        got = f"{sum(map(len, others))} frames of image files"
        mend = "leave dicom-seg out, or the images"
        problems.add(others[0].frames[0].place, must, got=got, mend=mend)
    for recording in recordings:
        for frame in recording.frames if recording.is_dicom else ():
            image = moment_of(frame).image
            if not image.study and moment_of(frame).index == 0:
                must, mend = "dicom-seg wants a StudyInstanceUID", "leave dicom-seg out"
                problems.add(image.place, must, got="none", mend=mend)
    for region in regions:
        if len(region) > LONGEST_NAME:
            must = f"a region's name must have at most {LONGEST_NAME} letters for dicom-seg"
            problems.add(f"region {region}", must, got=len(region), mend="leave dicom-seg out")


def _warn_of(found: Found) -> None:
    if found.passed_over:
        _log.warning(
            "%d DICOM objects without a picture are passed over, e.g. %s",
            len(found.passed_over),
            found.passed_over[0],
        )
