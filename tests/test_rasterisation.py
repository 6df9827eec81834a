import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tune_knee.data.labelme import Bitmap, Outline
from tune_knee.data.rasterisation import SCANLINES, CentreCrop, polygon_coverage, rasterise

SIZE = 32


def points(*corners: tuple[float, float]) -> NDArray[np.float64]:
    return np.array(corners, dtype=np.float64)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.float64]:
    return points((x0, y0), (x1, y0), (x1, y1), (x0, y1))


@st.composite
def stars(draw: st.DrawFn) -> NDArray[np.float64]:
    """Simple polygons: corners in order of angle about the middle."""
    corners = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(3, 15), min_size=corners, max_size=corners))
    turn = draw(st.floats(0, 2 * math.pi))
    angles = turn + np.arange(corners) / corners * 2 * math.pi
    return 16 + np.array(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def shoelace(corners: NDArray[np.float64]) -> float:
    x, y = corners.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def perimeter(corners: NDArray[np.float64]) -> float:
    return float(np.hypot(*(corners - np.roll(corners, 1, axis=0)).T).sum())


@given(stars())
def test_the_coverage_adds_up_to_the_polygons_area(corners: NDArray[np.float64]) -> None:
    coverage = polygon_coverage(corners, SIZE)
    # A level edge is as exact as the scanlines are dense, a slope more.
    assert coverage.sum() == pytest.approx(
        shoelace(corners), abs=perimeter(corners) / 2 / SCANLINES
    )
    assert coverage.min() >= -1e-6
    assert coverage.max() <= 1 + 1e-6


@given(stars())
def test_the_pixels_are_about_the_polygons_area(corners: NDArray[np.float64]) -> None:
    pixels = rasterise(Outline("femur", corners), CentreCrop(SIZE, SIZE, SIZE))
    assert abs(pixels.sum() - shoelace(corners)) <= perimeter(corners) / 2


@given(stars(), st.integers(-3, 3), st.integers(-3, 3))
@settings(max_examples=50)
def test_whole_pixels_of_shift_shift_the_coverage(
    corners: NDArray[np.float64], x: int, y: int
) -> None:
    corners = 16 + (corners - 16) * 0.8  # stays inside
    shifted = polygon_coverage(corners + np.array([x, y]), SIZE)
    still = polygon_coverage(corners, SIZE)
    np.testing.assert_allclose(shifted, np.roll(still, (y, x), axis=(0, 1)), atol=1e-5)


@given(stars())
@settings(max_examples=50)
def test_neither_the_sense_of_rotation_nor_the_first_corner_matters(
    corners: NDArray[np.float64],
) -> None:
    coverage = polygon_coverage(corners, SIZE)
    turned = polygon_coverage(np.roll(corners[::-1], 2, axis=0), SIZE)
    np.testing.assert_allclose(turned, coverage, atol=1e-6)


def test_a_rectangle_covers_what_is_computed_by_hand() -> None:
    coverage = polygon_coverage(rectangle(1.25, 1, 3, 2.5), 4)
    expected = [[0, 0, 0, 0], [0, 0.75, 1, 0], [0, 0.375, 0.5, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(coverage, expected, atol=1e-6)


def test_a_triangle_covers_half_of_the_pixels_on_its_slope() -> None:
    coverage = polygon_coverage(points((0, 0), (3, 3), (0, 3)), 3)
    np.testing.assert_allclose(coverage, [[0.5, 0, 0], [1, 0.5, 0], [1, 1, 0.5]], atol=1e-6)


def test_a_polygon_is_cut_off_at_the_frame() -> None:
    coverage = polygon_coverage(rectangle(-5, -5, 1.5, 50), 3)
    np.testing.assert_allclose(coverage, [[1, 0.5, 0]] * 3, atol=1e-6)
    assert not polygon_coverage(rectangle(5, 5, 9, 9), 3).any()


def test_what_a_polygon_encloses_twice_is_outside() -> None:
    twice = points((0, 0), (6, 0), (6, 6), (2, 6), (2, 2), (4, 2), (4, 4), (0, 4))
    coverage = polygon_coverage(twice, 6)
    assert coverage[3, 2] == pytest.approx(0, abs=1e-6)
    assert coverage[1, 1] == pytest.approx(1, abs=1e-6)


def test_half_a_pixel_belongs_and_less_does_not() -> None:
    crop = CentreCrop(4, 4, 4)
    half = rasterise(Outline("femur", rectangle(1, 1, 2.5, 2)), crop)
    less = rasterise(Outline("femur", rectangle(1, 1, 2.49, 2)), crop)
    assert half[1].tolist() == [False, True, True, False]
    assert less[1].tolist() == [False, True, False, False]


def test_abutting_shapes_leave_no_seam() -> None:
    crop = CentreCrop(64, 64, 24)
    left = rasterise(Outline("femur", points((8, 8), (37, 8), (21, 56), (8, 56))), crop)
    right = rasterise(Outline("femur", points((37, 8), (56, 8), (56, 56), (21, 56))), crop)
    whole = rasterise(Outline("femur", rectangle(8, 8, 56, 56)), crop)
    np.testing.assert_array_equal(left | right, whole)


@pytest.mark.parametrize(
    ("height", "width", "corner", "side"),
    [(10, 16, (3, 0), 10), (16, 10, (0, 3), 10), (10, 15, (2, 0), 10), (8, 8, (0, 0), 8)],
)
def test_the_crop_is_the_centre_square(
    height: int, width: int, corner: tuple[int, int], side: int
) -> None:
    crop = CentreCrop(height, width, 4)
    assert (crop.corner, crop.side) == (corner, side)
    plane = np.arange(height * width).reshape(height, width)
    assert crop.crop(plane).shape == (side, side)
    assert crop.crop(plane)[0, 0] == plane[corner[1], corner[0]]


def test_a_square_lands_where_computed_by_hand() -> None:
    # 40 x 60: the square begins at x = 10, and is halved: x 20 lands at (20 - 10) / 2 = 5.
    pixels = rasterise(Outline("femur", rectangle(20, 8, 32, 20)), CentreCrop(40, 60, 20))
    expected = np.zeros((20, 20), dtype=bool)
    expected[4:10, 5:11] = True
    np.testing.assert_array_equal(pixels, expected)


def test_a_bitmap_lands_where_its_outline_does() -> None:
    crop = CentreCrop(40, 60, 20)
    bitmap = Bitmap("femur", 20, 8, np.ones((12, 12), dtype=bool))
    outline = Outline("femur", rectangle(20, 8, 32, 20))
    np.testing.assert_array_equal(rasterise(bitmap, crop), rasterise(outline, crop))


def test_a_bitmaps_pixels_are_averaged() -> None:
    bitmap = Bitmap("femur", 0, 0, np.array([[1, 1, 1], [0, 0, 0]], dtype=bool))
    assert rasterise(bitmap, CentreCrop(4, 4, 2)).tolist() == [[True, False], [False, False]]


def test_enlarging_an_outline_keeps_its_corners_sharp() -> None:
    pixels = rasterise(Outline("femur", rectangle(1, 1, 2, 2)), CentreCrop(4, 4, 16))
    expected = np.zeros((16, 16), dtype=bool)
    expected[4:8, 4:8] = True
    np.testing.assert_array_equal(pixels, expected)
