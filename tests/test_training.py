import dataclasses
import math
import subprocess
import sys

import pytest
import torch
from tiny_knees import PLAIN, REGIONS, tiny_budget, tiny_knees, to_the_bit
from torch import nn

from tune_knee import keys
from tune_knee.config import NETWORKS, LossWeights, TrialConfig
from tune_knee.data.augmentation import augment_batch
from tune_knee.schedule import lr_factor
from tune_knee.training import (
    NonFiniteLossError,
    Trainer,
    autocast,
    make_optimizer,
    parameter_groups,
)
from tune_knee.training_config import OptimizerConfig, ScheduleConfig

CPU = torch.device("cpu")
MIX = TrialConfig(
    network="segformer_b2",
    loss="ce2+dice+boundary",
    tau=LossWeights(ce=0.5, dice=0.25, boundary=0.25),
)


def trainer(trial=MIX, budget=None, dataset=None, seed=1):
    return Trainer(trial, budget or tiny_budget(), dataset or tiny_knees(), seed=seed, device=CPU)


def all_reports(training):
    while not training.finished:
        training.run_interval()
    return training.progress.reports


def equal(one, other):
    """Whether two state dicts hold the same numbers, to the last bit."""
    return one.keys() == other.keys() and all(
        torch.equal(value, other[name]) for name, value in one.items()
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_a_trainer_saved_and_loaded_goes_on_bit_for_bit(network, tmp_path):
    trial, dataset = dataclasses.replace(MIX, network=network), tiny_knees()
    whole, first, second = (trainer(trial, dataset=dataset) for _ in range(3))
    expected = to_the_bit(all_reports(whole))
    first.run_interval()
    torch.save(first.state_dict(), tmp_path / "state")
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert to_the_bit(all_reports(second)) == expected
    assert equal(second.network.state_dict(), whole.network.state_dict())
    assert second.progress.best_iou == whole.progress.best_iou


def test_what_else_draws_random_numbers_changes_nothing():
    calm, disturbed = trainer(), trainer()
    expected = to_the_bit(all_reports(calm))
    disturbed.run_interval()
    torch.rand(17)
    assert to_the_bit(all_reports(disturbed)) == expected


def test_the_seed_decides():
    one, other = trainer(seed=1), trainer(seed=2)
    assert not equal(one.network.state_dict(), other.network.state_dict())
    assert to_the_bit(all_reports(one)) != to_the_bit(all_reports(other))


def test_the_seed_decides_even_from_equal_weights():
    one, other = trainer(seed=1), trainer(seed=2)
    other.network.load_state_dict(one.network.state_dict())
    assert to_the_bit(all_reports(one)) != to_the_bit(all_reports(other))


def test_batches_and_augmentation_are_drawn_by_seed_and_step(monkeypatch):
    drawn = []

    def recorded(images, masks, regions, config, generator):
        drawn.append((images.numpy().tobytes(), generator.initial_seed()))
        return augment_batch(images, masks, regions, config, generator)

    monkeypatch.setattr("tune_knee.training.augment_batch", recorded)
    for seed in (1, 2, 1):
        trainer(seed=seed, budget=tiny_budget(evaluation_interval=3)).run_interval()
    assert drawn[:3] == drawn[6:]
    assert len(set(drawn)) == 6
    frames, generators = zip(*drawn, strict=True)
    assert len(set(generators)) == 6
    assert set(frames[:3]).isdisjoint(frames[3:6])


def test_a_network_learns():
    trial = dataclasses.replace(MIX, loss="ce2+dice", tau=LossWeights(ce=0.5, dice=0.5))
    budget = tiny_budget(
        max_steps=40,
        evaluation_interval=10,
        batch_size=4,
        optimizer=OptimizerConfig(learning_rate=5e-3),
        **PLAIN,
    )
    first, *_, last = all_reports(trainer(trial, budget, tiny_knees(train=8)))
    assert last[keys.TRAIN_LOSS] < 0.6 * first[keys.TRAIN_LOSS]
    assert last[keys.VAL_IOU] > 0.65 > first[keys.VAL_IOU]


def test_a_report_has_the_names_of_keys_and_no_others():
    report, _ = trainer().run_interval()
    regional = {keys.validation(region, m) for region in REGIONS for m in keys.OVERLAP_METRICS}
    assert set(report) == regional | {
        keys.STEP, keys.LEARNING_RATE, keys.WALL_TIME_S,
        keys.TRAIN_LOSS, keys.TRAIN_CE, keys.TRAIN_DICE, keys.TRAIN_BOUNDARY,
        keys.VAL_IOU, keys.VAL_OVERLAP,
        keys.BEST_IOU, keys.BEST_OVERLAP, keys.BEST_DISTANCE_PX, keys.BEST_STEP,
    }  # fmt: skip
    assert all(keys.is_report(name) for name in report)
    assert report[keys.STEP] == 2
    assert report[keys.VAL_IOU] == pytest.approx(
        sum(report[keys.validation(region, "iou")] for region in REGIONS) / 2
    )
    assert report[keys.WALL_TIME_S] > 0


def test_terms_that_the_loss_has_not_are_not_reported():
    report, _ = trainer(TrialConfig(network="segformer_b2", loss="ce1")).run_interval()
    assert keys.TRAIN_CE in report
    assert not {keys.TRAIN_DICE, keys.TRAIN_BOUNDARY} & set(report)


def test_without_an_auxiliary_head_the_loss_is_the_mix_of_its_terms():
    report, _ = trainer().run_interval()
    mix = (
        0.5 * report[keys.TRAIN_CE]
        + 0.25 * report[keys.TRAIN_DICE]
        + 0.25 * report[keys.TRAIN_BOUNDARY]
    )
    assert report[keys.TRAIN_LOSS] == pytest.approx(mix, rel=1e-5)


def test_the_auxiliary_head_adds_four_tenths_of_its_loss():
    training = trainer(TrialConfig(network="fcn_unet", loss="ce1"))
    nn.init.zeros_(training.network.auxiliary_head.conv_seg.weight)
    nn.init.zeros_(training.network.auxiliary_head.conv_seg.bias)
    total, ce, _, _ = training._train_step(0).tolist()
    # Logits of 0 give a binary cross-entropy of ln 2 whatever the truth.
    assert total == pytest.approx(ce + 0.4 * math.log(2), rel=1e-5)


def test_the_learning_rate_follows_the_schedule():
    reports = all_reports(trainer())
    factors = [lr_factor(step - 1, 6, ScheduleConfig()) for step in (2, 4, 6)]
    assert [each[keys.LEARNING_RATE] for each in reports] == [2e-3 * factor for factor in factors]


def test_a_trials_own_learning_rate_comes_before_the_budgets():
    training = trainer(TrialConfig(network="segformer_b2", learning_rate=7e-4))
    report, _ = training.run_interval()
    assert report[keys.LEARNING_RATE] == 7e-4 * lr_factor(1, 6, ScheduleConfig())
    assert {group["lr"] for group in training._optimizer.param_groups} == {
        report[keys.LEARNING_RATE]
    }


def test_the_last_interval_ends_at_the_maximum_of_steps():
    training = trainer(budget=tiny_budget(max_steps=5))
    assert [report[keys.STEP] for report in all_reports(training)] == [2, 4, 5]
    assert training.finished


def test_an_interval_longer_than_training_is_cut():
    training = trainer(budget=tiny_budget(max_steps=1, evaluation_interval=50))
    assert [report[keys.STEP] for report in all_reports(training)] == [1]


class Shows:
    """Stands in for validation: mean IoU of 0.5, 0.5, 0.6, 0.4 in turn."""

    def __init__(self, *mean_ious):
        self.mean_ious = list(mean_ious)
        self.overlaps = torch.full((len(REGIONS), 4), 0.5)
        self.overlap = 0.25

    def __call__(self, frames):
        self.mean_iou = self.mean_ious.pop(0)
        return self

    def distance_px(self):
        return 10 * self.mean_iou


def test_only_a_strictly_better_validation_is_the_best(monkeypatch):
    training = trainer(budget=tiny_budget(max_steps=4, evaluation_interval=1))
    monkeypatch.setattr(training, "_validate", Shows(0.5, 0.5, 0.6, 0.4))
    improved = [training.run_interval()[1] for _ in range(4)]
    assert improved == [True, False, True, False]
    reports = training.progress.reports
    assert [report[keys.BEST_STEP] for report in reports] == [1, 1, 3, 3]
    assert [report[keys.BEST_IOU] for report in reports] == [0.5, 0.5, 0.6, 0.6]
    assert [report[keys.BEST_DISTANCE_PX] for report in reports] == [5, 5, 6, 6]
    assert [report[keys.VAL_IOU] for report in reports] == [0.5, 0.5, 0.6, 0.4]


def test_even_a_first_validation_of_zero_is_the_best_so_far(monkeypatch):
    training = trainer()
    monkeypatch.setattr(training, "_validate", Shows(0.0))
    assert training.run_interval()[1]


@pytest.mark.parametrize(
    ("select_on", "improved", "best"),
    [("validation", [True, False], [0.5, 0.5]), ("test", [True, True], [0.1, 0.2])],
)
def test_the_best_is_chosen_on_the_split_asked_for(monkeypatch, select_on, improved, best):
    training = trainer(budget=tiny_budget(select_on=select_on))
    shown = {"validation": [0.5, 0.4], "test": [0.1, 0.2]}
    splits = {id(training._validation): "validation"}
    monkeypatch.setattr(
        training,
        "_validate",
        lambda frames: Shows(shown[splits.get(id(frames), "test")].pop(0))(frames),
    )
    results = [training.run_interval() for _ in range(2)]
    assert [better for _, better in results] == improved
    assert [report[keys.BEST_IOU] for report, _ in results] == best
    assert [report[keys.VAL_IOU] for report, _ in results] == [0.5, 0.4]


def test_selecting_on_test_looks_at_the_test_frames():
    dataset = tiny_knees(test=3)
    training = trainer(budget=tiny_budget(select_on="test"), dataset=dataset)
    assert (training._selection.masks == dataset.masks[dataset.indices("test")]).all()


def test_a_loss_that_is_not_finite_names_step_term_and_network():
    budget = tiny_budget(optimizer=OptimizerConfig(learning_rate=1e30), **PLAIN)
    message = r"got (ce|dice|boundary)=(nan|inf) at step 2 of segformer_b2 ce2\+dice\+boundary"
    with pytest.raises(NonFiniteLossError, match=message):
        all_reports(trainer(budget=budget))


def test_a_batch_larger_than_the_training_split_is_refused():
    with pytest.raises(ValueError, match="must hold a batch of 7 frames, got 6"):
        trainer(budget=tiny_budget(batch_size=7))
    trainer(budget=tiny_budget(batch_size=6))


def test_frames_of_another_size_are_refused():
    with pytest.raises(ValueError, match="frames must be 64 px, got size_px=32"):
        trainer(budget=tiny_budget(image_size_px=64))


def test_weights_decay_and_norms_and_biases_do_not():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))
    decayed, spared = parameter_groups(network, 0.1)
    assert [tuple(each.shape) for each in decayed["params"]] == [(2, 1, 3, 3), (3, 2)]
    assert [tuple(each.shape) for each in spared["params"]] == [(2,), (2,), (2,), (3,)]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_parameter_is_optimised_once(network):
    training = trainer(dataclasses.replace(MIX, network=network))
    groups = parameter_groups(training.network, 0.1)
    optimised = [id(each) for group in groups for each in group["params"]]
    assert sorted(optimised) == sorted(id(each) for each in training.network.parameters())


