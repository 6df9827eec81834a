"""A study's runs in MLflow: what is told of them arrives once, however often it is told."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, takewhile
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND, ErrorCode
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_TAG_VAL_LENGTH
from requests import HTTPError

from tune_knee import keys
from tune_knee.outbox import Entry
from tune_knee.tracking_store import find_runs, of_study, of_trial, status_of

RUNNING: Final = "RUNNING"
_ABOUT_WHAT_IS_TOLD: Final = (400, 404, 413)


class TrackedRuns:
    """The runs of one study: its own, and one for each trial, made when it starts.

    A request may arrive though its answer was lost. So a run is looked up by its tags before
    it is made, and a metric keeps the time of its entry: MLflow's key of a point is run, name,
    step, time and value, and it leaves out points that it has.

    Args:
        client: of the store.
        experiment_id: where the runs are.
        tags: of every run of the study, with its `keys.TAG_STUDY_ID`.
        parent: run of the study.
    """

    def __init__(
        self, client: MlflowClient, experiment_id: str, tags: Mapping[str, str], parent: Run
    ) -> None:
        self._client, self._experiment_id, self._tags = client, experiment_id, dict(tags)
        self._study_id = tags[keys.TAG_STUDY_ID]
        self._parent_id = str(parent.info.run_id)
        self._ids = {self._study_id: self._parent_id}

    def of_trials(self) -> dict[str, Run]:
        """The trials' runs by trial.

        A run that was made twice, as the answer to the first request came too late, is
        deleted but for the one with most steps.
        """
        known: dict[str, Run] = {}
        where = of_study(self._study_id, keys.KIND_TRIAL)
        for run in find_runs(self._client, self._experiment_id, where):
            trial_id = run.data.tags[keys.TAG_TRIAL]
            other = known.setdefault(trial_id, run)
            if other is not run:
                known[trial_id], spare = sorted((other, run), key=_steps, reverse=True)
                self._client.delete_run(spare.info.run_id)
        self._ids |= {trial_id: str(run.info.run_id) for trial_id, run in known.items()}
        return known

    def tell(self, entries: Sequence[Entry]) -> int:
        """Tell MLflow the first of a run's entries; how many those were.

        Raises:
            ValueError: if the run was never started.
            Exception: what MLflow or its artifact store has to say, see `is_refusal`.
        """
        first = entries[0]
        if first.run == self._study_id:
            self.of_trials()  # deletes what came too late
        run_id = self._start(first) if first.starts_as else self._find(first.run)
        if first.is_metrics_alone:
            batch = _fitting(entries)
            metrics = [metric for entry in batch for metric in _metrics(entry)]
            self._client.log_batch(run_id, metrics=metrics)
            return len(batch)
        for path in first.files:
            self._client.log_artifact(run_id, path)
        for name, text in first.texts.items():
            self._client.log_text(run_id, text, name)
        if first.params or first.metrics or first.tags:
            self._client.log_batch(
                run_id,
                metrics=_metrics(first),
                params=[Param(key, value) for key, value in first.params.items()],
                tags=[RunTag(key, _storable(value)) for key, value in first.tags.items()],
            )
        if first.ends_as:
            self._client.set_terminated(run_id, first.ends_as, end_time=first.time_ms)
        return 1

    def _start(self, entry: Entry) -> str:
        found = self._look_up(entry.run)
        if found is None:
            tags = {
                **self._tags,
                keys.TAG_KIND: keys.KIND_TRIAL,
                keys.TAG_TRIAL: entry.run,
                MLFLOW_PARENT_RUN_ID: self._parent_id,
            }
            found = self._client.create_run(
                self._experiment_id,
                start_time=entry.time_ms,
                tags=tags,
                run_name=entry.starts_as,
            )
        else:
            self._client.update_run(found.info.run_id, status=RUNNING)
            if keys.TAG_FAILURE in found.data.tags:
                self._client.delete_tag(found.info.run_id, keys.TAG_FAILURE)
        self._ids[entry.run] = str(found.info.run_id)
        return self._ids[entry.run]

    def _find(self, run: str) -> str:
        if run not in self._ids:
            found = self._look_up(run)
            if found is None:
                raise ValueError(f"a trial must start before it is told of, got trial={run}")
            self._ids[run] = str(found.info.run_id)
        return self._ids[run]

    def _look_up(self, trial_id: str) -> Run | None:
        where = of_trial(self._study_id, trial_id)
        return max(find_runs(self._client, self._experiment_id, where), key=_steps, default=None)


def is_refusal(error: Exception) -> bool:
    """Whether an error is about what was told, and not about the way to MLflow and its stores.

    Not above doubt: MLflow calls some failures of its database bad requests.
    """
    if isinstance(error, MlflowException):
        is_mlflow = error.error_code != ErrorCode.Name(ENDPOINT_NOT_FOUND)  # else a proxy
        return is_mlflow and status_of(error) in _ABOUT_WHAT_IS_TOLD
    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code in _ABOUT_WHAT_IS_TOLD
    return isinstance(error, ValueError | FileNotFoundError)


def _metrics(entry: Entry) -> list[Metric]:
    return [Metric(key, value, entry.time_ms, entry.step) for key, value in entry.metrics.items()]


def _fitting(entries: Sequence[Entry]) -> list[Entry]:
    """The first entries of metrics that MLflow takes in one call, whole.

    Never torn apart: that a report's step is stored tells that all of it is.
    """
    alone = list(takewhile(lambda entry: entry.is_metrics_alone, entries))
    sizes = accumulate(len(entry.metrics) for entry in alone)
    return alone[: sum(size <= MAX_METRICS_PER_BATCH for size in sizes)]


def _storable(value: str) -> str:
    return value.replace("\0", "")[:MAX_TAG_VAL_LENGTH]  # PostgreSQL takes no NUL


def _steps(run: Run) -> float:
    return float(run.data.metrics.get(keys.STEP, -1))
