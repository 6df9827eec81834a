import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelme_files import SQUARE, base64_png, encoded, grey, shape, write_label

from tune_knee.data.labelme import Annotation, Bitmap, Outline, embedded_image, read_annotation
from tune_knee.data.problems import Problems


def read(path: Path) -> Annotation:
    problems = Problems()
    annotation = read_annotation(path, "a/0.json", problems)
    assert problems.lines == []
    assert annotation is not None
    return annotation


def problem(path: Path) -> str:
    problems = Problems()
    read_annotation(path, "a/0.json", problems)
    assert len(problems.lines) == 1
    return problems.lines[0]


def test_a_polygon(tmp_path: Path) -> None:
    path = write_label(tmp_path / "0.json", [shape("femur", SQUARE)], "sub\\0.png")
    annotation = read(path)
    assert annotation.image == "sub/0.png"
    assert annotation.labels == ("femur",)
    assert (annotation.stated_height, annotation.stated_width) == (32, 32)
    assert not annotation.embedded
    (outline,) = annotation.shapes
    assert isinstance(outline, Outline)
    np.testing.assert_array_equal(outline.points, SQUARE)


def test_old_files_state_neither_type_nor_size(tmp_path: Path) -> None:
    path = tmp_path / "0.json"
    path.write_text(
        json.dumps({"imagePath": "0.png", "shapes": [{"label": "a", "points": SQUARE}]})
    )
    annotation = read(path)
    assert (annotation.stated_height, annotation.stated_width) == (None, None)
    assert isinstance(annotation.shapes[0], Outline)


@pytest.mark.parametrize("corners", [[[3, 9], [7, 2]], [[7, 2], [3, 9]], [[3, 2], [7, 9]]])
def test_a_rectangle_from_either_diagonal(tmp_path: Path, corners: list[list[float]]) -> None:
    path = write_label(tmp_path / "0.json", [shape("femur", corners, "rectangle")], "0.png")
    points = read(path).shapes[0].points
    assert sorted(map(tuple, points.tolist())) == [(3, 2), (3, 9), (7, 2), (7, 9)]


def test_an_oriented_rectangle_is_its_four_corners(tmp_path: Path) -> None:
    diamond = [[5, 0], [10, 5], [5, 10], [0, 5]]
    path = write_label(tmp_path / "0.json", [shape("a", diamond, "oriented_rectangle")], "0.png")
    np.testing.assert_array_equal(read(path).shapes[0].points, diamond)


def test_a_circle_is_a_centre_and_a_point_of_its_rim(tmp_path: Path) -> None:
    circle = shape("patella", [[16, 12], [19, 16]], "circle")
    points = read(write_label(tmp_path / "0.json", [circle], "0.png")).shapes[0].points
    np.testing.assert_allclose(np.hypot(*(points - (16, 12)).T), 5)


