import cv2
import numpy as np
import pytest
from drawn_knee import fill, turned
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_knee.motion.shape import largest_part, measure_shape, without_specks


def rectangle(degrees: float, middle: tuple[float, float] = (50.0, 60.0)) -> np.ndarray:
    """60 by 10 px, its long side anticlockwise from the horizontal."""
    corners = np.array([[-30.0, -5], [30, -5], [30, 5], [-30, 5]])
    return fill(turned(corners, degrees) * [1, -1] + middle, (120, 110))


def ellipse(degrees: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    outline = np.column_stack([35 * np.cos(angles), 12 * np.sin(angles)])
    return fill(turned(outline, degrees) * [1, -1] + 50.0, (100, 100))


def test_a_rectangle_by_hand() -> None:
    mask = np.zeros((8, 10), dtype=bool)
    mask[2:5, 1:7] = True
    shape = measure_shape(mask)
    assert shape.area_px == 18
    assert shape.centroid_px.tolist() == [4.0, 3.5]  # corners at (1, 2) and (7, 5)
    assert shape.axis_deg == 0
    assert (shape.parts, shape.stray, shape.touches_border) == (1, 0.0, False)


def test_an_upright_axis_is_90_degrees() -> None:
    assert measure_shape(rectangle(90)).axis_deg == pytest.approx(90, abs=1e-6)
    assert measure_shape(rectangle(-90)).axis_deg == pytest.approx(90, abs=1e-6)


@pytest.mark.parametrize("degrees", [-75, -45, -10, 0, 10, 45, 75])
@pytest.mark.parametrize("drawn", [rectangle, ellipse])
def test_axis_of_turned_shapes(drawn: object, degrees: float) -> None:
    assert callable(drawn)
    assert measure_shape(drawn(degrees)).axis_deg == pytest.approx(degrees, abs=0.5)


def test_a_square_and_a_pixel_have_no_direction() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[4, 4] = True
    assert np.isnan(measure_shape(mask).axis_deg)
    mask[2:7, 2:7] = True
    assert np.isnan(measure_shape(mask).axis_deg)


def test_nothing_has_area_0_and_no_place() -> None:
    shape = measure_shape(np.zeros((5, 5), dtype=bool))
    assert (shape.area_px, shape.parts, shape.touches_border) == (0, 0, False)
    assert np.isnan([*shape.centroid_px, shape.axis_deg, shape.stray]).all()


@pytest.mark.parametrize(("row", "column"), [(0, 3), (6, 3), (3, 0), (3, 8)])
def test_each_border_is_one(row: int, column: int) -> None:
    mask = np.zeros((7, 9), dtype=bool)
    mask[3, 3] = True
    assert not measure_shape(mask).touches_border
    mask[row, column] = True
    assert measure_shape(mask).touches_border


def test_corners_connect_and_strays_are_a_share() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[1, 1] = mask[2, 2] = mask[3, 3] = True
    assert measure_shape(mask).parts == 1
    mask[8, 8] = True
    shape = measure_shape(mask)
    assert (shape.parts, shape.stray) == (2, pytest.approx(0.25))
    assert largest_part(mask).sum() == 3
    assert without_specks(mask, 0.25).sum() == 4
    assert without_specks(mask, 0.26).sum() == 3


@settings(max_examples=20)
@given(
    degrees=st.floats(-80, 80),
    right=st.integers(-6, 6),
    down=st.integers(-8, 8),
)
def test_moved_and_mirrored(degrees: float, right: int, down: int) -> None:
    mask = rectangle(degrees)
    shape = measure_shape(mask)
    moved = measure_shape(np.roll(mask, (down, right), (0, 1)))
    assert moved.area_px == shape.area_px
    assert moved.axis_deg == pytest.approx(shape.axis_deg, abs=1e-6)
    assert moved.centroid_px - shape.centroid_px == pytest.approx([right, down])
    mirrored = measure_shape(mask[:, ::-1])
    assert mirrored.axis_deg == pytest.approx(-shape.axis_deg, abs=1e-6)
    assert mirrored.centroid_px[0] == pytest.approx(110 - shape.centroid_px[0])


@pytest.mark.parametrize("factor", [2, 3])
def test_scaled(factor: int) -> None:
    mask = ellipse(20)
    large = cv2.resize(mask.astype(np.uint8), None, fx=factor, fy=factor, interpolation=0)
    shape, scaled = measure_shape(mask), measure_shape(large.astype(bool))
    assert scaled.area_px == factor**2 * shape.area_px
    assert scaled.centroid_px == pytest.approx(factor * shape.centroid_px)
    assert scaled.axis_deg == pytest.approx(shape.axis_deg, abs=0.1)
