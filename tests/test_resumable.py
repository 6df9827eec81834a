import torch
from tiny_knees import tiny_budget, tiny_knees

from tune_knee import keys
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import TrialConfig
from tune_knee.resumable import ResumableTrainer
from tune_knee.storage import FolderStorage
from tune_knee.training import Trainer

TRIAL = TrialConfig(network="segformer_b2")


def training(root, **changes):
    trainer = Trainer(
        TRIAL,
        tiny_budget(**{"max_steps": 12, **changes}),
        tiny_knees(),
        seed=1,
        device=torch.device("cpu"),
    )
    return ResumableTrainer(trainer, Checkpoints(FolderStorage(root)))


def shows(each, monkeypatch, *mean_ious):
    """Let validation say these mean IoUs in turn; training itself is real."""
    told = iter(mean_ious)
    inner = each.trainer._validate

    def validate(frames):
        real = inner(frames)
        real.overlaps[:, 0] = next(told)
        return real

    monkeypatch.setattr(each.trainer, "_validate", validate)
    return each


def saved_step(root):
    state = Checkpoints(FolderStorage(root)).load_state()
    return state and int(state["reports"][-1][keys.STEP])


def best_steps(root):
    return Checkpoints(FolderStorage(root))._best_steps()


def test_a_fresh_trial_starts_at_zero_and_saves_nothing(tmp_path):
    each = training(tmp_path)
    each.save()
    assert each.trainer.progress.step == 0
    assert saved_step(tmp_path) is None


def test_the_state_is_saved_every_so_many_validations(tmp_path):
    each = training(tmp_path, checkpoint_interval=2)
    saved = []
    for _ in range(4):
        each.run_interval()
        saved.append(saved_step(tmp_path))
    assert saved == [None, 4, 4, 8]


def test_saving_saves_what_is_not_saved_yet(tmp_path):
    each = training(tmp_path, checkpoint_interval=2)
    for expected in (2, 4, 6):
        each.run_interval()
        each.save()
        assert saved_step(tmp_path) == expected
    before = (tmp_path / "last.pt").stat().st_mtime_ns
    each.save()
    assert (tmp_path / "last.pt").stat().st_mtime_ns == before


def test_best_weights_are_those_of_the_best_validation(tmp_path, monkeypatch):
    each = shows(training(tmp_path), monkeypatch, 0.5, 0.4)
    each.run_interval()
    weights = {name: value.clone() for name, value in each.trainer.network.state_dict().items()}
    each.run_interval()
    step, best = Checkpoints(FolderStorage(tmp_path)).load_best()
    assert step == 2
    assert all(torch.equal(best[name], value) for name, value in weights.items())


def test_a_crash_between_two_saves_goes_back_to_the_saved_best(tmp_path, monkeypatch):
    crashed = shows(training(tmp_path, checkpoint_interval=2), monkeypatch, 0.5, 0.4, 0.6, 0.7)
    for _ in range(3):
        crashed.run_interval()
    assert (saved_step(tmp_path), best_steps(tmp_path)) == (4, [2, 6])
    again = training(tmp_path, checkpoint_interval=2)
    assert best_steps(tmp_path) == [2]
    assert again.trainer.progress.step == 4
    shows(again, monkeypatch, 0.45, 0.55)
    again.run_interval()
    assert best_steps(tmp_path) == [2]
    again.run_interval()
    # Those of step 2 go with the next best weights: the state saved now refers to step 8.
    assert best_steps(tmp_path) == [2, 8]


def test_a_crash_before_the_first_save_begins_anew(tmp_path):
    training(tmp_path, checkpoint_interval=5).run_interval()
    assert best_steps(tmp_path) == [2]
    again = training(tmp_path, checkpoint_interval=5)
    assert (again.trainer.progress.step, best_steps(tmp_path)) == (0, [])
