import json
from dataclasses import asdict

import pytest
import torch
from ray import tune
from ray.tune.result import DONE
from tiny_knees import PLAIN, tiny_budget, tiny_knees, to_the_bit

from tune_knee import keys
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import LossWeights, TrialConfig, trial_seed
from tune_knee.stoppers import StudyStopper
from tune_knee.storage import FolderStorage
from tune_knee.storage_mark import mark
from tune_knee.trainable import KneeTrial
from tune_knee.training_config import OptimizerConfig

TRIALS = {
    "aaa": TrialConfig(network="segformer_b2", loss="ce1"),
    "bbb": TrialConfig(network="segformer_b2", loss="ce2+dice", tau=LossWeights(ce=0.5, dice=0.5)),
}


@pytest.fixture(autouse=True)
def _logs_stay(monkeypatch):
    """`log_here` takes over the process's log, which in a test is pytest's."""
    monkeypatch.setattr(Checkpoints, "log_here", lambda checkpoints: None)


def assigned(trial_id):
    return {keys.TRIAL_ID: trial_id, keys.TRIAL_CONFIG: json.dumps(asdict(TRIALS[trial_id]))}


def knee_trial(study, trial_id="aaa", **changes):
    """A trainable without Tune around it."""
    storage = FolderStorage(study)
    mark(storage, "study 1")
    trial = object.__new__(KneeTrial)
    trial.setup(
        assigned(trial_id),
        dataset=tiny_knees(),
        budget=tiny_budget(**changes),
        storage=storage,
        study_id="study 1",
    )
    return trial


def trained(trial, steps):
    return to_the_bit(trial.step() for _ in range(steps))


def test_a_step_is_one_validation_interval(tmp_path):
    trial = knee_trial(tmp_path)
    assert [trial.step()[keys.STEP] for _ in range(3)] == [2, 4, 6]


@pytest.mark.parametrize(("interval", "crash_after"), [(1, 2), (2, 1), (2, 3)])
def test_after_a_crash_a_trial_repeats_what_is_saved_and_trains_on(tmp_path, interval, crash_after):
    settings = {"max_steps": 8, "checkpoint_interval": interval}
    whole = trained(knee_trial(tmp_path / "whole", **settings), 4)
    crashed = knee_trial(tmp_path / "crashed", **settings)
    before = [crashed.step() for _ in range(crash_after)]
    again = knee_trial(tmp_path / "crashed", **settings)
    after = [again.step() for _ in range(4)]
    saved = crash_after // interval * interval
    assert to_the_bit(after[:saved], timed=True) == to_the_bit(before[:saved], timed=True)
    assert to_the_bit(after) == whole
    times = [report[keys.WALL_TIME_S] for report in after]
    assert times == sorted(times)


def test_a_repeated_report_is_not_trained_again(tmp_path, monkeypatch):
    knee_trial(tmp_path).step()
    again = knee_trial(tmp_path)
    monkeypatch.setattr("tune_knee.training.Trainer.run_interval", None)
    assert again.step()[keys.STEP] == 2
    with pytest.raises(TypeError):
        again.step()


def test_a_report_that_tune_writes_into_leaves_the_trial_as_it_is(tmp_path):
    for steps in (2, 3):  # trained and saved; repeated twice, trained and saved
        trial = knee_trial(tmp_path)
        trial.step()["done"] = True
        for _ in range(steps - 1):
            trial.step()
        assert "done" not in knee_trial(tmp_path).step()


def test_an_interrupted_trial_saves_what_is_not_saved_yet(tmp_path):
    trial = knee_trial(tmp_path, checkpoint_interval=5)
    trial.save_checkpoint("unused")
    assert Checkpoints.of(FolderStorage(tmp_path), "aaa").load_state() is None
    report = trial.step()
    trial.save_checkpoint("unused")
    again = knee_trial(tmp_path, checkpoint_interval=5)
    again.load_checkpoint(None)
    assert to_the_bit([again.step()], timed=True) == to_the_bit([report], timed=True)


def test_a_trial_interrupted_while_it_repeats_loses_nothing(tmp_path):
    first = knee_trial(tmp_path, max_steps=8)
    for _ in range(3):
        first.step()
    again = knee_trial(tmp_path, max_steps=8)
    again.step()
    again.save_checkpoint("unused")
    state = Checkpoints.of(FolderStorage(tmp_path), "aaa").load_state()
    assert state["reports"][-1][keys.STEP] == 6


