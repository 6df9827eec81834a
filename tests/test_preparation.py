import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelme_files import SQUARE, base64_png, grey, shape, write_cases, write_frame, write_label

from tune_knee.data.dataset import KneeDataset, open_dataset
from tune_knee.data.preparation import Preparation, prepare

REAL = Path(__file__).parents[2] / "shared" / "data" / "knee_fluoroscopy"
SMALL = Preparation(size_px=32)


def prepared(src: Path, **changes: Any) -> KneeDataset:
    out = src.parent / "out"
    prepare(src, out, Preparation(**({"size_px": 32} | changes)))
    return open_dataset(out)


def refused(src: Path, **changes: Any) -> str:
    """The error; nothing is left behind."""
    before = sorted(src.parent.iterdir())
    with pytest.raises(ValueError, match="got") as caught:
        prepare(src, src.parent / "out", Preparation(**({"size_px": 32} | changes)))
    assert sorted(src.parent.iterdir()) == before
    return str(caught.value)


def test_a_folder_becomes_a_dataset(tmp_path: Path) -> None:
    dataset = prepared(write_cases(tmp_path / "src", cases=4, frames=3), split=(0.5, 0.25, 0.25))
    assert dataset.regions == ("femur", "tibia")
    assert dataset.images.shape == (12, 32, 32)
    np.testing.assert_array_equal(dataset.images[4], grey(seed=101))
    assert dataset.frames["case"].tolist() == [f"knee_{n}" for n in range(4) for _ in range(3)]
    assert dataset.frames["source"].iloc[4] == "knee_1/001.json"
    assert dataset.frames["content_hash"].nunique() == 12
    assert dataset.frames["spacing_mm"].isna().all()
    counts = dataset.frames.groupby("split")["case"].nunique().to_dict()
    assert counts == {"train": 2, "validation": 1, "test": 1}
    np.testing.assert_array_equal(dataset.areas_px(), [6 * 12 * 12, 6 * 16 * 16])
    about = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert about["training_areas_px"] == {"femur": 6 * 12 * 12, "tibia": 6 * 16 * 16}


