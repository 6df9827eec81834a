"""The metrics and their means, as columns of tables."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import pandas as pd

from analysis.aggregate import MM_MEANS
from analysis.tables.table import Column, best
from tune_knee import keys

METRIC_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "iou": "IoU",
        "dice": "Dice",
        "precision": "Precision",
        "recall": "Recall",
        "hd95_px": "HD95 (px)",
        "assd_px": "ASSD (px)",
        keys.OVERLAP: "Overlap",
        keys.DISTANCE_PX: "Distance (px)",
        "hd95_mm": "HD95 (mm)",
        "assd_mm": "ASSD (mm)",
        keys.DISTANCE_MM: "Distance (mm)",
    }
)
_DISTANCES: Final = (*keys.DISTANCE_METRICS, keys.DISTANCE_PX, *MM_MEANS)


def spread_of(
    frames: pd.DataFrame, by: list[str], metrics: Sequence[str] = keys.METRICS
) -> pd.DataFrame:
    """Mean, SD, largest and smallest of each metric over frames, in the order of appearance.

    Columns, beside `by`: ``iou`` (the mean), ``iou_sd`` (of the sample, n - 1), ``iou_max``,
    ``iou_min``, ..., and ``missed_frames``, those without a distance, which counts in none
    of the distances' four.
    """
    grouped = frames.groupby(by, sort=False, observed=True, dropna=False)
    values = grouped[list(metrics)]
    parts = [
        values.mean(),
        values.std().add_suffix("_sd"),
        values.max().add_suffix("_max"),
        values.min().add_suffix("_min"),
    ]
    spread = pd.concat(parts, axis=1)
    defined = grouped[list(keys.DISTANCE_METRICS)].count().min(axis=1)
    spread[keys.MISSED_FRAMES] = grouped.size() - defined
    return spread.reset_index()


def best_metric(rows: pd.DataFrame, metric: str) -> frozenset[int]:
    """Positions of the rows with a metric's best value."""
    better: Literal["max", "min"] = "min" if metric in _DISTANCES else "max"
    return best(rows[metric], better)


def mean_column(metric: str, *, bold: Collection[int] = ()) -> Column:
    """A metric's mean."""
    return _column(metric, ("",), "{0}", bold)


def mean_sd_column(metric: str, *, bold: Collection[int] = ()) -> Column:
    """Mean ± SD of a metric."""
    return _column(metric, ("", "_sd"), "{0} ± {0}", bold)


def spread_column(metric: str, *, bold: Collection[int] = ()) -> Column:
    """Mean ± SD (max–min) of a metric, as the paper's Table A1."""
    return _column(metric, ("", "_sd", "_max", "_min"), "{0} ± {0}\n({0}–{0})", bold)


def _column(metric: str, suffixes: tuple[str, ...], pattern: str, bold: Collection[int]) -> Column:
    return Column(
        title=METRIC_TITLES[metric],
        of=tuple(metric + suffix for suffix in suffixes),
        pattern=pattern.format("{:z.3f}" if metric in _DISTANCES else "{:z.4f}"),
        bold=bold,
    )
