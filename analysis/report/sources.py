"""What a report is made of: a study, what its trials kept, and what is found in it."""

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
from analysis.findings import Findings, find
from analysis.load import Study
from analysis.pictures import Pictures, open_pictures
from analysis.ranking import UNSCORED_LOSSES
from analysis.tables.trial_columns import trial_labels
from tune_knee import keys

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
    """

    study: Study
    frames: pd.DataFrame
    histories: pd.DataFrame
    pictures: Pictures | Absent
    masks: LoadMasks
    findings: Findings | None

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
    )


def find_if_scored(study: Study, frames: pd.DataFrame, *, draws: int, seed: int) -> Findings | None:
    """`find`, or None with fewer than two scored trials."""
    scored = study.tests.loc[~study.tests[keys.LOSS].isin(UNSCORED_LOSSES), keys.TRIAL]
    if len(scored.unique()) < 2:
        return None
    return find(frames, study.tests, trial_labels(study.trials), draws=draws, seed=seed)
