"""Whole studies as users run them, and what happens to them: kills, Ctrl-C, failures."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import optuna
import pandas as pd
import pytest
from listening import command_line, tree
from tiny_study import asked, begin, must_equal, query, registered, run, scores, write_inputs

from tune_knee import keys
from tune_knee.data.dataset import open_dataset
from tune_knee.manifest import Manifest
from tune_knee.model_sources import find_models
from tune_knee.segmenter.segmenter import Segmenter
from tune_knee.trial_folder import FAILED, TRAINED, TrialFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STEPS, INTERVAL = 80, 4
BUDGET = f"""\
budget:
  image_size_px: 32
  max_steps: {STEPS}
  evaluation_interval: {INTERVAL}
  batch_size: 2
"""
GRID = f"""\
name: tiny
description: for tests
{BUDGET}
experiments:
  - {{network: segformer_b2, loss: ce1}}
  - {{network: segformer_b2, loss: ce2}}
  - {{network: segformer_b2, loss: ce2+dice, tau: ["0.50:0.50"]}}
"""
BROKEN = f"""\
name: broken
description: for tests
{BUDGET}
  optimizer: {{learning_rate: 1.0e+20}}
experiments:
  - {{network: segformer_b2, loss: ce1}}
"""


SEARCH = f"""\
name: search
description: for tests
{BUDGET}
search: {{networks: segformer_b2, startup_trials: 2}}
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    return write_inputs(folder, tiny=GRID, broken=BROKEN, search=SEARCH)


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "study"
    ended = run(*asked(inputs, out))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


def test_a_study_trains_tests_and_ranks_all_trials(undisturbed: Path) -> None:
    trials = Manifest.read(undisturbed).trials_by_id()
    for trial_id in trials:
        outcome = TrialFolder.of(undisturbed, trial_id).read_outcome()
        assert outcome is not None
        assert (outcome.status, outcome.steps, outcome.tested) == (TRAINED, STEPS, True)
        assert outcome.reason == f"maximum of {STEPS} steps"
    scored = [value for _, key, value in scores(undisturbed) if key == "test/score"]
    regions, ranked = 2, 2  # ce1 has no score
    assert sum(scored) == regions * ranked * (ranked + 1)


def test_its_winner_is_registered_as_it_was_tested(inputs: Path, undisturbed: Path) -> None:
    ((version, winner),) = registered(undisturbed)
    totals = {trial: value for trial, key, value in scores(undisturbed) if key == "test/score"}
    assert (version, totals[winner]) == (1, max(totals.values()))
    uri = f"sqlite:///{undisturbed / 'mlflow.db'}"
    (model,) = find_models("models:/study@best", tracking_uri=uri)
    assert model.facts.trial_id == winner
    knees = open_dataset(inputs / "knees")
    masks = Segmenter([model]).masks(knees.images[knees.indices("test")])
    tested = pd.read_parquet(TrialFolder.of(undisturbed, winner).masks_path)["png"]
    for mask, png in zip(masks, tested, strict=True):
        expected = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, expected)


def test_what_tune_keeps_of_a_trial_does_not_grow_with_the_others(undisturbed: Path) -> None:
    (state,) = (undisturbed / "ray").glob("*/experiment_state-*.json")
    kept = [text for text, _ in json.loads(state.read_text())["trial_data"]]
    ids = [json.loads(text)["config"][keys.TRIAL_ID] for text in kept]
    assert sorted(ids) == sorted(Manifest.read(undisturbed).trials_by_id())
    for mine, text in zip(ids, kept, strict=True):
        # Functions are in it pickled, in hexadecimal digits.
        assert not [other for other in ids if other != mine and other in text]
        assert not [other for other in ids if other != mine and other.encode().hex() in text]


