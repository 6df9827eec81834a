"""The phantom's knee seen from the side, in millimetres, and how it moves over flexion.

Each bone has its own frame: x forwards (anterior), y upwards (proximal). The femur's
origin is the centre of its posterior condyles, the tibia's the middle of its plateau.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from tune_knee.data import phantom_outlines as outlines

Points: TypeAlias = NDArray[np.float64]  # (P, 2)
Matrix: TypeAlias = NDArray[np.float64]  # (3, 3), homogeneous

_CONDYLES_BELOW_MM: Final = 45.0  # what of the femur obliquity moves apart
_DEPTH_MIN_MM: Final = np.array([-60.0, -60.0])  # lower corner of the femoral depth map
_DEPTH_PX_PER_MM: Final = 2.0
_TENDON_TURNS_DEG: Final = np.linspace(75.0, -25.0, 51)  # forwards of the tibia's axis


@dataclass(frozen=True)
class Knee:
    """One person's knee. Outlines and points in the bones' frames, lengths in mm."""

    femur: tuple[Points, Points]  # with the medial and with the lateral condyle
    tibia: tuple[Points, Points]
    fibula: Points
    patella: Points
    apex: Points
    base: Points
    tuberosity: Points
    tendon_length: float
    tendon_thickness: float
    joint_space: float
    patella_tilt_deg: float
    groove_mm: tuple[float, float]  # depth of the trochlea, straight and at 90 degrees
    tendon: Points  # origin at the tuberosity, y towards the apex
    femur_depth: NDArray[np.float32]  # how deep a place lies in the femur


@dataclass(frozen=True)
class Pose:
    """Rigid motions of each part into the femur's frame at one flexion."""

    flexion_deg: float
    tibia: Matrix
    patella: Matrix
    tendon: Matrix


def rigid(angle_deg: float, shift: Points) -> Matrix:
    """Anticlockwise rotation about the origin, then a shift."""
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]], [0.0, 0.0, 1.0]])


def moved(matrix: Matrix, points: Points) -> Points:
    """Points (..., 2) under a homogeneous matrix."""
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2])


def smooth_closed(points: Points) -> Points:
    """A periodic cubic spline through the points, centripetal, six steps between two."""
    return _spline(np.vstack([points, points[:1]]), "periodic")[:-1]


def smooth_open(points: Points) -> Points:
    """A natural cubic spline through the points; a straight line closes the outline."""
    return _spline(points, "natural")


def _spline(points: Points, ends: str) -> Points:
    steps = np.sqrt(np.linalg.norm(np.diff(points, axis=0), axis=1))
    at = np.concatenate([[0.0], np.cumsum(steps)])
    fine = np.interp(np.arange(6 * (len(at) - 1) + 1) / 6, np.arange(len(at)), at)
    return np.asarray(CubicSpline(at, points, bc_type=ends)(fine))


def draw_knee(rng: np.random.Generator) -> Knee:
    """A knee of random size and proportions."""
    size = rng.normal(1.0, 0.045)

    def vary(points: outlines.Outline, jitter_mm: float) -> Points:
        depth = rng.normal(1.0, 0.025)  # front to back, against the whole
        drawn = np.array(points, dtype=np.float64) * [depth, 1.0]
        return np.asarray(size * (drawn + rng.normal(0, jitter_mm, drawn.shape)))

    medial = vary(outlines.FEMUR, 0.45)
    apart = rng.normal([-1.5, -0.6], [2.4, 1.3])
    near = np.clip((_CONDYLES_BELOW_MM - medial[:, 1]) / 20, 0, 1)[:, None]
    lateral = medial * np.where(near > 0, 1 - 0.03 * near, 1) + apart * near
    tibia = vary(outlines.TIBIA, 0.4)
    under = np.clip((tibia[:, 1] + 30) / 25, 0, 1)[:, None]
    patella = vary(outlines.PATELLA, 0.4)
    outline = smooth_open(medial)
    length = size * float(np.clip(rng.normal(49.5, 2.5), 44, 55))
    thickness = size * rng.uniform(4.2, 5.3)
    return Knee(
        femur=(outline, smooth_open(lateral)),
        tibia=(
            smooth_open(tibia),
            smooth_open(tibia + rng.normal([-1.0, 2.2], [1.5, 0.8]) * under),
        ),
        fibula=smooth_open(vary(outlines.FIBULA, 0.4) + rng.normal([0, 0], [2.0, 2.0])),
        patella=smooth_closed(patella),
        apex=patella[outlines.APEX_AT],
        base=patella[outlines.BASE_AT],
        tuberosity=tibia[outlines.TUBEROSITY_AT],
        tendon_length=length,
        tendon_thickness=thickness,
        tendon=_tendon_outline(length, thickness),
        joint_space=size * rng.uniform(0.8, 3.2),
        patella_tilt_deg=rng.normal(-3.0, 2.5),
        groove_mm=(size * rng.uniform(2.0, 4.0), size * rng.uniform(8.0, 11.5)),
        femur_depth=_depth_map(outline),
    )


