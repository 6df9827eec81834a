"""Reports per second into MLflow on SQLite, at 60 metrics a report.

    python benchmarks/mlflow_logging.py

Ours is a `StudyTracker` from its first report to the last point on disk, the peer Ray's own
`MLflowLoggerCallback`, each in a store of its own and by turns in this process. Both write
every metric of every report, which is counted. The bar: at least 20x.

The last figure is ours as a study of four regions uses it: of 60 metrics in a report the 17
headline series go to MLflow.
"""

import sqlite3
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.experiment import Trial

from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET, TrialConfig
from tune_knee.tracking import StudyTracker, headline_series
from tune_knee.tracking_store import sqlite_uri

METRICS, ROUNDS, BAR = 60, 3, 20
OUR_REPORTS, RAY_REPORTS = 200, 5


def rate_of_ours(folder: Path, regions: tuple[str, ...], reports: int) -> float:
    """Reports a second through `StudyTracker`, until the last is on disk."""
    folder.mkdir()
    tracker = StudyTracker(
        sqlite_uri(folder),
        "benchmark",
        study_id="benchmark",
        outbox=folder / "unsent.jsonl",
        budget=PREVIEW_BUDGET,
        fingerprint="none",
        regions=regions,
        artifact_root=folder,
        manifest={},
    )
    tracker.start_trial("trial", TrialConfig(network="fcn_unet"), seed=0)
    names = headline_series(regions)
    names += tuple(f"other/{number}" for number in range(METRICS - len(names)))
    started = time.perf_counter()
    for step in range(1, reports + 1):
        tracker.log_report("trial", {**dict.fromkeys(names, 0.5), keys.STEP: step})
    tracker.flush()
    seconds = time.perf_counter() - started
    require_points(folder, reports * len(headline_series(regions)))
    return reports / seconds


def rate_of_rays(folder: Path, reports: int) -> float:
    """Reports a second through Ray's callback."""
    folder.mkdir()
    callback = MLflowLoggerCallback(tracking_uri=sqlite_uri(folder), experiment_name="benchmark")
    callback.setup()
    trial = Trial("benchmark", stub=True, config={"network": "fcn_unet"})
    callback.log_trial_start(trial)
    names = [f"metric/{number}" for number in range(METRICS - 1)]
    started = time.perf_counter()
    for step in range(1, reports + 1):
        report = {**dict.fromkeys(names, 0.5), "training_iteration": step}
        callback.log_trial_result(step, trial, report)
    seconds = time.perf_counter() - started
    require_points(folder, reports * METRICS)
    return reports / seconds


def require_points(folder: Path, expected: int) -> None:
    """Nobody wins by writing less."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        (stored,) = database.execute("SELECT count(*) FROM metrics").fetchone()
    if stored != expected:
        sys.exit(f"the store must hold {expected} points, got {stored}")


def main() -> None:
    """Print both rates, their ratio, and the rate in a study."""
    all_headline = tuple(f"region_{n}" for n in range(METRICS - len(headline_series(()))))
    with TemporaryDirectory() as name:
        folder = Path(name)
        ours, rays = [], []
        for turn in range(ROUNDS):
            ours.append(rate_of_ours(folder / f"ours{turn}", all_headline, OUR_REPORTS))
            rays.append(rate_of_rays(folder / f"ray{turn}", RAY_REPORTS))
        study = rate_of_ours(folder / "study", ("a", "b", "c", "d"), OUR_REPORTS)
    our, ray = statistics.median(ours), statistics.median(rays)
    print(f"{METRICS} metrics a report, SQLite, median of {ROUNDS}")
    print(f"StudyTracker:             {our:8.1f} reports/s")
    print(f"Ray MLflowLoggerCallback: {ray:8.1f} reports/s")
    print(f"ratio: {our / ray:.0f}x (bar {BAR}x)")
    print(f"as a study uses it, 17 headline series of 60: {study:.0f} reports/s")


if __name__ == "__main__":
    main()
