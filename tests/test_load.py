import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tracked_study import REGIONS, TRIALS, frames_of, log_test, track

from analysis import load
from analysis.__main__ import main
from analysis.artifacts import load_frames
from analysis.load import load_study
from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET
from tune_knee.tracking_store import sqlite_uri


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of four trials, one failed; one with nothing tested; two of one name."""
    out = tmp_path_factory.mktemp("out")
    tracker = track(out, "knees", "s1")
    for number, (trial_id, trial) in enumerate(TRIALS.items()):
        tracker.start_trial(trial_id, trial, seed=number, cpus=1, gpus=0.5)
        tracker.log_report(trial_id, {keys.STEP: 25, keys.WALL_TIME_S: 1.5, keys.BEST_STEP: 25})
    log_test(tracker, "t1", frames_of(0.95), out)
    log_test(tracker, "t2", frames_of(0.9), out)
    log_test(tracker, "t3", frames_of(0.8, found=False), out)
    tracker.fail_trial("t4", "out of memory")
    tracker.finish_study("FINISHED")
    fresh = track(out, "fresh", "s2")
    fresh.start_trial("t1", TRIALS["t1"], 1)
    fresh.flush()
    track(out, "twice", "s3")
    track(out, "twice", "s4")
    return out


class TestLoadStudy:
    @pytest.mark.parametrize("page", [1000, 1])
    def test_what_was_tracked_is_read_back(self, out, page, monkeypatch):
        monkeypatch.setattr(load, "_PAGE", page)
        study = load_study(sqlite_uri(out), "knees")
        assert (study.name, study.study_id, study.fingerprint) == ("knees", "s1", "f1")
        assert study.budget == PREVIEW_BUDGET
        assert study.regions == REGIONS
        trials = study.trials.set_index(keys.TRIAL)
        assert trials.index.tolist() == list(TRIALS)
        assert trials["status"].tolist() == ["tested", "tested", "tested", "failed"]
        assert trials["label"].tolist() == [trial.label for trial in TRIALS.values()]
        for trial_id, trial in TRIALS.items():
            for name, value in trial.params().items():
                assert trials.loc[trial_id, name] == value
        assert trials["experiment"].isna().tolist() == [False, False, True, True]
        assert trials["seed"].tolist() == [0, 1, 2, 3]
        assert trials["learning_rate"].isna().all()
        assert trials["repeat"].tolist() == [0] * 4
        assert trials["wall_time_s"].tolist() == [1.5] * 4
        assert trials.loc["t4", "failure"] == "out of memory"
        assert trials.loc["t1", "stop_reason"] == "plateau"
        assert trials["best/iou"].isna().all()
        assert trials.loc["t1", "opened/train_loss"] == 25
        assert trials.loc["t1", ["opened/val_iou", "opened/plateau"]].isna().all()
        assert (trials["cpus"].tolist(), trials["gpus"].tolist()) == ([1.0] * 4, [0.5] * 4)

    def test_what_the_whole_study_is(self, out):
        study = load_study(sqlite_uri(out), "knees")
        assert (study.planned, study.running) == (5, False)
        assert abs(study.started - datetime.now(UTC)) < timedelta(hours=1)
        assert (study.data, study.hardest_region) == (out / "data", "tibia")

    def test_a_search_says_how_it_looked_and_from_what(self, tmp_path):
        asked = {"sampler": "tpe", "objectives": ["best/overlap"]}
        defining = {
            keys.DATA: "d", keys.PLANNED: "4", keys.HARDEST_REGION: "tibia",
            keys.SEARCH: json.dumps(asked), keys.WARM_START: json.dumps(["sqlite:///x.db", "s1"]),
        }  # fmt: skip
        tracker = track(tmp_path, "knees", "s1", manifest=defining)
        tracker.start_trial("t1", TRIALS["t1"], 1)
        log_test(tracker, "t1", frames_of(0.9), tmp_path)
        study = load_study(sqlite_uri(tmp_path), "knees")
        assert (study.search, study.warm_start) == (asked, ("sqlite:///x.db", "s1"))

    def test_a_grids_study_has_no_search(self, out):
        study = load_study(sqlite_uri(out), "knees")
        assert (study.search, study.warm_start) == (None, None)

    def test_tests_have_a_row_per_tested_trial_and_region(self, out):
        tests = load_study(sqlite_uri(out), "knees").tests
        assert len(tests) == 3 * 2
        lost = tests.query("trial == 't3' and region == 'tibia'").iloc[0]
        assert lost["overlap"] == 0
        assert math.isnan(lost["distance_px"])
        assert lost["missed_frames"] == 2
        good = tests.query("trial == 't2' and region == 'tibia'").iloc[0]
        assert good["overlap"] == pytest.approx(0.9)
        assert good["distance_px"] == pytest.approx(1.5 / 0.9)
        assert (good["network"], good["loss"]) == ("fcn_unet", "ce2+dice")

    @pytest.mark.parametrize(
        ("sources", "found"),
        [
            (("phantom", "phantom"), "phantom"),
            (("patient", "detector"), ""),
            (("patient", ""), ""),
            (("", ""), ""),
        ],
    )
    def test_millimetres_are_of_one_source_or_none(self, tmp_path, sources, found):
        tracker = track(tmp_path, "knees", "s1")
        for trial_id, source in zip(("t1", "t2"), sources, strict=True):
            tracker.start_trial(trial_id, TRIALS[trial_id], 1)
            frames = frames_of(0.8, spacing_source=source)
            log_test(tracker, trial_id, frames, tmp_path)
        study = load_study(sqlite_uri(tmp_path), "knees")
        assert study.spacing_source == found
        frames = load_frames(study)
        for table in (study.tests, frames):
            assert ("hd95_mm" in table.columns) == bool(found)
        if found:
            assert study.tests["distance_mm"].tolist() == pytest.approx([0.75 / 0.8] * 4)
            assert frames["hd95_mm"].tolist() == pytest.approx([1 / 0.8] * 8)
            assert frames["assd_mm"].tolist() == pytest.approx([0.5 / 0.8] * 8)

    def test_a_study_id_names_it_too(self, out):
        assert load_study(sqlite_uri(out), "s1").name == "knees"

    def test_an_unknown_study_lists_what_there_is(self, out):
        with pytest.raises(ValueError, match=r"\(fresh, knees, twice\), got study=kness"):
            load_study(sqlite_uri(out), "kness")

    def test_a_name_that_two_bear_lists_their_ids(self, out):
        with pytest.raises(ValueError, match=r"which 2 bear; .* s3 of .*, s4 of"):
            load_study(sqlite_uri(out), "twice")

    def test_nothing_tested_yet(self, out):
        with pytest.raises(ValueError, match="got 1 trials, none tested, in study=fresh"):
            load_study(sqlite_uri(out), "fresh")

    @pytest.mark.parametrize("uri", ["nowhere://x", "sqlite:///{}/junk.db"])
    def test_a_store_that_does_not_answer_is_one_line(self, uri, tmp_path):
        (tmp_path / "junk.db").write_bytes(b"no database" * 100)
        with pytest.raises(ValueError, match=r"that answers, got tracking_uri=.*: ") as error:
            load_study(uri.format(tmp_path), "knees")
        assert "\n" not in str(error.value)

    def test_a_study_whose_driver_died_before_it_was_defined(self, tmp_path):
        tracker = track(tmp_path, "knees", "s1", manifest={})
        tracker.start_trial("t1", TRIALS["t1"], 1)
        log_test(tracker, "t1", frames_of(0.9), tmp_path)
        with pytest.raises(ValueError, match="parameter trials, got none in study=knees; resume"):
            load_study(sqlite_uri(tmp_path), "knees")

    def test_a_missing_store_is_not_made(self, tmp_path):
        with pytest.raises(ValueError, match="must name an existing store"):
            load_study(sqlite_uri(tmp_path), "knees")
        assert list(tmp_path.iterdir()) == []


class TestRankCommand:
    def test_prints_the_ranking(self, out, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "120")
        assert main(["rank", "--study", "knees", "--tracking-uri", sqlite_uri(out)]) == 0
        printed = capsys.readouterr().out
        assert "budget preview" in printed
        lines = [line.split() for line in printed.splitlines()]
        rows = {tuple(line[1:-4]): line for line in lines if line[-1:] and line[-1][:2] == "0."}
        best = rows["fcn_unet", "ce2+dice", "0.50:0.50"]
        assert best[0] == "1"
        assert best[-4:] == ["4", "4", "8", "0.9000"]
        assert rows["segformer_b2", "ce2"][-4:] == ["2", "2", "4", "0.4000"]
        assert rows["fcn_unet", "ce1"] == ["–", "fcn_unet", "ce1", "–", "–", "–", "0.9500"]
        assert "trials: 3 tested, 1 failed" in printed

    def test_an_error_is_one_line(self, out, capsys):
        assert main(["rank", "--study", "none", "--tracking-uri", sqlite_uri(out)]) == 2
        assert capsys.readouterr().err.startswith("error: study must be one of those in")


def test_analysis_needs_neither_torch_nor_ray():
    code = (
        "import sys, pkgutil, importlib, analysis; "
        "modules = pkgutil.walk_packages(analysis.__path__, 'analysis.'); "
        "[importlib.import_module(module.name) for module in modules]; "
        "print([name for name in ('torch', 'ray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
