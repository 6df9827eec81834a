"""Measures of the joint over a sequence: flexion, tendon length, patella length and height."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tune_knee.motion.anatomy import Anatomy
from tune_knee.motion.flexion import Flexion, measure_flexion
from tune_knee.motion.insertion import find_insertion
from tune_knee.motion.shape import Mask, points_of
from tune_knee.motion.tendon import TendonLength, longest_diagonal, measure_tendon

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "flexion": ("femur", "tibia", "patella"),
    "patella length": ("patella",),
    "tendon length": ("femur", "tibia", "patella", "patellar_tendon"),
    "Insall-Salvati ratio": ("femur", "tibia", "patella", "patellar_tendon"),
}


def not_measured(anatomy: Anatomy) -> dict[str, tuple[str, ...]]:
    """Measures of the joint that cannot be taken, each with the parts that no region plays."""
    lacking = {measure: anatomy.missing(*parts) for measure, parts in _NEEDS.items()}
    return {measure: parts for measure, parts in lacking.items() if parts}


@dataclass(frozen=True)
class Joint:
    """N frames, NaN where a measure could not be taken.

    Attributes:
        flexion: None if no frame tells it.
        tendon_px: (N,) length of the patellar tendon's mid-line, lower pole to tuberosity.
        tendon_seen: (N,) share of it over which the mask has the tendon.
        patella_px: (N,) the patella's longest diagonal.
        insertion_by: how the tuberosity was found; empty if it was not.
    """

    flexion: Flexion | None
    tendon_px: NDArray[np.float64]
    tendon_seen: NDArray[np.float64]
    patella_px: NDArray[np.float64]
    insertion_by: str

    @property
    def insall_salvati(self) -> NDArray[np.float64]:
        """(N,) tendon length / patella length; Insall and Salvati, Radiology 1971;101:101-104."""
        return self.tendon_px / self.patella_px


def measure_joint(planes: Mapping[str, Sequence[Mask]], anatomy: Anatomy) -> Joint:
    """Take the measures that the regions allow.

    Args:
        planes: N masks by region.
        anatomy: which region plays which part.
    """
    frames = len(next(iter(planes.values())))
    tendon_px, tendon_seen, patella_px = np.full((3, frames), np.nan)
    lacking = not_measured(anatomy)

    def part(name: str) -> Sequence[Mask]:
        return planes[getattr(anatomy, name)]

    diagonals: list[NDArray[np.float64] | None] = [None] * frames
    if "patella length" not in lacking:
        diagonals = [longest_diagonal(mask) if mask.any() else None for mask in part("patella")]
        patella_px[:] = [np.nan if d is None else np.linalg.norm(d[1] - d[0]) for d in diagonals]
    flexion = None
    if "flexion" not in lacking:
        flexion = measure_flexion(part("femur"), part("tibia"), part("patella"))
    if flexion is None or "tendon length" in lacking:
        return Joint(flexion, tendon_px, tendon_seen, patella_px, "")
    tendons = part("patellar_tendon")
    insertion = find_insertion(tendons, part("tibia"), part("patella"), flexion)
    for n, (tendon, diagonal) in enumerate(zip(tendons, diagonals, strict=True)):
        found = _tendon_of(tendon, diagonal, insertion.points[n])
        if found is not None:
            tendon_px[n], tendon_seen[n] = found.length_px, found.seen
    return Joint(flexion, tendon_px, tendon_seen, patella_px, insertion.by)


def _tendon_of(
    tendon: Mask, diagonal: NDArray[np.float64] | None, insertion: NDArray[np.float64]
) -> TendonLength | None:
    """From the end of the patella's diagonal that is nearer to the tendon, its lower pole."""
    if not tendon.any() or diagonal is None or np.isnan(insertion).any():
        return None
    to_tendon = np.linalg.norm(diagonal - points_of(tendon).mean(axis=0), axis=1)
    return measure_tendon(tendon, diagonal[np.argmin(to_tendon)], insertion)