def _tendon_outline(length: float, thickness: float) -> Points:
    """A ribbon whose ends lie behind its middle line: in the tuberosity, on the apex."""
    y = np.array([-7, -3.5, 0, 6, 15, 25, 34, 40, 43.5]) * (length / 40)
    half = thickness / 2 * np.array([0.3, 0.9, 1.1, 1, 0.95, 0.95, 1, 1.1, 0.6])
    back = np.array([-3.0, -1.2, 0, 0, 0, 0, 0, -0.3, -0.8])
    sides = np.concatenate([back + half, (back - half)[::-1]])
    return smooth_closed(np.column_stack([sides, np.concatenate([y, y[::-1]])]))


def _depth_map(outline: Points) -> NDArray[np.float32]:
    canvas = np.zeros((320, 260), np.uint8)
    pixels = (outline - _DEPTH_MIN_MM) * _DEPTH_PX_PER_MM
    cv2.fillPoly(canvas, [np.round(pixels * 16).astype(np.int32)], 1, shift=4)
    distance = cv2.distanceTransform(canvas, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance / _DEPTH_PX_PER_MM, dtype=np.float32)


def bend(knee: Knee, flexion_deg: float) -> Pose:
    """Where tibia, patella and tendon are at a flexion in degrees, 0 being straight.

    The femur rolls back on the plateau and keeps the joint space; the tendon, of constant
    length, turns about the tuberosity until the patella lies in the trochlea; the patella
    turns by about 0.68 of the flexion.
    """
    share = flexion_deg / 90
    up = moved(rigid(-flexion_deg, np.zeros(2)), np.array([0.0, 1.0]))
    condyles = knee.femur[0][knee.femur[0][:, 1] < _CONDYLES_BELOW_MM]
    height = float((-condyles @ up).max()) + knee.joint_space
    centre = np.array([-3.0 - 6.5 * share, height])  # of the condyles, in the tibia's frame
    tibia = rigid(-flexion_deg, np.zeros(2))
    tibia[:2, 2] = -moved(tibia, centre)

    insertion = moved(tibia, knee.tuberosity)
    patella = rigid(-(knee.patella_tilt_deg + 0.68 * flexion_deg), np.zeros(2))
    hanging = moved(patella, knee.patella - knee.apex)
    turn_deg = _tendon_turn_deg(knee, flexion_deg, insertion, hanging)
    tendon = rigid(-flexion_deg - turn_deg, insertion)
    end = moved(tendon, np.array([0.0, knee.tendon_length]))
    patella[:2, 2] = end - moved(patella, knee.apex)
    return Pose(flexion_deg, tibia, patella, tendon)


def _tendon_turn_deg(knee: Knee, flexion_deg: float, insertion: Points, hanging: Points) -> float:
    """Angle between tendon and tibia at which the patella lies in the trochlea.

    Turned back from the front, the first at which the patella's outline lies as deep
    behind the condyles' as the groove is at this flexion.
    """
    angles = np.deg2rad(flexion_deg + _TENDON_TURNS_DEG)
    ends = insertion + knee.tendon_length * np.column_stack([np.sin(angles), np.cos(angles)])
    pixels = (ends[:, None] + hanging - _DEPTH_MIN_MM) * _DEPTH_PX_PER_MM
    depths = map_coordinates(knee.femur_depth, [pixels[..., 1], pixels[..., 0]], order=1)
    deepest = depths.max(axis=1)
    groove = knee.groove_mm[0] + (knee.groove_mm[1] - knee.groove_mm[0]) * flexion_deg / 90
    behind = int(np.argmax(deepest >= groove))
    assert behind > 0, f"the patella must meet the femur, got flexion_deg={flexion_deg}"
    pair = slice(behind - 1, behind + 1)
    return float(np.interp(groove, deepest[pair], _TENDON_TURNS_DEG[pair]))
