from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from PIL import Image
from tracked_study import TRIALS, frames_of, log_test, track

from analysis.aggregate import aggregate_frames
from analysis.artifacts import load_frames, load_histories, load_masks, log_report
from analysis.load import Study, load_study
from tune_knee import keys
from tune_knee.tracking_store import sqlite_uri

MASKS = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)  # frames 0 and 1 of case k1


def png(mask: np.ndarray) -> bytes:
    content = BytesIO()
    Image.fromarray(mask).save(content, "png")
    return content.getvalue()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """t1 with masks and history, t2 with neither, t3 failed with a history, t4 running."""
    tracker = track(tmp_path, "knees", "s1")
    for trial_id, trial in TRIALS.items():
        tracker.start_trial(trial_id, trial, seed=1)
    log_test(tracker, "t1", frames_of(0.9), tmp_path)
    masks = pd.DataFrame({keys.CASE: "k1", keys.FRAME: [0, 1], keys.PNG: [png(m) for m in MASKS]})
    masks.to_parquet(tmp_path / keys.TEST_MASKS)
    tracker.log_artifact("t1", tmp_path / keys.TEST_MASKS)
    log_test(tracker, "t2", frames_of(0.8, found=False), tmp_path)
    for trial_id, steps in {"t1": [25, 50], "t3": [25]}.items():
        history = pd.DataFrame({keys.STEP: steps, keys.VAL_IOU: 0.5})
        history.to_parquet(tmp_path / keys.HISTORY)
        tracker.log_artifact(trial_id, tmp_path / keys.HISTORY)
        tracker.flush()
    tracker.fail_trial("t3", "out of memory")
    tracker.flush()
    return tmp_path


@pytest.fixture
def study(out: Path) -> Study:
    return load_study(sqlite_uri(out), "knees")


def test_frames_are_those_that_the_means_are_of(study):
    frames = load_frames(study)
    assert len(frames) == 2 * 2 * 2
    means = aggregate_frames(frames)
    pd.testing.assert_frame_equal(
        means, study.tests[means.columns.tolist()], check_dtype=False, check_exact=False
    )


def test_frames_of_a_tested_trial_that_are_gone_are_named(study, out):
    run_id = study.trials["run_id"][1]
    (out / "mlartifacts" / run_id / "artifacts" / keys.TEST_FRAMES).unlink()
    with pytest.raises(ValueError, match=r"must have its test_frames.parquet .* 1 without, .*=t2"):
        load_frames(study)


def test_histories_are_of_all_that_kept_one(study):
    histories = load_histories(study)
    assert histories[keys.TRIAL].tolist() == ["t1", "t1", "t3"]
    assert histories[keys.STEP].tolist() == [25, 50, 25]


def test_a_study_without_histories_has_an_empty_table(tmp_path):
    tracker = track(tmp_path, "knees", "s1")
    tracker.start_trial("t1", TRIALS["t1"], seed=1)
    log_test(tracker, "t1", frames_of(0.9), tmp_path)
    assert load_histories(load_study(sqlite_uri(tmp_path), "knees")).empty


def test_masks_come_in_the_order_asked_for(study):
    chosen = pd.DataFrame({keys.CASE: ["k1", "k1", "k1"], keys.FRAME: [1, 0, 1]})
    np.testing.assert_array_equal(load_masks(study, "t1", chosen), MASKS[[1, 0, 1]])


def test_a_trial_that_kept_no_masks_has_none(study):
    chosen = pd.DataFrame({keys.CASE: ["k1"], keys.FRAME: [0]})
    assert load_masks(study, "t2", chosen) is None


def test_a_frame_that_was_not_tested_is_named(study):
    chosen = pd.DataFrame({keys.CASE: ["k1", "k1"], keys.FRAME: [0, 7]})
    with pytest.raises(ValueError, match="got trial=t1 without frame=7 of case=k1"):
        load_masks(study, "t1", chosen)


class TestReport:
    @staticmethod
    def written(folder: Path, *names: str, text: str = "") -> Path:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder

    @staticmethod
    def kept(study: Study, tmp_path: Path) -> dict[str, str]:
        target = tmp_path / "back"
        target.mkdir()
        client = MlflowClient(study.tracking_uri)
        back = Path(client.download_artifacts(study.run_id, "report", str(target)))
        files = (path for path in back.rglob("*") if path.is_file())
        return {path.relative_to(back).as_posix(): path.read_text() for path in files}

    def test_it_lies_with_the_studys_run(self, study, tmp_path):
        report = self.written(tmp_path / "report", "report.html", text="first")
        self.written(report, "tables/table.csv", text="a")
        log_report(study, report)
        (report / "report.html").write_text("second")
        log_report(study, report)
        assert self.kept(study, tmp_path) == {"report.html": "second", "tables/table.csv": "a"}

    def test_it_takes_the_place_of_an_earlier_one(self, study, tmp_path):
        first = self.written(
            tmp_path / "first", "report.html", "figures/a.svg", "figures/b.svg", "tables/a.csv"
        )
        log_report(study, first)
        second = self.written(tmp_path / "second", "report.html", "figures/b.svg", text="new")
        self.written(second, "figures/c.svg", "tables/b.csv", text="new")
        log_report(study, second)
        names = ("report.html", "figures/b.svg", "figures/c.svg", "tables/b.csv")
        assert self.kept(study, tmp_path) == dict.fromkeys(names, "new")

    def test_what_is_no_reports_stays(self, study, tmp_path):
        report = self.written(tmp_path / "report", "report.html", "figures/a.svg")
        client = MlflowClient(study.tracking_uri)
        others = self.written(tmp_path / "others", "notes.txt", "figures/a.xcf", "more/a.svg")
        client.log_artifacts(study.run_id, str(others), "report")
        log_report(study, report)
        kept = {"report.html", "figures/a.svg", "notes.txt", "figures/a.xcf", "more/a.svg"}
        assert self.kept(study, tmp_path).keys() == kept

    def test_nothing_old_goes_before_the_new_is_there(self, study, tmp_path, monkeypatch):
        log_report(study, self.written(tmp_path / "first", "report.html", "figures/a.svg"))

        def lost(*_: object) -> None:
            raise MlflowException("connection lost")

        monkeypatch.setattr(MlflowClient, "log_artifacts", lost)
        with pytest.raises(MlflowException, match="connection lost"):
            log_report(study, self.written(tmp_path / "second", "report.html", "figures/b.svg"))
        assert self.kept(study, tmp_path).keys() == {"report.html", "figures/a.svg"}

    def test_a_store_that_deletes_nothing_keeps_the_old_and_says_so(
        self, study, tmp_path, monkeypatch, caplog
    ):
        log_report(study, self.written(tmp_path / "first", "report.html", "figures/a.svg"))

        def refused(*_: object) -> None:
            raise MlflowException("no deletion here")

        monkeypatch.setattr(LocalArtifactRepository, "delete_artifacts", refused)
        log_report(study, self.written(tmp_path / "second", "report.html", "figures/b.svg"))
        assert "report/figures/a.svg: no deletion here" in caplog.text
        assert len(self.kept(study, tmp_path)) == 3
