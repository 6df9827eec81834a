"""What a session of a study trains, and how it stands."""

from dataclasses import dataclass
from pathlib import Path

from tune_knee.config import Budget, TrialConfig, trial_id
from tune_knee.point_queue import PointQueue, TrialEnd
from tune_knee.trial_folder import TRAINED, Outcome, TrialFolder


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What a session of a study trains, and where.

    Attributes:
        root: the study's folder.
        trials: of the whole study, by id; a search adds its own as it goes.
        budget: of every trial.
        fingerprint: identity of the dataset.
        hardest_region: whose IoU the third stopping criterion looks at.
        max_concurrent: trials at a time.
        cpus_per_trial: CPUs that each takes.
        gpus_per_trial: share of a GPU that each takes; 0 trains on the CPU.
    """

    root: Path
    trials: dict[str, TrialConfig]
    budget: Budget
    fingerprint: str
    hardest_region: str
    max_concurrent: int
    cpus_per_trial: float
    gpus_per_trial: float

    def add(self, trial: TrialConfig) -> str:
        """Take in a trial that a search proposes; its id."""
        identity = trial_id(trial, self.budget, self.fingerprint)
        self.trials[identity] = trial
        return identity

    def folder(self, identity: str) -> TrialFolder:
        """A trial's folder."""
        return TrialFolder.of(self.root, identity)

    def end_of(self, trial: TrialConfig) -> TrialEnd | None:
        """How a trial ended, as a search wants to know it; None if it has not."""
        folder = self.folder(self.add(trial))
        outcome = folder.read_outcome()
        if outcome is None:
            return None
        if outcome.status != TRAINED:
            return TrialEnd(status=outcome.status)
        return TrialEnd(status=TRAINED, values=folder.last_report())

    def outcomes(self) -> dict[str, Outcome]:
        """How the trials ended that have ended, by id."""
        found = {each: self.folder(each).read_outcome() for each in self.trials}
        return {each: outcome for each, outcome in found.items() if outcome is not None}


@dataclass(frozen=True, kw_only=True)
class SearchSession:
    """What a session of a search adds to its plan.

    Attributes:
        queue: where its trials come from.
        trials: how many they are at most.
        prunes: trials that are behind the others are stopped.
    """

    queue: PointQueue
    trials: int
    prunes: bool
