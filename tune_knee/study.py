"""Run a study's trials on Ray Tune: train, stop, test, and tell tracker and view."""

import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

import pandas as pd
import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tune_knee import keys
from tune_knee.config import trial_seed
from tune_knee.data.dataset import KneeDataset
from tune_knee.evaluation import Evaluated, EvaluationStage
from tune_knee.gpu_share import TEST_SHARE
from tune_knee.interruption import Interruption
from tune_knee.progress import ProgressView
from tune_knee.schedulers import StudyScheduler, placement, study_asha
from tune_knee.searcher import StudySearcher
from tune_knee.stoppers import StudyStopper
from tune_knee.study_plan import SearchSession, StudyPlan
from tune_knee.testing import aggregate_frames, spacing_source
from tune_knee.tracking import StudyTracker
from tune_knee.trainable import KneeTrial
from tune_knee.trial_folder import FAILED, PRUNED, TRAINED, Outcome

log = logging.getLogger(__name__)

# A process that dies (a kill, a node gone) is started again this often.
_RETRIES: Final = 2
# Trials at a time whose tests one process keeps up with, if a test takes a 16th of a training.
_TRIALS_A_TESTER: Final = 16
_TUNE_SETTINGS: Final = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # `Interruption` has it
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # MLflow and Parquet hold every result
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0: no tables of Tune's own
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # of its own state, which a study does not read
}
# Tune would hand these to a trial on its process's command line, where all users of a node
# read them; a node has its own.
_NOT_HANDED_ON: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
)


class StudyCallback(Callback):
    """Hands what happens in Tune on to tracker, test stage and view.

    A trial's outcome is written last: what has one is told in MLflow, or safe in the
    tracker's outbox.
    """

    def __init__(
        self, plan: StudyPlan, tracker: StudyTracker, stage: EvaluationStage, view: ProgressView
    ) -> None:
        self._plan, self._tracker, self._stage, self._view = plan, tracker, stage, view
        self._reports: dict[str, dict[int, dict[str, float]]] = {}

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial starts, or starts again after a crash."""
        self._begin(_trial_id(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has validated, or says why it cannot go on."""
        if keys.FAILURE in result:
            return
        trial_id = _trial_id(trial)
        report = {key: value for key, value in result.items() if keys.is_report(key)}
        self._reports[trial_id][int(report[keys.STEP])] = report
        self._tracker.log_report(trial_id, report)
        self._view.progress.report(trial_id, report)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial is trained, was pruned, or failed by itself."""
        result, trial_id = trial.last_result, _trial_id(trial)
        if keys.FAILURE in result:
            self._fail(trial_id, result[keys.FAILURE])
        elif keys.STOP_REASON in result:
            self._finish(trial_id, result)
        else:
            self._prune(trial_id, result)

    def _finish(self, trial_id: str, result: Mapping[str, Any]) -> None:
        opened = {
            name: int(result[keys.opened(name)])
            for name in keys.CRITERIA
            if keys.opened(name) in result
        }
        outcome = Outcome(
            status=TRAINED,
            reason=result[keys.STOP_REASON],
            opened=opened,
            steps=int(result[keys.STEP]),
            wall_time_s=result[keys.WALL_TIME_S],
        )
        self._log_history(trial_id)
        self._tracker.finish_trial(trial_id, stop_reason=outcome.reason, opened=opened)
        self._plan.folder(trial_id).write_outcome(outcome)
        self._stage.submit(trial_id, self._plan.trials[trial_id])
        self._view.progress.end(trial_id, failed=False)
        self._view.ended(self._plan.trials[trial_id].label, f"trained, {outcome.reason}")

    def _prune(self, trial_id: str, result: Mapping[str, Any]) -> None:
        step = int(result[keys.STEP])
        reason = f"pruned at step {step}: behind the others at it"
        self._log_history(trial_id)
        self._tracker.prune_trial(trial_id, reason)
        self._plan.folder(trial_id).write_outcome(
            Outcome(status=PRUNED, reason=reason, steps=step, wall_time_s=result[keys.WALL_TIME_S])
        )
        self._view.progress.end(trial_id, failed=False)
        self._view.ended(self._plan.trials[trial_id].label, reason)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial's process died once too often, or never came up."""
        self._begin(_trial_id(trial))
        self._fail(_trial_id(trial), f"its process failed: {trial.get_error()}")

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Take in the tests that are done."""
        self.collect_tests()
        self._view.refresh()

    def collect_tests(self, *, wait: bool = False) -> None:
        """Log the tests that are done; with `wait`, all that were submitted."""
        for tested in self._stage.done(wait=wait):
            self._log_test(tested)
            self._view.refresh()

    def _log_test(self, tested: Evaluated) -> None:
        if tested.tested is None:
            label = self._plan.trials[tested.trial_id].label
            log.error("%s could not be tested: %s; --resume tests it again", label, tested.error)
            return
        folder = self._plan.folder(tested.trial_id)
        frames = tested.tested.frames
        folder.write_test(frames, tested.tested.masks)
        self._tracker.log_test(
            tested.trial_id,
            aggregate_frames(frames),
            folder.frames_path,
            folder.masks_path,
            spacing_source=spacing_source(frames),
        )
        outcome = folder.read_outcome()
        assert outcome is not None, "only trained trials are tested"
        folder.write_outcome(replace(outcome, tested=True))
        self._view.progress.tested += 1

    def _begin(self, trial_id: str) -> None:
        config, takes = self._plan.trials[trial_id], self._plan.resources_of(trial_id)
        self._tracker.start_trial(
            trial_id, config, trial_seed(trial_id), cpus=takes.cpus, gpus=takes.gpus
        )
        self._reports.setdefault(trial_id, {})
        self._view.progress.start(trial_id, config.label)

    def _fail(self, trial_id: str, reason: str) -> None:
        steps = max(self._reports[trial_id], default=0)
        self._log_history(trial_id)
        self._tracker.fail_trial(trial_id, reason)
        self._plan.folder(trial_id).write_outcome(
            Outcome(status=FAILED, reason=reason, steps=steps)
        )
        self._view.progress.end(trial_id, failed=True)
        last_line = reason.strip().splitlines()[-1]
        self._view.ended(self._plan.trials[trial_id].label, f"failed: {last_line}")

    def _log_history(self, trial_id: str) -> None:
        reports = self._reports.pop(trial_id)
        if reports:
            path = self._plan.folder(trial_id).write_history(
                pd.DataFrame([reports[step] for step in sorted(reports)])
            )
            self._tracker.log_artifact(trial_id, path)


def _network(config: Mapping[str, Any]) -> str:
    return str(json.loads(config[keys.TRIAL_CONFIG])["network"])


def _trial_id(trial: Trial) -> str:
    """Our id of a Tune trial; Tune's own is another one every session."""
    return str(trial.config[keys.TRIAL_ID])


