"""What a session of a study trains, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tune_knee.config import Budget, TrialConfig, trial_id
from tune_knee.gpu_share import TrialResources, bigger
from tune_knee.point_queue import PointQueue, TrialEnd
from tune_knee.storage import Storage
from tune_knee.trial_folder import TRAINED, Outcome, TrialFolder


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What a session of a study trains, and where.

    Attributes:
        root: the study's folder, with the driver.
        study_id: the study's id, which marks its storage.
        storage: of the checkpoints, which every node sees.
        trials: of the whole study, by id; a search adds its own as it goes.
        budget: of every trial.
        fingerprint: identity of the dataset.
        hardest_region: whose IoU the third stopping criterion looks at.
        max_concurrent: trials at a time.
        resources: what a trial takes, by network.
        shares: of a GPU, by id, that trials take which ran out of memory.
    """

    root: Path
    study_id: str
    storage: Storage
    trials: dict[str, TrialConfig]
    budget: Budget
    fingerprint: str
    hardest_region: str
    max_concurrent: int
    resources: Mapping[str, TrialResources]
    shares: dict[str, float] = field(default_factory=dict)

    def add(self, trial: TrialConfig) -> str:
        """Take in a trial that a search proposes; its id."""
        identity = trial_id(trial, self.budget, self.fingerprint)
        self.trials[identity] = trial
        return identity

    def resources_of(self, identity: str) -> TrialResources:
        """What a trial takes now."""
        resources = self.resources[self.trials[identity].network]
        return replace(resources, gpus=self.shares.get(identity, resources.gpus))

    def widen(self, identity: str) -> bool:
        """Give a trial that ran out of memory a bigger share; False if it had its second go."""
        share = bigger(self.resources_of(identity).gpus)
        if share is None or identity in self.shares:
            return False
        self.shares[identity] = share
        return True

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
