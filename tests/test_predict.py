import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from labelme_files import encoded
from made_dicom import dicom, save
from made_model import made_model
from made_xrays import smooth, write_images, write_multi_frame, write_xrays
from tiny_knees import REGIONS, tiny_knees

from tune_knee import keys
from tune_knee.data.problems import Problems
from tune_knee.data.sources import find_all_frames
from tune_knee.metrics import frame_metrics
from tune_knee.predict import writing
from tune_knee.predict.__main__ import main
from tune_knee.predict.prediction import Prediction, predict
from tune_knee.predict.reading import read_recordings
from tune_knee.predict.recordings import recordings_of
from tune_knee.segmenter.geometry import to_original, to_square
from tune_knee.segmenter.saved_model import SavedModel
from tune_knee.segmenter.segmenter import Segmenter
from tune_knee.testing import evaluate_frames

CPU = torch.device("cpu")


def contents(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }


def mask_at(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    made_model(batch_size=2).write(path)
    return path


@pytest.fixture
def run(tmp_path: Path, model_path: Path):
    def call(src: Path, *arguments: str, out: str = "out", model: Path = model_path) -> int:
        salt = ["--salt-file", str(tmp_path / "salt")]
        return main(
            [str(src), "--model", str(model), "--out", str(tmp_path / out), *salt, *arguments]
        )

    return call


def test_test_scores_of_files_are_the_studys_own(tmp_path: Path) -> None:
    knees, model = tiny_knees(1, 1, 5), made_model()
    tested = evaluate_frames(model.build(), knees, batch_size=4, device=CPU)
    chosen = knees.indices("test")
    for n, image in enumerate(knees.images[chosen]):
        path = tmp_path / "src" / "case_test" / f"{n:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(image))
    out = tmp_path / "out"
    predict(tmp_path / "src", out, Segmenter([model], device=CPU), Prediction(formats=("masks",)))
    found = np.stack([mask_at(out / f"masks/case_test/{n:03}.bits.png") for n in range(5)])
    pngs = [np.frombuffer(png, np.uint8) for png in tested.masks["png"]]
    np.testing.assert_array_equal(
        found, np.stack([cv2.imdecode(png, cv2.IMREAD_UNCHANGED) for png in pngs])
    )
    assert found.any()
    scores = frame_metrics(found, knees.masks[chosen], len(REGIONS))
    np.testing.assert_array_equal(
        scores.reshape(-1, len(keys.METRICS)), tested.frames[list(keys.METRICS)].to_numpy()
    )


def test_at_the_models_size_so_are_those_of_larger_files(tmp_path: Path) -> None:
    knees, model = tiny_knees(1, 1, 5, size_px=48), made_model(prepared_size_px=48)
    tested = evaluate_frames(model.build(), knees.resized(32), batch_size=4, device=CPU)
    for n in knees.indices("test"):
        path = tmp_path / "src" / "case_test" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(np.pad(knees.images[n], ((0, 0), (9, 10)))))
    problems = Problems()
    frames = find_all_frames(tmp_path / "src", None, problems).frames
    (read,) = read_recordings(recordings_of(frames, problems), model.facts, problems)
    masks = Segmenter([model], device=CPU).masks(read.squares)
    truths = knees.resized(32).masks[knees.indices("test")]
    np.testing.assert_array_equal(
        frame_metrics(masks, truths, 2).reshape(-1, len(keys.METRICS)),
        tested.frames[list(keys.METRICS)].to_numpy(),
    )


