import logging
from pathlib import Path

import numpy as np
import pytest
from labelme_files import encoded, grey, shape, write_frame
from made_dicom import dicom, save, segmentation, uid
from made_xrays import smooth, write_images, write_multi_frame, write_single_frames

from tune_knee.data.problems import Problems
from tune_knee.data.sources import Found, find_all_frames, find_frames


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    return tmp_path / "salt"


def all_frames(src: Path, salt: Path, case_from: str | None = None) -> Found:
    problems = Problems()
    found = find_all_frames(src, case_from, problems, salt_path=salt)
    assert problems.lines == []
    return found


def test_frames_are_named_as_prepare_names_them(tmp_path: Path, salt: Path) -> None:
    src = tmp_path / "src"
    for name in ("2", "10"):
        write_frame(src / "a" / "run", name, [shape("femur", [[2, 2], [14, 2], [2, 14]])])
    write_multi_frame(src / "b" / "run.dcm", 2, 16, 16)
    write_single_frames(src / "c", 2, 16, 16)
    for path in ("b/run_1", "b/run_2", "c/im0", "c/im1"):
        mask = np.eye(16, dtype=np.uint8)
        (src / f"{path}.femur.png").write_bytes(encoded(mask))
    problems = Problems()
    labelled = find_frames(src, None, problems, salt_path=salt).frames
    assert problems.lines == []
    found = all_frames(src, salt).frames
    assert len(found) == 6

    def names(frames: list) -> list:
        return [(frame.case, frame.frame, frame.sequence, frame.facts.time_s) for frame in frames]

    assert str(names(found)) == str(names(labelled))  # NaN among them
    assert [frame.frame for frame in found if frame.case == "a/run"] == ["2", "10"]
    assert not any(frame.labels for frame in found)


def test_labels_are_no_frames_and_their_faults_do_not_matter(tmp_path: Path, salt: Path) -> None:
    src = write_images(tmp_path / "src" / "a", 1, 20, 30).parent
    (src / "a" / "0.femur.png").write_bytes(encoded(grey(3, 3)))
    (src / "a" / "0.json").write_text("no JSON")
    (src / "a" / "settings.json").write_text("{}")
    (src / "a" / "scan.nii.gz").write_bytes(b"no NIfTI")
    (src / "a" / "readme.txt").write_text("notes")
    save(src / "a" / "x.dcm", dicom(smooth(20, 30, 1, 4000), bits=12))
    sources = [(uid("nobody"), None)]
    labels = segmentation(np.ones((1, 1, 9, 9), np.uint8), sources, ["femur"])
    labels.SegmentationType = "FRACTIONAL"
    save(src / "a" / "seg.dcm", labels)
    assert [frame.place for frame in all_frames(src, salt).frames] == ["a/0.png", "a/x.dcm"]


def test_what_lies_in_no_folder_of_its_own(tmp_path: Path, salt: Path) -> None:
    src = write_images(tmp_path / "knees", 2, 20, 30)
    found = all_frames(src, salt).frames
    assert [(frame.case, frame.frame) for frame in found] == [("knees", "0"), ("knees", "1")]
    assert not salt.exists()  # no DICOM, no secret
    one = all_frames(src / "1.png", salt).frames
    assert [(frame.case, frame.frame) for frame in one] == [("1", "1")]


def test_one_dicom_file_is_what_it_is_in_its_folder(tmp_path: Path, salt: Path) -> None:
    path = write_multi_frame(tmp_path / "src" / "run.dcm", 3, 16, 20)
    write_single_frames(tmp_path / "src", 2, 16, 16)
    inside = [frame for frame in all_frames(path.parent, salt).frames if "run" in frame.place]
    alone = all_frames(path, salt).frames
    assert len(alone) == 3
    assert [frame.frame for frame in alone] == [frame.frame for frame in inside]
    assert [frame.case for frame in alone] == [frame.case for frame in inside]


def test_a_file_may_be_reached_by_a_link_and_a_folders_may_not(tmp_path: Path, salt: Path) -> None:
    write_images(tmp_path / "elsewhere", 1, 20, 30)
    (tmp_path / "src").mkdir()
    link = tmp_path / "src" / "link.png"
    link.symlink_to(tmp_path / "elsewhere" / "0.png")
    assert len(all_frames(link, salt).frames) == 1
    problems = Problems()
    find_all_frames(tmp_path / "src", None, problems, salt_path=salt)
    assert "link.png: a link must stay in the source folder" in problems.lines[0]


def test_nothing_to_be_found(tmp_path: Path, salt: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.txt").write_text("")
    for src in (tmp_path / "src", tmp_path / "src" / "a.txt", tmp_path / "none"):
        with pytest.raises(ValueError, match=r"must be or hold images .*got none in src="):
            find_all_frames(src, None, Problems(), salt_path=salt)


def test_a_case_by_pattern(tmp_path: Path, salt: Path) -> None:
    write_images(tmp_path / "src" / "p1" / "run", 1, 20, 30)
    write_images(tmp_path / "src" / "p1" / "walk", 1, 20, 30)
    found = all_frames(tmp_path / "src", salt, "^([^/]+)/").frames
    assert [(frame.case, frame.sequence) for frame in found] == [
        ("p1", "p1/run"),
        ("p1", "p1/walk"),
    ]
    with pytest.raises(ValueError, match="one group"):
        find_all_frames(tmp_path / "src", "^x", Problems(), salt_path=salt)
