"""A real MLflow server that can be killed, hang, lose answers, and come back."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], object], timeout_s: float, what: str) -> None:
    ends = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < ends, f"not within {timeout_s} s: {what}"
        time.sleep(0.2)


class Service:
    """A process of ours with all its children, which answers below an address."""

    def __init__(self, command: list[str], probe: str, log: Path, **environment: str) -> None:
        self.command, self.probe, self.log = command, probe, log
        self.environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        if wait:
            wait_until(self.answers, 120, f"{self.probe} answers, see {self.log}")
        return self

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"it ended, see {self.log}"
        try:
            with urllib.request.urlopen(self.probe, timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except (OSError, http.client.HTTPException):
            return False

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def mlflow_server(folder: Path, store: str, artifacts: str, **environment: str) -> Service:
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", store, "--artifacts-destination", artifacts,
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # more processes, of no use
    return Service(command, f"{address}/health", folder / "mlflow.log", **environment)


def address_of(server: Service) -> str:
    return server.probe.removesuffix("/health")


class ForgetfulProxy(ThreadingHTTPServer):
    """Passes requests on; while it forgets, each kind's first answer and every fifth is lost."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forgetful)
        self.target = target.removeprefix("http://")
        self.forgets = False
        self.requests = 0
        self.lost: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Forgetful(BaseHTTPRequestHandler):
    server: ForgetfulProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        onward = http.client.HTTPConnection(self.server.target, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        onward.request(self.command, self.path, body, headers)
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        self.server.requests += self.server.forgets
        kind = self.path.partition("?")[0].rpartition("/")[2]
        if self.server.forgets and (self.server.requests % 5 == 0 or kind not in self.server.lost):
            self.server.lost.append(kind)
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass
