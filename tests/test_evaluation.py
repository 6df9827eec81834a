import os
import time

import pytest
import ray
from tiny_knees import tiny_budget, tiny_knees

from tune_knee import evaluation
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import TrialConfig
from tune_knee.evaluation import EvaluationStage
from tune_knee.networks import build_network
from tune_knee.storage import FolderStorage

TRIAL = TrialConfig(network="segformer_b2")


@pytest.fixture
def storage(tmp_path):
    storage = FolderStorage(tmp_path)
    weights = build_network(TRIAL.network, regions=2, width=0.25).state_dict()
    for trial_id in ("aaa", "bbb"):
        Checkpoints.of(storage, trial_id).save_best(2, weights, referred=None)
    return storage


@pytest.fixture
def stage(local_ray, storage):
    return EvaluationStage(storage, tiny_budget(), ray.put(tiny_knees()), gpus=0)


def test_tests_are_handed_out_once_and_a_failing_one_with_its_error(stage, caplog):
    assert list(stage.done()) == list(stage.done(wait=True)) == []
    for trial_id in ("aaa", "no weights", "bbb"):
        stage.submit(trial_id, TRIAL)
    done = {tested.trial_id: tested for tested in stage.done(wait=True)}
    assert set(done) == {"aaa", "no weights", "bbb"}
    for trial_id in ("aaa", "bbb"):
        assert done[trial_id].error == ""
        assert len(done[trial_id].tested.frames) == 4
        assert len(done[trial_id].tested.masks) == 2
    failed = done["no weights"]
    assert failed.tested is None
    assert failed.error.startswith("ValueError: a trained trial must hold best weights, got none")
    assert "the test of trial no weights failed" in caplog.text
    assert list(stage.done(wait=True)) == []


def test_without_waiting_only_what_is_done_is_handed_out(stage):
    started = time.monotonic()
    stage.submit("aaa", TRIAL)
    found = list(stage.done())
    while not found and time.monotonic() < started + 300:
        time.sleep(0.1)
        found = list(stage.done())
    assert [tested.trial_id for tested in found] == ["aaa"]


def test_trials_go_to_the_process_with_the_fewest_to_test(local_ray, storage, monkeypatch):
    class Tester:  # says which process it is
        def __init__(self, *settings):
            pass

        def test(self, trial_id, trial, dataset):
            return os.getpid()

    monkeypatch.setattr(evaluation, "_Tester", Tester)
    budget, dataset = tiny_budget(), ray.put(tiny_knees())
    stage = EvaluationStage(storage, budget, dataset, gpus=0, testers=2)
    for number in range(4):
        stage.submit(f"trial {number}", TRIAL)
    processes = {each.trial_id: each.tested for each in stage.done(wait=True)}
    first, second, third, fourth = (processes[f"trial {number}"] for number in range(4))
    assert first == third != second == fourth
