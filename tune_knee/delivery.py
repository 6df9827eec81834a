"""Sends what is in an outbox from a thread of its own, and tries again what fails."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from tune_knee.outbox import Entry, Outbox

log = logging.getLogger(__name__)

_PAUSE_S: Final = 2.0  # entries of this long are sent together
_FIRST_RETRY_S: Final = 2.0
_LAST_RETRY_S: Final = 30.0


class Delivery:
    """Sends an outbox's entries in order for each run, until nothing waits.

    Where sending fails the run is *late*: its entries wait, those of others go on. Late runs
    are tried again after 2 s, 4 s, up to 30 s, one at a time until one succeeds, which makes
    an outage cheap and lets no entry hold up another run's. Nothing is ever given up.

    Args:
        outbox: what to send.
        send: sends the first of a run's entries and returns how many; they may have been sent
            before.
        refuses: whether an error is about what was sent, and not about the way there.
    """

    def __init__(
        self,
        outbox: Outbox,
        send: Callable[[Sequence[Entry]], int],
        refuses: Callable[[Exception], bool],
    ) -> None:
        self._outbox, self._send, self._refuses = outbox, send, refuses
        self._changed = threading.Condition()
        self._hurry = self._closing = False
        self._rounds = 0
        self._late: list[str] = []
        self._refused: set[str] = set()
        self._away = False
        self._delay_s, self._retry_at = _FIRST_RETRY_S, 0.0
        self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)
        self._thread.start()

    def drain(self, patience_s: float) -> int:
        """Send now what waits, for so many seconds at most; how many entries still wait.

        Comes back earlier if all that still waits is refused.
        """
        with self._changed:
            before = self._rounds
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_settled(before), patience_s)
        return len(self._outbox)

    def drain_patiently(self, patience_s: float) -> int:
        """Drain for as long as entries get there; how many wait when for so long none did."""
        before, waiting = len(self._outbox), self.drain(patience_s)
        while 0 < waiting < before:
            log.info("%d entries still wait to be sent to MLflow", waiting)
            before, waiting = waiting, self.drain(patience_s)
        return waiting

    def close(self) -> None:
        """Send no more; what is being sent may still arrive."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_PAUSE_S)

    def _is_settled(self, before: int) -> bool:
        # A round that was under way when this was asked may have passed a run by.
        return not len(self._outbox) or (
            self._rounds >= before + 2 and self._refused.issuperset(self._outbox.runs())
        )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._hurry or self._closing, _PAUSE_S)
                if self._closing:
                    return
                hurry, self._hurry = self._hurry, False
            self._round(hurry=hurry)
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()

    def _round(self, *, hurry: bool) -> None:
        for run in self._outbox.runs():
            if run not in self._late and not self._sent(run):
                self._late.append(run)
                self._retry_at = max(self._retry_at, time.monotonic() + self._delay_s)
        if not self._late or not (hurry or time.monotonic() >= self._retry_at):
            return
        while self._late:
            run = self._late.pop(0)
            if not self._sent(run):
                self._late.append(run)  # another one first, next time
                self._delay_s = min(2 * self._delay_s, _LAST_RETRY_S)
                self._retry_at = time.monotonic() + self._delay_s
                return
            self._delay_s = _FIRST_RETRY_S
        if self._away:
            self._away = False
            log.info("MLflow answers again and has everything.")

    def _sent(self, run: str) -> bool:
        """Whether all that waited for a run is sent."""
        try:
            while waiting := self._outbox.waiting(run):
                self._outbox.done(run, self._send(waiting))
        # Artifact stores raise errors of their own, and this thread must outlive them all.
        except Exception as error:  # noqa: BLE001
            self._tell(run, error)
            return False
        self._refused.discard(run)
        return True

    def _tell(self, run: str, error: Exception) -> None:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if self._refuses(error):
            if run not in self._refused:
                log.error(
                    "MLflow refuses what it is told of %s (%s); that is kept in %s "
                    "and tried again", run, reason, self._outbox.path,
                )  # fmt: skip
            self._refused.add(run)
        elif not self._away:
            self._away = True
            log.warning(
                "MLflow does not answer (%s); results are kept in %s and sent when it is back",
                reason, self._outbox.path,
            )  # fmt: skip
