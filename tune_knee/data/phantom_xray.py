"""From a knee's pose to a radiograph and its labels.

Expected counts per pixel follow Beer-Lambert, N = N0 · field · (exp(-Σ μ t) + scatter);
then focal blur, Poisson noise, the detector's blur, and a display of -log(N / N0) in
which bone is bright. Everything is placed in shares of the image's side, so that a case
shows the same anatomy at every size.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.data.phantom_anatomy import Knee, Matrix, Pose, rigid
from tune_knee.data.phantom_bodies import (
    Body,
    Plane,
    femur_body,
    oversampling,
    patella_body,
    tendon_body,
    tibia_body,
)
from tune_knee.data.phantom_tissue import MUSCLE, Tissue, draw_tissue, tissue_exponent

REGIONS: Final = ("patella", "femur", "tibia", "patellar_tendon")
_KNEE_MM: Final = (-8.0, -29.0)  # in the femur's frame, what is put at the image's middle
_QUANTA_PER_PX: Final = 9_000  # in air, of a frame of 512 pixels
_FOCAL_BLUR: Final = 0.0012  # Gaussian sigmas as shares of the side
_DETECTOR_BLUR: Final = 0.0009
_LATITUDE: Final = 0.5  # how much of the low frequencies the display takes away


@dataclass(frozen=True)
class Exposure:
    """How a case was taken and shown; places and lengths in shares of the image's side.

    Attributes:
        fov_mm: side of the image at the knee.
        thigh_deg: of the femur's axis above the horizontal.
        centre: where the knee is, from the image's middle.
        mirrored: left and right exchanged.
        density: of bone, against the average.
        dose: quanta, against the average.
        scatter: scattered against primary quanta.
        field: (left, top, right, bottom) of the collimator's blades, from the middle,
        field_deg: turned by this.
        black_shutter: the display blackens what the blades cover.
        window: exponent shown as black; the one shown as white, beyond plain tissue's.
        gamma: exponent of the display.
    """

    fov_mm: float
    thigh_deg: float
    centre: tuple[float, float]
    mirrored: bool
    density: float
    dose: float
    scatter: float
    field: tuple[float, float, float, float]
    field_deg: float
    black_shutter: bool
    window: tuple[float, float]
    gamma: float


def draw_exposure(rng: np.random.Generator, mirrored: bool) -> Exposure:
    """Random settings of one case."""
    closed = rng.random(4) < 0.55
    left, top, right, bottom = (0.55 - closed * rng.uniform(0.06, 0.17, 4)).tolist()
    return Exposure(
        fov_mm=rng.uniform(245, 285),
        thigh_deg=rng.normal(10, 8),
        centre=(rng.normal(0, 0.03), rng.normal(0.0, 0.03)),
        mirrored=mirrored,
        density=rng.uniform(0.75, 1.2),
        dose=float(np.exp(rng.normal(0, 0.4))),
        scatter=rng.uniform(0.15, 0.45),
        field=(left, top, right, bottom),
        field_deg=rng.normal(0, 3),
        black_shutter=bool(rng.random() < 0.85),
        window=(rng.uniform(-0.3, 0.15), rng.uniform(0.4, 0.8)),
        gamma=rng.uniform(0.8, 1.25),
    )


@dataclass(frozen=True)
class Scene:
    """One case ready to be exposed at one image size; bodies in the regions' order."""

    knee: Knee
    tissue: Tissue
    exposure: Exposure
    bodies: tuple[Body, Body, Body, Body]
    field: Plane
    size_px: int

    def view(self, flexion_deg: float) -> Matrix:
        """From the femur's mm to shares of the image's side, x right and y down.

        The thigh lifts a little as the knee straightens.
        """
        exposure = self.exposure
        thigh_deg = exposure.thigh_deg + 0.05 * (45 - flexion_deg)
        turned = rigid(90 - thigh_deg, np.zeros(2))
        turned[:2, 2] = -(turned[:2, :2] @ _KNEE_MM)
        across = -1 if exposure.mirrored else 1
        middle = (0.5 + across * exposure.centre[0], 0.5 + exposure.centre[1])
        scale = 1 / exposure.fov_mm
        onto = np.array([[across * scale, 0, middle[0]], [0, -scale, middle[1]], [0, 0, 1.0]])
        return np.asarray(onto @ turned)


