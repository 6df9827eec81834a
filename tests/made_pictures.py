"""Pictures and predictions for a made study: bars of several lengths, one below the other."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.pictures import Pictures

SIZE_PX = 48


def made_pictures(
    frames: pd.DataFrame, regions: tuple[str, ...], sides: tuple[str, ...] = ("left", "right")
) -> Pictures:
    """A picture of every frame of a table; cases take the sides in turn."""
    listed = frames[["case", "frame"]].drop_duplicates(ignore_index=True)
    cases = list(listed["case"].unique())
    listed["side"] = [sides[cases.index(case) % len(sides)] for case in listed["case"]]
    masks = np.zeros((len(listed), SIZE_PX, SIZE_PX), dtype=np.uint8)
    for place, mask in enumerate(masks):
        for bit in range(len(regions)):
            top = 6 + 8 * bit
            mask[top : top + 6, 8 : 28 + place % 9] |= 1 << bit
    images = 40 + 20 * masks.astype(bool).astype(np.uint8)
    images += np.arange(len(images), dtype=np.uint8)[:, None, None]  # no two alike
    return Pictures(images=images, masks=masks, frames=listed, regions=regions)


def made_prediction(pictures: Pictures, places: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The truth of some frames, moved by two pixels."""
    return np.roll(pictures.masks[places], 2, axis=2)
