import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_knee import REGIONS, drawn_knee
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tune_knee.data.image_files import ImageFile
from tune_knee.data.label_files import LabelMeLabels
from tune_knee.data.labelme import read_annotation
from tune_knee.data.outline_checks import crosses_itself
from tune_knee.data.problems import Problems
from tune_knee.data.rasterisation import CentreCrop, polygon_coverage, rasterise
from tune_knee.predict.labelme_json import labelme_json
from tune_knee.predict.png import png
from tune_knee.predict.polygons import IOU, polygons_of


def drawn(polygons: list[NDArray[np.float64]], size: int) -> NDArray[np.bool_]:
    inside = [polygon_coverage(points, size) >= 0.5 - 1e-5 for points in polygons]
    return np.any(inside, axis=0)


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def read_back(path: Path, mask: NDArray[np.uint8], regions: tuple[str, ...]) -> NDArray[np.uint8]:
    """What `data prepare` makes of a LabelMe file at the picture's own size."""
    problems = Problems()
    path.with_suffix(".png").write_bytes(png(mask))
    path.write_bytes(labelme_json(mask, regions, path.with_suffix(".png").name))
    annotation = read_annotation(path, "a.json", problems)
    image = ImageFile(path.with_suffix(".png"), "a").read(problems)
    assert annotation is not None
    assert image is not None
    shapes = LabelMeLabels(annotation, "a.json").read(image, problems)
    assert problems.lines == []
    crop = CentreCrop(*mask.shape, min(mask.shape))
    found = np.zeros((crop.side, crop.side), dtype=np.uint8)
    for shape in shapes:
        found |= rasterise(shape, crop).astype(np.uint8) << regions.index(shape.label)
    return found


def test_a_square_is_its_corners() -> None:
    mask = np.zeros((40, 50), dtype=bool)
    mask[10:30, 5:45] = True
    (points,) = polygons_of(mask) or []
    corners = np.array([(5, 10), (45, 10), (45, 30), (5, 30)])
    apart = np.abs(points[:, None] - corners).sum(axis=2)
    assert (apart.min(axis=1) <= 0.5).all()
    assert (apart.min(axis=0) <= 0.5).all()
    assert len(points) <= 8  # a pixel's corner cut off each


def test_a_region_that_fills_the_frame_keeps_to_it() -> None:
    mask = np.ones((20, 30), dtype=bool)
    (points,) = polygons_of(mask) or []
    assert points.min(axis=0).tolist() == [0, 0]
    assert points.max(axis=0).tolist() == [30, 20]


def test_a_ring_is_cut_and_a_pixel_is_one() -> None:
    mask = np.zeros((64, 64), dtype=np.uint8)
    cv2.circle(mask, (32, 32), 24, 1, -1)
    cv2.circle(mask, (30, 34), 9, 0, -1)
    mask[2, 60] = 1
    polygons = polygons_of(mask > 0)
    assert polygons is not None
    assert len(polygons) == 3
    assert not any(crosses_itself(points) for points in polygons)
    found = drawn(polygons, 64)
    assert iou(found, mask > 0) >= IOU
    assert not found[34, 30]
    assert found[2, 60]
    assert sum(map(len, polygons)) < 110  # of 200 pixels of outline


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(8, 72), width=st.floats(1, 6))
def test_smooth_masks_of_any_shape_come_back(seed: int, size: int, width: float) -> None:
    noise = np.random.default_rng(seed).random((size, size))
    blobs = cv2.GaussianBlur(noise, (0, 0), width)
    mask = blobs > np.median(blobs)
    polygons = polygons_of(mask)
    if polygons is not None:
        assert iou(drawn(polygons, size), mask) >= IOU


@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_knees_overlapping_regions_come_back(tmp_path: Path, size: int) -> None:
    mask = cv2.resize(drawn_knee(40.0), (size, size), interpolation=cv2.INTER_NEAREST)
    assert (mask & mask - 1).any(), "regions overlap"
    found = read_back(tmp_path / "a.json", mask, REGIONS)
    for r in range(len(REGIONS)):
        assert iou(found >> r & 1 > 0, mask >> r & 1 > 0) >= 0.99
    shapes = json.loads((tmp_path / "a.json").read_text())["shapes"]
    assert {shape["shape_type"] for shape in shapes} == {"polygon"}


def test_what_no_polygons_are_is_a_mask_of_labelme(tmp_path: Path) -> None:
    rows = ["#####", "#.##.", "#.###", "###.#", ".#..#"]
    mask = np.array([[cell == "#" for cell in row] for row in rows], dtype=np.uint8)
    assert polygons_of(mask > 0) is None
    np.testing.assert_array_equal(read_back(tmp_path / "a.json", mask, ("noise",)), mask)
    (shape,) = json.loads((tmp_path / "a.json").read_text())["shapes"]
    assert shape["shape_type"] == "mask"
    stored = cv2.imdecode(np.frombuffer(base64.b64decode(shape["mask"]), np.uint8), 0)
    (left, top), (right, bottom) = shape["points"]
    assert stored.shape == (bottom - top + 1, right - left + 1)


def test_no_region_no_shapes() -> None:
    empty = json.loads(labelme_json(np.zeros((3, 4), np.uint8), ("a",), "b.png"))
    assert empty["shapes"] == []
    assert (empty["imageHeight"], empty["imageWidth"], empty["imagePath"]) == (3, 4, "b.png")
