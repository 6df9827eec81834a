"""How much of a GPU a trial takes: as many trials on one as fit into its memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

KIND_LABEL: Final = "ray.io/accelerator-type"
# A trial leaves this share of its part to the test of a finished one, which else would
# wait behind all trials.
TEST_SHARE: Final = 0.1
# A probe of a few steps may miss the largest one.
_MARGIN: Final = 1.1
# CUDA's context, its kernels and libraries, which PyTorch's counters do not see.
_CONTEXT_BYTES: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class TrialResources:
    """What a trial takes of the machine it is on.

    Attributes:
        cpus: CPUs.
        gpus: share of one GPU, tests of finished trials included; 0 trains on the CPU.
        kinds: names of the kinds of GPU that it fits on, as Ray has them; empty for all.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    kinds: tuple[str, ...] = ()

    def bundle(self) -> dict[str, float]:
        """What Ray has to keep free for its training."""
        if not self.gpus:
            return {"CPU": self.cpus}
        return {"CPU": self.cpus, "GPU": self.gpus * (1 - TEST_SHARE)}

    def selector(self) -> dict[str, str]:
        """Labels that Ray wants of its node."""
        if not self.kinds:
            return {}
        return {KIND_LABEL: f"in({','.join(self.kinds)})"}


def trials_per_gpu(peak_bytes: int, gpu_bytes: int) -> int:
    """Trials that fit on one GPU at a time; 0 if not even one does.

    floor((1 - 0.1) · GPU / (1.1 · peak + 1 GiB)): a tenth is for tests, a tenth is margin,
    and each process needs about 1 GiB for CUDA itself.

    Args:
        peak_bytes: most that a trial's tensors took.
        gpu_bytes: the GPU's memory.
    """
    needed = _MARGIN * peak_bytes + _CONTEXT_BYTES
    return int((1 - TEST_SHARE) * gpu_bytes / needed)


def fitting(network: str, peak_bytes: int, gpus: Mapping[str, int]) -> TrialResources:
    """What a network's trials take in a cluster whose GPUs may differ.

    Ray reserves a share of whatever GPU it finds, so the smallest that holds a trial sets
    the share, and kinds that are too small are left out.

    Args:
        network: its name, for the error.
        peak_bytes: most that a trial's tensors took.
        gpus: memory in bytes by kind of GPU.

    Raises:
        ValueError: if it fits on none.
    """
    fits = {kind: trials_per_gpu(peak_bytes, size) for kind, size in gpus.items()}
    held = {kind: count for kind, count in fits.items() if count}
    if not held:
        raise ValueError(
            f"a GPU must hold a trial of {network}, which took {peak_bytes / 2**30:.1f} GiB in the "
            f"probe, got at most {max(gpus.values()) / 2**30:.1f} GiB; lower batch_size in the "
            "grid's budget"
        )
    kinds = () if len(held) == len(gpus) else tuple(sorted(held))
    return TrialResources(gpus=1 / min(held.values()), kinds=kinds)


def bigger(share: float) -> float | None:
    """The share of a GPU to try once more with after it was too little; None if it had all."""
    return min(1.0, 2 * share) if share < 1 else None


def trials_at_a_time(takes: TrialResources, nodes: Iterable[Mapping[str, Any]]) -> int:
    """Trials that a cluster has room for.

    Args:
        takes: what each takes.
        nodes: of the cluster, as ``ray.nodes()`` describes them.
    """
    room = 0
    for node in nodes:
        offered, labels = node["Resources"], node["Labels"]
        trials = int(offered.get("CPU", 0) / takes.cpus)
        if takes.gpus:  # a trial needs its share of one GPU, not bits of several
            trials = min(trials, int(offered.get("GPU", 0)) * int(1 / takes.gpus + 1e-6))
        if not takes.kinds or labels.get(KIND_LABEL) in takes.kinds:
            room += trials
    return room