def test_a_mask_fills_its_bounding_box_to_the_last_pixel(tmp_path: Path) -> None:
    pixels = np.array([[255, 0, 255], [0, 255, 255]], dtype=np.uint8)
    for png in (pixels, pixels // 255):  # LabelMe writes 0 and 255, or two bits' 0 and 1
        mask = shape("femur", [[4, 7], [6, 8]], "mask", mask=base64_png(png))
        (bitmap,) = read(write_label(tmp_path / "0.json", [mask], "0.png")).shapes
        assert isinstance(bitmap, Bitmap)
        assert (bitmap.left, bitmap.top) == (4, 7)
        np.testing.assert_array_equal(bitmap.pixels, pixels > 0)
        np.testing.assert_array_equal(bitmap.points, [[4, 7], [7, 9]])


def comb(teeth: int) -> list[list[float]]:
    """A line between its ends crosses it twice a tooth."""
    tops = [[x / 16, 8.0 * (x % 2)] for x in range(2 * teeth)]
    return [[x, y + 1] for x, y in tops]


def test_a_comb_is_an_outline(tmp_path: Path) -> None:
    (outline,) = read(write_label(tmp_path / "0.json", [shape("femur", comb(250))], "0.png")).shapes
    assert len(outline.points) == 500


@pytest.mark.parametrize("far", [-1.0, 1.0])
def test_coordinates_beyond_every_frame_are_none(tmp_path: Path, far: float) -> None:
    reaching = [[1, 1], [far * 2**27, 2], [1, 5]]
    read(write_label(tmp_path / "0.json", [shape("femur", reaching)], "0.png"))
    reaching[1][0] *= 1.000001
    path = write_label(tmp_path / "1.json", [shape("femur", reaching)], "0.png")
    assert "shapes.0.points.1.0: Input should be" in problem(path)


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (shape("femur", []), "a polygon must enclose an area"),
        (shape("femur", [[1, 1], [5, 5]]), "a polygon must enclose an area"),
        (shape("femur", [[1, 1], [5, 5], [1, 1]]), "a polygon must enclose an area"),
        (shape("femur", [[1, 4], [5, 4], [9, 4]]), "a polygon must enclose an area"),
        (shape("femur", [[1, 1], [5, 5], [9, 9]]), "a polygon must enclose an area"),
        (shape("femur", [[1, 1], [1, 5]], "rectangle"), "a rectangle must enclose an area"),
        (shape("femur", [[1, 1], [1, 1]], "circle"), "a circle must enclose an area"),
        (shape("femur", SQUARE, "rectangle"), "a rectangle must have 2 points, got 4"),
        (shape("femur", [[1, 1]], "circle"), "a circle must have 2 points, got 1"),
        (
            shape("femur", [[1, 1], [5, 5]], "line"),
            "shape_type must be one of polygon, .* got line",
        ),
        (shape("femur", [[1, 1]], "point"), "got point"),
        (shape("femur", comb(251)), "a polygon must cross a line 500 times at most, got 502"),
        (shape("femur", [[1, 1], [2, 2]], "mask"), "a mask must hold a base64 PNG"),
        (shape("femur", [[1, 1], [2, 2]], "mask", mask="??"), "a mask must hold a base64 PNG"),
        (shape("femur", [[1, 1], [2, 2]], "mask", mask="aGk="), "a mask must hold a base64 PNG"),
        (
            shape(
                "femur", [[1, 1], [3, 2]], "mask", mask=base64_png(np.full((2, 2), 255, np.uint8))
            ),
            "height x width 2 x 3, got 2 x 2",
        ),
        (
            shape("femur", [[1, 1], [2, 2]], "mask", mask=base64_png(np.zeros((2, 2), np.uint8))),
            "a mask must enclose an area",
        ),
    ],
)
def test_a_shape_that_is_none(tmp_path: Path, spoiled: Any, message: str) -> None:
    good = shape("tibia", SQUARE)
    path = write_label(tmp_path / "0.json", [good, spoiled], "0.png")
    problems = Problems()
    annotation = read_annotation(path, "a/0.json", problems)
    (line,) = problems.lines
    assert line.startswith("a/0.json shape 2 (femur): ")
    assert line.endswith("; draw it again or delete it in LabelMe")
    assert re.search(message, line)
    assert annotation is not None
    assert annotation.labels == ("tibia", "femur")
    assert [shape.label for shape in annotation.shapes] == ["tibia"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "JSON"),
        ('{"shapes": [', "Invalid JSON"),
        ("[]", "JSON"),
        ('{"imagePath": "0.png"}', "shapes: Field required"),
        ('{"shapes": []}', "imagePath: Field required"),
        ('{"shapes": [], "imagePath": ""}', "imagePath"),
        ('{"shapes": [{"label": "a", "points": [[1]]}], "imagePath": "a"}', "shapes.0.points.0"),
        (
            '{"shapes": [{"label": "a", "points": [[1, NaN]]}], "imagePath": "a"}',
            "shapes.0.points.0.1",
        ),
    ],
)
def test_a_file_that_is_not_labelmes(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "0.json"
    path.write_text(content)
    line = problem(path)
    assert line.startswith("a/0.json: must be a LabelMe file, got ")
    assert message in line
    assert line.endswith("; save it again from LabelMe or remove it")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert problem(tmp_path / "absent.json").startswith("a/0.json: must be readable, got ")


def test_the_embedded_image(tmp_path: Path) -> None:
    content = encoded(grey())
    data = base64.b64encode(content).decode()
    path = write_label(tmp_path / "0.json", [], "0.png", imageData=data)
    assert read(path).embedded
    assert embedded_image(path) == content
