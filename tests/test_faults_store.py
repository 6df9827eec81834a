"""What a study survives of the host that holds its results: MLflow, PostgreSQL, an S3 store."""

import time
from pathlib import Path

import pytest
from fault_matrix import FaultMatrix
from fault_study import (
    MOST_LOST,
    STATE_EVERY,
    needs_hosts,
    needs_postgres,
    stops_or_ends,
    study_under,
)
from hosts import wait_until
from lab import WORKERS, Lab, repeated
from tiny_study import asked, must_equal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.timeout(1800),
    pytest.mark.hosts,
    needs_hosts,
    needs_postgres,
]


def test_results_go_to_a_server_and_checkpoints_to_a_bucket(
    store: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bucket"
    where = ("--storage", store.bucket("bucket"), "--tracking-uri", store.tracking_uri)
    store.start_study(*asked(fault_inputs, out, *where))
    assert store.ended() == 0, store.said()
    must_equal(out, undisturbed, store.postgres_uri)
    assert not list(out.rglob("*.pt"))
    assert "View run" not in store.said()


@pytest.mark.parametrize(
    ("service", "name", "seconds"),
    [("mlflow", "MLflow's server", 60), ("postgres", "PostgreSQL", 30)],
)
def test_a_service_of_the_results_is_gone_for_a_while(
    store: Lab,
    fault_inputs: Path,
    undisturbed: Path,
    tmp_path: Path,
    matrix: FaultMatrix,
    service: str,
    name: str,
    seconds: int,
) -> None:
    unsent = tmp_path / tmp_path.name / "unsent.jsonl"

    def gone() -> None:
        store.store.kill(service)
        time.sleep(seconds)
        assert unsent.stat().st_size
        store.start_store()

    server = ("--tracking-uri", store.tracking_uri)
    out, storage = study_under(gone, store, fault_inputs, tmp_path, *server)
    stopped = stops_or_ends(store, out)
    must_equal(out, undisturbed, store.postgres_uri)
    lost = repeated(store.trained(storage))
    assert lost == 0
    matrix.add(
        f"kill -9 of {name}, started again after {seconds} s",
        "trials trained on; results waited on disk and were sent when it was back"
        + (", by `--resume`" if stopped else ""),
        lost,
    )


def test_the_artifact_store_is_silent_for_a_while(
    store: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    """Silent, not killed: the store keeps all in memory, and a lost store is another fault."""
    out = tmp_path / tmp_path.name

    def silent() -> None:
        with store.store.silent("s3"):
            wait_until(lambda: list(out.glob("trials/*/outcome.json")), 900, "a trial is trained")
            time.sleep(30)
            assert '"files"' in (out / "unsent.jsonl").read_text()

    server = ("--tracking-uri", store.tracking_uri)
    _, storage = study_under(silent, store, fault_inputs, tmp_path, *server)
    stopped = stops_or_ends(store, out)
    must_equal(out, undisturbed, store.postgres_uri)
    lost = repeated(store.trained(storage))
    assert lost == 0
    matrix.add(
        "the artifact store silent until 30 s after a trial's end",
        "trials trained on; their files waited on disk and were sent when it answered"
        + (", by `--resume`" if stopped else ""),
        lost,
    )


def test_the_host_of_all_results_is_cut_off(
    store: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out = tmp_path / "cut_off"
    where = ("--storage", store.bucket("cut_off"), "--tracking-uri", store.tracking_uri)
    before = store.trained()
    store.start_study(*asked(fault_inputs, out, *where))

    def under_way() -> bool:
        assert store.head.runs("driver"), store.said()
        trained = sum((store.trained() - before).values())
        return trained >= 2 * 2 * STATE_EVERY and all(map(store.training_on, WORKERS))

    wait_until(under_way, 900, "two trials have saved states")
    store.store.cut()
    time.sleep(60)
    store.store.restore()
    stopped = stops_or_ends(store, out)
    must_equal(out, undisturbed, store.postgres_uri)
    lost = repeated(store.trained() - before)
    assert lost <= 2 * MOST_LOST
    matrix.add(
        "MLflow and the bucket of the checkpoints cut off for 60 s",
        "trials waited for the bucket, and all went on "
        + ("by `--resume`" if stopped else "by itself"),
        lost,
    )
