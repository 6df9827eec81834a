"""Findings about labels: islands, holes, outlines that cross themselves, flipped knees."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tune_knee.data.dataset import KneeDataset
from tune_knee.data.findings import Finding, column_of, name_of
from tune_knee.data.measures import Measures

_SIDES: Final = {"left": 1.0, "right": -1.0}
_FEWEST_CASES: Final = 4  # with a side, to tell which way knees look
_LEAST_AGREEMENT: Final = 0.75


def piece_findings(dataset: KneeDataset, measures: Measures) -> Iterator[Finding]:
    """Regions in several pieces, or with holes."""
    for pieces in measures.pieces:
        where, region = name_of(dataset, pieces.frame), dataset.regions[pieces.region]
        for kind, areas, mend in (
            ("island", pieces.islands_px, "delete it, or join it to its region"),
            ("hole", pieces.holes_px, "fill it, if the region has none"),
        ):
            if areas:
                many = f"{len(areas)} {kind}s" if len(areas) > 1 else f"an {kind}"
                many = many.replace("an hole", "a hole")
                what = f"{region} has {many}, {areas[0]} px {'the largest' * (len(areas) > 1)}"
                yield Finding(kind, where, what.rstrip(), mend)


def crossing_findings(dataset: KneeDataset) -> Iterator[Finding]:
    """Outlines that crossed themselves when the dataset was prepared."""
    for n, regions in enumerate(column_of(dataset, "self_crossing", "")):
        if regions:
            what = f"the outline of {regions.replace(',', ', ')} crosses itself"
            mend = "draw it again: part of its inside counts as outside"
            yield Finding("crossing", name_of(dataset, n), what, mend)


def flip_findings(dataset: KneeDataset, measures: Measures) -> Iterator[Finding]:
    """Cases whose regions lie as in knees of the other side.

    Left and right knees are seen mirrored. By the horizontal places of the regions about
    their mean, right knees mirrored, a case is compared with the median of the others;
    only where three in four cases with a side agree, so that there is a way to look.
    """
    cases, offsets = _offsets_by_case(dataset, measures.centroids_x)
    if len(cases) < _FEWEST_CASES:
        return
    agreement = np.array(
        [
            offset @ np.median(np.delete(offsets, n, axis=0), axis=0)
            for n, offset in enumerate(offsets)
        ]
    )
    if (agreement > 0).mean() < _LEAST_AGREEMENT:
        return
    for case, side in np.array(cases)[agreement < 0]:
        what = f"recorded as {side}, but its regions lie as in a knee of the other side"
        mend = "check its side, and whether its frames were mirrored"
        yield Finding("flip", str(case), what, mend)


def _offsets_by_case(
    dataset: KneeDataset, centroids_x: NDArray[np.float64]
) -> tuple[list[tuple[str, str]], NDArray[np.float64]]:
    """Cases with a side, and the places of their regions as in a left knee. (cases, R)."""
    shown = np.isfinite(centroids_x)
    counts = shown.sum(axis=1, keepdims=True)
    means = np.nansum(centroids_x, axis=1, keepdims=True) / np.maximum(counts, 1)
    offsets = np.where(shown & (counts > 1), centroids_x - means, 0)
    cases, rows = [], []
    frames = dataset.frames.reset_index(drop=True)
    for (case, side), group in frames.groupby(["case", "side"], sort=False):
        if side in _SIDES:
            cases.append((str(case), str(side)))
            rows.append(_SIDES[str(side)] * offsets[group.index].mean(axis=0))
    return cases, np.array(rows).reshape(len(rows), len(dataset.regions))