def test_the_seed_comes_from_the_trial_id(tmp_path, monkeypatch):
    seeds = []
    monkeypatch.setattr(
        "tune_knee.trainable.Trainer", lambda *_, seed, device: seeds.append(seed) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        knee_trial(tmp_path, "bbb").step()
    assert seeds == [trial_seed("bbb")]


def test_a_process_serves_one_trial_after_another(tmp_path):
    served = knee_trial(tmp_path / "served", "aaa")
    trained(served, 2)
    assert served.reset_config(assigned("bbb"))
    assert trained(served, 2) == trained(knee_trial(tmp_path / "alone", "bbb"), 2)


def test_a_loss_that_is_not_finite_ends_the_trial_with_its_reason(tmp_path):
    trial = knee_trial(tmp_path, optimizer=OptimizerConfig(learning_rate=1e30), **PLAIN)
    result = trial.step()
    assert result[DONE] is True
    assert result[keys.FAILURE].startswith("NonFiniteLossError: the training loss must be finite")
    assert set(result) == {DONE, keys.FAILURE}


@pytest.mark.parametrize("error", [MemoryError("m"), OSError(28, "full")])
def test_what_a_trial_dies_of_by_itself_becomes_its_result(tmp_path, monkeypatch, error):
    trial = knee_trial(tmp_path)

    def fails(trainer):
        raise error

    monkeypatch.setattr("tune_knee.training.Trainer.run_interval", fails)
    assert trial.step() == {DONE: True, keys.FAILURE: f"{type(error).__name__}: {error}"}


def test_a_bug_is_not_a_result(tmp_path, monkeypatch):
    trial = knee_trial(tmp_path)
    monkeypatch.setattr("tune_knee.training.Trainer.run_interval", lambda trainer: [][0])
    with pytest.raises(IndexError):
        trial.step()


def test_a_trial_that_cannot_start_is_a_failure_too(tmp_path):
    result = knee_trial(tmp_path, batch_size=7).step()
    assert result[keys.FAILURE].startswith("ValueError: the training split must hold a batch of 7")


def test_tune_trains_trials_one_after_the_other(local_ray, tmp_path):
    budget = tiny_budget(max_steps=4)
    storage = FolderStorage(tmp_path)
    mark(storage, "study 1")
    trainable = tune.with_parameters(
        KneeTrial, dataset=tiny_knees(), budget=budget, storage=storage, study_id="study 1"
    )
    as_json = {trial_id: assigned(trial_id)[keys.TRIAL_CONFIG] for trial_id in TRIALS}
    trials = tune.run(
        tune.with_resources(trainable, {"CPU": 1}),
        config={
            keys.TRIAL_ID: tune.grid_search(list(TRIALS)),
            keys.TRIAL_CONFIG: tune.sample_from(lambda config: as_json[config[keys.TRIAL_ID]]),
        },
        stop=StudyStopper(budget.stopping, "bar", budget.max_steps),
        storage_path=str(tmp_path / "ray"),
        reuse_actors=True,
        verbose=0,
    ).trials
    for trial in trials:
        trial_id, result = trial.config[keys.TRIAL_ID], trial.last_result
        assert result[keys.STOP_REASON] == "maximum of 4 steps"
        log = (tmp_path / "trials" / trial_id / "train.log").read_text()
        assert f"{TRIALS[trial_id].label} step 4: loss " in log
        alone = trained(knee_trial(tmp_path / "alone", trial_id, max_steps=4), 2)[-1]
        assert to_the_bit([{key: result[key] for key in alone}]) == [alone]


def test_too_little_gpu_memory_does_not_end_the_trial_yet(tmp_path, monkeypatch):
    trial = knee_trial(tmp_path)
    first = trial.step()

    def too_little(trainer):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    with monkeypatch.context() as patched:
        patched.setattr("tune_knee.training.Trainer.run_interval", too_little)
        result = trial.step()
    assert result == {
        keys.FAILURE: "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        keys.OUT_OF_MEMORY: True,
    }
    trial.save_checkpoint("unused")
    again = knee_trial(tmp_path)
    assert to_the_bit([again.step()]) == to_the_bit([first])


def test_a_node_that_does_not_see_the_storage_trains_nothing(tmp_path):
    mark(FolderStorage(tmp_path), "another study")
    trial = object.__new__(KneeTrial)
    with pytest.raises(RuntimeError, match=r"got nothing of study study 1 in .* on "):
        trial.setup(assigned("aaa"), dataset=tiny_knees(), budget=tiny_budget(),
                    storage=FolderStorage(tmp_path), study_id="study 1")  # fmt: skip
