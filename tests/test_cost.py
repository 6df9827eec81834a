import pytest
import torch

from tune_knee import cost
from tune_knee.config import PAPER_BUDGET, PREVIEW_BUDGET, TrialConfig

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("network", "main", "auxiliary"),
    [  # GMAC of MMSegmentation's networks on 512², and of a 3 × 3 convolution by hand
        ("fcn_unet", 202.1, 128 * 64 * 9 * 256**2 / 1e9),
        ("pspnet_r50c", 178.3, 1024 * 256 * 9 * 64**2 / 1e9),
        ("deeplabv3plus_r50c", 176.0, 1024 * 256 * 9 * 64**2 / 1e9),
        ("upernet_r50c", 236.6, 1024 * 256 * 9 * 32**2 / 1e9),
        ("segformer_b2", 25.0, 0),
    ],
)
def test_multiply_adds_are_those_measured_elsewhere(network, main, auxiliary):
    macs = cost.forward_macs(network, PAPER_BUDGET, regions=4)
    assert macs / 1e9 == pytest.approx(main + auxiliary, abs=0.1)


def test_a_narrow_network_on_small_frames_costs_less():
    paper, preview = (
        cost.forward_macs("segformer_b2", budget, regions=4)
        for budget in (PAPER_BUDGET, PREVIEW_BUDGET)
    )
    assert preview < paper / 64 / 8  # an eighth of the side, a quarter of the width


def test_the_speed_is_positive_and_the_threads_are_as_before():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert cost.macs_per_second(PREVIEW_BUDGET, CPU) > 1e6
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_trials_cost_is_three_forward_passes_of_every_frame_of_training(monkeypatch):
    monkeypatch.setattr(cost, "macs_per_second", lambda budget, device: 1e9)
    networks = ("fcn_unet", "segformer_b2", "fcn_unet")
    trials = [TrialConfig(network=name) for name in networks]
    costs = cost.estimate(trials, PREVIEW_BUDGET, regions=2, device=CPU)
    frames = PREVIEW_BUDGET.batch_size * PREVIEW_BUDGET.max_steps
    for name, each in zip(networks, costs, strict=True):
        assert each.macs == 3 * frames * cost.forward_macs(name, PREVIEW_BUDGET, 2)
        assert each.hours == pytest.approx(each.macs / 1e9 / 3600)
