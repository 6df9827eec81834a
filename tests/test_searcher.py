import json
from dataclasses import asdict

import pytest
from ray.tune.search import Searcher
from tiny_knees import tiny_budget

from tune_knee import keys
from tune_knee.config import trial_id
from tune_knee.gpu_share import TrialResources
from tune_knee.point_queue import PointQueue
from tune_knee.search import TauSearch, storage_in
from tune_knee.search_config import SearchConfig, SearchSpace
from tune_knee.searcher import StudySearcher
from tune_knee.storage import FolderStorage
from tune_knee.study_plan import StudyPlan

POINTS = 3
RESULT = {keys.BEST_OVERLAP: 0.5, keys.BEST_DISTANCE_PX: 2.0, keys.STEP: 8}


@pytest.fixture
def plan(tmp_path):
    return StudyPlan(
        root=tmp_path,
        study_id="study 1",
        storage=FolderStorage(tmp_path),
        trials={},
        budget=tiny_budget(),
        fingerprint="f1",
        hardest_region="bar",
        max_concurrent=2,
        resources={"segformer_b2": TrialResources()},
    )


@pytest.fixture
def search(plan):
    return TauSearch(
        SearchSpace(networks=("segformer_b2",)),
        SearchConfig(sampler="quasi_random"),
        startup=1,
        budget=plan.budget,
        storage=storage_in(plan.root),
        name="knees",
    )


@pytest.fixture
def searcher(plan, search):
    objectives = (keys.BEST_OVERLAP, keys.BEST_DISTANCE_PX)
    queue = PointQueue(search, points=POINTS, seeds=1, objectives=objectives, ended=plan.end_of)
    return StudySearcher(queue, plan)


def test_trials_go_to_tune_with_their_configuration_and_into_the_plan(searcher, plan):
    configs = [searcher.suggest(f"tune-{number}") for number in range(POINTS)]
    assert [config[keys.TRIAL_ID] for config in configs] == list(plan.trials)
    for config, (identity, trial) in zip(configs, plan.trials.items(), strict=True):
        assert identity == trial_id(trial, plan.budget, plan.fingerprint)
        assert json.loads(config[keys.TRIAL_CONFIG]) == json.loads(json.dumps(asdict(trial)))
    assert searcher.suggest("tune-3") == Searcher.FINISHED


@pytest.mark.parametrize(
    ("result", "error", "state"),
    [
        ({**RESULT, keys.STOP_REASON: "plateau"}, False, "told"),
        (RESULT, False, "pruned"),
        ({keys.FAILURE: "out of memory"}, False, "failed"),
        (RESULT, True, "failed"),
        (None, False, "failed"),
    ],
)
def test_how_a_trial_ended_is_told(searcher, search, result, error, state):
    searcher.suggest("tune-0")
    searcher.on_trial_complete("tune-0", result, error)
    assert [each.state for each in search.history()] == [state]
