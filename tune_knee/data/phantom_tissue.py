"""The phantom's soft tissue: skin, fat and muscle around the bones at one pose.

Thigh and calf are rigid, the skin in front follows patella and tendon; where they meet,
the outline is rounded. All is drawn on a raster of fixed size and then enlarged, the
distance to the skin rather than the tissue itself, so that the skin line stays sharp.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.data import phantom_outlines as outlines
from tune_knee.data.phantom_anatomy import Knee, Matrix, Points, Pose, moved, smooth_closed
from tune_knee.data.phantom_bodies import TENDON, Plane, chord

MUSCLE: Final = 0.0215  # linear attenuation per mm at about 45 keV
FAT: Final = 0.0180
_SKIN_MM: Final = 2.0
_OVER_PATELLA_MM: Final = 7.0

_PAD_MM: Final = 32  # fat pads and quadriceps tendon along the beam
_QUADRICEPS_MM: Final = 26
_QUADRICEPS: Final = np.array([[45.0, 42.0], [47.0, 75.0], [48.0, 110.0]])  # on the femur
_UNDER_SKIN: Final = np.array([[10.0, -5.0], [44.0, 66.0]])  # of the femur

_RASTER: Final = 128  # across the image
_MARGIN: Final = 20  # and beyond each of its borders
_SIDE: Final = _RASTER + 2 * _MARGIN
_TO_RASTER: Final = np.array([[_RASTER, 0, _MARGIN], [0, _RASTER, _MARGIN], [0, 0, 1.0]])
_ROUNDING_PX: Final = 2.7  # Gaussian sigma that rounds where thigh and calf meet
_SMOOTHING_PX: Final = 0.9
_FIBRES: Final = 0.022  # standard deviation of the muscles' exponent
_FIBRES_TO_MM: Final = np.array([[1, 0, -_SIDE / 2], [0, 1, -_SIDE / 2], [0, 0, 1.0]])


@dataclass(frozen=True)
class Tissue:
    """One case's soft tissue, in mm.

    Attributes:
        thigh: outline in the femur's frame.
        calf: outline in the tibia's frame.
        half_width: of the knee, along the beam.
        fat: thickness under the skin.
        fibres: two smooth noise planes, one a muscle group.
    """

    thigh: Points
    calf: Points
    half_width: float
    fat: float
    fibres: tuple[Plane, Plane]


def draw_tissue(rng: np.random.Generator) -> Tissue:
    """Random bulk, fat and muscle texture of one case."""
    half_width = rng.uniform(44, 56)
    bulk = (half_width / 50) ** 0.7 * rng.normal(1, 0.03)

    def vary(points: outlines.Outline, axis_mm: float) -> Points:
        drawn = np.array(points, dtype=np.float64) - [axis_mm, 0]
        drawn[:, 0] *= bulk
        return smooth_closed(drawn + rng.normal(0, 1.2, drawn.shape) + [axis_mm, 0])

    def fibres() -> Plane:
        noise = rng.standard_normal((_SIDE, _SIDE), dtype=np.float32)
        streaks = cv2.GaussianBlur(noise, (0, 0), sigmaX=2.5, sigmaY=22)
        return np.asarray(streaks / streaks.std())

    return Tissue(
        vary(outlines.THIGH, 14),
        vary(outlines.CALF, 4),
        half_width,
        rng.uniform(4, 11),
        (fibres(), fibres()),
    )


def tissue_exponent(
    tissue: Tissue, knee: Knee, pose: Pose, view: Matrix, size_px: int
) -> NDArray[np.floating]:
    """Attenuation exponent of soft tissue alone. Shape (size_px, size_px).

    Args:
        tissue: the case's soft tissue.
        knee: its anatomy.
        pose: of the frame.
        view: from the femur's mm to shares of the image's side.
        size_px: side of the image.
    """
    raster = _TO_RASTER @ view
    px_per_mm = float(np.hypot(*raster[:2, 0]))
    depth = _to_image(_depth_px(tissue, knee, pose, raster, px_per_mm) / px_per_mm, size_px)
    inner = _to_image(_inner_exponent(tissue, knee, pose, raster, px_per_mm), size_px)

    def across(below: float) -> NDArray[np.floating]:
        radius = tissue.half_width - below
        return chord(depth - below, radius) * (2 * radius)

    under_skin = across(_SKIN_MM)
    muscle = across(_SKIN_MM + tissue.fat)
    skin = across(0.0) - under_skin
    layered = MUSCLE * (skin + muscle) + FAT * (under_skin - muscle)
    return np.asarray(layered + inner * np.clip(depth / 8, 0, 1))


def _to_image(plane: Plane, size_px: int) -> Plane:
    inside = plane[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    way = cv2.INTER_LINEAR if size_px > _RASTER else cv2.INTER_AREA
    return np.asarray(cv2.resize(inside, (size_px, size_px), interpolation=way))


def _fixed_point(points: NDArray[np.floating]) -> list[NDArray[np.int32]]:
    """Points in pixels, 0 at the corner, as OpenCV draws them with 4 fractional bits."""
    return [np.round((points - 0.5) * 16).astype(np.int32)]


def _filled(*polygons: NDArray[np.floating]) -> Plane:
    canvas = np.zeros((_SIDE, _SIDE), np.float32)
    for polygon in polygons:
        cv2.fillPoly(canvas, _fixed_point(polygon), 1.0, cv2.LINE_8, 4)
    return canvas


def _stroke(canvas: Plane, course: NDArray[np.floating], thick_px: float, closed: bool) -> None:
    thick = max(1, round(thick_px))
    cv2.polylines(canvas, _fixed_point(course), closed, 1.0, thick, cv2.LINE_8, 4)


def _hull(points: Points) -> NDArray[np.floating]:
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0])


def _depth_px(tissue: Tissue, knee: Knee, pose: Pose, raster: Matrix, px_per_mm: float) -> Plane:
    """Signed distance to the skin, positive inside."""
    front = np.vstack([moved(pose.patella, knee.patella), moved(pose.tendon, knee.tendon)])
    cover = _hull(moved(raster, np.vstack([front, _UNDER_SKIN])))
    body = _filled(moved(raster, tissue.thigh), moved(raster @ pose.tibia, tissue.calf), cover)
    _stroke(body, cover, 2 * _OVER_PATELLA_MM * px_per_mm, closed=True)
    rounded = (cv2.GaussianBlur(body, (0, 0), _ROUNDING_PX) > 0.5).astype(np.uint8)
    inside = cv2.distanceTransform(rounded, cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform(1 - rounded, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(cv2.GaussianBlur(inside - outside, (0, 0), _SMOOTHING_PX))


def _inner_exponent(
    tissue: Tissue, knee: Knee, pose: Pose, raster: Matrix, px_per_mm: float
) -> Plane:
    """Fat pads, quadriceps tendon and muscle texture, in excess of plain muscle."""
    fat = _filled(*(_hull(moved(raster, pad)) for pad in _fat_pads(knee, pose)))
    quadriceps = np.zeros_like(fat)
    course = np.vstack([moved(pose.patella, knee.base), _QUADRICEPS])
    _stroke(quadriceps, moved(raster, course), knee.tendon_thickness * px_per_mm, closed=False)
    pads = (FAT - MUSCLE) * _PAD_MM * fat + TENDON * _QUADRICEPS_MM * quadriceps
    inner = cv2.GaussianBlur(pads, (0, 0), _SMOOTHING_PX)
    groups = ((tissue.thigh, np.eye(3)), (tissue.calf, pose.tibia))
    for fibres, (outline, motion) in zip(tissue.fibres, groups, strict=True):
        onto = raster @ motion @ _FIBRES_TO_MM
        streaks = cv2.warpAffine(fibres, onto[:2], (_SIDE, _SIDE), borderMode=cv2.BORDER_REFLECT)
        group = cv2.GaussianBlur(_filled(moved(raster @ motion, outline)), (0, 0), _ROUNDING_PX)
        inner = inner + _FIBRES * streaks * group
    return np.asarray(inner)


def _fat_pads(knee: Knee, pose: Pose) -> list[Points]:
    """Behind the patellar tendon, above the patella, and behind the knee."""
    half = knee.tendon_length / 2
    behind_tendon = moved(pose.tendon, np.array([[-2.0, 4.0], [-2.5, half], [-2.0, 2 * half]]))
    plateau = moved(pose.tibia, np.array([[22.0, -22.0], [20.0, 0.0], [10.0, 2.0]]))
    patella_back = moved(pose.patella, np.array([[-5.0, -14.0], [-4.0, 17.0], [0.0, 20.0]]))
    trochlea = np.array([[30.0, -18.0]])
    above = np.array([[40.0, 22.0], [35.0, 40.0], [32.0, 62.0]])
    hollow = np.array([[-19.0, 14.0], [-6.0, 32.0], [0.0, 58.0], [-36.0, 20.0], [-40.0, 2.0]])
    tibia_back = moved(pose.tibia, np.array([[-27.0, -8.0], [-36.0, -14.0]]))
    return [
        np.vstack([behind_tendon, plateau, patella_back[:1], trochlea]),
        np.vstack([patella_back[1:], above]),
        np.vstack([hollow, tibia_back]),
    ]
