"""A sequence of masks to a table of motion."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tune_knee.checks import must_be_positive
from tune_knee.motion import columns
from tune_knee.motion.anatomy import Anatomy
from tune_knee.motion.doubt import find_doubts
from tune_knee.motion.joint import Joint, measure_joint
from tune_knee.motion.shape import Shape, measure_shape


def measure_sequence(
    masks: NDArray[np.uint8],
    regions: Sequence[str],
    *,
    spacing_mm: float | None = None,
    frame_time_ms: float | None = None,
    anatomy: Anatomy | None = None,
) -> pd.DataFrame:
    """Measure one knee's sequence, one row a frame with the columns of `tune_knee.motion.columns`.

    What a frame does not tell, and what depends on a spacing or frame time that is None, is NaN;
    measures of the joint whose regions are not there are NaN throughout.

    Args:
        masks: uint8 (N, H, W) in the order of time; bit r is region r.
        regions: names of the R regions, in bit order.
        spacing_mm: side of a pixel at the knee, of these masks (not of a frame that they
            were resized from).
        frame_time_ms: from one frame to the next.
        anatomy: which region plays which part; None goes by the regions' names.

    Raises:
        ValueError: if `masks` is no such array, has a bit beyond the regions, or no frame;
            if `anatomy` names a region that is not there; if spacing or time is not positive.
    """
    _must_be_masks(masks, regions)
    if spacing_mm is not None:
        must_be_positive(spacing_mm=spacing_mm)
    if frame_time_ms is not None:
        must_be_positive(frame_time_ms=frame_time_ms)
    if anatomy is None:
        anatomy = Anatomy.among(regions)
    anatomy.must_be_among(regions)
    planes = {name: list((masks >> r & 1).astype(bool)) for r, name in enumerate(regions)}
    shapes = {name: [measure_shape(mask) for mask in plane] for name, plane in planes.items()}
    joint = measure_joint(planes, anatomy)
    doubts = find_doubts(shapes, joint, anatomy, max(masks.shape[1:]))
    frame = np.arange(len(masks))
    table: dict[str, object] = {
        columns.FRAME_NUMBER: frame,
        columns.TIME_MS: frame * (np.nan if frame_time_ms is None else frame_time_ms),
        columns.DOUBTFUL: [bool(reasons) for reasons in doubts],
        columns.REASONS: ["; ".join(reasons) for reasons in doubts],
        **_joint_columns(joint, spacing_mm),
    }
    for region, found in shapes.items():
        table |= _shape_columns(region, found, spacing_mm)
    return pd.DataFrame(table)


def _must_be_masks(masks: NDArray[np.uint8], regions: Sequence[str]) -> None:
    if masks.dtype != np.uint8 or masks.ndim != 3 or 0 in masks.shape:
        raise ValueError(
            f"masks must be uint8 (N, H, W), none of them 0, got {masks.dtype} {masks.shape}"
        )
    beyond = int(np.bitwise_or.reduce(masks, axis=None)) >> len(regions)
    if beyond:
        raise ValueError(
            f"masks must hold no bit beyond the {len(regions)} regions, got one or more of "
            f"{beyond << len(regions)}; name all regions, in bit order"
        )


def _joint_columns(joint: Joint, spacing_mm: float | None) -> Mapping[str, object]:
    mm = np.nan if spacing_mm is None else spacing_mm
    unknown = np.full(len(joint.tendon_px), np.nan)
    return {
        columns.FLEXION_DEG: unknown if joint.flexion is None else joint.flexion.degrees,
        columns.TENDON_PX: joint.tendon_px,
        columns.TENDON_MM: joint.tendon_px * mm,
        columns.PATELLA_PX: joint.patella_px,
        columns.PATELLA_MM: joint.patella_px * mm,
        columns.INSALL_SALVATI: joint.insall_salvati,
        columns.INSERTION_BY: joint.insertion_by,
    }


def _shape_columns(
    region: str, shapes: Sequence[Shape], spacing_mm: float | None
) -> Mapping[str, object]:
    areas = np.array([shape.area_px for shape in shapes])
    centroids = np.array([shape.centroid_px for shape in shapes])
    return {
        columns.area_px(region): areas,
        columns.area_mm2(region): areas * (np.nan if spacing_mm is None else spacing_mm**2),
        columns.centroid_px(region, "x"): centroids[:, 0],
        columns.centroid_px(region, "y"): centroids[:, 1],
        columns.axis_deg(region): [shape.axis_deg for shape in shapes],
        columns.parts(region): [shape.parts for shape in shapes],
        columns.touches_border(region): [shape.touches_border for shape in shapes],
    }
