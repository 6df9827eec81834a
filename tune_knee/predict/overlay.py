"""A frame with the outlines of its regions, and a legend below it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tune_knee.data.outlines import COLOURS, outlined

_PX_PER_LINE_WIDTH: Final = 300  # of the longer side
_SMALLEST_FONT_PX: Final = 12
_FONT_SHARE: Final = 0.028  # of the width
_LINE_SHARE: Final = 1.5  # height of a legend's line in fonts, and length of its dash


def draw_overlay(
    grey: NDArray[np.uint8], mask: NDArray[np.uint8], regions: tuple[str, ...]
) -> NDArray[np.uint8]:
    """An RGB picture: the frame at the upper left, at its own scale, and a legend below.

    Args:
        grey: (H, W).
        mask: bit mask, of this size or larger.
        regions: names in bit order.

    Returns:
        uint8 (H + h, W or more, 3).
    """
    thickness = max(1, round(max(grey.shape) / _PX_PER_LINE_WIDTH))
    canvas = outlined(grey, mask, len(regions), thickness)
    legend = _legend(grey.shape[1], regions, thickness)
    wide = np.pad(canvas, ((0, 0), (0, legend.shape[1] - canvas.shape[1]), (0, 0)))
    return np.concatenate([wide, legend])


def _legend(width: int, regions: tuple[str, ...], thickness: int) -> NDArray[np.uint8]:
    size = max(_SMALLEST_FONT_PX, round(_FONT_SHARE * width))
    font, line = ImageFont.load_default(size), round(_LINE_SHARE * size)
    widths = [2 * line + round(font.getlength(region)) for region in regions]
    places, left, top = [], 0, 0
    for each in widths:
        if left and left + each > width:
            left, top = 0, top + line
        places.append((left, top))
        left += each
    legend = Image.new("RGB", (max(width, *widths), top + line))
    draw = ImageDraw.Draw(legend)
    for r, (left, top) in enumerate(places):
        dash = (left + line // 4, top + line // 2, left + line, top + line // 2)
        draw.line(dash, fill=COLOURS[r], width=max(3, thickness))
        draw.text((left + line * 5 // 4, top + line // 8), regions[r], fill="white", font=font)
    return np.asarray(legend)
