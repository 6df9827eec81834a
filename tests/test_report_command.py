import shlex
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tracked_study import TRIALS, frames_of, log_test, track

from analysis.__main__ import main
from analysis.load import load_study
from tune_knee import keys
from tune_knee.tracking_store import sqlite_uri


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that still runs: three trials tested, one failed, one to come."""
    out = tmp_path_factory.mktemp("out")
    tracker = track(out, "knees", "s1")
    for number, (trial_id, trial) in enumerate(TRIALS.items()):
        tracker.start_trial(trial_id, trial, seed=number)
        tracker.log_report(trial_id, {keys.STEP: 25, keys.WALL_TIME_S: 1.5, keys.BEST_STEP: 25})
    for trial_id, quality in (("t1", 0.95), ("t2", 0.9), ("t3", 0.8)):
        log_test(tracker, trial_id, frames_of(quality, found=trial_id != "t3"), out)
    tracker.fail_trial("t4", "out of memory")
    tracker.flush()
    return out


def report(store: Path, out: Path, *more: str) -> int:
    uri = sqlite_uri(store)
    return main(["report", "--study", "knees", "--tracking-uri", uri, "--out", str(out), *more])


def test_writes_prints_and_logs_the_report(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    out = tmp_path / "my report"
    assert report(store, out, "--draws", "10") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("fcn_unet ce2+dice 0.50:0.50 leads")
    assert "The study is not finished: 3 tested, 1 failed, 1 not started" in printed
    assert printed.rstrip().endswith(f"report: {out / 'report.html'}")
    text = (out / "report.html").read_text("utf-8")
    assert "pspnet_r50c ce2 (out of memory)" in text
    assert f"--out {shlex.quote(str(out))}".replace("'", "&#39;") in text
    assert "name their folder with --data" in text
    study = load_study(sqlite_uri(store), "knees")
    kept = MlflowClient(sqlite_uri(store)).list_artifacts(study.run_id, "report")
    assert {Path(file.path).name for file in kept} == {"report.html", "figures", "tables"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--study", "none"], "error: study must be one of those in"),
        (["--tracking-uri", "sqlite:////nowhere.db"], "error: tracking_uri must name an existing"),
        (["--out", __file__], "error: out must be a new or empty folder"),
    ],
)
def test_an_error_is_one_line(more, said, store, tmp_path, capsys):
    assert report(store, tmp_path / "out", *more) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(said)
    assert printed.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_draws_are_refused(store, tmp_path, capsys):
    with pytest.raises(SystemExit):
        report(store, tmp_path / "out", "--draws", "0")
    assert "must be at least 1, got 0" in capsys.readouterr().err
