"""What the study keeps of a trial: how it ended, its reports, and its test.

It lies in the study's folder, with the driver; a reader never finds half of a file.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Self

import pandas as pd

from tune_knee import keys
from tune_knee.storage import FolderStorage

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

    @property
    def masks_path(self) -> Path:
        """Where the test's predicted masks are, once there are some."""
        return self.root / keys.TEST_MASKS

    def write_test(self, frames: pd.DataFrame, masks: pd.DataFrame) -> None:
        """Keep the test's rows, one per frame and region, and the predicted masks.

        The rows come last: where they are, the masks are.
        """
        self._write(keys.TEST_MASKS, lambda file: masks.to_parquet(file, index=False))
        self._write(keys.TEST_FRAMES, lambda file: frames.to_parquet(file, index=False))

    def write_history(self, reports: pd.DataFrame) -> Path:
        """Keep every report of the trial, one row a validation."""
        self._write(keys.HISTORY, lambda file: reports.to_parquet(file, index=False))
        return self.root / keys.HISTORY

    def reports(self) -> list[dict[str, float]]:
        """Every report of a trial that has ended, in order; none if it failed before the first."""
        path = self.root / keys.HISTORY
        if not path.is_file():
            return []
        names_and_values = pd.read_parquet(path).to_dict("records")
        return [{str(name): float(v) for name, v in each.items()} for each in names_and_values]

    def last_report(self) -> dict[str, float]:
        """The last report of a trial that was trained."""
        return self.reports()[-1]

    def forget_outcome(self) -> None:
        """Let a resume take the trial up again."""
        (self.root / _OUTCOME).unlink(missing_ok=True)

    def _write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        FolderStorage(self.root).write(name, write)
