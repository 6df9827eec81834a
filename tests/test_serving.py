import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_model import made_model
from numpy.typing import NDArray

from tune_knee.data.rasterisation import CentreCrop
from tune_knee.data.rendering import WINDOW_PERCENTILES
from tune_knee.data.resizing import resize
from tune_knee.segmenter.geometry import to_original, to_square
from tune_knee.segmenter.segmenter import Segmenter
from tune_knee.segmenter.serving import PictureModel

MODEL = made_model(prepared_size_px=48)
SEGMENTER = Segmenter([MODEL], device=torch.device("cpu"))
SERVED = PictureModel(SEGMENTER)


def picture(height: int, width: int, dtype: type = np.uint8, seed: int = 0) -> NDArray:
    rng = np.random.default_rng(seed)
    return rng.integers(np.iinfo(dtype).max, size=(height, width), dtype=dtype)


def file(image: NDArray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def served(*files: bytes) -> list[list[NDArray[np.uint8]]]:
    """Masks by picture and region."""
    masks = SERVED.predict(pd.DataFrame({"image": list(files)}))
    assert masks.columns.tolist() == ["disc", "bar"]
    return [[decoded(png) for png in row] for row in masks.itertuples(index=False)]


def decoded(png: bytes) -> NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


def expected(*grey: NDArray) -> list[list[NDArray[np.uint8]]]:
    squares = np.stack([to_square(each, MODEL.facts) for each in grey])
    rows = []
    for probabilities, each in zip(SEGMENTER.probabilities(squares), grey, strict=True):
        mask = SEGMENTER.mask_of(to_original(probabilities, *each.shape))
        rows.append([np.where(mask >> r & 1, 255, 0) for r in range(2)])
    return rows


def must_equal(found: list[list[NDArray]], wanted: list[list[NDArray]]) -> None:
    for found_row, wanted_row in zip(found, wanted, strict=True):
        for mine, theirs in zip(found_row, wanted_row, strict=True):
            assert mine.dtype == np.uint8
            np.testing.assert_array_equal(mine, theirs)


def test_pictures_of_several_sizes_in_one_call() -> None:
    sizes = [(48, 48), (40, 100), (131, 77), (32, 32), (17, 300)]
    pictures = [picture(*size, seed=n) for n, size in enumerate(sizes)]
    found = served(*map(file, pictures))
    must_equal(found, expected(*pictures))
    assert any(mask.any() for row in found for mask in row)


@settings(max_examples=20)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 9))
def test_masks_have_the_pictures_size_and_lie_in_its_square(
    height: int, width: int, seed: int
) -> None:
    ((disc, bar),) = served(file(picture(height, width, seed=seed)))
    assert disc.shape == bar.shape == (height, width)
    crop = CentreCrop(height, width, 48)
    outside = np.ones((height, width), dtype=bool)
    crop.crop(outside)[:] = False
    assert not disc[outside].any()
    assert not bar[outside].any()


def test_16_bit_go_through_the_window_of_a_sequence_of_one() -> None:
    wide = picture(60, 90, np.uint16)
    square = resize(CentreCrop(60, 90, 48).crop(wide).astype(np.float32), 48)
    low, high = np.percentile(square, WINDOW_PERCENTILES)
    prepared = np.rint(np.clip((square - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)
    (probabilities,) = SEGMENTER.probabilities(to_square(prepared, MODEL.facts)[None])
    mask = SEGMENTER.mask_of(to_original(probabilities, 60, 90))
    assert mask.any()
    must_equal(served(file(wide)), [[np.where(mask >> r & 1, 255, 0) for r in range(2)]])


def test_16_bit_of_one_value_have_no_window() -> None:
    flat = np.full((20, 20), 700, np.uint16)
    with pytest.raises(ValueError, match=r"image 2: 16-bit frames must have a range of grey"):
        served(file(picture(20, 20)), file(flat))


def test_colour_becomes_luma() -> None:
    grey = picture(40, 50)
    must_equal(served(file(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))), expected(grey))


def test_jpeg_and_tiff() -> None:
    grey = picture(40, 50)
    must_equal(served(file(grey, ".tiff")), expected(grey))
    lossy = cv2.imdecode(np.frombuffer(file(grey, ".jpg"), np.uint8), cv2.IMREAD_GRAYSCALE)
    must_equal(served(file(grey, ".jpg")), expected(lossy))


@pytest.mark.parametrize("content", [b"", b"GIF89a", bytes(200), file(picture(9, 9))[:60]])
def test_what_is_no_picture_is_named(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^image 2: the image must be a whole PNG, JPEG or TIFF"):
        served(file(picture(9, 9)), content)


def test_what_is_no_file_is_named() -> None:
    with pytest.raises(ValueError, match="image 1 must be the bytes of a file, got str"):
        SERVED.predict(pd.DataFrame({"image": ["picture.png"]}))


def test_no_picture_gives_no_mask() -> None:
    masks = SERVED.predict(pd.DataFrame({"image": []}))
    assert masks.columns.tolist() == ["disc", "bar"]
    assert masks.empty
