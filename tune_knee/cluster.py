"""Start Ray here or join a cluster, and plan how many trials it holds at a time."""

import os
import socket
from dataclasses import dataclass
from typing import Any, Final

import grpc
import ray

from tune_knee import preflight
from tune_knee.cli import AUTO, Arguments
from tune_knee.gpu_probe import measure_shares
from tune_knee.gpu_share import TrialResources, trials_at_a_time
from tune_knee.local_ray import start_local_ray
from tune_knee.opening import OpenedStudy
from tune_knee.storage_probe import probe_nodes
from tune_knee.study_plan import StudyPlan

_ANSWERS_WITHIN_S: Final = 10.0
_SETTINGS: Final[dict[str, Any]] = {"log_to_driver": False, "configure_logging": False}
_HARMLESS: Final = "/ray.rpc.NodeInfoGcsService/CheckAlive"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A Ray cluster that this process has joined.

    Attributes:
        dashboard: its address; empty if there is none.
        gpus: that its nodes offer now.
        asks_for_token: it lets in nobody without its token, or without a certificate.
    """

    dashboard: str
    gpus: float
    asks_for_token: bool


def join_cluster(address: str | None) -> Cluster | None:
    """Join the cluster at an address; None if none is named.

    Args:
        address: of a running cluster, or ``auto`` for one on this machine; None means the
            one that RAY_ADDRESS names, if it names one.

    Raises:
        ValueError: if there is no cluster, or it does not let us in.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if address in (None, "local"):
        return None
    if address != AUTO:
        _require_head(address)
    try:
        context = ray.init(address=address, **_SETTINGS)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise ValueError(
            f"--address must be a running Ray cluster with this Ray ({ray.__version__}) and "
            f"token, got address={address}: {str(error).strip().splitlines()[0]}"
        ) from error
    return Cluster(
        dashboard=str(context.dashboard_url or ""),
        gpus=ray.cluster_resources().get("GPU", 0.0),  # type: ignore[no-untyped-call]
        asks_for_token=_answer(ray.get_runtime_context().gcs_address) != grpc.StatusCode.OK,
    )


def start_ray() -> str:
    """Start Ray on this machine alone; its dashboard's address.

    Raises:
        ValueError: if the folder for its sessions belongs to somebody else.
    """
    return start_local_ray(**_SETTINGS)


def _answer(head: str) -> grpc.StatusCode:
    """What a cluster's head says to a call that bears neither token nor certificate."""
    with grpc.insecure_channel(head) as channel:
        try:
            channel.unary_unary(_HARMLESS)(b"", timeout=_ANSWERS_WITHIN_S)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def _require_head(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "//" in host:
        raise ValueError(f"--address must be HOST:PORT or {AUTO}, got address={address}")
    try:
        socket.create_connection((host, int(port)), _ANSWERS_WITHIN_S).close()
    except OSError as error:
        raise ValueError(
            f"--address must be a running Ray cluster, got address={address}: {error}; "
            "start one with ray start --head"
        ) from error
    uses_tls = os.environ.get("RAY_USE_TLS", "").lower() in ("1", "true")
    if not uses_tls and _answer(address) == grpc.StatusCode.UNAVAILABLE:
        raise ValueError(
            f"--address must be a running Ray cluster's head, got address={address}, where "
            "something else listens, or a head with TLS; for that set RAY_USE_TLS=1 and the "
            "RAY_TLS_* of docs/security.md here too"
        )


def plan_study(arguments: Arguments, opened: OpenedStudy) -> StudyPlan:
    """How many trials at a time, and what each takes of this Ray cluster; probes its nodes.

    Raises:
        ValueError: if the cluster has not what the study needs.
    """
    manifest = opened.manifest
    probe_nodes(opened.storage, manifest.study_id)
    resources = _resources(arguments.gpus_per_trial, opened)
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    room = {network: trials_at_a_time(takes, nodes) for network, takes in resources.items()}
    for network, trials in room.items():
        if not trials:
            raise ValueError(
                f"a node of Ray must offer {resources[network].bundle()} for a trial of {network}, "
                f"got {[node['Resources'] for node in nodes]}; lower --gpus-per-trial"
            )
    most = max(room.values())
    concurrent = arguments.max_concurrent or most
    if concurrent > most and arguments.address is None:
        raise ValueError(
            f"Ray must have room for {concurrent} trials at a time, got room for {most}; "
            "lower --max-concurrent or --gpus-per-trial"
        )
    return StudyPlan(
        root=opened.out,
        study_id=manifest.study_id,
        storage=opened.storage,
        trials=manifest.trials_by_id(),
        budget=manifest.budget,
        fingerprint=manifest.fingerprint,
        hardest_region=preflight.hardest_region(manifest.budget.stopping, opened.dataset),
        max_concurrent=concurrent,
        resources=resources,
    )


def _resources(gpus: float | str | None, opened: OpenedStudy) -> dict[str, TrialResources]:
    """By network, as asked for: a share of a GPU, or what it measures; else a whole one."""
    networks = opened.manifest.networks
    if gpus == AUTO:
        return measure_shares(networks, opened.manifest.budget, opened.dataset)
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0  # type: ignore[no-untyped-call]
    return {network: TrialResources(gpus=float(gpus)) for network in networks}
