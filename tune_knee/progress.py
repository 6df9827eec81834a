"""The one live table of a running study, and lines for where no terminal is."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tune_knee import keys

log = logging.getLogger(__name__)

_REFRESH_S: Final = 0.5
_LEAVES_FOR_ESTIMATE: Final = 0.01  # of the work; before, an estimate would be a guess


@dataclass
class RunningTrial:
    """What the table shows of a trial that trains."""

    label: str
    report: Mapping[str, float] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Steps reported so far."""
        return int(self.report.get(keys.STEP, 0))


@dataclass
class StudyProgress:
    """Counts of a study, and its best trial so far by validation IoU (higher is better)."""

    title: str
    trials: int
    max_steps: int
    finished: int = 0
    failed: int = 0
    tested: int = 0
    best_iou: float = float("nan")
    best_label: str = ""
    running: dict[str, RunningTrial] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _done_before: float = 0.0

    def __post_init__(self) -> None:
        self._done_before = self.done_share()

    def start(self, trial_id: str, label: str) -> None:
        """A trial starts, or starts again."""
        self.running[trial_id] = RunningTrial(label)

    def report(self, trial_id: str, report: Mapping[str, float]) -> None:
        """A trial has validated."""
        trial = self.running[trial_id]
        trial.report = report
        best = report[keys.BEST_IOU]
        if not best <= self.best_iou:
            self.best_iou, self.best_label = best, trial.label

    def end(self, trial_id: str, *, failed: bool) -> None:
        """A trial is trained, or failed."""
        self.running.pop(trial_id, None)
        self.failed += failed
        self.finished += not failed

    def done_share(self) -> float:
        """Share of the study's steps that is done; early stopping only makes it jump."""
        partial = sum(trial.step for trial in self.running.values()) / self.max_steps
        return (self.finished + self.failed + partial) / self.trials

    def left_s(self) -> float | None:
        """Seconds left at the pace so far; None while too little is done to tell."""
        gained = self.done_share() - self._done_before
        if gained < _LEAVES_FOR_ESTIMATE:
            return None
        return (time.monotonic() - self.started) / gained * (1 - self.done_share())


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds is None:
        return "?"
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def table(progress: StudyProgress) -> RenderableType:
    """The study at a glance."""
    waiting = progress.trials - progress.finished - progress.failed - len(progress.running)
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(progress.title, style="bold"),
        f"{len(progress.running)} running",
        f"{progress.finished} of {progress.trials} trained",
        f"{progress.tested} tested",
        Text(f"{progress.failed} failed", style="bold red" if progress.failed else ""),
        f"{waiting} waiting",
        f"about {duration(progress.left_s())} left",
    )
    rows = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("trial", "step", "", "loss", "val IoU", "best IoU"):
        rows.add_column(name, justify="left" if name in ("trial", "") else "right")
    for trial in progress.running.values():
        figures = (trial.report.get(key) for key in
                   (keys.TRAIN_LOSS, keys.VAL_IOU, keys.BEST_IOU))  # fmt: skip
        rows.add_row(
            trial.label,
            f"{trial.step}/{progress.max_steps}",
            ProgressBar(total=progress.max_steps, completed=trial.step, width=16),
            *("" if value is None else f"{value:.4f}" for value in figures),
        )
    best = Text(f"best validation IoU so far {progress.best_iou:.4f}: {progress.best_label}")
    return Group(head, rows, best) if progress.best_label else Group(head, rows)


class ProgressView:
    """Shows a `StudyProgress` until the context ends."""

    def __init__(self, progress: StudyProgress, console: Console) -> None:
        self.progress = progress
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.update(table(self.progress), refresh=True)
            self._live.stop()

    def refresh(self) -> None:
        """Draw the table again, at most twice a second."""
        now = time.monotonic()
        if self._live and now - self._drawn >= _REFRESH_S:
            self._live.update(table(self.progress), refresh=True)
            self._drawn = now

    def ended(self, label: str, text: str) -> None:
        """Say in a line that a trial ended."""
        progress = self.progress
        log.info(
            "%d of %d trained, %d failed, about %s left: %s %s",
            progress.finished, progress.trials, progress.failed,
            duration(progress.left_s()), label, text,
        )  # fmt: skip
