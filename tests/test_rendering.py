from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelme_files import SQUARE, base64_png, grey, shape, write_frame
from numpy.typing import NDArray

from tune_knee.data.problems import Problems
from tune_knee.data.rendering import RenderedFrames, render_case, window_of
from tune_knee.data.sources import find_frames

REGIONS = ("femur", "tibia")


def render(src: Path, size_px: int = 32) -> tuple[RenderedFrames | None, list[str]]:
    problems = Problems()
    frames = find_frames(src, None, problems).frames
    return render_case(frames, REGIONS, size_px, problems), problems.lines


def rendered(src: Path, size_px: int = 32) -> RenderedFrames:
    case, problems = render(src, size_px)
    assert problems == []
    assert case is not None
    return case


def box(x0: int, y0: int, x1: int, y1: int, size: int = 32) -> NDArray[np.bool_]:
    pixels = np.zeros((size, size), dtype=bool)
    pixels[y0:y1, x0:x1] = True
    return pixels


def test_overlaps_survive_and_shapes_of_a_label_unite(tmp_path: Path) -> None:
    shapes = [
        shape("femur", SQUARE),
        shape("tibia", [[16, 16], [30, 30]], "rectangle"),
        shape("femur", [[26, 26], [28, 27]], "mask", mask=base64_png(np.ones((2, 3), np.uint8))),
    ]
    write_frame(tmp_path / "a", "0", shapes)
    (mask,) = rendered(tmp_path).masks
    np.testing.assert_array_equal(mask & 1 > 0, box(8, 8, 24, 24) | box(26, 26, 29, 28))
    np.testing.assert_array_equal(mask & 2 > 0, box(16, 16, 30, 30))
    assert np.count_nonzero(mask == 3) == 8 * 8 + 6


def test_eight_bit_frames_of_the_right_size_are_kept(tmp_path: Path) -> None:
    write_frame(tmp_path / "a", "0", [], grey(seed=1))
    write_frame(tmp_path / "a", "1", [], grey(seed=2))
    case = rendered(tmp_path)
    np.testing.assert_array_equal(case.images, [grey(seed=1), grey(seed=2)])
    assert len(set(case.content_hashes)) == 2


def test_the_centre_square_is_averaged(tmp_path: Path) -> None:
    image = np.zeros((8, 20), dtype=np.uint8)
    image[:, 6:14] = np.arange(64).reshape(8, 8)
    write_frame(tmp_path / "a", "0", [shape("tibia", [[10, 0], [14, 4]], "rectangle")], image)
    case = rendered(tmp_path, size_px=4)
    blocks = np.arange(64).reshape(4, 2, 4, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(case.images[0], np.rint(blocks))
    np.testing.assert_array_equal(case.masks[0], 2 * box(2, 0, 4, 2, size=4))


def test_a_sixteen_bit_case_has_one_window(tmp_path: Path) -> None:
    ramp = np.linspace(1000, 3000, 32 * 32).reshape(32, 32).astype(np.uint16)
    dark = np.full((32, 32), 1000, dtype=np.uint16)
    write_frame(tmp_path / "a", "0", [], ramp)
    write_frame(tmp_path / "a", "1", [], dark)
    bright, black = rendered(tmp_path).images
    assert (black == 0).all()
    np.testing.assert_allclose(bright, np.linspace(0, 255, 32 * 32).reshape(32, 32), atol=1.5)


def test_a_dead_pixel_does_not_stretch_the_window() -> None:
    planes = np.linspace(1000, 2000, 2 * 64 * 64, dtype=np.float32).reshape(2, 64, 64)
    expected = window_of(planes).apply(planes)
    spoiled = planes.copy()
    spoiled[0, 10, 10] = 65535
    np.testing.assert_allclose(
        window_of(spoiled).apply(spoiled), np.where(spoiled > 60000, 255, expected), atol=0.5
    )
    assert expected.min() == 0
    assert expected.max() == 255


def test_a_window_needs_a_range(tmp_path: Path) -> None:
    write_frame(tmp_path / "a", "0", [], np.full((32, 32), 700, dtype=np.uint16))
    case, problems = render(tmp_path)
    assert case is None
    assert problems == [
        "a: 16-bit frames must have a range of grey values, got 700 alone; export it again"
    ]


def test_a_case_of_two_depths(tmp_path: Path) -> None:
    write_frame(tmp_path / "a", "0", [], grey())
    write_frame(tmp_path / "a", "1", [], grey().astype(np.uint16))
    case, problems = render(tmp_path)
    assert case is None
    assert problems == [
        "a/0.json: a sequence must be all 8 or all 16 bit, got both; export all of it in one depth"
    ]


def test_all_frames_are_checked_although_one_is_broken(tmp_path: Path) -> None:
    for name in ("0", "1", "2"):
        write_frame(tmp_path / "a", name, [], grey())
    for name in ("0", "2"):
        (tmp_path / "a" / f"{name}.png").write_bytes(b"")
    case, problems = render(tmp_path)
    assert case is None
    assert [line.split(" ")[0] for line in problems] == ["a/0.json", "a/2.json"]


@pytest.mark.parametrize("points", [[[0, 0], [5, 8]], [[10, 2], [10.2, 2.2]]])
def test_a_shape_without_a_pixel_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, points: Any
) -> None:
    image = np.zeros((8, 20), dtype=np.uint8)
    write_frame(tmp_path / "a", "0", [shape("femur", points, "rectangle")], image)
    case = rendered(tmp_path, size_px=8)
    assert not case.masks.any()
    assert "a/0.json: femur leaves no pixel in the centre square" in caplog.text
