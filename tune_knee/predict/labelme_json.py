"""Masks as LabelMe files, so that a hand corrects instead of draws."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tune_knee.predict.png import png
from tune_knee.predict.polygons import polygons_of

_VERSION: Final = "5.5.0"  # whose files hold polygons and masks


def labelme_json(mask: NDArray[np.uint8], regions: tuple[str, ...], image: str) -> bytes:
    """A LabelMe file of a bit mask (H, W) over the picture called `image` beside it.

    Polygons, or LabelMe's own masks where `polygons_of` finds none that will do.
    """
    shapes = [
        shape
        for r, region in enumerate(regions)
        if (inside := (mask >> r & 1).astype(bool)).any()
        for shape in _shapes(region, inside)
    ]
    content = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": mask.shape[0],
        "imageWidth": mask.shape[1],
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def _shapes(region: str, inside: NDArray[np.bool_]) -> Iterator[Mapping[str, object]]:
    polygons = polygons_of(inside)
    if polygons is None:
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        box = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        corners = [[float(columns[0]), float(rows[0])], [float(columns[-1]), float(rows[-1])]]
        data = base64.b64encode(png(255 * box.astype(np.uint8))).decode()
        yield _shape(region, "mask", corners, data)
        return
    for points in polygons:
        yield _shape(region, "polygon", points.tolist(), None)


def _shape(
    region: str, kind: str, points: list[list[float]], data: str | None
) -> Mapping[str, object]:
    return {
        "label": region,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": data,
    }