@pytest.mark.parametrize("shape", [(51, 40), (40, 51), (32, 32), (31, 200), (300, 211), (1, 3)])
def test_masks_lie_where_they_were_found(tmp_path: Path, shape: tuple[int, int]) -> None:
    height, width = shape
    path = tmp_path / "src" / "case" / "a.png"
    path.parent.mkdir(parents=True)
    grey = smooth(*shape, 3) if min(shape) > 8 else np.full(shape, 90, np.uint8)
    path.write_bytes(encoded(grey))
    segmenter, out = Segmenter([made_model()], device=CPU), tmp_path / "out"
    predict(tmp_path / "src", out, segmenter, Prediction(formats=("masks", "overlays", "labelme")))
    mask = mask_at(out / "masks/case/a.bits.png")
    (probabilities,) = segmenter.probabilities(to_square(grey, segmenter.facts)[None])
    np.testing.assert_array_equal(
        mask, segmenter.mask_of(to_original(probabilities, height, width))
    )
    side = min(shape)
    left, top = (width - side) // 2, (height - side) // 2
    outside = np.ones(shape, dtype=bool)
    outside[top : top + side, left : left + side] = False
    assert not mask[outside].any()
    assert mask.shape == shape
    np.testing.assert_array_equal(mask_at(out / "labelme/case/a.png"), grey)
    overlay = cv2.imread(str(out / "overlays/case/a.png"))
    assert overlay.shape[0] > height
    assert overlay.shape[1] >= width


