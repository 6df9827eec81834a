"""Where the patellar tendon inserts: the point of the tibia about which it turns.

The tibia's front is flat at the tuberosity, and a bent knee's tendon lies along it, so that
one frame tells the place badly. But bone is rigid and the tendon taut: seen from the tibia,
the free part of the tendon sweeps a fan over the sequence, and the fan's apex is the insertion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import siegelslopes

from tune_knee.motion.flexion import Flexion, forwards
from tune_knee.motion.shape import Mask, Point, largest_part, points_of, principal_direction
from tune_knee.motion.straightened import Straightened

PIVOT: Final = "pivot"
CREST: Final = "crest"

_FAN_DEG: Final = 3.0  # standard deviation of directions below which no apex is told
_STEPS: Final = 20  # of reweighting
_FINEST_PX: Final = 1.0  # lines that miss by less count fully
_MAD_TO_SD: Final = 1.4826  # of a normal distribution
_CREST_PX: Final = 0.5  # what lies within this of the foremost point is the tuberosity's crest
_THINNEST: Final = 0.5  # px of a slice that counts as tendon


@dataclass(frozen=True)
class Insertion:
    """The tuberosity in N frames: (N, 2), NaN where not found, and how it was found."""

    points: NDArray[np.float64]
    by: str


def find_insertion(
    tendons: Sequence[Mask], tibias: Sequence[Mask], patellas: Sequence[Mask], flexion: Flexion
) -> Insertion:
    """The insertion in every frame.

    Where the directions of the tendon, seen from the tibia, spread by a standard deviation
    of 3 degrees or more: the point nearest to all lines (Cauchy-weighted least squares), if it is
    within half a shaft's width of the tibia (`PIVOT`). Else each frame's foremost point of
    the tibia, across its axis, that the tendon's lower half lies over (`CREST`).

    Args:
        tendons: N masks, of which some may be empty; `tibias` and `patellas` likewise.
        flexion: of the same frames.
    """
    motions = flexion.tibia.motions
    lines = [
        _moved(line, motion)
        for line, motion in zip(map(_free_line, tendons, tibias, patellas), motions, strict=True)
        if line is not None and np.isfinite(motion).all()
    ]
    apex = _apex(lines)
    if apex is not None:
        points = np.array([motion[:, :2].T @ (apex - motion[:, 2]) for motion in motions])
        if _on_bone(points, tibias, flexion):
            return Insertion(points, PIVOT)
    frames = zip(tendons, tibias, patellas, flexion.tibia.angles, strict=True)
    crest = [_crest(*frame, flexion.faces_right) for frame in frames]
    return Insertion(np.array(crest), CREST)


_Line = tuple[Point, Point]  # a point and a unit vector


def _free_line(tendon: Mask, tibia: Mask, patella: Mask) -> _Line | None:
    """The mid-line of the tendon, straight, where some of its width lies over no bone."""
    free = tendon & ~tibia & ~patella
    if not free.any():
        return None
    free = largest_part(free)
    direction = principal_direction(free)
    if direction is None:
        return None
    slices = Straightened.of(largest_part(tendon), direction)
    ends = (points_of(free) - slices.origin) @ direction
    inside = (slices.along >= ends.min()) & (slices.along <= ends.max())
    inside &= slices.widths >= _THINNEST
    if inside.sum() < 3:
        return None
    slope, offset = siegelslopes(slices.middles[inside], slices.along[inside])
    along = direction + slope * slices.normal
    return slices.origin + offset * slices.normal, along / np.linalg.norm(along)


def _moved(line: _Line, motion: NDArray[np.float64]) -> _Line:
    return motion[:, :2] @ line[0] + motion[:, 2], motion[:, :2] @ line[1]


def _apex(lines: Sequence[_Line]) -> Point | None:
    """The point nearest to most lines; None if they are nearly parallel."""
    if len(lines) < 2:
        return None
    points = np.array([point for point, _ in lines])
    normals = np.array([[-along[1], along[0]] for _, along in lines])
    places = (normals * points).sum(axis=1)
    weights = np.ones(len(lines))
    for _ in range(_STEPS):
        spread = np.einsum("n,ni,nj->ij", weights, normals, normals)
        if np.linalg.eigvalsh(spread)[0] < np.sin(np.deg2rad(_FAN_DEG)) ** 2 * weights.sum():
            return None
        apex = np.linalg.solve(spread, (weights * places) @ normals)
        off = normals @ apex - places
        scale = max(_FINEST_PX, _MAD_TO_SD * float(np.median(np.abs(off))))
        weights = 1 / (1 + (off / scale) ** 2)
    return np.asarray(apex)


def _on_bone(points: NDArray[np.float64], tibias: Sequence[Mask], flexion: Flexion) -> bool:
    """Whether, in most frames, a point is within half a shaft's width of the tibia."""
    off = [
        cv2.pointPolygonTest(_rim(largest_part(tibia)), (float(point[0]), float(point[1])), True)
        for point, tibia in zip(points, tibias, strict=True)
        if np.isfinite(point).all()
    ]
    return float(np.median(np.abs(off))) <= flexion.tibia.width_px / 2


def _rim(mask: Mask) -> NDArray[np.int32]:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(outlines[0])


def _crest(tendon: Mask, tibia: Mask, patella: Mask, angle: float, faces_right: bool) -> Point:
    """The tibia's foremost point under the tendon's half that is away from the patella."""
    nowhere = np.full(2, np.nan)
    direction = principal_direction(tendon) if tendon.any() and patella.any() else None
    if direction is None or np.isnan(angle):
        return nowhere
    middle = points_of(tendon).mean(axis=0)
    if (points_of(patella).mean(axis=0) - middle) @ direction > 0:
        direction = -direction
    near = points_of(tibia & tendon)
    near = near[(near - middle) @ direction >= 0]
    if len(near) == 0:
        return nowhere
    to_front = forwards(np.array([np.cos(angle), np.sin(angle)])) * (1 if faces_right else -1)
    depths = near @ to_front
    return np.asarray(near[depths >= depths.max() - _CREST_PX].mean(axis=0))
