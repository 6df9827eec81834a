"""Findings about images: exposure, jumps within sequences, frames in two splits."""

from collections.abc import Iterator
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from tune_knee.data.dataset import SPLITS, KneeDataset, Split
from tune_knee.data.findings import Finding, name_of, sequences
from tune_knee.data.measures import Measures

WHITE_SHARE: Final = 0.5
SMALLEST_RANGE: Final = 16  # grey values from the 1st to the 99th percentile
_JUMP_GREY: Final = 4.0  # mean difference of two frames that is no jump in any sequence
_JUMP_TIMES: Final = 4.0  # beyond this many times what is usual in the sequence
_SHORTEST_SEQUENCE: Final = 5
_HASH_SIDE: Final = 16
_HASH_BITS: Final = 16  # of 255 that may differ
_LEAST_CORRELATION: Final = 0.98
_BLOCK: Final = 512  # frames compared at once


def exposure_findings(dataset: KneeDataset, measures: Measures) -> Iterator[Finding]:
    """Frames with much pure white, or almost one grey."""
    pixels = dataset.size_px**2
    white = measures.histograms[:, 255] / pixels
    below = measures.histograms.cumsum(axis=1) / pixels
    spread = (below < 0.99).sum(axis=1) - (below < 0.01).sum(axis=1)
    for n in np.flatnonzero(white > WHITE_SHARE).tolist():
        what = f"{white[n]:.0%} of the pixels are pure white"
        mend = "check its exposure, and the window that it was exported with"
        yield Finding("exposure", name_of(dataset, n), what, mend)
    for n in np.flatnonzero(spread < SMALLEST_RANGE).tolist():
        what = f"98 % of the pixels lie within {spread[n]} grey values"
        mend = "check that it is a picture, and its window"
        yield Finding("exposure", name_of(dataset, n), what, mend)


def jump_findings(dataset: KneeDataset, measures: Measures) -> Iterator[Finding]:
    """Neighbours of a sequence that differ far more than neighbours of it do.

    By the mean absolute difference of their thumbnails, against the sequence's median.
    """
    for positions in sequences(dataset):
        if len(positions) < _SHORTEST_SEQUENCE:
            continue
        seen = measures.thumbnails[positions]
        steps = np.abs(np.diff(seen, axis=0)).mean(axis=(1, 2))
        usual = float(np.median(steps))
        for n in np.flatnonzero(steps > max(_JUMP_GREY, _JUMP_TIMES * usual)):
            here, before = positions[n + 1], dataset.frames["frame"].iloc[positions[n]]
            what = (
                f"it differs from frame {before} by {steps[n]:.1f} grey values, {usual:.1f} are "
                "usual in its sequence"
            )
            mend = "check the order of the frames, and whether some are missing"
            yield Finding("jump", name_of(dataset, int(here)), what, mend)


def duplicate_findings(dataset: KneeDataset, measures: Measures) -> Iterator[Finding]:
    """Frames that lie in two splits, exactly or nearly: what is tested was trained on.

    Exactly: by content hash. Nearly: where perceptual hashes (signs of the lowest 16 x 16
    frequencies of the thumbnail's cosine transform) differ in at most 16 of 255 bits and
    the thumbnails, less their blurred selves, correlate with at least 0.98. Each frame is
    named once a split, beside the one most like it.
    """
    codes = perceptual_hashes(measures.thumbnails)
    details = _details(measures.thumbnails)
    hashes = dataset.frames["content_hash"].to_numpy()
    splits: tuple[Split, ...] = SPLITS
    for first, second in combinations(splits, 2):
        ours, theirs = dataset.indices(first), dataset.indices(second)
        same = {content: n for n, content in zip(ours, hashes[ours], strict=True)}
        for start in range(0, len(theirs), _BLOCK):
            block = theirs[start : start + _BLOCK]
            differing = np.bitwise_count(codes[block, None] ^ codes[None, ours]).sum(axis=2)
            for n, bits in zip(block, differing, strict=True):
                twin = same.get(hashes[n])
                how = "the same image as"
                if twin is None:
                    near = ours[bits <= _HASH_BITS]
                    alike = details[near] @ details[n]
                    if not len(near) or alike.max() < _LEAST_CORRELATION:
                        continue
                    twin, how = near[alike.argmax()], f"nearly ({alike.max():.3f}) the image of"
                yield Finding(
                    "duplicate",
                    name_of(dataset, int(n)),
                    f"in {second}, {how} {name_of(dataset, int(twin))} in {first}",
                    "put both into one case, or remove one",
                )


def perceptual_hashes(thumbnails: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Signs of low frequencies about their median, 255 bits and a zero. (N, 4)."""
    low = dctn(thumbnails, axes=(1, 2), norm="ortho")[:, :_HASH_SIDE, :_HASH_SIDE]
    flat = low.reshape(len(low), -1)[:, 1:]  # without the mean: exposure does not count
    signs = flat > np.median(flat, axis=1, keepdims=True)
    padded = np.pad(signs, ((0, 0), (0, 1)))
    return np.ascontiguousarray(np.packbits(padded, axis=1)).view(np.uint64)


def _details(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """Thumbnails without their lowest frequencies, as unit vectors. (N, pixels)."""
    spectrum = dctn(thumbnails, axes=(1, 2), norm="ortho").astype(np.float32)
    spectrum[:, :4, :4] = 0
    flat = spectrum.reshape(len(spectrum), -1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(norms, np.finfo(np.float32).tiny))
