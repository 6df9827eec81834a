"""The only writer of MLflow: a parent run per study, a child run per trial, batched.

Plain Python on `MlflowClient`: nothing global, no active run, no Ray. The driver calls it.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_TAG_VAL_LENGTH

from tune_knee import keys
from tune_knee.config import Budget, TrialConfig
from tune_knee.tracking_store import find_runs, open_experiment

_FLUSH_AFTER_S: Final = 2.0
_FLUSH_AT_POINTS: Final = 1000
_RUNNING: Final = "RUNNING"
_REGION_NAME: Final = re.compile(r"[\w. -]+")


def headline_series(regions: Sequence[str]) -> tuple[str, ...]:
    """What MLflow gets of every report, 13 + R series; the rest is for Parquet."""
    return (
        keys.STEP,  # its newest value is where a resumed run goes on
        keys.LEARNING_RATE,
        keys.WALL_TIME_S,
        keys.TRAIN_LOSS,
        keys.TRAIN_CE,
        keys.TRAIN_DICE,
        keys.TRAIN_BOUNDARY,
        keys.VAL_IOU,
        keys.VAL_OVERLAP,
        *(keys.validation(region, "iou") for region in regions),
        keys.BEST_IOU,
        keys.BEST_OVERLAP,
        keys.BEST_DISTANCE_PX,
        keys.BEST_STEP,
    )


@dataclass
class _TrialRun:
    """A trial's MLflow run: where it stands, and what waits to be written.

    `reports` holds whole reports; they are written in order and never torn apart, so
    that the stored step tells that all of its report is stored.
    """

    run_id: str
    step: int = -1
    reports: list[list[Metric]] = field(default_factory=list)


class StudyTracker:
    """Writes one study to MLflow; opened again, it goes on where it ended.

    The experiment bears the study's name, its runs are found by tags, so a trial has one
    run however often the study is resumed. Reports at steps that a run already has are
    dropped: retries and restores repeat them.

    MLflow keeps NaN as NaN on SQL stores, and so do we: a distance that no frame defines
    reads back as NaN. It turns infinities into ±1.8e308.

    Args:
        tracking_uri: an SQL store or a server; see `tracking_store.sqlite_uri`.
        study: name of the study and of its experiment.
        study_id: tells this study from another one of its name.
        budget: what every trial may spend.
        fingerprint: identity of the dataset.
        regions: their names, in the dataset's order.
        artifact_root: folder of the artifacts; None leaves it to the server. It counts
            when the experiment is made, never again.
        manifest: what else defines the study, shown as parameters of the parent run.

    Raises:
        ValueError: if the experiment was deleted, the study was tracked with another
            dataset or budget, or MLflow has no metric of a region's name.
    """

    def __init__(
        self,
        tracking_uri: str,
        study: str,
        *,
        study_id: str,
        budget: Budget,
        fingerprint: str,
        regions: tuple[str, ...],
        artifact_root: Path | None,
        manifest: Mapping[str, str],
    ) -> None:
        _require_names(regions)
        self._client = MlflowClient(tracking_uri)
        self._study, self._study_id = study, study_id
        self._headline = headline_series(regions)
        self._tags = {
            keys.TAG_STUDY: study,
            keys.TAG_STUDY_ID: study_id,
            keys.TAG_BUDGET: budget.name,
            keys.TAG_FINGERPRINT: fingerprint,
            keys.TAG_REGIONS: ",".join(regions),
        }
        self._experiment_id = open_experiment(self._client, study, artifact_root)
        self._parent_id = self._open_parent(budget, manifest)
        self._runs = {
            run.data.tags[keys.TAG_TRIAL]: _TrialRun(
                run.info.run_id, int(run.data.metrics.get(keys.STEP, -1))
            )
            for run in self._find(keys.KIND_TRIAL)
        }
        self._waiting = 0
        self._oldest_s = time.monotonic()

    def start_trial(
        self, trial_id: str, trial: TrialConfig, seed: int, *, cpus: float = 1, gpus: float = 0
    ) -> None:
        """Open a trial's run, or take up the one that it has.

        Args:
            trial_id: its id.
            trial: its configuration.
            seed: its seed.
            cpus: CPUs that it takes while it trains.
            gpus: share of a GPU that it takes.
        """
        if trial_id in self._runs:
            run_id = self._runs[trial_id].run_id
            self._client.update_run(run_id, status=_RUNNING)
            if keys.TAG_FAILURE in self._client.get_run(run_id).data.tags:
                self._client.delete_tag(run_id, keys.TAG_FAILURE)
        else:
            tags = {
                **self._tags,
                keys.TAG_KIND: keys.KIND_TRIAL,
                keys.TAG_TRIAL: trial_id,
                MLFLOW_PARENT_RUN_ID: self._parent_id,
            }
            run = self._client.create_run(self._experiment_id, tags=tags, run_name=trial.label)
            run_id = str(run.info.run_id)
            self._runs[trial_id] = _TrialRun(run_id)
        self._log_params(run_id, {**trial.params(), keys.SEED: seed})
        took = {keys.TAG_CPUS: f"{cpus:g}", keys.TAG_GPUS: f"{gpus:g}"}
        self._tag(run_id, {keys.TAG_STATUS: keys.STATUS_RUNNING, **took})

    def log_report(self, trial_id: str, report: Mapping[str, float]) -> None:
        """Take a report; its `headline_series` are written soon, the others are not.

        Written by `flush_due`, which is called here too.

        Raises:
            KeyError: if the trial was not started, or the report lacks its step.
        """
        run, step = self._runs[trial_id], int(report[keys.STEP])
        if step <= run.step:
            return
        now_ms = _now_ms()
        metrics = [
            Metric(key, float(report[key]), now_ms, step) for key in self._headline if key in report
        ]
        if not self._waiting:
            self._oldest_s = time.monotonic()
        run.reports.append(metrics)
        run.step = step
        self._waiting += len(metrics)
        self.flush_due()

    def flush_due(self) -> None:
        """Write all reports that wait, if the oldest is 2 s old or 1,000 points wait."""
        aged = bool(self._waiting) and time.monotonic() - self._oldest_s >= _FLUSH_AFTER_S
        if aged or self._waiting >= _FLUSH_AT_POINTS:
            self.flush()

    def flush(self) -> None:
        """Write all reports that wait; what fails to be written goes on waiting."""
        for run in self._runs.values():
            while run.reports:
                count = _fitting(run.reports)
                batch = [metric for report in run.reports[:count] for metric in report]
                self._client.log_batch(run.run_id, metrics=batch)
                del run.reports[:count]
                self._waiting -= len(batch)

    def finish_trial(
        self, trial_id: str, *, stop_reason: str, opened: Mapping[str, int] | None = None
    ) -> None:
        """Training ended; `opened` holds the step at which each criterion first held."""
        tags = {
            keys.TAG_STATUS: keys.STATUS_TRAINED,
            keys.TAG_STOP_REASON: stop_reason,
            **{keys.TAG_OPENED + name: str(step) for name, step in (opened or {}).items()},
        }
        self._end(trial_id, "FINISHED", tags)

    def fail_trial(self, trial_id: str, reason: str) -> None:
        """The trial failed; its run says why, in whole as an artifact."""
        tags = {keys.TAG_STATUS: keys.STATUS_FAILED, keys.TAG_FAILURE: reason}
        self._client.log_text(self._runs[trial_id].run_id, reason, keys.FAILURE_TEXT)
        self._end(trial_id, "FAILED", tags)

    def prune_trial(self, trial_id: str, reason: str) -> None:
        """Training ended early, as hopeless."""
        tags = {keys.TAG_STATUS: keys.STATUS_PRUNED, keys.TAG_STOP_REASON: reason}
        self._end(trial_id, "FINISHED", tags)

    def log_test(self, trial_id: str, metrics: Mapping[str, float], *files: Path) -> None:
        """Test metrics by their names in `keys`, and the files that they come from."""
        run_id = self._runs[trial_id].run_id
        for path in files:
            self._client.log_artifact(run_id, str(path))
        self._log_values(run_id, metrics)
        self._tag(run_id, {keys.TAG_STATUS: keys.STATUS_TESTED})

    def log_artifact(self, trial_id: str, path: Path) -> None:
        """Keep a file with a trial's run."""
        self._client.log_artifact(self._runs[trial_id].run_id, str(path))

    def log_scores(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Scores of every trial id by their names in `keys`; equal ones are left alone."""
        known = {run.info.run_id: run.data.metrics for run in self._find(keys.KIND_TRIAL)}
        for trial_id, values in scores.items():
            run_id = self._runs[trial_id].run_id
            changed = {k: v for k, v in values.items() if known[run_id].get(k) != v}
            self._log_values(run_id, changed)

    def finish_study(self, status: str) -> None:
        """End the study's run; runs of trials that still run are marked as killed.

        Args:
            status: of MLflow's, ``FINISHED``, ``FAILED`` or ``KILLED``; the run of a
                study that is resumed runs again.
        """
        self.flush()
        for run in self._find(keys.KIND_TRIAL):
            if run.info.status == _RUNNING:
                self._client.set_terminated(run.info.run_id, "KILLED")
        self._client.set_terminated(self._parent_id, status)

    def _end(self, trial_id: str, status: str, tags: Mapping[str, str]) -> None:
        self.flush()
        run_id = self._runs[trial_id].run_id
        self._tag(run_id, tags)
        self._client.set_terminated(run_id, status)

    def _open_parent(self, budget: Budget, manifest: Mapping[str, str]) -> str:
        params = {**manifest, keys.BUDGET: json.dumps(asdict(budget), sort_keys=True)}
        found = self._find(keys.KIND_STUDY)
        if not found:
            tags = {**self._tags, keys.TAG_KIND: keys.KIND_STUDY}
            run = self._client.create_run(self._experiment_id, tags=tags, run_name=self._study)
        else:
            run = found[0]
            self._require_same(run, params[keys.BUDGET])
            self._client.update_run(run.info.run_id, status=_RUNNING)
        new = {key: value for key, value in params.items() if key not in run.data.params}
        self._log_params(run.info.run_id, new)
        return str(run.info.run_id)

    def _require_same(self, parent: Run, budget: str) -> None:
        dataset = self._tags[keys.TAG_FINGERPRINT]
        before = parent.data.tags[keys.TAG_FINGERPRINT], parent.data.params.get(keys.BUDGET, budget)
        if before != (dataset, budget):
            raise ValueError(
                f"a resumed study must keep its dataset and budget, got study={self._study} "
                f"with dataset {dataset}, budget {budget}; before, it had dataset {before[0]}, "
                f"budget {before[1]}"
            )

    def _find(self, kind: str) -> list[Run]:
        return find_runs(self._client, self._experiment_id, self._study_id, kind)

    def _log_params(self, run_id: str, params: Mapping[str, object]) -> None:
        entities = [Param(key, str(value)) for key, value in params.items()]
        self._client.log_batch(run_id, params=entities)

    def _log_values(self, run_id: str, values: Mapping[str, float]) -> None:
        now_ms = _now_ms()
        entities = [Metric(key, float(value), now_ms, 0) for key, value in values.items()]
        self._client.log_batch(run_id, metrics=entities)

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        entities = [RunTag(key, value[:MAX_TAG_VAL_LENGTH]) for key, value in tags.items()]
        self._client.log_batch(run_id, tags=entities)


def _fitting(reports: Sequence[Sequence[Metric]]) -> int:
    """How many of the first reports MLflow takes in one call, whole."""
    sizes = accumulate(len(report) for report in reports)
    return sum(size <= MAX_METRICS_PER_BATCH for size in sizes)


def _require_names(regions: Sequence[str]) -> None:
    for region in regions:
        if not _REGION_NAME.fullmatch(region):
            raise ValueError(
                "a region's name must consist of letters, digits, spaces and '_.-', "
                f"got region={region!r}; MLflow names metrics after it"
            )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
