import math
from dataclasses import replace
from pathlib import Path

import pytest
from tracked_study import REGIONS, TRIALS, frames_of, log_test, track

from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET
from tune_knee.manifest import Manifest
from tune_knee.tracking_store import sqlite_uri
from tune_knee.warm_start import WarmStart, load_warm_start


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trials trained, two of them tested; the third of them missed a region; one failed."""
    out = tmp_path_factory.mktemp("out")
    tracker = track(out, "knees", "s1")
    for number, (trial_id, trial) in enumerate(TRIALS.items()):
        tracker.start_trial(trial_id, trial, seed=number)
        best = {keys.BEST_OVERLAP: 0.5 + number / 10, keys.BEST_DISTANCE_PX: 1.0 + number}
        if number == 2:
            best[keys.BEST_DISTANCE_PX] = math.nan
        tracker.log_report(trial_id, {keys.STEP: 25, **best})
    log_test(tracker, "t1", frames_of(0.95), out)
    log_test(tracker, "t2", frames_of(0.9), out)
    tracker.finish_trial("t3", stop_reason="plateau")
    tracker.fail_trial("t4", "out of memory")
    tracker.flush()
    Manifest(
        study="knees",
        study_id="s1",
        grid="paper",
        trials=tuple(TRIALS.values()),
        budget=PREVIEW_BUDGET,
        data=out / "data",
        fingerprint="f1",
        tracking_uri=sqlite_uri(out),
        storage=str(out),
    ).write(out)
    return out


@pytest.mark.parametrize("named_by", ["folder", "name", "id"])
def test_what_was_trained_is_known_as_it_was(out, named_by):
    study = {"folder": str(out), "name": "knees", "id": "s1"}[named_by]
    uri = None if named_by == "folder" else sqlite_uri(out)
    warm = load_warm_start(study, uri)
    assert warm.study.study_id == "s1"
    found = {point.trial: point.values for point in warm.points}
    expected = [replace(TRIALS[each], experiment=None) for each in ("t1", "t2", "t3")]
    assert found.keys() == set(expected)
    overlaps = [found[trial][keys.BEST_OVERLAP] for trial in expected]
    assert overlaps == pytest.approx([0.5, 0.6, 0.7])
    distances = [found[trial][keys.BEST_DISTANCE_PX] for trial in expected]
    assert distances == pytest.approx([1, 2, math.nan], nan_ok=True)


def test_an_unknown_study_is_an_error(out, tmp_path):
    with pytest.raises(ValueError, match=r"must be named by its folder.* got study=knees"):
        load_warm_start("knees", None)
    with pytest.raises(ValueError, match="must name an existing store"):
        load_warm_start("knees", sqlite_uri(tmp_path))
    with pytest.raises(ValueError, match=r"study must be one of those in .* got study=hips"):
        load_warm_start("hips", sqlite_uri(out))


@pytest.fixture
def warm(out) -> WarmStart:
    return load_warm_start(str(out), None)


def test_the_same_data_regions_and_training_fit_whatever_the_budgets_name(warm):
    warm.require_fits(replace(PREVIEW_BUDGET, name="preview+continuous_tau"), "f1", REGIONS)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"fingerprint": "f2"}, "data, got study=knees with f1; the search has f2"),
        ({"regions": ("femur",)}, r"regions, got study=knees with \('femur', 'tibia'\)"),
        ({"budget": replace(PREVIEW_BUDGET, max_steps=99)}, "budget, got study=knees"),
    ],
)
def test_other_data_regions_or_training_are_refused(warm, changes, what):
    asked = {"budget": PREVIEW_BUDGET, "fingerprint": "f1", "regions": REGIONS, **changes}
    with pytest.raises(ValueError, match=f"--warm-start must have the search's {what}"):
        warm.require_fits(**asked)
