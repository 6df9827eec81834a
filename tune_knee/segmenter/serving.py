"""A model's file as MLflow loads it: pictures in, each region's mask out, at the pictures' size.

MLflow's pyfunc flavour calls `_load_pyfunc` by its name, in ``mlflow.pyfunc.load_model`` and in
``mlflow models serve``. The file is data: nothing in it is run.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tune_knee.data.image_files import decoded
from tune_knee.data.problems import Problems
from tune_knee.data.rasterisation import CentreCrop
from tune_knee.data.rendering import window_of
from tune_knee.data.resizing import resize
from tune_knee.segmenter.geometry import to_original, to_square
from tune_knee.segmenter.saved_model import ModelFacts, SavedModel
from tune_knee.segmenter.segmenter import Segmenter

IMAGE: Final = "image"  # the input's only column


class PictureModel:
    """What MLflow calls: a table of image files in, a table of mask files out."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    def predict(self, pictures: pd.DataFrame, params: None = None) -> pd.DataFrame:
        """Masks of pictures of any size, each its own.

        Args:
            pictures: a row a picture; column ``image``, the bytes of a PNG, JPEG or TIFF of 8
                or 16 bit. Colour becomes luma; 16 bit go through a window of the picture's
                own, from the 0.1th to the 99.9th percentile of what the network sees of it.
            params: none; MLflow passes them.

        Returns:
            A row a picture; a column a region, the bytes of a grey PNG of the picture's size:
            255 where the region is, 0 elsewhere. Outside of the largest square about the
            centre, which alone the network sees, it is nowhere.

        Raises:
            ValueError: if an image cannot be read.
        """
        facts = self._segmenter.facts
        planes = [_read(content, n) for n, content in enumerate(pictures[IMAGE], start=1)]
        if not planes:
            return pd.DataFrame(columns=list(facts.regions), dtype=object)
        squares = [_square(plane, n, facts) for n, plane in enumerate(planes, start=1)]
        rows = self._masks(squares, [plane.shape for plane in planes])
        return pd.DataFrame(list(rows), columns=list(facts.regions))

    def _masks(
        self, squares: Sequence[NDArray[np.uint8]], shapes: Sequence[tuple[int, ...]]
    ) -> Iterator[list[bytes]]:
        found = self._segmenter.probabilities(np.stack(squares))
        for probabilities, (height, width) in zip(found, shapes, strict=True):
            mask = self._segmenter.mask_of(to_original(probabilities, height, width))
            yield [_png((mask >> r & 1).astype(np.bool_)) for r in range(len(probabilities))]


def _load_pyfunc(path: str) -> PictureModel:
    """The model of a file, ready to predict; MLflow wants this name."""
    return PictureModel(Segmenter([SavedModel.read(Path(path))]))


def _read(content: object, number: int) -> NDArray[Any]:
    if not isinstance(content, bytes):
        raise ValueError(
            f"image {number} must be the bytes of a file, got {type(content).__name__}"
        )
    problems = Problems()
    image = decoded(content, f"image {number}", problems)
    if image is None:
        raise ValueError("; ".join(problems.lines))
    return image.pixels


def _square(pixels: NDArray[Any], number: int, facts: ModelFacts) -> NDArray[np.uint8]:
    """As `tune_knee.data prepare` makes a frame of a picture that is a sequence of its own."""
    if pixels.dtype == np.uint8:
        return to_square(pixels, facts)
    height, width = pixels.shape
    crop = CentreCrop(height, width, facts.prepared_size_px)
    plane = resize(crop.crop(pixels).astype(np.float32), facts.prepared_size_px)
    try:
        return to_square(window_of(plane[None]).apply(plane), facts)
    except ValueError as error:
        raise ValueError(f"image {number}: {error}") from error


def _png(mask: NDArray[np.bool_]) -> bytes:
    encoded, content = cv2.imencode(".png", np.where(mask, np.uint8(255), np.uint8(0)))
    assert encoded, "a grey picture of 8 bits has a PNG"
    return content.tobytes()
