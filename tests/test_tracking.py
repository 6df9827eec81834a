import math
import shutil
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tune_knee import keys
from tune_knee.config import PAPER_BUDGET, PREVIEW_BUDGET, LossWeights, TrialConfig
from tune_knee.tracking import StudyTracker, headline_series
from tune_knee.tracking_store import sqlite_uri

REGIONS = ("femur", "patellar_tendon")
TRIAL = TrialConfig(
    network="fcn_unet", loss="ce2+dice", tau=LossWeights(ce=0.5, dice=0.5), experiment=3
)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables, which take MLflow a second to make."""
    out = tmp_path_factory.mktemp("store")
    MlflowClient(sqlite_uri(out)).search_experiments()
    return out / "mlflow.db"


@pytest.fixture
def out(tmp_path: Path, empty_store: Path) -> Path:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path


def track(out: Path, **changes) -> StudyTracker:
    settings = {
        "study_id": "s1",
        "outbox": out / "unsent.jsonl",
        "budget": PREVIEW_BUDGET,
        "fingerprint": "f1",
        "regions": REGIONS,
        "artifact_root": out / "mlartifacts",
        "manifest": {"grid": "paper"},
    }
    return StudyTracker(sqlite_uri(out), "knees", **{**settings, **changes})


def runs(out: Path, kind: str) -> list[Run]:
    client = MlflowClient(sqlite_uri(out))
    ids = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(ids, f"tags.`{keys.TAG_KIND}` = '{kind}'"))


def the_run(out: Path) -> Run:
    (run,) = runs(out, keys.KIND_TRIAL)
    return run


def steps(out: Path, key: str) -> list[int]:
    history = MlflowClient(sqlite_uri(out)).get_metric_history(the_run(out).info.run_id, key)
    return [metric.step for metric in history]


def report(step: int, **values: float) -> dict[str, float]:
    return {keys.STEP: step, keys.VAL_IOU: step / 1000, **values}


class TestRuns:
    def test_a_trial_is_a_child_of_its_study_with_params_and_tags(self, out):
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        assert tracker.flush() == 0
        (parent,) = runs(out, keys.KIND_STUDY)
        assert parent.info.run_name == "knees"
        assert parent.data.params["grid"] == "paper"
        assert parent.info.status == "RUNNING"
        run = the_run(out)
        assert (run.data.tags[keys.TAG_CPUS], run.data.tags[keys.TAG_GPUS]) == ("1", "0")
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.run_name == "fcn_unet ce2+dice 0.50:0.50"
        assert run.data.params == {
            **{name: str(value) for name, value in TRIAL.params().items()},
            "seed": "42",
        }
        assert run.data.tags[keys.TAG_STATUS] == "running"
        assert run.data.tags[keys.TAG_REGIONS] == "femur,patellar_tendon"

    def test_resuming_finds_both_runs_and_logs_no_step_twice(self, out):
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        for step in (25, 50, 75):
            tracker.log_report("t1", report(step))
        tracker.finish_study("KILLED")
        assert the_run(out).info.status == "KILLED"

        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        tracker.flush()
        assert the_run(out).info.status == "RUNNING"
        for step in (50, 75, 100):  # a restore goes on from an earlier checkpoint
            tracker.log_report("t1", report(step))
        tracker.finish_trial("t1", stop_reason="plateau")
        tracker.finish_study("FINISHED")
        assert steps(out, keys.VAL_IOU) == [25, 50, 75, 100]
        assert steps(out, keys.STEP) == [25, 50, 75, 100]
        (parent,) = runs(out, keys.KIND_STUDY)
        assert parent.info.status == the_run(out).info.status == "FINISHED"

    def test_a_retry_within_a_session_logs_no_step_twice(self, out):
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        for step in (25, 50, 25, 50, 75):
            tracker.log_report("t1", report(step))
        tracker.flush()
        assert steps(out, keys.VAL_IOU) == [25, 50, 75]

    def test_studies_of_one_name_are_told_apart(self, out):
        for study_id in ("s1", "s2"):
            tracker = track(out, study_id=study_id)
            tracker.start_trial("t1", TRIAL, 42)
            tracker.finish_study("FINISHED")
        assert len(runs(out, keys.KIND_STUDY)) == len(runs(out, keys.KIND_TRIAL)) == 2

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"fingerprint": "f2"}, "got study=knees with dataset f2"),
            ({"budget": PAPER_BUDGET}, 'budget .*"name": "paper"'),
        ],
    )
    def test_a_study_keeps_dataset_and_budget(self, out, change, message):
        track(out).finish_study("KILLED")
        with pytest.raises(ValueError, match=message):
            track(out, **change)

    def test_a_deleted_experiment_is_told_with_the_way_out(self, out):
        track(out).finish_study("KILLED")
        client = MlflowClient(sqlite_uri(out))
        client.delete_experiment(client.get_experiment_by_name("knees").experiment_id)
        with pytest.raises(ValueError, match="mlflow experiments restore -x 1"):
            track(out)

    @pytest.mark.parametrize("region", ["tibia (left)", "femur/shaft", "a,b", ""])
    def test_a_region_that_mlflow_cannot_name_is_refused_at_the_start(self, out, region):
        with pytest.raises(ValueError, match="region's name must consist of"):
            track(out, regions=("femur", region))

    def test_other_names_of_regions_are_logged(self, out):
        region = "Schienbein links-ä_1.b"
        tracker = track(out, regions=(region,))
        tracker.start_trial("t1", TRIAL, 42)
        tracker.log_report("t1", report(25, **{keys.validation(region, "iou"): 0.5}))
        tracker.flush()
        assert steps(out, keys.validation(region, "iou")) == [25]

    def test_times_enclose_what_the_run_logged(self, out):
        before = time.time_ns() // 1_000_000
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        tracker.log_report("t1", report(25))
        tracker.finish_trial("t1", stop_reason="maximum")
        tracker.flush()
        info = the_run(out).info
        client = MlflowClient(sqlite_uri(out))
        (point,) = client.get_metric_history(info.run_id, keys.VAL_IOU)
        assert before <= info.start_time <= point.timestamp <= info.end_time


class TestReports:
    def test_only_headline_series_are_logged(self, out):
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        tracker.log_report("t1", report(25, **{"val/femur/iou": 0.5, "val/femur/dice": 0.6}))
        tracker.flush()
        assert the_run(out).data.metrics == {"step": 25, "val/iou": 0.025, "val/femur/iou": 0.5}

    def test_there_are_13_and_one_per_region(self):
        assert len(set(headline_series(REGIONS))) == 13 + 2

    def test_nan_stays_nan_and_later_numbers_replace_it(self, out):
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        for step, value in ((25, 3.0), (50, math.nan)):
            tracker.log_report("t1", report(step, **{keys.BEST_DISTANCE_PX: value}))
        tracker.flush()
        assert math.isnan(the_run(out).data.metrics[keys.BEST_DISTANCE_PX])
        tracker.log_report("t1", report(75, **{keys.BEST_DISTANCE_PX: 2.0}))
        tracker.flush()
        assert the_run(out).data.metrics[keys.BEST_DISTANCE_PX] == 2.0

    def test_more_than_mlflow_takes_at_once(self, out):
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        full = dict.fromkeys(headline_series(REGIONS), 0.5)
        for step in range(1, 151):
            tracker.log_report("t1", {**full, keys.STEP: step})
        tracker.flush()
        assert steps(out, keys.BEST_IOU) == list(range(1, 151))

    def test_reaches_mlflow_within_seconds_unasked(self, out):
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        tracker.log_report("t1", report(25))
        deadline = time.monotonic() + 20
        while not (runs(out, keys.KIND_TRIAL) and steps(out, keys.VAL_IOU)):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_a_report_without_a_step_or_of_an_unknown_trial_raises(self, out):
        tracker = track(out)
        with pytest.raises(KeyError, match="t1"):
            tracker.log_report("t1", report(25))
        tracker.start_trial("t1", TRIAL, 42)
        with pytest.raises(KeyError, match="step"):
            tracker.log_report("t1", {keys.VAL_IOU: 0.5})


class TestOutcomes:
    def test_trained_then_tested_then_scored(self, out):
        frames = out / keys.TEST_FRAMES
        frames.write_bytes(b"rows")
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        tracker.log_report("t1", report(25))
        tracker.finish_trial("t1", stop_reason="plateau", opened={"train_loss": 25})
        tracker.finish_study("KILLED")
        run = the_run(out)
        assert run.data.metrics[keys.VAL_IOU] == 0.025
        assert run.data.tags[keys.TAG_STATUS] == "trained"
        assert run.data.tags[keys.TAG_STOP_REASON] == "plateau"
        assert run.data.tags["tune_knee.opened.train_loss"] == "25"

        tracker = track(out)  # a resumed study tests what was trained before
        tracker.log_test("t1", {"test/femur/iou": 0.9, "test/femur/distance_px": math.nan}, frames)
        tracker.flush()
        run = the_run(out)
        assert run.data.tags[keys.TAG_STATUS] == "tested"
        assert run.data.metrics["test/femur/iou"] == 0.9
        assert math.isnan(run.data.metrics["test/femur/distance_px"])
        stored = out / "mlartifacts" / run.info.run_id / "artifacts" / keys.TEST_FRAMES
        assert stored.read_bytes() == b"rows"

        for score in (2.0, 2.0, 3.0):
            tracker.log_scores({"t1": {keys.TEST_SCORE: score}})
        tracker.finish_study("FINISHED")
        tracker = track(out)
        tracker.log_scores({"t1": {keys.TEST_SCORE: 3.0}})
        tracker.flush()
        assert the_run(out).data.metrics[keys.TEST_SCORE] == 3.0
        assert len(steps(out, keys.TEST_SCORE)) == 2

    def test_a_failure_says_why_in_short_and_in_whole(self, out):
        reason = "CUDA out of memory\n" + "trace " * 2000
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        tracker.log_report("t1", report(25))
        tracker.fail_trial("t1", reason)
        tracker.flush()
        run = the_run(out)
        assert run.info.status == "FAILED"
        assert run.data.tags[keys.TAG_STATUS] == "failed"
        assert run.data.tags[keys.TAG_FAILURE] == reason[:8000]
        assert run.data.metrics[keys.VAL_IOU] == 0.025
        stored = out / "mlartifacts" / run.info.run_id / "artifacts" / keys.FAILURE_TEXT
        assert stored.read_text() == reason

    def test_a_failed_trial_that_is_tried_again_is_not_failed_any_more(self, out):
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        tracker.fail_trial("t1", "out of memory")
        tracker.finish_study("FAILED")
        tracker = track(out)
        tracker.start_trial("t1", TRIAL, 42)
        tracker.flush()
        run = the_run(out)
        assert run.info.status == "RUNNING"
        assert run.data.tags[keys.TAG_STATUS] == "running"
        assert keys.TAG_FAILURE not in run.data.tags


def test_runs_that_start_at_the_same_moment_keep_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    tracker = track(tmp_path)
    for number in range(20):
        tracker.start_trial(f"t{number}", TRIAL, number)
    tracker.flush()
    client = MlflowClient(sqlite_uri(tmp_path))
    (experiment,) = client.search_experiments(filter_string="name != 'Default'")
    found = client.search_runs([experiment.experiment_id], order_by=["start_time"])
    named = [run.data.tags.get(keys.TAG_TRIAL) for run in found]
    assert [name for name in named if name] == [f"t{number}" for number in range(20)]
