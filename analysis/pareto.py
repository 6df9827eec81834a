"""What no other beats in both of two things, and the area that a search's trials dominate."""

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


def non_dominated(cost: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the points that no other dominates, by ascending cost, equals in their order.

    One point dominates another if it costs no more (lower is better), is worth no less (higher
    is better), and is better in one of them. Equals in both stand side by side.

    Args:
        cost: of N points; infinity is worse than every other.
        value: likewise, each a number.
    """
    order = np.lexsort((-value, cost))
    worth = value[order]
    most = np.maximum.accumulate(worth)
    cheapest = cost[order][np.searchsorted(most, most)]  # with as much, the first has it
    return np.asarray(order[(worth == most) & (cost[order] == cheapest)])


def pareto_front(trials: pd.DataFrame) -> pd.DataFrame:
    """The `non_dominated` trials in distance and overlap, by ascending distance; index kept.

    A missing distance (a region never found) is worse than every other; such trials come last.
    A trial without an overlap is not on the front.

    Args:
        trials: with ``best/overlap`` and ``best/distance_px``.
    """
    rated = trials.dropna(subset=[OVERLAP.key])
    distance = rated[DISTANCE.key].fillna(np.inf)
    return rated.iloc[non_dominated(distance.to_numpy(), rated[OVERLAP.key].to_numpy())]


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
