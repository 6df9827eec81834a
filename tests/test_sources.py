import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelme_files import SQUARE, encoded, grey, shape, write_cases, write_frame, write_label
from PIL import Image

from tune_knee.data.frames import LabelledFrame, SourceImage
from tune_knee.data.image_files import ImageFile
from tune_knee.data.problems import Problems
from tune_knee.data.sources import find_frames

FEMUR = [shape("femur", SQUARE)]


def find(src: Path, case_from: str | None = None) -> list[LabelledFrame]:
    problems = Problems()
    found = find_frames(src, case_from, problems)
    assert problems.lines == []
    return found.frames


def finding_problems(src: Path, case_from: str | None = None) -> list[str]:
    problems = Problems()
    find_frames(src, case_from, problems)
    return problems.lines


def read_one(src: Path) -> SourceImage:
    (frame,) = find(src)
    problems = Problems()
    image = frame.image.read(problems)
    assert image is not None
    for labels in frame.labels:
        labels.read(image, problems)
    assert problems.lines == []
    return image


def reading_problems(src: Path) -> list[str]:
    (frame,) = find(src)
    problems = Problems()
    image = frame.image.read(problems)
    for labels in frame.labels if image else ():
        labels.read(image, problems)
    return problems.lines


def test_a_folder_is_a_case(tmp_path: Path) -> None:
    write_cases(tmp_path, cases=2, frames=1)
    write_frame(tmp_path / "site" / "knee_9", "a", FEMUR)
    frames = find(tmp_path)
    assert [(frame.case, frame.frame, frame.source) for frame in frames] == [
        ("knee_0", "000", "knee_0/000.json"),
        ("knee_1", "000", "knee_1/000.json"),
        ("site/knee_9", "a", "site/knee_9/a.json"),
    ]


def test_frames_are_in_natural_order(tmp_path: Path) -> None:
    for case, frame in (("k10", "f1"), ("k2", "f10"), ("k2", "f9"), ("k2", "10"), ("k2", "f")):
        write_frame(tmp_path / case, frame, FEMUR)
    assert [f"{frame.case}/{frame.frame}" for frame in find(tmp_path)] == [
        "k2/10",
        "k2/f",
        "k2/f9",
        "k2/f10",
        "k10/f1",
    ]


def test_a_pattern_names_the_case(tmp_path: Path) -> None:
    for sequence in ("left", "right"):
        write_frame(tmp_path / "p07" / sequence, "0", FEMUR)
    write_frame(tmp_path, "p08_0", FEMUR)
    frames = find(tmp_path, r"(p\d+)")
    assert [(frame.case, frame.frame) for frame in frames] == [
        ("p07", "p07/left/0"),
        ("p07", "p07/right/0"),
        ("p08", "p08_0"),
    ]