def test_preparing_twice_is_the_same(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src", cases=8)
    datasets = [prepare(src, tmp_path / f"{n}", Preparation(size_px=32, seed=5)) for n in range(2)]
    other = prepare(src, tmp_path / "other", Preparation(size_px=32, seed=6))
    assert datasets[0].fingerprint == datasets[1].fingerprint
    assert datasets[0].fingerprint != other.fingerprint


def test_the_papers_regions_come_first_in_its_order(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src")
    labels = ("fibula", "patellar_tendon", "tibia", "a_marker", "patella")
    for case in range(3):
        write_frame(src / f"knee_{case}", "9", [shape(label, SQUARE) for label in labels])
    dataset = prepared(src)
    paper = ("patella", "femur", "tibia", "patellar_tendon")
    assert dataset.regions == (*paper, "a_marker", "fibula")


def test_regions_may_be_ordered(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src")
    dataset = prepared(src, regions=("tibia", "femur"))
    assert dataset.regions == ("tibia", "femur")
    np.testing.assert_array_equal(dataset.areas_px() // dataset.areas_px()[1], [1, 1])
    assert dataset.areas_px()[0] > dataset.areas_px()[1]


def test_a_csv_splits(tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    table.write_text("case,split\nknee_0,test\nknee_1,train\nknee_2,validation\n")
    dataset = prepared(write_cases(tmp_path / "src"), split=table)
    assert dataset.frames["split"].tolist() == 2 * ["test"] + 2 * ["train"] + 2 * ["validation"]


def test_a_frame_may_lack_a_region_or_all(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src")
    write_frame(src / "knee_0", "9", [])
    dataset = prepared(src)
    assert not dataset.masks[2].any()


def test_what_was_left_out_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    src = write_cases(tmp_path / "src")
    write_frame(src / "knee_0", "000", [], imageData=base64_png(grey()))
    (src / "knee_0" / "000.png").rename(src / "knee_0" / "unlabelled.png")
    prepared(src)
    assert "1 images without labels are left out, e.g." in caplog.text
    assert "1 images are absent and come from imageData" in caplog.text


def test_an_existing_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out must not exist"):
        prepare(tmp_path / "absent", tmp_path, SMALL)


def test_an_unknown_label(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src")
    write_frame(src / "knee_1", "9", [shape("femurr", SQUARE), shape("femur", SQUARE)])
    message = refused(src, regions=("femur", "tibia"))
    assert message == (
        f"{src} must be mended before it is a dataset, got 1 problems:\n"
        "  knee_1/9.json: a label must be one of femur, tibia, got unknown label femurr; "
        "rename or delete it, or add it to --regions"
    )


def test_a_region_that_no_training_frame_shows(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src")
    write_frame(src / "knee_0", "9", [shape("fibula", SQUARE)])
    table = tmp_path / "split.csv"
    table.write_text("case,split\nknee_0,test\nknee_1,train\nknee_2,validation\n")
    assert (
        "region fibula: must be labelled in a training frame, got none of 2; "
        "label it, split otherwise, or leave it out with --regions"
    ) in refused(src, split=table)
    message = refused(src, split=table, regions=("femur", "tibia", "fibula", "patella"))
    assert "region patella: must be labelled in a training frame" in message


def test_a_region_that_the_crop_loses(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src")
    for case in range(3):
        image = np.zeros((8, 40), dtype=np.uint8)
        lost = shape("patella", [[0, 0], [4, 4]], "rectangle")
        write_frame(src / f"knee_{case}", "9", [lost], image)
    assert (
        "region patella: must cover a pixel of a training frame, got none in the centre squares"
    ) in refused(src)


def test_too_many_labels_and_names_that_cannot_be(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src")
    write_frame(src / "knee_0", "9", [shape(f"part{n}", SQUARE) for n in range(7)])
    message = refused(src)
    assert "labels: a dataset must have 1 to 8 regions, got 9: femur, tibia, part0" in message
    write_frame(src / "knee_0", "9", [shape("femur/left", SQUARE)])
    assert "got region='femur/left'; rename it in the labels" in refused(src)


def test_too_few_cases(tmp_path: Path) -> None:
    message = refused(write_cases(tmp_path / "src", cases=2))
    assert "split: a split by case must have at least 3 cases, got 2" in message


def test_a_case_in_two_splits_and_an_empty_split(tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    table.write_text("case,split\nknee_0,test\nknee_0,train\nknee_1,train\nknee_2,train\n")
    message = refused(write_cases(tmp_path / "src"), split=table)
    assert "case knee_0 must be in one split, got test and train; remove a row" in message
    assert "split validation must have a case, got none" in message


def test_all_problems_are_listed_in_one_error(tmp_path: Path) -> None:
    src = write_cases(tmp_path / "src", cases=4)
    (src / "knee_0" / "000.png").write_bytes(b"\x89PNG")
    (src / "knee_0" / "001.json").write_text("{")
    (src / "knee_1" / "000.png").unlink()
    write_frame(src / "knee_1", "001", [shape("femur", SQUARE)], imageWidth=64)
    write_frame(src / "knee_2", "000", [shape("femur", [])])
    write_frame(src / "knee_2", "001", [shape("femur", [[40, 1], [50, 1], [50, 9]])])
    write_label(src / "knee_3" / "000.json", [], "../../secret.png")
    write_frame(src / "knee_3", "001", [shape("femur", SQUARE), shape("meniscus", SQUARE)])
    message = refused(src, regions=("femur", "tibia"))
    assert "got 8 problems:\n" in message
    lines = message.splitlines()[1:]
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "knee_0/000.json (000.png)",
        "knee_0/001.json",
        "knee_1/000.json",
        "knee_1/001.json",
        "knee_2/000.json shape 1 (femur)",
        "knee_2/001.json (femur)",
        "knee_3/000.json",
        "knee_3/001.json",
    ]
    assert all(" must " in line and ", got " in line and "; " in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_px": 0}, "size_px must be positive, got size_px=0"),
        ({"regions": ()}, "1 to 8 regions"),
        ({"regions": ("a", "a")}, "regions must differ"),
    ],
)
def test_a_preparation_that_cannot_be(changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preparation(**changes)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/knee_fluoroscopy is not here")
def test_the_shared_fluoroscopy(tmp_path: Path) -> None:
    dataset = prepare(REAL, tmp_path / "out", Preparation(size_px=512))
    assert len(dataset) == 113
    assert dataset.regions == ("femoral_component", "tibial_component")
    assert dataset.frames.groupby("case")["split"].nunique().eq(1).all()
    label = json.loads((REAL / dataset.frames["source"].iloc[40]).read_text())
    for r, drawn in enumerate(label["shapes"]):
        x, y = np.array(drawn["points"]).T / 2
        area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
        assert np.count_nonzero(dataset.masks[40] >> r & 1) == pytest.approx(area, rel=0.03)
    overlapping = (dataset.masks == 3).any(axis=(1, 2))
    assert 0 < overlapping.sum() < 113
