"""MLflow, its database and its artifact store go away in the middle; nothing of it is seen."""

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import (
    ForgetfulProxy,
    Service,
    address_of,
    free_port,
    mlflow_server,
    wait_until,
)
from tiny_knees import tiny_knees

from tune_knee import delivery, keys
from tune_knee.config import PREVIEW_BUDGET, TrialConfig
from tune_knee.data.dataset import write_dataset
from tune_knee.model_sources import find_models
from tune_knee.tracking import StudyTracker, headline_series

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TRIALS = ("t1", "t2", "t3")
STEPS = 100
POINTS = "SELECT t.value, m.key, m.step FROM metrics m JOIN tags t ON t.run_uuid = m.run_uuid"
OF_TRIALS = f"{POINTS} WHERE t.key = '{keys.TAG_TRIAL}'"
NAMES = headline_series(("femur",))

Query = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


def track(uri: str, folder: Path) -> StudyTracker:
    return StudyTracker(
        uri,
        "knees",
        study_id="s1",
        outbox=folder / "unsent.jsonl",
        budget=PREVIEW_BUDGET,
        fingerprint="f1",
        regions=("femur",),
        artifact_root=None,
        manifest={"grid": "paper"},
    )


def stream(
    tracker: StudyTracker, folder: Path, at: Mapping[int, Callable[[], object]], pause_s: float
) -> float:
    """Three trials report, end and are tested, while something happens at some steps.

    The longest that a call of the tracker took, in seconds.
    """
    longest = 0.0

    def told(call: Callable[..., None], *arguments: object, **named: object) -> None:
        nonlocal longest
        started = time.monotonic()
        call(*arguments, **named)
        longest = max(longest, time.monotonic() - started)

    for trial in TRIALS:
        told(tracker.start_trial, trial, TrialConfig(network="fcn_unet"), 1)
    for step in range(1, STEPS + 1):
        at.get(step, lambda: None)()
        for number, trial in enumerate(TRIALS):
            values = dict.fromkeys(NAMES, step / (number + 1))
            told(tracker.log_report, trial, {**values, keys.STEP: step})
        if step == STEPS // 2:
            told(finish, tracker, folder, "t1")
        time.sleep(pause_s)
    for trial in TRIALS[1:]:
        told(finish, tracker, folder, trial)
    return longest


def finish(tracker: StudyTracker, folder: Path, trial: str) -> None:
    rows = folder / trial / keys.TEST_FRAMES
    rows.parent.mkdir(exist_ok=True)
    rows.write_bytes(trial.encode())
    tracker.finish_trial(trial, stop_reason="plateau")
    tracker.log_test(trial, {keys.test("femur", "iou"): 0.5}, rows)


def must_hold_everything_once(query: Query, uri: str) -> None:
    points = Counter(query(OF_TRIALS))
    reported = {"t1": STEPS, "t2": STEPS, "t3": STEPS}
    expected = Counter(
        (trial, name, step)
        for trial, steps in reported.items()
        for name in NAMES
        for step in range(1, steps + 1)
    )
    expected.update((trial, keys.test("femur", "iou"), 0) for trial in TRIALS)
    assert points == expected
    statuses = dict(query("SELECT name, status FROM runs WHERE lifecycle_stage = 'active'"))
    assert set(statuses.values()) == {"FINISHED"}
    count = query("SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'")
    assert count == [(1 + len(TRIALS),)]
    client = MlflowClient(uri)
    (experiment,) = (each for each in client.search_experiments() if each.name == "knees")
    runs = client.search_runs([experiment.experiment_id], f"tags.`{keys.TAG_KIND}` = 'trial'")
    assert {run.data.tags[keys.TAG_TRIAL] for run in runs} == set(TRIALS)
    for run in runs:
        assert run.data.tags[keys.TAG_STATUS] == keys.STATUS_TESTED
        with tempfile.TemporaryDirectory() as target:
            rows = client.download_artifacts(run.info.run_id, keys.TEST_FRAMES, target)
            assert Path(rows).read_text() == run.data.tags[keys.TAG_TRIAL]


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables, which take MLflow a while to make."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def started() -> Iterator[Callable[[Service], Service]]:
    """Starts services, and kills them at the end."""
    services: list[Service] = []

    def start(service: Service) -> Service:
        services.append(service)
        return service.start()

    yield start
    for service in services:
        service.kill()


