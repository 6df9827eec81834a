"""The test stage: a Ray task per trained trial, beside the training that is still going on."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ray
import torch

from tune_knee.config import Budget, TrialConfig
from tune_knee.data.dataset import KneeDataset
from tune_knee.testing import aggregate_frames as aggregate_frames
from tune_knee.testing import evaluate_trial

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """A trial's test: its rows, or why there are none."""

    trial_id: str
    rows: Path | None
    error: str = ""


def _evaluate_on_one_thread(
    study: Path, trial_id: str, trial: TrialConfig, budget: Budget, dataset: KneeDataset
) -> Path:
    torch.set_num_threads(1)
    return evaluate_trial(study, trial_id, trial, budget, dataset)


class EvaluationStage:
    """Starts a Ray task per trained trial and hands out what is done."""

    def __init__(
        self, study: Path, budget: Budget, dataset: "ray.ObjectRef[KneeDataset]", *, gpus: float
    ) -> None:
        self._study, self._budget, self._dataset = study, budget, dataset
        # A CPU of its own would queue the test behind all trials; it takes seconds.
        task = ray.remote(_evaluate_on_one_thread)
        self._task = task.options(num_cpus=0, num_gpus=gpus, max_retries=2)
        self._pending: dict[ray.ObjectRef[Path], str] = {}

    def submit(self, trial_id: str, trial: TrialConfig) -> None:
        """Test a trial, unless it was tested."""
        reference = self._task.remote(self._study, trial_id, trial, self._budget, self._dataset)
        self._pending[reference] = trial_id

    def done(self, *, wait: bool = False) -> Iterator[Evaluated]:
        """Tests that ended since the last call; with `wait`, all until none is pending."""
        while self._pending:
            ready, _ = ray.wait(list(self._pending), num_returns=1, timeout=None if wait else 0)
            if not ready:
                return
            for reference in ready:
                trial_id = self._pending.pop(reference)
                try:
                    yield Evaluated(trial_id, ray.get(reference))
                except ray.exceptions.RayError as error:
                    log.exception("the test of trial %s failed", trial_id)
                    yield Evaluated(trial_id, None, str(error).strip().splitlines()[-1])
