"""A case's frames at the dataset's size: square, 8 bit, one mask bit a region."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tune_knee.data.dataset import resize
from tune_knee.data.problems import Problems
from tune_knee.data.rasterisation import CentreCrop, rasterise
from tune_knee.data.sources import LabelledFrame, SourceImage, read_image

WINDOW_PERCENTILES: Final = (0.1, 99.9)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RenderedFrames:
    """N frames: `images` and `masks` uint8 (N, H, W), a content hash each."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    content_hashes: tuple[str, ...]


def render_case(
    frames: Sequence[LabelledFrame], regions: Sequence[str], size_px: int, problems: Problems
) -> RenderedFrames | None:
    """Read, crop, resize and rasterise the frames of a case.

    Each shape is drawn into its own region's bit, so that overlaps stay; several shapes
    of a label unite. 8-bit images keep their grey values. 16-bit ones go through one
    linear window for the whole case, see `windowed`.

    Returns:
        The case, or None where `problems` has any: then the images are only checked.
    """
    images = [(frame, read_image(frame, problems)) for frame in frames]
    case = frames[0].case
    read = [(frame, image) for frame, image in images if image is not None]
    depths = {image.pixels.dtype for _, image in read}
    if len(depths) > 1:
        mend = "export all of it in one depth"
        problems.add(case, "a case must be all 8 or all 16 bit", got="both", mend=mend)
    if problems.lines:
        return None
    planes = np.stack([_square(image, size_px) for _, image in read])
    if depths == {np.dtype(np.uint16)}:
        try:
            planes = windowed(planes)
        except ValueError as error:
            problems.lines.append(f"{case}: {error}; export it again")
            return None
    return RenderedFrames(
        images=np.rint(planes).astype(np.uint8),
        masks=np.stack([_mask(frame, image, regions, size_px) for frame, image in read]),
        content_hashes=tuple(image.content_hash for _, image in read),
    )


def windowed(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """A sequence (N, H, W) of any range through one linear window to [0, 255].

    One window keeps the changes of brightness within the sequence. It goes from the 0.1th
    to the 99.9th percentile, which neither a burnt-in marker nor a dead pixel stretches;
    grey values beyond are saturated.

    Raises:
        ValueError: if the two percentiles are equal.
    """
    low, high = np.percentile(planes, WINDOW_PERCENTILES)
    if not low < high:
        raise ValueError(f"a 16-bit case must have a range of grey values, got {low:g} alone")
    return np.asarray(np.clip((planes - low) * (255 / (high - low)), 0, 255), dtype=np.float32)


def _square(image: SourceImage, size_px: int) -> NDArray[np.float32]:
    crop = CentreCrop(image.height, image.width, size_px)
    return resize(crop.crop(image.pixels).astype(np.float32), size_px)


def _mask(
    frame: LabelledFrame, image: SourceImage, regions: Sequence[str], size_px: int
) -> NDArray[np.uint8]:
    crop = CentreCrop(image.height, image.width, size_px)
    mask = np.zeros((size_px, size_px), dtype=np.uint8)
    for shape in frame.annotation.shapes:
        pixels = rasterise(shape, crop)
        if not pixels.any():
            _log.warning("%s: %s leaves no pixel in the centre square", frame.source, shape.label)
        mask |= pixels.astype(np.uint8) << regions.index(shape.label)
    return mask
