"""What a study on several hosts survives. Each fault is done to real processes."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy
from fault_matrix import FaultMatrix
from hosts import can_make_hosts, wait_until
from lab import Lab, lab, postgres_programs
from tiny_knees import tiny_knees, to_the_bit

from tune_knee.data.dataset import write_dataset
from tune_knee.manifest import Manifest
from tune_knee.trial_folder import TRAINED, TrialFolder

pytestmark = [pytest.mark.slow, pytest.mark.faults]
STEPS, INTERVAL, STATE_EVERY = 150, 5, 2
GRID = f"""\
name: tiny
description: for tests
budget:
  max_steps: {STEPS}
  evaluation_interval: {INTERVAL}
  checkpoint_interval: {STATE_EVERY}
  batch_size: 2
  image_size_px: 32
experiments:
  - {{network: segformer_b2, loss: ce2}}
  - {{network: segformer_b2, loss: ce2+dice, tau: ["0.50:0.50", "0.90:0.10"]}}
"""
TRIALS = 3
# A trial that dies right before a state is saved loses this many validation intervals.
MOST_LOST = STATE_EVERY

no_hosts = can_make_hosts()
needs_hosts = pytest.mark.skipif(bool(no_hosts), reason=f"no hosts can be made: {no_hosts}")
needs_postgres = pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL is not here")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    knees = tiny_knees(8, 4, 4)
    write_dataset(folder / "knees", knees.images, knees.masks, knees.frames, knees.regions)
    (folder / "tiny.yaml").write_text(GRID)
    return folder


def asked(inputs: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("--grid", inputs / "tiny.yaml", "--data", inputs / "knees", "--out", out,
            "--budget", "preview", *more)  # fmt: skip


def run_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tune_knee.run", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "study"
    ended = run_here(*asked(inputs, out))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture(scope="module")
def store(cluster: Lab) -> Lab:
    cluster.start_store()
    return cluster


def must_equal(study: Path, undisturbed: Path, database: str | None = None) -> None:
    """The same reports and tests to the last bit, and every point in MLflow once."""
    trials = Manifest.read(study).trials_by_id()
    assert trials == Manifest.read(undisturbed).trials_by_id()
    for trial_id in trials:
        mine, other = (TrialFolder.of(each, trial_id) for each in (study, undisturbed))
        outcome = mine.read_outcome()
        assert outcome is not None
        assert (outcome.status, outcome.tested) == (TRAINED, True)
        reports = [
            to_the_bit(pd.read_parquet(each.root / "history.parquet").to_dict("records"))
            for each in (mine, other)
        ]
        assert reports[0] == reports[1]
        pd.testing.assert_frame_equal(
            pd.read_parquet(mine.frames_path), pd.read_parquet(other.frames_path), check_exact=True
        )
    points = pd.read_sql(
        "SELECT runs.run_uuid, metrics.step, count(*) AS times, min(runs.status) AS status "
        "FROM runs JOIN experiments ON runs.experiment_id = experiments.experiment_id "
        "JOIN metrics ON metrics.run_uuid = runs.run_uuid "
        f"WHERE metrics.key = 'val/iou' AND experiments.name = '{study.name}' "
        "GROUP BY runs.run_uuid, metrics.step",
        sqlalchemy.create_engine(database or f"sqlite:///{study / 'mlflow.db'}"),
    )
    assert len(points) == len(trials) * STEPS / INTERVAL
    assert set(points["times"]) == {1}
    assert set(points["status"]) == {"FINISHED"}


def states(storage: Path) -> int:
    return len(list(storage.glob("trials/*/last.pt")))


def training_on(cluster: Lab, name: str) -> list[int]:
    """Processes that train on a host."""
    namespace = cluster.hosts[name].namespace
    pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True)
    titles = {pid: Path(f"/proc/{pid}/cmdline") for pid in pids.stdout.split()}
    return [int(pid) for pid, title in titles.items()
            if title.exists() and b"KneeTrial" in title.read_bytes()]  # fmt: skip


def begun(cluster: Lab, storage: Path) -> bool:
    """Both workers train, and each trial has saved a state."""
    assert cluster.head.processes["driver"].poll() is None, cluster.said()
    return states(storage) >= 2 and all(training_on(cluster, name) for name in ("one", "two"))


def study_under(
    fault: Callable[[], None], cluster: Lab, inputs: Path, tmp_path: Path, *more: object
) -> tuple[Path, Path]:
    """A study that both workers train when the fault strikes; its folder and its storage."""
    out, storage = tmp_path / f"{tmp_path.name}", tmp_path / "shared"
    cluster.start_study(*asked(inputs, out, "--storage", storage, *more))
    wait_until(lambda: begun(cluster, storage), 300, "two trials have saved a state")
    fault()
    return out, storage


@needs_hosts
def test_a_worker_node_dies(
    cluster: Lab, inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out, storage = study_under(lambda: cluster.kill_ray("one"), cluster, inputs, tmp_path)
    assert cluster.ended() == 0, cluster.said()
    cluster.start_worker("one")
    must_equal(out, undisturbed)
    lost = cluster.intervals_repeated(storage)
    assert lost <= MOST_LOST
    matrix.add(
        "kill -9 of a worker node", "its trial went on, on another node, from its last state", lost
    )


@needs_hosts
def test_a_trial_dies(
    cluster: Lab, inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    def kill_one() -> None:
        os.kill(training_on(cluster, "two")[0], 9)

    out, storage = study_under(kill_one, cluster, inputs, tmp_path)
    assert cluster.ended() == 0, cluster.said()
    must_equal(out, undisturbed)
    lost = cluster.intervals_repeated(storage)
    assert lost <= MOST_LOST
    matrix.add("kill -9 of a trial", "it was started again, from its last state", lost)


@needs_hosts
def test_the_driver_dies(
    cluster: Lab, inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    kill = lambda: cluster.head.kill("driver")  # noqa: E731
    out, storage = study_under(kill, cluster, inputs, tmp_path)
    cluster.start_study("--resume", "--out", out)
    assert cluster.ended() == 0, cluster.said()
    must_equal(out, undisturbed)
    lost = cluster.intervals_repeated(storage)
    assert lost <= 2 * MOST_LOST
    matrix.add("kill -9 of the driver", "`--resume` went on with both trials", lost)


@needs_hosts
def test_the_head_dies_with_the_driver(
    cluster: Lab, inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    def kill_both() -> None:
        cluster.head.kill("driver")
        cluster.kill_ray("head")

    out, storage = study_under(kill_both, cluster, inputs, tmp_path)
    for name in ("one", "two"):
        raylet = cluster.hosts[name].processes[f"ray-{name}"]
        wait_until(lambda raylet=raylet: raylet.poll() is not None, 120, "the workers end")
        cluster.kill_ray(name)
    cluster.start_ray()
    cluster.start_study("--resume", "--out", out)
    assert cluster.ended() == 0, cluster.said()
    must_equal(out, undisturbed)
    lost = cluster.intervals_repeated(storage)
    assert lost <= 2 * MOST_LOST
    matrix.add(
        "kill -9 of the head and the driver on it",
        "the workers ended by themselves; with Ray started again, `--resume` went on",
        lost,
    )


@needs_hosts
def test_a_worker_is_cut_off_for_long(
    cluster: Lab, inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out, storage = study_under(cluster.hosts["one"].cut, cluster, inputs, tmp_path)
    time.sleep(40)
    cluster.hosts["one"].restore()
    assert cluster.ended() == 0, cluster.said()
    must_equal(out, undisturbed)
    cluster.kill_ray("one")
    cluster.start_worker("one")
    lost = cluster.intervals_repeated(storage)
    matrix.add(
        "a worker's network cut for 40 s, then restored",
        "Ray gave the node up after 10 s; its trial went on elsewhere from its last state, and "
        "what the lost node went on to train was refused by the storage",
        lost,
        "what the lost node trained alone counts",
    )


@needs_hosts
@needs_postgres
def test_results_go_to_a_server_and_checkpoints_to_a_bucket(
    store: Lab, inputs: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bucket"
    where = ("--storage", store.bucket, "--tracking-uri", store.tracking_uri)
    store.start_study(*asked(inputs, out, *where))
    assert store.ended() == 0, store.said()
    must_equal(out, undisturbed, store.postgres_uri)
    assert not list(out.rglob("*.pt"))


@needs_hosts
@needs_postgres
@pytest.mark.parametrize("service", ["mlflow", "postgres", "s3"])
def test_a_service_of_the_store_is_away_for_a_while(
    store: Lab, inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix, service: str
) -> None:
    def stop() -> None:
        store.store.kill(service)
        time.sleep(30)
        {"mlflow": store.start_mlflow, "postgres": store.start_postgres, "s3": store.start_s3}[
            service
        ]()

    server = ("--tracking-uri", store.tracking_uri)
    out, storage = study_under(stop, store, inputs, tmp_path, *server)
    assert store.ended() == 0, store.said()
    must_equal(out, undisturbed, store.postgres_uri)
    names = {"mlflow": "MLflow's server", "postgres": "PostgreSQL", "s3": "the artifact store"}
    matrix.add(
        f"{names[service]} down for 30 s",
        "trials trained on; results waited on disk and were sent when it was back",
        store.intervals_repeated(storage),
    )


@needs_hosts
@needs_postgres
def test_the_host_of_all_results_is_cut_off(
    store: Lab, inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out = tmp_path / "cut_off"
    where = (
        "--storage", store.bucket.replace("/study?", "/cut?"), "--tracking-uri", store.tracking_uri
    )  # fmt: skip
    store.start_study(*asked(inputs, out, *where))
    before = store.intervals_repeated()
    wait_until(lambda: all(training_on(store, name) for name in ("one", "two")), 300, "training")
    time.sleep(5)
    store.store.cut()
    time.sleep(60)
    store.store.restore()
    assert store.ended() == 0, store.said()
    must_equal(out, undisturbed, store.postgres_uri)
    matrix.add(
        "MLflow and the bucket of the checkpoints cut off for 60 s",
        "trials waited for the bucket, results on disk for MLflow; all went on by itself",
        store.intervals_repeated() - before,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300m", "none", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_the_drivers_disk_is_full(
    inputs: Path, undisturbed: Path, small_disk: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out, storage = small_disk / "study", tmp_path / "shared"
    log = tmp_path / "driver.log"
    with log.open("w") as said:
        study = subprocess.Popen(
            [sys.executable, "-m", "tune_knee.run",
             *map(str, asked(inputs, out, "--storage", storage))],
            stdout=said, stderr=said,
        )  # fmt: skip
    wait_until(lambda: states(storage) >= 2 or study.poll() is not None, 300, "two states")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert study.wait(300) == 1, log.read_text()
    told = " ".join(log.read_text().split())
    assert "No space left on device" in told
    assert f"python -m tune_knee.run --resume --out {out}" in told
    assert "Traceback" not in told
    filler.unlink()
    ended = run_here("--resume", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    must_equal(out, undisturbed)
    matrix.add(
        "the driver's disk full",
        "the study stopped and said why and how to go on; with room made, `--resume` went on",
        None,
    )


def test_what_is_on_disk_is_cut_in_half(
    inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out = tmp_path / "study"
    study = subprocess.Popen(
        [sys.executable, "-m", "tune_knee.run", *map(str, asked(inputs, out))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: states(out) >= 2, 300, "two states")
    study.kill()
    study.wait()
    manifest = out / "study.json"
    kept = manifest.read_bytes()
    manifest.write_bytes(kept[: len(kept) // 2])
    ended = run_here("--resume", "--out", out)
    assert ended.returncode == 2
    told = " ".join(ended.stderr.split())
    assert f"a study's manifest must be whole, got {manifest}" in told
    assert "restore it from a copy" in told
    manifest.write_bytes(kept)
    matrix.add("study.json cut in half", "refused by name; nothing was touched", None)

    for state in out.glob("ray/*/*.json"):
        state.write_bytes(state.read_bytes()[:100])
    broken, *_ = sorted(out.glob("trials/*/last.pt"))
    broken.write_bytes(broken.read_bytes()[:5000])
    ended = run_here("--resume", "--out", out)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "a checkpoint must be whole" in " ".join(ended.stdout.split())
    matrix.add("Tune's experiment state cut in half", "nothing: a study reads none of it", None)
    broken.unlink()
    ended = run_here("--resume", "--retry-failed", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    must_equal(out, undisturbed)
    matrix.add(
        "a trial's state cut in half",
        "that trial failed by name; with the state removed, `--retry-failed` trained it anew",
        None,
    )
    shutil.rmtree(out)
