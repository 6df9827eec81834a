import dataclasses
import itertools
import math
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_knee import keys
from tune_knee.config import (
    BUDGETS,
    LOSS_TERMS,
    NETWORKS,
    PAPER_BUDGET,
    Budget,
    LossWeights,
    TrialConfig,
    trial_id,
    trial_seed,
)
from tune_knee.training_config import (
    AugmentationConfig,
    OptimizerConfig,
    ScheduleConfig,
    StoppingConfig,
)

TRIAL = TrialConfig(
    network="segformer_b2",
    loss="ce2+dice+boundary",
    tau=LossWeights(ce=0.5, dice=0.25, boundary=0.25),
    experiment=25,
)

# One other valid value for every field, so that a new field fails here until it is listed.
OTHER_TRIAL = {
    "network": "pspnet_r50c",
    "loss": "ce2+dice",
    "tau": LossWeights(ce=0.34, dice=0.33, boundary=0.33),
    "boundary": "signed_distance",
    "internal_weights": "balanced",
    "weights_in": "all",
    "pretrained": True,
    "learning_rate": 3e-4,
    "repeat": 1,
}
OTHER_BUDGET = {
    "name": "preview",
    "image_size_px": 64,
    "width": 0.25,
    "max_steps": 100,
    "evaluation_interval": 25,
    "checkpoint_interval": 1,
    "batch_size": 4,
    "select_on": "test",
    "optimizer": OptimizerConfig(learning_rate=1e-3),
    "schedule": ScheduleConfig(power=1.0),
    "stopping": StoppingConfig(plateau_window=5),
    "augmentation": AugmentationConfig(rotation_deg=5),
}


@pytest.mark.parametrize(
    ("loss", "ratio", "expected"),
    [
        ("ce1", "1", (1, 0, 0)),
        ("ce2", "1.0", (1, 0, 0)),
        ("ce2+dice", "0.90:0.10", (0.9, 0.1, 0)),
        ("ce2+boundary", "0.10:0.90", (0.1, 0, 0.9)),
        ("ce2+dice+boundary", "0.34:0.33:0.33", (0.34, 0.33, 0.33)),
    ],
)
def test_ratio_follows_the_order_of_the_losss_terms(loss, ratio, expected):
    weights = LossWeights.parse(loss, ratio)
    assert (weights.ce, weights.dice, weights.boundary) == expected


@pytest.mark.parametrize(
    ("loss", "ratio", "message"),
    [
        ("ce3", "1", "loss must be one of ce1, ce2, .*, got loss=ce3"),
        ("ce2+dice", "0.5:half", "tau must be numbers joined by ':', got tau=0.5:half"),
        ("ce2+dice", "", "tau must be numbers joined by ':', got tau="),
        ("ce2+dice", "1", "tau of ce2\\+dice must have the parts ce:dice, got tau=1"),
        ("ce2", "1:0:0", "tau of ce2 must have the parts ce, got tau=1:0:0"),
        ("ce2+dice", "0.5:0.4", "must sum to 1, got 0.5:0.4:0, sum=0.9"),
        ("ce2+dice", "1.5:-0.5", "ce must be in \\[0, 1\\], got ce=1.5"),
        ("ce2+dice", "nan:1", "ce must be in \\[0, 1\\], got ce=nan"),
    ],
)
def test_bad_ratio_is_named(loss, ratio, message):
    with pytest.raises(ValueError, match=message):
        LossWeights.parse(loss, ratio)


def test_sum_of_weights_may_differ_from_one_by_rounding_only():
    assert LossWeights(ce=0.34, dice=0.33, boundary=0.33 + 9e-7).boundary > 0.33
    with pytest.raises(ValueError, match="sum to 1"):
        LossWeights(ce=0.34, dice=0.33, boundary=0.33 + 2e-6)


