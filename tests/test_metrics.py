import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medpy.metric import binary as medpy
from numpy.typing import NDArray

from tune_knee import keys
from tune_knee.mask_pairs import MAX_SIDE_PX, REACH, compare_masks
from tune_knee.metrics import (
    RegionMetrics,
    frame_metrics,
    mean_distance_px,
    mean_metrics,
    mean_overlap,
    overlap_metrics,
    region_metrics,
)

Mask = NDArray[np.bool_]
SHAPE = (130, 200)


def mask_of(shape: tuple[int, int], *pixels: tuple[int, int]) -> Mask:
    mask = np.zeros(shape, bool)
    for y, x in pixels:
        mask[y, x] = True
    return mask


def disc(shape: tuple[int, int], y: float, x: float, radius: float) -> Mask:
    rows, columns = np.indices(shape)
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


def by_medpy(prediction: Mask, truth: Mask) -> list[float]:
    functions = (medpy.jc, medpy.dc, medpy.precision, medpy.recall, medpy.hd95, medpy.assd)
    return [float(function(prediction, truth)) for function in functions]


def border_points(mask: Mask) -> NDArray[np.intp]:
    padded = np.pad(mask, 1)
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.argwhere(mask & ~np.logical_and.reduce(neighbours))


def distances_by_definition(prediction: Mask, truth: Mask) -> list[float]:
    """HD95 and ASSD from the distances of all pairs of border pixels."""
    p, t = border_points(prediction), border_points(truth)
    all_pairs = np.sqrt(((p[:, None] - t[None]) ** 2).sum(axis=-1))
    pooled = np.concatenate([all_pairs.min(axis=1), all_pairs.min(axis=0)])
    return [float(np.percentile(pooled, 95)), float(pooled.mean())]


def assert_equal_to_medpy(prediction: Mask, truth: Mask) -> None:
    ours = dataclasses.astuple(region_metrics(prediction, truth))
    np.testing.assert_allclose(ours, by_medpy(prediction, truth), rtol=0, atol=1e-9)


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, int]) -> Mask:
    """Not empty: noise of any density, and unions of rectangles, down to single pixels."""
    height, width = shape
    mask = np.zeros(shape, bool)
    if draw(st.booleans()):
        density = draw(st.sampled_from([0.001, 0.05, 0.5, 0.95]))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        mask |= rng.random(shape) < density
    for _ in range(draw(st.integers(0 if mask.any() else 1, 3))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + draw(st.integers(1, height)), x : x + draw(st.integers(1, width))] = True
    return mask


@st.composite
def mask_pairs(draw: st.DrawFn, longest: int = 200) -> tuple[Mask, Mask]:
    sides = st.integers(1, longest) | st.sampled_from([1, 63, 64, 65, 128, 129])
    shape = (draw(sides), draw(sides))
    return draw(masks(shape)), draw(masks(shape))


def pathological_masks() -> dict[str, Mask]:
    rows, columns = np.indices(SHAPE)
    ring = disc(SHAPE, 64, 100, 50) & ~disc(SHAPE, 64, 100, 46)
    return {
        "corner pixel": mask_of(SHAPE, (0, 0)),
        "other corner": mask_of(SHAPE, (129, 199)),
        "full": np.ones(SHAPE, bool),
        "all but one": ~mask_of(SHAPE, (65, 64)),
        "frame": (rows % 129 == 0) | (columns % 199 == 0),
        "row": rows == 77,
        "column": columns == 63,
        "diagonal": rows == columns,
        "checkerboard": (rows + columns) % 2 == 0,
        "half checkerboard": ((rows + columns) % 2 == 0) & (columns < 60),
        "other half": ((rows + columns) % 2 == 0) & (columns > 140),
        "disc": disc(SHAPE, 64, 100, 40),
        "disc in it": disc(SHAPE, 60, 95, 12),
        "ring": ring,
        "disc and islands": disc(SHAPE, 64, 100, 40) | disc(SHAPE, 6, 6, 5) | (columns == 199),
    }


