"""Tune's schedulers as a study needs them: they pause when interrupted, and give more memory."""

import os
import signal
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, Final

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from tune_knee import keys
from tune_knee.gpu_share import TrialResources
from tune_knee.interruption import Interruption
from tune_knee.study_plan import StudyPlan

_REDUCTION: Final = 3


def placement(resources: TrialResources) -> PlacementGroupFactory:
    """What a trial takes, as Tune has it."""
    selector = resources.selector()
    labels: dict[str, Any] = {"bundle_label_selector": [selector]} if selector else {}
    return PlacementGroupFactory([resources.bundle()], **labels)


class _Study(FIFOScheduler):
    """As the scheduler that it is mixed into, but for two things.

    Once interrupted it pauses every trial, which saves it, and starts none. When none runs
    any more it ends Tune's loop with SIGUSR1, Tune's own signal for that. And a trial whose
    share of a GPU was too little starts again with twice the share, once.
    """

    def __init__(self, plan: StudyPlan, interruption: Interruption, **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._plan, self._interruption = plan, interruption
        self._ended = False

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pause a trial that is interrupted or wants a bigger share; else as the scheduler."""
        if keys.OUT_OF_MEMORY in result:
            again = self._plan.widen(trial.config[keys.TRIAL_ID])
            return str(TrialScheduler.PAUSE if again else TrialScheduler.STOP)
        decision: str = super().on_trial_result(tune_controller, trial, result)
        if self._interruption.requested and decision == TrialScheduler.CONTINUE:
            return str(TrialScheduler.PAUSE)
        return decision

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The next trial, with its bigger share; none once an interruption is requested."""
        if not self._interruption.requested:
            chosen = super().choose_trial_to_run(tune_controller)
            if chosen is not None and chosen.status == Trial.PAUSED:
                resources = self._plan.resources_of(chosen.config[keys.TRIAL_ID])
                chosen.update_resources(placement(resources))
            return chosen
        running = any(trial.status == Trial.RUNNING for trial in tune_controller.get_trials())
        if not running and not self._ended:
            self._ended = True
            os.kill(os.getpid(), signal.SIGUSR1)
        return None


class StudyScheduler(_Study):
    """First in, first out."""


class _StudyAsha(_Study, AsyncHyperBandScheduler):
    """Asynchronous successive halving, which knows the trials of earlier sessions."""

    def remember(self, identity: str, reports: Iterable[dict[str, float]]) -> None:
        """Put an ended trial's reports where it put them when it trained."""
        ended: Any = SimpleNamespace(trial_id=identity)
        self.on_trial_add(None, ended)  # type: ignore[arg-type]
        for report in reports:
            AsyncHyperBandScheduler.on_trial_result(self, None, ended, report)  # type: ignore[arg-type]
        self.on_trial_remove(None, ended)  # type: ignore[arg-type]


def study_asha(plan: StudyPlan, interruption: Interruption) -> TrialScheduler:
    """Asynchronous successive halving (Li et al., 2020) on the best overlap so far.

    At 1/9 and 1/3 of the steps (no earlier than the first validation) a trial goes on only if
    it is in the best third of those that got there, in this session or an earlier one. A trial
    that an interruption stopped is judged again as it repeats its reports.
    """
    budget = plan.budget
    asha = _StudyAsha(
        plan,
        interruption,
        time_attr=keys.STEP,
        metric=keys.BEST_OVERLAP,
        mode="max",
        max_t=budget.max_steps,
        grace_period=max(budget.evaluation_interval, budget.max_steps // _REDUCTION**2),
        reduction_factor=_REDUCTION,
        stop_last_trials=False,
    )
    for identity in plan.outcomes():
        asha.remember(identity, plan.folder(identity).reports())
    return asha
