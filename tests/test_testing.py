import math
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from tiny_knees import REGIONS, tiny_budget, tiny_knees
from torch import nn

from tune_knee import keys
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import TrialConfig
from tune_knee.metrics import region_metrics
from tune_knee.networks import build_network
from tune_knee.storage import FolderStorage
from tune_knee.testing import (
    aggregate_frames,
    evaluate_frames,
    evaluate_trial,
    spacing_source,
)

CPU = torch.device("cpu")
NAN = math.nan
TRIAL = TrialConfig(network="segformer_b2")


class Threshold(nn.Module):
    """Calls bright what is above a frame's mean for both regions: wrong, but not at random."""

    def forward(self, images):
        return images.repeat(1, 2, 1, 1)


def test_there_is_a_row_per_test_frame_and_region():
    dataset = tiny_knees(test=3)
    rows = evaluate_frames(Threshold(), dataset, batch_size=2, device=CPU).frames
    assert list(rows.columns) == [keys.CASE, keys.FRAME, keys.REGION, *keys.METRICS]
    assert rows[keys.REGION].tolist() == list(REGIONS) * 3
    positions = dataset.indices("test")
    expected_frames = dataset.frames["frame"].iloc[positions].repeat(2).tolist()
    assert rows[keys.FRAME].tolist() == expected_frames
    assert set(rows[keys.CASE]) == {"case_test"}


