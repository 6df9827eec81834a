import subprocess
import sys
from pathlib import Path

import pytest
from labelme_files import write_cases

from tune_knee.data.__main__ import main
from tune_knee.data.dataset import open_dataset


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_prepare_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    src, out = write_cases(tmp_path / "src", cases=4), tmp_path / "out"
    options = ("--size", 64, "--regions", "tibia, femur", "--split", "0.5:0.25:0.25", "--seed", 3)
    assert run("prepare", src, "--out", out, *options) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: 8 frames, regions tibia, femur\n")
    assert f"python -m tune_knee.data check {out}" in said
    dataset = open_dataset(out)
    assert (dataset.size_px, dataset.regions) == (64, ("tibia", "femur"))
    assert run("check", out, "--out", tmp_path / "sheet.png") == 0
    assert "contact sheet" in capsys.readouterr().out
    assert (tmp_path / "sheet.png").is_file()


def test_cases_from_a_pattern_and_a_split_from_a_table(tmp_path: Path) -> None:
    write_cases(tmp_path / "src", cases=3)
    table = tmp_path / "split.CSV"
    table.write_text("case,split\n0,test\n1,train\n2,validation\n")
    out = tmp_path / "out"
    pattern = r"knee_(\d)"
    options = ("--size", 32, "--case-from", pattern, "--split", table)
    assert run("prepare", tmp_path / "src", "--out", out, *options) == 0
    frames = open_dataset(out).frames
    assert dict(zip(frames["case"], frames["split"], strict=True)) == {
        "0": "test",
        "1": "train",
        "2": "validation",
    }


def test_what_the_user_can_mend_is_one_message_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_cases(tmp_path / "src")
    (src / "knee_0" / "000.png").unlink()
    (src / "knee_1" / "001.json").write_text("{")
    assert run("prepare", src, "--out", tmp_path / "out", "--size", 32) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    error = captured.err[captured.err.index("error: ") :]
    assert error.startswith(
        f"error: {src} must be mended before it is a dataset, got 2 problems:\n"
    )
    assert "\n  knee_0/000.json: imagePath must name an image, got 000.png; add the image" in error
    assert "\n  knee_1/001.json: must be a LabelMe file, got " in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prepare", "{src}", "--out", "{src}"), "out must not exist"),
        (("prepare", "{src}", "--out", "{new}", "--split", "0.5:0.5"), "got split=0.5:0.5"),
        (("prepare", "{src}", "--out", "{new}", "--split", "absent.csv"), "got split=absent.csv"),
        (("prepare", "{src}", "--out", "{new}", "--size", "0"), "got size_px=0"),
        (("prepare", "{src}", "--out", "{new}", "--case-from", "("), "got case_from=("),
        (("prepare", "{new}", "--out", "{new}"), "src must be a folder"),
        (("phantom", "--out", "{src}"), "out must not exist"),
        (("check", "{src}"), "must hold dataset.json"),
    ],
)
def test_options_that_cannot_be(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    src = write_cases(tmp_path / "src")
    places = {"src": src, "new": tmp_path / "new"}
    assert run(*(argument.format(**places) for argument in arguments)) == 2
    assert f"{message}" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_cases(tmp_path / "src")
    (tmp_path / "file").write_text("")
    assert run("prepare", src, "--out", tmp_path / "file" / "out", "--size", 32) == 2
    assert "error: " in capsys.readouterr().err


def test_phantom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "phantom"
    assert run("phantom", "--out", out, "--size", 64, "--cases", 3, "--seed", 1) == 0
    dataset = open_dataset(out)
    assert dataset.size_px == 64
    assert dataset.frames["case"].nunique() == 3
    assert f"{out}: {len(dataset)} frames, regions patella, " in capsys.readouterr().out


def test_the_module_runs_without_traceback(tmp_path: Path) -> None:
    arguments = ["prepare", str(tmp_path), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "tune_knee.data", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: src must hold labels (LabelMe JSON files, masks or DICOM segmentations), "
        f"got none in src={tmp_path}\n"
    )
