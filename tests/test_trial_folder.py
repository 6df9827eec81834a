import logging
import pickle
from pathlib import Path

import pandas as pd
import pytest
import torch

from tune_knee import keys
from tune_knee.trial_folder import FAILED, TRAINED, Outcome, TrialFolder

WEIGHTS = {"layer.weight": torch.arange(4.0)}


@pytest.fixture
def folder(tmp_path):
    return TrialFolder.of(tmp_path, "abc")


def files(folder):
    return sorted(path.name for path in folder.root.iterdir())


def test_a_trial_has_a_folder_of_its_own_below_the_study():
    assert TrialFolder.of(Path("study"), "abc").root == Path("study/trials/abc")


def test_a_trial_that_saved_nothing_has_no_state_and_no_outcome(folder):
    assert folder.load_state() is None
    assert folder.read_outcome() is None
    assert not folder.root.exists()


def test_a_state_is_loaded_as_it_was_saved(folder):
    state = {"network": WEIGHTS, "reports": [{keys.STEP: 2, keys.VAL_IOU: 0.1}], "best_iou": 0.1}
    folder.save_state({"network": {}})
    folder.save_state(state)
    loaded = folder.load_state()
    assert torch.equal(loaded["network"].pop("layer.weight"), WEIGHTS["layer.weight"])
    assert loaded == {**state, "network": {}}
    assert files(folder) == ["last.pt"]


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harmed"),))


@pytest.mark.parametrize("load", [TrialFolder.load_state, TrialFolder.load_best])
def test_files_are_loaded_without_running_what_is_in_them(folder, load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder.root.mkdir(parents=True)
    for name in ("last.pt", "best-1.pt"):
        torch.save({"network": Harmful()}, folder.root / name)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        load(folder)
    assert not Path("harmed").exists()


def test_a_failed_write_leaves_the_old_file_and_no_litter(folder):
    folder.save_state({"best_iou": 0.5})
    with pytest.raises(TypeError, match="cannot pickle"):
        folder.save_state({"best_iou": 0.6, "cannot be saved": (each for each in ())})
    assert files(folder) == ["last.pt"]
    assert folder.load_state() == {"best_iou": 0.5}


def test_a_full_disk_leaves_the_old_outcome_and_no_litter(folder, monkeypatch):
    folder.write_outcome(Outcome(status=TRAINED, reason="plateau"))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tune_knee.trial_folder.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_outcome(Outcome(status=FAILED, reason="other"))
    assert files(folder) == ["outcome.json"]
    assert folder.read_outcome().reason == "plateau"


def save_best(folder, *steps, referred=None):
    for step in steps:
        folder.save_best(step, WEIGHTS, referred=referred)


def test_only_the_newest_best_weights_are_kept(folder):
    save_best(folder, 2, 4)
    folder.save_best(10, {"layer.weight": torch.ones(1)}, referred=None)
    assert files(folder) == ["best-10.pt"]
    step, weights = folder.load_best()
    assert (step, weights["layer.weight"].tolist()) == (10, [1.0])


def test_best_weights_that_the_last_state_refers_to_are_kept(folder):
    save_best(folder, 4)
    save_best(folder, 6, 10, referred=4)
    assert files(folder) == ["best-10.pt", "best-4.pt"]
    assert folder.load_best()[0] == 10  # by number, not by name


def test_best_weights_of_an_interrupted_attempt_are_dropped(folder):
    save_best(folder, 4)
    save_best(folder, 10, referred=4)
    folder.drop_best_after(10)
    assert folder.load_best()[0] == 10
    folder.drop_best_after(9)
    assert folder.load_best()[0] == 4
    assert files(folder) == ["best-4.pt"]


def test_dropping_from_a_folder_that_is_not_there_drops_nothing(folder):
    folder.drop_best_after(0)
    assert not folder.root.exists()


def test_without_best_weights_there_is_nothing_to_test(folder):
    with pytest.raises(ValueError, match="must hold best weights, got none in "):
        folder.load_best()


def test_an_outcome_is_read_as_it_was_written(folder):
    outcome = Outcome(
        status=TRAINED,
        reason="plateau",
        opened={"train_loss": 50, "plateau": 500},
        steps=500,
        wall_time_s=12.5,
        tested=True,
    )
    folder.write_outcome(Outcome(status=FAILED, reason="out of memory"))
    assert folder.read_outcome() == Outcome(status=FAILED, reason="out of memory")
    folder.write_outcome(outcome)
    assert folder.read_outcome() == outcome
    folder.forget_outcome()
    folder.forget_outcome()
    assert folder.read_outcome() is None


def test_tables_are_read_as_they_were_written(folder):
    table = pd.DataFrame({keys.STEP: [2, 4], keys.VAL_IOU: [0.25, float("nan")]})
    for written in (folder.write_frames(table), folder.write_history(table)):
        pd.testing.assert_frame_equal(pd.read_parquet(written), table)
    assert folder.frames_path.is_file()
    assert files(folder) == sorted([keys.HISTORY, keys.TEST_FRAMES])


@pytest.fixture
def own_logging():
    """The root logger's handlers as they were, after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_each_trial_logs_into_its_own_file(tmp_path, own_logging):
    for trial in ("one", "other"):
        TrialFolder.of(tmp_path, trial).log_here()
        logging.getLogger("tune_knee.training").info("this is %s", trial)
    for trial in ("one", "other"):
        (line,) = (tmp_path / "trials" / trial / "train.log").read_text().splitlines()
        assert line.endswith(f"INFO this is {trial}")
