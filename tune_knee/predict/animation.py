"""A recording with outlines as an animated GIF, which plays everywhere."""

import io
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tune_knee.data.outlines import COLOURS
from tune_knee.predict.overlay import draw_overlay

LARGEST_PX: Final = 512  # of the longer side; larger frames are brought to it
DEFAULT_FPS: Final = 6.0
_STEP_MS: Final = 10  # times in a GIF are in hundredths of a second
_SHORTEST_MS: Final = 20  # viewers show less as a tenth of a second
_GREYS: Final = 256 - len(COLOURS)


class Animation:
    """Gathers a recording's frames in turn."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        self._regions = regions
        self._planes: list[NDArray[np.uint8]] = []

    def add(self, grey: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        """The next frame, (H, W), and its bit mask."""
        scale = LARGEST_PX / max(grey.shape)
        if scale < 1:
            height, width = (max(1, round(scale * side)) for side in grey.shape)
            small = np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA))
            grey = small.astype(np.uint8, copy=False)
        self._planes.append(_indexed(draw_overlay(grey, mask, self._regions)))

    def gif(self, times_s: tuple[float, ...] | None) -> bytes:
        """All frames, over and over, at their own times or, where unknown, 6 a second."""
        height = max(plane.shape[0] for plane in self._planes)
        width = max(plane.shape[1] for plane in self._planes)
        pictures = []
        for plane in self._planes:
            whole = np.zeros((height, width), dtype=np.uint8)
            whole[: plane.shape[0], : plane.shape[1]] = plane
            picture = Image.fromarray(whole)
            picture.putpalette(_palette())
            pictures.append(picture)
        content = io.BytesIO()
        pictures[0].save(
            content,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=durations_ms(len(pictures), times_s),
            loop=0,
        )
        return content.getvalue()


def durations_ms(frames: int, times_s: tuple[float, ...] | None) -> list[int]:
    """How long each frame is shown: in steps of 10 ms whose errors do not add up, from 20 ms.

    The last one as long as the mean of the others.
    """
    if times_s is None or frames < 2:
        times_s = tuple(n / DEFAULT_FPS for n in range(frames))
    mean_s = (times_s[-1] - times_s[0]) / (frames - 1) if frames > 1 else 1 / DEFAULT_FPS
    ends = [round(100 * time) for time in (*times_s, times_s[-1] + mean_s)]
    return [max(_SHORTEST_MS, _STEP_MS * (after - before)) for before, after in pairwise(ends)]


def _indexed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Places in the palette of an RGB picture that is grey but for the regions' colours."""
    grey = picture.min(axis=2).astype(np.float32)
    indices: NDArray[np.uint8] = np.rint(grey * ((_GREYS - 1) / 255)).astype(np.uint8)
    for r, colour in enumerate(COLOURS):
        indices[(picture == colour).all(axis=2)] = _GREYS + r
    return indices


def _palette() -> list[int]:
    greys = np.rint(np.linspace(0, 255, _GREYS)).astype(int)
    return [*np.repeat(greys, 3).tolist(), *(part for colour in COLOURS for part in colour)]
