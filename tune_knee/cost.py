"""What a study will take, before it starts: multiply-adds, and hours by a rough measure."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tune_knee.config import Budget, TrialConfig
from tune_knee.networks import build_network

_BACKWARD: Final = 2  # a backward pass costs twice the forward pass
_CALIBRATION_CHANNELS: Final = 128
_CALIBRATION_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Work of one trial at its maximum of steps; early stopping only makes it less.

    Attributes:
        macs: multiply-adds of all forward and backward passes of training.
        hours: time of them at the speed of a plain convolution on this machine, one
            trial on one CPU core or GPU. A rough figure: validation, augmentation and
            memory traffic come on top.
    """

    macs: float
    hours: float


def forward_macs(network: str, budget: Budget, regions: int) -> float:
    """Multiply-adds of one frame through a network's forward pass, auxiliary head included."""
    with torch.device("meta"):
        model = build_network(network, regions=regions, width=budget.width).eval()
        frame = torch.empty(1, 1, budget.image_size_px, budget.image_size_px)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.head_logits(frame)
    return float(counter.get_total_flops()) / 2


def macs_per_second(budget: Budget, device: torch.device) -> float:
    """Speed of one device at training a convolution of the budget's width, measured now."""
    channels = max(8, int(_CALIBRATION_CHANNELS * budget.width))
    size = budget.image_size_px // 8
    convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(device)
    features = torch.randn(budget.batch_size, channels, size, size, device=device)
    macs = (1 + _BACKWARD) * budget.batch_size * size**2 * 9 * channels**2
    features.requires_grad_()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        passes, started = -2, time.perf_counter()  # two to warm up
        while passes < 1 or time.perf_counter() - started < _CALIBRATION_S:
            if passes == 0:
                started = time.perf_counter()
            convolution(features).sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            passes += 1
        return passes * macs / (time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)


def estimate(
    trials: Iterable[TrialConfig], budget: Budget, *, regions: int, device: torch.device
) -> list[Cost]:
    """Cost of each trial, in their order."""
    speed = macs_per_second(budget, device)
    per_frame: dict[str, float] = {}
    costs = []
    for trial in trials:
        if trial.network not in per_frame:
            per_frame[trial.network] = forward_macs(trial.network, budget, regions)
        frames = budget.batch_size * budget.max_steps
        macs = per_frame[trial.network] * frames * (1 + _BACKWARD)
        costs.append(Cost(macs=macs, hours=macs / speed / 3600))
    return costs
