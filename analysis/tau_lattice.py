"""A triangular lattice over the mixing ratios that a search may choose."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

_STEPS: Final = 50
_SLACK: Final = 1e-9
_WIDTH: Final = 1.5


@dataclass(frozen=True, kw_only=True)
class TauLattice:
    """Evenly spaced τ on the simplex.

    Attributes:
        tau: (ce, dice, boundary), each at least 0, together 1. Shape (L, 3).
        step: by which parts differ between neighbours.
    """

    tau: NDArray[np.float64]
    step: float

    @classmethod
    def within(
        cls,
        low: tuple[float, float, float] = (0.0, 0.0, 0.0),
        high: tuple[float, float, float] = (1.0, 1.0, 1.0),
        *,
        steps: int = _STEPS,
    ) -> Self:
        """The lattice over the part of the simplex within ranges, `steps` along its longest edge.

        It starts from the corner of the smallest parts, so that a part which is fixed by its
        range stays at its value: then the lattice is a line.

        Raises:
            ValueError: if no τ within the ranges sums to 1.
        """
        ends = np.array(high)
        start = np.maximum(low, 1 - (ends.sum() - ends))
        if sum(low) > 1 + _SLACK or ends.sum() < 1 - _SLACK:
            raise ValueError(
                f"ranges of tau must hold a point of the simplex, got low={low}, high={high}"
            )
        parts = [(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]
        step = (1 - start.sum()) / steps
        tau = np.unique(start + step * np.array(parts), axis=0)
        return cls(tau=tau[(tau <= ends + _SLACK).all(axis=1)], step=step)

    @property
    def is_line(self) -> bool:
        """Whether a part is fixed, so that the lattice has no area."""
        return bool((np.ptp(self.tau, axis=0) < self.step / 2).any())

    @property
    def nearness(self) -> NDArray[np.float64]:
        """Gaussian weights of distance, one and a half steps wide, 1 at no distance. (L, L)."""
        squared = ((self.tau[:, None] - self.tau[None]) ** 2).sum(axis=-1) / 2  # edges of length 1
        return np.asarray(np.exp(-squared / (2 * (_WIDTH * self.step) ** 2)))
