"""Broken DICOM, JSON, PNG and NIfTI files: a dataset, or an error that names a file."""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelme_files import base64_png, encoded, shape, write_label
from made_dicom import dicom, item, save, segmentation
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.uid import JPEGLSLossless, RLELossless

from tune_knee.data.dataset import open_dataset
from tune_knee.data.preparation import Preparation, prepare

SIZE = 8
OUTLINE = shape("femur", [[1, 1], [7, 1], [1, 7]])
BOX = shape("tibia", [[1, 1], [2, 2]], "mask", mask=base64_png(np.ones((2, 2), np.uint8)))
MASK = np.tri(SIZE, dtype=np.uint8)


def write_source(src: Path) -> None:
    """A small folder with every kind of file; cases of their own keep a spoilt one apart."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4000, (2, SIZE, SIZE)).astype(np.uint16)
    for n in range(3):
        made = dicom(values[0], patient=f"p{n}", bits=12, PixelSpacing=[0.2, 0.2], FrameTime=40)
        save(src / f"a{n}" / "im.dcm", made)
        write_json(src / f"a{n}" / "im.json")
    for n, syntax in enumerate((None, RLELossless, JPEGLSLossless)):
        made = dicom(values, patient=f"run{n}", bits=12, WindowCenter=2000, WindowWidth=4000)
        if syntax is not None:
            made.compress(syntax, generate_instance_uid=False)
        save(src / f"run{n}" / "run.dcm", made)
        write_json(src / f"run{n}" / "run_1.json")
    enhanced = dicom(values, patient="enhanced", bits=12)
    enhanced.SharedFunctionalGroupsSequence = [
        item(FrameVOILUTSequence=[item(WindowCenter=2000, WindowWidth=4000)])
    ]
    save(src / "enhanced" / "run.dcm", enhanced)
    masks = np.stack([MASK, MASK.T])[None]
    made = segmentation(masks, [(str(enhanced.SOPInstanceUID), 1)], ("femur", "tibia"))
    save(src / "enhanced" / "labels.dcm", made)
    save(src / "stack" / "run.dcm", dicom(values, patient="stack", bits=12))
    nib.save(nib.Nifti1Image(np.stack([MASK] * 2).T, np.eye(4)), src / "stack" / "run.femur.nii")
    (src / "png").mkdir()
    (src / "png" / "im.png").write_bytes(encoded(values[0]))
    (src / "png" / "im.bits.png").write_bytes(encoded(MASK + 2 * MASK.T))
    write_json(src / "png" / "im.json")


def write_json(path: Path) -> None:
    write_label(path, [OUTLINE, BOX], "im.png", imageHeight=SIZE, imageWidth=SIZE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    src = tmp_path_factory.mktemp("fuzz") / "whole"
    write_source(src)
    return src


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def assert_whole_or_refused(whole: Path, spoil: Callable[[Path], Any]) -> None:
    """Prepare a spoilt copy: a dataset that opens, or one error and nothing written."""
    with tempfile.TemporaryDirectory() as folder:
        src, out = Path(folder) / "src", Path(folder) / "out"
        shutil.copytree(whole, src)
        spoil(src)
        try:
            options = Preparation(
                size_px=SIZE, regions=("femur", "tibia"), salt_path=Path(folder) / "salt"
            )
            prepare(src, out, options)
        except ValueError as error:
            lines = str(error).splitlines()
            assert lines[0].startswith(f"{src} must be mended before it is a dataset")
            names = {path.relative_to(src).as_posix() for path in src.rglob("*") if path.is_file()}
            assert any(any(name in line for name in names) for line in lines[1:]) or all(
                line.startswith(("  split: ", "  region ", "  labels: ")) for line in lines[1:]
            )
            assert {path.name for path in Path(folder).iterdir()} <= {"src", "salt"}
        else:
            open_dataset(out).verify()


def files() -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            "a0/im.dcm",
            "a0/im.json",
            "run0/run.dcm",
            "run1/run.dcm",
            "run2/run.dcm",
            "enhanced/run.dcm",
            "enhanced/labels.dcm",
            "stack/run.femur.nii",
            "png/im.png",
            "png/im.bits.png",
            "png/im.json",
        ]
    )


edits = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),  # where, as a share of the file
        st.sampled_from(["set", "insert", "delete"]),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
)


def edited(content: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    for share, kind, piece in changes:
        at = int(share * len(content))
        if kind == "set":
            content = content[:at] + piece + content[at + len(piece) :]
        elif kind == "insert":
            content = content[:at] + piece + content[at:]
        else:
            content = content[:at] + content[at + 4 * len(piece) :]
    return content


many = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "12")),  # more, for a night
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_the_whole_source_is_a_dataset(whole: Path, tmp_path: Path) -> None:
    options = Preparation(size_px=SIZE, regions=("femur", "tibia"), salt_path=tmp_path / "salt")
    assert len(prepare(whole, tmp_path / "out", options)) == 10


@many
@given(name=files(), changes=edits)
def test_bytes_are_changed(whole: Path, name: str, changes: Any) -> None:
    def spoil(src: Path) -> None:
        path = src / name
        path.write_bytes(edited(path.read_bytes(), changes))

    assert_whole_or_refused(whole, spoil)


@many
@given(name=files(), share=st.floats(0, 1))
def test_files_are_cut(whole: Path, name: str, share: float) -> None:
    def spoil(src: Path) -> None:
        content = (src / name).read_bytes()
        (src / name).write_bytes(content[: int(share * len(content))])

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
