"""The angle between thigh and shank over a sequence, signed by where the patella is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_knee.motion.rigid import Track, track_axis
from tune_knee.motion.shaft import Shaft, find_shaft, joint_end
from tune_knee.motion.shape import Mask, Point, largest_part, points_of


@dataclass(frozen=True)
class Flexion:
    """Flexion of N frames.

    Attributes:
        degrees: (N,) in (-180, 180]; 0 is full extension, positive is flexion, negative
            hyperextension; NaN where a shaft was not found.
        femur, tibia: the bones' axes, away from the joint.
        faces_right: whether, with the thigh held upwards, the knee's front is to the right.
    """

    degrees: NDArray[np.float64]
    femur: Track
    tibia: Track
    faces_right: bool


def measure_flexion(
    femurs: Sequence[Mask], tibias: Sequence[Mask], patellas: Sequence[Mask]
) -> Flexion | None:
    """Angle from the femur's axis to the tibia's, positive where the tibia turns backwards.

    The femur's axis is the mid-line of its shaft. The tibia's is its posterior cortex, since
    the front of the tibia rises towards the tuberosity and takes the mid-line with it. Front
    is where most frames have the patella, so that neither the side nor a mirrored display
    matters.

    Args:
        femurs: N masks, of which some may be empty; `tibias` and `patellas` likewise.

    Returns:
        None where no frame shows femur, tibia and patella, so that front is not known.
    """
    pairs = [
        (largest_part(femur), largest_part(tibia)) if femur.any() and tibia.any() else None
        for femur, tibia in zip(femurs, tibias, strict=True)
    ]
    thighs = [pair and find_shaft(pair[0], joint_end(*pair)) for pair in pairs]
    shanks = [pair and find_shaft(pair[1], joint_end(*pair[::-1])) for pair in pairs]
    votes = [
        _front(patella, thigh, shank)
        for thigh, shank, patella in zip(thighs, shanks, patellas, strict=True)
        if thigh is not None and shank is not None and patella.any()
    ]
    if not votes:
        return None
    faces_right = sum(votes) > 0
    nothing = np.zeros_like(femurs[0])
    femur = track_axis([pair[0] if pair else nothing for pair in pairs], thighs, _mid_line)
    tibia = track_axis(
        [pair[1] if pair else nothing for pair in pairs],
        shanks,
        lambda shaft: shaft.cortices[0 if faces_right else 1],
    )
    opened = tibia.angles - femur.angles + np.pi  # the femur's axis points to the hip
    turned = opened if faces_right else -opened
    degrees = 180 - np.rad2deg((np.pi - turned) % (2 * np.pi))
    return Flexion(degrees, femur, tibia, faces_right)


def _mid_line(shaft: Shaft) -> float:
    return shaft.angle


def forwards(downwards: Point) -> Point:
    """Unit vector to the front of a knee that faces right, from the one to the foot."""
    return np.array([downwards[1], -downwards[0]])


def _front(patella: Mask, thigh: Shaft, shank: Shaft) -> float:
    """How far the patella is to the right of both axes, in widths of the shafts."""
    centre = points_of(patella).mean(axis=0)
    of_thigh = (centre - thigh.near) @ forwards(-thigh.direction) / thigh.width_px
    of_shank = (centre - shank.near) @ forwards(shank.direction) / shank.width_px
    return float(of_thigh + of_shank)
