"""A real preview study on several hosts, with its results on servers."""

import os
import time
from pathlib import Path

import pandas as pd
import pytest
from fault_matrix import FaultMatrix
from fault_study import needs_hosts, needs_postgres
from lab import WORKERS, Lab
from tiny_study import must_be_in_mlflow_once

from tune_knee import keys
from tune_knee.manifest import Manifest
from tune_knee.trial_folder import TRAINED, TrialFolder

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.hosts, needs_hosts, needs_postgres]


@pytest.mark.timeout(6000)
def test_all_55_trials_are_trained_tested_and_ranked(
    store: Lab, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out, started = tmp_path / "preview", time.monotonic()
    asked = ("--grid", "paper", "--budget", "preview")
    where = ("--storage", store.bucket("preview"), "--tracking-uri", store.tracking_uri)
    store.start_study(*asked, "--out", out, *where)
    assert store.ended(5700) == 0, store.said()
    took_min = (time.monotonic() - started) / 60
    trials = Manifest.read(out).trials_by_id()
    assert len(trials) == 55
    folders = [TrialFolder.of(out, trial_id) for trial_id in trials]
    for folder in folders:
        outcome = folder.read_outcome()
        assert outcome is not None
        assert (outcome.status, outcome.tested) == (TRAINED, True)
    validations = sum(len(pd.read_parquet(each.root / keys.HISTORY)) for each in folders)
    must_be_in_mlflow_once(out, validations, store.postgres_uri)
    assert not list(out.rglob("*.pt"))
    assert "trials: 55 tested" in store.said()
    assert "Best model: models:/preview/1" in store.said()
    matrix.undisturbed = (
        f"`{' '.join(asked)}` on the phantom, all {len(trials)} trials, on "
        f"{len(WORKERS)} workers of one CPU, with MLflow on PostgreSQL and checkpoints and "
        f"artifacts in a bucket: all trained, tested and ranked in {took_min:.0f} min, with a load "
        f"of {os.getloadavg()[2]:.0f} on this machine's {os.cpu_count()} cores."
    )
