"""The test stage: a Ray task per trained trial, beside the training that is still going on."""

import logging
from collections import Counter
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
    """Has trained trials tested in processes of its own and hands out what is done.

    They stay, for to start and import takes longer than a preview trial's test, and are started
    again if they die. A trial goes to the one with the fewest to test.

    Args:
        storage: of the checkpoints.
        budget: of every trial.
        dataset: of the study.
        gpus: share of a GPU that each process takes.
        testers: how many processes.
    """

    def __init__(
        self,
        storage: Storage,
        budget: Budget,
        dataset: "ray.ObjectRef[KneeDataset]",
        *,
        gpus: float,
        testers: int = 1,
    ) -> None:
        self._dataset = dataset
        # A CPU of its own would take one from the trials; a test takes seconds.
        tester: Any = ray.remote(_Tester).options(
            num_cpus=0,
            num_gpus=gpus,
            max_restarts=-1,
            max_task_retries=2,
            scheduling_strategy="SPREAD",
        )
        self._testers = [tester.remote(storage, budget) for _ in range(testers)]
        self._pending: dict[ray.ObjectRef[Tested], tuple[str, int]] = {}

    def submit(self, trial_id: str, trial: TrialConfig) -> None:
        """Test a trial."""
        load = Counter(number for _, number in self._pending.values())
        number = min(range(len(self._testers)), key=lambda each: load[each])
        reference = self._testers[number].test.remote(trial_id, trial, self._dataset)
        self._pending[reference] = trial_id, number

    def done(self, *, wait: bool = False) -> Iterator[Evaluated]:
        """Tests that ended since the last call; with `wait`, all until none is pending."""
        while self._pending:
            ready, _ = ray.wait(list(self._pending), num_returns=1, timeout=None if wait else 0)
            if not ready:
                return
            for reference in ready:
                trial_id, _ = self._pending.pop(reference)
                try:
                    yield Evaluated(trial_id, ray.get(reference))
                except ray.exceptions.RayError as error:
                    log.exception("the test of trial %s failed", trial_id)
                    yield Evaluated(trial_id, None, str(error).strip().splitlines()[-1])
