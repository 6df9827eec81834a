"""A bone is rigid: its frames are laid upon one, so that its axis is one in the whole sequence.

How much of a shaft a frame shows changes as the limb swings, and with it what a line through
that part is. So the axis is taken where most is seen and carried to the other frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.optimize import least_squares

from tune_knee.motion.shaft import Shaft
from tune_knee.motion.shape import Mask, Point

# The reference is not the longest shaft of all, which may be one that leaks beyond the bone.
_REFERENCE_QUANTILE: Final = 0.9
_LONG: Final = 0.9  # shafts of this share of the reference's length give the axis
_POINTS: Final = 240  # of an outline; more change no angle by 0.1 degrees
_FEWEST: Final = 8  # points of an outline within the frame
_LOOSE_PX: Final = 1.0  # where the loss turns from square to linear


@dataclass(frozen=True)
class Track:
    """One bone's axis over N frames; NaN where its shaft was not found.

    Attributes:
        angles: (N,) rad, away from the joint, in the image's x right, y down.
        misfits: (N,) how far the outline lies from the reference frame's, root mean square,
            in widths of the shaft.
        motions: (N, 2, 3) affine, from each frame's pixels to the reference frame's.
        width_px: of the shaft; NaN if it was found in no frame.
        length_px: of the shaft that the reference frame shows; NaN likewise.
    """

    angles: NDArray[np.float64]
    misfits: NDArray[np.float64]
    motions: NDArray[np.float64]
    width_px: float
    length_px: float


def track_axis(
    bones: Sequence[Mask], shafts: Sequence[Shaft | None], axis: Callable[[Shaft], float]
) -> Track:
    """Lay a bone's frames upon the one that shows most of it, and carry its axis to all.

    Args:
        bones: N masks of one part each.
        shafts: their shafts.
        axis: the angle of a shaft that is wanted, its mid-line's or a cortex'.
    """
    angles, misfits = np.full((2, len(bones)), np.nan)
    motions = np.full((len(bones), 2, 3), np.nan)
    seen = [n for n, shaft in enumerate(shafts) if shaft is not None]
    if not seen:
        return Track(angles, misfits, motions, float("nan"), float("nan"))
    lengths = [found(shafts, n).length_px for n in seen]
    reference = seen[np.argsort(lengths)[int(_REFERENCE_QUANTILE * (len(seen) - 1))]]
    onto = found(shafts, reference)
    field = _Field.of(bones[reference])
    for n in seen:
        shaft = found(shafts, n)
        outline = _outline(bones[n], shaft, min(shaft.reach_px, onto.reach_px))
        if len(outline) >= _FEWEST:
            motions[n], misfit_px = _lay_upon(outline, shaft, field, onto)
            misfits[n] = misfit_px / onto.width_px
    turns = np.arctan2(motions[:, 1, 0], motions[:, 0, 0])
    long = [
        n
        for n in seen
        if np.isfinite(turns[n]) and found(shafts, n).length_px >= _LONG * onto.length_px
    ]
    if not long:
        return Track(angles, misfits, motions, onto.width_px, onto.length_px)
    carried = np.array([axis(found(shafts, n)) + turns[n] - onto.angle for n in long])
    offset = float(np.median((carried + np.pi) % (2 * np.pi) - np.pi))
    angles[seen] = onto.angle + offset - turns[seen]
    return Track(angles, misfits, motions, onto.width_px, onto.length_px)


def found(shafts: Sequence[Shaft | None], n: int) -> Shaft:
    """The shaft of a frame where there is one."""
    shaft = shafts[n]
    assert shaft is not None
    return shaft


@dataclass(frozen=True)
class _Field:
    """Signed distance to a bone's outline, positive inside, and its slopes.

    Each (H + 2, W + 2): a pixel beyond every border, where the bone goes on as it leaves.
    """

    depth: NDArray[np.float32]
    slopes: tuple[NDArray[np.float32], NDArray[np.float32]]  # to the right, downwards

    @classmethod
    def of(cls, bone: Mask) -> Self:
        beyond = np.pad(bone, 1, mode="edge")
        plane = beyond.astype(np.uint8)
        inside = cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        outside = cv2.distanceTransform(1 - plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        depth = np.where(beyond, inside - 0.5, 0.5 - outside)
        down, right = np.gradient(depth)
        return cls(depth, (right, down))

    def depth_at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P,) by linear interpolation at points (P, 2)."""
        return _sampled(self.depth, points)

    def slope_at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P, 2) at points (P, 2)."""
        return np.column_stack([_sampled(slope, points) for slope in self.slopes])


def _sampled(plane: NDArray[np.float32], points: NDArray[np.float64]) -> NDArray[np.float64]:
    at = points.T[::-1] + 1
    return np.asarray(map_coordinates(plane, at, np.float64, order=1, mode="nearest"))


def _outline(bone: Mask, shaft: Shaft, reach_px: float) -> NDArray[np.float64]:
    """Points (P, 2) of the outermost pixels up to a distance from the joint, off the border."""
    outlines, _ = cv2.findContours(bone.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(outlines, key=len)[:, 0].astype(np.float64)
    height, width = bone.shape
    inner = ((points > 0) & (points < [width - 1, height - 1])).all(axis=1)
    inner &= (points - shaft.near) @ shaft.direction <= reach_px
    points = points[inner]
    return points[:: max(1, len(points) // _POINTS)]


def _lay_upon(
    points: NDArray[np.float64], shaft: Shaft, field: _Field, onto: Shaft
) -> tuple[NDArray[np.float64], float]:
    """The rigid motion that lays an outline upon the reference's, and what is left, in px."""
    arm = max(onto.reach_px, 1.0)  # so that all three unknowns are lengths
    arms = points - shaft.near

    def placed(unknowns: Point) -> NDArray[np.float64]:
        return np.asarray(arms @ _rotation(unknowns[0] / arm).T + onto.near + unknowns[1:])

    def residuals(unknowns: Point) -> NDArray[np.float64]:
        return field.depth_at(placed(unknowns)) - 0.5  # the outermost pixels' own depth

    def jacobian(unknowns: Point) -> NDArray[np.float64]:
        slopes = field.slope_at(placed(unknowns))
        turning = arms @ _rotation(unknowns[0] / arm + np.pi / 2).T / arm
        return np.column_stack([(slopes * turning).sum(axis=1), slopes])

    start = (onto.angle - shaft.angle + np.pi) % (2 * np.pi) - np.pi
    fit = least_squares(
        residuals, [arm * start, 0.0, 0.0], jacobian, loss="soft_l1", f_scale=_LOOSE_PX
    )
    rotation = _rotation(fit.x[0] / arm)
    shift = onto.near + fit.x[1:] - rotation @ shaft.near
    return np.column_stack([rotation, shift]), float(np.sqrt(np.mean(fit.fun**2)))


def _rotation(angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
