"""Several hosts on this machine: network namespaces, each with an address of its own.

Needs root and iproute2. Processes of different hosts share the disk and nothing of the network.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from listening import tree

SUBNET = f"10.78.{os.getpid() % 256}"  # two runs of tests at once have each their own


def can_make_hosts() -> str:
    """Why hosts cannot be made here; empty if they can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    probe = f"tk-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces are not allowed here: {made.stderr.strip()}"
    ip("netns", "del", probe)
    return ""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def wait_until(holds: Callable[[], object], timeout_s: float, what: str) -> None:
    ends = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(0.2)


class Host:
    """One host: what it runs, and its cable."""

    def __init__(self, namespace: str, cable: str, address: str, logs: Path) -> None:
        self.namespace, self.cable, self.address, self._logs = namespace, cable, address, logs
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, *arguments: object) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *map(str, arguments)]

    def start(self, name: str, *arguments: object, environment: Mapping[str, str]) -> None:
        """Start a process, and all its children, in a group of their own."""
        log = (self._logs / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            self.command(*arguments),
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        log.close()

    def run(
        self, *arguments: object, environment: Mapping[str, str], timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            env=dict(environment),
            timeout=timeout_s,
        )

    def runs(self, name: str) -> bool:
        """Whether a process of this name was started and has not ended."""
        return name in self.processes and self.processes[name].poll() is None

    def pids(self) -> list[int]:
        """All that runs here."""
        found = subprocess.run(
            ["ip", "netns", "pids", self.namespace], capture_output=True, text=True
        )
        return [int(pid) for pid in found.stdout.split()]

    def kill(self, name: str) -> None:
        """kill -9, children that left its group included."""
        process = self.processes.pop(name)
        for child in tree(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        process.wait()

    @contextlib.contextmanager
    def silent(self, name: str) -> Iterator[None]:
        """Inside, a process and all below it take connections and answer nothing."""
        stopped = tree(self.processes[name].pid)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def cut(self) -> None:
        """Pull the cable."""
        ip("link", "set", self.cable, "down")

    def restore(self) -> None:
        """Put the cable in again."""
        ip("link", "set", self.cable, "up")

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Hosts:
    """Hosts on one network; a context that takes all of it away again."""

    def __init__(self, names: Sequence[str], logs: Path) -> None:
        self._prefix = f"tk{os.getpid() % 10_000}"
        self._network = f"{self._prefix}-net"
        self.hosts = {
            name: Host(f"{self._prefix}-{name}", f"{self._prefix}v{n}", f"{SUBNET}.{n + 1}", logs)
            for n, name in enumerate(names)
        }

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __enter__(self) -> "Hosts":
        bridge = self._network
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{SUBNET}.254/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for host in self.hosts.values():
            ip("netns", "add", host.namespace)
            ip("link", "add", host.cable, "type", "veth", "peer", "eth0", "netns", host.namespace)
            ip("link", "set", host.cable, "master", bridge, "up")
            inside = ("-n", host.namespace)
            ip(*inside, "addr", "add", f"{host.address}/24", "dev", "eth0")
            ip(*inside, "link", "set", "eth0", "up")
            ip(*inside, "link", "set", "lo", "up")
        return self

    def __exit__(self, *error: object) -> None:
        for host in self.hosts.values():
            host.close()
            ip("netns", "del", host.namespace)
        ip("link", "del", self._network)