def test_what_no_case_can_be_told_of(tmp_path: Path) -> None:
    write_frame(tmp_path, "0", FEMUR)
    assert finding_problems(tmp_path) == [
        "0.json: a frame must lie in a case's folder, got none; "
        "move it into a folder of its case, or use --case-from"
    ]
    for pattern in (r"(p\d+)", r"(x?)"):
        (line,) = finding_problems(tmp_path, pattern)
        assert line.startswith(f"0.json: the path must match --case-from {pattern}, got no case")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "must be a regular expression"), ("a", "with 0; put"), ("(a)(b)", "with 2; put")],
)
def test_a_pattern_that_is_none(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_frames(tmp_path, pattern, Problems())


def test_a_source_without_labels(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a folder, got src="):
        find_frames(tmp_path / "absent", None, Problems())
    with pytest.raises(ValueError, match=r"must hold labels .*, got none in src="):
        find_frames(tmp_path, None, Problems())


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    write_frame(tmp_path / "a", "0", FEMUR)
    write_frame(tmp_path / "a" / ".ipynb_checkpoints", "0", FEMUR)
    write_frame(tmp_path / "a", "._0", FEMUR)
    assert len(find(tmp_path)) == 1


def test_backslashes_and_parent_folders_in_the_image_path(tmp_path: Path) -> None:
    write_frame(tmp_path / "a" / "images", "0", FEMUR)
    (tmp_path / "a" / "images" / "0.json").unlink()
    write_label(tmp_path / "a" / "labels" / "0.json", FEMUR, "..\\images\\0.png")
    (frame,) = find(tmp_path)
    assert isinstance(frame.image, ImageFile)
    assert frame.image.path == tmp_path / "a" / "images" / "0.png"


@pytest.mark.parametrize("image", ["../../0.png", "..\\..\\0.png", "/etc/hostname", "a/../../../b"])
def test_an_image_path_must_not_leave_the_source(tmp_path: Path, image: str) -> None:
    (tmp_path / "0.png").write_bytes(encoded(grey()))
    write_label(tmp_path / "src" / "a" / "0.json", FEMUR, image)
    image = image.replace("\\", "/")
    assert finding_problems(tmp_path / "src") == [
        f"a/0.json: imagePath must stay in the source folder, got {image}; "
        "put the image beside the JSON and correct imagePath"
    ]


def test_an_image_that_is_missing(tmp_path: Path) -> None:
    write_label(tmp_path / "a" / "0.json", FEMUR, "0.png")
    write_frame(tmp_path / "a", "1", FEMUR, suffix=".tif", imagePath="scan1.tif")
    write_frame(tmp_path / "a", "2", FEMUR, imagePath=".")
    assert finding_problems(tmp_path) == [
        "a/0.json: imagePath must name an image, got 0.png; add the image or remove the JSON",
        "a/1.json: imagePath must name an image, got scan1.tif; set imagePath to 1.tif",
        "a/2.json: imagePath must name an image, got .; set imagePath to 2.png",
    ]


def test_an_image_with_two_label_files(tmp_path: Path) -> None:
    write_frame(tmp_path / "a", "0", FEMUR)
    write_label(tmp_path / "b" / "0.json", FEMUR, "../a/0.png")
    assert finding_problems(tmp_path) == [
        "b/0.json: an image must have one JSON, got a/0.json too; remove one of them"
    ]


def test_images_without_labels_are_found(tmp_path: Path) -> None:
    write_cases(tmp_path, cases=1, frames=1)
    other = tmp_path / "knee_0" / "0001.PNG"
    other.write_bytes(encoded(grey()))
    assert find_frames(tmp_path, None, Problems()).unlabelled == ["knee_0/0001.PNG"]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [False, True])
def test_lossless_images_keep_their_grey_values(
    tmp_path: Path, suffix: str, dtype: Any, colour: bool
) -> None:
    image = grey().astype(dtype) * (257 if dtype is np.uint16 else 1)
    stored = np.stack([image] * 3, axis=-1) if colour else image
    write_frame(tmp_path / "a", "0", FEMUR, stored, suffix)
    pixels = read_one(tmp_path).pixels
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, image)


def test_colour_becomes_luma(tmp_path: Path) -> None:
    red = np.zeros((32, 32, 3), dtype=np.uint8)
    red[..., 2] = 200  # OpenCV writes blue, green, red
    write_frame(tmp_path / "a", "0", FEMUR, red)
    np.testing.assert_allclose(read_one(tmp_path).pixels, 0.299 * 200, atol=1)


def test_a_jpeg_is_read_as_it_is_looked_at(tmp_path: Path) -> None:
    upright = np.zeros((32, 48), dtype=np.uint8)
    upright[:8] = 255
    stored = Image.fromarray(np.rot90(upright))
    exif = stored.getexif()
    exif[274] = 6  # turn by 90 degrees clockwise to look at it
    (tmp_path / "a").mkdir()
    stored.save(tmp_path / "a" / "0.jpg", exif=exif)
    write_label(tmp_path / "a" / "0.json", FEMUR, "0.jpg", imageWidth=48)
    pixels = read_one(tmp_path).pixels
    np.testing.assert_allclose(pixels, upright, atol=40)


def test_equal_files_have_equal_hashes(tmp_path: Path) -> None:
    for case, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_frame(tmp_path / case, "0", FEMUR, grey(seed=seed))
    images = [frame.image.read(Problems()) for frame in find(tmp_path)]
    a, b, c = (image.content_hash for image in images if image is not None)
    assert a == b
    assert a != c
    assert len(a) == 16


def test_an_absent_image_comes_from_the_json(tmp_path: Path) -> None:
    data = base64.b64encode(encoded(grey())).decode()
    write_label(tmp_path / "a" / "0.json", FEMUR, "0.png", imageData=data)
    np.testing.assert_array_equal(read_one(tmp_path).pixels, grey())


def test_an_image_file_comes_before_the_json(tmp_path: Path) -> None:
    data = base64.b64encode(encoded(grey(seed=1))).decode()
    write_frame(tmp_path / "a", "0", FEMUR, grey(), imageData=data)
    np.testing.assert_array_equal(read_one(tmp_path).pixels, grey())


