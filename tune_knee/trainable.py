"""One trial as a `ray.tune.Trainable`: one step is one validation interval.

A trial's state lives in its own folder, not in Tune's checkpoints. Whoever takes a trial
up again, after a crash or in another session, first repeats the reports that the saved
state remembers, then trains on: Tune, stopper and tracker see one gapless history.
"""

from typing import Any, Final

import cv2
import torch
from pydantic import TypeAdapter
from ray import tune
from ray.tune.result import DONE

from tune_knee import keys
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import Budget, TrialConfig, trial_seed
from tune_knee.data.dataset import KneeDataset
from tune_knee.resumable import ResumableTrainer
from tune_knee.storage import Storage
from tune_knee.storage_mark import require_mark
from tune_knee.training import NonFiniteLossError, Report, Trainer

# What a trial can die of by itself; anything else is a bug or a dying node, and Tune retries.
_FAILURES: Final = (NonFiniteLossError, MemoryError, OSError, ValueError)


class KneeTrial(tune.Trainable):
    """Trains the assigned trial and reports after every validation."""

    def setup(  # type: ignore[override]
        self,
        config: dict[str, Any],
        *,
        dataset: KneeDataset,
        budget: Budget,
        storage: Storage,
        study_id: str,
    ) -> None:
        """Called by Tune once a process; all trials of a node share one copy of the data."""
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        self._dataset = dataset
        self._budget, self._place = budget, storage
        require_mark(storage, study_id)
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Serve another trial in the same process; saves its start-up and imports."""
        self._open(new_config)
        return True

    def _open(self, config: dict[str, Any]) -> None:
        self._trial_id: str = config[keys.TRIAL_ID]
        self._trial = TypeAdapter(TrialConfig).validate_json(config[keys.TRIAL_CONFIG])
        self._checkpoints = Checkpoints.of(self._place, self._trial_id)
        self._checkpoints.log_here()
        self._training: ResumableTrainer | None = None
        self._replay: list[Report] = []

    def step(self) -> dict[str, Any]:
        """One validation interval, or the report of one that an earlier attempt trained."""
        try:
            if self._training is None:
                self._training = self._start()
                self._replay = list(self._training.trainer.progress.reports)
            if self._replay:
                return {**self._replay.pop(0)}
            return {**self._training.run_interval()}
        except torch.OutOfMemoryError as error:
            self._training = None
            torch.cuda.empty_cache()
            return {keys.FAILURE: f"{type(error).__name__}: {error}", keys.OUT_OF_MEMORY: True}
        except _FAILURES as error:
            return {keys.FAILURE: f"{type(error).__name__}: {error}", DONE: True}

    def _start(self) -> ResumableTrainer:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        trainer = Trainer(
            self._trial,
            self._budget,
            self._dataset,
            seed=trial_seed(self._trial_id),
            device=device,
        )
        return ResumableTrainer(trainer, self._checkpoints)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Called by Tune when the study is interrupted: save what is not saved yet."""
        if self._training is not None:
            self._training.save()

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing to do: `step` reads the trial's own checkpoints."""
