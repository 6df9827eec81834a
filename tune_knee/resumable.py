"""A trainer whose state and best weights live in its trial's checkpoints."""

from tune_knee import keys
from tune_knee.checkpoints import Checkpoints
from tune_knee.training import Report, Trainer


class ResumableTrainer:
    """Takes a trial up where its checkpoints say, and keeps them up to date.

    From there it goes on exactly as if it had never been interrupted.

    Args:
        trainer: a fresh one, of the same trial, budget, data and seed as the checkpoints.
        checkpoints: saved to after every `checkpoint_interval` validations of the budget.
    """

    def __init__(self, trainer: Trainer, checkpoints: Checkpoints) -> None:
        self.trainer = trainer
        self._checkpoints = checkpoints
        checkpoints.claim()
        self._saved_step = 0
        self._saved_best: int | None = None
        state = checkpoints.load_state()
        if state is not None:
            trainer.load_state_dict(state)
            self._remember_saved()
        checkpoints.drop_best_after(trainer.progress.step)

    def run_interval(self) -> Report:
        """Train to the next validation, and save what is due."""
        report, improved = self.trainer.run_interval()
        if improved:
            step, weights = self.trainer.progress.step, self.trainer.network.state_dict()
            self._checkpoints.save_best(step, weights, referred=self._saved_best)
        validations = len(self.trainer.progress.reports)
        if validations % self.trainer.budget.checkpoint_interval == 0:
            self.save()
        return report

    def save(self) -> None:
        """Save the state, unless it is saved."""
        if self.trainer.progress.step != self._saved_step:
            self._checkpoints.save_state(self.trainer.state_dict())
            self._remember_saved()

    def _remember_saved(self) -> None:
        self._saved_step = self.trainer.progress.step
        self._saved_best = int(self.trainer.progress.reports[-1][keys.BEST_STEP])
