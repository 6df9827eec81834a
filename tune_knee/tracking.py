"""The only writer of MLflow: a parent run per study, a child run per trial.

Plain Python: nothing global, no active run, no Ray. The driver calls it, and never waits for
MLflow: what it says goes to an outbox on disk, and from there to MLflow in a thread.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import Param, Run

from tune_knee import keys
from tune_knee.config import Budget, TrialConfig
from tune_knee.delivery import Delivery
from tune_knee.outbox import Entry, Outbox
from tune_knee.tracked_runs import RUNNING, TrackedRuns, is_refusal
from tune_knee.tracking_store import (
    answering,
    bound_requests,
    find_runs,
    of_study,
    open_experiment,
)

PATIENCE_S: Final = 60.0  # how long a study that ends, or is taken up, waits for MLflow
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


class StudyTracker:
    """Writes one study to MLflow; opened again, it goes on where it ended.

    The experiment bears the study's name, its runs are found by tags, so a trial has one
    run however often the study is resumed. Reports at steps that a run already has are
    dropped: retries and restores repeat them.

    Every method but `flush` and `finish_study` returns at once. What it was told is on disk
    then, and reaches MLflow within seconds, or when MLflow is back.

    MLflow keeps NaN as NaN on SQL stores, and so do we: a distance that no frame defines
    reads back as NaN. It turns infinities into ±1.8e308.

    Args:
        tracking_uri: an SQL store or a server; see `tracking_store.sqlite_uri`.
        study: name of the study and of its experiment.
        study_id: tells this study from another one of its name.
        outbox: file of what MLflow was not told yet; what it holds is sent first.
        budget: what every trial may spend.
        fingerprint: identity of the dataset.
        regions: their names, in the dataset's order.
        artifact_root: folder of the artifacts; None leaves it to the server. It counts
            when the experiment is made, never again.
        manifest: what else defines the study, shown as parameters of the parent run.

    Raises:
        ValueError: if MLflow does not answer, the experiment was deleted, the study was
            tracked with another dataset or budget, or MLflow has no metric of a region's name.
    """

    def __init__(
        self,
        tracking_uri: str,
        study: str,
        *,
        study_id: str,
        outbox: Path,
        budget: Budget,
        fingerprint: str,
        regions: tuple[str, ...],
        artifact_root: Path | None,
        manifest: Mapping[str, str],
    ) -> None:
        _require_names(regions)
        bound_requests()
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
        with answering(tracking_uri):
            experiment_id = open_experiment(self._client, study, artifact_root)
            parent = self._open_parent(experiment_id, budget, manifest)
        runs = TrackedRuns(self._client, experiment_id, self._tags, parent)
        self._last_ms = 0
        self._outbox = Outbox(outbox)
        self._delivery = Delivery(self._outbox, runs.tell, is_refusal)
        self._delivery.drain(PATIENCE_S)
        with answering(tracking_uri):
            self._client.update_run(parent.info.run_id, status=RUNNING)
            self._take_up(runs.of_trials())

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
        self._steps.setdefault(trial_id, -1)
        self._running.add(trial_id)
        params = {**trial.params(), keys.SEED: seed}
        entry = Entry(
            run=trial_id,
            time_ms=self._now_ms(),
            starts_as=trial.label,
            params={key: str(value) for key, value in params.items()},
            tags={
                keys.TAG_STATUS: keys.STATUS_RUNNING,
                keys.TAG_CPUS: f"{cpus:g}",
                keys.TAG_GPUS: f"{gpus:g}",
            },
        )
        self._outbox.append(entry, durable=False)

    def log_report(self, trial_id: str, report: Mapping[str, float]) -> None:
        """Take a report; its `headline_series` go to MLflow, the others do not.

        Raises:
            KeyError: if the trial was not started, or the report lacks its step.
        """
        step = int(report[keys.STEP])
        if step <= self._steps[trial_id]:
            return
        metrics = {key: float(report[key]) for key in self._headline if key in report}
        entry = Entry(run=trial_id, time_ms=self._now_ms(), metrics=metrics, step=step)
        self._outbox.append(entry, durable=False)  # a resumed trial repeats it
        self._steps[trial_id] = step

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
        self._end(trial_id, "FAILED", tags, {keys.FAILURE_TEXT: reason})

    def prune_trial(self, trial_id: str, reason: str) -> None:
        """Training ended early, as hopeless."""
        tags = {keys.TAG_STATUS: keys.STATUS_PRUNED, keys.TAG_STOP_REASON: reason}
        self._end(trial_id, "FINISHED", tags)

    def log_test(
        self,
        trial_id: str,
        metrics: Mapping[str, float],
        *files: Path,
        spacing_source: str = "",
    ) -> None:
        """Test metrics by their names in `keys`, and the files that they come from.

        Args:
            trial_id: of the trial that was tested.
            metrics: by name.
            files: must stay where they are until the study's end.
            spacing_source: where the spacing of millimetres was measured; empty without any.
        """
        tags = {keys.TAG_STATUS: keys.STATUS_TESTED}
        if spacing_source:
            tags[keys.TAG_SPACING_SOURCE] = spacing_source
        entry = Entry(
            run=trial_id,
            time_ms=self._now_ms(),
            metrics={key: float(value) for key, value in metrics.items()},
            tags=tags,
            files=tuple(str(path.resolve()) for path in files),
        )
        self._outbox.append(entry, durable=True)

    def log_artifact(self, trial_id: str, path: Path) -> None:
        """Keep a file with a trial's run; it must stay where it is until the study's end."""
        entry = Entry(run=trial_id, time_ms=self._now_ms(), files=(str(path.resolve()),))
        self._outbox.append(entry, durable=True)

    def log_scores(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Scores of every trial id by their names in `keys`; equal ones are left alone."""
        for trial_id, values in scores.items():
            known = self._values.setdefault(trial_id, {})
            changed = {key: float(v) for key, v in values.items() if known.get(key) != v}
            if changed:
                entry = Entry(run=trial_id, time_ms=self._now_ms(), metrics=changed)
                self._outbox.append(entry, durable=False)  # a resumed study ranks again
                known.update(changed)

    def flush(self, patience_s: float = PATIENCE_S) -> int:
        """Wait until MLflow has everything, or takes nothing for so long; how many entries wait."""
        return self._delivery.drain_patiently(patience_s)

    def finish_study(self, status: str, within_s: float | None = None) -> int:
        """End the study's run; runs of trials that still run are marked as killed.

        Nothing can be told afterwards.

        Args:
            status: of MLflow's, ``FINISHED``, ``FAILED`` or ``KILLED``; the run of a
                study that is resumed runs again.
            within_s: how long to wait for MLflow; None waits as `flush` does.

        Returns:
            How many entries MLflow was not told; they are sent when the study is resumed.
        """
        ends = {**dict.fromkeys(sorted(self._running), "KILLED"), self._study_id: status}
        for run, end in ends.items():
            self._outbox.append(Entry(run=run, time_ms=self._now_ms(), ends_as=end), durable=True)
        unsent = self.flush() if within_s is None else self._delivery.drain(within_s)
        self._delivery.close()
        return unsent

    def _now_ms(self) -> int:
        """Since 1970, and no two alike: MLflow orders runs by it."""
        self._last_ms = max(time.time_ns() // 1_000_000, self._last_ms + 1)
        return self._last_ms

    def _end(
        self,
        trial_id: str,
        status: str,
        tags: Mapping[str, str],
        texts: Mapping[str, str] | None = None,
    ) -> None:
        entry = Entry(
            run=trial_id, time_ms=self._now_ms(), tags=tags, texts=texts or {}, ends_as=status
        )
        self._outbox.append(entry, durable=True)
        self._running.discard(trial_id)

    def _open_parent(self, experiment_id: str, budget: Budget, manifest: Mapping[str, str]) -> Run:
        params = {**manifest, keys.BUDGET: json.dumps(asdict(budget), sort_keys=True)}
        found = find_runs(self._client, experiment_id, of_study(self._study_id, keys.KIND_STUDY))
        if found:
            run = found[0]
            self._require_same(run, params[keys.BUDGET])
        else:
            tags = {**self._tags, keys.TAG_KIND: keys.KIND_STUDY}
            run = self._client.create_run(experiment_id, tags=tags, run_name=self._study)
        new = {key: value for key, value in params.items() if key not in run.data.params}
        entities = [Param(key, str(value)) for key, value in new.items()]
        self._client.log_batch(run.info.run_id, params=entities)
        return run

    def _require_same(self, parent: Run, budget: str) -> None:
        dataset = self._tags[keys.TAG_FINGERPRINT]
        before = parent.data.tags[keys.TAG_FINGERPRINT], parent.data.params.get(keys.BUDGET, budget)
        if before != (dataset, budget):
            raise ValueError(
                f"a resumed study must keep its dataset and budget, got study={self._study} "
                f"with dataset {dataset}, budget {budget}; before, it had dataset {before[0]}, "
                f"budget {before[1]}"
            )

    def _take_up(self, runs: Mapping[str, Run]) -> None:
        """Learn what the runs have, and what still waits to be told of them."""
        self._values = {trial_id: dict(run.data.metrics) for trial_id, run in runs.items()}
        self._steps = {
            trial_id: int(values.get(keys.STEP, -1)) for trial_id, values in self._values.items()
        }
        self._running = {trial_id for trial_id, run in runs.items() if run.info.status == RUNNING}
        for trial_id in self._outbox.runs():
            waiting = (entry.step for entry in self._outbox.waiting(trial_id))
            self._steps[trial_id] = max(self._steps.get(trial_id, -1), *waiting, -1)


def _require_names(regions: Sequence[str]) -> None:
    for region in regions:
        if not _REGION_NAME.fullmatch(region):
            raise ValueError(
                "a region's name must consist of letters, digits, spaces and '_.-', "
                f"got region={region!r}; MLflow names metrics after it"
            )
