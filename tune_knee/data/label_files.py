"""Labels of one frame in LabelMe, mask and NIfTI files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray
from PIL import Image

from tune_knee.data.dicom_attributes import quiet_parser
from tune_knee.data.frames import SourceImage
from tune_knee.data.image_size import HEADER_ERRORS, image_size
from tune_knee.data.labelme import Annotation, Bitmap, Outline, Shape
from tune_knee.data.outline_checks import crosses_itself
from tune_knee.data.problems import Problems

BITS: Final = "bits"
CLASSES: Final = "classes"
STACK_SUFFIXES: Final = (".nii", ".nii.gz")
MASK_SUFFIXES: Final = (".png", *STACK_SUFFIXES)
_ROUNDING_PX: Final = 1e-3  # by which a shape may leave its frame
_GREY_MODES: Final = ("1", "L", "P", "I", "I;16")
_MASK_ERRORS: Final = (*HEADER_ERRORS, ImageFileError, HeaderDataError)
_STACKS_KEPT: Final = 8  # a sequence has one a region at most


@dataclass(frozen=True)
class LabelMeLabels:
    """Shapes of a LabelMe file; `place` names it for messages."""

    annotation: Annotation
    place: str

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of its shapes."""
        return self.annotation.labels

    @property
    def crossing(self) -> tuple[str, ...]:
        """Labels with an outline that crosses itself."""
        outlines = (shape for shape in self.annotation.shapes if isinstance(shape, Outline))
        crossing = (outline.label for outline in outlines if crosses_itself(outline.points))
        return tuple(dict.fromkeys(crossing))

    def read(self, image: SourceImage, problems: Problems) -> tuple[Shape, ...]:
        """Its shapes; what does not fit the image goes to `problems`."""
        height, width = image.height, image.width
        stated = self.annotation
        if stated.stated_height not in (None, height) or stated.stated_width not in (None, width):
            problems.add(
                self.place,
                f"imageHeight x imageWidth must be the image's {height} x {width}",
                got=f"{stated.stated_height} x {stated.stated_width}",
                mend="restore the image that was labelled, or, if the shapes fit this one, "
                "open and save it in LabelMe",
            )
        for shape in stated.shapes:
            low, high = shape.points.min(axis=0), shape.points.max(axis=0)
            excess = np.maximum(-low, high - (width, height))
            if (excess > _ROUNDING_PX).any():
                problems.add(
                    f"{self.place} ({shape.label})",
                    f"a shape must lie in the frame, x in [0, {width}], y in [0, {height}]",
                    got=f"x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g}",
                    mend="move its points into the frame in LabelMe",
                )
        return stated.shapes


@dataclass(frozen=True)
class MaskLabels:
    """A mask of one region or of several, as an image or as one frame of a stack.

    Attributes:
        path: the file; `place` names it for messages.
        kind: a region's name: where the mask is not 0. `BITS`: bit r is region r, so that
            overlaps survive. `CLASSES`: value k is the k-th region, from 1.
        regions: their names in order, for bits and classes.
        frame: number in the stack from 0, of `frames`.
    """

    path: Path
    place: str
    kind: str
    regions: tuple[str, ...]
    frame: int = 0
    frames: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """Its region, or all that it may hold."""
        return self.regions if self.kind in (BITS, CLASSES) else (self.kind,)

    @property
    def crossing(self) -> tuple[str, ...]:
        """None: a mask has no outline to cross itself."""
        return ()

    def read(self, image: SourceImage, problems: Problems) -> tuple[Shape, ...]:
        """Its regions; what does not fit the image goes to `problems`."""
        stacked = self.path.name.lower().endswith(STACK_SUFFIXES)
        height, width = image.height, image.width
        try:
            if stacked:
                changed_ns = self.path.stat().st_mtime_ns
                stack = _stack(self.path, (width, height, self.frames), changed_ns)
                plane: NDArray[np.integer] = stack[:, :, self.frame].T.astype(np.int64)
            else:
                content = self.path.read_bytes()
                size = image_size(content)
                if size is not None and size != (height, width):
                    must = f"a mask must have its image's height x width {height} x {width}"
                    mend = "mask the image as it is stored"
                    problems.add(self.place, must, got=f"{size[0]} x {size[1]}", mend=mend)
                    return ()
                plane = _mask(content)
        except (OSError, ValueError) as error:
            got = error if isinstance(error, ValueError) else "no access"
            must = "a mask must be a whole, indexed or grey PNG or a NIfTI of whole numbers"
            problems.add(self.place, must, got=got, mend="save it again")
            return ()
        return self._shapes(plane, problems)

    def _shapes(self, plane: NDArray[np.integer], problems: Problems) -> tuple[Shape, ...]:
        values = np.unique(plane[plane != 0])
        if self.kind not in (BITS, CLASSES):
            if len(values) > 1:
                must = f"a mask of {self.kind} must hold 0 and one other value"
                mend = f"save it without smoothing, or call it .{BITS} or .{CLASSES}"
                problems.add(self.place, must, got=f"{len(values)} others", mend=mend)
            return _bitmaps([(self.kind, plane != 0)])
        numbered = list(enumerate(self.regions))
        highest = 2 ** len(numbered) - 1 if self.kind == BITS else len(numbered)
        if len(values) and not 0 < values[0] <= values[-1] <= highest:
            must = f"values of {self.kind} must be 0 to {highest} for {len(numbered)} regions"
            got = f"{values[0]} to {values[-1]}"
            problems.add(self.place, must, got=got, mend="name the regions in --regions")
            return ()
        if self.kind == BITS:
            return _bitmaps([(region, (plane >> r & 1) > 0) for r, region in numbered])
        return _bitmaps([(region, plane == r + 1) for r, region in numbered])


