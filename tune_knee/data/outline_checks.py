"""What can be wrong with an outline that rasterising it would hide."""

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

_SMALLEST_PX: Final = 0.5  # less area in doubt is not seen


def crosses_itself(points: NDArray[np.float64]) -> bool:
    """Whether edges of a closed polygon (n, 2) cross, so that part of its inside is outside.

    Then the area inside by the even-odd rule differs from the area that the corners' order
    encloses. Outlines that only touch themselves, and slits to a hole, do not count.
    """
    ring = shapely.LinearRing(points)
    if ring.is_simple:
        return False
    x, y = points.T
    enclosed = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    inside = float(shapely.make_valid(shapely.Polygon(ring)).area)
    return abs(inside - enclosed) > _SMALLEST_PX
