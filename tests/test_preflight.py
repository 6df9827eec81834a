from collections import namedtuple

import pytest
from tiny_knees import tiny_budget, tiny_knees

from tune_knee import preflight
from tune_knee.config import PAPER_BUDGET, PREVIEW_BUDGET, TrialConfig
from tune_knee.networks import build_network
from tune_knee.training_config import StoppingConfig


@pytest.mark.parametrize("asked", [None, "auto"])
@pytest.mark.parametrize(
    ("gpu_here", "cluster_gpus", "budget", "why"),
    [
        (True, None, PAPER_BUDGET, "there is a GPU"),
        (False, None, PREVIEW_BUDGET, "there is no GPU; --budget paper trains at full size"),
        (False, 0.5, PAPER_BUDGET, "there is a GPU in the cluster"),
        (True, 0.0, PREVIEW_BUDGET, "there is no GPU in the cluster; --budget paper"),
    ],
)
def test_the_budget_fits_what_trains(asked, gpu_here, cluster_gpus, budget, why, monkeypatch):
    monkeypatch.setattr(preflight.torch.cuda, "is_available", lambda: gpu_here)
    chosen, reason = preflight.choose_budget(asked, cluster_gpus=cluster_gpus)
    assert chosen == budget
    assert reason.startswith(why)


def test_a_budget_that_is_asked_for_is_taken_whatever_there_is():
    for gpus in (None, 0.0, 8.0):
        assert preflight.choose_budget("preview", cluster_gpus=gpus) == (
            PREVIEW_BUDGET,
            "asked for",
        )


def test_the_hardest_region_is_the_smallest_in_training():
    dataset = tiny_knees()
    disc, bar = dataset.areas_px()
    assert bar < disc
    assert preflight.hardest_region(StoppingConfig(), dataset) == "bar"


def test_the_hardest_region_can_be_named():
    stopping = StoppingConfig(hardest_region="disc")
    assert preflight.hardest_region(stopping, tiny_knees()) == "disc"


def test_a_hardest_region_that_the_data_lacks_is_refused():
    with pytest.raises(ValueError, match="must be one of disc, bar, got hardest_region=femur"):
        preflight.hardest_region(StoppingConfig(hardest_region="femur"), tiny_knees())


@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_empty_split_is_refused(split):
    with pytest.raises(ValueError, match=f"must hold frames, got none in split={split}"):
        preflight.check_dataset(tiny_knees(**{split: 0}), tiny_budget())


@pytest.mark.parametrize("train", [0, 3])
def test_training_must_hold_a_batch(train):
    with pytest.raises(ValueError, match=f"must hold a batch of 4 frames, got {train}"):
        preflight.check_dataset(tiny_knees(train=train), tiny_budget(batch_size=4))


def test_a_data_set_that_just_fits_is_taken():
    dataset = tiny_knees(train=4, validation=1, test=1)
    preflight.check_dataset(dataset, tiny_budget(batch_size=4))


def test_a_region_absent_from_training_is_named():
    dataset = tiny_knees()
    dataset.masks[dataset.indices("train")] &= 1
    with pytest.raises(ValueError, match="must occur in training, got none of region=bar"):
        preflight.check_dataset(dataset, tiny_budget())


def test_disk_is_needed_for_five_copies_of_every_trials_weights():
    trials = [
        TrialConfig(network="segformer_b2", loss="ce1"),
        TrialConfig(network="segformer_b2", loss="ce2"),
        TrialConfig(network="fcn_unet"),
    ]
    weights = {
        name: sum(p.numel() for p in build_network(name, regions=3, width=0.25).parameters())
        for name in ("segformer_b2", "fcn_unet")
    }
    nothing = preflight.disk_needed([], tiny_budget(), regions=3)
    needed = preflight.disk_needed(trials, tiny_budget(), regions=3)
    expected = 4 * 5 * (2 * weights["segformer_b2"] + weights["fcn_unet"])
    assert needed - nothing == expected
    assert nothing > 0


Usage = namedtuple("Usage", "total used free")


def test_a_disk_with_just_enough_room_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(0, 0, 3 * 2**30))
    preflight.check_disk(tmp_path, 3 * 2**30)
    with pytest.raises(ValueError, match=r"must have 3\.0 GiB free .* got 3\.0 GiB at "):
        preflight.check_disk(tmp_path, 3 * 2**30 + 1)
