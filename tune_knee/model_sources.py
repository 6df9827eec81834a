"""Trained models by name: a file, the best of a study, a run of MLflow, or its registry."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import pandas as pd

from analysis.beside_grid import BesideGrid, beside_grid
from analysis.load import LABEL, Study, load_study, open_client
from analysis.ranking import rank_trials, score_trials
from tune_knee import keys
from tune_knee.checkpoints import Checkpoints
from tune_knee.checks import must_be_positive
from tune_knee.data.dataset import open_dataset
from tune_knee.manifest import FILE_NAME, Manifest
from tune_knee.segmenter.saved_model import THRESHOLD, ModelFacts, SavedModel
from tune_knee.storage import open_storage
from tune_knee.stored_models import MODELS, RUNS, read_model

_TRACKING_URI: Final = "MLFLOW_TRACKING_URI"


def find_models(asked: str, *, tracking_uri: str | None, top: int = 1) -> tuple[SavedModel, ...]:
    """The models that a user names, best first.

    Args:
        asked: a model's file; a study's folder, for its best by the paper's score;
            ``runs:/ID``, for the model that a run of MLflow holds; ``models:/NAME/VERSION`` or
            ``models:/NAME@alias``, for one of MLflow's registry.
        tracking_uri: MLflow's store, for the last two; None takes MLFLOW_TRACKING_URI.
        top: of a study, so many of its best.

    Raises:
        ValueError: if there is no such model, or fewer than asked for.
    """
    must_be_positive(top=top)
    if Path(asked).is_dir():
        study = TrainedStudy.open(Path(asked))
        return tuple(study.model(trial) for trial in study.best(top))
    if top > 1:
        raise ValueError(f"several models must be the best of a study's folder, got model={asked}")
    if asked.startswith((RUNS, MODELS)):
        address = tracking_uri or os.environ.get(_TRACKING_URI)
        if not address:
            raise ValueError(
                f"a model in MLflow must come with --tracking-uri or {_TRACKING_URI}, "
                f"got model={asked}"
            )
        return (read_model(open_client(address), asked),)
    if not Path(asked).exists():
        raise ValueError(
            "a model must be named by its file, a study's folder, runs:/ID, "
            f"models:/NAME/VERSION or models:/NAME@alias, got model={asked}, which is not there"
        )
    return (SavedModel.read(Path(asked)),)


@dataclass(frozen=True, kw_only=True)
class TrainedStudy:
    """A study of which something is tested, with the weights of its trials.

    Attributes:
        folder: of the study.
        manifest: its definition.
        field: the study, and what its trials are ranked with.
        own: ids of its own trials.
        frames: of its dataset, a row a frame, `dataset.FRAME_COLUMNS`.
        prepared_size_px: side of its dataset's frames, before the budget's size.
    """

    folder: Path
    manifest: Manifest
    field: BesideGrid
    own: frozenset[str]
    frames: pd.DataFrame
    prepared_size_px: int

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a study by its folder.

        Raises:
            ValueError: if there is none, none of its trials is tested, or what it needs (its
                MLflow store, its dataset) is not there.
        """
        if not (folder / FILE_NAME).is_file():
            raise ValueError(f"a study's folder must hold {FILE_NAME}, got model={folder} without")
        manifest = Manifest.read(folder)
        dataset = open_dataset(manifest.data)
        if dataset.fingerprint != manifest.fingerprint:
            raise ValueError(
                f"the data must be the study's, fingerprint {manifest.fingerprint}, got "
                f"fingerprint={dataset.fingerprint} in {manifest.data}; bring the old data back"
            )
        study = load_study(manifest.tracking_uri, manifest.study_id)
        return cls.ranked(folder, manifest, study, dataset.frames, dataset.size_px)

    @classmethod
    def ranked(
        cls,
        folder: Path,
        manifest: Manifest,
        study: Study,
        frames: pd.DataFrame,
        prepared_size_px: int,
    ) -> Self:
        """A study with what it is ranked with."""
        return cls(
            folder=folder,
            manifest=manifest,
            field=beside_grid(study),
            own=frozenset(study.trials[keys.TRIAL]),
            frames=frames,
            prepared_size_px=prepared_size_px,
        )

    @property
    def tested(self) -> list[str]:
        """Its own tested trials."""
        trials = self.field.study.tests[keys.TRIAL].unique()
        return [str(trial) for trial in trials if trial in self.own]

    @property
    def scored(self) -> list[str]:
        """Its own trials by the paper's score, best first, as `run` ranks them.

        A refinement's are scored among those of its grid, whose models lie elsewhere.
        """
        ranked = rank_trials(score_trials(self.field.study.tests))[keys.TRIAL]
        return [str(trial) for trial in ranked if trial in self.own]

    def best(self, top: int = 1) -> list[str]:
        """The first of `scored`.

        Raises:
            ValueError: if there are fewer.
        """
        found = self.scored
        if len(found) < top:
            raise ValueError(
                f"a study must have as many scored trials as asked for, got {len(found)} of "
                f"{top} in study={self.manifest.study}{self._unscored(found)}"
            )
        return found[:top]

    def model(self, trial_id: str) -> SavedModel:
        """The best weights of a tested trial, with all that is needed to use them.

        Raises:
            ValueError: if the trial is not the study's or not tested, or its weights are gone.
        """
        manifest, study = self.manifest, self.field.study
        self._must_be_tested(trial_id)
        row = study.trials.set_index(keys.TRIAL).to_dict("index")[trial_id]
        checkpoints = Checkpoints.of(open_storage(manifest.storage), trial_id)
        step, weights = checkpoints.load_best()
        facts = ModelFacts(
            network=row[keys.NETWORK],
            width=manifest.budget.width,
            regions=study.regions,
            thresholds=(THRESHOLD,) * len(study.regions),
            prepared_size_px=self.prepared_size_px,
            image_size_px=manifest.budget.image_size_px,
            batch_size=manifest.budget.batch_size,
            budget=manifest.budget.name,
            fingerprint=manifest.fingerprint,
            study=manifest.study,
            study_id=manifest.study_id,
            trial_id=trial_id,
            label=row[LABEL],
            step=step,
        )
        return SavedModel(facts, weights)

    def _must_be_tested(self, trial_id: str) -> None:
        if trial_id in self.tested:
            return
        what = "is not tested" if trial_id in self.own else "is none of its"
        raise ValueError(
            f"a trial must be a tested one of study={self.manifest.study}, got trial={trial_id}, "
            f"which {what}; tested: {', '.join(self.tested)}"
        )

    def _unscored(self, scored: Collection[str]) -> str:
        unscored = [trial for trial in self.tested if trial not in scored]
        if not unscored:
            return ""
        return (
            f"; tested without a score: {', '.join(unscored)}, of which 'python -m "
            "tune_knee.register FOLDER --trial ID --out model.pt' writes a model's file"
        )
