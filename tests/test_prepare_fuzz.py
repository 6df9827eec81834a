"""Broken DICOM, JSON, PNG and NIfTI files: a dataset, or an error that names a file."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.config import disable_value_validation
from spoilt_sources import (
    EDITS,
    OUTLINE,
    REGIONS,
    SIZE,
    SPOILABLE,
    assert_whole_or_refused,
    cut,
    edited,
    reader,
    rewriting,
    silent,
    write_source,
)

from tune_knee.data.__main__ import main
from tune_knee.data.preparation import Preparation, prepare


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    src = tmp_path_factory.mktemp("fuzz") / "whole"
    write_source(src)
    return src


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with silent():
        yield


files = st.sampled_from(SPOILABLE)
edits = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True), st.sampled_from(EDITS), st.binary(min_size=1, max_size=8)
    ),
    min_size=1,
    max_size=6,
)
many = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "12")),  # more, for a night
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_the_whole_source_is_a_dataset(whole: Path, tmp_path: Path) -> None:
    options = Preparation(size_px=SIZE, regions=REGIONS, salt_path=tmp_path / "salt")
    assert len(prepare(whole, tmp_path / "out", options)) == 13


@many
@given(name=files, changes=edits)
def test_bytes_are_changed(whole: Path, name: str, changes: Any) -> None:
    assert_whole_or_refused(whole, rewriting(name, lambda old: edited(old, changes)))


@many
@given(name=files, share=st.floats(0, 1))
def test_files_are_cut(whole: Path, name: str, share: float, tmp_path: Path) -> None:
    """By the command, as a user meets it."""

    options = ("--size", str(SIZE), "--regions", ",".join(REGIONS))
    read = reader(lambda given: main(["prepare", *given]), *options, *salt(tmp_path))
    assert_whole_or_refused(whole, rewriting(name, lambda old: cut(old, share)), read)


def salt(folder: Path) -> tuple[str, str]:
    return "--salt-file", str(folder / "salt")


@many
@given(name=files, other=files)
@example(name="png/im.json", other="inside/im.json")  # two depths in one sequence
def test_files_are_put_in_anothers_place(whole: Path, name: str, other: str) -> None:
    def spoil(src: Path) -> None:
        (src / name).write_bytes((src / other).read_bytes())

    assert_whole_or_refused(whole, spoil)


values = st.one_of(
    st.none(),
    st.integers(-(2**31), 2**31 - 1).map(str),
    st.floats().map(lambda number: f"{number:.6g}"),
    st.text("0123456789.-+eE\\ ABCL", max_size=12),
)
KEYWORDS = (
    "NumberOfFrames",
    "InstanceNumber",
    "WindowCenter",
    "WindowWidth",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "FrameTime",
    "FrameTimeVector",
    "CineRate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "Laterality",
    "PatientID",
    "SeriesInstanceUID",
    "PhotometricInterpretation",
    "VOILUTFunction",
    "PresentationLUTShape",
)
NUMBERS = ("Rows", "Columns", "BitsStored", "BitsAllocated", "HighBit", "PixelRepresentation")


@many
@given(
    texts=st.dictionaries(st.sampled_from(KEYWORDS), values, max_size=3),
    numbers=st.dictionaries(st.sampled_from(NUMBERS), st.integers(0, 65535), max_size=2),
)
def test_attributes_are_changed(whole: Path, texts: Any, numbers: Any) -> None:
    def spoil(src: Path) -> None:
        path = src / "run0" / "run.dcm"
        with disable_value_validation():
            made = dcmread(path)
            for keyword, value in texts.items():
                made.add_new(keyword, "LO", value)  # explicit: it is read back as it is
            for keyword, number in numbers.items():
                setattr(made, keyword, number)
            made.save_as(path)

    assert_whole_or_refused(whole, spoil)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@many
@given(
    changes=st.dictionaries(
        st.sampled_from(["shapes", "imagePath", "imageData", "imageHeight", "imageWidth"]),
        json_values,
        min_size=1,
    ),
    points=st.none() | st.lists(st.lists(st.floats(-9, 20), min_size=2, max_size=2), max_size=5),
)
def test_json_says_something_else(whole: Path, changes: Any, points: Any) -> None:
    def spoil(src: Path) -> None:
        path = src / "png" / "im.json"
        content = json.loads(path.read_text())
        if points is not None:
            content["shapes"] = [OUTLINE | {"points": points}]
        path.write_text(json.dumps(content | changes))

    assert_whole_or_refused(whole, spoil)
