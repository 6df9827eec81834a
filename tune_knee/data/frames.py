"""A labelled frame of any source: an image to be read, labels to be read, and facts."""

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from tune_knee.data.dataset import SpacingSource
from tune_knee.data.labelme import Shape
from tune_knee.data.problems import Problems


@dataclass(frozen=True)
class SourceImage:
    """A grey image, and a hash by which the same one is known again.

    `pixels` (H, W): uint8 as it is to be seen; float32 likewise, in [0, 255]; or uint16,
    which a window must bring there.
    """

    pixels: NDArray[Any]
    content_hash: str
    bits_stored: int

    @property
    def height(self) -> int:
        """H."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """W."""
        return int(self.pixels.shape[1])


class FrameImage(Protocol):
    """Where a frame's image comes from."""

    def read(self, problems: Problems) -> SourceImage | None:
        """The image, or None where it cannot be read; `problems` then says why."""


class FrameLabels(Protocol):
    """Where a frame's labels come from."""

    @property
    def names(self) -> tuple[str, ...]:
        """Labels that it has, or may have."""

    def read(self, image: SourceImage, problems: Problems) -> tuple[Shape, ...]:
        """Its shapes; what does not fit the image goes to `problems`."""

    @property
    def crossing(self) -> tuple[str, ...]:
        """Labels with an outline that crosses itself, where outlines are known."""


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """What a source tells of a frame: `spacing_mm` of a source pixel, NaN where unknown."""

    side: str = ""
    spacing_mm: float = math.nan
    spacing_source: SpacingSource = ""
    time_s: float = math.nan


@dataclass(frozen=True, kw_only=True)
class LabelledFrame:
    """An image with its labels.

    Attributes:
        case: as it is written: a folder, what the pattern found, or a patient's pseudonym.
        frame: name within the case, as it is written.
        sequence: frames of one recording have one; they share one window.
        source: where it came from, as it is written.
        place: where it came from, for messages to the person at the keyboard alone.
        image: its image.
        labels: its labels; several add up.
        facts: what else the source says.
    """

    case: str
    frame: str
    sequence: str
    source: str
    place: str
    image: FrameImage
    labels: tuple[FrameLabels, ...]
    facts: FrameFacts = field(default_factory=FrameFacts)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of all of its labels."""
        return tuple(name for labels in self.labels for name in labels.names)
