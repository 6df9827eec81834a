"""A long bone's shaft in one frame: its mid-line and its two cortices, away from the joint.

A bone's principal axis is no shaft's: condyles pull it to their side, and how the frame
cuts the bone turns it.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from tune_knee.motion.shape import Mask, Point, points_of, principal_direction
from tune_knee.motion.straightened import Straightened

# A slice is of the shaft if it is nearly as wide as the far half of the bone is: narrower is
# where the frame cuts the bone obliquely, wider where it flares towards the joint.
_NARROWEST: Final = 0.8
_WIDEST: Final = 1.3
_SHORTEST: Final = 0.5  # shaft that must be seen, in its own widths: a line needs some length
_ITERATIONS: Final = 8
_SETTLED: Final = 1e-3  # slope: less than 0.1 degrees
_NEAR_PX: Final = 1.0


@dataclass(frozen=True)
class Shaft:
    """The shaft of one bone in one frame. Angles in rad, image's x right, y down.

    Attributes:
        angle: of the mid-line, pointing away from the joint.
        near: the point of the mid-line where the bone ends at the joint.
        reach_px: from there to where the shaft is cut off, along the mid-line.
        length_px: of the shaft that is seen.
        width_px: of the shaft.
        cortices: angles of the edges on the right and on the left of the mid-line, as one
            sees the image and looks away from the joint.
    """

    angle: float
    near: Point
    reach_px: float
    length_px: float
    width_px: float
    cortices: tuple[float, float]

    @property
    def direction(self) -> Point:
        """Unit vector away from the joint."""
        return np.array([np.cos(self.angle), np.sin(self.angle)])


def joint_end(bone: Mask, other: Mask) -> Point:
    """Where a bone is nearest to another, as a point. Both are not empty."""
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = bone & (distance <= distance[bone].min() + _NEAR_PX)
    return np.asarray(points_of(near).mean(axis=0))


def find_shaft(bone: Mask, joint: Point) -> Shaft | None:
    """The shaft of a bone of one part, by the median slope (Theil, Sen) of its mid-points.

    The bone is cut into slices across an axis, at first its principal one. The longest run
    of slices that are as wide as the shaft gives a line, that the next axis, and so on.

    Returns:
        None where the shaft that is seen is shorter than half its width.
    """
    direction = principal_direction(bone)
    if direction is None:
        return None
    if direction @ (points_of(bone).mean(axis=0) - joint) < 0:
        direction = -direction
    for _ in range(_ITERATIONS):
        slices = Straightened.of(bone, direction)
        run, width = _shaft_slices(slices)
        if len(run) < max(3, _SHORTEST * width):
            return None
        along, middles, halves = slices.along[run], slices.middles[run], slices.widths[run] / 2
        slope, offset = theilslopes(middles, along)[:2]
        if abs(slope) < _SETTLED:
            break
        direction = _turned(slices, slope)
    direction = slices.direction
    bone_starts = float(slices.along[np.flatnonzero(slices.widths >= 1)[0]])
    near = slices.origin + bone_starts * direction + (offset + slope * bone_starts) * slices.normal
    angle = float(np.arctan2(direction[1], direction[0]))
    return Shaft(
        angle=angle + float(np.arctan(slope)),
        near=near,
        reach_px=float(along[-1]) - bone_starts,
        length_px=float(len(run)),
        width_px=width,
        cortices=(
            angle + float(np.arctan(_slope(middles + halves, along))),
            angle + float(np.arctan(_slope(middles - halves, along))),
        ),
    )


def _shaft_slices(slices: Straightened) -> tuple[NDArray[np.intp], float]:
    """Longest run of slices as wide as the bone's far half, and that width."""
    inside = np.flatnonzero(slices.widths >= 1)
    if len(inside) == 0:
        return inside, 0.0
    width = float(np.median(slices.widths[inside[len(inside) // 2 :]]))
    fits = (slices.widths >= _NARROWEST * width) & (slices.widths <= _WIDEST * width)
    places = np.flatnonzero(fits)
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return max(runs, key=len), width


def _slope(values: NDArray[np.float64], along: NDArray[np.float64]) -> float:
    return float(theilslopes(values, along)[0])


def _turned(slices: Straightened, slope: float) -> Point:
    direction = slices.direction + slope * slices.normal
    return np.asarray(direction / np.linalg.norm(direction))
