"""Per-frame metrics to the means that are ranked."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from tune_knee import keys

MEANS: Final = (*keys.METRICS, keys.OVERLAP, keys.DISTANCE_PX, keys.MISSED_FRAMES)
MM_MEANS: Final = (*keys.MM_METRICS, keys.DISTANCE_MM)


def aggregate_frames(frames: pd.DataFrame, by: Sequence[str] = (keys.TRIAL,)) -> pd.DataFrame:
    """Means over frames, one row per trial and region, in the order of appearance.

    ``overlap`` (the paper's Mean_metric 1, higher is better, [0, 1]) is the mean of the
    mean IoU, Dice, precision and recall; ``distance_px`` (Mean_metric 2, lower is better)
    the mean of the mean HD95 and ASSD.

    A frame whose distance is undefined (one of the two masks is empty) counts in the
    overlap, as 0, and not in the distance: ``missed_frames`` says how many those are, and
    the distance is NaN where they are all.

    Where the frames have `keys.MM_METRICS`, their means and ``distance_mm`` come too.

    Args:
        frames: a row per trial, case, frame and region with `keys.METRICS`.
        by: what distinguishes models, beside the region.

    Raises:
        ValueError: if columns are missing, an overlap metric is, or a row is repeated.
    """
    groups = [*by, keys.REGION]
    row = [*groups, keys.CASE, keys.FRAME]
    _require_columns(frames, [*row, *keys.METRICS])
    repeated = frames.duplicated(row)
    if repeated.any():
        first = frames.loc[repeated, row].iloc[0].to_dict()
        raise ValueError(
            f"frames must have each row once, got {repeated.sum()} twice, e.g. {first}"
        )
    undefined = frames[list(keys.OVERLAP_METRICS)].isna().any(axis=1)
    if undefined.any():
        first = frames.loc[undefined, row].iloc[0].to_dict()
        raise ValueError(
            f"overlap metrics must be numbers, got {undefined.sum()} NaN, e.g. {first}"
        )

    grouped = frames.groupby(groups, sort=False, observed=True)
    in_mm = [name for name in keys.MM_METRICS if name in frames.columns]
    means = add_mean_metrics(grouped[[*keys.METRICS, *in_mm]].mean())
    if in_mm:
        means[keys.DISTANCE_MM] = means[in_mm].mean(axis=1, skipna=False)
    defined = grouped[list(keys.DISTANCE_METRICS)].count().min(axis=1)
    means[keys.MISSED_FRAMES] = grouped.size() - defined
    return means.reset_index()


def mean_overlap(frames: pd.DataFrame, by: Sequence[str]) -> "pd.Series[float]":
    """Overlap of each group, over all its rows, in the order of appearance; higher is better.

    Args:
        frames: a row per trial, case, frame and region with the overlap metrics.
        by: columns; the result's index.
    """
    overlap = frames[list(keys.OVERLAP_METRICS)].mean(axis=1)
    return overlap.groupby([frames[name] for name in by], sort=False).mean()


def add_mean_metrics(means: pd.DataFrame) -> pd.DataFrame:
    """Add overlap and distance_px to a table of `keys.METRICS`; NaN where one of theirs is."""
    return means.assign(
        **{
            keys.OVERLAP: means[list(keys.OVERLAP_METRICS)].mean(axis=1, skipna=False),
            keys.DISTANCE_PX: means[list(keys.DISTANCE_METRICS)].mean(axis=1, skipna=False),
        }
    )


def _require_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(
            f"a table must have the columns {', '.join(columns)}, got none named "
            f"{', '.join(missing)}"
        )
