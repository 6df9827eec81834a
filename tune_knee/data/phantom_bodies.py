"""The phantom's bones and tendon as rigid bodies: what each adds to X-ray attenuation.

A body is drawn once a case, in its own frame, and then only moved. Attenuation is in
excess of the muscle that the body displaces: a beam crosses the chord of a shell of
compact bone and that of its spongy or marrow core (Beer-Lambert: exponents add up).
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.data.phantom_anatomy import Knee, Matrix, Points

Plane = NDArray[np.float32]

# Linear attenuation per mm in excess of muscle's, at about 45 keV.
_COMPACT: Final = 0.048
_SPONGY: Final = 0.0105
_MARROW: Final = -0.002
TENDON: Final = 0.0026

_PX_PER_MM: Final = 2.5
_OVERSAMPLING: Final = 4  # of an outline's coverage
_PLACED_ON_PX: Final = 192
_BLUMENSAAT: Final = np.array([[-9.0, 17.0], [21.0, -3.0]])  # roof of the notch, on the femur


def oversampling(size_px: int) -> int:
    """Subpixels per side of a pixel on which bodies are placed: small images need some."""
    return max(1, round(_PLACED_ON_PX / size_px))


@dataclass(frozen=True)
class Body:
    """A rigid part in its own frame.

    Attributes:
        layers: (H, W, 2): excess attenuation (dimensionless exponent), labelled share.
        to_mm: from the layers' coordinates (corner at 0, 0) to the part's frame.
    """

    layers: Plane
    to_mm: Matrix

    def placed(self, to_image: Matrix, size_px: int) -> Plane:
        """The layers (size_px, size_px, 2) under a motion from the part's mm to pixels."""
        raster_px = size_px * oversampling(size_px)
        finer = np.diag([raster_px / size_px, raster_px / size_px, 1.0])
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
        onto = (np.linalg.inv(half) @ finer @ to_image @ self.to_mm @ half)[:2]
        moved = cv2.warpAffine(self.layers, onto, (raster_px, raster_px))
        return np.asarray(cv2.resize(moved, (size_px, size_px), interpolation=cv2.INTER_AREA))

    def coarser(self, px_per_mm: float) -> "Body":
        """Area-averaged to about this resolution where it is lower than the layers' own."""
        share = px_per_mm * float(np.hypot(*self.to_mm[:2, 0]))
        if share >= 1:
            return self
        height, width = self.layers.shape[:2]
        shape = (max(1, round(width * share)), max(1, round(height * share)))
        layers = cv2.resize(self.layers, shape, interpolation=cv2.INTER_AREA)
        zoom = np.diag([width / shape[0], height / shape[1], 1.0])
        return Body(np.asarray(layers), self.to_mm @ zoom)


@dataclass(frozen=True)
class _Canvas:
    """A raster over some outlines' bounding box."""

    low_mm: Points
    shape: tuple[int, int]

    @classmethod
    def over(cls, *outlines: Points) -> "_Canvas":
        points = np.vstack(outlines)
        low = points.min(axis=0) - 2
        width, height = np.ceil((points.max(axis=0) + 2 - low) * _PX_PER_MM).astype(int)
        return cls(low, (int(height), int(width)))

    @property
    def y_mm(self) -> NDArray[np.float64]:
        """Height of every row, as a column."""
        rows = np.arange(self.shape[0])[:, None] + 0.5
        return np.asarray(self.low_mm[1] + rows / _PX_PER_MM)

    @property
    def x_mm(self) -> NDArray[np.float64]:
        columns = np.arange(self.shape[1])[None] + 0.5
        return np.asarray(self.low_mm[0] + columns / _PX_PER_MM)

    def body(self, excess: NDArray[np.floating], labelled: Plane) -> Body:
        to_mm = np.array(
            [
                [1 / _PX_PER_MM, 0, self.low_mm[0]],
                [0, 1 / _PX_PER_MM, self.low_mm[1]],
                [0, 0, 1.0],
            ]
        )
        return Body(np.dstack([excess, labelled]).astype(np.float32), to_mm)

    def coverage(self, outline: Points) -> Plane:
        """Share of every pixel inside the outline."""
        fine = _PX_PER_MM * _OVERSAMPLING
        canvas = np.zeros((self.shape[0] * _OVERSAMPLING, self.shape[1] * _OVERSAMPLING), np.uint8)
        pixels = (outline - self.low_mm) * fine - 0.5
        cv2.fillPoly(canvas, [np.round(pixels * 16).astype(np.int32)], 255, shift=4)
        size = (self.shape[1], self.shape[0])
        return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA) / np.float32(255))


def _depth_mm(coverage: Plane) -> Plane:
    inside = np.pad((coverage >= 0.5).astype(np.uint8), 1)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return np.asarray(np.maximum(distance - 0.5, 0) / _PX_PER_MM, dtype=np.float32)


def chord(
    depth: NDArray[np.floating], radius: NDArray[np.floating] | float
) -> NDArray[np.floating]:
    """Share in [0, 1] of a rounded body's full width that a beam at this depth crosses."""
    x = np.clip(depth / radius, 0, 1)
    return np.asarray(np.sqrt(x * (2 - x)))


def _bone(
    depth: Plane,
    *,
    width: NDArray[np.floating] | float,
    radius: NDArray[np.floating] | float,
    shell: NDArray[np.floating] | float,
    spongy: NDArray[np.floating] | float,
    density: float,
) -> NDArray[np.floating]:
    """Excess attenuation of a shell around a core that is spongy (1) or marrow (0)."""
    core = chord(depth - shell, radius - shell) * (width - 2 * shell)
    compact = chord(depth, radius) * width - core
    return np.asarray(
        density * _COMPACT * compact + core * (density * _SPONGY * spongy + _MARROW * (1 - spongy))
    )


