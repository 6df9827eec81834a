import io

import numpy as np
import pytest
from drawn_knee import REGIONS, drawn_knee
from labelme_files import grey
from PIL import Image

from tune_knee.data.outlines import COLOURS
from tune_knee.predict.animation import Animation, durations_ms
from tune_knee.predict.overlay import draw_overlay


def opened(content: bytes) -> tuple[list[np.ndarray], list[int]]:
    frames, durations = [], []
    with Image.open(io.BytesIO(content)) as gif:
        assert gif.format == "GIF"
        assert gif.info["loop"] == 0
        for n in range(gif.n_frames):
            gif.seek(n)
            durations.append(gif.info["duration"])
            frames.append(np.asarray(gif.convert("RGB")))
    return frames, durations


def test_errors_of_rounding_do_not_add_up() -> None:
    times = tuple(n / 15 for n in range(16))
    durations = durations_ms(16, times)
    assert set(durations) == {60, 70}
    assert sum(durations) == 1070  # 16 / 15 s
    assert durations_ms(3, (0.0, 0.1, 0.4)) == [100, 300, 200]
    assert durations_ms(2, (0.0, 0.001)) == [20, 20]  # the shortest that is shown


def test_six_a_second_where_time_is_unknown() -> None:
    assert sum(durations_ms(12, None)) == 2000
    assert durations_ms(1, None) == [170]


def test_the_gif_plays_the_overlays() -> None:
    animation = Animation(REGIONS)
    masks = [drawn_knee(flexion) for flexion in (20.0, 60.0)]
    pictures = [grey(*mask.shape, seed=n) for n, mask in enumerate(masks)]
    for picture, mask in zip(pictures, masks, strict=True):
        animation.add(picture, mask)
    frames, durations = opened(animation.gif((0.0, 0.25)))
    assert durations == [250, 250]
    for frame, picture, mask in zip(frames, pictures, masks, strict=True):
        expected = draw_overlay(picture, mask, REGIONS)
        assert np.abs(frame.astype(int) - expected.astype(int)).max() <= 1
        for colour in COLOURS[: len(REGIONS)]:
            np.testing.assert_array_equal(
                (frame == colour).all(axis=2), (expected == colour).all(axis=2)
            )


def test_frames_of_several_sizes_share_a_canvas_and_large_ones_are_brought_down() -> None:
    animation = Animation(("a",))
    animation.add(np.full((900, 1200), 200, np.uint8), np.ones((900, 1200), np.uint8))
    animation.add(np.full((30, 40), 100, np.uint8), np.zeros((30, 40), np.uint8))
    frames, _ = opened(animation.gif(None))
    assert frames[0].shape == frames[1].shape
    assert frames[0].shape[1] == 512
    assert frames[0][200, 200].tolist() == pytest.approx([200] * 3, abs=1)
    assert frames[1][29, 39].tolist() == pytest.approx([100] * 3, abs=1)
    assert frames[1][100, 100].tolist() == [0, 0, 0]


@pytest.mark.parametrize("width", [16, 64, 300, 2000])
def test_an_overlay_keeps_the_frames_geometry(width: int) -> None:
    picture = grey(20, width)
    mask = np.zeros((20, width), np.uint8)
    mask[5:15, 4:12] = 0b11
    regions = ("femur", "patellar_tendon", "tibia", "patella")
    drawn = draw_overlay(picture, mask, regions)
    assert drawn.shape[0] > 20
    assert drawn.shape[1] >= width
    untouched = np.s_[0:2, 13:16]
    np.testing.assert_array_equal(drawn[untouched], np.dstack([picture[untouched]] * 3))
    legend = drawn[20:]
    for colour in COLOURS[:4]:
        assert (legend == colour).all(axis=2).any()
    assert not (legend == COLOURS[4]).all(axis=2).any()
