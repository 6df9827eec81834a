"""What a model sees of a file is what it would see of the prepared dataset, to the last bit."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from labelme_files import encoded
from made_model import FACTS
from made_xrays import smooth, write_images, write_multi_frame, write_single_frames, write_xrays
from numpy.typing import NDArray
from pydicom.data import get_testdata_file

from tune_knee.data.preparation import Preparation, prepare
from tune_knee.data.problems import Problems
from tune_knee.data.sources import find_all_frames
from tune_knee.predict.reading import ReadRecording, read_recordings
from tune_knee.predict.recordings import recordings_of
from tune_knee.segmenter.geometry import to_square
from tune_knee.segmenter.saved_model import ModelFacts


def read(src: Path, salt: Path, facts: ModelFacts, case_from: str | None = None) -> list:
    problems = Problems()
    found = find_all_frames(src, case_from, problems, salt_path=salt)
    recordings = read_recordings(recordings_of(found.frames, problems), facts, problems)
    assert problems.lines == []
    return recordings


def prepared(src: Path, salt: Path, facts: ModelFacts, case_from: str | None = None) -> dict:
    """Frames at the model's size by case and frame, as a study takes them from a dataset."""
    problems = Problems()
    for frame in find_all_frames(src, case_from, problems, salt_path=salt).frames:
        height, width = frame.image.read(problems).pixels.shape
        place = frame.place.split(" frame ")
        path = src / place[0]
        name = path.stem + "".join(f"_{number}" for number in place[1:])
        mask = np.ones((height, width), np.uint8)
        (path.parent / f"{name}.disc.png").write_bytes(encoded(mask))
    cases = sorted(
        {frame.case for frame in find_all_frames(src, case_from, problems, salt_path=salt).frames}
    )
    split = src.parent / "split.csv"
    splits = ["train", "validation", "test"]
    rows = [f"{case},{splits[min(n, 2)]}" for n, case in enumerate(cases)]
    split.write_text("\n".join(["case,split", *rows]) + "\n")
    dataset = prepare(
        src,
        src.parent / "dataset",
        Preparation(
            size_px=facts.prepared_size_px, case_from=case_from, split=split, salt_path=salt
        ),
    ).resized(facts.image_size_px)
    names = zip(dataset.frames["case"], dataset.frames["frame"], strict=True)
    return dict(zip(names, dataset.images, strict=True))


def assert_equal(recordings: list[ReadRecording], expected: dict) -> None:
    found: dict[tuple[str, str], NDArray[np.uint8]] = {
        (frame.case, frame.frame): square
        for each in recordings
        for frame, square in zip(each.recording.frames, each.squares, strict=True)
    }
    assert found.keys() == expected.keys()
    for name, square in found.items():
        np.testing.assert_array_equal(square, expected[name])
        assert square.std() > 5


def facts_of(prepared_size_px: int, image_size_px: int) -> ModelFacts:
    return ModelFacts(
        **{
            **FACTS.__dict__,
            "prepared_size_px": prepared_size_px,
            "image_size_px": image_size_px,
        }
    )


@pytest.mark.parametrize(("prepared_px", "image_px"), [(32, 32), (48, 32), (24, 56)])
def test_squares_are_those_of_the_prepared_dataset(
    tmp_path: Path, prepared_px: int, image_px: int
) -> None:
    facts, salt = facts_of(prepared_px, image_px), tmp_path / "salt"
    src = write_xrays(tmp_path / "src")
    found = read(src, salt, facts)
    assert len(found) == 4
    assert_equal(found, prepared(src, salt, facts))


def test_windows_of_several_sequences_of_a_case(tmp_path: Path) -> None:
    facts, salt, case_from = facts_of(40, 32), tmp_path / "salt", "^([^/]+)/"
    src = tmp_path / "src"
    for n, case in enumerate("abc"):
        write_images(src / case / "one", 2, 41, 52, top=3000 + n)
        write_images(src / case / "two", 2, 41, 52, top=60000)
    found = read(src, salt, facts, case_from)
    assert len(found) == 6
    assert_equal(found, prepared(src, salt, facts, case_from))


def test_real_radiographs(tmp_path: Path) -> None:
    facts, salt = facts_of(96, 64), tmp_path / "salt"
    src = tmp_path / "src"
    write_images(src / "third", 1, 20, 30)
    for name in ("RG1_UNCR", "RG3_UNCR"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = Path(str(get_testdata_file(f"{name}.dcm"))).read_bytes()
        (src / f"{name}.dcm").write_bytes(content)
    assert_equal(read(src, salt, facts), prepared(src, salt, facts))


def test_eight_bit_files_are_what_one_picture_alone_is(tmp_path: Path) -> None:
    facts = facts_of(48, 32)
    src = write_images(tmp_path / "src", 3, 51, 70)
    (found,) = read(src, tmp_path / "salt", facts)
    for n, square in enumerate(found.squares):
        np.testing.assert_array_equal(square, to_square(smooth(51, 70, n), facts))


def test_pictures_for_the_eye_keep_grey_values_and_polarity(tmp_path: Path) -> None:
    write_images(tmp_path / "src" / "eight", 1, 21, 30)
    write_images(tmp_path / "src" / "sixteen", 2, 21, 30, top=9000)
    more = {"PhotometricInterpretation": "MONOCHROME1"}
    write_single_frames(tmp_path / "src" / "dark", 1, 21, 30, **more)
    write_multi_frame(tmp_path / "src" / "run.dcm", 2, 21, 30)
    found = {
        each.recording.frames[0].place.split("/")[0]: each.grey(0)
        for each in read(tmp_path / "src", tmp_path / "salt", facts_of(32, 32))
    }
    np.testing.assert_array_equal(found["eight"], smooth(21, 30, 0))
    ramp = smooth(21, 30, 0, 4000).astype(float)
    assert np.corrcoef(ramp.ravel(), found["dark"].ravel())[0, 1] < -0.99
    assert np.corrcoef(ramp.ravel(), found["run.dcm frame 1"].ravel())[0, 1] > 0.99
    assert np.corrcoef(ramp.ravel(), found["sixteen"].ravel())[0, 1] > 0.99
    for grey in found.values():
        assert grey.dtype == np.uint8
        assert grey.shape == (21, 30)
        assert grey.max() - grey.min() > 200
