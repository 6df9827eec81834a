import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis.figures.style import style
from analysis.figures.xray import Panel, Window, find_frames, follow, new_sheet, outlines
from analysis.pictures import Pictures

masks = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 3), st.just(9), st.just(7)),
    elements=st.sampled_from([0, 0, 0, 1, 2]),
)


def one(*set_pixels: tuple[int, int], shape: tuple[int, int] = (10, 10)) -> np.ndarray:
    mask = np.zeros(shape, dtype=np.uint8)
    for row, column in set_pixels:
        mask[row, column] = 1
    return mask


def corners(outline: np.ndarray) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for x, y in outline.T if not np.isnan(x)}


class TestWindow:
    def test_around_by_hand(self):
        mask = np.stack([one((3, 4)), one((6, 5))])
        assert Window.around(mask, 0.0) == Window(top=3, bottom=7, left=4, right=6)
        # A quarter of the longer side, four rows, is one pixel.
        assert Window.around(mask, 0.25) == Window(top=2, bottom=8, left=3, right=7)
        assert Window.around(mask, 0.0).aspect == 2

    def test_it_ends_where_the_picture_does(self):
        mask = one((0, 9))[None]
        assert Window.around(mask, 3.0) == Window(top=0, bottom=4, left=6, right=10)

    def test_nothing_set_is_everything(self):
        empty = np.zeros((2, 4, 6), dtype=np.uint8)
        assert Window.around(empty) == Window(top=0, bottom=4, left=0, right=6)

    @given(masks)
    def test_it_holds_all_that_is_set(self, mask):
        window = Window.around(mask)
        for each in mask:
            assert window.of(each).sum() == each.sum()


class TestFollow:
    def test_one_size_with_the_region_in_its_middle(self):
        mask = np.stack([one((4, 4), (5, 4)), one((2, 7)), one()])
        windows = follow(mask, 0.5)
        # The largest is two rows by one column; the margin a pixel on each side.
        assert windows[0] == Window(top=3, bottom=7, left=3, right=6)
        assert (windows[1].top, windows[1].left) == (0, 6)
        # Empty: in the middle of rows 2 to 5 and columns 4 to 7.
        assert windows[2] == Window(top=2, bottom=6, left=4, right=7)

    def test_nothing_anywhere(self):
        (window,) = follow(np.zeros((1, 4, 6), dtype=np.uint8), 0.5)
        assert window == Window(top=0, bottom=4, left=0, right=6)

    @given(masks, st.floats(0, 2))
    def test_of_one_size_inside_the_picture_and_around_each_region(self, mask, margin):
        windows = follow(mask, margin)
        assert len({(one.bottom - one.top, one.right - one.left) for one in windows}) == 1
        for window, each in zip(windows, mask, strict=True):
            assert 0 <= window.top < window.bottom <= 9
            assert 0 <= window.left < window.right <= 7
            assert window.of(each).sum() == each.sum()


class TestOutlines:
    WHOLE = Window(top=0, bottom=10, left=0, right=10)

    def test_a_square_by_hand(self):
        # Pixels (2, 2) to (3, 3) of ten: borders at 0.2 and 0.4, corners cut half a pixel short.
        square = one((2, 2), (2, 3), (3, 2), (3, 3))
        (outline,) = outlines(square, [0], self.WHOLE)
        assert corners(np.round(outline, 9)) == {
            (0.25, 0.2), (0.35, 0.2), (0.4, 0.25), (0.4, 0.35),
            (0.35, 0.4), (0.25, 0.4), (0.2, 0.35), (0.2, 0.25),
        }  # fmt: skip

    def test_points_on_straight_lines_are_left_out(self):
        bar = one(*[(5, column) for column in range(1, 9)])
        (outline,) = outlines(bar, [0], self.WHOLE)
        assert len(corners(outline)) == 6

    def test_regions_apart_and_holes_are_lines_of_their_own(self):
        two = one((1, 1), (5, 5))
        ring = one(*[(r, c) for r in (6, 7, 8) for c in (2, 3, 4) if (r, c) != (7, 3)])
        for mask in (two, ring):
            (outline,) = outlines(mask, [0], self.WHOLE)
            assert np.isnan(outline[0]).sum() == 1

    def test_bits_are_told_apart_and_the_window_is_the_unit(self):
        mask = one((4, 4)) | one((6, 6)) << 1
        window = Window(top=3, bottom=9, left=3, right=8)
        first, second, none = outlines(mask, [0, 1, 2], window)
        np.testing.assert_allclose(first.mean(axis=1), [1.5 / 5, 1.5 / 5], atol=0.03)
        assert first[0].max() < second[0].min()
        assert none.shape == (2, 0)

    def test_drawn_where_the_pixels_are(self):
        with style():
            _, axes = new_sheet(3)
            panel = Panel(axes=axes, window=self.WHOLE, x=1, y=0.5, width=2)
            panel.show(np.zeros((10, 10), dtype=np.uint8))
            (outline,) = outlines(one((2, 7)), [0], panel.window)
            panel.trace(outline, "#ffffff", 1)
        (line,) = axes.lines
        x, y = line.get_data()
        assert (min(x), max(x)) == pytest.approx((1 + 2 * 0.7, 1 + 2 * 0.8))
        assert (min(y), max(y)) == pytest.approx((0.5 + 2 * 0.2, 0.5 + 2 * 0.3))
        assert axes.images[0].get_extent() == [1, 3, 2.5, 0.5]


class TestFindFrames:
    PICTURES = Pictures(
        images=np.zeros((3, 2, 2), dtype=np.uint8),
        masks=np.zeros((3, 2, 2), dtype=np.uint8),
        frames=pd.DataFrame({"case": ["a", "a", "b"], "frame": ["0", "1", "0"], "side": ""}),
        regions=("femur",),
    )

    def test_in_the_order_asked_for(self):
        chosen = pd.DataFrame({"case": ["b", "a"], "frame": ["0", "1"]})
        assert find_frames(self.PICTURES, chosen).tolist() == [2, 1]

    def test_one_that_is_not_there_is_named(self):
        chosen = pd.DataFrame({"case": ["a", "b"], "frame": ["0", "1"]})
        with pytest.raises(ValueError, match="got none of case=b frame=1"):
            find_frames(self.PICTURES, chosen)
