"""What `predict` writes, `data prepare` reads: masks, LabelMe files, DICOM segmentations."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_model import made_model
from made_xrays import write_images, write_multi_frame, write_single_frames
from numpy.typing import NDArray

from tune_knee.data.preparation import Preparation, prepare
from tune_knee.predict.prediction import Prediction, predict
from tune_knee.segmenter.segmenter import Segmenter

SIDE = 96
FORMATS = ("masks", "labelme", "dicom-seg")


class Blobs(Segmenter):
    """Predicts two smooth regions that overlap, one with a hole, and in some frames one alone."""

    def __init__(self) -> None:
        super().__init__([made_model(batch_size=2)])
        self._frame = 0

    def probabilities(self, squares: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
        y, x = np.mgrid[:32, :32]
        for _ in squares:
            n = self._frame
            self._frame += 1
            middle = np.hypot(y - 14, x - 15 - n % 3)
            ring = 1 / (1 + np.exp(np.abs(middle - 8) - 3.3))
            bar = 1 / (1 + np.exp(np.abs(y - 15.2 - 0.3 * (x - 15)) - 3))
            yield np.stack([ring, bar * (n % 4 != 3)])


def prepared(src: Path, salt: Path, size_px: int = SIDE) -> dict[tuple[str, str], Any]:
    """Masks by case and frame's number, where every case is one of three."""
    out = src.parent / f"dataset of {src.name} at {size_px}"
    shutil.rmtree(out, ignore_errors=True)
    settings = Preparation(size_px=size_px, split=(0.34, 0.33, 0.33), salt_path=salt)
    dataset = prepare(src, out, settings)
    assert set(dataset.regions) == {"bar", "disc"}
    order = [dataset.regions.index(region) for region in ("disc", "bar")]
    masks = {}
    for (case, frame), mask in zip(
        dataset.frames[["case", "frame"]].itertuples(index=False), dataset.masks, strict=True
    ):
        planes = np.stack([mask >> r & 1 for r in order]) > 0
        masks[case.split("/")[0], frame.rsplit("/", 1)[-1]] = planes
    return masks


def assert_alike(found: dict, expected: dict, least: float) -> None:
    assert found.keys() == expected.keys()
    overlaps = 0
    for name, planes in expected.items():
        overlaps += (planes[0] & planes[1]).any()
        for one, other in zip(found[name], planes, strict=True):
            both = (one | other).sum()
            assert both == 0 or (one & other).sum() / both >= least
    assert overlaps >= 4


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of three cases, with what was predicted of them in out."""
    src = tmp_path / "src"
    for case, height, width in (("a", SIDE, SIDE + 37), ("b", SIDE + 20, SIDE), ("c", SIDE, SIDE)):
        write_images(src / case, 3, height, width)
    predict(src, tmp_path / "out", Blobs(), Prediction(formats=("masks", "labelme")))
    return src


@pytest.fixture
def dicoms(tmp_path: Path) -> Path:
    src = tmp_path / "src"
    write_multi_frame(src / "run.dcm", 4, SIDE, SIDE + 15, patient="a", instance="1")
    write_multi_frame(src / "odd.dcm", 3, SIDE + 3, SIDE, patient="b", instance="2")
    write_single_frames(src / "series", 3, SIDE + 20, SIDE, patient="c")
    settings = Prediction(formats=FORMATS, salt_path=tmp_path / "salt")
    predict(src, tmp_path / "out", Blobs(), settings)
    return src


def test_masks_laid_beside_their_images(images: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "out" / "masks", images, dirs_exist_ok=True)
    masks = prepared(images, tmp_path / "salt")
    assert len(masks) == 9
    names = json.loads((images / "a" / "regions.json").read_text())["regions"]
    assert names == ["disc", "bar"]
    full = prepared(tmp_path / "out" / "labelme", tmp_path / "salt")
    assert_alike(full, masks, 0.99)


@pytest.mark.parametrize(
    ("size_px", "least"),
    # Where pixels do not fall on pixels, half a pixel of a staircase rounds otherwise than the
    # slope that a polygon is.
    [(SIDE, 0.99), (2 * SIDE, 0.98), (SIDE // 2, 0.96), (64, 0.98), (SIDE - 1, 0.98)],
)
def test_labelme_files_beside_their_pictures(
    images: Path, tmp_path: Path, size_px: int, least: float
) -> None:
    shutil.copytree(tmp_path / "out" / "masks", images, dirs_exist_ok=True)
    found = prepared(tmp_path / "out" / "labelme", tmp_path / "salt", size_px)
    assert_alike(found, prepared(images, tmp_path / "salt", size_px), least)


def test_labelme_files_bring_the_same_pictures(images: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "out" / "masks", images, dirs_exist_ok=True)
    settings = Preparation(size_px=64, split=(0.34, 0.33, 0.33))
    before = prepare(images, tmp_path / "before", settings)
    after = prepare(tmp_path / "out" / "labelme", tmp_path / "after", settings)
    np.testing.assert_array_equal(after.images, before.images)


def test_dicom_segmentations_beside_their_sources(dicoms: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "out" / "dicom-seg", dicoms / "seg")
    found = prepared(dicoms, tmp_path / "salt")
    assert len(found) == 10
    labelme = tmp_path / "out" / "labelme"
    shutil.copytree(tmp_path / "out" / "masks", tmp_path / "pictures")
    for path in labelme.rglob("*.png"):
        shutil.copy(path, tmp_path / "pictures" / path.relative_to(labelme))
    masks = prepared(tmp_path / "pictures", tmp_path / "salt")
    assert_alike(found, masks, 1)
    assert_alike(prepared(labelme, tmp_path / "salt"), masks, 0.99)
