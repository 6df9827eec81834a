import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_knees import REGIONS, tiny_knees
from torch import nn

from tune_knee.data.frame_store import FrameStore
from tune_knee.metrics import overlap_metrics, region_metrics
from tune_knee.validation import Validation, pack_bits, validate

CPU = torch.device("cpu")


class Fixed(nn.Module):
    """Gives prepared logits (N, R, H, W) in the frames' order, whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.seen, self.trained = logits, 0, []

    def forward(self, images):
        self.trained.append(self.training)
        start, self.seen = self.seen, self.seen + len(images)
        return self.logits[start : self.seen]


def predicting(masks):
    """A network that predicts given boolean masks (N, R, H, W)."""
    return Fixed(torch.from_numpy(masks).float() * 2 - 1)


@given(
    st.integers(1, 8).flatmap(
        lambda regions: arrays.arrays(np.bool_, st.tuples(*map(st.just, (2, regions, 3, 4))))
    )
)
def test_packed_bits_unpack_to_what_they_were(channels):
    packed = pack_bits(torch.from_numpy(channels))
    assert packed.dtype == torch.uint8
    bits = np.arange(channels.shape[1])[:, None, None]
    np.testing.assert_array_equal(packed.numpy()[:, None] >> bits & 1 == 1, channels)


def test_region_r_becomes_bit_r():
    channels = torch.eye(8, dtype=torch.bool).reshape(1, 8, 1, 8)
    assert pack_bits(channels).flatten().tolist() == [1, 2, 4, 8, 16, 32, 64, 128]


def test_a_perfect_network_has_perfect_figures():
    dataset = tiny_knees(validation=3)
    truth = dataset.region_masks(dataset.indices("validation"))
    store = FrameStore(dataset, "validation", CPU)
    result = validate(predicting(truth), store, len(REGIONS), batch_size=2)
    assert result.mean_iou == result.overlap == 1
    assert result.distance_px() == 0
    np.testing.assert_array_equal(result.predictions, store.masks)
    np.testing.assert_array_equal(result.truths, store.masks)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_figures_are_those_of_single_frames_whatever_the_batch(batch_size):
    dataset = tiny_knees(validation=3)
    truth = dataset.region_masks(dataset.indices("validation"))
    guess = np.roll(truth, (2, 1), axis=(2, 3))
    store = FrameStore(dataset, "validation", CPU)
    result = validate(predicting(guess), store, len(REGIONS), batch_size)
    pairs = [[region_metrics(guess[n, r], truth[n, r]) for r in range(2)] for n in range(3)]
    expected = np.array(
        [[[m.iou, m.dice, m.precision, m.recall, m.hd95_px, m.assd_px] for m in row]
         for row in pairs]
    )  # fmt: skip
    np.testing.assert_array_equal(result.frame_metrics, expected)
    np.testing.assert_allclose(result.overlaps, expected[:, :, :4].mean(axis=0), rtol=1e-12)
    assert result.mean_iou == pytest.approx(expected[:, :, 0].mean())
    assert result.overlap == pytest.approx(expected[:, :, :4].mean())
    assert result.distance_px() == pytest.approx(expected[:, :, 4:].mean())


def test_mean_iou_weighs_frames_alike_and_not_pixels():
    # Frame 1: 1 of 2 px found, IoU 0.5; frame 2: 3 of 3, IoU 1; pooled it would be 4/5.
    overlaps = overlap_metrics([[1], [3]], [[0], [0]], [[1], [0]]).mean(axis=0)
    nothing = np.zeros((2, 2, 2), np.uint8)
    assert Validation(nothing, nothing, overlaps).mean_iou == 0.75


@pytest.mark.parametrize(("logit", "found"), [(0.0, False), (1e-30, True), (-1e-30, False)])
def test_a_probability_of_exactly_one_half_is_background(logit, found):
    dataset = tiny_knees(validation=1)
    network = Fixed(torch.full((1, 2, 32, 32), logit))
    result = validate(network, FrameStore(dataset, "validation", CPU), 2, batch_size=2)
    assert (result.predictions == (3 if found else 0)).all()


def test_the_network_predicts_in_evaluation_mode_and_without_gradients():
    dataset = tiny_knees(validation=3)
    network = Fixed(torch.zeros(3, 2, 32, 32, requires_grad=True)).train()
    validate(network, FrameStore(dataset, "validation", CPU), 2, batch_size=2)
    assert network.trained == [False, False]
    assert network.logits.grad is None


def distance_of(guess, truth):
    predictions, truths = (np.array(masks, np.uint8) for masks in (guess, truth))
    return Validation(predictions, truths, np.zeros((2, 4))).distance_px()


ROW = [[1, 2, 0, 0]]  # region 0 at x = 0, region 1 at x = 1
FAR = [[0, 2, 0, 1]]  # region 0 at x = 3


def test_distance_is_the_mean_over_regions_of_frames_with_one():
    # Region 0: 3 px off on frame 1, missed on frame 2; region 1 never off. (3 + 0) / 2.
    assert distance_of([FAR, [[0, 2, 0, 0]]], [ROW, ROW]) == 1.5
    # Regions weigh alike, not frames: the plain mean of 3, 0, 0 would be 1.


def test_distance_is_undefined_when_a_region_is_missed_on_every_frame():
    missing = [[0, 2, 0, 0]]
    assert math.isnan(distance_of([missing, missing], [ROW, ROW]))


def test_a_region_absent_and_not_predicted_has_distance_zero():
    absent = [[0, 2, 0, 0]]
    assert distance_of([absent], [absent]) == 0