def test_a_row_holds_the_metrics_of_its_frame_and_region():
    dataset = tiny_knees(test=3)
    rows = evaluate_frames(Threshold(), dataset, batch_size=2, device=CPU).frames
    truths = dataset.region_masks(dataset.indices("test"))
    images = dataset.images[dataset.indices("test")]
    for n, row in enumerate(rows.itertuples()):
        bright = images[n // 2] > images[n // 2].mean()
        expected = region_metrics(bright, truths[n // 2, n % 2])
        for metric in keys.METRICS:
            assert getattr(row, metric) == getattr(expected, metric)


def test_the_masks_are_what_the_metrics_were_taken_of():
    dataset = tiny_knees(test=3)
    tested = evaluate_frames(Threshold(), dataset, batch_size=2, device=CPU)
    positions = dataset.indices("test")
    assert tested.masks[keys.FRAME].tolist() == dataset.frames["frame"].iloc[positions].tolist()
    for n, png in enumerate(tested.masks[keys.PNG]):
        mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        image = dataset.images[positions[n]]
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, np.where(image > image.mean(), 0b11, 0))


def known_spacing(mm, source="patient"):
    """Frames of 16 px, test frames last: each line is seen 6 px to the right of where it is."""
    dataset = tiny_knees(train=1, validation=1, test=len(mm) - 2, size_px=16)
    images, masks = np.zeros_like(dataset.images), np.zeros_like(dataset.masks)
    images[:, :, 10:12] = 200
    masks[:, :, 4:6] = 0b11
    frames = dataset.frames.assign(spacing_mm=mm, spacing_source=source)
    return replace(dataset, images=images, masks=masks, frames=frames)


def test_millimetres_are_each_frames_pixels_times_its_spacing_at_that_size():
    dataset = known_spacing([0.1, 0.1, 0.2, 0.5])
    whole = evaluate_frames(Threshold(), dataset, batch_size=2, device=CPU).frames
    # columns 4 and 5 against 10 and 11: 6, 5, 5 and 6 px
    assert whole["assd_px"].tolist() == [5.5] * 4
    assert whole["assd_mm"].tolist() == pytest.approx([1.1, 1.1, 2.75, 2.75])
    assert whole["hd95_mm"].tolist() == pytest.approx([1.2, 1.2, 3.0, 3.0])
    assert set(whole[keys.SPACING_SOURCE]) == {"patient"}
    half = evaluate_frames(Threshold(), dataset.resized(8), batch_size=2, device=CPU).frames
    # column 2 against 5, of pixels twice as large
    assert half["hd95_px"].tolist() == half["assd_px"].tolist() == [3] * 4
    assert half["hd95_mm"].tolist() == pytest.approx([1.2, 1.2, 3.0, 3.0])
    assert half["assd_mm"].tolist() == pytest.approx([1.2, 1.2, 3.0, 3.0])
    assert spacing_source(half) == "patient"
    means = aggregate_frames(half)
    assert means["test/disc/hd95_mm"] == means["test/bar/distance_mm"] == pytest.approx(2.1)
    assert means["test/disc/distance_px"] == 3


@pytest.mark.parametrize(
    ("mm", "source"),
    [
        ([NAN, 0.1, 0.2, 0.5], ["", "patient", "patient", "patient"]),  # of a training frame
        ([0.1, 0.1, 0.2, 0.5], ["patient", "patient", "detector", "detector"]),
        ([0.1, 0.1, 0.2, 0.0], "patient"),
    ],
)
def test_without_one_spacing_for_all_there_are_pixels_alone(mm, source):
    dataset = known_spacing(mm, source)
    rows = evaluate_frames(Threshold(), dataset, batch_size=2, device=CPU).frames
    assert list(rows.columns) == [keys.CASE, keys.FRAME, keys.REGION, *keys.METRICS]
    assert spacing_source(rows) == ""
    assert not [name for name in aggregate_frames(rows) if name.endswith("_mm")]


def test_a_frame_without_a_distance_has_none_in_millimetres():
    dataset = known_spacing([0.1, 0.1, 0.2, 0.5])
    dataset.masks[-1] = 0
    rows = evaluate_frames(Threshold(), dataset, batch_size=2, device=CPU).frames
    assert rows["hd95_mm"].isna().tolist() == [False, False, True, True]
    means = aggregate_frames(rows)
    assert means["test/disc/hd95_mm"] == pytest.approx(1.2)
    assert means["test/disc/missed_frames"] == 1


def frames_of(region, hd95, assd=None):
    """Rows of one region, whose overlap metrics are 0.1, 0.2, ... in each."""
    rows = pd.DataFrame({keys.REGION: region, "hd95_px": hd95})
    rows["assd_px"] = rows["hd95_px"] if assd is None else assd
    for number, metric in enumerate(keys.OVERLAP_METRICS):
        rows[metric] = (number + 1) / 10
    return rows


def test_means_and_the_two_means_of_means_by_hand():
    rows = frames_of("femur", hd95=[3.0, 5.0], assd=[1.0, 2.0])
    rows["iou"] = [0.2, 0.6]
    assert aggregate_frames(rows) == pytest.approx(
        {
            "test/femur/iou": 0.4,
            "test/femur/dice": 0.2,
            "test/femur/precision": 0.3,
            "test/femur/recall": 0.4,
            "test/femur/hd95_px": 4.0,
            "test/femur/assd_px": 1.5,
            "test/femur/overlap": (0.4 + 0.2 + 0.3 + 0.4) / 4,
            "test/femur/distance_px": 2.75,
            "test/femur/missed_frames": 0,
        }
    )


def test_frames_without_a_distance_are_left_out_of_its_mean_and_counted():
    metrics = aggregate_frames(frames_of("femur", hd95=[3.0, NAN, 5.0, NAN], assd=[1, NAN, 3, NAN]))
    assert metrics["test/femur/hd95_px"] == 4
    assert metrics["test/femur/assd_px"] == 2
    assert metrics["test/femur/distance_px"] == 3
    assert metrics["test/femur/missed_frames"] == 2


def test_a_region_missed_on_every_frame_has_no_distance():
    metrics = aggregate_frames(frames_of("femur", hd95=[NAN, NAN]))
    for metric in ("hd95_px", "assd_px", keys.DISTANCE_PX):
        assert math.isnan(metrics[keys.test("femur", metric)])
    assert metrics["test/femur/missed_frames"] == 2
    assert metrics["test/femur/overlap"] == pytest.approx(0.25)


def test_regions_are_kept_apart_and_in_order():
    rows = pd.concat([frames_of("tibia", [1.0]), frames_of("femur", [2.0, NAN])])
    metrics = aggregate_frames(rows.sample(frac=1, random_state=3))
    assert (metrics["test/tibia/hd95_px"], metrics["test/femur/hd95_px"]) == (1, 2)
    assert (metrics["test/tibia/missed_frames"], metrics["test/femur/missed_frames"]) == (0, 1)
    assert next(iter(aggregate_frames(rows))).startswith("test/tibia/")
    assert len(metrics) == 2 * 9


@pytest.fixture
def trained(tmp_path):
    """Checkpoints with best weights; returns them with the network."""
    torch.manual_seed(0)
    network = build_network(TRIAL.network, regions=2, width=0.25)
    nn.init.constant_(network.decode_head.conv_seg.bias, 0.1)
    checkpoints = Checkpoints.of(FolderStorage(tmp_path), "abc")
    checkpoints.save_best(2, network.state_dict(), referred=None)
    return checkpoints, network


def test_a_trial_is_tested_with_its_best_weights(trained):
    checkpoints, network = trained
    tested = evaluate_trial(checkpoints, TRIAL, tiny_budget(), tiny_knees())
    expected = evaluate_frames(network, tiny_knees(), batch_size=2, device=CPU)
    pd.testing.assert_frame_equal(tested.frames, expected.frames)
    pd.testing.assert_frame_equal(tested.masks, expected.masks)
    assert not np.isclose(expected.frames["recall"], 0).all()


def test_a_trial_without_best_weights_cannot_be_tested(tmp_path):
    checkpoints = Checkpoints.of(FolderStorage(tmp_path), "abc")
    with pytest.raises(ValueError, match="must hold best weights"):
        evaluate_trial(checkpoints, TRIAL, tiny_budget(), tiny_knees())
    assert not (tmp_path / "trials" / "abc").exists()
