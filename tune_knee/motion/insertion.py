"""Where the patellar tendon inserts: the point of the tibia about which it turns.

The tibia's front is flat at the tuberosity, and a bent knee's tendon lies along it, so that
one frame tells the place badly. But bone is rigid and the tendon taut: seen from the tibia,
the free part of the tendon sweeps a fan over the sequence, and the fan's apex is the insertion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

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
_SLICE_PX: Final = 1.0  # to which the mid-line is known in one slice
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
    of 3 degrees or more: the point nearest to all lines, each weighted by how well it is known
    there (Cauchy-weighted least squares), if it is within half a shaft's width of the tibia
    (`PIVOT`). Else each frame's foremost point of the tibia, across its axis, that the
    tendon's lower half lies over (`CREST`).

    Args:
        tendons: N masks, of which some may be empty; `tibias` and `patellas` likewise.
        flexion: of the same frames.
    """
    motions = flexion.tibia.motions
    lines = [
        line.moved(motion)
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


@dataclass(frozen=True)
class _Line:
    """A straight mid-line: the middle of the piece that was seen, a unit vector, its length."""

    middle: Point
    direction: Point
    length_px: float

    def moved(self, motion: NDArray[np.float64]) -> Self:
        """Carried by an affine motion (2, 3)."""
        return replace(
            self,
            middle=motion[:, :2] @ self.middle + motion[:, 2],
            direction=motion[:, :2] @ self.direction,
        )


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
    along = slices.along[inside]
    slope, offset = siegelslopes(slices.middles[inside], along)
    centre = float(along.mean())
    middle = slices.origin + centre * direction + (offset + slope * centre) * slices.normal
    course = direction + slope * slices.normal
    return _Line(middle, course / np.linalg.norm(course), float(inside.sum()))


def _apex(lines: Sequence[_Line]) -> Point | None:
    """The point nearest to most lines; None if they are nearly parallel.

    A line through a piece of length L is known at a distance d from the piece's middle with
    the variance of a regression line, in proportion to (1 + 12 (d / L)^2) / L: what a bent knee
    shows between two bones is short and far away, and would else pull the apex along.
    """
    if len(lines) < 2:
        return None
    middles = np.array([line.middle for line in lines])
    courses = np.array([line.direction for line in lines])
    lengths = np.array([line.length_px for line in lines])
    normals = np.column_stack([-courses[:, 1], courses[:, 0]])
    places = (normals * middles).sum(axis=1)
    weights = lengths**3  # the limit for an apex far away
    for _ in range(_STEPS):
        spread = np.einsum("n,ni,nj->ij", weights, normals, normals)
        if np.linalg.eigvalsh(spread)[0] < np.sin(np.deg2rad(_FAN_DEG)) ** 2 * weights.sum():
            return None
        apex = np.linalg.solve(spread, (weights * places) @ normals)
        beyond = ((apex - middles) * courses).sum(axis=1) / lengths
        known_px = _SLICE_PX * np.sqrt((1 + 12 * beyond**2) / lengths)
        off = (normals @ apex - places) / known_px
        scale = max(1.0, _MAD_TO_SD * float(np.median(np.abs(off))))
        weights = 1 / (known_px**2 * (1 + (off / scale) ** 2))
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