@given(st.sampled_from(sorted(LOSS_TERMS)), st.data())
def test_a_ratio_read_from_text_is_the_ratio_written(loss, data):
    parts = len(LOSS_TERMS[loss])
    cuts = data.draw(st.lists(st.integers(0, 100), min_size=parts - 1, max_size=parts - 1))
    edges = [0, *sorted(cuts), 100]
    shares = [(high - low) / 100 for low, high in itertools.pairwise(edges)]
    weights = LossWeights.parse(loss, ":".join(map(str, shares)))
    assert [getattr(weights, term) for term in LOSS_TERMS[loss]] == shares
    assert math.isclose(weights.ce + weights.dice + weights.boundary, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "unet"}, "network must be one of fcn_unet, .*, got network=unet"),
        ({"network": "smp:unet"}, "network must be smp:<architecture>:<encoder>"),
        ({"network": "smp:unet:"}, "network must be smp:<architecture>:<encoder>"),
        ({"network": "smp:unet:resnet18:x"}, "network must be smp:<architecture>:<encoder>"),
        ({"loss": "dice"}, "loss must be one of .*, got loss=dice"),
        ({"loss": "ce2+dice"}, "tau of boundary must be 0 in loss ce2\\+dice"),
        ({"boundary": "edge"}, "boundary must be one of balanced_bce, .*, got boundary=edge"),
        ({"weights_in": "dice"}, "weights_in must be one of ce, all, got weights_in=dice"),
        ({"internal_weights": (1.0, 0.0)}, "internal_weight_foreground must be a positive number"),
        ({"internal_weights": (math.inf, 1.0)}, "internal_weight_background must be a positive"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number, got learning_rate=0.0"),
        ({"repeat": -1}, "repeat must be at least 0, got repeat=-1"),
    ],
)
def test_bad_trial_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TRIAL, **changes)


@pytest.mark.parametrize("network", [*NETWORKS, "smp:unet:resnet18"])
def test_networks_of_the_paper_and_of_smp_are_accepted(network):
    assert TrialConfig(network=network).network == network


def test_params_are_flat_and_named():
    assert TRIAL.params() == {
        keys.EXPERIMENT: 25,
        keys.NETWORK: "segformer_b2",
        keys.LOSS: "ce2+dice+boundary",
        keys.TAU_CE: 0.5,
        keys.TAU_DICE: 0.25,
        keys.TAU_BOUNDARY: 0.25,
        keys.BOUNDARY: "balanced_bce",
        keys.INTERNAL_WEIGHTS: "1:1",
        keys.WEIGHTS_IN: "ce",
        keys.PRETRAINED: False,
    }
    free = TrialConfig(network="fcn_unet", internal_weights="balanced")
    assert keys.EXPERIMENT not in free.params()
    assert free.params()[keys.INTERNAL_WEIGHTS] == "balanced"
    second = dataclasses.replace(TRIAL, learning_rate=3e-4, repeat=1)
    assert second.params() == {**TRIAL.params(), keys.LEARNING_RATE: 3e-4, keys.REPEAT: 1}


def test_label_names_network_loss_and_ratio():
    assert TRIAL.label == "segformer_b2 ce2+dice+boundary 0.50:0.25:0.25"
    assert TrialConfig(network="fcn_unet", loss="ce1").label == "fcn_unet ce1"
    second = dataclasses.replace(TRIAL, learning_rate=3e-4, repeat=1)
    assert second.label == f"{TRIAL.label} lr=0.0003 #2"


