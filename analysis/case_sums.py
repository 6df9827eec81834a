"""Per-case sums of the metrics, from which the means of any choice of cases follow."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.ranking import rank_sum_scores
from tune_knee import keys

_OVERLAPS: Final = len(keys.OVERLAP_METRICS)


@dataclass(frozen=True, kw_only=True)
class CaseSums:
    """What C cases add to the means of M trials on R regions.

    Attributes:
        trials: M names, in the order of appearance.
        cases: C names, likewise.
        regions: R names, likewise.
        sums: of `keys.METRICS` over a case's frames where defined. Shape (C, M, R, 6).
        defined: frames in which a metric is defined; all for the overlaps. As `sums`.
    """

    trials: tuple[str, ...]
    cases: tuple[str, ...]
    regions: tuple[str, ...]
    sums: NDArray[np.float64]
    defined: NDArray[np.float64]

    def metric_means(self, times: ArrayLike) -> NDArray[np.float64]:
        """Means of `keys.METRICS` over the frames of chosen cases where they are defined.

        Args:
            times: how often each case is taken. Shape (..., C).

        Returns:
            Shape (..., M, R, 6); NaN where a metric is defined in no frame of the chosen cases.
        """
        weights = np.asarray(times, dtype=np.float64)
        shape = (*weights.shape[:-1], *self.sums.shape[1:])
        sums, defined = np.zeros(shape), np.zeros(shape)
        # Case by case and not by BLAS, which may round equal trials apart and so break ties.
        for case, weight in enumerate(np.moveaxis(weights, -1, 0)):
            sums += weight[..., None, None, None] * self.sums[case]
            defined += weight[..., None, None, None] * self.defined[case]
        undefined = defined == 0
        means: NDArray[np.float64] = sums / np.where(undefined, np.nan, defined)
        return means

    def means(self, times: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Overlap and distance_px over the frames of chosen cases, as `aggregate_frames`.

        Args:
            times: how often each case is taken. Shape (..., C).

        Returns:
            overlap (higher is better) and distance_px (lower is better; NaN where a trial
            has no defined distance in the chosen cases), each of shape (..., M, R).
        """
        means = self.metric_means(times)
        return means[..., :_OVERLAPS].mean(axis=-1), means[..., _OVERLAPS:].mean(axis=-1)

    def scores(self, times: ArrayLike) -> NDArray[np.float64]:
        """Total score of each trial over the frames of chosen cases; higher is better.

        Equal values share their mean points, and a trial without a defined distance in
        the chosen cases has the fewest there, as in `rank_sum_score`.

        Args:
            times: how often each case is taken. Shape (..., C).

        Returns:
            the sum of the regions' scores. Shape (..., M).
        """
        overlap, distance_px = (np.swapaxes(means, -1, -2) for means in self.means(times))
        totals: NDArray[np.float64] = rank_sum_scores(overlap, distance_px).sum(axis=-2)
        return totals

    @property
    def each_case(self) -> NDArray[np.float64]:
        """The choices of one case alone, for `means` and `scores`. Shape (C, C)."""
        return np.eye(len(self.cases))


def sum_cases(frames: pd.DataFrame) -> CaseSums:
    """Sum the metrics of each trial, case and region.

    Args:
        frames: a row per trial, case, frame and region with `keys.METRICS`; NaN where a
            distance is undefined.

    Raises:
        ValueError: if the trials were not all tested on the same frames and regions, each
            once: means over other frames would not compare.
    """
    _require_same_frames(frames)
    trial, trials = pd.factorize(frames[keys.TRIAL])
    case, cases = pd.factorize(frames[keys.CASE])
    region, regions = pd.factorize(frames[keys.REGION])
    shape = (len(cases), len(trials), len(regions))
    cell = np.ravel_multi_index((case, trial, region), shape)
    values = frames[list(keys.METRICS)].to_numpy(dtype=np.float64)
    known = ~np.isnan(values)
    return CaseSums(
        trials=tuple(trials),
        cases=tuple(cases),
        regions=tuple(regions),
        sums=_sum_cells(cell, np.where(known, values, 0.0), shape),
        defined=_sum_cells(cell, known, shape),
    )


def _sum_cells(
    cell: NDArray[np.intp], values: NDArray[np.generic], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Sums of the rows of each cell. Shape (*shape, columns)."""
    sums = [np.bincount(cell, column, math.prod(shape)) for column in values.T]
    return np.stack(sums, axis=-1, dtype=np.float64).reshape(*shape, -1)


def _require_same_frames(frames: pd.DataFrame) -> None:
    trial, trials = pd.factorize(frames[keys.TRIAL])
    region, regions = pd.factorize(frames[keys.REGION])
    place = frames.groupby([keys.CASE, keys.FRAME], sort=False, observed=True).ngroup().to_numpy()
    shape = (len(trials), int(place.max(initial=-1)) + 1, len(regions))
    cell = np.ravel_multi_index((trial, place, region), shape)
    rows = np.bincount(cell, minlength=math.prod(shape))
    wrong = np.flatnonzero(rows != 1)
    if len(wrong):
        first = wrong[0]
        at_trial, at_place, at_region = np.unravel_index(first, shape)
        case, frame = frames.loc[place == at_place, [keys.CASE, keys.FRAME]].iloc[0]
        raise ValueError(
            f"trials must all be tested once on the same frames, got {len(wrong)} rows missing or "
            f"repeated, e.g. trial={trials[at_trial]} has case={case} frame={frame} "
            f"region={regions[at_region]} {rows[first]} times"
        )
