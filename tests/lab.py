"""A lab's cluster on hosts of this machine: Ray, MLflow on PostgreSQL, an S3 store."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from hosts import SUBNET, Host, Hosts, wait_until
from listening import command_line

RAY = Path(sys.executable).parent / "ray"
RAY_PORT, MLFLOW_PORT, STORE_PORT, POSTGRES_PORT = 6379, 5000, 9000, 5432
BUCKET = "knees"
WORKERS = ("one", "two")
# A dead node is noticed in about 10 s instead of a minute.
_NOTICES_SOON = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}
# Hosts share this machine's memory: each would kill its trials for what anything else takes.
_LEAVES_MEMORY_ALONE = {"RAY_memory_monitor_refresh_ms": "0"}


def postgres_programs() -> Path | None:
    """Folder of initdb and postgres, as Debian has them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return found[-1] if found else None


class Lab:
    """Four hosts: head (where studies are started), two workers, and the store of results."""

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        self.folder, self.hosts = folder, hosts
        # Not in the folder: another pytest would forbid pytest's own to all users but its own.
        self.database = Path(tempfile.mkdtemp(prefix="tune-knee-postgres-"))
        self.head, self.store = hosts["head"], hosts["store"]
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))}
        self.environment = {
            **kept,
            **_NOTICES_SOON,
            **_LEAVES_MEMORY_ALONE,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "AWS_ACCESS_KEY_ID": "knees",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "OMP_NUM_THREADS": "1",
        }

    @property
    def address(self) -> str:
        return f"{self.head.address}:{RAY_PORT}"

    @property
    def tracking_uri(self) -> str:
        return f"http://{self.store.address}:{MLFLOW_PORT}"

    @property
    def postgres_uri(self) -> str:
        return f"postgresql+psycopg2://mlflow@{self.store.address}:{POSTGRES_PORT}/mlflow"

    def bucket(self, prefix: str) -> str:
        """A place for checkpoints, as ``--storage`` takes it."""
        server = f"{self.store.address}:{STORE_PORT}"
        return f"s3://{BUCKET}/{prefix}?scheme=http&endpoint_override={server}"

    def repair(self) -> None:
        """Cables in, no driver, Ray on head and workers."""
        for host in self.hosts.hosts.values():
            host.restore()
        if "driver" in self.head.processes:
            self.head.kill("driver")
        gone = {name for name in ("head", *WORKERS) if not self.ray_runs(name)}
        if "head" in gone:
            gone.update(WORKERS)
        for name in gone:
            if f"ray-{name}" in self.hosts[name].processes:
                self.kill_ray(name)
        if "head" in gone:
            self._ray("head", "--head", "--port", RAY_PORT, "--num-cpus", 0,
                      "--temp-dir", self.sessions, "--include-dashboard", "false")  # fmt: skip
        for name in sorted(gone.difference({"head"})):
            self._ray(name, "--address", self.address, "--num-cpus", 1)

    @property
    def sessions(self) -> Path:
        """Short: Ray has sockets below it."""
        return Path("/tmp") / f"lab{os.getpid()}"

    def kill_ray(self, name: str) -> None:
        self.hosts[name].kill(f"ray-{name}")

    def ray_runs(self, name: str) -> bool:
        return self.hosts[name].runs(f"ray-{name}")

    def training_on(self, name: str) -> list[int]:
        """Processes that train on a host."""
        return [pid for pid in self.hosts[name].pids() if "KneeTrial" in command_line(pid)]

    def _ray(self, name: str, *arguments: object) -> None:
        host, log = self.hosts[name], self.folder / f"ray-{name}.log"
        before = starts(log)
        host.start(
            f"ray-{name}", RAY, "start", "--block", "--node-ip-address", host.address,
            "--object-store-memory", 80_000_000, *arguments, environment=self.environment,
        )  # fmt: skip
        wait_until(lambda: starts(log) > before, 300, f"Ray on {name}")

    def start_store(self) -> None:
        """Start what does not run of PostgreSQL, S3 and MLflow."""
        services = {"postgres": self._postgres, "s3": self._s3, "mlflow": self._mlflow}
        for name, start in services.items():
            if not self.store.runs(name):
                start()

    def _postgres(self) -> None:
        programs, data = postgres_programs(), self.database / "data"
        assert programs is not None
        as_postgres = ("runuser", "-u", "postgres", "--")
        if not data.exists():
            shutil.chown(self.database, "postgres", "postgres")
            subprocess.run([*as_postgres, programs / "initdb", "-D", data, "--auth", "trust",
                            "-U", "mlflow"], check=True, capture_output=True)  # fmt: skip
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all mlflow {SUBNET}.0/24 trust\n")
        self.store.start(
            "postgres", *as_postgres, programs / "postgres", "-D", data, "-k", "",
            "-h", self.store.address, "-p", POSTGRES_PORT, environment=self.environment,
        )  # fmt: skip
        wait_until(lambda: self._sql(programs, "SELECT 1"), 60, "PostgreSQL")
        self._sql(programs, "CREATE DATABASE mlflow")

    def _sql(self, programs: Path, command: str) -> bool:
        return not self.store.run(
            programs / "psql", "-h", self.store.address, "-U", "mlflow", "-d", "postgres",
            "-c", command, environment=self.environment,
        ).returncode  # fmt: skip

    def _s3(self) -> None:
        self.store.start("s3", sys.executable, "-m", "moto.server", "-H", self.store.address,
                         "-p", STORE_PORT, environment=self.environment)  # fmt: skip
        wait_until(lambda: listens(self.store, STORE_PORT), 300, "the S3 server")
        make_bucket = (
            "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1])"
            f".create_bucket(Bucket='{BUCKET}')"
        )
        made = self.store.run(
            sys.executable, "-c", make_bucket, f"http://{self.store.address}:{STORE_PORT}",
            environment=self.environment,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def _mlflow(self) -> None:
        endpoint = {"MLFLOW_S3_ENDPOINT_URL": f"http://{self.store.address}:{STORE_PORT}"}
        self.store.start(
            "mlflow", sys.executable, "-m", "mlflow", "server", "--host", self.store.address,
            "--port", MLFLOW_PORT, "--workers", 1, "--backend-store-uri", self.postgres_uri,
            "--artifacts-destination", f"s3://{BUCKET}/mlflow",
            environment={**self.environment, **endpoint},
        )  # fmt: skip
        wait_until(self._mlflow_answers, 300, "MLflow")

    def _mlflow_answers(self) -> bool:
        """Its first answer takes long, as it reads its tables then."""
        asked = urllib.request.Request(
            f"{self.tracking_uri}/api/2.0/mlflow/experiments/search",
            data=b'{"max_results": 1}',
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=5):
                return True
        except OSError:
            return False

    def start_study(self, *arguments: object) -> None:
        """The driver, on the head."""
        self.head.start("driver", sys.executable, "-m", "tune_knee.run", *arguments,
                        "--address", self.address, environment=self.environment)  # fmt: skip

    def kill_driver(self) -> None:
        """kill -9 of the driver alone; what waits beside it for its end says its word."""
        driver = self.head.processes["driver"]
        driver.kill()
        driver.wait()

    def resume_command(self, out: Path) -> str:
        """What a study says when it stops."""
        return f"python -m tune_knee.run --resume --out {out} --address {self.address}"

    def ended(self, timeout_s: float = 1200) -> int:
        """The driver's exit status."""
        return self.head.processes["driver"].wait(timeout_s)

    def said(self) -> str:
        """What the driver has printed last, in one line."""
        return " ".join((self.folder / "driver.log").read_text()[-3000:].split())

    def trained(self, storage: Path | None = None) -> Counter[tuple[str, str]]:
        """How often each validation interval was trained, by trial and step.

        Args:
            storage: folder of the checkpoints, with the trials' logs; None looks into Ray's,
                which know all studies.
        """
        if storage is not None:
            logs = set(storage.glob("trials/*/train.log"))
        else:
            found = self.sessions.glob("session_*/logs/worker-*.err")
            logs = {log.resolve() for log in found}  # the latest session has two names
        return Counter(trained_intervals(logs))


def repeated(trained: Counter[tuple[str, str]]) -> int:
    """How many validation intervals were trained once more, in all trials."""
    return sum(times - 1 for times in trained.values())


def trained_intervals(logs: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Trial and step of every validation that the logs tell of."""
    line = re.compile(r"INFO (.+) step (\d+): loss ")
    for log in logs:
        for found in line.finditer(log.read_text()):
            yield found[1], found[2]


def starts(log: Path) -> int:
    """How often Ray has started, by its log."""
    return log.read_text().count("Ray runtime started") if log.exists() else 0


def listens(host: Host, port: int) -> bool:
    """Whether a host answers at a port, asked from this machine's end of the network."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host.address, port)) == 0


@contextlib.contextmanager
def lab_of_hosts(folder: Path) -> Iterator[Lab]:
    """Hosts on which `Lab.repair` and `Lab.start_store` start all; takes all of it away."""
    with Hosts(["head", *WORKERS, "store"], folder) as hosts:
        lab = Lab(folder, hosts)
        try:
            yield lab
        finally:
            for host in hosts.hosts.values():
                host.close()
            for left in (lab.sessions, lab.database):
                shutil.rmtree(left, ignore_errors=True)