def test_field_order_is_that_of_the_keys() -> None:
    assert tuple(field.name for field in dataclasses.fields(RegionMetrics)) == keys.METRICS


def test_square_shifted_by_one_pixel() -> None:
    # Of the 8 border pixels of each, 4 lie on the other's border and 4 lie 1 px from it.
    truth, prediction = np.zeros((2, 6, 6), bool)
    truth[1:4, 1:4] = True
    prediction[1:4, 2:5] = True
    expected = RegionMetrics(6 / 12, 12 / 18, 6 / 9, 6 / 9, 1.0, 0.5)
    assert region_metrics(prediction, truth) == expected


def test_percentile_interpolates_between_distances_and_not_their_squares() -> None:
    truth = mask_of((10, 13), (0, 0))
    prediction = mask_of((10, 13), (0, 0), (8, 12), (9, 12))  # pooled: 0, 0, √208, √225
    result = region_metrics(prediction, truth)
    assert result.hd95_px == pytest.approx(math.sqrt(208) + 0.85 * (15 - math.sqrt(208)))
    assert result.assd_px == pytest.approx((math.sqrt(208) + 15) / 4)
    assert (result.precision, result.recall) == (1 / 3, 1.0)


def test_percentile_of_a_line() -> None:
    truth, prediction = mask_of((1, 10), (0, 0)), np.ones((1, 10), bool)
    result = region_metrics(prediction, truth)  # pooled: 0, 0, 1, ..., 9
    assert result.hd95_px == pytest.approx(8.5)
    assert result.assd_px == pytest.approx(45 / 11)


def test_edge_of_the_image_is_border() -> None:
    # The full square's border is its outer ring; the inner one's lies 1 px (4 corners √2) away.
    truth = np.ones((5, 5), bool)
    prediction = np.zeros((5, 5), bool)
    prediction[1:4, 1:4] = True
    result = region_metrics(prediction, truth)
    assert result.assd_px == pytest.approx((8 * 1 + 12 * 1 + 4 * math.sqrt(2)) / 24)


def test_empty_masks() -> None:
    nothing, something = np.zeros((4, 70), bool), mask_of((4, 70), (1, 66))
    assert region_metrics(nothing, nothing) == RegionMetrics(1.0, 1.0, 1.0, 1.0, 0.0, 0.0)
    for pair in ((nothing, something), (something, nothing)):
        result = dataclasses.astuple(region_metrics(*pair))
        assert result[:4] == (0.0, 0.0, 0.0, 0.0)
        assert np.isnan(result[4:]).all()


def test_every_offset_within_and_beyond_the_reach_of_the_bit_scan() -> None:
    shape = (3 * REACH, 6 * REACH)
    truth = mask_of(shape, (40, 100))
    for y in range(shape[0]):
        for x in range(shape[1]):
            result = region_metrics(mask_of(shape, (y, x)), truth)
            assert result.hd95_px == result.assd_px == math.sqrt((y - 40) ** 2 + (x - 100) ** 2)


@pytest.mark.parametrize("name", pathological_masks())
def test_pathological_masks_equal_medpy(name: str) -> None:
    prediction = pathological_masks()[name]
    for truth in pathological_masks().values():
        assert_equal_to_medpy(prediction, truth)


@settings(max_examples=150, deadline=None)
@given(mask_pairs())
def test_random_masks_equal_medpy(pair: tuple[Mask, Mask]) -> None:
    assert_equal_to_medpy(*pair)


@settings(max_examples=100, deadline=None)
@given(mask_pairs(longest=40))
def test_distances_equal_their_definition(pair: tuple[Mask, Mask]) -> None:
    result = region_metrics(*pair)
    expected = distances_by_definition(*pair)
    assert [result.hd95_px, result.assd_px] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(mask_pairs())
