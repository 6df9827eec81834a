"""One trial as a `ray.tune.Trainable`: one step is one validation interval.

A trial's state lives in its own folder, not in Tune's checkpoints. Whoever takes a trial
up again, after a crash or in another session, first repeats the reports that the saved
state remembers, then trains on: Tune, stopper and tracker see one gapless history.
"""

import os
from pathlib import Path
from typing import Any, Final

import torch
from ray import tune
from ray.tune.result import DONE

from tune_knee import keys
from tune_knee.config import Budget, TrialConfig, trial_seed
from tune_knee.data.dataset import KneeDataset
from tune_knee.training import NonFiniteLossError, Report, Trainer
from tune_knee.trial_folder import TrialFolder

# What a trial can die of by itself; anything else is a bug or a dying node, and Tune retries.
_FAILURES: Final = (NonFiniteLossError, torch.OutOfMemoryError, MemoryError, OSError, ValueError)


class KneeTrial(tune.Trainable):  # type: ignore[misc]
    """Trains the assigned trial and reports after every validation."""

    def setup(
        self,
        config: dict[str, Any],
        *,
        trials: dict[str, TrialConfig],
        dataset: KneeDataset,
        budget: Budget,
        study: Path,
    ) -> None:
        """Called by Tune once a process; all trials of a node share one copy of the data."""
        torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
        self._dataset = dataset
        self._trials, self._budget, self._study = trials, budget, study
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Serve another trial in the same process; saves its start-up and imports."""
        self._open(new_config)
        return True

    def _open(self, config: dict[str, Any]) -> None:
        self._trial_id: str = config[keys.TRIAL_ID]
        self._folder = TrialFolder.of(self._study, self._trial_id)
        self._folder.log_here()
        self._trainer: Trainer | None = None
        self._replay: list[Report] = []
        self._saved_step: int | None = None
        self._saved_best: int | None = None

    def step(self) -> dict[str, Any]:
        """One validation interval, or the report of one that an earlier attempt trained."""
        try:
            if self._trainer is None:
                self._trainer = self._start()
            if self._replay:
                return {**self._replay.pop(0)}
            return {**self._train(self._trainer)}
        except _FAILURES as error:
            return {keys.FAILURE: f"{type(error).__name__}: {error}", DONE: True}

    def _start(self) -> Trainer:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        trainer = Trainer(
            self._trials[self._trial_id],
            self._budget,
            self._dataset,
            seed=trial_seed(self._trial_id),
            device=device,
        )
        state = self._folder.load_state()
        if state is not None:
            trainer.load_state_dict(state)
            self._replay = list(trainer.progress.reports)
            self._remember_saved(trainer)
        self._folder.drop_best_after(trainer.progress.step)
        return trainer

    def _train(self, trainer: Trainer) -> Report:
        report, improved = trainer.run_interval()
        if improved:
            weights = trainer.network.state_dict()
            self._folder.save_best(trainer.progress.step, weights, referred=self._saved_best)
        if len(trainer.progress.reports) % self._budget.checkpoint_interval == 0:
            self._save(trainer)
        return report

    def _save(self, trainer: Trainer) -> None:
        self._folder.save_state(trainer.state_dict())
        self._remember_saved(trainer)

    def _remember_saved(self, trainer: Trainer) -> None:
        self._saved_step = trainer.progress.step
        self._saved_best = int(trainer.progress.reports[-1][keys.BEST_STEP])

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Called by Tune when the study is interrupted: save what is not saved yet."""
        trainer = self._trainer
        if trainer is not None and trainer.progress.step not in (0, self._saved_step):
            self._save(trainer)

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing to do: `step` reads the trial's own folder."""
