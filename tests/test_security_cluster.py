"""A Ray cluster with a token lets in nobody without: no node, no job, no driver, no browser."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import ray
from listening import command_line, listeners, tree
from tiny_knees import tiny_knees

from tune_knee.data.dataset import write_dataset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc"),
]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
GRID = "{description: x, experiments: [{network: segformer_b2, loss: ce2}]}"


def without_ray() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


@dataclass(frozen=True)
class Head:
    """A running head: its process, ports, token and folder."""

    pid: int
    address: str
    dashboard: str
    token: str | None
    folder: Path

    def environment(self, token: str | None) -> dict[str, str]:
        """Of someone who has this token, or none; with a home without one."""
        home = self.folder / "elsewhere"
        home.mkdir(exist_ok=True)
        base = {**without_ray(), "HOME": str(home), "RAY_TMPDIR": str(self.folder)}
        if token is None:
            return {**base, "RAY_AUTH_MODE": "disabled"}
        return {**base, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}

    def run(self, *command: str, token: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment(token),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            cwd=self.folder,
        )

    def status(self, path: str, token: str | None) -> int:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"http://{self.dashboard}/{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with started_head(secrets.token_hex(32), "--num-gpus=1") as started:
        yield started


@contextmanager
def started_head(token: str | None, *options: str) -> Iterator[Head]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short)
        gcs, dashboard, agent, client = free_ports(4)
        command = [
            *RAY, "start", "--head", "--block", "--num-cpus=1", f"--port={gcs}",
            f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}",
            f"--ray-client-server-port={client}", "--min-worker-port=0", "--max-worker-port=0",
            f"--temp-dir={folder / 'r'}", "--disable-usage-stats", *options,
        ]  # fmt: skip
        environment = {**without_ray(), "RAY_AUTH_MODE": "disabled"}
        if token is not None:
            (folder / "token").write_text(token)
            path = {"RAY_AUTH_TOKEN_PATH": str(folder / "token")}
            environment |= {"RAY_AUTH_MODE": "token", **path}
        with (folder / "said").open("w") as said:
            process = subprocess.Popen(
                command, env=environment, stdout=said, stderr=said, start_new_session=True
            )
        try:
            host = ray.util.get_node_ip_address()
            head = Head(process.pid, f"{host}:{gcs}", f"127.0.0.1:{dashboard}", token, folder)
            wait_until_up(head, process)
            yield head
        finally:
            for pid in tree(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(30)


def wait_until_up(head: Head, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 180
    while True:
        assert process.poll() is None, (head.folder / "said").read_text()
        assert time.monotonic() < deadline, (head.folder / "said").read_text()
        with suppress(OSError):
            if head.status("api/version", head.token) == 200:
                return
        time.sleep(0.5)


def nodes(head: Head) -> int:
    script = (
        f"import ray; ray.init(address={head.address!r}, log_to_driver=False); "
        "print(len([node for node in ray.nodes() if node['Alive']]))"
    )
    found = head.run(sys.executable, "-c", script, token=head.token)
    assert found.returncode == 0, found.stderr
    return int(found.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("token", [None, "0" * 64])
def test_a_node_does_not_join(head: Head, token: str | None) -> None:
    joined = head.run(
        *RAY, "start", f"--address={head.address}", "--min-worker-port=0", "--max-worker-port=0",
        "--dashboard-agent-listen-port=0", "--disable-usage-stats", token=token,
    )  # fmt: skip
    assert joined.returncode != 0
    assert "uthentication" in joined.stdout + joined.stderr
    assert nodes(head) == 1


@pytest.mark.parametrize("token", [None, "0" * 64])
def test_a_job_is_not_taken(head: Head, token: str | None) -> None:
    mark = head.folder / "mark"
    submitted = head.run(
        *RAY, "job", "submit", f"--address=http://{head.dashboard}", "--", "touch", str(mark),
        token=token,
    )  # fmt: skip
    assert submitted.returncode != 0
    assert "uthentication" in submitted.stdout + submitted.stderr
    assert not mark.exists()


def test_a_job_with_the_token_is(head: Head) -> None:
    mark = head.folder / "mark_of_mine"
    submitted = head.run(
        *RAY, "job", "submit", f"--address=http://{head.dashboard}", "--", "touch", str(mark),
        token=head.token,
    )  # fmt: skip
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert mark.exists()


@pytest.mark.parametrize("path", ["api/jobs/", "nodes?view=summary", "api/cluster_status"])
def test_the_dashboard_answers_nothing(head: Head, path: str) -> None:
    assert head.status(path, None) == 401
    assert head.status(path, "0" * 64) == 403
    assert head.status(path, head.token) == 200


@pytest.mark.parametrize("token", [None, "0" * 64])
def test_a_study_says_that_it_was_not_let_in(head: Head, tmp_path: Path, token: str | None) -> None:
    knees = tiny_knees(8, 4, 4)
    write_dataset(tmp_path / "knees", knees.images, knees.masks, knees.frames, knees.regions)
    (tmp_path / "tiny.yaml").write_text(GRID)
    study = head.run(
        sys.executable, "-m", "tune_knee.run", f"--grid={tmp_path / 'tiny.yaml'}",
        f"--data={tmp_path / 'knees'}", f"--out={tmp_path / 'study'}", "--budget=preview",
        f"--address={head.address}", token=token,
    )  # fmt: skip
    assert study.returncode == 2, study.stdout + study.stderr
    assert "--address must be a running Ray cluster with this Ray" in " ".join(study.stderr.split())
    assert "Traceback" not in study.stderr


def planned(head: Head) -> subprocess.CompletedProcess[str]:
    """What a study would do on a cluster, by its first line."""
    found = head.run(
        sys.executable, "-m", "tune_knee.run", "--dry-run", "--network=segformer_b2", "--loss=ce2",
        f"--address={head.address}", token=head.token,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found


def test_a_study_takes_its_budget_from_the_cluster_and_trusts_its_token(head: Head) -> None:
    found = planned(head)
    assert found.stdout.startswith("Budget paper: there is a GPU in the cluster.")
    assert "warning" not in found.stderr


def test_an_open_cluster_is_warned_of_and_one_without_gpu_gets_the_preview() -> None:
    with started_head(None, "--num-gpus=0") as open_head:
        found = planned(open_head)
    assert found.stdout.startswith("Budget preview: there is no GPU in the cluster;")
    assert [line for line in found.stderr.splitlines() if "asks for no token" in line]


def test_no_process_shows_the_token(head: Head) -> None:
    assert not [pid for pid in tree(head.pid) if head.token in command_line(pid)]
    logs = [path for path in (head.folder / "r").rglob("*") if path.is_file()]
    assert len(logs) > 5
    assert not [path for path in logs if head.token.encode() in path.read_bytes()]


METHODS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "ObjectManagerService/Pull",
    "CoreWorkerService/GetCoreWorkerStats",
    "ReporterService/HealthCheck",
    "RayletDriver/ClusterInfo",
)


def test_what_other_machines_reach_asks_for_the_token_or_tells_metrics_alone(head: Head) -> None:
    assert nodes(head) == 1  # all of it is up
    found = {
        each.port: each.process for each in listeners(tree(head.pid)) if each.beyond_this_machine
    }
    assert int(head.dashboard.rpartition(":")[2]) not in found
    host = head.address.rpartition(":")[0]
    open_to_all = []
    for port, process in found.items():
        codes = grpc_codes(f"{host}:{port}")
        if codes == {"UNAVAILABLE"}:  # not gRPC
            status, text = http_answer(f"{host}:{port}")
            assert status == 401 or text.startswith("# HELP"), (process, status, text)
            open_to_all += [process] * (status != 401)
        else:
            assert "UNAUTHENTICATED" in codes, (process, codes)
            assert codes <= {"UNAUTHENTICATED", "UNIMPLEMENTED"}, (process, codes)
    assert 1 <= len(open_to_all) <= 3  # metrics of autoscaler, dashboard and the node's agent


def grpc_codes(address: str) -> set[str]:
    """How a server answers to calls without a token."""
    codes = set()
    with grpc.insecure_channel(address) as channel:
        for method in METHODS:
            try:
                channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=10)
                codes.add("OK")
            except grpc.RpcError as error:
                codes.add(error.code().name)
    return codes


def http_answer(address: str) -> tuple[int, str]:
    """Status and beginning of what a server says without a token."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as found:
            return int(found.status), found.read(200).decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
