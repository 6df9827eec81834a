import logging
import warnings
from pathlib import Path
from typing import Any

import cv2
import highdicom as hd
import numpy as np
import pytest
from made_dicom import ENHANCED_XA, XA, dicom, item, save, uid
from made_model import made_model
from made_xrays import smooth, write_multi_frame, write_single_frames
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tune_knee.predict.__main__ import main

FORMATS = ["--formats", "masks,dicom-seg"]


@pytest.fixture
def run(tmp_path: Path):
    model = tmp_path / "model.pt"
    made_model(batch_size=2).write(model)

    def call(src: Path, out: str = "out") -> int:
        salt = ["--salt-file", str(tmp_path / "salt")]
        return main(
            [str(src), "--model", str(model), "--out", str(tmp_path / out), *FORMATS, *salt]
        )

    return call


def segments(out: Path) -> list[Any]:
    paths = sorted((out / "dicom-seg").rglob("*.dcm"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [hd.seg.segread(path) for path in paths]


def masks(out: Path) -> np.ndarray:
    """(N, H, W, R)."""
    planes = [cv2.imread(str(path), -1) for path in sorted((out / "masks").rglob("*.png"))]
    return np.stack([[plane >> r & 1 for r in range(2)] for plane in planes]).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("size", [(32, 24), (33, 27)])  # a plane's bits fill bytes, or not
@pytest.mark.parametrize("sop_class", [XA, ENHANCED_XA])
def test_a_multi_frame_object_has_one(tmp_path: Path, run, size: Any, sop_class: str) -> None:
    write_multi_frame(tmp_path / "src" / "run.dcm", 5, *size, SOPClassUID=sop_class)
    assert run(tmp_path / "src") == 0
    (made,) = segments(tmp_path / "out")
    assert made.segmentation_type == hd.seg.SegmentationTypeValues.BINARY
    assert [made.get_segment_description(n).segment_label for n in (1, 2)] == ["disc", "bar"]
    expected = masks(tmp_path / "out")
    assert (expected.sum(axis=3) == 2).any()
    assert made.SegmentsOverlap == "YES"
    source = uid("patient 2", "series 1", "run")
    found = made.get_pixels_by_source_frame(source, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(made.get_pixels_by_source_frame(source, [4]), expected[3:4])
    reference = made.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    assert reference.SourceImageSequence[0].ReferencedSOPClassUID == sop_class
    assert made.PatientID == "patient 2"
    assert made.StudyInstanceUID == uid("patient 2", "study")
    index = [
        tuple(group.FrameContentSequence[0].DimensionIndexValues)
        for group in made.PerFrameFunctionalGroupsSequence
    ]
    assert len(set(index)) == 10


def test_frames_that_are_out_of_order_keep_their_numbers(tmp_path: Path, run) -> None:
    times = ["20200101120002", "20200101120000", "20200101120001"]
    groups = [item(FrameContentSequence=[item(FrameAcquisitionDateTime=time)]) for time in times]
    more = {"SOPClassUID": ENHANCED_XA, "PerFrameFunctionalGroupsSequence": groups}
    write_multi_frame(tmp_path / "src" / "run.dcm", 3, 32, 24, **more)
    assert run(tmp_path / "src") == 0
    (made,) = segments(tmp_path / "out")
    expected = masks(tmp_path / "out")  # in the order of time
    source = uid("patient 2", "series 1", "run")
    found = made.get_pixels_by_source_frame(source, [2, 3, 1])
    np.testing.assert_array_equal(found, expected)
    assert (expected[0] != expected[1]).any()


def test_objects_of_one_frame_have_one_each(tmp_path: Path, run) -> None:
    write_single_frames(tmp_path / "src", 3, 32, 24)
    assert run(tmp_path / "src") == 0
    made = segments(tmp_path / "out")
    assert len(made) == 3
    assert len({each.SeriesInstanceUID for each in made}) == 1
    assert [each.InstanceNumber for each in made] == [1, 2, 3]
    expected = masks(tmp_path / "out")
    for n, each in enumerate(made):
        source = uid("patient 1", "series 1", n)
        found = each.get_pixels_by_source_instance([source])
        np.testing.assert_array_equal(found, expected[n : n + 1])


def test_the_same_prediction_has_the_same_identifiers(tmp_path: Path, run) -> None:
    write_multi_frame(tmp_path / "src" / "run.dcm", 2, 32, 24)
    assert run(tmp_path / "src") == run(tmp_path / "src", out="again") == 0
    (one,), (other,) = segments(tmp_path / "out"), segments(tmp_path / "again")
    assert one.SOPInstanceUID == other.SOPInstanceUID


def test_attributes_that_are_not_valid_stay_empty(
    tmp_path: Path, run, caplog: pytest.LogCaptureFixture
) -> None:
    made = dicom(smooth(32, 24, 0, 4000), bits=12, PatientSex="PLANTED", PixelSpacing=[0, 0])
    made.add_new("PatientBirthDate", "LO", "planted date")
    save(tmp_path / "src" / "a.dcm", made)
    assert run(tmp_path / "src") == 0
    assert "a.dcm: not valid, and empty in its segmentation: PatientBirthDate, PatientSex" in (
        caplog.text
    )
    assert "planted" not in caplog.text.lower()
    (found,) = segments(tmp_path / "out")
    assert (found.PatientSex, found.PatientBirthDate) == ("", "")


def test_real_radiographs(tmp_path: Path, run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("RG1_UNCR", "RG3_UNCR"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = Path(str(get_testdata_file(f"{name}.dcm"))).read_bytes()
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src" / f"{name}.dcm").write_bytes(content)
    assert run(tmp_path / "src") == 0
    said = caplog.text
    assert "CompressedSamples" not in said
    assert "1.3.6.1.4.1.5962" not in said
    assert "9RG1" not in said
    made = {each.PatientID: each for each in segments(tmp_path / "out")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = dcmread(tmp_path / "src" / "RG1_UNCR.dcm", stop_before_pixels=True)
    found = made["9RG1"]
    assert found.PatientName == source.PatientName
    assert (found.Rows, found.Columns) == (1955, 1841)
    assert found.get_pixels_by_source_instance([source.SOPInstanceUID]).any()


def test_no_study_to_be_part_of(tmp_path: Path, run, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "src" / "a.dcm", dicom(smooth(32, 24, 0, 4000), bits=12, StudyInstanceUID=None))
    assert run(tmp_path / "src") == 2
    assert "a.dcm: dicom-seg wants a StudyInstanceUID, got none" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
