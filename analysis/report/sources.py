"""What a report is made of: a study, what its trials kept, and what is found in it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.absent import Absent
from analysis.artifacts import load_frames, load_histories, load_masks
from analysis.beside_grid import BesideGrid, beside_grid
from analysis.findings import Findings, find
from analysis.load import Study, load_study
from analysis.pictures import Pictures, open_pictures
from analysis.ranking import UNSCORED_LOSSES
from analysis.search import DISTANCE, OVERLAP, Search
from analysis.tables.trial_columns import trial_labels
from tune_knee import keys

log = logging.getLogger(__name__)

LoadMasks: TypeAlias = Callable[[str, pd.DataFrame], NDArray[np.uint8] | None]


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything that sections take from.

    Attributes:
        study: what MLflow knows of it.
        frames: per-frame metrics of the tested trials.
        histories: reports of the trials that ended.
        pictures: test frames with their true masks, or why there are none.
        masks: of a trial, the bit masks it predicted on the frames (case, frame) asked for;
            None if it kept none.
        findings: the ranking and what it is worth; None with fewer than two scored trials.
        search: what a search tried and what it started from; None of a grid's study.
        refined: the trials beside those of a grid; None if the study refines no search.
        seed: of all that draws.
    """

    study: Study
    frames: pd.DataFrame
    histories: pd.DataFrame
    pictures: Pictures | Absent
    masks: LoadMasks
    findings: Findings | None
    search: Search | None = None
    refined: BesideGrid | None = None
    seed: int = 0

    @property
    def labels(self) -> dict[str, str]:
        """Each trial's words by its id."""
        return trial_labels(self.study.trials)


def gather(study: Study, data: Path, *, draws: int, seed: int) -> Sources:
    """Read what a study's trials kept, and find out what there is to say.

    Args:
        study: which one.
        data: folder of the dataset it was made with.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: if files of tested trials are gone, or they were not all tested on the
            same frames.
    """
    frames = load_frames(study)
    return Sources(
        study=study,
        frames=frames,
        histories=load_histories(study),
        pictures=open_pictures(data, study.fingerprint, study.budget.image_size_px),
        masks=partial(load_masks, study),
        findings=find_if_scored(study, frames, draws=draws, seed=seed),
        search=search_of(study),
        refined=None if study.refines is None else beside_grid(study),
        seed=seed,
    )


def search_of(study: Study) -> Search | None:
    """What a search tried and what it started from; None if the study is no search."""
    if study.search is None:
        return None
    known = study.trials.iloc[:0]
    if study.warm_start is not None:
        try:
            known = load_study(*study.warm_start).trials
        except ValueError as error:
            log.warning("the study that the search started from is left out: %s", error)
    ranges = [study.search["tau"][part] for part in ("ce", "dice", "boundary")]
    by_key = {objective.key: objective for objective in (OVERLAP, DISTANCE)}
    return Search(
        trials=study.trials,
        known=known,
        objectives=tuple(by_key[key] for key in study.search["objectives"]),
        learning_rate=study.budget.optimizer.learning_rate,
        tau_low=(ranges[0][0], ranges[1][0], ranges[2][0]),
        tau_high=(ranges[0][1], ranges[1][1], ranges[2][1]),
    )


def find_if_scored(study: Study, frames: pd.DataFrame, *, draws: int, seed: int) -> Findings | None:
    """`find`, or None with fewer than two scored trials."""
    scored = study.tests.loc[~study.tests[keys.LOSS].isin(UNSCORED_LOSSES), keys.TRIAL]
    if len(scored.unique()) < 2:
        return None
    return find(frames, study.tests, trial_labels(study.trials), draws=draws, seed=seed)