def set_scene(knee: Knee, exposure: Exposure, rng: np.random.Generator, size_px: int) -> Scene:
    """Draw what does not change between a case's frames."""
    tissue = draw_tissue(rng)
    drawn = (
        patella_body(knee, exposure.density, rng),
        femur_body(knee, exposure.density, rng),
        tibia_body(knee, exposure.density, rng),
        tendon_body(knee, rng),
    )
    px_per_mm = oversampling(size_px) * size_px / exposure.fov_mm
    patella, femur, tibia, tendon = (body.coarser(px_per_mm) for body in drawn)
    field = _field(exposure, size_px)
    return Scene(knee, tissue, exposure, (patella, femur, tibia, tendon), field, size_px)


def _field(exposure: Exposure, size_px: int) -> Plane:
    """Share of the beam that the collimator's blades let through."""
    middle = (np.arange(size_px) + 0.5) / size_px - 0.5
    x, y = middle[None], middle[:, None]
    if exposure.mirrored:
        x = -x
    cos, sin = np.cos(np.deg2rad(exposure.field_deg)), np.sin(np.deg2rad(exposure.field_deg))
    across, down = cos * x + sin * y, cos * y - sin * x
    left, top, right, bottom = exposure.field
    inside = np.minimum.reduce([across + left, right - across, down + top, bottom - down])
    heel = 1 + 0.12 * across  # the anode's side is weaker
    return np.asarray(heel / (1 + np.exp(-np.clip(inside / 0.0022, -30, 30))), dtype=np.float32)


def expose(
    scene: Scene, pose: Pose, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One frame and its labels, both uint8 (size_px, size_px); bit r is region r.

    Labels end where the blades do, as nobody outlines what is not seen.
    """
    size_px, exposure = scene.size_px, scene.exposure
    view = scene.view(pose.flexion_deg)
    exponent = tissue_exponent(scene.tissue, scene.knee, pose, view, size_px)
    pixels = np.diag([size_px, size_px, 1.0]) @ view
    labels = np.zeros((size_px, size_px), np.uint8)
    motions = (pose.patella, np.eye(3), pose.tibia, pose.tendon)
    for region, (body, motion) in enumerate(zip(scene.bodies, motions, strict=True)):
        excess, labelled = cv2.split(body.placed(pixels @ motion, size_px))
        exponent += excess
        labels |= ((labelled >= 0.5) & (scene.field >= 0.5)).astype(np.uint8) << region
    counts = _counts(np.exp(-exponent), scene, rng)
    air = _QUANTA_PER_PX * (512 / size_px) ** 2 * exposure.dose
    shown = -np.log(np.maximum(counts / air, 1e-4))
    plain = 2 * scene.tissue.half_width * MUSCLE
    shown -= _LATITUDE * _low_pass(np.minimum(shown, plain), 0.1)
    black, beyond = exposure.window
    white = (1 - _LATITUDE) * plain + beyond
    grey = np.clip((shown - black) / (white - black), 0, 1) ** exposure.gamma
    if exposure.black_shutter:
        grey *= np.clip(2.5 * scene.field - 1.5, 0, 1)
    return np.round(255 * grey).astype(np.uint8), labels


def _low_pass(plane: Plane, sigma: float) -> Plane:
    """Gaussian of a sigma given as a share of the side, on a coarse raster."""
    small = cv2.resize(plane, (32, 32), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma * 32)
    return np.asarray(cv2.resize(blurred, plane.shape[::-1], interpolation=cv2.INTER_CUBIC))


def _counts(primary: Plane, scene: Scene, rng: np.random.Generator) -> Plane:
    """Detected quanta of a frame, from the share of the beam that passes unscattered."""
    size_px, exposure = scene.size_px, scene.exposure
    lit = primary * scene.field
    veil = _low_pass(lit, 0.12)
    focal = cv2.GaussianBlur(lit, (0, 0), _FOCAL_BLUR * size_px)
    air = _QUANTA_PER_PX * (512 / size_px) ** 2 * exposure.dose
    quanta = rng.poisson(air * (focal + exposure.scatter * veil * (0.1 + 0.9 * scene.field)))
    return np.asarray(cv2.GaussianBlur(quanta.astype(np.float32), (0, 0), _DETECTOR_BLUR * size_px))
