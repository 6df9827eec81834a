"""The paper's score: a sum of ranks over two mean metrics and all regions."""

import math
from collections.abc import Collection
from typing import Final, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tune_knee import keys

Ties = Literal["average", "min", "max"]

RANK: Final = "rank"
# The paper compares ce1 with ce2 alone, in a table of its own: 50 of its 55 models have scores.
UNSCORED_LOSSES: Final = ("ce1",)


def rank_sum_score(
    overlap: ArrayLike, distance_px: ArrayLike, *, ties: Ties = "average"
) -> NDArray[np.float64]:
    """Score of N models on one region; higher is better, from 2 to 2N.

    N points for the highest overlap down to 1 for the lowest, N for the smallest distance
    down to 1 for the largest, added: a sum of ranks, not the Wilcoxon rank-sum test.
    Under ``average`` the scores of a region sum to N(N + 1).

    >>> rank_sum_score([0.9, 0.8, 0.8, 0.0], [2.0, 1.0, 3.0, float("nan")])
    array([7. , 6.5, 4.5, 2. ])

    Args:
        overlap: Mean_metric 1 of N models, higher is better. Shape (N,).
        distance_px: Mean_metric 2, lower is better. Shape (N,).
        ties: points of equal values: their mean (the paper does not say), or all the
            fewest (``min``), or all the most (``max``).

    NaN ranks below every number, and NaNs tie with each other. A model that never finds a
    region (overlap 0, distance NaN) has 2 if it is the only one, as in the paper; k of them
    have k + 1 each under ``average``, 2 under ``min`` and 2k under ``max``.

    Raises:
        ValueError: if the shapes differ or are not (N,), a value is infinite, or `ties`
            is unknown.
    """
    if np.ndim(overlap) != 1 or np.shape(overlap) != np.shape(distance_px):
        raise ValueError(
            "overlap and distance_px must have one shape (N,), "
            f"got overlap {np.shape(overlap)}, distance_px {np.shape(distance_px)}"
        )
    return rank_sum_scores(overlap, distance_px, ties=ties)


def rank_sum_scores(
    overlap: ArrayLike, distance_px: ArrayLike, *, ties: Ties = "average"
) -> NDArray[np.float64]:
    """Score of N models in each of many rankings at once; see `rank_sum_score`.

    Args:
        overlap: Mean_metric 1, higher is better. Shape (..., N); models along the last axis
            are ranked among themselves.
        distance_px: Mean_metric 2, lower is better. Shape (..., N).
        ties: points of equal values.

    Raises:
        ValueError: if the shapes differ or are (), a value is infinite, or `ties` is unknown.
    """
    high, low = np.asarray(overlap, dtype=np.float64), np.asarray(distance_px, dtype=np.float64)
    if high.shape != low.shape or not high.ndim:
        raise ValueError(
            "overlap and distance_px must have one shape (..., N), "
            f"got overlap {high.shape}, distance_px {low.shape}"
        )
    if np.isinf(high).any() or np.isinf(low).any():
        raise ValueError("overlap and distance_px must be finite or NaN, got an infinite value")
    if ties not in get_args(Ties):
        raise ValueError(f"ties must be one of {', '.join(get_args(Ties))}, got ties={ties}")
    return _points(high, ties) + _points(-low, ties)


def score_trials(
    table: pd.DataFrame,
    *,
    ties: Ties = "average",
    unscored_losses: Collection[str] = UNSCORED_LOSSES,
) -> pd.DataFrame:
    """Score per trial and region: columns trial, region, score; higher is better.

    Args:
        table: a row per trial and region with trial, region, overlap and distance_px, and
            loss if `unscored_losses` names any.
        ties: see `rank_sum_score`.
        unscored_losses: trials of these losses get no score and take no rank from others.

    Raises:
        ValueError: if columns are missing, or a trial lacks a region or has it twice: a
            sum over other regions than the others' would not compare.
    """
    columns = [keys.TRIAL, keys.REGION, keys.OVERLAP, keys.DISTANCE_PX]
    needed = [*columns, keys.LOSS] if unscored_losses else columns
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise ValueError(f"table must have {', '.join(needed)}, got no {', '.join(missing)}")
    if unscored_losses:
        table = table[~table[keys.LOSS].isin(list(unscored_losses))]
    _require_each_region_once(table)
    scores = table[[keys.TRIAL, keys.REGION]].reset_index(drop=True)
    scores[keys.SCORE] = np.nan
    for rows in scores.groupby(keys.REGION, sort=False, observed=True).indices.values():
        overlap = table[keys.OVERLAP].to_numpy()[rows]
        distance_px = table[keys.DISTANCE_PX].to_numpy()[rows]
        scores.loc[rows, keys.SCORE] = rank_sum_score(overlap, distance_px, ties=ties)
    return scores


def rank_trials(scores: pd.DataFrame) -> pd.DataFrame:
    """Trials by total score, best first: columns trial, score (sum over regions), rank.

    Rank 1 is best; trials of equal totals share the lowest rank of theirs and keep their
    order.

    Args:
        scores: a row per trial and region, from `score_trials`.
    """
    totals = scores.groupby(keys.TRIAL, sort=False, observed=True)[keys.SCORE].sum().reset_index()
    totals[RANK] = totals[keys.SCORE].rank(method="min", ascending=False).astype(int)
    return totals.sort_values(RANK, kind="stable", ignore_index=True)


def score_metrics(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Scores of each trial by their names in MLflow, from `score_trials`' table."""
    metrics: dict[str, dict[str, float]] = {}
    for trial, region, score in scores.itertuples(index=False):
        metrics.setdefault(trial, {})[keys.test(region, keys.SCORE)] = float(score)
    for trial, total, _ in rank_trials(scores).itertuples(index=False):
        metrics[trial][keys.TEST_SCORE] = float(total)
    return metrics


def _points(values: NDArray[np.float64], ties: Ties) -> NDArray[np.float64]:
    """Points 1 to N in ascending order of values along the last axis; NaN lowest."""
    flat = pd.DataFrame(values.reshape(math.prod(values.shape[:-1]), values.shape[-1]))
    points = flat.rank(axis=1, method=ties, na_option="top").to_numpy()
    return np.asarray(points, dtype=np.float64).reshape(values.shape)


def _require_each_region_once(table: pd.DataFrame) -> None:
    counts = pd.crosstab(table[keys.TRIAL], table[keys.REGION])
    listed = counts.melt(ignore_index=False, value_name="rows").reset_index()
    wrong = listed[listed["rows"] != 1]
    if len(wrong):
        first = wrong.iloc[0]
        raise ValueError(
            f"each trial must have each region once, got {len(wrong)} that do not, e.g. trial="
            f"{first[keys.TRIAL]} has region={first[keys.REGION]} {first['rows']} times"
        )