@pytest.mark.parametrize(
    ("tau", "ratio"),
    [
        ((0.1234, 0.5, 0.3766), "0.1234:0.50:0.3766"),
        ((0.8, 0.101, 0.099), "0.80:0.101:0.099"),
        ((0.0, 1.0, 0.0), "0.00:1.00:0.00"),
    ],
)
def test_a_ratio_has_two_decimals_and_as_many_as_four(tau, ratio):
    weights = LossWeights(ce=tau[0], dice=tau[1], boundary=tau[2])
    assert dataclasses.replace(TRIAL, tau=weights).ratio == ratio


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Budget(name="x", image_size_px=65), "multiple of 32, got image_size_px=65"),
        (lambda: Budget(name="x", image_size_px=0), "multiple of 32, got image_size_px=0"),
        (lambda: Budget(name="x", width=0), "width must be a positive number, got width=0"),
        (lambda: Budget(name="x", max_steps=-1), "max_steps must be a positive number"),
        (lambda: Budget(name="x", batch_size=1), "batch_size must be at least 2"),
        (lambda: Budget(name="x", select_on="train"), "select_on must be one of validation, test"),
        (lambda: OptimizerConfig(learning_rate=0), "learning_rate must be a positive number"),
        (lambda: OptimizerConfig(clip_norm=0), "clip_norm must be a positive number"),
        (lambda: OptimizerConfig(beta2=1.1), "beta2 must be in \\[0, 1\\], got beta2=1.1"),
        (lambda: ScheduleConfig(warmup_share=0.9), "warmup_share must be at most cosine"),
        (lambda: StoppingConfig(plateau_window=1), "plateau_window must be at least 2"),
        (lambda: StoppingConfig(val_iou_above=80), "val_iou_above must be in \\[0, 1\\]"),
        (lambda: AugmentationConfig(scale=(1.2, 0.8)), "scale must be 0 < low <= high"),
        (lambda: AugmentationConfig(crop_share=0), "crop_share must be a positive number"),
        (lambda: AugmentationConfig(rotation_deg=181), "rotation_deg must be in \\[0, 180\\]"),
    ],
)
def test_bad_budget_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_paper_budget_has_the_papers_numbers():
    assert (PAPER_BUDGET.max_steps, PAPER_BUDGET.evaluation_interval) == (50_000, 50)
    assert (PAPER_BUDGET.image_size_px, PAPER_BUDGET.width) == (512, 1.0)
    assert PAPER_BUDGET.optimizer.learning_rate == 1e-4
    stopping = PAPER_BUDGET.stopping
    assert (stopping.train_loss_below, stopping.val_iou_above) == (0.2, 0.8)
    assert (stopping.hardest_iou_above, stopping.plateau_window) == (0.85, 10)
    assert stopping.plateau_fluctuation == 0.001
    assert all(name == budget.name for name, budget in BUDGETS.items())


def test_id_is_the_same_in_another_process():
    program = (
        "from tune_knee.config import *;"
        "tau = LossWeights(ce=0.5, dice=0.25, boundary=0.25);"
        "trial = TrialConfig(network='segformer_b2', loss='ce2+dice+boundary', tau=tau);"
        "print(trial_id(trial, PAPER_BUDGET, 'f'))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == trial_id(TRIAL, PAPER_BUDGET, "f")
    assert re.fullmatch("[0-9a-f]{12}", other.stdout.strip())


def test_id_is_blind_to_the_experiment_number():
    for number in (None, 1):
        relabelled = dataclasses.replace(TRIAL, experiment=number)
        assert trial_id(relabelled, PAPER_BUDGET, "f") == trial_id(TRIAL, PAPER_BUDGET, "f")


def test_id_of_a_plain_trial_stays_what_it_has_been():
    # Studies begun before trials had a learning rate and a repeat of their own go on.
    assert trial_id(TRIAL, PAPER_BUDGET, "f") == "c91639c9ec5f"


def test_id_changes_with_every_other_field_budget_and_fingerprint():
    trials, budgets = ({f.name for f in dataclasses.fields(c)} for c in (TrialConfig, Budget))
    assert set(OTHER_TRIAL) == trials - {"experiment"}
    assert set(OTHER_BUDGET) == budgets
    base = dataclasses.replace(TRIAL, tau=LossWeights(ce=0.5, dice=0.5))
    ids = [trial_id(base, PAPER_BUDGET, "f"), trial_id(base, PAPER_BUDGET, "g")]
    for name, value in OTHER_TRIAL.items():
        ids.append(trial_id(dataclasses.replace(base, **{name: value}), PAPER_BUDGET, "f"))
    for name, value in OTHER_BUDGET.items():
        ids.append(trial_id(base, dataclasses.replace(PAPER_BUDGET, **{name: value}), "f"))
    assert len(set(ids)) == len(ids)


def test_seed_is_a_function_of_the_id_and_fits_every_generator():
    assert trial_seed("a" * 12) == trial_seed("a" * 12) != trial_seed("b" * 12)
    assert all(0 <= trial_seed(str(number)) < 2**32 for number in range(100))
