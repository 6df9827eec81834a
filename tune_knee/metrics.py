"""How well a predicted mask fits the truth: four overlaps and two border distances."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tune_knee.keys import METRICS, OVERLAP_METRICS
from tune_knee.mask_pairs import MAX_SIDE_PX, compare_masks, overlaps_from_counts

_OVERLAPS: Final = len(OVERLAP_METRICS)


@dataclass(frozen=True)
class RegionMetrics:
    """The six metrics of one region in one frame, in the order of `keys.METRICS`.

    With P and T the pixels of prediction and truth, and D the Euclidean distances from
    every border pixel of each to the nearest border pixel of the other, both directions
    pooled, as in MedPy 0.5. Border: the mask minus its 4-neighbour erosion; the image's
    edge counts as border.

    Attributes:
        iou: |P ∩ T| / |P ∪ T|, in [0, 1], higher is better, as the next three.
        dice: 2 |P ∩ T| / (|P| + |T|).
        precision: |P ∩ T| / |P|.
        recall: |P ∩ T| / |T|.
        hd95_px: 95th percentile of D, linear between neighbours; lower is better.
        assd_px: mean of D; lower is better.

    Both masks empty: overlaps 1, distances 0. One empty: overlaps 0, distances NaN.
    """

    iou: float
    dice: float
    precision: float
    recall: float
    hd95_px: float
    assd_px: float


@dataclass(frozen=True)
class MeanMetrics:
    """Means over frames.

    Attributes:
        mean: (..., 6) in the order of `keys.METRICS`; a distance over the frames where it
            is defined, NaN where it is defined on none.
        missed: (...) frames without a distance, as exactly one of the masks is empty.
    """

    mean: NDArray[np.float64]
    missed: NDArray[np.int64]


def region_metrics(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> RegionMetrics:
    """The six metrics of one predicted mask; see `RegionMetrics` for formulas and empties.

    Args:
        prediction, truth: bool (H, W).

    Raises:
        ValueError: if the masks are not boolean, not two-dimensional, of different
            shapes, empty of pixels, or longer than 8192 px on a side.
    """
    metrics = compare_masks(*_as_bits(prediction, truth, np.bool_, 2), 1)
    return RegionMetrics(*metrics[0, 0].tolist())


def frame_metrics(
    predictions: NDArray[np.uint8], truths: NDArray[np.uint8], regions: int
) -> NDArray[np.float64]:
    """The six metrics of every frame and region, on one thread without the GIL.

    Args:
        predictions, truths: uint8 (N, H, W); bit r is region r, higher bits are ignored.
        regions: R, from 1 to 8.

    Returns:
        (N, R, 6) in the order of `keys.METRICS`; see `RegionMetrics`.

    Raises:
        ValueError: if the masks are not uint8 (N, H, W) of one shape with sides from 1 to
            8192 px, or `regions` is out of range.
    """
    if not 1 <= regions <= 8:
        raise ValueError(f"regions must be from 1 to 8 (bits of a mask), got regions={regions}")
    metrics: NDArray[np.float64] = compare_masks(
        *_as_bits(predictions, truths, np.uint8, 3), regions
    )
    return metrics


def overlap_metrics(
    true_positive: ArrayLike, false_positive: ArrayLike, false_negative: ArrayLike
) -> NDArray[np.float64]:
    """IoU, Dice, precision and recall from pixel counts; each in [0, 1], higher is better.

    TP / (TP + FP + FN), 2 TP / (2 TP + FP + FN), TP / (TP + FP), TP / (TP + FN). All
    counts 0 (both masks empty): 1. Otherwise 0 / 0 is 0.

    Args:
        true_positive, false_positive, false_negative: pixels, of one shape (...).

    Returns:
        (..., 4) in the order of `keys.OVERLAP_METRICS`.
    """
    counts = np.stack(np.broadcast_arrays(true_positive, false_positive, false_negative), axis=-1)
    overlaps = overlaps_from_counts(counts.reshape(-1, 3).astype(np.int64))
    return np.asarray(overlaps).reshape(*counts.shape[:-1], _OVERLAPS)


def mean_metrics(metrics: NDArray[np.float64]) -> MeanMetrics:
    """Means over frames, a distance over those where it is defined, the others counted.

    Args:
        metrics: (N, ..., 6) as `frame_metrics` gives them, N at least 1.

    Raises:
        ValueError: if there are no frames or not six metrics.
    """
    _must_be_six(metrics)
    if len(metrics) == 0:
        raise ValueError(f"metrics must hold at least one frame, got shape={metrics.shape}")
    defined = ~np.isnan(metrics)
    frames = defined.sum(axis=0)
    total = np.where(defined, metrics, 0.0).sum(axis=0)
    mean = np.divide(total, frames, out=np.full_like(total, np.nan), where=frames > 0)
    return MeanMetrics(mean, len(metrics) - frames[..., -1])


def mean_overlap(metrics: NDArray[np.float64]) -> NDArray[np.float64]:
    """The paper's Mean_metric 1: the mean of IoU, Dice, precision and recall.

    In [0, 1], higher is better. Takes (..., 6) in the order of `keys.METRICS`, gives (...).

    Raises:
        ValueError: if the last axis does not hold six metrics.
    """
    _must_be_six(metrics)
    return np.asarray(metrics[..., :_OVERLAPS].mean(axis=-1))


def mean_distance_px(metrics: NDArray[np.float64]) -> NDArray[np.float64]:
    """The paper's Mean_metric 2: the mean of HD95 and ASSD in pixels; lower is better.

    Takes (..., 6) in the order of `keys.METRICS`, gives (...); NaN where they are undefined.

    Raises:
        ValueError: if the last axis does not hold six metrics.
    """
    _must_be_six(metrics)
    return np.asarray(metrics[..., _OVERLAPS:].mean(axis=-1))


def _must_be_six(metrics: NDArray[np.float64]) -> None:
    if metrics.ndim == 0 or metrics.shape[-1] != len(METRICS):
        raise ValueError(f"the last axis must hold {', '.join(METRICS)}, got shape={metrics.shape}")


def _as_bits(
    prediction: NDArray[Any], truth: NDArray[Any], dtype: type[np.generic], ndim: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both as contiguous uint8 (N, H, W)."""
    for name, mask in (("prediction", prediction), ("truth", truth)):
        if mask.dtype != dtype or mask.ndim != ndim:
            raise ValueError(
                f"{name} must be a {ndim}-dimensional {dtype.__name__} array, "
                f"got dtype={mask.dtype}, shape={mask.shape}"
            )
    if prediction.shape != truth.shape:
        raise ValueError(
            "prediction and truth must have one shape, "
            f"got prediction={prediction.shape}, truth={truth.shape}"
        )
    height, width = truth.shape[-2:]
    if not (1 <= height <= MAX_SIDE_PX and 1 <= width <= MAX_SIDE_PX):
        raise ValueError(f"sides must be from 1 to {MAX_SIDE_PX} px, got shape={truth.shape}")
    return _read_only(prediction), _read_only(truth)


def _read_only(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """(N, H, W); always read-only, as memory maps are, so that numba compiles once."""
    bits = np.ascontiguousarray(mask).view(np.ndarray).view(np.uint8)
    bits = bits.reshape(-1, *mask.shape[-2:])
    bits.flags.writeable = False
    return bits