def on_sqlite(
    folder: Path, empty_store: Path, artifacts: str = "", **environment: str
) -> tuple[Service, Query]:
    database = shutil.copy(empty_store, folder / "server.db")

    def query(text: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(database) as connection:
            rows = connection.execute(text).fetchall()
        connection.close()
        return rows

    artifacts = artifacts or str(folder / "artifacts")
    return mlflow_server(folder, f"sqlite:///{database}", artifacts, **environment), query


@pytest.fixture
def server(
    tmp_path: Path, empty_store: Path, started: Callable[[Service], Service]
) -> tuple[Service, Query]:
    service, query = on_sqlite(tmp_path, empty_store)
    return started(service), query


class TestServer:
    def test_killed_and_started_again(self, server, tmp_path, caplog):
        caplog.set_level(logging.INFO, "tune_knee")
        service, query = server
        tracker = track(address_of(service), tmp_path)
        longest = stream(
            tracker, tmp_path, {30: service.kill, 80: lambda: service.start(wait=False)}, 0.1
        )
        assert tracker.finish_study("FINISHED", 120) == 0
        must_hold_everything_once(query, address_of(service))
        assert longest < 1
        said = [text for text in caplog.messages if "MLflow" in text]
        assert len(said) == 2
        assert said[0].startswith("MLflow does not answer (")
        assert not (tmp_path / "unsent.jsonl").exists()

    def test_hangs_for_a_while(self, server, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
        service, query = server
        tracker = track(address_of(service), tmp_path)
        at = {
            30: lambda: service.signal(signal.SIGSTOP),
            80: lambda: service.signal(signal.SIGCONT),
        }
        assert stream(tracker, tmp_path, at, 0.2) < 1
        assert tracker.finish_study("FINISHED", 120) == 0
        must_hold_everything_once(query, address_of(service))

    def test_answers_get_lost(self, server, tmp_path, monkeypatch):
        """The server does what requests say, and of many nobody hears."""
        for name in ("_FIRST_RETRY_S", "_LAST_RETRY_S"):
            monkeypatch.setattr(delivery, name, 0.1)
        service, query = server
        proxy = ForgetfulProxy(address_of(service))
        tracker = track(proxy.address, tmp_path)
        proxy.forgets = True
        stream(tracker, tmp_path, {}, 0.05)
        assert tracker.finish_study("FINISHED", 300) == 0
        proxy.stop()
        must_hold_everything_once(query, address_of(service))
        assert {"log-batch", "create", "update", keys.TEST_FRAMES} <= set(proxy.lost)

    def test_gone_at_the_end_and_back_at_the_resume(self, server, tmp_path):
        service, query = server
        tracker = track(address_of(service), tmp_path)
        stream(tracker, tmp_path, {30: service.kill}, 0.02)
        started = time.monotonic()
        unsent = tracker.finish_study("FINISHED", 5)
        assert 4 < time.monotonic() - started < 10
        assert unsent == len((tmp_path / "unsent.jsonl").read_text().splitlines()) > 2 * 70
        with pytest.raises(ValueError, match="tracking_uri must be a reachable MLflow store"):
            track(address_of(service), tmp_path)
        service.start()
        tracker = track(address_of(service), tmp_path)
        tracker.log_report("t1", {keys.STEP: STEPS})  # repeated by a trial that is taken up
        assert tracker.finish_study("FINISHED", 60) == 0
        must_hold_everything_once(query, address_of(service))


class TestArtifactStore:
    def test_broken_while_the_server_answers(self, server, tmp_path):
        """Points go on arriving; files wait, and only their trials with them."""
        service, query = server
        artifacts = tmp_path / "artifacts"
        shutil.rmtree(artifacts, ignore_errors=True)
        artifacts.write_text("no folder")
        tracker = track(address_of(service), tmp_path)
        seen: list[int] = []

        def look() -> None:
            wait_until(lambda: len(query(f"{OF_TRIALS} AND m.step = 70 AND t.value = 't2'")) > 0,
                       60, "points of t2 arrive")  # fmt: skip
            seen.append(len(query(f"{OF_TRIALS} AND m.key = 'test/femur/iou'")))
            artifacts.unlink()

        stream(tracker, tmp_path, {80: look}, 0.05)
        assert seen == [0]
        assert tracker.finish_study("FINISHED", 120) == 0
        must_hold_everything_once(query, address_of(service))

    def test_a_bucket_that_hangs(self, tmp_path, empty_store, started, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")
        boto3 = pytest.importorskip("boto3")
        moto = shutil.which("moto_server", path=str(Path(sys.executable).parent))
        if moto is None:
            pytest.skip("moto_server is not installed")
        port = free_port()
        endpoint = f"http://127.0.0.1:{port}"
        command = [moto, "-H", "127.0.0.1", "-p", str(port)]
        store = started(Service(command, endpoint, tmp_path / "s3.log"))
        credentials = {
            "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        s3 = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="x",
                          aws_secret_access_key="x", region_name="us-east-1")  # fmt: skip
        s3.create_bucket(Bucket="knees")
        service, query = on_sqlite(
            tmp_path, empty_store, "s3://knees", MLFLOW_S3_ENDPOINT_URL=endpoint, **credentials
        )
        tracker = track(address_of(started(service)), tmp_path)
        at = {
            40: lambda: store.signal(signal.SIGSTOP),
            90: lambda: store.signal(signal.SIGCONT),
        }
        assert stream(tracker, tmp_path, at, 0.15) < 1
        assert tracker.finish_study("FINISHED", 120) == 0
        must_hold_everything_once(query, address_of(service))


class Postgres:
    """A PostgreSQL of our own; it does not run as root."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        if not found:
            pytest.skip("PostgreSQL is not installed")
        self.folder = Path(tempfile.mkdtemp(prefix="knees-pg-"))
        self.port, self.binaries = free_port(), found[-1].parent
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.run("initdb", "-D", self.data, "-U", "knees", "-A", "trust")
        self.start()
        self.run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "knees", "mlflow")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def uri(self) -> str:
        return f"postgresql+psycopg2://knees@127.0.0.1:{self.port}/mlflow"

    def run(self, tool: str, *arguments: object) -> str:
        command = [str(self.binaries / tool), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        return subprocess.run(
            command, check=True, text=True, cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ).stdout  # fmt: skip

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self.run("pg_ctl", "-D", self.data, "-o", options, "-l", self.folder / "log", "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def query(self, text: str) -> list[tuple[object, ...]]:
        psycopg2 = pytest.importorskip("psycopg2")
        connection = psycopg2.connect(self.uri.replace("+psycopg2", ""))
        with connection, connection.cursor() as cursor:
            cursor.execute(text)
            rows = list(cursor.fetchall())
        connection.close()
        return rows


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg2")
    database = Postgres()
    yield database
    database.stop()
    shutil.rmtree(database.folder)


def test_postgres_stopped_and_started_again(postgres, tmp_path, started, caplog):
    caplog.set_level(logging.INFO, "tune_knee")
    service = started(mlflow_server(tmp_path, postgres.uri, str(tmp_path / "artifacts")))
    tracker = track(address_of(service), tmp_path)
    longest = stream(tracker, tmp_path, {30: postgres.stop, 70: postgres.start}, 0.2)
    assert tracker.finish_study("FINISHED", 120) == 0
    must_hold_everything_once(postgres.query, address_of(service))
    assert longest < 1
    assert sum("does not answer" in text for text in caplog.messages) == 1


GRID = """\
name: tiny
description: for tests
budget: {image_size_px: 32, max_steps: 80, evaluation_interval: 4, batch_size: 2}
experiments:
  - {network: segformer_b2, loss: ce2}
"""


def test_a_study_ends_without_its_server_and_the_resume_tells_it_all(server, tmp_path):
    service, query = server
    knees = tiny_knees(8, 4, 4)
    write_dataset(tmp_path / "knees", knees.images, knees.masks, knees.frames, knees.regions)
    (tmp_path / "tiny.yaml").write_text(GRID)
    out = tmp_path / "study"

    def run(*more: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tune_knee.run", "--out", out, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    asked = ("--grid", tmp_path / "tiny.yaml", "--data", tmp_path / "knees", "--budget", "preview",
             "--max-concurrent", "1", "--tracking-uri", address_of(service))  # fmt: skip
    with ThreadPoolExecutor() as pool:
        first = pool.submit(run, *asked)
        wait_until(lambda: first.done() or query(OF_TRIALS), 300, "a trial reports")
        service.kill()
        ended = first.result()
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"--resume --out {out}" in ended.stdout
    waiting = len((out / "unsent.jsonl").read_text().splitlines())
    assert f"{waiting} entries wait in {out / 'unsent.jsonl'}" in ended.stdout
    assert ended.stderr.count("MLflow does not answer") == 1
    (outcome,) = out.glob("trials/*/outcome.json")
    trained = outcome.stat().st_mtime_ns

    ended = run("--resume")
    assert ended.returncode == 2
    assert "tracking_uri must be a reachable MLflow store" in ended.stderr

    service.start()
    ended = run("--resume")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert outcome.stat().st_mtime_ns == trained
    assert not (out / "unsent.jsonl").exists()
    of_validation = query(f"{OF_TRIALS} AND m.key = 'val/iou'")
    assert sorted(step for _, _, step in of_validation) == list(range(4, 81, 4))
    assert len(query(f"{OF_TRIALS} AND m.key = 'test/score'")) == 1
    assert query("SELECT count(*), count(DISTINCT name) FROM runs") == [(2, 2)]
    assert {status for (status,) in query("SELECT status FROM runs")} == {"FINISHED"}
    assert "Best model: models:/study/1 " in ended.stdout
    assert query("SELECT name, version FROM model_versions") == [("study", 1)]
    (model,) = find_models("models:/study@best", tracking_uri=address_of(service))
    assert model.facts.trial_id == outcome.parent.name
