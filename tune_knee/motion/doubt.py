"""Where a segmentation is doubtful, and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tune_knee.motion.anatomy import Anatomy
from tune_knee.motion.joint import Joint
from tune_knee.motion.jumps import find_jumps, find_outliers
from tune_knee.motion.shape import Shape

_STRAY: Final = 0.02  # of the area outside of the largest part; less moves no centroid visibly
_UNSEEN: Final = 0.75  # of the tendon's length must be seen: gaps beyond are guessed
_UNLIKE: Final = 0.1  # of the shaft's width by which outlines differ; true ones below
_LITTLE: Final = 1.25  # widths of shaft in view; with less, the phantom's axes err by 3 degrees

# Standard deviations below which differences between neighbours mean nothing: a limb that
# swings through the frame changes what is seen of its bones.
_AREA: Final = 0.02  # of the region's median
_CENTROID: Final = 0.004  # of the image's longer side
_LEAVING: Final = 3.0  # times as much for bones that leave the frame, now at a side, now at two
_ANGLE_DEG: Final = 1.0
_LENGTH: Final = 0.02  # of the median length

_Doubts = Iterator[tuple[NDArray[np.bool_], str]]


def find_doubts(
    shapes: Mapping[str, Sequence[Shape]], joint: Joint, anatomy: Anatomy, side_px: int
) -> list[list[str]]:
    """Reasons to doubt each of N frames; none where a list is empty.

    A region is missing; more than 2 % of it lies outside of its largest part; it touches
    the border, though it is neither femur nor tibia, which leave every frame; its area or
    its centroid jumps. A bone's shaft is too short to give an axis, or in no frame 1.25 times
    as long as wide; its outline is not that
    of the other frames. Flexion jumps. The patella's or the tendon's length is not that of
    the other frames, as neither changes; the tendon is seen over less than three quarters
    of its length, or has no length.

    Args:
        shapes: N by region.
        joint: of the same frames.
        anatomy: which region plays which part.
        side_px: the image's longer side.
    """
    frames = len(joint.tendon_px)
    doubts: list[list[str]] = [[] for _ in range(frames)]

    def note(found: _Doubts) -> None:
        for marked, reason in found:
            for n in np.flatnonzero(marked):
                doubts[n].append(reason)

    for region, shape in shapes.items():
        cut = region in (anatomy.femur, anatomy.tibia)
        note(_of_region(region, shape, cut, side_px))
    missing = {region: _missing(shape) for region, shape in shapes.items()}
    note(_of_flexion(joint, anatomy, missing))
    note(_of_lengths(joint, anatomy, missing))
    return doubts


def _missing(shapes: Sequence[Shape]) -> NDArray[np.bool_]:
    return np.array([shape.area_px == 0 for shape in shapes])


def _of_region(region: str, shapes: Sequence[Shape], cut: bool, side_px: int) -> _Doubts:
    missing = _missing(shapes)
    yield missing, f"{region}: missing"
    yield np.array([shape.stray > _STRAY for shape in shapes]), f"{region}: in several parts"
    if not cut:
        yield np.array([shape.touches_border for shape in shapes]), f"{region}: cut by the border"
    wide = _LEAVING if cut else 1.0
    areas = np.where(missing, np.nan, [shape.area_px for shape in shapes])
    if missing.all():
        return
    yield find_jumps(areas, wide * _AREA * float(np.nanmedian(areas))), f"{region}: area jumps"
    centroids = np.array([shape.centroid_px for shape in shapes])
    jumps = [find_jumps(centroids[:, axis], wide * _CENTROID * side_px) for axis in (0, 1)]
    yield jumps[0] | jumps[1], f"{region}: centroid jumps"


def _of_flexion(
    joint: Joint, anatomy: Anatomy, missing: Mapping[str, NDArray[np.bool_]]
) -> _Doubts:
    if joint.flexion is None:
        return
    tracks = ((anatomy.femur, joint.flexion.femur), (anatomy.tibia, joint.flexion.tibia))
    whole = ~np.logical_or(*(missing[region] for region, _ in tracks if region is not None))
    for region, track in tracks:
        yield whole & np.isnan(track.angles), f"{region}: shaft too short"
        little = track.length_px < _LITTLE * track.width_px
        yield little & ~np.isnan(track.angles), f"{region}: little of the shaft in view"
        yield track.misfits > _UNLIKE, f"{region}: outline unlike the other frames'"
    yield find_jumps(joint.flexion.degrees, _ANGLE_DEG), "flexion jumps"


def _of_lengths(
    joint: Joint, anatomy: Anatomy, missing: Mapping[str, NDArray[np.bool_]]
) -> _Doubts:
    tendon = anatomy.patellar_tendon
    lengths = ((anatomy.patella, joint.patella_px), (tendon, joint.tendon_px))
    for region, length in lengths:
        if region is not None and not np.isnan(length).all():
            finest = _LENGTH * float(np.nanmedian(length))
            yield find_outliers(length, finest), f"{region}: length unlike the other frames'"
    if tendon is not None and joint.flexion is not None:
        yield ~missing[tendon] & np.isnan(joint.tendon_px), f"{tendon}: no length"
        yield joint.tendon_seen < _UNSEEN, f"{tendon}: seen in part"
