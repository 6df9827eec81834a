"""Ctrl-C once: finish the validations under way, save, end. Twice: stop at once."""

import logging
import os
import signal
from types import FrameType, TracebackType
from typing import Any, Final, Self

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from tune_knee import keys
from tune_knee.config import Budget

log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_REDUCTION: Final = 3


class Interruption:
    """Context in which a first SIGINT or SIGTERM is a request and a second one acts."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._previous = {each: signal.signal(each, self._request) for each in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self._restore()
            raise KeyboardInterrupt
        self.requested = True
        log.warning("stopping after the validations under way; once more stops at once")


class _Pausing(FIFOScheduler):
    """Until interrupted as the scheduler that it is mixed into: then it pauses every trial.

    A pause saves the trial. When none runs any more it ends Tune's loop with SIGUSR1, Tune's
    own signal for that.
    """

    _ended = False

    def __init__(self, interruption: Interruption, **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._interruption = interruption

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pause the trial once an interruption is requested."""
        decision: str = super().on_trial_result(tune_controller, trial, result)
        if self._interruption.requested and decision == TrialScheduler.CONTINUE:
            return str(TrialScheduler.PAUSE)
        return decision

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Start no trial once an interruption is requested."""
        if not self._interruption.requested:
            return super().choose_trial_to_run(tune_controller)
        running = any(trial.status == Trial.RUNNING for trial in tune_controller.get_trials())
        if not running and not self._ended:
            self._ended = True
            os.kill(os.getpid(), signal.SIGUSR1)
        return None


class PausingScheduler(_Pausing):
    """First in, first out."""


class _PausingAsha(_Pausing, AsyncHyperBandScheduler):
    """Asynchronous successive halving."""


def pausing_asha(interruption: Interruption, budget: Budget) -> TrialScheduler:
    """Asynchronous successive halving (Li et al., 2020) on the best overlap so far.

    At 1/9 and 1/3 of the steps (no earlier than the first validation) a trial goes on only if
    it is in the best third of those that got there. What it remembers of the others is of
    this session alone: after a resume the rungs fill anew.
    """
    return _PausingAsha(
        interruption,
        time_attr=keys.STEP,
        metric=keys.BEST_OVERLAP,
        mode="max",
        max_t=budget.max_steps,
        grace_period=max(budget.evaluation_interval, budget.max_steps // _REDUCTION**2),
        reduction_factor=_REDUCTION,
        stop_last_trials=False,
    )
