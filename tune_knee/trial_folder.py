"""What a trial leaves on disk: its last state, its best weights, and how it ended.

Every file is written aside and renamed, so that a reader never finds half of one. The
last state names the best weights that belong to it; weights of a later step stem from an
interrupted attempt and are dropped when the state is loaded.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import pandas as pd
import torch
from torch import Tensor

from tune_knee import keys

_STATE: Final = "last.pt"
_OUTCOME: Final = "outcome.json"
TRAINED: Final = "trained"
FAILED: Final = "failed"
PRUNED: Final = "pruned"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial's training ended.

    Attributes:
        status: `TRAINED`, `FAILED` or `PRUNED`.
        reason: why it stopped, failed or was pruned.
        opened: step at which each stopping criterion first held.
        steps: optimizer steps taken.
        wall_time_s: time it trained and validated.
        tested: its test is in MLflow.
    """

    status: str
    reason: str
    opened: Mapping[str, int] = field(default_factory=dict)
    steps: int = 0
    wall_time_s: float = 0.0
    tested: bool = False


class TrialFolder:
    """Files of one trial below ``<study>/trials/<trial id>``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, study: Path, trial_id: str) -> Self:
        """Folder of a trial of a study."""
        return cls(study / "trials" / trial_id)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Keep a trainer's state, instead of the one before."""
        self._write(_STATE, lambda file: torch.save(dict(state), file))

    def load_state(self) -> dict[str, Any] | None:
        """The last state; None if the trial never saved one."""
        path = self.root / _STATE
        if not path.is_file():
            return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state

    def save_best(self, step: int, weights: Mapping[str, Tensor], *, referred: int | None) -> None:
        """Keep the weights that were best on validation.

        Older ones go, but for those at step `referred`, which the last state refers to.
        """
        self._write(f"best-{step}.pt", lambda file: torch.save(dict(weights), file))
        for other in self._best_steps():
            if other not in (step, referred):
                self._best_path(other).unlink()

    def drop_best_after(self, step: int) -> None:
        """Forget best weights of later steps, left by an attempt that was interrupted."""
        for other in self._best_steps():
            if other > step:
                self._best_path(other).unlink()

    def load_best(self) -> tuple[int, dict[str, Tensor]]:
        """Step and weights of the best validation.

        Raises:
            ValueError: if there are none.
        """
        steps = self._best_steps()
        if not steps:
            raise ValueError(f"a trained trial must hold best weights, got none in {self.root}")
        weights: dict[str, Tensor] = torch.load(
            self._best_path(steps[-1]), map_location="cpu", weights_only=True
        )
        return steps[-1], weights

    def write_outcome(self, outcome: Outcome) -> None:
        """Record how training ended; from now on a resume leaves the trial alone."""
        text = json.dumps(asdict(outcome), indent=2) + "\n"
        self._write(_OUTCOME, lambda file: file.write(text.encode()))

    def read_outcome(self) -> Outcome | None:
        """How training ended; None while it has not."""
        path = self.root / _OUTCOME
        return Outcome(**json.loads(path.read_text())) if path.is_file() else None

    @property
    def frames_path(self) -> Path:
        """Where the test's rows are, once there are some."""
        return self.root / keys.TEST_FRAMES

    def write_frames(self, frames: pd.DataFrame) -> Path:
        """Keep the test's rows, one per frame and region."""
        self._write(keys.TEST_FRAMES, lambda file: frames.to_parquet(file, index=False))
        return self.frames_path

    @property
    def masks_path(self) -> Path:
        """Where the test's predicted masks are, once there are some."""
        return self.root / keys.TEST_MASKS

    def write_masks(self, masks: pd.DataFrame) -> Path:
        """Keep the predicted masks, one row per test frame."""
        self._write(keys.TEST_MASKS, lambda file: masks.to_parquet(file, index=False))
        return self.masks_path

    def write_history(self, reports: pd.DataFrame) -> Path:
        """Keep every report of the trial, one row a validation."""
        self._write(keys.HISTORY, lambda file: reports.to_parquet(file, index=False))
        return self.root / keys.HISTORY

    def last_report(self) -> dict[str, float]:
        """The last report of a trial that has ended."""
        last = pd.read_parquet(self.root / keys.HISTORY).iloc[-1]
        return {str(name): float(value) for name, value in last.items()}

    def log_here(self) -> None:
        """From now on this process logs what the trial does into its ``train.log``."""
        self.root.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(
            filename=self.root / "train.log",
            format="%(asctime)s %(levelname)s %(message)s",
            level=logging.INFO,
            force=True,
        )

    def forget_outcome(self) -> None:
        """Let a resume take the trial up again."""
        (self.root / _OUTCOME).unlink(missing_ok=True)

    def _best_path(self, step: int) -> Path:
        return self.root / f"best-{step}.pt"

    def _best_steps(self) -> list[int]:
        names = (path.stem.removeprefix("best-") for path in self.root.glob("best-*.pt"))
        return sorted(int(name) for name in names)

    def _write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        aside = self.root / f".{name}.{os.getpid()}"
        try:
            with aside.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.root / name)
        finally:
            aside.unlink(missing_ok=True)