def test_every_kind_of_source_and_format(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_xrays(tmp_path / "src")
    (src / "series" / "notes.json").write_text("{}")
    assert run(src) == 0
    said = capsys.readouterr().out
    assert "15 frames in 4 sequences of 4 cases, masks, overlays, animation, labelme\n" in said
    written = contents(tmp_path / "out")
    kinds = Counter((name.split("/")[0], "".join(Path(name).suffixes[-2:])) for name in written)
    assert kinds == {
        ("predict.json", ".json"): 1,
        ("masks", ".bits.png"): 15,
        ("masks", ".json"): 4,
        ("overlays", ".png"): 15,
        ("labelme", ".png"): 15,
        ("labelme", ".json"): 15,
        ("animations", ".gif"): 4,
    }
    assert "masks/knee/run 1/0.bits.png" in written
    assert "animations/knee/run 1.gif" in written
    about = [json.loads(text) for name, text in written.items() if name.endswith("regions.json")]
    assert {entry.get("frame_time_ms") for entry in about} == {None, 50, 40}
    assert {tuple(entry["regions"]) for entry in about} == {REGIONS}


def test_a_second_run_writes_nothing_and_more_formats_are_added(
    tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_images(tmp_path / "src" / "a", 3, 40, 33).parent
    assert run(src, "--formats", "overlays") == 0
    before = contents(tmp_path / "out")
    assert not any(name.startswith(("labelme", "animations")) for name in before)
    monkeypatch.setattr(Segmenter, "probabilities", None)  # called, it would fail
    assert run(src, "--formats", "overlays") == 0
    assert contents(tmp_path / "out") == before
    assert "3 were there already" in capsys.readouterr().out
    assert run(src, "--formats", "animation,labelme") == 0
    after = contents(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1 + 6


def test_a_run_that_ends_anywhere_goes_on_to_the_same_files(
    tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = write_images(tmp_path / "src" / "a", 5, 40, 33).parent
    write_multi_frame(src / "run.dcm", 3, 20, 24)
    assert run(src, out="whole") == 0
    whole = contents(tmp_path / "whole")
    writes: list[str] = []
    real = writing.write_whole
    for stop in (1, 2, 7, 8, 20, 25, len(whole) - 2):
        out = f"out{stop}"
        writes.clear()

        def stopped(path: Path, content: bytes, stop: int = stop, out: str = out) -> None:
            if len(writes) == stop:
                aside = path.with_name(f".{path.name}.partial")
                aside.parent.mkdir(parents=True, exist_ok=True)
                aside.write_bytes(content[: len(content) // 2])  # as a killed run leaves it
                raise KeyboardInterrupt
            real(path, content)
            writes.append(path.relative_to(tmp_path / out).as_posix())

        monkeypatch.setattr(writing, "write_whole", stopped)
        assert run(src, out=out) == 130
        assert len(contents(tmp_path / out)) == stop + 2  # the manifest, and what was cut off
        monkeypatch.setattr(
            writing,
            "write_whole",
            lambda path, content, out=out: (
                real(path, content),
                writes.append(path.relative_to(tmp_path / out).as_posix()),
            ),
        )
        assert run(src, out=out) == 0
        assert contents(tmp_path / out) == whole
        images = [name for name in writes if not name.startswith("labelme")]
        assert max(Counter(images).values()) == 1, "no file is written twice"


@pytest.mark.slow
def test_a_killed_process_goes_on(tmp_path: Path, model_path: Path) -> None:
    src = write_images(tmp_path / "src" / "a", 24, 300, 260).parent

    def command(out: str) -> list[str]:
        module = [sys.executable, "-m", "tune_knee.predict"]
        return [*module, str(src), "--model", str(model_path), "--out", str(tmp_path / out)]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command("whole"), check=True, env=environment, capture_output=True)
    out = tmp_path / "out"
    process = subprocess.Popen(command("out"), env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.rglob("labelme/**/*.json"))) < 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    masks = sorted(out.rglob("*.bits.png"))
    assert 3 <= len(masks) < 24
    assert all(mask_at(path) is not None for path in masks)
    times = {path: path.stat().st_mtime_ns for path in masks}
    subprocess.run(command("out"), check=True, env=environment, capture_output=True)
    assert contents(out) == contents(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in masks} == times


@pytest.mark.parametrize("change", ["model", "tta", "frame", "more frames"])
def test_a_folder_of_another_prediction_is_refused(
    tmp_path: Path, run, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_images(tmp_path / "src" / "a", 2, 40, 33).parent
    assert run(src, "--formats", "masks") == 0
    before = contents(tmp_path / "out")
    arguments, model = [], tmp_path / "other.pt"
    made_model(1 if change == "model" else 0, batch_size=2).write(model)
    if change == "tta":
        arguments = ["--tta"]
    elif change == "frame":
        (src / "a" / "1.png").write_bytes(encoded(smooth(40, 33, 77)))
    elif change == "more frames":
        write_images(src / "b", 1, 40, 33)
    assert run(src, "--formats", "masks", *arguments, model=model) == 2
    what = {"model": "models", "tta": "setting of --tta"}.get(change, "frames")
    assert f"got other {what} than those of out=" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


def test_what_is_wrong_is_listed_and_nothing_written(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_images(tmp_path / "src" / "a", 3, 40, 33).parent
    (src / "a" / "1.png").write_bytes(b"no picture")
    (src / "a" / "2.jpg").write_bytes((src / "a" / "2.png").read_bytes())
    save(src / "colour.dcm", dicom(smooth(20, 24, 1), PhotometricInterpretation="RGB"))
    write_images(src / "b", 1, 40, 33)
    (src / "b" / "1.png").write_bytes(encoded(smooth(40, 33, 1, 9000)))
    assert run(src) == 2
    said = capsys.readouterr().err
    for part in (
        "colour.dcm: PhotometricInterpretation must be MONOCHROME1 or MONOCHROME2, got RGB",
        "a/1.png: the image must be a whole PNG",
        "frames of a sequence must differ in name",
        "must be mended before it is predicted, got",
    ):
        assert part in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--formats", "nifti,masks"], "formats must be of masks, .*, got nifti"),
        (["--case-from", "("], "case_from must be a regular expression"),
        (["--case-from", "(x)"], "the path must match --case-from"),
        (["--formats", "dicom-seg"], r"a/0\.png: dicom-seg wants DICOM objects, got 2 frames"),
    ],
)
def test_refusals(
    tmp_path: Path, run, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_images(tmp_path / "src" / "a", 2, 40, 33).parent
    assert run(src, *arguments) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_places_for_the_output(tmp_path: Path, run, capsys: pytest.CaptureFixture[str]) -> None:
    src = write_images(tmp_path / "src" / "a", 1, 40, 33).parent
    assert run(src, out="src/out") == 2
    assert "out must lie outside of the source" in capsys.readouterr().err
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a.txt").write_text("kept")
    assert run(src, out="taken") == 2
    assert "out must be new or a prediction's folder" in capsys.readouterr().err
    assert contents(tmp_path / "taken") == {"a.txt": b"kept"}
    (tmp_path / "empty").mkdir()
    assert run(src, "--formats", "masks", out="empty") == 0
    (tmp_path / "empty" / "predict.json").write_text("{}")
    assert run(src, out="empty") == 2
    assert "must be one that tune_knee wrote" in capsys.readouterr().err
    assert run(src, model=tmp_path / "none.pt", out="new") == 2
    assert "none.pt, which is not there" in capsys.readouterr().err


def test_a_mask_that_was_broken_since(
    tmp_path: Path, run, capsys: pytest.CaptureFixture[str]
) -> None:
    src = write_images(tmp_path / "src" / "a", 2, 40, 33).parent
    assert run(src, "--formats", "masks") == 0
    path = tmp_path / "out" / "masks" / "a" / "1.bits.png"
    content = path.read_bytes()
    path.write_bytes(b"broken")
    assert run(src) == 2
    assert "remove it, and it is made again" in capsys.readouterr().err
    path.unlink()
    assert run(src) == 0
    assert path.read_bytes() == content


def test_mirrored_and_mean_of_several(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    src = write_images(tmp_path / "src" / "a", 2, 32, 32).parent
    models = [made_model(seed, batch_size=2) for seed in (0, 1)]
    asked = {}

    def find(model: str, *, tracking_uri: str | None, top: int) -> list[SavedModel]:
        asked.update(model=model, tracking_uri=tracking_uri, top=top)
        return models[:top]

    monkeypatch.setattr("tune_knee.model_sources.find_models", find)
    arguments = ["--tta", "--ensemble", "2", "--tracking-uri", "sqlite:///x.db"]
    assert run(src, *arguments, "--formats", "masks", model=Path("study")) == 0
    assert asked == {"model": "study", "tracking_uri": "sqlite:///x.db", "top": 2}
    squares = np.stack([smooth(32, 32, n) for n in range(2)])
    expected = Segmenter(models, mirrored=True).masks(squares)
    found = [mask_at(tmp_path / f"out/masks/a/{n}.bits.png") for n in range(2)]
    np.testing.assert_array_equal(np.stack(found), expected)
    manifest = json.loads((tmp_path / "out" / "predict.json").read_text())
    assert len(manifest["models"]) == 2
    assert manifest["mirrored"] is True


def test_masks_are_measured_as_motion(tmp_path: Path, run) -> None:
    from tune_knee.motion.__main__ import MOTION_CSV
    from tune_knee.motion.__main__ import main as motion

    src = write_images(tmp_path / "src" / "a" / "run", 4, 40, 33).parent.parent
    write_multi_frame(src / "run.dcm", 3, 40, 24, PixelSpacing=[0.2, 0.2])
    assert run(src) == 0
    assert motion([str(tmp_path / "out"), "--out", str(tmp_path / "motion")]) == 0
    table = pd.read_csv(tmp_path / "motion" / MOTION_CSV)
    (hidden,) = [path.stem for path in (tmp_path / "out" / "animations").glob("p*/*.gif")]
    assert sorted(set(table["case"]), key=len)[0] == "a/run"
    assert any(case.endswith(f"/{hidden}") for case in table["case"])
    dicom_rows = table[table["case"] != "a/run"]
    assert dicom_rows["frame"].tolist() == [1, 2, 3]
    assert dicom_rows["time_ms"].tolist() == [0, 40, 80]
    assert dicom_rows["disc_area_mm2"].tolist() == pytest.approx(
        (dicom_rows["disc_area_px"] * 0.04).tolist(), abs=1e-3
    )
    assert table.loc[table["case"] == "a/run", "time_ms"].isna().all()
