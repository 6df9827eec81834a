import logging
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from tiny_knees import tiny_knees, to_the_bit

from tune_knee import keys, train_command
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import BUDGETS, LossWeights, TrialConfig, trial_id, trial_seed
from tune_knee.data.dataset import write_dataset
from tune_knee.segmenter.saved_model import SavedModel
from tune_knee.segmenter.segmenter import Segmenter
from tune_knee.storage import FolderStorage
from tune_knee.training import Trainer
from tune_knee.training_config import StoppingConfig
from tune_knee.trial_folder import TRAINED, TrialFolder

COMMAND = ("--network", "segformer_b2", "--loss", "ce2+dice", "--tau", "0.5:0.5")


@pytest.fixture
def data(tmp_path):
    dataset = tiny_knees(train=8, size_px=64)
    write_dataset(
        tmp_path / "knees", dataset.images, dataset.masks, dataset.frames, dataset.regions
    )
    return tmp_path / "knees"


@pytest.fixture
def run(data, tmp_path, monkeypatch, caplog):
    """The command with two steps between validations."""
    caplog.set_level(logging.INFO)
    monkeypatch.setitem(
        BUDGETS, "preview", replace(BUDGETS["preview"], batch_size=4, evaluation_interval=2)
    )

    def main(*arguments, out="out", steps=6):
        return train_command.main(
            [*COMMAND, "--data", str(data), "--out", str(tmp_path / out),
             "--budget", "preview", "--steps", str(steps), *arguments]
        )  # fmt: skip

    return main


def only_folder(out):
    (root,) = (out / "trials").iterdir()
    return TrialFolder(root)


def checkpoints_of(folder):
    return Checkpoints(FolderStorage(folder.root))


def test_what_is_asked_for_is_what_is_trained():
    asked = train_command.parse(
        ["--network", "fcn_unet", "--loss", "ce2+boundary", "--tau", "0.9:0.1",
         "--boundary", "signed_distance", "--budget", "paper", "--steps", "7"]
    )  # fmt: skip
    assert asked.trial() == TrialConfig(
        network="fcn_unet",
        loss="ce2+boundary",
        tau=LossWeights(ce=0.9, boundary=0.1),
        boundary="signed_distance",
    )
    assert asked.whole_budget() == replace(BUDGETS["paper"], max_steps=7)


def test_without_steps_the_budget_is_whole():
    asked = train_command.parse(["--network", "fcn_unet", "--budget", "preview"])
    assert asked.whole_budget() == BUDGETS["preview"]
    assert asked.trial() == TrialConfig(network="fcn_unet", loss="ce2")


def test_it_trains_tests_and_prints_one_table(run, tmp_path, capsys, caplog):
    assert run() == 0
    folder = only_folder(tmp_path / "out")
    assert sum(" validation IoU " in message for message in caplog.messages) == 3
    outcome = folder.read_outcome()
    assert (outcome.status, outcome.steps, outcome.reason) == (TRAINED, 6, "maximum of 6 steps")
    rows = pd.read_parquet(folder.frames_path)
    assert len(rows) == 2 * 2
    shown = capsys.readouterr().out
    best_step, _ = checkpoints_of(folder).load_best()
    assert f"ce2+dice 0.50:0.50, budget preview, best of step {best_step}, 2 test frames" in shown
    for name in (*keys.METRICS, "disc", "bar"):
        assert name in shown
    recall = rows.groupby(keys.REGION)["recall"].mean()
    disc = next(line for line in shown.splitlines() if "disc" in line)
    assert f"{recall['disc']:.4f}" in disc


def test_id_and_seed_are_those_of_a_study(run, tmp_path):
    run()
    folder = only_folder(tmp_path / "out")
    dataset = tiny_knees(train=8, size_px=64)
    trial = TrialConfig(network="segformer_b2", loss="ce2+dice", tau=LossWeights(ce=0.5, dice=0.5))
    budget = replace(BUDGETS["preview"], max_steps=6)
    assert folder.root.name == trial_id(trial, budget, dataset.fingerprint)


def test_a_seed_asked_for_is_used_and_kept_apart(run, tmp_path, monkeypatch):
    seeds = []
    initialise = Trainer.__init__
    monkeypatch.setattr(
        Trainer,
        "__init__",
        lambda self, *args, seed, **kw: (
            seeds.append(seed) or initialise(self, *args, seed=seed, **kw)
        ),
    )
    run(steps=2)
    run("--seed", "3", steps=2)
    names = sorted(path.name for path in (tmp_path / "out" / "trials").iterdir())
    assert names == [names[0], f"{names[0]}-seed3"]
    assert seeds == [trial_seed(names[0]), 3]


@pytest.fixture
def cut(monkeypatch):
    """Ctrl-C at a step, once."""

    def interrupt_at(step):
        interval = Trainer.run_interval

        def run_interval(trainer):
            if trainer.progress.step == step:
                monkeypatch.setattr(Trainer, "run_interval", interval)
                raise KeyboardInterrupt
            return interval(trainer)

        monkeypatch.setattr(Trainer, "run_interval", run_interval)

    return interrupt_at


