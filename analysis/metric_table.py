"""A table of models from a file to the two means that are ranked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from analysis.aggregate import MEANS, MM_MEANS, add_mean_metrics, aggregate_frames
from analysis.csv_table import read_numbers, read_text_table
from analysis.ranking import RANK
from tune_knee import keys

_MEANS: Final = (keys.OVERLAP, keys.DISTANCE_PX)
_SHORT_NAMES: Final = {"hd95": "hd95_px", "assd": "assd_px"}
_NO_NAME: Final = {
    *(*MEANS, keys.SCORE, RANK),
    *(*MM_MEANS, keys.SPACING_SOURCE),  # those of a study's own files
}
_SHARES: Final = {*keys.OVERLAP_METRICS, keys.OVERLAP}
_NAMED: Final = 5  # in an error; more are counted


@dataclass(frozen=True, kw_only=True)
class MetricTable:
    """What a file says about its models.

    Attributes:
        means: trial (the model's name), region, overlap, distance_px: a row per model and
            region, each model with every region, in the file's order; NaN where the file
            has no value. Of a file of frames also missed_frames: those without a distance,
            which the mean distance leaves out.
        named_by: columns that together name a model.
        frames: how many the means are over; None where the file holds means.
    """

    means: pd.DataFrame
    named_by: tuple[str, ...]
    frames: int | None

    @property
    def missing(self) -> pd.DataFrame:
        """Absent values, which rank last: trial, region, measure."""
        long = self.means.melt([keys.TRIAL, keys.REGION], list(_MEANS), var_name="measure")
        return long.loc[long["value"].isna(), [keys.TRIAL, keys.REGION, "measure"]]


def read_metric_table(path: Path) -> MetricTable:
    """Read models with `keys.METRICS`, or with overlap and distance_px, by region.

    With columns case and frame, rows are frames, and their means are taken. Where both the
    six metrics and the two means are there, the means are read. Columns that are no metric,
    score or rank name the model, joined.

    Raises:
        ValueError: if the file is no such table; names file and line.
    """
    table = read_text_table(path).rename(columns=_SHORT_NAMES)
    per_frame = _is_per_frame(table, path)
    metrics = _metric_columns(table, per_frame, path)
    row = [keys.REGION, *((keys.CASE, keys.FRAME) if per_frame else ())]
    named_by = tuple(name for name in table.columns if name not in {*_NO_NAME, *row})
    if not named_by:
        raise ValueError(
            f"a column must name the models, got only {', '.join(table.columns)} in {path}"
        )
    values = table[row].copy()
    values.insert(0, keys.TRIAL, _join(table, named_by))
    for name in (keys.TRIAL, *row):
        _require(values[name] != "", f"every row must have its {_title(name)}", path)
    for name in metrics:
        values[name] = _read_metric(table, name, path)
    if per_frame:
        found = values[list(keys.OVERLAP_METRICS)].notna().all(axis=1)
        _require(found, "overlap metrics of a frame must be numbers, 0 where it is missed", path)
    _require_once(values, [keys.TRIAL, *row], path)
    _require_every_region(values, named_by, path)
    columns = [keys.TRIAL, keys.REGION, *_MEANS]
    if per_frame:
        frames = _require_same_frames(values, path)
        means = aggregate_frames(values)[[*columns, keys.MISSED_FRAMES]]
        return MetricTable(means=means, named_by=named_by, frames=frames)
    means = add_mean_metrics(values) if metrics == keys.METRICS else values
    return MetricTable(means=means[columns].reset_index(drop=True), named_by=named_by, frames=None)


def _is_per_frame(table: pd.DataFrame, path: Path) -> bool:
    there = [name in table.columns for name in (keys.CASE, keys.FRAME)]
    if any(there) and not all(there):
        raise ValueError(
            "a table of frames must have the columns case and frame, and a table of means "
            f"neither, got one of them in {path}"
        )
    return all(there)


def _metric_columns(table: pd.DataFrame, per_frame: bool, path: Path) -> tuple[str, ...]:
    forms = (keys.METRICS,) if per_frame else (_MEANS, keys.METRICS)
    lacking = [
        [name for name in (keys.REGION, *metrics) if name not in table.columns] for metrics in forms
    ]
    fewest = min(lacking, key=len)
    if fewest:
        either = " or ".join(",".join(metrics) for metrics in forms)
        raise ValueError(
            f"a table{' of frames' if per_frame else ''} must have the columns {keys.REGION} and "
            f"{either}, got no {', '.join(fewest)} in {path}, but {', '.join(table.columns)}"
        )
    return forms[lacking.index([])]


def _join(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    name = table[columns[0]]
    for column in columns[1:]:
        name = name.str.cat(table[column], sep=" ").str.strip()
    return name


def _read_metric(table: pd.DataFrame, name: str, path: Path) -> pd.Series:
    values = read_numbers(table, name, path)
    highest = 1.0 if name in _SHARES else float("inf")
    wrong = (values < 0) | (values > highest)
    if wrong.any():
        line, text = next(table.loc[wrong, name].items())
        rule, advice = (
            ("lie in [0, 1]", "; divide percentages by 100")
            if name in _SHARES
            else ("be at least 0", "")
        )
        raise ValueError(f"{name} must {rule}, got {text} in {path}, line {line}{advice}")
    return values


def _require(holds: pd.Series, rule: str, path: Path) -> None:
    if not holds.all():
        raise ValueError(f"{rule}, got none in {path}, line {holds.idxmin()}")


def _require_once(values: pd.DataFrame, row: list[str], path: Path) -> None:
    repeated = values.duplicated(row)
    if repeated.any():
        again = values.loc[repeated, row].iloc[0]
        first, line = values.index[(values[row] == again).all(axis="columns")][:2]
        what = ", ".join(f"{_title(name)} {again[name]}" for name in row)
        raise ValueError(
            f"every row must be there once, got {what} twice in {path}, lines {first} and {line}"
        )


def _require_every_region(values: pd.DataFrame, named_by: tuple[str, ...], path: Path) -> None:
    there = pd.crosstab(values[keys.TRIAL], values[keys.REGION]) > 0
    lacking = there[~there.all(axis=1)]
    if len(lacking):
        named = [
            f"{name} lacks {', '.join(there.columns[~row])}"
            for name, row in zip(lacking.index, lacking.to_numpy(), strict=True)
        ]
        raise ValueError(
            f"every model must have every region, got {len(lacking)} of {len(there)} without in "
            f"{path} (models are named by {', '.join(named_by)}): {_first(named)}; add the rows, "
            "with empty cells where a region was never found, or take the models out"
        )


def _require_same_frames(values: pd.DataFrame, path: Path) -> int:
    """How many frames there are."""
    frames = values[[keys.CASE, keys.FRAME]].drop_duplicates()
    counts = values.groupby([keys.TRIAL, keys.REGION], sort=False).size()
    fewer = counts[counts < len(frames)]
    if len(fewer):
        named = [
            f"{name}, {region}: {count}" for name, region, count in fewer.reset_index().to_numpy()
        ]
        raise ValueError(
            f"every model must have the same {len(frames)} frames of every region, got fewer in "
            f"{path}: {_first(named)}; a missed frame has overlap 0 and empty distances"
        )
    return len(frames)


def _title(name: str) -> str:
    return "model" if name == keys.TRIAL else name


def _first(named: list[str]) -> str:
    more = len(named) - _NAMED
    return "; ".join(named[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
