"""What a study is, on disk: enough to build it again and go on."""

import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tune_knee.config import Budget, TrialConfig, trial_id
from tune_knee.refinement_plan import RefinementPlan
from tune_knee.search_plan import SearchPlan

FILE_NAME: Final = "study.json"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A study's definition; written once, when the study starts.

    Attributes:
        study: name of the study, and of its MLflow experiment.
        study_id: tells this study from another one of the same name.
        grid: the search space's name.
        trials: what is trained; none of a search, which finds its own.
        search: what a search needs; None of a grid.
        refines: whose points these trials are; None if they are no search's.
        budget: how much is spent on each.
        data: the data set's folder.
        fingerprint: the data's identity.
        tracking_uri: where results go.
        storage: where checkpoints go, as `open_storage` takes it.
    """

    study: str
    study_id: str
    grid: str
    trials: tuple[TrialConfig, ...]
    search: SearchPlan | None = None
    refines: RefinementPlan | None = None
    budget: Budget
    data: Path
    fingerprint: str
    tracking_uri: str
    storage: str
    schema_version: Literal[1] = 1

    __pydantic_config__ = ConfigDict(extra="forbid")

    @staticmethod
    def new_id() -> str:
        """A study's random id."""
        return uuid.uuid4().hex[:12]

    @property
    def planned(self) -> int:
        """How many trials the whole study has."""
        if self.search is None:
            return len(self.trials)
        return self.search.points * self.search.seeds

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that are trained."""
        if self.search is None:
            return tuple(sorted({trial.network for trial in self.trials}))
        return self.search.space.networks

    def trials_by_id(self) -> dict[str, TrialConfig]:
        """The trials by their ids, in the grid's order."""
        return {trial_id(each, self.budget, self.fingerprint): each for each in self.trials}

    def write(self, study_dir: Path) -> None:
        """Write the manifest aside, then rename it."""
        aside = study_dir / f".{FILE_NAME}.{os.getpid()}"
        text = json.dumps(asdict(self), indent=2, default=str)
        aside.write_text(text + "\n")
        aside.replace(study_dir / FILE_NAME)

    @classmethod
    def read(cls, study_dir: Path) -> Self:
        """Read a study's manifest.

        Raises:
            ValueError: if there is none, or it cannot be understood.
        """
        path = study_dir / FILE_NAME
        if not path.is_file():
            raise ValueError(
                f"--out must hold a study to resume, got out={study_dir} without {FILE_NAME}"
            )
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
                for each in error.errors()
            )
            raise ValueError(
                f"a study's manifest must be whole, got {path}: {problems}; "
                "restore it from a copy, or start a new study with another --out"
            ) from error