def test_kill_of_the_driver_and_resume_equal_an_undisturbed_study(
    inputs: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    study = begin(out, *asked(inputs, out))
    study.kill()
    assert not list(out.glob("trials/*/test_frames.parquet"))
    ended = run("--resume", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    must_equal(out, undisturbed)


def test_ctrl_c_saves_ends_and_resumes(inputs: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    study = begin(out, *asked(inputs, out))
    study.process.send_signal(signal.SIGINT)
    assert study.ended() == 130, study.said()
    assert f"python -m tune_knee.run --resume --out {out}" in study.said()
    ended = run("--resume", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    must_equal(out, undisturbed)


def test_ctrl_c_twice_stops_at_once_and_resumes(
    inputs: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    study = begin(out, *asked(inputs, out))
    study.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    study.process.send_signal(signal.SIGINT)
    assert study.ended() == 130, study.said()
    assert "Traceback" not in study.said()
    ended = run("--resume", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    must_equal(out, undisturbed)


def test_a_killed_trial_is_taken_up_again(inputs: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    study = begin(out, *asked(inputs, out))
    os.kill(a_training_process_below(study.process.pid), signal.SIGKILL)
    assert study.ended() == 0, study.said()
    must_equal(out, undisturbed)


def a_training_process_below(driver: int) -> int:
    return next(pid for pid in tree(driver) if "KneeTrial" in command_line(pid))


def test_a_killed_search_goes_on_and_loses_and_doubles_nothing(
    inputs: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out, points = tmp_path / "study", 4
    more = ("--trials", points, "--warm-start", undisturbed)
    ask = asked(inputs, out, *more, space="search")
    study = begin(out, *ask)
    before = {path.name for path in (out / "trials").iterdir()}
    study.kill()
    ended = run("--resume", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    trials = {path.name for path in (out / "trials").iterdir()}
    assert before <= trials
    assert len(trials) == points
    assert query(out, "SELECT count(*) FROM runs") == [(1 + points,)]
    for trial_id in trials:
        outcome = TrialFolder.of(out, trial_id).read_outcome()
        assert outcome is not None
        assert (outcome.status, outcome.tested) == (TRAINED, True)
    known, told = told_to_optuna(out)
    assert (known, len(told)) == (2, points)  # ce1 is no point of the search
    last = [TrialFolder.of(out, trial_id).last_report()["best/overlap"] for trial_id in trials]
    assert sorted(told) == pytest.approx(sorted(last))
    winner = registered(out)
    assert len(winner) == 1
    assert run("--resume", "--out", out).returncode == 0
    assert query(out, "SELECT count(*) FROM runs") == [(1 + points,)]
    assert registered(out) == winner


def told_to_optuna(study: Path) -> tuple[int, list[float]]:
    """Number of trials known from the start, and the overlaps of those that were trained."""
    (found,) = optuna.get_all_study_names(f"sqlite:///{study / 'search.db'}")
    search = optuna.load_study(study_name=found, storage=f"sqlite:///{study / 'search.db'}")
    trials = search.trials_dataframe()
    assert set(trials["state"]) == {"COMPLETE"}
    known = trials["user_attrs_warm_start"].notna()
    trained = trials.loc[~known, "values_best/overlap"].unique()
    return int(known.sum()), trained.tolist()


def test_what_a_search_recommends_is_trained_and_ranked_with_its_grid(
    inputs: Path, undisturbed: Path, tmp_path: Path
) -> None:
    search, out = tmp_path / "search", tmp_path / "refined"
    ask = asked(inputs, search, "--trials", 5, "--warm-start", undisturbed, space="search")
    ended = run(*ask)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    of_the_grid = scores(undisturbed)
    ask = ("--grid", inputs / "search.yaml", "--budget", "preview", "--top", "1", "--refine")
    ended = run(*ask, undisturbed, "--out", out)
    assert ended.returncode == 2
    assert "--refine must name a search, got study=study" in " ".join(ended.stderr.split())
    ended = run(*ask, search, "--seeds", "2", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = " ".join(ended.stdout.split())
    manifest = Manifest.read(out)
    trials = manifest.trials_by_id()
    assert manifest.refines is not None
    assert len(trials) + len(manifest.refines.taken) == 2
    assert "Ranked with the 3 tested trials of study." in said
    assert said.count(" yes ") == 2
    totals = {trial: value for trial, key, value in scores(out) if key == "test/score"}
    assert totals.keys() == trials.keys()
    regions, ranked = 2, 4  # two of the grid's, whose ce1 has no score
    assert all(2 * regions <= total <= 2 * regions * ranked for total in totals.values())
    assert scores(undisturbed) == of_the_grid
    ((version, winner),) = registered(out)
    assert (version, totals[winner]) == (1, max(totals.values()))
    assert f"Best model: models:/refined/1 (trial {winner})" in said
    assert run("--resume", "--out", out).returncode == 0
    assert query(out, "SELECT count(*) FROM runs") == [(1 + len(trials),)]
    uri = f"sqlite:///{out / 'mlflow.db'}"
    rank = [sys.executable, "-m", "analysis", "rank", "--study", "refined", "--tracking-uri", uri]
    printed = subprocess.run([*rank, "--json"], capture_output=True, text=True, check=True)
    ranking = json.loads(printed.stdout)["totals"]
    assert len(ranking) == ranked
    assert {each["trial"]: each["score"] for each in ranking}.items() >= totals.items()


def test_failures_are_recorded_and_retried_when_asked(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    ended = run(*asked(inputs, out, space="broken"))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "--retry-failed" in ended.stdout
    (trial_id,) = Manifest.read(out).trials_by_id()
    outcome = TrialFolder.of(out, trial_id).read_outcome()
    assert outcome is not None
    assert outcome.status == FAILED
    assert "training loss must be finite" in outcome.reason
    assert "segformer_b2 ce1" in outcome.reason
    assert registered(out) == []
    failed = "SELECT count(*) FROM runs WHERE status = 'FAILED'"
    assert query(out, failed) == [(2,)]  # the trial's and the study's
    before = (out / "trials" / trial_id / "outcome.json").stat().st_mtime_ns
    assert run("--resume", "--out", out).returncode == 1
    assert (out / "trials" / trial_id / "outcome.json").stat().st_mtime_ns == before
    assert run("--resume", "--retry-failed", "--out", out).returncode == 1
    assert (out / "trials" / trial_id / "outcome.json").stat().st_mtime_ns > before
    assert query(out, "SELECT count(*) FROM runs") == [(2,)]


def test_more_trials_at_a_time_than_ray_has_cpus_for_is_refused(
    inputs: Path, tmp_path: Path
) -> None:
    ended = run(*asked(inputs, tmp_path / "study"), "--max-concurrent", "1000")
    assert ended.returncode == 2
    assert "lower --max-concurrent" in " ".join(ended.stderr.split())


def test_the_wheel_runs_from_another_folder(tmp_path: Path) -> None:
    checkout = Path(__file__).parent.parent
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "-w", tmp_path, checkout], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    dry_run = ["-m", "tune_knee.run", "--grid", "paper", "--dry-run", "--json"]
    ended = subprocess.run(
        [sys.executable, *dry_run],
        cwd=unpacked(wheel, tmp_path / "elsewhere"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(ended.stdout)["trials"]) == 55


def unpacked(wheel: Path, folder: Path) -> Path:
    """The wheel's content alone: ``python -m`` looks here before the checkout."""
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, folder], check=True)
    return folder
