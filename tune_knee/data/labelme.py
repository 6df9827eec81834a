"""LabelMe files: one JSON an image, shapes in the image's pixel coordinates.

Coordinates are continuous, x to the right and y down: the upper left pixel covers
[0, 1) x [0, 1), and a frame spans [0, W] x [0, H].
"""

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from tune_knee.data.image_size import LARGEST_PX, image_size
from tune_knee.data.problems import Problems

CIRCLE_VERTICES: Final = 256  # the inscribed polygon misses 0.01 % of the disc's area
MOST_CROSSINGS: Final = 500  # no bone's outline; what follows takes memory as their number
SHAPE_TYPES: Final = ("polygon", "oriented_rectangle", "rectangle", "circle", "mask")

_REDRAW: Final = "draw it again or delete it in LabelMe"


@dataclass(frozen=True)
class Outline:
    """A closed polygon of one region. `points` float64 (n, 2): x, y."""

    label: str
    points: NDArray[np.float64]


@dataclass(frozen=True)
class Bitmap:
    """Whole pixels of one region; `pixels` bool (h, w) lies at column `left`, row `top`."""

    label: str
    left: int
    top: int
    pixels: NDArray[np.bool_]

    @property
    def points(self) -> NDArray[np.float64]:
        """Upper left and lower right corner. Shape (2, 2)."""
        height, width = self.pixels.shape
        corner = (self.left, self.top)
        return np.array([corner, (corner[0] + width, corner[1] + height)], dtype=np.float64)


Shape = Outline | Bitmap


@dataclass(frozen=True)
class Annotation:
    """What a LabelMe file says of an image.

    Attributes:
        image: path of the image relative to the file, with forward slashes.
        embedded: whether the file holds the image's data too.
        stated_height, stated_width: of the image in pixels, where the file says so.
        labels: of all shapes.
        shapes: the valid ones.
    """

    image: str
    embedded: bool
    stated_height: int | None
    stated_width: int | None
    labels: tuple[str, ...]
    shapes: tuple[Shape, ...]


# Beyond every frame; squares and sums of such numbers stay finite.
_Coordinate = Annotated[float, Field(allow_inf_nan=False, ge=-LARGEST_PX, le=LARGEST_PX)]


class _Shape(BaseModel):
    label: str
    points: list[tuple[_Coordinate, _Coordinate]]
    shape_type: str | None = None  # polygon, in the first versions of LabelMe
    mask: str | None = None


class _File(BaseModel):
    image_path: Annotated[str, Field(alias="imagePath", min_length=1)]
    image_data: Annotated[str | None, Field(alias="imageData")] = None
    height: Annotated[int | None, Field(alias="imageHeight")] = None
    width: Annotated[int | None, Field(alias="imageWidth")] = None
    shapes: list[_Shape]


def read_annotation(path: Path, where: str, problems: Problems) -> Annotation | None:
    """Read a LabelMe file; what is wrong with it goes to `problems` under the name `where`.

    Returns:
        The annotation with its valid shapes, or None where the file is not LabelMe's.
    """
    try:
        content = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        problems.add(where, "must be readable", got=error, mend="restore the file")
        return None
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            place = ".".join(str(part) for part in fault["loc"]) or "JSON"
            problems.add(
                where,
                "must be a LabelMe file",
                got=f"{place}: {fault['msg']}",
                mend="save it again from LabelMe or remove it",
            )
        return None
    shapes = [
        _read_shape(shape, f"{where} shape {n} ({shape.label})", problems)
        for n, shape in enumerate(content.shapes, start=1)
    ]
    return Annotation(
        image=content.image_path.replace("\\", "/"),
        embedded=content.image_data is not None,
        stated_height=content.height,
        stated_width=content.width,
        labels=tuple(shape.label for shape in content.shapes),
        shapes=tuple(shape for shape in shapes if shape is not None),
    )


def embedded_image(path: Path) -> bytes:
    """The image that a LabelMe file holds in its imageData.

    Raises:
        ValueError: if the data is not base64.
    """
    content = _File.model_validate_json(path.read_bytes())
    return base64.b64decode(content.image_data or "", validate=True)


def _read_shape(shape: _Shape, where: str, problems: Problems) -> Shape | None:
    kind = shape.shape_type or "polygon"
    points = np.array(shape.points, dtype=np.float64).reshape(-1, 2)
    if kind not in SHAPE_TYPES:
        problems.add(
            where, f"shape_type must be one of {', '.join(SHAPE_TYPES)}", got=kind, mend=_REDRAW
        )
        return None
    wanted = {"polygon": None, "oriented_rectangle": 4}.get(kind, 2)
    if wanted is not None and len(points) != wanted:
        problems.add(where, f"a {kind} must have {wanted} points", got=len(points), mend=_REDRAW)
        return None
    if kind == "mask":
        return _read_bitmap(shape.label, shape.mask, points, where, problems)
    if kind == "rectangle":
        (x0, y0), (x1, y1) = points
        points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    elif kind == "circle":
        angles = np.linspace(0, 2 * math.pi, CIRCLE_VERTICES, endpoint=False)
        radius = float(np.hypot(*(points[1] - points[0])))
        points = points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if len(points) < 3 or np.linalg.matrix_rank(points - points[0]) < 2:  # all on one line
        problems.add(where, f"a {kind} must enclose an area", got="none", mend=_REDRAW)
        return None
    rows = np.abs(np.diff(points[:, 1], append=points[:1, 1])).sum() / np.ptp(points[:, 1])
    if rows > MOST_CROSSINGS:
        must = f"a {kind} must cross a line {MOST_CROSSINGS} times at most"
        problems.add(where, must, got=f"{rows:.0f} in the mean", mend=_REDRAW)
        return None
    return Outline(shape.label, points)


def _read_bitmap(
    label: str, data: str | None, points: NDArray[np.float64], where: str, problems: Problems
) -> Bitmap | None:
    left, top = np.floor(points.min(axis=0)).astype(int)
    right, bottom = np.floor(points.max(axis=0)).astype(int) + 1  # the last pixel is inside
    try:
        encoded = base64.b64decode(data or "", validate=True)
    except ValueError:
        encoded = b""
    size = image_size(encoded)
    if size is not None and size != (bottom - top, right - left):
        problems.add(
            where,
            f"a mask must fill its bounding box of height x width {bottom - top} x {right - left}",
            got=f"{size[0]} x {size[1]}",
            mend=_REDRAW,
        )
        return None
    pixels = None
    if size is not None and math.prod(size) <= LARGEST_PX:
        pixels = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None or pixels.shape != size:
        problems.add(where, "a mask must hold a base64 PNG", got="none readable", mend=_REDRAW)
        return None
    if not pixels.any():
        problems.add(where, "a mask must enclose an area", got="none", mend=_REDRAW)
        return None
    return Bitmap(label, int(left), int(top), pixels > 0)
