import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from drawn_knee import REGIONS, drawn_knee

from tune_knee.data.dataset import write_dataset
from tune_knee.motion import columns
from tune_knee.motion.__main__ import MOTION_CSV, main
from tune_knee.motion.sources import read_dataset, read_masks


def write_masks(folder: Path, masks: np.ndarray, about: object) -> Path:
    folder.mkdir()
    for n, mask in enumerate(masks):
        cv2.imwrite(str(folder / f"frame_{n + 8}.png"), mask)
    (folder / "regions.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    return np.stack([drawn_knee(flexion) for flexion in (10.0, 40.0, 70.0)])


def test_a_folder_of_masks(
    tmp_path: Path, masks: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    about = {"regions": REGIONS, "spacing_mm": 0.5, "frame_time_ms": 40, "made_by": "someone"}
    folder = write_masks(tmp_path / "knee 1", masks, about)
    assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / MOTION_CSV)
    assert table["frame"].tolist() == ["frame_8", "frame_9", "frame_10"]  # not by letters
    assert table["case"].tolist() == ["knee 1"] * 3
    assert table[columns.FLEXION_DEG].to_numpy() == pytest.approx([10, 40, 70], abs=1)
    assert table[columns.TIME_MS].tolist() == [0, 40, 80]
    assert table[columns.PATELLA_MM].notna().all()
    assert (tmp_path / "out" / "knee%201.png").stat().st_size > 10_000
    assert "3 frames of 1 sequence, 0 doubtful" in capsys.readouterr().out


@pytest.mark.parametrize("top", ["", "masks"])
def test_folders_of_masks_in_any_depth(tmp_path: Path, masks: np.ndarray, top: str) -> None:
    src = tmp_path / "predicted"
    (src / top / "b").mkdir(parents=True)
    write_masks(src / top / "b" / "run", masks, {"regions": REGIONS, "frame_time_ms": 40})
    folder = write_masks(src / top / "a", masks[:2], {"regions": REGIONS})
    for path in list(folder.glob("*.png")):
        path.rename(path.with_suffix(".bits.png"))
    if top:  # what lies beside is not looked at
        (src / "labelme").mkdir()
        (src / "labelme" / "regions.json").write_text("{}")
    assert main([str(src), "--out", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / MOTION_CSV)
    assert table["case"].tolist() == ["a"] * 2 + ["b/run"] * 3
    assert table["frame"].tolist() == [f"frame_{n}" for n in (8, 9, 8, 9, 10)]
    assert table[columns.TIME_MS].isna().tolist() == [True] * 2 + [False] * 3


def test_a_dataset_case_by_case(tmp_path: Path, masks: np.ndarray) -> None:
    frames = pd.DataFrame(
        {
            "case": ["b/1", "a", "b/1"],
            "frame": ["000", "000", "001"],
            "split": ["train", "validation", "test"],
            "side": "",
            "spacing_mm": [0.5, np.nan, 0.5],
            "spacing_source": "",
            "source": "",
            "content_hash": "",
        }
    )
    write_dataset(tmp_path / "data", np.zeros_like(masks), masks, frames, REGIONS)
    arguments = [str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--frame-time-ms", "10"]
    assert main(arguments) == 0
    table = pd.read_csv(tmp_path / "out" / MOTION_CSV)
    assert table["case"].tolist() == ["a", "b/1", "b/1"]
    assert table[columns.FLEXION_DEG].to_numpy() == pytest.approx([40, 10, 70], abs=1)
    assert table[columns.TENDON_MM].isna().tolist() == [True, False, False]
    assert table[columns.TIME_MS].tolist() == [0, 0, 10]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "b%2F1.png"]


def test_spacings_that_differ_within_a_case_are_none(
    tmp_path: Path, masks: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    frames = pd.DataFrame({"case": ["a"] * 3, "frame": list("012"), "split": "train"})
    frames = frames.assign(side="", spacing_source="", source="", content_hash="")
    frames["spacing_mm"] = [0.5, 0.5, 0.6]
    write_dataset(tmp_path / "data", np.zeros_like(masks), masks, frames, REGIONS)
    count, sequences = read_dataset(tmp_path / "data")
    assert count == 1
    assert next(sequences).spacing_mm is None
    assert "a: frames differ in pixel spacing" in caplog.text


def test_what_is_not_measured_is_said(
    tmp_path: Path, masks: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = write_masks(tmp_path / "knee", masks, {"regions": ["patella", "femur", "tibia", "x"]})
    assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
    assert "tendon length not measured: no region is named patellar_tendon" in caplog.text
    assert "flexion not measured" not in caplog.text


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"regions": "femur"}, "JSON object with a list of regions"),
        ([], "JSON object with a list of regions"),
        ({"regions": ["femur"]}, "no bit beyond the 1 regions"),
        ({"regions": REGIONS, "spacing_mm": -1}, "spacing_mm must be a positive number"),
    ],
)
def test_broken_names_of_regions(
    tmp_path: Path,
    masks: np.ndarray,
    about: object,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_masks(tmp_path / "knee", masks[:1], about)
    assert main([str(folder), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / MOTION_CSV).exists()


def test_broken_folders(tmp_path: Path, masks: np.ndarray) -> None:
    folder = write_masks(tmp_path / "knee", masks[:0], {"regions": REGIONS})
    with pytest.raises(ValueError, match="must hold PNGs"):
        read_masks(folder)
    cv2.imwrite(str(folder / "a.png"), masks[0])
    cv2.imwrite(str(folder / "b.png"), masks[0, :-1])
    with pytest.raises(ValueError, match=r"one size, got \(255, 256\)"):
        read_masks(folder)
    cv2.imwrite(str(folder / "b.png"), np.dstack([masks[0]] * 3))
    with pytest.raises(ValueError, match="grey 8-bit PNG"):
        read_masks(folder)
    (folder / "b.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="grey 8-bit PNG"):
        read_masks(folder)
    (folder / "regions.json").unlink()
    with pytest.raises(ValueError, match=r"regions\.json or dataset\.json"):
        read_masks(folder)
