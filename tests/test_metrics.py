import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from drawn_masks import Mask, disc, mask_of
from numpy.typing import NDArray

from tune_knee import keys
from tune_knee.mask_pairs import compare_masks
from tune_knee.metrics import (
    RegionMetrics,
    frame_metrics,
    mean_distance_px,
    mean_metrics,
    mean_overlap,
    overlap_metrics,
    region_metrics,
)


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
