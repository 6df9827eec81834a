import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.loader import load_grid
from tune_knee import keys
from tune_knee.config import BUDGETS, PREVIEW_BUDGET, LossWeights, TrialConfig
from tune_knee.manifest import FILE_NAME, Manifest
from tune_knee.search_config import KnownPoint, LogRange, SearchConfig, SearchSpace, TauRanges
from tune_knee.search_plan import SearchPlan
from tune_knee.training_config import OptimizerConfig

TRIALS = (
    TrialConfig(network="segformer_b2", loss="ce1", experiment=1),
    TrialConfig(
        network="fcn_unet",
        loss="ce2+dice+boundary",
        tau=LossWeights(ce=0.34, dice=0.33, boundary=0.33),
        boundary="signed_distance",
        internal_weights=(0.1, 0.7),
        weights_in="all",
    ),
    TrialConfig(network="smp:Unet:resnet18", internal_weights="balanced", pretrained=True),
)


def manifest(**changes):
    settings = {
        "study": "knees",
        "study_id": Manifest.new_id(),
        "grid": "paper",
        "trials": TRIALS,
        "budget": PREVIEW_BUDGET,
        "data": Path("/data/knees"),
        "fingerprint": "0123456789abcdef",
        "tracking_uri": "sqlite:////data/mlflow.db",
        "storage": "s3://knees/study",
    }
    return Manifest(**{**settings, **changes})


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
def test_a_manifest_is_read_as_it_was_written(tmp_path, budget):
    written = manifest(budget=budget)
    written.write(tmp_path)
    assert Manifest.read(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_search_is_read_as_it_was_written(tmp_path):
    known = KnownPoint(
        trial=TRIALS[1], values={keys.BEST_OVERLAP: 0.5, keys.BEST_DISTANCE_PX: math.inf}
    )
    search = SearchPlan(
        space=SearchSpace(
            networks=("segformer_b2", "fcn_unet"),
            tau=TauRanges(dice=(0.1, 0.9)),
            internal_weights=LogRange(low=0.5, high=5),
            learning_rate=(1e-4, 1e-3),
        ),
        config=SearchConfig(sampler="gp", objectives=(keys.BEST_OVERLAP,)),
        points=12,
        seeds=3,
        prunes=True,
        warm_start=("sqlite:///x.db", "abc"),
        known=(known,),
    )
    written = manifest(trials=(), search=search)
    written.write(tmp_path)
    assert Manifest.read(tmp_path) == written
    assert written.planned == 36


def test_a_known_distance_that_is_nan_is_kept(tmp_path):
    known = KnownPoint(trial=TRIALS[0], values={keys.BEST_DISTANCE_PX: math.nan})
    search = SearchPlan(
        space=SearchSpace(networks=("fcn_unet",)),
        config=SearchConfig(),
        points=12,
        known=(known,),
    )
    manifest(trials=(), search=search).write(tmp_path)
    read = Manifest.read(tmp_path).search
    assert read is not None
    assert math.isnan(read.known[0].values[keys.BEST_DISTANCE_PX])


def test_fewer_points_than_a_sampler_starts_with_are_refused():
    with pytest.raises(ValueError, match=r"at least the startup's 10, got trials=9"):
        SearchPlan(space=SearchSpace(networks=("fcn_unet",)), config=SearchConfig(), points=9)


def test_the_papers_grid_keeps_its_ids(tmp_path):
    written = manifest(trials=load_grid("paper").trials)
    written.write(tmp_path)
    found = Manifest.read(tmp_path).trials_by_id()
    assert found == written.trials_by_id()
    assert list(found) == list(written.trials_by_id())
    assert len(found) == 55


@given(st.floats(1e-8, 1), st.floats(0, 1))
def test_any_number_keeps_the_ids(tmp_path_factory, learning_rate, weight_decay):
    optimizer = OptimizerConfig(learning_rate=learning_rate, weight_decay=weight_decay)
    written = manifest(budget=dataclasses.replace(PREVIEW_BUDGET, optimizer=optimizer))
    folder = tmp_path_factory.mktemp("study")
    written.write(folder)
    assert Manifest.read(folder).trials_by_id() == written.trials_by_id()


def test_ids_are_new_each_time():
    ids = {Manifest.new_id() for _ in range(100)}
    assert len(ids) == 100


def test_writing_again_replaces(tmp_path):
    manifest().write(tmp_path)
    manifest(study="other").write(tmp_path)
    assert Manifest.read(tmp_path).study == "other"


def test_a_folder_without_a_manifest_holds_no_study(tmp_path):
    with pytest.raises(ValueError, match=rf"must hold a study to resume, got out={tmp_path}"):
        Manifest.read(tmp_path)


def edited(folder, edit):
    manifest().write(folder)
    content = json.loads((folder / FILE_NAME).read_text())
    edit(content)
    (folder / FILE_NAME).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda m: m.pop("fingerprint"), "fingerprint: Field required"),
        (lambda m: m.update(colour="red"), "colour: "),
        (lambda m: m["budget"].pop("name"), "budget.name: Field required"),
        (lambda m: m["budget"].update(speed=1), "budget.speed: "),
        (lambda m: m["budget"]["optimizer"].update(momentum=1), "budget.optimizer.momentum: "),
        (lambda m: m["trials"][1]["tau"].update(ce=0.5), "trials.1.tau: .*must sum to 1"),
        (lambda m: m["trials"][2].update(network="vgg"), "trials.2: .*network must be one of"),
        (lambda m: m.update(trials="all"), "trials: "),
        (lambda m: m.update(schema_version=2), "schema_version: "),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, edit, problem):
    edited(tmp_path, edit)
    path = tmp_path / FILE_NAME
    with pytest.raises(ValueError, match=f"must be whole, got {path}: .*{problem}"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_truncated_manifest_is_named(tmp_path, share):
    manifest().write(tmp_path)
    path = tmp_path / FILE_NAME
    text = path.read_text()
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(ValueError, match=f"must be whole, got {path}: .*Invalid JSON"):
        Manifest.read(tmp_path)


def test_a_manifest_that_is_no_text_is_named(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"\xff\x00{")
    with pytest.raises(ValueError, match="must be whole, got "):
        Manifest.read(tmp_path)


def test_the_networks_of_a_study_are_those_of_its_trials_or_its_search():
    grid = manifest(
        trials=(TrialConfig(network="segformer_b2"), TrialConfig(network="fcn_unet", repeat=1))
    )
    assert grid.networks == ("fcn_unet", "segformer_b2")