class _Labels:
    """What trials are called in Tune.

    Tune copies it for each trial, and pickles it with each into a file that a study never
    reads. All copies are one, and a pickled one leaves the plan behind: it names all trials.
    """

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan

    def __call__(self, trial: Trial) -> str:
        return self._plan.trials[_trial_id(trial)].label

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Labels":
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {}


def run_study(
    plan: StudyPlan,
    dataset: KneeDataset,
    tracker: StudyTracker,
    view: ProgressView,
    interruption: Interruption,
    search: SearchSession | None = None,
) -> None:
    """Train and test what has not been; returns early if interrupted.

    Ray must be running. Trials that have an outcome are left alone; one that was trained
    and not tested is tested. A search adds trials of its own.
    """
    os.environ.update(_TUNE_SETTINGS)
    ENV_VARS_TO_PROPAGATE.difference_update(_NOT_HANDED_ON)
    shared = ray.put(dataset)
    test_gpus = min(each.gpus for each in plan.resources.values()) * TEST_SHARE
    testers = math.ceil(plan.max_concurrent / _TRIALS_A_TESTER)
    stage = EvaluationStage(plan.storage, plan.budget, shared, gpus=test_gpus, testers=testers)
    callback = StudyCallback(plan, tracker, stage, view)
    outcomes = plan.outcomes()
    for trial_id, outcome in outcomes.items():
        if outcome.status == TRAINED and not outcome.tested:
            stage.submit(trial_id, plan.trials[trial_id])
    left = [trial_id for trial_id in plan.trials if trial_id not in outcomes]
    scheduler: TrialScheduler = StudyScheduler(plan, interruption)
    if search is not None and search.prunes:
        scheduler = study_asha(plan, interruption)
    if search is not None:
        trials = {"search_alg": StudySearcher(search.queue, plan), "num_samples": search.trials}
        _train(plan, trials, shared, callback, scheduler)
    elif left:
        _train(plan, _each_of(plan, left), shared, callback, scheduler)
    if not interruption.requested:
        callback.collect_tests(wait=True)


def _each_of(plan: StudyPlan, trials: list[str]) -> dict[str, Any]:
    as_json = {each: json.dumps(asdict(plan.trials[each])) for each in trials}
    return {
        "config": {
            keys.TRIAL_ID: tune.grid_search(trials),
            keys.TRIAL_CONFIG: tune.sample_from(lambda config: as_json[config[keys.TRIAL_ID]]),
        }
    }


def _train(
    plan: StudyPlan,
    trials: Mapping[str, Any],
    dataset: "ray.ObjectRef[KneeDataset]",
    callback: StudyCallback,
    scheduler: TrialScheduler,
) -> None:
    trainable = tune.with_parameters(
        KneeTrial, dataset=dataset, budget=plan.budget, storage=plan.storage, study_id=plan.study_id
    )
    bundles = {network: placement(takes) for network, takes in plan.resources.items()}
    trainable = tune.with_resources(trainable, lambda config: bundles[_network(config)])
    trainable.__qualname__ = KneeTrial.__qualname__  # what Ray's dashboard calls it
    files, place = plan.storage.arrow()
    tune.run(
        trainable,
        **trials,
        stop=StudyStopper(plan.budget.stopping, plan.hardest_region, plan.budget.max_steps),
        scheduler=scheduler,
        callbacks=[callback],
        max_concurrent_trials=plan.max_concurrent,
        checkpoint_config=CheckpointConfig(num_to_keep=1),
        max_failures=_RETRIES,
        reuse_actors=True,
        raise_on_failed_trial=False,
        storage_path=f"{place}/ray",
        storage_filesystem=files,
        trial_name_creator=_Labels(plan),
        trial_dirname_creator=_trial_id,
        verbose=0,
    )
