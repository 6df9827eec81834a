"""X-rays in a figure: a sheet measured in inches, cropped pictures on it, outlines over them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
import pandas as pd
from contourpy import LineType, contour_generator
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures.style import GRID, PAGE_WIDTH_IN, new_figure
from analysis.pictures import Pictures
from tune_knee import keys

# On pictures, whose greys are the same on a light and on a dark page.
TRUTH: Final = "#fdfdfd"
SHADE: Final = "#050505"
DASHES: Final = (0, (1.6, 1.2))
_MARGIN_SHARE: Final = 0.08

# Corners of closed lines as x and y, shape (2, K), NaN between two lines; a window's width is 1.
Outline: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of pictures: rows top to bottom, columns left to right, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def aspect(self) -> float:
        """Height over width."""
        return (self.bottom - self.top) / (self.right - self.left)

    def of(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """That part of a picture or mask (H, W)."""
        return picture[self.top : self.bottom, self.left : self.right]

    @classmethod
    def around(cls, masks: NDArray[np.uint8], margin_share: float = _MARGIN_SHARE) -> Self:
        """What holds every set pixel of some masks (n, H, W), with a margin; all if none is set.

        The margin is a share of the longer side, and ends where the picture does.
        """
        seen = np.logical_or.reduce(masks != 0, axis=0)
        height, width = seen.shape
        if not seen.any():
            return cls(top=0, bottom=height, left=0, right=width)
        rows, columns = np.nonzero(seen)
        margin = round(margin_share * (max(np.ptp(rows), np.ptp(columns)) + 1))
        return cls(
            top=max(0, int(rows.min()) - margin),
            bottom=min(height, int(rows.max()) + 1 + margin),
            left=max(0, int(columns.min()) - margin),
            right=min(width, int(columns.max()) + 1 + margin),
        )


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A place on a sheet for a window of a picture.

    Attributes:
        axes: of the sheet.
        window: what of the picture is shown.
        x: of the left border, in inches.
        y: of the upper border, in inches from the top.
        width: in inches; the height follows from the window.
    """

    axes: Axes
    window: Window
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        """In inches."""
        return self.width * self.window.aspect

    def show(self, image: NDArray[np.uint8]) -> None:
        """Draw an X-ray (H, W), enlarged smoothly."""
        self.axes.imshow(
            self.window.of(image),
            extent=(self.x, self.x + self.width, self.y + self.height, self.y),
            cmap="gray",
            vmin=0,
            vmax=255,
            interpolation="bicubic",
            aspect="auto",
        )

    def trace(self, outline: Outline, colour: str, width_pt: float) -> None:
        """Draw a region's outline."""
        self._line(outline, colour, width_pt, "solid")

    def trace_truth(self, outline: Outline, width_pt: float) -> None:
        """Draw a true region's outline, dashed and pale: before that of a prediction."""
        self._line(outline, TRUTH, width_pt, DASHES)

    def note(self, text: str, size: float = 5.5) -> None:
        """A number in the lower left corner of the picture."""
        box = {"facecolor": SHADE, "alpha": 0.6, "linewidth": 0, "pad": 0.8}
        self.axes.text(
            self.x + 0.03,
            self.y + self.height - 0.03,
            text,
            size=size,
            color=TRUTH,
            ha="left",
            va="bottom",
            bbox=box,
        )

    def leave_empty(self, reason: str, size: float = 6) -> None:
        """An empty frame that says why there is no picture."""
        right, bottom = self.x + self.width, self.y + self.height
        self.axes.plot(
            [self.x, right, right, self.x, self.x],
            [self.y, self.y, bottom, bottom, self.y],
            color=GRID,
            linewidth=0.6,
        )
        middle = self.x + self.width / 2, self.y + self.height / 2
        self.axes.text(*middle, reason, size=size, ha="center", va="center")

    def _line(self, outline: Outline, colour: str, width_pt: float, dashes: Any) -> None:
        x, y = outline * self.width
        self.axes.plot(self.x + x, self.y + y, color=colour, linewidth=width_pt, linestyle=dashes)


def new_sheet(height_in: float) -> tuple[Figure, Axes]:
    """A page whose coordinates are inches, x to the right and y down; call it within `style`."""
    figure = new_figure(height_in)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    axes.set_xlim(0, PAGE_WIDTH_IN)
    axes.set_ylim(height_in, 0)
    return figure, axes


def follow(masks: NDArray[np.uint8], margin_share: float) -> list[Window]:
    """A window for each of n masks (n, H, W), all of one size, with what is set in its middle.

    The size holds the largest of them with a margin; where a mask is empty, the window is in
    the middle of all of them together.
    """
    _, height, width = masks.shape
    boxes = [Window.around(mask[None], 0.0) for mask in masks if mask.any()]
    together = Window.around(masks, 0.0)
    boxes = boxes or [together]
    high, wide = (
        max(box.bottom - box.top for box in boxes),
        max(box.right - box.left for box in boxes),
    )
    margin = 2 * round(margin_share * max(high, wide))
    high, wide = min(height, high + margin), min(width, wide + margin)
    windows = []
    for mask in masks:
        box = Window.around(mask[None], 0.0) if mask.any() else together
        top = min(max(0, (box.top + box.bottom - high) // 2), height - high)
        left = min(max(0, (box.left + box.right - wide) // 2), width - wide)
        windows.append(Window(top=top, bottom=top + high, left=left, right=left + wide))
    return windows


def find_frames(pictures: Pictures, chosen: pd.DataFrame) -> NDArray[np.intp]:
    """Where the frames of a table (case, frame) are in the pictures' arrays.

    Raises:
        ValueError: if one is not there.
    """
    row = [keys.CASE, keys.FRAME]
    wanted = pd.MultiIndex.from_frame(chosen[row])
    found = pd.MultiIndex.from_frame(pictures.frames[row]).get_indexer(wanted)
    if (found < 0).any():
        case, frame = wanted[int(np.argmin(found))]
        raise ValueError(f"pictures must hold every frame, got none of case={case} frame={frame}")
    return found


def outlines(mask: NDArray[np.uint8], bits: Iterable[int], window: Window) -> list[Outline]:
    """Outline of each of some regions in a window of a bit mask (H, W), along pixel borders."""
    seen = window.of(mask)
    return [_outline((seen >> bit & 1).astype(np.float64)) for bit in bits]


def _outline(mask: NDArray[np.float64]) -> Outline:
    made = contour_generator(z=mask, line_type=LineType.ChunkCombinedNan).lines(0.5)
    lines: NDArray[np.float64] | None = made[0][0]
    if lines is None:
        return np.empty((2, 0))
    before, after = np.diff(lines[:-1], axis=0), np.diff(lines[1:], axis=0)
    straight = before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]
    corners = np.delete(lines, 1 + np.flatnonzero(straight), axis=0)
    return np.asarray((corners.T + 0.5) / mask.shape[1])
