"""Trials that no other beats in both objectives, and the area they dominate."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.search import DISTANCE, OVERLAP


@dataclass(frozen=True, kw_only=True)
class ReferencePoint:
    """A corner that is worse than what counts; the area is measured from it.

    Attributes:
        overlap: none below adds to the area.
        distance_px: none above adds to it.
    """

    overlap: float
    distance_px: float

    @classmethod
    def worst_of(cls, trials: pd.DataFrame) -> Self:
        """The lowest overlap and the largest distance among trials; missing ones left out.

        Raises:
            ValueError: if no trial has an overlap, or none a distance.
        """
        overlap, distance_px = trials[OVERLAP.key].min(), trials[DISTANCE.key].max()
        if np.isnan([overlap, distance_px]).any():
            raise ValueError(
                "a reference point needs an overlap and a distance, got "
                f"overlap={overlap}, distance_px={distance_px}"
            )
        return cls(overlap=float(overlap), distance_px=float(distance_px))


def pareto_front(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that no other dominates, by ascending distance; their index kept.

    One trial dominates another if it is at least as good in overlap (higher) and distance
    (lower) and better in one of them. Equals in both stand side by side. A missing distance
    (a region never found) is worse than every other; such trials come last. A trial without
    an overlap is not on the front.

    Args:
        trials: with ``best/overlap`` and ``best/distance_px``.
    """
    rated = trials.dropna(subset=[OVERLAP.key])
    overlap, distance = _costs(rated)
    better = (overlap[:, None] >= overlap) & (distance[:, None] <= distance)
    strictly = (overlap[:, None] > overlap) | (distance[:, None] < distance)
    front = rated.iloc[np.flatnonzero(~(better & strictly).any(axis=0))]
    return front.sort_values(
        [DISTANCE.key, OVERLAP.key], ascending=[True, False], kind="stable", na_position="last"
    )


def hypervolume(trials: pd.DataFrame, reference: ReferencePoint) -> float:
    """Area between the reference point and the front, overlap times pixels; more is better.

    Exact: the sum of the front's rectangles (Zitzler and Thiele 1999). 0 where no trial is
    better than the reference in both; a trial without overlap or distance adds nothing.

    Args:
        trials: with ``best/overlap`` and ``best/distance_px``.
        reference: from where the area counts.
    """
    measured = trials[[OVERLAP.key, DISTANCE.key]].dropna()
    inside = measured[
        (measured[OVERLAP.key] > reference.overlap)
        & (measured[DISTANCE.key] < reference.distance_px)
    ]
    front = pareto_front(inside).drop_duplicates([OVERLAP.key, DISTANCE.key])
    widths = np.diff(np.append(front[DISTANCE.key], reference.distance_px))
    return float((widths * (front[OVERLAP.key] - reference.overlap)).sum())


def _costs(trials: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    distance = trials[DISTANCE.key].fillna(np.inf).to_numpy()
    return trials[OVERLAP.key].to_numpy(), distance
