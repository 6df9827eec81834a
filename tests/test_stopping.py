import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_knee.keys import (
    CRITERIA,
    OPENS_HARDEST_IOU,
    OPENS_PLATEAU,
    OPENS_TRAIN_LOSS,
    OPENS_VAL_IOU,
)
from tune_knee.stopping import SeriesCriterion, relative_fluctuation
from tune_knee.training_config import StoppingConfig

GOOD = (0.1, 0.9, 0.9)  # train_loss, val_iou, hardest_iou: the first three criteria hold


def criterion(window=3, max_steps=10_000):
    return SeriesCriterion(stopping=StoppingConfig(plateau_window=window), max_steps=max_steps)


def observe_all(series, validations, first=50):
    """Decisions on validations 50 steps apart."""
    return [series.observe(first + 50 * i, *values) for i, values in enumerate(validations)]


def test_fluctuation_is_the_range_over_the_mean():
    assert relative_fluctuation([0.8, 1.0, 0.9]) == pytest.approx(0.2 / 0.9)
    assert relative_fluctuation([0.9, 0.9]) == 0


def test_stops_with_the_window_full_and_not_before():
    decisions = observe_all(criterion(window=10), [GOOD] * 10)
    assert [decision.stop for decision in decisions] == [False] * 9 + [True]
    assert decisions[-1].reason == "plateau: val/iou fluctuates by 0 over 10 validations"
    assert decisions[-1].opened == {
        OPENS_TRAIN_LOSS: 50,
        OPENS_VAL_IOU: 50,
        OPENS_HARDEST_IOU: 50,
        OPENS_PLATEAU: 500,
    }
    assert all(decision.reason == "" for decision in decisions[:-1])


@pytest.mark.parametrize(
    ("values", "opened"),
    [
        ((0.2, 0.9, 0.9), []),  # every bound is strict
        ((0.199, 0.8, 0.9), [OPENS_TRAIN_LOSS]),
        ((0.199, 0.801, 0.85), [OPENS_TRAIN_LOSS, OPENS_VAL_IOU]),
        ((0.199, 0.801, 0.851), [OPENS_TRAIN_LOSS, OPENS_VAL_IOU, OPENS_HARDEST_IOU]),
        ((0.3, 0.9, 0.9), []),  # in series: the later two are not looked at
        ((0.1, 0.7, 0.9), [OPENS_TRAIN_LOSS]),
        ((-0.5, 0.7, 0.7), [OPENS_TRAIN_LOSS]),  # a signed boundary term goes below zero
        ((math.nan, 0.9, 0.9), []),
        ((0.1, math.nan, 0.9), [OPENS_TRAIN_LOSS]),
        ((0.1, 0.9, math.nan), [OPENS_TRAIN_LOSS, OPENS_VAL_IOU]),
    ],
)
def test_a_criterion_opens_when_it_and_all_before_it_hold(values, opened):
    assert list(criterion().observe(50, *values).opened) == opened


def test_opened_is_the_first_step_even_if_the_criterion_closes_again():
    falls_back = [(0.3, 0.9, 0.9), (0.1, 0.7, 0.9), (0.3, 0.9, 0.9), (0.1, 0.9, 0.9)]
    assert observe_all(criterion(), falls_back)[-1].opened == {
        OPENS_TRAIN_LOSS: 100,
        OPENS_VAL_IOU: 200,
        OPENS_HARDEST_IOU: 200,
    }


@pytest.mark.parametrize("interruption", [(0.3, 0.9, 0.9), (0.1, 0.7, 0.9), (0.1, 0.9, 0.8)])
def test_window_begins_anew_when_a_criterion_closes(interruption):
    decisions = observe_all(criterion(), [GOOD, GOOD, interruption, GOOD, GOOD, GOOD])
    assert [decision.stop for decision in decisions] == [False] * 5 + [True]


@pytest.mark.parametrize(("last", "stops"), [(0.9008, True), (0.9010, False), (0.8991, False)])
def test_plateau_needs_a_fluctuation_below_a_thousandth(last, stops):
    # With 0.9, 0.9: 0.0008/0.90027 = 0.00089; 0.0010/0.90033 = 0.00111; -0.0009: 0.00100033.
    decisions = observe_all(criterion(), [GOOD, GOOD, (0.1, last, 0.9)])
    assert decisions[-1].stop is stops


def test_plateau_looks_at_the_last_window_only():
    rising = [(0.1, iou, 0.9) for iou in (0.85, 0.88, 0.9, 0.9, 0.9)]
    decisions = observe_all(criterion(), rising)
    assert [decision.stop for decision in decisions] == [False] * 4 + [True]


def test_maximum_of_steps_stops_whatever_the_values():
    decisions = observe_all(criterion(max_steps=150), [(math.nan, math.nan, math.nan)] * 3)
    assert [decision.stop for decision in decisions] == [False, False, True]
    assert decisions[-1].reason == "maximum of 150 steps"
    assert decisions[-1].opened == {}


def test_plateau_at_the_last_step_is_called_a_plateau():
    assert observe_all(criterion(max_steps=150), [GOOD] * 3)[-1].reason.startswith("plateau")


def test_a_trial_set_back_forgets_the_later_validations():
    series = criterion()
    observe_all(series, [(0.3, 0.9, 0.9), GOOD, GOOD])
    assert observe_all(series, [(0.3, 0.9, 0.9)], first=100)[-1].opened == {}
    decisions = observe_all(series, [GOOD] * 3, first=150)
    assert [decision.stop for decision in decisions] == [False, False, True]
    assert decisions[-1].opened[OPENS_TRAIN_LOSS] == 150


def test_a_report_repeated_counts_once():
    series = criterion()
    for _ in range(5):
        assert not series.observe(50, *GOOD).stop


validations = st.tuples(
    st.sampled_from([0.1, 0.3, math.nan]),
    st.sampled_from([0.7, 0.9, 0.9004, 0.95, math.nan]),
    st.sampled_from([0.8, 0.9]),
)


@given(st.lists(validations, max_size=12), st.lists(validations, min_size=1), st.data())
def test_a_trial_set_back_decides_like_one_never_gone_the_other_way(other_way, way, data):
    common = data.draw(st.integers(0, len(way) - 1))
    strayed = criterion()
    observe_all(strayed, way[:common] + other_way)
    again = observe_all(strayed, way[common:], first=50 + 50 * common)
    assert again == observe_all(criterion(), way)[common:]


@given(st.lists(validations, min_size=1))
def test_criteria_open_in_series_and_stay_recorded(way):
    before = {}
    for decision in observe_all(criterion(), way):
        assert list(decision.opened) == list(CRITERIA[: len(decision.opened)])
        assert list(decision.opened.values()) == sorted(decision.opened.values())
        assert before.items() <= decision.opened.items()
        before = decision.opened
