"""The test stage: a Ray task per trained trial, beside the training that is still going on."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray
import torch

from tune_knee.checkpoints import Checkpoints
from tune_knee.config import Budget, TrialConfig
from tune_knee.data.dataset import KneeDataset
from tune_knee.storage import Storage
from tune_knee.testing import Tested, evaluate_trial

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """A trial's test, or why there is none."""

    trial_id: str
    tested: Tested | None
    error: str = ""


class _Tester:
    """A process that tests one trial after another, on one thread."""

    def __init__(self, storage: Storage, budget: Budget) -> None:
        torch.set_num_threads(1)
        self._storage, self._budget = storage, budget

    def test(self, trial_id: str, trial: TrialConfig, dataset: KneeDataset) -> Tested:
        checkpoints = Checkpoints.of(self._storage, trial_id)
        return evaluate_trial(checkpoints, trial, self._budget, dataset)


class EvaluationStage:
    """Has trained trials tested in a process of its own and hands out what is done.

    One process for all: to start and import takes longer than a preview trial's test. It is
    started again if it dies.
    """

    def __init__(
        self,
        storage: Storage,
        budget: Budget,
        dataset: "ray.ObjectRef[KneeDataset]",
        *,
        gpus: float,
    ) -> None:
        self._dataset = dataset
        # A CPU of its own would take one from the trials; a test takes seconds.
        self._tester: Any = (
            ray.remote(_Tester)
            .options(num_cpus=0, num_gpus=gpus, max_restarts=-1, max_task_retries=2)
            .remote(storage, budget)
        )
        self._pending: dict[ray.ObjectRef[Tested], str] = {}

    def submit(self, trial_id: str, trial: TrialConfig) -> None:
        """Test a trial."""
        reference = self._tester.test.remote(trial_id, trial, self._dataset)
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
