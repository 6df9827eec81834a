import numpy as np
import pandas as pd
import pytest
from made_study import made_study

from analysis.aggregate import aggregate_frames
from analysis.region_intervals import region_intervals
from tune_knee import keys


def frames(**ious: list[float]) -> pd.DataFrame:
    """Frames of cases, one region; all metrics are the IoU, distances its inverse."""
    rows = [(case, n, value) for case, values in ious.items() for n, value in enumerate(values)]
    table = pd.DataFrame(rows, columns=["case", "frame", "iou"]).assign(region="femur")
    with np.errstate(divide="ignore"):
        inverse = (1 / table["iou"]).replace(np.inf, np.nan)
    overlaps = dict.fromkeys(keys.OVERLAP_METRICS, table["iou"])
    return table.assign(**overlaps, **dict.fromkeys(keys.DISTANCE_METRICS, inverse))


def row(table: pd.DataFrame, metric: str) -> tuple[float, float, float]:
    found = table[table["metric"] == metric][["mean", "low", "high"]]
    assert len(found) == 1
    return tuple(found.iloc[0])


def test_two_cases_have_three_means() -> None:
    """Draws are aa, ab, ba, bb: either end is a case alone, with all its frames."""
    found = region_intervals(frames(a=[0.2, 0.4, 0.6], b=[0.8]))
    assert row(found, "iou") == pytest.approx((0.5, 0.4, 0.8))


def test_frames_count_and_not_cases() -> None:
    found = region_intervals(frames(a=[0.5] * 9, b=[1.0]))
    assert row(found, "dice") == pytest.approx((0.55, 0.5, 1.0))


def test_equal_cases_leave_no_doubt() -> None:
    found = region_intervals(frames(a=[0.5, 0.7], b=[0.5, 0.7]))
    assert row(found, "recall") == pytest.approx((0.6, 0.6, 0.6))


def test_an_undefined_distance_is_left_out() -> None:
    """Case b has none: draws of it alone do not count, all others have the mean of a."""
    found = region_intervals(frames(a=[0.5, 0.25], b=[0.0]))
    assert row(found, "hd95_px") == pytest.approx((3.0, 3.0, 3.0))
    assert row(found, "iou") == pytest.approx((0.25, 0.0, 0.375))


def test_never_defined() -> None:
    found = region_intervals(frames(a=[0.0], b=[0.0]))
    assert np.isnan(row(found, "assd_px")).all()
    assert row(found, "iou") == (0, 0, 0)


def test_one_case_has_means_alone() -> None:
    mean, low, high = row(region_intervals(frames(a=[0.5, 0.7])), "iou")
    assert mean == pytest.approx(0.6)
    assert np.isnan([low, high]).all()


def test_means_are_those_that_are_ranked_and_lie_within() -> None:
    _, table = made_study()
    for trial, rows in table.groupby("trial"):
        found = region_intervals(rows.drop(columns="trial"), draws=200)
        assert found["region"].unique().tolist() == ["femur", "patellar_tendon"]
        assert found["metric"].tolist() == [*keys.METRICS, *keys.METRICS]
        ranked = aggregate_frames(rows)[list(keys.METRICS)].to_numpy().ravel()
        np.testing.assert_allclose(found["mean"], ranked, err_msg=str(trial))
        defined = found.dropna()
        assert (defined["low"] <= defined["mean"]).all()
        assert (defined["mean"] <= defined["high"]).all()


def test_the_seed_is_honoured_and_the_level_widens() -> None:
    _, table = made_study(cases=8)
    rows = table[table["trial"] == "t3"].drop(columns="trial")
    again = region_intervals(rows, draws=50, seed=1)
    pd.testing.assert_frame_equal(region_intervals(rows, draws=50, seed=1), again)
    assert not region_intervals(rows, draws=50, seed=2).equals(again)
    narrow = region_intervals(rows, level=0.5)
    wide = region_intervals(rows, level=0.99)
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()
