"""Real MLflow stores of a grid, a search and a refinement, ranked together."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console
from tracked_study import REGIONS, TRIALS, frames_of, log_test, track

from analysis.__main__ import main
from analysis.beside_grid import BesideGrid, beside_grid, differences
from analysis.console import ranking_table
from analysis.load import Study, load_study
from analysis.ranking import rank_trials, score_trials
from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET, LossWeights, TrialConfig
from tune_knee.refinement_plan import RefinementPlan
from tune_knee.tracking_store import sqlite_uri

MIXES = {
    name: TrialConfig(network="segformer_b2", loss="ce2+dice", tau=LossWeights(ce=ce, dice=1 - ce))
    for name, ce in {"s1": 0.3, "s2": 0.4, "r1": 0.35, "r2": 0.45}.items()
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid of three tested (t1 is ce1), a search of two, which are none of the grid's."""
    root = tmp_path_factory.mktemp("stores")
    qualities = {
        "grid": {"t1": 0.99, "t2": 0.9, "t3": 0.8},
        "search": {"s1": 0.85, "s2": 0.7},
    }
    for study, trials in qualities.items():
        write(root, study, f"{study}_id", trials)
    return root


def write(root, study, study_id, trials, plan=None) -> Study:
    (root / study).mkdir(exist_ok=True)
    manifest = {keys.DATA: "data", keys.PLANNED: str(len(trials)), keys.HARDEST_REGION: "tibia"}
    tracker = track(
        root / study, study, study_id, {**manifest, **({} if plan is None else plan.params())}
    )
    for number, (trial_id, quality) in enumerate(trials.items()):
        tracker.start_trial(trial_id, {**TRIALS, **MIXES}[trial_id], seed=number)
        tracker.log_report(trial_id, {keys.STEP: 25, keys.BEST_OVERLAP: quality})
        log_test(tracker, trial_id, frames_of(quality), root / study)
    tracker.finish_study("FINISHED")
    return load_study(sqlite_uri(root / study), study_id)


def address(root: Path, study: str) -> tuple[str, str]:
    return sqlite_uri(root / study), f"{study}_id"


@pytest.fixture(scope="module")
def refined(stores: Path) -> Study:
    """r1 and r2 trained; s1, recommended, taken over from the search, t3 from the grid."""
    plan = RefinementPlan(
        search=address(stores, "search"), top=4, grid=address(stores, "grid"), taken=("s1", "t3")
    )
    return write(stores, "refined", "refined_id", {"r1": 0.95, "r2": 0.6}, plan)


@pytest.fixture(scope="module")
def field(refined: Study) -> BesideGrid:
    return beside_grid(refined)


def test_the_plan_comes_back_from_mlflow(stores, refined):
    assert refined.refines == {
        "search": list(address(stores, "search")),
        "top": 4,
        "grid": list(address(stores, "grid")),
        "taken": ["s1", "t3"],
    }


def test_own_trials_come_with_the_grids_and_those_taken_over(field):
    assert field.study.trials[keys.TRIAL].tolist() == ["r1", "r2", "t1", "t2", "t3", "s1"]
    assert field.refined == {"r1", "r2", "s1", "t3"}
    assert field.grid == "grid"
    assert field.notes == ("Ranked with the 3 tested trials of grid.",)


def test_all_are_scored_together_and_ce1_is_not(field):
    ranked = rank_trials(score_trials(field.study.tests))
    assert ranked[keys.TRIAL].tolist() == ["r1", "t2", "s1", "t3", "r2"]
    assert ranked[keys.SCORE].tolist() == [20, 16, 12, 8, 4]  # two regions, five models


def test_the_terminals_table_marks_the_refined(field):
    console = Console(width=140)
    with console.capture() as captured:
        console.print(ranking_table(field.study, refined=field.refined, notes=field.notes))
    text = captured.get()
    marked = [line for line in text.splitlines() if line.rstrip().endswith(" yes")]
    assert len(marked) == 4
    assert "Ranked with the 3 tested trials of grid." in text


def test_a_study_that_refines_nothing_stands_alone(stores):
    grid = load_study(*address(stores, "grid"))
    field = beside_grid(grid)
    assert field.study is grid
    assert (field.refined, field.grid, field.notes) == (frozenset(), None, ())


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"fingerprint": "f2"}, "Ranked without the grid grid: its data is f1, not f2."),
        ({"regions": ("femur",)}, "its regions are femur, tibia, not femur."),
        (
            {"budget": replace(PREVIEW_BUDGET, name="longer", max_steps=99)},
            "its budget preview has max_steps 260 (not 99).",
        ),
    ],
)
def test_a_grid_that_does_not_compare_is_left_out_with_the_reason(refined, changes, note):
    field = beside_grid(replace(refined, **changes))
    assert field.study.trials[keys.TRIAL].tolist() == ["r1", "r2"]
    assert field.grid is None
    assert field.notes[0].startswith("Ranked without the grid")
    assert field.notes[0].endswith(note)


def test_a_grid_that_is_gone_or_was_never_there_is_said(refined, tmp_path):
    assert refined.refines is not None
    gone = {**refined.refines, "grid": [sqlite_uri(tmp_path), "x"], "taken": []}
    field = beside_grid(replace(refined, refines=gone))
    (note,) = field.notes
    assert note.startswith("Ranked without the grid, which cannot be read: tracking_uri must")
    (note,) = beside_grid(replace(refined, refines={**gone, "grid": []})).notes
    assert note == "Ranked alone: no grid was named, and the search started from none."


def test_a_trial_of_both_studies_is_ranked_once(stores):
    plan = RefinementPlan(
        search=address(stores, "search"), top=1, grid=address(stores, "grid"), taken=()
    )
    again = write(stores, "again", "again_id", {"t2": 0.91}, plan)
    field = beside_grid(again)
    assert field.study.trials[keys.TRIAL].tolist() == ["t2", "t1", "t3"]
    assert field.study.tests[keys.TRIAL].tolist().count("t2") == len(REGIONS)


def test_a_budgets_name_makes_no_difference(stores):
    grid = load_study(*address(stores, "grid"))
    named = replace(PREVIEW_BUDGET, name="preview+tau")
    assert differences(grid, named, "f1", REGIONS) == ""
    assert asdict(named) != asdict(PREVIEW_BUDGET)


def test_the_rank_command_ranks_and_marks_them(stores, refined, tmp_path, capsys):
    ask = ["rank", "--study", "refined", "--tracking-uri", sqlite_uri(stores / "refined")]
    assert main([*ask, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [(each["trial"], each["refined"]) for each in content["totals"]] == [
        ("r1", True), ("t2", False), ("s1", True), ("t3", True), ("r2", True),
    ]  # fmt: skip
    assert content["notes"] == ["Ranked with the 3 tested trials of grid."]
    assert main([*ask, "--csv", str(tmp_path / "ranking.csv")]) == 0
    header, first, *_ = (tmp_path / "ranking.csv").read_text().splitlines()
    assert header.startswith("rank,trial,model,refined,")
    assert first.startswith("1,r1,")
    assert ",True," in first
