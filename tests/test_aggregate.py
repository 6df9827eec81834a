import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.aggregate import aggregate_frames
from tune_knee import keys, testing

METRICS = ["iou", "dice", "precision", "recall", "hd95_px", "assd_px"]
NAN = float("nan")


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["trial", "case", "frame", "region", *METRICS])


def test_means_by_hand():
    frames = table(
        ("a", "k1", 0, "femur", 0.8, 0.9, 0.7, 1.0, 2.0, 1.0),
        ("a", "k1", 0, "tibia", 0.5, 0.5, 0.5, 0.5, 9.0, 3.0),
        ("a", "k2", 0, "femur", 0.6, 0.7, 0.9, 0.6, 4.0, 2.0),
        ("a", "k2", 0, "tibia", 1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    )
    means = aggregate_frames(frames)
    assert means["region"].tolist() == ["femur", "tibia"]
    femur = means.iloc[0]
    assert femur[METRICS].tolist() == pytest.approx([0.7, 0.8, 0.8, 0.8, 3.0, 1.5])
    assert femur["overlap"] == pytest.approx(0.775)
    assert femur["distance_px"] == pytest.approx(2.25)
    assert means["missed_frames"].tolist() == [0, 0]


def test_a_missed_frame_counts_in_the_overlap_and_not_in_the_distance():
    frames = table(
        ("a", "k1", 0, "femur", 0.8, 0.8, 0.8, 0.8, 2.0, 1.0),
        ("a", "k1", 1, "femur", 0.0, 0.0, 0.0, 0.0, NAN, NAN),
    )
    (row,) = aggregate_frames(frames).to_dict("records")
    assert row["overlap"] == pytest.approx(0.4)
    assert row["distance_px"] == pytest.approx(1.5)
    assert row["missed_frames"] == 1


def test_a_region_never_found_has_no_distance():
    frames = table(*[("a", "k1", n, "femur", 0.0, 0.0, 0.0, 0.0, NAN, NAN) for n in range(3)])
    (row,) = aggregate_frames(frames).to_dict("records")
    assert row["overlap"] == 0
    assert np.isnan(row["distance_px"])
    assert row["missed_frames"] == 3


def test_one_distance_alone_is_no_distance():
    frames = table(("a", "k1", 0, "femur", 0.5, 0.5, 0.5, 0.5, 2.0, NAN))
    (row,) = aggregate_frames(frames).to_dict("records")
    assert np.isnan(row["distance_px"])
    assert row["missed_frames"] == 1


def test_frames_of_one_trial_need_no_name():
    frames = table(("a", "k1", 0, "femur", 0.5, 0.5, 0.5, 0.5, 2.0, 1.0)).drop(columns="trial")
    assert aggregate_frames(frames, by=())["overlap"].tolist() == [0.5]


@given(st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter_and_means_are_numpys(seed):
    generator = np.random.default_rng(seed)
    rows = [(t, k, n, r) for t in "ab" for k in ("k1", "k2") for n in range(2) for r in ("x", "y")]
    values = generator.random((len(rows), 6))
    values[generator.random(len(rows)) < 0.3, 4:] = NAN
    frames = table(*[(*key, *row) for key, row in zip(rows, values, strict=True)])
    shuffled = frames.sample(frac=1, random_state=generator)
    expected = aggregate_frames(frames)
    order = ["trial", "region"]
    moved = aggregate_frames(shuffled).sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(moved, expected.sort_values(order, ignore_index=True))
    for row in expected.to_dict("records"):
        chosen = values[[key[0] == row["trial"] and key[3] == row["region"] for key in rows]]
        assert row["overlap"] == pytest.approx(chosen[:, :4].mean())
        assert row["missed_frames"] == np.isnan(chosen[:, 4]).sum()


@pytest.mark.parametrize("in_mm", [False, True])
def test_the_study_logs_the_same_means(in_mm):
    frames = table(
        ("a", "k1", 0, "femur", 0.8, 0.9, 0.7, 1.0, 2.0, 1.0),
        ("a", "k1", 0, "tibia", 0.0, 0.0, 0.0, 0.0, NAN, NAN),
        ("a", "k2", 0, "femur", 0.6, 0.7, 0.9, 0.6, 4.0, 2.0),
        ("a", "k2", 0, "tibia", 0.0, 0.0, 0.0, 0.0, NAN, NAN),
    ).drop(columns="trial")
    if in_mm:
        millimetres = frames[["hd95_px", "assd_px"]].mul([0.2, 0.2, 0.4, 0.4], axis=0)
        frames = frames.assign(spacing_source="detector")
        frames[["hd95_mm", "assd_mm"]] = millimetres.to_numpy()
    logged = testing.aggregate_frames(frames)
    means = aggregate_frames(frames, by=()).set_index("region")
    expected = {
        keys.test(region, name): means.loc[region, name]
        for region in means.index
        for name in means.columns
    }
    assert logged == pytest.approx(expected, nan_ok=True)
    if in_mm:  # (2 * 0.2 + 4 * 0.4) / 2 and (1 * 0.2 + 2 * 0.4) / 2
        assert logged["test/femur/distance_mm"] == pytest.approx((1.0 + 0.5) / 2)


def test_missing_columns_are_named():
    frames = table(("a", "k1", 0, "femur", 0.5, 0.5, 0.5, 0.5, 2.0, 1.0))
    with pytest.raises(ValueError, match="got none named case, assd_px"):
        aggregate_frames(frames.drop(columns=["case", "assd_px"]))


def test_a_repeated_row_is_named():
    row = ("a", "k1", 7, "femur", 0.5, 0.5, 0.5, 0.5, 2.0, 1.0)
    with pytest.raises(ValueError, match=r"got 1 twice, e\.g\. .*'frame': 7"):
        aggregate_frames(table(row, row))


def test_an_undefined_overlap_is_named():
    with pytest.raises(ValueError, match=r"must be numbers, got 1 NaN, e\.g\. .*'case': 'k1'"):
        aggregate_frames(table(("a", "k1", 0, "femur", 0.5, NAN, 0.5, 0.5, 2.0, 1.0)))
