"""Pictures of a dataset to look at: frames with the outlines of their regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tune_knee.data.augmentation import augment_batch
from tune_knee.data.dataset import SPLITS, KneeDataset
from tune_knee.data.outlines import COLOURS, outlined
from tune_knee.data.resizing import resize
from tune_knee.training_config import AugmentationConfig

TILE_PX: Final = 256
MAX_TILES: Final = 64
COLUMNS: Final = 8
_LINE_PX: Final = 20
_FONT_PX: Final = 13


@dataclass(frozen=True)
class Tile:
    """One frame of a sheet: `image` and bit `mask` uint8 (H, W), a line of text."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    caption: str


def contact_sheet(dataset: KneeDataset) -> Image.Image:
    """At most `MAX_TILES` frames, evenly spaced over training, validation and test."""
    order = np.concatenate([dataset.indices(split) for split in SPLITS])
    chosen = order[np.unique(np.linspace(0, len(order) - 1, MAX_TILES).round().astype(int))]
    return draw_sheet([_tile(dataset, n) for n in chosen], dataset.regions)


def augmented_sheet(dataset: KneeDataset, config: AugmentationConfig, seed: int = 0) -> Image.Image:
    """Training frames, each beside what one draw of the augmentation makes of it."""
    training = dataset.indices("train")
    spaced = np.linspace(0, len(training) - 1, MAX_TILES // 2).round().astype(int)
    chosen = training[np.unique(spaced)]
    batch = augment_batch(
        torch.from_numpy(np.array(dataset.images[chosen])),
        torch.from_numpy(np.array(dataset.masks[chosen])),
        len(dataset.regions),
        config,
        torch.Generator().manual_seed(seed),
    )
    tiles = []
    for n, image, channels in zip(chosen, batch.images, batch.targets, strict=True):
        mask = np.zeros_like(dataset.masks[n])
        for r, channel in enumerate(channels.numpy()):
            mask |= (channel > 0).astype(np.uint8) << r
        tiles += [_tile(dataset, n), Tile(_stretched(image[0].numpy()), mask, "augmented")]
    return draw_sheet(tiles, dataset.regions)


def draw_sheet(tiles: Sequence[Tile], regions: Sequence[str]) -> Image.Image:
    """Tiles in rows of `COLUMNS`, each region outlined in its colour, under a legend."""
    columns = min(len(tiles), COLUMNS)
    legend_px = _rows(len(regions), columns) * _LINE_PX
    row_px = TILE_PX + _LINE_PX
    size = columns * TILE_PX, legend_px + _rows(len(tiles), columns) * row_px
    sheet = Image.new("RGB", size)
    draw = ImageDraw.Draw(sheet)
    for r, region in enumerate(regions):
        left, top = r % columns * TILE_PX, r // columns * _LINE_PX
        draw.line([(left + 4, top + 10), (left + 24, top + 10)], fill=COLOURS[r], width=3)
        _write(draw, left + 30, top, region)
    for n, tile in enumerate(tiles):
        left, top = n % columns * TILE_PX, legend_px + n // columns * row_px
        picture = outlined(resize(tile.image, TILE_PX), tile.mask, len(regions))
        sheet.paste(Image.fromarray(picture), (left, top))
        _write(draw, left + 4, top + TILE_PX, tile.caption)
    return sheet


def _rows(cells: int, columns: int) -> int:
    return -(-cells // columns)


def _write(draw: ImageDraw.ImageDraw, left: int, top: int, text: str) -> None:
    """A line that leaves out its beginning where it would reach into the next tile."""
    font = ImageFont.load_default(_FONT_PX)
    room = TILE_PX - left % TILE_PX - 4
    shown = text
    for start in range(1, len(text)):
        if draw.textlength(shown, font) <= room:
            break
        shown = "…" + text[start:]
    draw.text((left, top + 2), shown, fill="white", font=font)


def _tile(dataset: KneeDataset, n: int) -> Tile:
    frame = dataset.frames.iloc[n]
    caption = f"{frame['case']} {frame['frame']} ({frame['split']})"
    return Tile(dataset.images[n], dataset.masks[n], caption)


def _stretched(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = float(image.min()), float(image.max())
    grey = (image - low) * (255 / max(high - low, 1e-6))
    return np.asarray(np.rint(grey), dtype=np.uint8)
