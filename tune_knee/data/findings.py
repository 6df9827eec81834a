"""What looks wrong with a dataset: one line each, with the frame and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tune_knee.data.dataset import KneeDataset


@dataclass(frozen=True)
class Finding:
    """One thing to look at: of a `kind`, at a case or a frame, and what to do about it."""

    kind: str
    where: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.mend}"


def name_of(dataset: KneeDataset, n: int) -> str:
    """A frame as findings call it."""
    frame = dataset.frames.iloc[n]
    return f"{frame['case']} {frame['frame']} ({frame['source']})"


def column_of(dataset: KneeDataset, name: str, missing: object) -> pd.Series:
    """A column that a dataset may lack."""
    if name in dataset.frames:
        return dataset.frames[name]
    return pd.Series([missing] * len(dataset), index=dataset.frames.index)


def sequences(dataset: KneeDataset) -> Iterator[np.ndarray]:
    """Positions of the frames of each sequence, in order; where unknown, of each case."""
    keys = [dataset.frames["case"], column_of(dataset, "sequence", "")]
    for _, rows in dataset.frames.reset_index(drop=True).groupby(
        [key.to_numpy() for key in keys], sort=False
    ):
        yield rows.index.to_numpy()
