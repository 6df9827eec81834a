import logging
from pathlib import Path

import pytest
import torch

from tune_knee import keys
from tune_knee.checkpoints import Checkpoints, SupersededError
from tune_knee.storage import FolderStorage

WEIGHTS = {"layer.weight": torch.arange(4.0)}


@pytest.fixture
def folder(tmp_path):
    return Checkpoints.of(FolderStorage(tmp_path), "abc")


def files(folder):
    return sorted(path.name for path in folder.storage.root.iterdir())


def test_a_trial_that_saved_nothing_has_no_state(folder):
    assert folder.load_state() is None
    assert not folder.storage.root.exists()


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


@pytest.mark.parametrize("load", [Checkpoints.load_state, Checkpoints.load_best])
def test_files_are_loaded_without_running_what_is_in_them(folder, load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder.storage.root.mkdir(parents=True)
    for name in ("last.pt", "best-1.pt"):
        torch.save({"network": Harmful()}, folder.storage.root / name)
    with pytest.raises(ValueError, match=r"weights only, got (last|best-1)\.pt in .*abc; remove"):
        load(folder)
    assert not Path("harmed").exists()


def test_a_failed_write_leaves_the_old_file_and_no_litter(folder):
    folder.save_state({"best_iou": 0.5})
    with pytest.raises(TypeError, match="cannot pickle"):
        folder.save_state({"best_iou": 0.6, "cannot be saved": (each for each in ())})
    assert files(folder) == ["last.pt"]
    assert folder.load_state() == {"best_iou": 0.5}


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
    assert not folder.storage.root.exists()


def test_without_best_weights_there_is_nothing_to_test(folder):
    with pytest.raises(ValueError, match="must hold best weights, got none in "):
        folder.load_best()


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
        Checkpoints.of(FolderStorage(tmp_path), trial).log_here()
        logging.getLogger("tune_knee.training").info("this is %s", trial)
    for trial in ("one", "other"):
        (line,) = (tmp_path / "trials" / trial / "train.log").read_text().splitlines()
        assert line.endswith(f"INFO this is {trial}")


@pytest.mark.parametrize("load", [Checkpoints.load_state, Checkpoints.load_best])
@pytest.mark.parametrize("kept", [0, 1, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_half_a_checkpoint_is_refused_by_name(folder, load, kept):
    folder.save_state({"network": WEIGHTS})
    folder.save_best(1, WEIGHTS, referred=None)
    for path in folder.storage.root.iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else -1])
    with pytest.raises(ValueError, match=r"must be whole .*, got (last|best-1).pt in .*trials/abc"):
        load(folder)


def test_an_attempt_that_a_later_one_superseded_writes_no_more(folder, tmp_path):
    cut_off = Checkpoints.of(FolderStorage(tmp_path), "abc")
    cut_off.claim()
    cut_off.save_state({"best_iou": 0.1})
    folder.claim()
    folder.save_best(4, WEIGHTS, referred=None)
    with pytest.raises(SupersededError, match="one attempt at a time, got a later one in"):
        cut_off.save_state({"best_iou": 0.2})
    with pytest.raises(SupersededError):
        cut_off.save_best(6, WEIGHTS, referred=None)
    assert folder.load_state() == {"best_iou": 0.1}
    assert folder.load_best()[0] == 4
    folder.save_state({"best_iou": 0.3})
    assert cut_off.load_state() == {"best_iou": 0.3}
