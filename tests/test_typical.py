import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.typical import frames_of, typical_case, typical_frame, typical_sequences
from tune_knee import keys


def table(values: dict[tuple[str, str], float], trials: tuple[str, ...] = ("t",)) -> pd.DataFrame:
    """A row per trial and frame of one region with that overlap in all four metrics."""
    rows = [
        (trial, case, frame, "femur", *[value] * 4, 1.0, 1.0)
        for trial in trials
        for (case, frame), value in values.items()
    ]
    return pd.DataFrame(
        rows, columns=[keys.TRIAL, keys.CASE, keys.FRAME, keys.REGION, *keys.METRICS]
    )


def listing(sequences: dict[str, tuple[str, int]]) -> pd.DataFrame:
    """Frames 0, 1, ... of cases with their side and length."""
    rows = [
        (case, str(frame), side)
        for case, (side, length) in sequences.items()
        for frame in range(length)
    ]
    return pd.DataFrame(rows, columns=["case", "frame", "side"])


def of_cases(listed: pd.DataFrame, overlap: dict[str, float]) -> pd.DataFrame:
    pairs = listed[["case", "frame"]].itertuples(index=False)
    return table({(case, frame): overlap[case] for case, frame in pairs})


class TestTypicalFrame:
    def test_nearest_to_the_median(self):
        found = typical_frame(table({("a", "0"): 0.1, ("a", "1"): 0.6, ("b", "0"): 0.9}))
        assert (found.case, found.frame) == ("a", "1")
        assert found.overlap == pytest.approx(0.6)
        assert found.median == pytest.approx(0.6)
        assert found.among == 3

    def test_of_two_equally_near_the_first(self):
        # The median, 0.5, is 0.1 from both, up to the last bit.
        found = typical_frame(table({("b", "0"): 0.6, ("a", "0"): 0.4}))
        assert found.case == "b"
        assert typical_frame(table({("a", "0"): 0.4, ("b", "0"): 0.6})).case == "a"

    def test_the_mean_is_over_trials_regions_and_the_four_overlap_metrics(self):
        frames = table({("a", "0"): 0.5, ("a", "1"): 0.5, ("a", "2"): 0.5}, trials=("t", "u"))
        frames = pd.concat([frames, frames.assign(region="tibia")], ignore_index=True)
        # Of 2 trials x 2 regions x 4 metrics, one each: frame 0 up, frame 2 down.
        frames.loc[0, "iou"] = 1.0
        frames.loc[frames.index[-1], "recall"] = 0.0
        frames["hd95_px"] = np.nan
        found = typical_frame(frames)
        assert (found.frame, found.overlap) == ("1", 0.5)
        assert typical_frame(frames[frames["frame"] != "1"]).overlap == pytest.approx(
            0.5 + 0.5 / 16
        )

    @given(st.lists(st.integers(0, 1000), min_size=1, max_size=9, unique=True), st.randoms())
    def test_nothing_is_nearer_and_trials_in_any_order_agree(self, thousandths, random):
        values = {("a", str(n)): value / 1000 for n, value in enumerate(thousandths)}
        frames = table(values, trials=("t", "u"))
        found = typical_frame(frames)
        middle = np.median(list(values.values()))
        assert found.median == pytest.approx(middle)
        nearest = min(abs(value - middle) for value in values.values())
        assert abs(found.overlap - middle) == pytest.approx(nearest)
        swapped = pd.concat([frames[frames["trial"] == "u"], frames[frames["trial"] == "t"]])
        assert typical_frame(swapped) == found


class TestTypicalCase:
    FRAMES = table({("a", "0"): 0.1, ("a", "1"): 0.3, ("b", "0"): 0.5, ("c", "0"): 0.9})

    def test_the_median_is_over_the_cases_asked_for(self):
        found = typical_case(self.FRAMES, ["a", "b", "c"])
        assert (found.case, found.among) == ("b", 3)
        found = typical_case(self.FRAMES, ["c", "a"])
        assert (found.case, found.among) == ("a", 2)
        assert found.overlap == pytest.approx(0.2)
        assert found.median == pytest.approx(0.55)

    def test_none_tested(self):
        with pytest.raises(ValueError, match=r"among the tested frames, got cases=\['x', 'y'\]"):
            typical_case(self.FRAMES, ["y", "x"])


class TestTypicalSequences:
    def test_one_a_side_right_first(self):
        listed = listing({"a": ("left", 3), "b": ("right", 20), "c": ("left", 3), "d": ("", 5)})
        overlap = {"a": 0.2, "b": 0.5, "c": 0.8, "d": 0.5}
        right, left = typical_sequences(of_cases(listed, overlap), listed)
        assert (right.side, right.typical.case, right.length) == ("right", "b", 20)
        assert right.places == (1, 4, 6, 9, 12, 15, 17, 20)
        assert right.frames == ("0", "3", "5", "8", "11", "14", "16", "19")
        assert (left.side, left.typical.case, left.typical.among) == ("left", "a", 2)
        assert left.frames == ("0", "1", "2")

    def test_one_side_only(self):
        listed = listing({"a": ("left", 9)})
        (found,) = typical_sequences(of_cases(listed, {"a": 0.5}), listed)
        assert found.side == "left"
        assert len(found.frames) == 8

    def test_no_sides_known(self):
        listed = listing({"a": ("", 2), "b": ("", 1), "c": ("", 3)})
        (found,) = typical_sequences(of_cases(listed, {"a": 0.1, "b": 0.5, "c": 0.9}), listed)
        assert (found.side, found.typical.case, found.frames) == ("", "b", ("0",))

    def test_what_was_not_tested_is_not_shown(self):
        listed = listing({"a": ("right", 2), "b": ("left", 2)})
        (found,) = typical_sequences(of_cases(listed[listed["case"] == "b"], {"b": 0.5}), listed)
        assert found.side == "left"

    def test_frames_of_all_one_after_the_other(self):
        listed = listing({"a": ("left", 2), "b": ("right", 1)})
        chosen = frames_of(typical_sequences(of_cases(listed, {"a": 0.5, "b": 0.5}), listed))
        assert chosen.to_numpy().tolist() == [["b", "0"], ["a", "0"], ["a", "1"]]
        assert chosen.columns.tolist() == ["case", "frame"]
