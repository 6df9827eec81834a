"""A case's frames at the dataset's size: square, 8 bit, one mask bit a region."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

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
class GreyWindow:
    """Grey values of 16-bit files from `low` to `high` fill the display's range."""

    low: float
    high: float

    def apply(self, planes: NDArray[Any]) -> NDArray[np.float32]:
        """Planes of any shape and range in [0, 255]; what lies beyond is saturated."""
        scaled = (planes.astype(np.float64) - self.low) * (255 / (self.high - self.low))
        return np.asarray(np.clip(scaled, 0, 255), dtype=np.float32)


@dataclass(frozen=True)
class RenderedFrames:
    """N frames as they are stored.

    Attributes:
        images, masks: uint8 (N, H, W).
        content_hashes: of the source images.
        spacing_mm: of a stored pixel, NaN where unknown. (N,).
        bits_stored: of a source pixel. (N,).
        source_shapes: H and W of the source images.
        windows: of each sequence of 16-bit files, by its name.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    content_hashes: tuple[str, ...]
    spacing_mm: tuple[float, ...]
    bits_stored: tuple[int, ...]
    source_shapes: tuple[tuple[int, int], ...] = ()
    windows: Mapping[str, GreyWindow] = field(default_factory=dict)


def render_case(
    frames: Sequence[LabelledFrame], regions: Sequence[str], size_px: int, problems: Problems
) -> RenderedFrames | None:
    """Read, crop, resize and rasterise the frames of a case.

    Each shape is drawn into its own region's bit, so that overlaps stay; several shapes
    of a label unite. 8-bit images keep their grey values, DICOM frames come through their
    sequence's window. 16-bit files go through one linear window a sequence, see `window_of`.

    Returns:
        The case, or None where `problems` has any: then the images are only checked.
    """
    images: list[SourceImage] = []
    planes, masks, spacings, shapes_px = [], [], [], []
    for frame in frames:
        image = frame.image.read(problems)
        shapes = [] if image is None else _shapes(frame, image, problems)
        if image is None or problems.lines:
            continue
        crop = CentreCrop(image.height, image.width, size_px)
        plane = resize(crop.crop(image.pixels).astype(np.float32), size_px)
        planes.append(plane if _is_wide(image) else np.rint(plane).astype(np.uint8))
        masks.append(_mask(frame, shapes, crop, regions))
        spacings.append(frame.facts.spacing_mm * crop.side / size_px)
        shapes_px.append((image.height, image.width))
        images.append(SourceImage(image.pixels[:0], image.content_hash, image.bits_stored))
    if problems.lines:
        return None
    windows = _through_windows(frames, images, planes, problems)
    if problems.lines:
        return None
    return RenderedFrames(
        images=np.stack(planes),
        masks=np.stack(masks),
        content_hashes=tuple(image.content_hash for image in images),
        spacing_mm=tuple(spacings),
        bits_stored=tuple(image.bits_stored for image in images),
        source_shapes=tuple(shapes_px),
        windows=windows,
    )


def _is_wide(image: SourceImage) -> bool:
    return bool(image.pixels.dtype == np.uint16)


def _through_windows(
    frames: Sequence[LabelledFrame],
    images: Sequence[SourceImage],
    planes: list[NDArray[Any]],
    problems: Problems,
) -> dict[str, GreyWindow]:
    """Put those of 16 bit through one window a sequence, in place, to 8 bit."""
    sequences: dict[str, list[int]] = defaultdict(list)
    for n, frame in enumerate(frames):
        sequences[frame.sequence].append(n)
    windows = {}
    for name, members in sequences.items():
        wide = [n for n in members if _is_wide(images[n])]
        if not wide:
            continue
        if len(wide) < len(members):
            must, mend = "a sequence must be all 8 or all 16 bit", "export all of it in one depth"
            narrow = next(n for n in members if n not in wide)
            problems.add(frames[narrow].place, must, got="both", mend=mend)
            continue
        try:
            windows[name] = window_of(np.stack([planes[n] for n in wide]))
        except ValueError as error:
            problems.lines.append(f"{name}: {error}; export it again")
            continue
        for n in wide:
            planes[n] = np.rint(windows[name].apply(planes[n])).astype(np.uint8)
    return windows


def window_of(planes: NDArray[np.float32]) -> GreyWindow:
    """The one linear window of a sequence (N, H, W) of any range.

    One window keeps the changes of brightness within the sequence. It goes from the 0.1th
    to the 99.9th percentile, which neither a burnt-in marker nor a dead pixel stretches.

    Raises:
        ValueError: if the two percentiles are equal.
    """
    low, high = np.percentile(planes, WINDOW_PERCENTILES)
    if not low < high:
        raise ValueError(f"16-bit frames must have a range of grey values, got {low:g} alone")
    return GreyWindow(float(low), float(high))


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
