"""Which values of a sequence do not fit the others."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993: modified z-scores beyond 3.5.
LIMIT: Final = 3.5
_MAD_TO_SD: Final = 1.4826  # of a normal distribution
_EACH_SIDE: Final = 3  # neighbours; all six would reach too far at a sequence's ends
_FEWEST: Final = 9  # known values, so that a parabola does not follow all of them


def find_outliers(values: NDArray[np.floating], finest: float) -> NDArray[np.bool_]:
    """Values (N,) farther from the median than 3.5 times 1.4826 median absolute deviations.

    `finest`, positive, takes the deviation's place where it is more. NaN is never an outlier.
    """
    off = np.abs(values - np.nanmedian(values))
    return np.asarray(off > LIMIT * max(_MAD_TO_SD * float(np.nanmedian(off)), finest))


def find_jumps(values: NDArray[np.floating], finest: float) -> NDArray[np.bool_]:
    """Values (N,) that lie off a parabola through their neighbours. NaN never jumps.

    A value's residual is that from the least-squares parabola through up to three neighbours
    on each side, over its prediction's standard error for unit noise. It is compared with the
    spread of the others' residuals as they are without it: 1.4826 times their median, or
    `finest` where that is more, as motion is no noise, and a parabola not all of a swing. Of the
    values that are beyond 3.5 the one is taken away without which the others fit best, as a bad
    one makes its neighbours look bad; then the rest is looked at again. Fewer than nine known
    values tell nothing.

    Args:
        values: evenly spaced in time.
        finest: positive; a standard deviation below which differences mean nothing.
    """
    jumps = np.zeros(len(values), dtype=bool)
    while True:
        known = np.flatnonzero(~jumps & np.isfinite(values))
        if len(known) < _FEWEST:
            return jumps
        nearest = [_nearest(known, n) for n in known]
        off = np.array([_off(values, n, near) for n, near in zip(known, nearest, strict=True)])
        without = [_off_without(values, known, nearest, off, at) for at in range(len(known))]
        spreads = _MAD_TO_SD * np.median(without, axis=1)
        beyond = off > LIMIT * np.maximum(spreads, finest)
        if not beyond.any():
            return jumps
        jumps[known[np.argmin(np.where(beyond, np.sum(without, axis=1), np.inf))]] = True


def _off_without(
    values: NDArray[np.floating],
    known: NDArray[np.intp],
    nearest: list[NDArray[np.intp]],
    off: NDArray[np.float64],
    at: int,
) -> NDArray[np.float64]:
    """Residuals of the other known values, were the one at this place not known."""
    rest = np.delete(known, at)
    others = off.copy()
    for place, near in enumerate(nearest):
        if known[at] in near:
            others[place] = _off(values, known[place], _nearest(rest, known[place]))
    return np.delete(others, at)


def _nearest(known: NDArray[np.intp], at: np.intp) -> NDArray[np.intp]:
    return np.concatenate([known[known < at][-_EACH_SIDE:], known[known > at][:_EACH_SIDE]])


def _off(values: NDArray[np.floating], at: np.intp, near: NDArray[np.intp]) -> float:
    """Absolute residual over the standard error of its prediction for unit noise."""
    design = np.vander(near - at, 3).astype(np.float64)
    weights = np.linalg.pinv(design)[-1]  # of the neighbours in the value at 0
    return float(abs(values[at] - weights @ values[near]) / np.sqrt(1 + weights @ weights))