def test_started_again_it_goes_on_exactly(run, cut, tmp_path, caplog):
    run(out="whole")
    cut(4)
    assert run(out="cut") == 130
    assert "interrupted; the same command goes on" in caplog.messages[-1]
    assert only_folder(tmp_path / "cut").read_outcome() is None
    assert run(out="cut") == 0
    assert any("goes on from step 4" in message for message in caplog.messages)
    whole, again = (only_folder(tmp_path / out) for out in ("whole", "cut"))
    states = [checkpoints_of(each).load_state() for each in (whole, again)]
    assert to_the_bit(states[1]["reports"]) == to_the_bit(states[0]["reports"])
    pd.testing.assert_frame_equal(
        pd.read_parquet(again.frames_path), pd.read_parquet(whole.frames_path)
    )


def test_what_is_trained_and_tested_is_shown_again(run, monkeypatch, capsys, caplog):
    run(steps=2)
    first = capsys.readouterr().out
    monkeypatch.setattr(train_command, "Trainer", None)
    assert run(steps=2) == 0
    assert capsys.readouterr().out == first
    assert "is trained already" in caplog.messages[-1]


@pytest.mark.parametrize("cut_at", [None, 2, 4])
def test_it_stops_by_the_papers_criteria_interrupted_or_not(
    run, cut, tmp_path, monkeypatch, cut_at
):
    easy = StoppingConfig(
        train_loss_below=100,
        val_iou_above=0,
        hardest_iou_above=0,
        plateau_window=2,
        plateau_fluctuation=2,
    )
    monkeypatch.setitem(BUDGETS, "preview", replace(BUDGETS["preview"], stopping=easy))
    validate = Trainer._validate

    def found(trainer, frames):
        result = validate(trainer, frames)
        result.overlaps[:] = 0.5
        return result

    monkeypatch.setattr(Trainer, "_validate", found)
    if cut_at == 4:  # trained to the end, but not on record as such
        monkeypatch.setattr(
            TrialFolder, "write_outcome", interrupts_once(TrialFolder.write_outcome)
        )
    elif cut_at:
        cut(cut_at)
    if cut_at:
        assert run() == 130
    assert run() == 0
    outcome = only_folder(tmp_path / "out").read_outcome()
    assert outcome.steps == 4
    assert outcome.reason.startswith("plateau")
    assert outcome.opened == dict(zip(keys.CRITERIA, (2, 2, 2, 4), strict=True))


def interrupts_once(method):
    interrupted = []

    def call(*arguments):
        if interrupted:
            return method(*arguments)
        interrupted.append(True)
        raise KeyboardInterrupt

    return call


def test_frames_of_another_size_are_resized(run, tmp_path, monkeypatch):
    monkeypatch.setitem(BUDGETS, "preview", replace(BUDGETS["preview"], image_size_px=32))
    assert run(steps=2) == 0
    folder = only_folder(tmp_path / "out")
    assert folder.read_outcome().steps == 2
    facts = SavedModel.read(folder.root / "model.pt").facts
    assert (facts.prepared_size_px, facts.image_size_px) == (64, 32)


def test_the_models_file_finds_what_the_test_found(run, tmp_path, capsys):
    assert run() == 0
    folder = only_folder(tmp_path / "out")
    path = folder.root / "model.pt"
    assert f"Model: {path}\n" in capsys.readouterr().out
    model = SavedModel.read(path)
    assert model.facts.trial_id == folder.root.name
    dataset = tiny_knees(train=8, size_px=64)
    test = dataset.indices("test")
    pngs = pd.read_parquet(folder.masks_path)["png"]
    tested = [cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) for png in pngs]
    found = Segmenter([model]).masks(np.asarray(dataset.images[test]))
    np.testing.assert_array_equal(found, tested)


def test_without_data_the_phantom_is_made_once(run, data, tmp_path, monkeypatch):
    made = []

    def make_phantom(out, *, size_px):
        made.append((out, size_px))
        out.parent.mkdir(parents=True)
        data.rename(out)

    monkeypatch.setattr(train_command, "make_phantom", make_phantom)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert train_command.main([*COMMAND, "--budget", "preview", "--steps", "2"]) == 0
    ((out, size_px),) = made
    assert size_px == 64
    assert out.is_relative_to("out/training/data")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--tau", "0.5:0.6"), "loss weights must sum to 1"),
        (("--tau", "1"), "tau of ce2+dice must have the parts ce:dice, got tau=1"),
        (("--network", "vgg"), "network must be one of"),
        (("--seed", "-1"), "seed must be in [0, 2**32), got seed=-1"),
        (("--steps", "0"), "max_steps must be a positive number, got max_steps=0"),
        (("--data", "nowhere"), "a dataset folder must hold dataset.json, got data=nowhere"),
    ],
)
def test_what_makes_no_sense_is_one_error_line(run, tmp_path, capsys, arguments, problem):
    assert run(*arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {problem}")
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_not_finite_is_one_error_line(run, monkeypatch, capsys):
    optimizer = replace(BUDGETS["preview"].optimizer, learning_rate=1e30)
    monkeypatch.setitem(BUDGETS, "preview", replace(BUDGETS["preview"], optimizer=optimizer))
    assert run() == 2
    assert "error: the training loss must be finite, got " in capsys.readouterr().err
