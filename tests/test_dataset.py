import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tune_knee.data.dataset import (
    FRAME_COLUMNS,
    KneeDataset,
    dataset_fingerprint,
    open_dataset,
    write_dataset,
)
from tune_knee.data.resizing import resize

REGIONS = ("femur", "tibia")
SPLIT = ("train", "train", "validation", "test")


def frame_table(splits: tuple[str, ...] = SPLIT) -> pd.DataFrame:
    table = pd.DataFrame({"case": [f"knee_{n}" for n in range(len(splits))], "split": splits})
    table["spacing_mm"] = np.nan
    for column in set(FRAME_COLUMNS).difference(table.columns):
        table[column] = ""
    return table


def arrays(size: int = 8) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, size, size), dtype=np.uint8)
    return images, rng.integers(0, 4, (4, size, size), dtype=np.uint8)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "data", *arrays(), frame_table(), REGIONS)
    return tmp_path / "data"


def test_what_is_written_is_opened(written: Path) -> None:
    images, masks = arrays()
    dataset = open_dataset(written)
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.masks, masks)
    assert isinstance(dataset.images, np.memmap)
    assert not dataset.images.flags.writeable
    assert dataset.regions == REGIONS
    assert (len(dataset), dataset.size_px) == (4, 8)
    assert list(dataset.frames.columns) == list(FRAME_COLUMNS)
    assert dataset.fingerprint == dataset_fingerprint(images, masks, frame_table(), REGIONS)
    assert sorted(path.name for path in written.parent.iterdir()) == ["data"]


def test_indices_and_areas_belong_to_a_split() -> None:
    masks = np.zeros((4, 2, 2), dtype=np.uint8)
    masks[0] = [[1, 3], [0, 2]]
    masks[1] = [[1, 0], [0, 0]]
    masks[3] = 3
    dataset = KneeDataset(masks, masks, frame_table(), REGIONS, "")
    np.testing.assert_array_equal(dataset.indices("train"), [0, 1])
    np.testing.assert_array_equal(dataset.indices("test"), [3])
    np.testing.assert_array_equal(dataset.areas_px(), [3, 2])
    np.testing.assert_array_equal(dataset.areas_px("validation"), [0, 0])
    femur, tibia = dataset.region_masks(np.array([0]))[0]
    np.testing.assert_array_equal(femur, [[True, True], [False, False]])
    np.testing.assert_array_equal(tibia, [[False, True], [False, True]])


def test_the_fingerprint_sees_all_that_a_result_depends_on() -> None:
    images, masks = arrays()
    other_image, other_mask = images.copy(), masks.copy()
    other_image[3, 7, 7] ^= 1
    other_mask[0, 0, 0] ^= 1
    variants = [
        (images, masks, frame_table(), REGIONS),
        (other_image, masks, frame_table(), REGIONS),
        (images, other_mask, frame_table(), REGIONS),
        (images, masks, frame_table(("train", "test", "validation", "test")), REGIONS),
        (images, masks, frame_table(), REGIONS[::-1]),
    ]
    assert len({dataset_fingerprint(*variant) for variant in variants}) == len(variants)
    assert dataset_fingerprint(*variants[0]) == dataset_fingerprint(*variants[0])


