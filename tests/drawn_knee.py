"""A knee of straight edges whose angle and lengths are known, drawn anywhere in a frame."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

REGIONS = ("patella", "femur", "tibia", "patellar_tendon")
TENDON_MM, PATELLA_MM = 48.0, 42.0
_TUBEROSITY = np.array([21.0, -62.0])
_FEMUR = np.array([[-14, 130], [14, 130], [14, 40], [30, 20], [30, -12], [15, -28]])
_FEMUR_BACK = np.array([[-15, -28], [-30, -12], [-30, 20], [-14, 40]])
_TIBIA = np.array(
    [[-24, -28], [19, -28], [17, -45], _TUBEROSITY, [13, -80], [13, -140], [-13, -140], [-13, -70]]
)


@dataclass(frozen=True)
class View:
    """Where and how the knee is seen: px per mm, degrees anticlockwise, shift of the middle."""

    scale: float = 0.85
    turn_deg: float = 0.0
    shift_px: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    size_px: int = 256

    def scaled(self, factor: int) -> "View":
        x, y = self.shift_px
        return replace(
            self,
            scale=self.scale * factor,
            shift_px=(x * factor, y * factor),
            size_px=self.size_px * factor,
        )


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Anticlockwise about the origin, y upwards."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def fill(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Polygon in px, 0 at the corner, drawn at eightfold size: a pixel is set if half is in."""
    plane = np.zeros((shape[0] * 8, shape[1] * 8), np.uint8)
    cv2.fillPoly(plane, [np.round((points * 8 - 0.5) * 16).astype(np.int32)], 255, shift=4)
    return cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA) >= 128


def drawn_knee(flexion_deg: float, view: View = View()) -> np.ndarray:
    """Bit mask (H, W) of a knee that faces right if it is not mirrored, thigh upwards."""

    def onto(points: np.ndarray) -> np.ndarray:
        across = -1 if view.mirrored else 1
        seen = turned(points * [across, 1], view.turn_deg) * [1, -1] * view.scale
        return seen + view.size_px / 2 + np.array(view.shift_px)

    forwards_deg = 25 - 0.45 * flexion_deg  # of the tendon, seen from the tibia
    along = turned(np.array([0.0, 1.0]), -forwards_deg)
    pole = _TUBEROSITY + TENDON_MM * along
    across = np.array([along[1], -along[0]])
    ribbon = np.array(
        [
            _TUBEROSITY - 4 * along + 2.5 * across,
            _TUBEROSITY - 4 * along - 2.5 * across,
            pole + 4 * along - 2.5 * across,
            pole + 4 * along + 2.5 * across,
        ]
    )
    half = np.array([[0.0, 0], [8, 6], [12, 20], [7, 38], [0, PATELLA_MM]])
    bone = np.vstack([half, half[::-1] * [-1, 1]])
    patella = turned(turned(bone, 0.35 * flexion_deg) + pole, -flexion_deg)
    parts = (
        patella,
        np.vstack([_FEMUR, _FEMUR_BACK]).astype(float),
        turned(_TIBIA.astype(float), -flexion_deg),
        turned(ribbon, -flexion_deg),
    )
    shape = (view.size_px, view.size_px)
    mask = np.zeros(shape, np.uint8)
    for bit, part in enumerate(parts):
        mask |= fill(onto(part), shape).astype(np.uint8) << bit
    return mask