def _bitmaps(masks: Sequence[tuple[str, NDArray[np.bool_]]]) -> tuple[Shape, ...]:
    return tuple(Bitmap(region, 0, 0, inside) for region, inside in masks if inside.any())


def _mask(content: bytes) -> NDArray[np.integer]:
    """A PNG's values or palette indices. (H, W)."""
    try:
        with quiet_parser(), Image.open(io.BytesIO(content)) as picture:
            if picture.mode not in _GREY_MODES:
                raise ValueError(f"colours ({picture.mode})")
            return np.asarray(picture, dtype=np.int64)
    except _MASK_ERRORS as error:
        if str(error).startswith("colours"):
            raise
        raise ValueError("an image that cannot be read") from None


@lru_cache(maxsize=_STACKS_KEPT)
def _stack(path: Path, wanted: tuple[int, int, int], changed_ns: int) -> NDArray[Any]:
    """A NIfTI's values by column, row and frame, as they are stored.

    Its axes must run as the picture's: with no geometry (the identity), or as ITK stores a
    picture without one (x to the left, y to the back). A flipped one is not guessed at.
    `changed_ns` tells a file from what it was before.
    """
    try:
        with quiet_parser():
            picture: Any = nib.load(path)
            extents = list(picture.shape) + [1] * (3 - len(picture.shape))
            kind = picture.get_data_dtype().kind
            axes = np.asarray(picture.affine, dtype=np.float64)[:2, :2]
    except _MASK_ERRORS:
        raise ValueError("a NIfTI that cannot be read") from None
    while len(extents) > 3 and extents[-1] == 1:
        extents.pop()
    if extents != list(wanted):  # known before the values are read, which a .gz may have many of
        raise ValueError(
            f"columns x rows x frames {' x '.join(map(str, extents))} instead of "
            f"{' x '.join(map(str, wanted))}"
        )
    across = np.abs(axes[[0, 1], [1, 0]]).max(initial=0)
    if not axes[0, 0] * axes[1, 1] > 0 or across > 1e-3 * np.abs(axes).max():
        raise ValueError(
            "axes that are flipped or turned against the picture; export the stack with ITK "
            "(3D Slicer, ITK-SNAP), or with the identity as its affine"
        )
    if kind not in "iubf":
        raise ValueError("colours or complex numbers")
    return _whole_numbers(picture, wanted)


def _whole_numbers(picture: Any, shape: tuple[int, int, int]) -> NDArray[np.int32]:
    try:
        with quiet_parser():
            values: NDArray[Any] = np.asarray(picture.dataobj).reshape(shape)
    except _MASK_ERRORS:
        raise ValueError("a NIfTI that cannot be read") from None
    if values.dtype.kind not in "iub":
        if not np.isfinite(values).all() or (values != np.rint(values)).any():
            raise ValueError("values that are no whole numbers")
        values = np.rint(values)
    largest = float(np.abs(values, dtype=np.float64).max(initial=0))
    if largest > np.iinfo(np.uint16).max:
        raise ValueError(f"a value of {largest:g}")
    return np.asarray(values, dtype=np.int32)
