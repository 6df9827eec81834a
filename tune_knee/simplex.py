"""The simplex of mixing ratios, within ranges, from a sampler's unit cube and back.

A share has three parts, each at least 0, together 1. Breaking a stick maps uniform coordinates
to the uniform distribution on the simplex (the flat Dirichlet), and has as many coordinates as
the simplex has dimensions. The other map that does so, -log u of three coordinates normalised,
has one that changes nothing, which a sampler would have to find out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.float64]
Triple = tuple[float, float, float]

UNITS: Final = 10_000  # a share has four decimals
_SNAPPED_BELOW: Final = 100  # units: parts below 0.01 become 0


@dataclass(frozen=True)
class SimplexRegion:
    """The part of the simplex within ranges of its parts, of which two or three are free.

    `share` maps the unit square (the unit interval, where one part is fixed) onto it so that
    uniform coordinates give a uniform share: no proposal falls outside, and none has to be
    thrown away. The first part is the inverse of its distribution on the region, whose density
    is the length of the slice there; the second lies evenly within the slice. Without ranges
    that is breaking a stick: 1 - √(1 - u), then v times the rest.

    Attributes:
        low: smallest value of each part, in the order in which they are broken off.
        high: largest value of each part; Σ low < 1 < Σ high.
    """

    low: Triple
    high: Triple

    @cached_property
    def free(self) -> list[int]:
        """The parts whose range is no single value."""
        return [i for i in range(3) if self.low[i] < self.high[i]]

    def share(self, coordinates: Sequence[float]) -> Shares:
        """The share (3,) at as many coordinates in [0, 1] as parts are free, less one."""
        if len(self.free) == 2:
            low, high = self._reachable
            share = low.copy()
            one, other = self.free
            share[one] += coordinates[0] * (high[one] - low[one])
            share[other] = 1 - np.delete(share, other).sum()
            return share
        first = self._first_part(coordinates[0])
        bottom, top = self._slice(first)
        second = bottom + coordinates[1] * (top - bottom)
        return np.array([first, second, 1 - first - second])

    def coordinates(self, share: Sequence[float]) -> list[float]:
        """The coordinates that `share` maps to a share within the region.

        Where a slice is one point any would do for the second; one half is given.
        """
        if len(self.free) == 2:
            low, high = self._reachable
            one = self.free[0]
            return [_within_unit((share[one] - low[one]) / (high[one] - low[one]))]
        bottom, top = self._slice(share[0])
        within = (share[1] - bottom) / (top - bottom) if top > bottom else 0.5
        return [_within_unit(self._first_coordinate(share[0])), _within_unit(within)]

    @cached_property
    def _reachable(self) -> tuple[Shares, Shares]:
        """Smallest and largest values that the parts take within the region. Each (3,)."""
        low, high = np.array([self.low, self.high], dtype=np.float64)
        return np.maximum(low, 1 - (high.sum() - high)), np.minimum(high, 1 - (low.sum() - low))

    def _slice(self, first: float) -> tuple[float, float]:
        """Smallest and largest second part where the first is given."""
        bottom = max(self.low[1], 1 - first - self.high[2])
        return bottom, max(bottom, min(self.high[1], 1 - first - self.low[2]))

    @cached_property
    def _pieces(self) -> tuple[Shares, Shares, Shares]:
        """First parts where the slices' length bends, the lengths, and the areas up to there."""
        low, high = (float(bound[0]) for bound in self._reachable)
        bends = (1 - self.low[2] - self.high[1], 1 - self.high[2] - self.low[1])
        knots = np.unique(np.clip([low, *bends, high], low, high))
        lengths = np.array([top - bottom for bottom, top in map(self._slice, knots)])
        pieces = np.diff(knots) * (lengths[:-1] + lengths[1:]) / 2
        return knots, lengths, np.append(0.0, pieces.cumsum())

    def _first_coordinate(self, first: float) -> float:
        """Part of the region's area in which the first part is smaller."""
        knots, lengths, areas = self._pieces
        piece = _piece(knots, first)
        bottom, top = self._slice(first)
        beyond = (first - knots[piece]) * (lengths[piece] + top - bottom) / 2
        return float((areas[piece] + beyond) / areas[-1])

    def _first_part(self, coordinate: float) -> float:
        """The first part that has this part of the region's area below it."""
        knots, lengths, areas = self._pieces
        area = coordinate * areas[-1]
        piece = _piece(areas, area)
        start, slope = lengths[piece], np.diff(lengths)[piece] / np.diff(knots)[piece]
        beyond = area - areas[piece]
        if beyond <= 0:
            return float(knots[piece])
        # start · t + slope · t² / 2 = beyond, solved for t without cancellation
        root = np.sqrt(max(start**2 + 2 * slope * beyond, 0.0))
        return float(min(knots[piece] + 2 * beyond / (start + root), knots[piece + 1]))


def rounded(share: Shares, region: SimplexRegion) -> Triple:
    """The share in four decimals whose sum is exactly 1, by largest remainders.

    Parts below 0.01 become 0 where the region has 0 in their range; the largest part that has
    room takes them over. So the faces, on which grids lie, have a positive probability (9 %
    of the whole simplex). The region's ranges have four decimals, and what is rounded keeps
    within them.
    """
    exact = np.asarray(share) * UNITS
    units = np.floor(exact + 1e-6).astype(int)
    order = np.argsort(units - exact, kind="stable")
    units[order[: UNITS - units.sum()]] += 1
    high = np.rint(np.array(region.high) * UNITS).astype(int)
    for part in np.argsort(units, kind="stable"):
        if units[part] < _SNAPPED_BELOW and region.low[part] == 0:
            room = np.where(high - units >= units[part], units, -1)
            room[part] = -1
            taker = int(room.argmax())
            if room[taker] >= 0:
                units[taker] += units[part]
                units[part] = 0
    first, second, third = (int(unit) / UNITS for unit in units)
    return first, second, third


def _piece(ends: Shares, value: float) -> int:
    """Which of the pieces between these ends holds the value."""
    return min(int(np.searchsorted(ends, value, side="right")), len(ends) - 1) - 1


def _within_unit(value: float) -> float:
    """Takes off what rounding put beyond the unit interval."""
    return float(min(max(value, 0.0), 1.0))
