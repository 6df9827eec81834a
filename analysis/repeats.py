"""Noise between seeds against differences between points: one-way random effects."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import chi2, f

from analysis.absent import Absent
from analysis.parameters import MODEL, SETTINGS
from analysis.search import TAU, Objective
from tune_knee import keys

LEVEL: Final = 0.95
POINT: Final = "point"
_POINT: Final = [*MODEL, *SETTINGS]


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """What several seeds at each of several points say about an objective.

    Attributes:
        network: whose trials.
        objective: which one.
        trials: those of points with two or more values: trial, the point's parameters,
            `POINT` (its number, best mean first) and the objective's column.
        points: a row per point, best mean first: `POINT`, parameters, seeds, mean, sd.
        seed_sd: standard deviation between seeds at one point.
        seed_sd_interval: 95 %, by the chi-squared distribution.
        point_variance: between points, over and above the seeds'; below 0 where means of
            points differ by less than seeds alone would make them.
        icc: intraclass correlation: share of the variance that is between points; 1: seeds
            do not matter, 0 and below: points cannot be told apart.
        icc_interval: 95 %, by the F distribution.
        missing: trials of repeated points without a value; they are left out.
    """

    network: str
    objective: Objective
    trials: pd.DataFrame
    points: pd.DataFrame
    seed_sd: float
    seed_sd_interval: tuple[float, float]
    point_variance: float
    icc: float
    icc_interval: tuple[float, float]
    missing: int

    @property
    def point_sd(self) -> float:
        """Standard deviation between points; 0 where the variance's estimate is below 0."""
        return float(np.sqrt(max(self.point_variance, 0.0)))


def analyse_repeats(trials: pd.DataFrame, network: str, objective: Objective) -> Repeats | Absent:
    """Split the variance of a network's repeated points into seeds and points.

    Analysis of variance, one way, random effects: with a points of n_i seeds (N together),
    between-mean square B and within W, n₀ = (N - Σ n_i² / N) / (a - 1), the variance between
    points is (B - W) / n₀ and the intraclass correlation (B - W) / (B + (n₀ - 1) W); interval
    by F = B / W (Shrout and Fleiss 1979, case 1), exact where all points have as many seeds.

    Args:
        trials: finished ones; those of one point differ in ``repeat`` alone.
        network: which one.
        objective: which one.

    Returns:
        The split; absent without two points that have two values each, or if seeds never
        differ.
    """
    title = f"Repeats of {network}: {objective.title}"
    here = trials[trials[keys.NETWORK] == network]
    groups = here.groupby(_POINT, dropna=False, sort=False)
    several = here[groups[keys.REPEAT].transform("size") > 1]
    valued = several[several[objective.key].notna()]
    counts = valued.groupby(_POINT, dropna=False)[objective.key].transform("size")
    repeated = valued[counts > 1]
    points = _points(repeated, objective)
    if len(points) < 2:
        reason = f"It needs two points with two seeds or more each; there are {len(points)}."
        return Absent(title=title, reason=reason)
    between, within, n0, spare = _mean_squares(points)
    if within == 0:
        return Absent(title=title, reason="Seeds of one point never differ.")
    order = points[[*_POINT, POINT]]
    return Repeats(
        network=network,
        objective=objective,
        trials=repeated.merge(order, on=_POINT)[[keys.TRIAL, *_POINT, POINT, objective.key]],
        points=points,
        seed_sd=float(np.sqrt(within)),
        seed_sd_interval=_sd_interval(within, spare),
        point_variance=(between - within) / n0,
        icc=(between - within) / (between + (n0 - 1) * within),
        icc_interval=_icc_interval(between / within, len(points) - 1, spare, n0),
        missing=len(several) - len(valued),
    )


def _points(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    summary = {
        "seeds": (objective.key, "size"),
        "mean": (objective.key, "mean"),
        "sd": (objective.key, "std"),
    }
    points = trials.groupby(_POINT, dropna=False, sort=False).agg(**summary).reset_index()
    points = points.sort_values(
        ["mean", *TAU], ascending=not objective.higher_is_better, kind="stable", ignore_index=True
    )
    return points.assign(**{POINT: np.arange(len(points))})


def _mean_squares(points: pd.DataFrame) -> tuple[float, float, float, int]:
    """Mean squares between and within points, n₀, and degrees of freedom within."""
    seeds, mean, sd = (points[name].to_numpy(float) for name in ("seeds", "mean", "sd"))
    total, count = seeds.sum(), len(points)
    grand = (seeds * mean).sum() / total
    between = (seeds * (mean - grand) ** 2).sum() / (count - 1)
    spare = int(total) - count
    within = ((seeds - 1) * sd**2).sum() / spare
    n0 = (total - (seeds**2).sum() / total) / (count - 1)
    return float(between), float(within), float(n0), spare


def _sd_interval(within: float, spare: int) -> tuple[float, float]:
    high, low = chi2.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], spare)
    return float(np.sqrt(within * spare / low)), float(np.sqrt(within * spare / high))


def _icc_interval(ratio: float, between: int, within: int, n0: float) -> tuple[float, float]:
    tail = (1 + LEVEL) / 2
    low = ratio / f.ppf(tail, between, within)
    high = ratio * f.ppf(tail, within, between)
    return float((low - 1) / (low + n0 - 1)), float((high - 1) / (high + n0 - 1))
