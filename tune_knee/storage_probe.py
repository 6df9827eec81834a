"""Before a study starts: every node must see its storage, and run the same software."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_knee.storage import S3Storage, Storage
from tune_knee.storage_mark import MARK, mark

_TIMEOUT_S: Final = 120.0
_PATIENCE_S: Final = 10.0


@dataclass(frozen=True)
class Seen:
    """What a node finds.

    Attributes:
        mark: the study's id that it reads in the storage; None if it reads none.
        versions: of what all nodes must have alike.
        error: why it could not write; empty if it could.
    """

    mark: str | None
    versions: Mapping[str, str]
    error: str = ""


def versions() -> dict[str, str]:
    """Versions of what must be alike on all nodes, for a study to be one."""
    packages = {name: version(name) for name in ("tune-knee", "torch", "numpy")}
    return {"python": platform.python_version(), **packages}


def look(storage: Storage, node: str) -> Seen:
    """What this node sees of a storage; runs on each of them."""
    try:
        mark = storage.read(MARK)
        storage.write(f"probe-{node}", lambda file: file.write(node.encode()))
    except OSError as error:
        return Seen(None, versions(), f"{type(error).__name__}: {error}")
    return Seen(None if mark is None else mark.decode(), versions())


def probe_nodes(storage: Storage, study_id: str) -> None:
    """Have every node of the cluster read and write the storage.

    Raises:
        ValueError: if one cannot, or has other versions than the driver; names each.
    """
    if isinstance(storage, S3Storage):
        storage = replace(storage, patience_s=_PATIENCE_S)
    mark(storage, study_id)
    nodes = {node["NodeID"]: _name(node) for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]
    remote: Any = ray.remote(look)
    asked = {
        node: remote.options(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        ).remote(storage, node)
        for node in nodes
    }
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=_TIMEOUT_S)
    problems = []
    for node, reference in asked.items():
        problem = _problem(reference, study_id)
        if problem:
            problems.append(f"{nodes[node]} {problem}")
        elif storage.read(f"probe-{node}") != node.encode():
            problems.append(f"{nodes[node]} writes to a place of its own")
        storage.remove(f"probe-{node}")
    if problems:
        raise ValueError(
            f"every node must read and write the study's storage {storage} with the driver's "
            f"software, got {'; '.join(problems)}; mend the nodes, or name with --storage a "
            "folder that all share, or a bucket"
        )


def _problem(reference: "ray.ObjectRef[Seen]", study_id: str) -> str:
    try:
        seen = ray.get(reference, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return f"gave no answer in {_TIMEOUT_S:.0f} s"
    except ray.exceptions.RayError as error:
        return f"cannot run tune_knee: {str(error).strip().splitlines()[-1]}"
    if seen.error:
        return f"cannot write there: {seen.error}"
    if seen.mark != study_id:
        return "does not see it"
    other = [f"{name} {seen.versions[name]}" for name, mine in versions().items()
             if seen.versions[name] != mine]  # fmt: skip
    return f"has {', '.join(other)}" if other else ""


def _name(node: Mapping[str, Any]) -> str:
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
