"""A case's frames at the dataset's size: square, 8 bit, one mask bit a region."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tune_knee.data.frames import LabelledFrame, SourceImage
from tune_knee.data.labelme import Shape
from tune_knee.data.problems import Problems
from tune_knee.data.rasterisation import CentreCrop, rasterise
from tune_knee.data.resizing import resize

WINDOW_PERCENTILES: Final = (0.1, 99.9)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RenderedFrames:
    """N frames as they are stored.

    Attributes:
        images, masks: uint8 (N, H, W).
        content_hashes: of the source images.
        spacing_mm: of a stored pixel, NaN where unknown. (N,).
        bits_stored: of a source pixel. (N,).
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    content_hashes: tuple[str, ...]
    spacing_mm: tuple[float, ...]
    bits_stored: tuple[int, ...]


def render_case(
    frames: Sequence[LabelledFrame], regions: Sequence[str], size_px: int, problems: Problems
) -> RenderedFrames | None:
    """Read, crop, resize and rasterise the frames of a case.

    Each shape is drawn into its own region's bit, so that overlaps stay; several shapes
    of a label unite. 8-bit images keep their grey values, DICOM frames come through their
    sequence's window. 16-bit files go through one linear window a sequence, see `windowed`.

    Returns:
        The case, or None where `problems` has any: then the images are only checked.
    """
    images: list[SourceImage] = []
    planes, masks, spacings = [], [], []
    for frame in frames:
        image = frame.image.read(problems)
        shapes = [] if image is None else _shapes(frame, image, problems)
        if image is None or problems.lines:
            continue
        crop = CentreCrop(image.height, image.width, size_px)
        planes.append(resize(crop.crop(image.pixels).astype(np.float32), size_px))
        masks.append(_mask(frame, shapes, crop, regions))
        spacings.append(frame.facts.spacing_mm * crop.side / size_px)
        images.append(SourceImage(image.pixels[:0], image.content_hash, image.bits_stored))
    if problems.lines:
        return None
    grey = _through_windows(frames, images, np.stack(planes), problems)
    if problems.lines:
        return None
    return RenderedFrames(
        images=np.rint(grey).astype(np.uint8),
        masks=np.stack(masks),
        content_hashes=tuple(image.content_hash for image in images),
        spacing_mm=tuple(spacings),
        bits_stored=tuple(image.bits_stored for image in images),
    )


def _through_windows(
    frames: Sequence[LabelledFrame],
    images: Sequence[SourceImage],
    planes: NDArray[np.float32],
    problems: Problems,
) -> NDArray[np.float32]:
    """The planes in [0, 255]: those of 16 bit through one window a sequence."""
    names = np.array([frame.sequence for frame in frames])
    wide = np.array([image.pixels.dtype == np.uint16 for image in images])
    for name in dict.fromkeys(names[wide]):
        chosen = names == name
        if not wide[chosen].all():
            mend = "export all of it in one depth"
            problems.add(name, "a sequence must be all 8 or all 16 bit", got="both", mend=mend)
            continue
        try:
            planes[chosen] = windowed(planes[chosen])
        except ValueError as error:
            problems.lines.append(f"{name}: {error}; export it again")
    return planes


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
        raise ValueError(f"16-bit frames must have a range of grey values, got {low:g} alone")
    return np.asarray(np.clip((planes - low) * (255 / (high - low)), 0, 255), dtype=np.float32)


def _shapes(frame: LabelledFrame, image: SourceImage, problems: Problems) -> list[Shape]:
    return [shape for labels in frame.labels for shape in labels.read(image, problems)]


def _mask(
    frame: LabelledFrame, shapes: Sequence[Shape], crop: CentreCrop, regions: Sequence[str]
) -> NDArray[np.uint8]:
    mask = np.zeros((crop.size_px, crop.size_px), dtype=np.uint8)
    for shape in shapes:
        pixels = rasterise(shape, crop)
        if not pixels.any():
            _log.warning("%s: %s leaves no pixel in the centre square", frame.place, shape.label)
        mask |= pixels.astype(np.uint8) << regions.index(shape.label)
    return mask