def test_laws(pair: tuple[Mask, Mask]) -> None:
    prediction, truth = pair
    result = region_metrics(prediction, truth)
    swapped = region_metrics(truth, prediction)
    assert (swapped.precision, swapped.recall) == (result.recall, result.precision)
    assert (swapped.iou, swapped.dice, swapped.hd95_px) == (
        result.iou,
        result.dice,
        result.hd95_px,
    )
    assert swapped.assd_px == pytest.approx(result.assd_px)
    for turn in (np.transpose, np.flipud, np.fliplr):
        turned = dataclasses.astuple(region_metrics(turn(prediction), turn(truth)))
        assert turned == pytest.approx(dataclasses.astuple(result), abs=1e-12)
    assert result.dice == pytest.approx(2 * result.iou / (1 + result.iou))
    assert region_metrics(truth, truth) == RegionMetrics(1.0, 1.0, 1.0, 1.0, 0.0, 0.0)


def test_longest_side_does_not_overflow() -> None:
    truth, prediction = np.zeros((2, MAX_SIDE_PX, MAX_SIDE_PX), bool)
    truth[0, 0] = prediction[-1, -1] = True
    assert region_metrics(prediction, truth).hd95_px == math.sqrt(2) * (MAX_SIDE_PX - 1)


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), bool), "prediction must be a 2-dim"),
        (np.zeros((4, 4), bool), np.zeros((4, 4)), "truth must be a 2-dim"),
        (np.zeros((1, 4, 4), bool), np.zeros((1, 4, 4), bool), "prediction must be a 2-dim"),
        (np.zeros((4, 4), bool), np.zeros((4, 5), bool), "must have one shape"),
        (np.zeros((0, 4), bool), np.zeros((0, 4), bool), "sides must be from 1 to"),
        (np.zeros((1, 8193), bool), np.zeros((1, 8193), bool), "sides must be from 1 to"),
    ],
)
def test_bad_masks_are_refused(prediction: Mask, truth: Mask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        region_metrics(prediction, truth)


def bit_masks(frames: int, shape: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Eight overlapping discs a frame; now and then a region is absent."""
    rng = np.random.default_rng(seed)
    bits = np.zeros((frames, *shape), np.uint8)
    for n in range(frames):
        for region in range(8):
            y, x, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(1, 20)
            if rng.random() < 0.8:
                bits[n] |= disc(shape, y, x, radius).astype(np.uint8) << region
    return bits


@pytest.mark.parametrize("shape", [(64, 64), (37, 101)])
@pytest.mark.parametrize("regions", [1, 4, 8])
def test_frames_equal_their_regions(shape: tuple[int, int], regions: int) -> None:
    predictions, truths = bit_masks(12, shape, seed=1), bit_masks(12, shape, seed=2)
    result = frame_metrics(predictions, truths, regions)
    assert result.shape == (12, regions, 6)
    for n in range(12):
        for r in range(regions):
            pair = [(bits[n] >> r & 1).astype(bool) for bits in (predictions, truths)]
            np.testing.assert_array_equal(result[n, r], dataclasses.astuple(region_metrics(*pair)))


def test_any_memory_layout_is_read_and_compiled_once(tmp_path: Path) -> None:
    predictions, truths = bit_masks(3, (64, 64), seed=3), bit_masks(3, (64, 64), seed=4)
    expected = frame_metrics(predictions, truths, 4)
    np.save(tmp_path / "masks.npy", truths)
    mapped = np.load(tmp_path / "masks.npy", mmap_mode="r")
    np.testing.assert_array_equal(frame_metrics(predictions, mapped, 4), expected)
    fortran = np.asfortranarray(predictions)
    np.testing.assert_array_equal(frame_metrics(fortran, truths, 4), expected)
    region_metrics(predictions[0] > 0, truths[0] > 0)
    assert len(compare_masks.signatures) == 1
    assert predictions.flags.writeable


def test_threads_do_not_share_anything() -> None:
    predictions, truths = bit_masks(64, (65, 130), seed=5), bit_masks(64, (65, 130), seed=6)
    expected = frame_metrics(predictions, truths, 8)
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda n: frame_metrics(predictions[n::4], truths[n::4], 8), range(4))
        for n, part in enumerate(parts):
            np.testing.assert_array_equal(part, expected[n::4])


def test_frames_of_a_dataset_may_be_none() -> None:
    none = np.zeros((0, 8, 8), np.uint8)
    assert frame_metrics(none, none, 3).shape == (0, 3, 6)


@pytest.mark.parametrize("regions", [0, 9])
def test_bad_number_of_regions_is_refused(regions: int) -> None:
    bits = np.zeros((1, 8, 8), np.uint8)
    with pytest.raises(ValueError, match=f"got regions={regions}"):
        frame_metrics(bits, bits, regions)


def test_frames_of_another_type_are_refused() -> None:
    bits = np.zeros((1, 8, 8), np.uint8)
    with pytest.raises(ValueError, match="truth must be a 3-dimensional uint8 array"):
        frame_metrics(bits, bits.astype(bool), 4)


def test_overlap_from_counts() -> None:
    # Rows: a usual pair, both empty, nothing predicted, nothing true, disjoint.
    true_positive = [6, 0, 0, 0, 0]
    false_positive = [2, 0, 0, 5, 3]
    false_negative = [4, 0, 7, 0, 4]
    expected = [[6 / 12, 12 / 18, 6 / 8, 6 / 10], [1] * 4, [0] * 4, [0] * 4, [0] * 4]
    result = overlap_metrics(true_positive, false_positive, false_negative)
    np.testing.assert_array_equal(result, expected)


def test_overlap_keeps_the_shape_of_the_counts() -> None:
    counts = np.arange(18).reshape(3, 2, 3)
    result = overlap_metrics(*counts)
    assert result.shape == (2, 3, 4)
    np.testing.assert_array_equal(result[1, 2], overlap_metrics(*counts[:, 1, 2]))


def test_means_leave_undefined_distances_out_and_count_them() -> None:
    nan = math.nan
    metrics = np.array(
        [
            [[1.0, 1.0, 1.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0, nan, nan]],
            [[0.5, 0.6, 0.7, 0.8, 4.0, 2.0], [0.0, 0.0, 0.0, 0.0, nan, nan]],
            [[0.0, 0.0, 0.0, 0.0, nan, nan], [0.0, 0.0, 0.0, 0.0, nan, nan]],
        ]
    )
    result = mean_metrics(metrics)
    np.testing.assert_allclose(result.mean[0], [0.5, 1.6 / 3, 1.7 / 3, 0.6, 3.0, 1.5])
    np.testing.assert_array_equal(result.mean[1], [0, 0, 0, 0, nan, nan])
    np.testing.assert_array_equal(result.missed, [1, 3])
    np.testing.assert_allclose(mean_overlap(result.mean), [2.2 / 4, 0])
    np.testing.assert_allclose(mean_distance_px(result.mean), [2.25, nan])


def test_means_of_the_published_tables() -> None:
    # FCN_UNet, CE2, patellar tendon: Table 4 has the six, Table 8 both means of them.
    mean = np.array([0.7164, 0.8261, 0.8109, 0.8676, 5.7483, 1.6693])
    assert mean_overlap(mean) == pytest.approx(0.8053, abs=6e-5)
    assert mean_distance_px(mean) == pytest.approx(3.7088, abs=6e-5)


@pytest.mark.parametrize("function", [mean_metrics, mean_overlap, mean_distance_px])
def test_means_want_six_metrics(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="the last axis must hold iou, dice"):
        function(np.zeros((3, 5)))


def test_means_want_a_frame() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        mean_metrics(np.zeros((0, 4, 6)))
