"""Ctrl-C once: finish the validations under way, save, end. Twice: stop at once."""

import logging
import os
import signal
from types import FrameType, TracebackType
from typing import Any, Final, Self

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


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


class PausingScheduler(FIFOScheduler):
    """First in, first out, until interrupted: then pauses (and so saves) every trial.

    When none runs any more it ends Tune's loop with SIGUSR1, Tune's own signal for that.
    """

    def __init__(self, interruption: Interruption) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._interruption = interruption
        self._ended = False

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pause the trial once an interruption is requested."""
        paused = self._interruption.requested
        decision: str = TrialScheduler.PAUSE if paused else TrialScheduler.CONTINUE
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