def _grain(rng: np.random.Generator, shape: tuple[int, int]) -> Plane:
    """Trabecular texture, mean 0, standard deviation 1: finer across than along the bone."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    fine = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.9, sigmaY=2.2)
    coarse = cv2.GaussianBlur(noise, (0, 0), sigmaX=5, sigmaY=8)
    texture = fine / fine.std() + 0.45 * coarse / coarse.std()
    return np.asarray(texture / texture.std())


def _line(canvas: _Canvas, points: Points, sigma_mm: float) -> Plane:
    drawn = np.zeros(canvas.shape, np.float32)
    pixels = (points - canvas.low_mm) * _PX_PER_MM
    cv2.polylines(drawn, [np.round(pixels * 16).astype(np.int32)], False, 1.0, 2, cv2.LINE_8, 4)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), sigma_mm * _PX_PER_MM))


def femur_body(knee: Knee, density: float, rng: np.random.Generator) -> Body:
    """Shaft and the two condyles, which the beam sees one behind the other."""
    canvas = _Canvas.over(*knee.femur)
    y, x = canvas.y_mm, canvas.x_mm
    start, end = _BLUMENSAAT
    roof = start[1] + (x - start[0]) * (end[1] - start[1]) / (end[0] - start[0])
    above_notch = 1 / (1 + np.exp(-(y - roof) / 1.5))
    condyle = np.interp(y, [-25, -5, 20, 45, 70, 100], [22, 27, 31, 22, 16, 14])
    spongy = np.interp(y, [15, 40, 65, 90], [1, 0.7, 0.3, 0])
    between = above_notch * np.interp(y, [-10, 10, 35, 50], [14, 14, 6, 0])
    grain = 1 + 0.075 * _grain(rng, canvas.shape)
    excess = np.zeros(canvas.shape)
    labelled = np.zeros(canvas.shape, np.float32)
    for outline in knee.femur:
        coverage = canvas.coverage(outline)
        half = _bone(
            _depth_mm(coverage),
            width=condyle + between / 2,
            radius=np.interp(y, [-25, 20, 50, 80], [13, 15, 14, 13.8]),
            shell=np.interp(y, [-25, 20, 45, 65, 90, 120], [0.55, 0.7, 1.5, 3.0, 4.4, 5.0]),
            spongy=spongy * grain,
            density=density,
        )
        excess += coverage * half
        labelled = np.maximum(labelled, coverage)
    line = _line(canvas, _BLUMENSAAT, 0.5)
    return canvas.body(excess + 0.16 * density * line * labelled, labelled)


def tibia_body(knee: Knee, density: float, rng: np.random.Generator) -> Body:
    """Plateaus, tuberosity and shaft; the fibula goes with it, unlabelled."""
    canvas = _Canvas.over(*knee.tibia, knee.fibula)
    y = canvas.y_mm
    grain = 1 + 0.075 * _grain(rng, canvas.shape)
    under_plateau = np.exp(-0.5 * ((y + 3.5) / 3) ** 2)
    excess = np.zeros(canvas.shape)
    labelled = np.zeros(canvas.shape, np.float32)
    for outline in knee.tibia:
        coverage = canvas.coverage(outline)
        half = _bone(
            _depth_mm(coverage),
            width=np.interp(y, [-130, -70, -45, -25, -8, 0, 3, 7], [12, 14, 20, 30, 36, 36, 12, 8]),
            radius=np.interp(y, [-130, -60, -30, 0], [12.5, 13, 14, 9]),
            shell=np.interp(y, [-130, -90, -65, -45, -20, 0], [5.2, 4.4, 3.2, 1.6, 0.7, 0.7]),
            spongy=np.interp(y, [-90, -60, -40, -20], [0, 0.35, 0.7, 1]) * grain
            + 0.5 * under_plateau,
            density=density,
        )
        excess += coverage * half
        labelled = np.maximum(labelled, coverage)
    coverage = canvas.coverage(knee.fibula)
    head = np.interp(y, [-50, -25], [0, 1])
    fibula = _bone(
        _depth_mm(coverage),
        width=12 + 6 * head,
        radius=5.5 + 2 * head,
        shell=2.2 - 1.6 * head,
        spongy=head * grain,
        density=density,
    )
    return canvas.body(excess + coverage * fibula, labelled)


def patella_body(knee: Knee, density: float, rng: np.random.Generator) -> Body:
    """A spongy bone in a thin shell, 40 mm wide."""
    canvas = _Canvas.over(knee.patella)
    coverage = canvas.coverage(knee.patella)
    width = 41 * np.sqrt(np.clip(1 - (canvas.y_mm / 27) ** 2, 0.2, 1))
    excess = _bone(
        _depth_mm(coverage),
        width=width,
        radius=8.5,
        shell=0.9,
        spongy=1 + 0.075 * _grain(rng, canvas.shape),
        density=density,
    )
    return canvas.body(coverage * excess, coverage)


def tendon_body(knee: Knee, rng: np.random.Generator) -> Body:
    """A ribbon 28 mm wide in the beam's direction; little denser than muscle."""
    canvas = _Canvas.over(knee.tendon)
    coverage = canvas.coverage(knee.tendon)
    share = chord(_depth_mm(coverage), knee.tendon_thickness / 2)
    fibres = 1 + 0.12 * _grain(rng, canvas.shape)
    return canvas.body(coverage * 28 * TENDON * share * fibres, coverage)