def test_halving_sets_a_pixel_from_half_of_its_area_on() -> None:
    femur = np.array([[1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=np.uint8)
    masks = np.repeat((femur | (1 - femur) << 1)[None], 4, axis=0)
    images = np.repeat(np.arange(16, dtype=np.uint8).reshape(1, 4, 4), 4, axis=0)
    half = KneeDataset(images, masks, frame_table(), REGIONS, "kept").resized(2)
    femur, tibia = 1, 2
    np.testing.assert_array_equal(half.masks[0], [[femur | tibia, tibia], [femur, tibia]])
    np.testing.assert_array_equal(half.images[0], [[3, 5], [11, 13]])  # 2.5, 4.5, ...
    assert half.fingerprint == "kept"


@pytest.mark.parametrize("size_px", [24, 40, 96])
def test_resizing_keeps_where_things_are(size_px: int) -> None:
    masks = np.zeros((4, 64, 64), dtype=np.uint8)
    masks[:, 16:48, 32:64] = 2
    resized = KneeDataset(masks, masks, frame_table(), REGIONS, "").resized(size_px)
    rows, columns = np.nonzero(resized.masks[0] == 2)
    assert rows.min() == size_px // 4
    assert rows.max() == size_px * 3 // 4 - 1
    assert columns.min() == size_px // 2
    assert columns.max() == size_px - 1
    assert not (resized.masks & 1).any()


def test_the_same_size_is_the_same_dataset(written: Path) -> None:
    dataset = open_dataset(written)
    assert dataset.resized(8) is dataset


def test_resizing_the_papers_dataset_takes_seconds() -> None:
    frames = 40
    masks = np.random.default_rng(0).integers(0, 16, (frames, 512, 512), dtype=np.uint8)
    dataset = KneeDataset(masks, masks, frame_table(), ("a", "b", "c", "d"), "")
    start = time.perf_counter()
    dataset.resized(64)
    seconds = (time.perf_counter() - start) / frames * 1297
    assert seconds < 20  # measured 1 on one core; the rest is for busy machines


def test_resize_up_is_linear() -> None:
    plane = np.array([[0, 10], [0, 10]], dtype=np.float32)
    np.testing.assert_allclose(resize(plane, 4)[0], [0, 2.5, 7.5, 10])


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ((), "1 to 8 regions, got 0"),
        (tuple("abcdefghi"), "1 to 8 regions, got 9"),
        (("femur", "femur"), "regions must differ"),
        (("femur", "a/b"), "got region='a/b'; rename it"),
        (("femur", "a,b"), "got region='a,b'"),
        (("femur", ""), "got region=''"),
        (("femur", " tibia"), "got region=' tibia'"),
        (("femur", "fémur"), "got region='fémur'"),
    ],
)
def test_regions_that_cannot_be(tmp_path: Path, regions: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / "data", *arrays(), frame_table(), regions)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(written: Path) -> None:
    before = (written / "dataset.json").read_bytes()
    with pytest.raises(ValueError, match=r"out must not exist, got out=.*; remove it or name"):
        write_dataset(written, *arrays(), frame_table(), REGIONS)
    assert (written / "dataset.json").read_bytes() == before


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="source"):
        write_dataset(tmp_path / "d", *arrays(), frame_table().drop(columns="source"), REGIONS)
    assert list(tmp_path.iterdir()) == []


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold dataset\.json, got data=.*; make one with"):
        open_dataset(tmp_path)


def _changed(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        about = json.loads((folder / "dataset.json").read_text()) | changes
        kept = {name: value for name, value in about.items() if value is not None}
        (folder / "dataset.json").write_text(json.dumps(kept))

    return change


def _truncated(name: str, size: int) -> Any:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_truncated("dataset.json", 30), "must be readable"),
        (_truncated("dataset.json", 0), "must be readable"),
        (lambda folder: (folder / "dataset.json").write_text("[]"), "schema_version=None"),
        (_changed(schema_version=2), "schema_version must be 1, got schema_version=2"),
        (_changed(regions=None), "regions"),
        (_changed(fingerprint=None), "fingerprint"),
        (_changed(frames="many"), "frames"),
        (_changed(frames=5), r"images\.npy must be uint8 \(5, 8, 8\)"),
        (_changed(size_px=16), r"images\.npy must be uint8 \(4, 16, 16\)"),
        (_truncated("images.npy", 200), "must be readable"),
        (_truncated("masks.npy", 0), "must be readable"),
        (lambda folder: (folder / "masks.npy").unlink(), "must be readable"),
        (lambda folder: np.save(folder / "masks.npy", np.zeros((4, 8, 8))), "got float64"),
        (_truncated("frames.parquet", 100), "must be readable"),
        (
            lambda folder: frame_table()[:3].to_parquet(folder / "frames.parquet"),
            r"frames\.parquet must have 4 rows .* got 3",
        ),
        (
            lambda folder: frame_table()[["case"]].to_parquet(folder / "frames.parquet"),
            "got 4 with case",
        ),
    ],
)
def test_opening_a_broken_folder(written: Path, spoil: Any, message: str) -> None:
    spoil(written)
    with pytest.raises(ValueError, match=message) as caught:
        open_dataset(written)
    assert str(written) in str(caught.value)
    assert "prepare" in str(caught.value)