@pytest.mark.parametrize("data", ["aGFsZg==", "not base64!", ""])
def test_embedded_data_that_is_no_image(tmp_path: Path, data: str) -> None:
    write_label(tmp_path / "a" / "0.json", FEMUR, "0.png", imageData=data)
    (line,) = reading_problems(tmp_path)
    assert line.startswith("a/0.json: the image must be ")


@pytest.mark.parametrize("kept", [0, 20, 300])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image(tmp_path: Path, kept: int, suffix: str) -> None:
    write_frame(tmp_path / "a", "0", FEMUR, suffix=suffix)
    path = tmp_path / "a" / f"0{suffix}"
    path.write_bytes(path.read_bytes()[:kept])
    assert reading_problems(tmp_path) == [
        f"a/0.json (0{suffix}): the image must be a whole PNG, JPEG or TIFF of 8 or 16 bit, "
        "got none; export it again"
    ]


def test_a_float_image(tmp_path: Path) -> None:
    write_frame(tmp_path / "a", "0", FEMUR, grey().astype(np.float32), ".tiff")
    (line,) = reading_problems(tmp_path)
    assert "of 8 or 16 bit, got float32" in line


@pytest.mark.parametrize(
    ("changes", "got"), [({"imageHeight": 64}, "64 x 32"), ({"imageWidth": 16}, "32 x 16")]
)
def test_a_size_that_is_not_the_images(tmp_path: Path, changes: Any, got: str) -> None:
    write_frame(tmp_path / "a", "0", FEMUR, **changes)
    (line,) = reading_problems(tmp_path)
    assert line.startswith(
        f"a/0.json: imageHeight x imageWidth must be the image's 32 x 32, got {got}; "
    )
    assert line.endswith("open and save it in LabelMe")


def test_a_size_that_is_not_stated(tmp_path: Path) -> None:
    write_frame(tmp_path / "a", "0", FEMUR, imageHeight=None, imageWidth=None)
    assert reading_problems(tmp_path) == []


@pytest.mark.parametrize(
    ("points", "got"),
    [
        ([[-1, 4], [9, 4], [9, 9]], "x -1 to 9, y 4 to 9"),
        ([[4, 4], [32.5, 4], [9, 9]], "x 4 to 32.5, y 4 to 9"),
        ([[4, -0.01], [9, 4], [9, 9]], "x 4 to 9, y -0.01 to 9"),
        ([[4, 40], [9, 50], [9, 60]], "x 4 to 9, y 40 to 60"),
    ],
)
def test_a_shape_out_of_its_frame(tmp_path: Path, points: Any, got: str) -> None:
    write_frame(tmp_path / "a", "0", [shape("femur", points)])
    assert reading_problems(tmp_path) == [
        f"a/0.json (femur): a shape must lie in the frame, x in [0, 32], y in [0, 32], got {got}; "
        "move its points into the frame in LabelMe"
    ]


def test_a_shape_may_touch_the_edge_of_its_frame(tmp_path: Path) -> None:
    corners = [[-1e-9, 0], [32, 0], [32, 32 + 1e-9], [0, 32]]
    write_frame(tmp_path / "a", "0", [shape("femur", corners)])
    assert reading_problems(tmp_path) == []


def bits_read(src: Path, regions: tuple[str, ...] | None = None) -> dict[str, int]:
    """Pixels of each label of the one frame's mask of bits."""
    problems = Problems()
    (frame,) = find_frames(src, None, problems, regions=regions).frames
    image = frame.image.read(problems)
    assert image is not None
    shapes = [shape for labels in frame.labels for shape in labels.read(image, problems)]
    assert problems.lines == []
    return {shape.label: int(shape.pixels.sum()) for shape in shapes}


@pytest.mark.parametrize("asked", [None, ("femur", "tibia")])
def test_bits_mean_what_regions_json_beside_them_says(
    tmp_path: Path, asked: tuple[str, ...] | None
) -> None:
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[:4], mask[2] = 1, 3
    folder = tmp_path / "knee"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(grey()))
    (folder / "a.bits.png").write_bytes(encoded(mask))
    (folder / "regions.json").write_text('{"regions": ["tibia", "femur"], "spacing_mm": 1}')
    assert bits_read(tmp_path, asked) == {"tibia": 128, "femur": 32}


def test_a_regions_json_of_labelme_is_one(tmp_path: Path) -> None:
    write_frame(tmp_path / "knee", "regions", FEMUR)
    (frame,) = find(tmp_path)
    assert frame.label_names == ("femur",)
    (tmp_path / "knee" / "regions.json").write_text('{"regions": 3}')
    assert any("must be a LabelMe file" in line for line in finding_problems(tmp_path))
