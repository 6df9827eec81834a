"""What a dataset holds: counts, weights, overlaps, exposure, findings, pictures."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tune_knee.data.dataset import SPLITS, KneeDataset, open_dataset
from tune_knee.data.findings import Finding, column_of
from tune_knee.data.image_findings import (
    duplicate_findings,
    exposure_findings,
    jump_findings,
)
from tune_knee.data.label_findings import (
    crossing_findings,
    flip_findings,
    piece_findings,
)
from tune_knee.data.measures import Measures, measure
from tune_knee.data.pictures import augmented_sheet, contact_sheet
from tune_knee.losses import external_weights
from tune_knee.training_config import AugmentationConfig

_NAMED: Final = 5  # frames without a region are named up to here
_EXPOSURE_BINS: Final = 8
_BAR: Final = 40


@dataclass(frozen=True)
class Summary:
    """Areas of N frames and R regions.

    Attributes:
        areas_px: of each region in each frame. (N, R).
        overlaps_px: of each pair of regions in each frame, the diagonal being the areas.
            (N, R, R).
    """

    areas_px: NDArray[np.int64]
    overlaps_px: NDArray[np.int64]


def summarise(dataset: KneeDataset) -> Summary:
    """Measure the areas and overlaps of all frames."""
    bits = np.arange(256)[:, None] >> np.arange(len(dataset.regions)) & 1  # (256, R)
    both = bits[:, :, None] * bits[:, None, :]
    values = np.stack([np.bincount(mask.ravel(), minlength=256) for mask in dataset.masks])
    return Summary(values @ bits, np.tensordot(values, both, axes=1))


def check(data: Path, *, sheet: Path | None = None, augmented: Path | None = None) -> int:
    """Print what a dataset holds and what looks wrong with it, and write its contact sheet.

    Args:
        data: the dataset folder.
        sheet: PNG of the contact sheet; None puts it into the folder.
        augmented: PNG of training frames beside augmented ones, where wanted.

    Returns:
        How many findings there are.

    Raises:
        ValueError: if the dataset cannot be opened, or a region has no training area.
    """
    dataset = open_dataset(data)
    summary = summarise(dataset)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(f"{data}: {dataset.size_px} px, fingerprint {dataset.fingerprint}")
    console.print(_counts(dataset, summary))
    console.print(_weights(dataset, summary))
    if len(dataset.regions) > 1:
        console.print(_overlaps(dataset, summary))
    for line in _lacking(dataset, summary):
        console.print(line)
    measures = measure(dataset)
    console.print(_exposure(dataset, measures))
    console.print(_depths(dataset))
    console.print(_spacing(dataset))
    sheet = data / "contact_sheet.png" if sheet is None else sheet
    contact_sheet(dataset).save(sheet, format="PNG")
    console.print(f"contact sheet: {sheet}")
    if augmented is not None:
        augmented_sheet(dataset, AugmentationConfig()).save(augmented, format="PNG")
        console.print(f"augmented: {augmented}")
    findings = find(dataset, measures)
    for finding in findings:
        console.print(str(finding))
    console.print(_summary(findings))
    return len(findings)


def find(dataset: KneeDataset, measures: Measures) -> list[Finding]:
    """All that looks wrong with a dataset."""
    return [
        *exposure_findings(dataset, measures),
        *jump_findings(dataset, measures),
        *duplicate_findings(dataset, measures),
        *piece_findings(dataset, measures),
        *crossing_findings(dataset),
        *flip_findings(dataset, measures),
    ]


def _counts(dataset: KneeDataset, summary: Summary) -> Table:
    table = Table("split", title="Cases, frames, and frames that show a region")
    for column in ("cases", "frames", *dataset.regions):
        table.add_column(column, justify="right")
    rows = {split: dataset.indices(split) for split in SPLITS}
    for name, indices in {**rows, "all": np.arange(len(dataset))}.items():
        cases = dataset.frames["case"].iloc[indices].nunique()
        shown = np.count_nonzero(summary.areas_px[indices], axis=0)
        table.add_row(name, *(str(count) for count in (cases, len(indices), *shown)))
    return table


def _weights(dataset: KneeDataset, summary: Summary) -> Table:
    areas = summary.areas_px[dataset.indices("train")].sum(axis=0)
    table = Table("region", title="Training areas and external weights of ce2")
    for column in ("area, px", "share", "weight"):
        table.add_column(column, justify="right")
    for region, area, weight in zip(dataset.regions, areas, external_weights(areas), strict=True):
        table.add_row(region, str(area), f"{area / areas.sum():.2%}", f"{weight:.4f}")
    return table


def _overlaps(dataset: KneeDataset, summary: Summary) -> Table:
    table = Table("regions", title="Overlaps, all splits")
    for column in ("area, px", "of the smaller", "frames"):
        table.add_column(column, justify="right")
    totals = summary.overlaps_px.sum(axis=0)
    for a, b in combinations(range(len(dataset.regions)), 2):
        smaller = min(totals[a, a], totals[b, b])
        table.add_row(
            f"{dataset.regions[a]} and {dataset.regions[b]}",
            str(totals[a, b]),
            f"{totals[a, b] / smaller:.2%}",
            str(np.count_nonzero(summary.overlaps_px[:, a, b])),
        )
    return table


def _lacking(dataset: KneeDataset, summary: Summary) -> list[str]:
    lines = []
    for region, areas in zip(dataset.regions, summary.areas_px.T, strict=True):
        lacking = dataset.frames[areas == 0]
        names = [
            f"{case}/{frame}" for case, frame in zip(lacking["case"], lacking["frame"], strict=True)
        ]
        named = f": {', '.join(names[:_NAMED])}{', …' * (len(names) > _NAMED)}" if names else ""
        lines.append(f"frames without {region}: {len(names)}{named}")
    return lines


def _exposure(dataset: KneeDataset, measures: Measures) -> Table:
    table = Table("mean grey value", title="Exposure: frames by their mean grey value")
    table.add_column("frames", justify="right")
    table.add_column("")
    means = measures.histograms @ np.arange(256) / dataset.size_px**2
    counts, edges = np.histogram(means, bins=_EXPOSURE_BINS, range=(0, 256))
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        bar = "█" * round(_BAR * count / counts.max()) or "▏" * bool(count)
        table.add_row(f"{low:.0f} to {high:.0f}", str(count), bar)
    return table


def _depths(dataset: KneeDataset) -> str:
    bits = column_of(dataset, "bits_stored", 0).value_counts().sort_index()
    listed = (f"{depth or 'unknown'}: {count} frames" for depth, count in bits.items())
    return f"bits of a source pixel: {', '.join(listed)}"


def _spacing(dataset: KneeDataset) -> str:
    spacing = dataset.spacing()
    if spacing is not None:
        low, high = spacing.mm.min(), spacing.mm.max()
        return f"a pixel is {low:.3f} to {high:.3f} mm ({spacing.source})"
    known = dataset.frames["spacing_source"].replace("", "unknown").value_counts()
    listed = (f"{source}: {count} frames" for source, count in known.items())
    return f"no millimetres, as pixel spacing is not one for all: {', '.join(listed)}"


def _summary(findings: list[Finding]) -> str:
    kinds = Counter(finding.kind for finding in findings)
    listed = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
    return f"findings: {len(findings)}{': ' * bool(kinds)}{listed}"