def test_the_optimizer_is_as_configured():
    config = OptimizerConfig(learning_rate=0.5, beta1=0.8, beta2=0.95, weight_decay=0.03)
    optimizer = make_optimizer(nn.Linear(2, 2), config)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (0.5, (0.8, 0.95))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.03, 0.0]


@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_gradients_are_clipped_only_if_asked(clip_norm):
    optimizer = OptimizerConfig(clip_norm=clip_norm)
    training = trainer(budget=tiny_budget(optimizer=optimizer))
    training._train_step(0)
    gradients = [p.grad for p in training.network.parameters() if p.grad is not None]
    norm = math.sqrt(sum(float(each.square().sum()) for each in gradients))
    if clip_norm is None:
        assert norm > 1e-2
    else:
        assert norm == pytest.approx(clip_norm, rel=1e-2)


def test_the_cpu_trains_in_full_precision():
    with autocast(CPU):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32


def test_the_command_needs_neither_ray_nor_mlflow():
    code = """
import runpy, sys
sys.argv = ["training", "--help"]
try:
    runpy.run_module("tune_knee.training", run_name="__main__")
except SystemExit as end:
    assert end.code == 0
assert not {"ray", "mlflow"} & set(sys.modules)
"""
    asked = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "usage: python -m tune_knee.training" in asked.stdout
