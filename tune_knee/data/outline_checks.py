"""What can be wrong with an outline that rasterising it would hide."""

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

_NEIGHBOURS: Final = 3  # an edge meets itself and the two beside it
_MOST_MEETINGS: Final = 1000  # the time for the area inside grows as their square
_SMALLEST_PX: Final = 0.5  # less area in doubt is not seen


def crosses_itself(points: NDArray[np.float64]) -> bool:
    """Whether edges of a closed polygon (n, 2) cross, so that part of its inside is outside.

    Then the area inside by the even-odd rule differs from the area that the corners' order
    encloses. Outlines that only touch themselves, and slits to a hole, do not count, unless
    they do so in a thousand places.
    """
    ring = shapely.LinearRing(points)
    if ring.is_simple:
        return False
    edges = shapely.linestrings(np.stack([points, np.roll(points, -1, axis=0)], axis=1))
    pairs = shapely.STRtree(edges).query(edges, predicate="intersects").shape[1]
    if pairs > _NEIGHBOURS * len(edges) + 2 * _MOST_MEETINGS:
        return True
    x, y = points.T
    enclosed = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    inside = float(shapely.make_valid(shapely.Polygon(ring)).area)
    return abs(inside - enclosed) > _SMALLEST_PX
