"""Measure on the cluster's own GPUs how much memory a trial of each network takes."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_knee.config import Budget, LossWeights, TrialConfig
from tune_knee.data.dataset import KneeDataset
from tune_knee.gpu_share import KIND_LABEL, TrialResources, fitting
from tune_knee.training import Trainer

log = logging.getLogger(__name__)

_STEPS = 3
# All three terms: no other loss of a network takes more.
_LOSS, _TAU = "ce2+dice+boundary", LossWeights(ce=0.34, dice=0.33, boundary=0.33)


def peak_bytes(network: str, budget: Budget, dataset: KneeDataset) -> int:
    """Most memory that PyTorch held in a few steps and a validation, on this process's GPU."""
    trial = TrialConfig(network=network, loss=_LOSS, tau=_TAU)
    short = replace(budget, evaluation_interval=_STEPS)
    trainer = Trainer(trial, short, dataset, seed=0, device=torch.device("cuda"))
    torch.cuda.reset_peak_memory_stats()
    trainer.run_interval()
    return torch.cuda.max_memory_reserved()


def gpu_bytes() -> int:
    """Memory of this process's GPU."""
    return torch.cuda.get_device_properties(0).total_memory


def measure_shares(
    networks: Iterable[str], budget: Budget, dataset: KneeDataset
) -> dict[str, TrialResources]:
    """What a trial of each network takes, so that as many as fit share a GPU.

    Each network trains a few steps on a GPU of the largest kind; takes minutes at most.

    Raises:
        ValueError: if there is no GPU, or a network fits on none.
    """
    kinds = _gpu_kinds()
    if not kinds:
        raise ValueError(
            "--gpus-per-trial auto must have a GPU to measure, got none in the cluster; "
            "leave it out to train on CPUs"
        )
    size: Any = ray.remote(gpu_bytes)
    sizes = ray.get([size.options(num_gpus=1, scheduling_strategy=at).remote()
                     for at in kinds.values()])  # fmt: skip
    gpus = dict(zip(kinds, sizes, strict=True))
    largest = kinds[max(gpus, key=lambda kind: gpus[kind])]
    shared, names = ray.put(dataset), list(networks)
    # A process of its own each: what one leaves in the allocator would count for the next.
    peak: Any = ray.remote(peak_bytes).options(num_gpus=1, max_calls=1, scheduling_strategy=largest)
    try:
        peaks = ray.get([peak.remote(name, budget, shared) for name in names])
    except torch.OutOfMemoryError as error:
        raise ValueError(
            f"a GPU must hold a trial of every network, got {str(error).splitlines()[0]}; "
            "lower batch_size in the grid's budget"
        ) from error
    found = {}
    for name, bytes_taken in zip(names, peaks, strict=True):
        found[name] = fitting(name, bytes_taken, gpus)
        log.info(
            "%s took %.2f GiB of GPU memory: %d trials a GPU",
            name, bytes_taken / 2**30, round(1 / found[name].gpus),
        )  # fmt: skip
    return found


def _gpu_kinds() -> Mapping[str, NodeAffinitySchedulingStrategy]:
    """A node with each kind of GPU, by its name in Ray."""
    found: dict[str, NodeAffinitySchedulingStrategy] = {}
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"] and node["Resources"].get("GPU", 0):
            kind = node["Labels"].get(KIND_LABEL, "unknown")
            found.setdefault(kind, NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
    return found
