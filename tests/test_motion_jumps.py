import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_knee.motion.jumps import LIMIT, find_jumps, find_outliers

SWING = 45 - 45 * np.cos(np.linspace(0, 2 * np.pi, 20))


def test_a_swing_does_not_jump() -> None:
    assert not find_jumps(SWING, 1.0).any()


@pytest.mark.parametrize("at", range(20))
def test_one_value_off_is_found_and_its_neighbours_are_not(at: int) -> None:
    values = SWING.copy()
    values[at] += 60
    assert np.flatnonzero(find_jumps(values, 1.0)).tolist() == [at]


def test_two_neighbours_off_are_found() -> None:
    values = SWING.copy()
    values[[8, 9]] += 40
    assert np.flatnonzero(find_jumps(values, 1.0)).tolist() == [8, 9]


def test_parabolas_never_jump_and_unknown_values_neither() -> None:
    values = 3 + 2 * np.arange(12.0) - 0.5 * np.arange(12.0) ** 2
    values[4] = np.nan
    assert not find_jumps(values, 1e-6).any()
    values[7] += 1
    assert np.flatnonzero(find_jumps(values, 0.1)).tolist() == [7]


def test_fewer_than_nine_values_tell_nothing() -> None:
    values = np.zeros(9)
    values[0] = 100
    assert np.flatnonzero(find_jumps(values, 1.0)).tolist() == [0]
    assert not find_jumps(values[:-1], 1.0).any()


def test_outliers_lie_beyond_the_limit() -> None:
    values = np.zeros(9)
    values[2] = LIMIT + 0.01
    assert np.flatnonzero(find_outliers(values, 1.0)).tolist() == [2]
    values[2] = LIMIT - 0.01
    assert not find_outliers(values, 1.0).any()


def test_outliers_by_hand() -> None:
    values = np.array([9.0, 10, 11, 10, 10 + 3.5 * 1.4826 * 1 + 0.01, 9, 11, np.nan])
    assert np.flatnonzero(find_outliers(values, 0.1)).tolist() == [4]  # median 10, MAD 1


@given(
    st.lists(st.integers(-100, 100), min_size=9, max_size=16), st.integers(-50, 50), st.booleans()
)
def test_a_shift_and_a_change_of_unit_change_nothing(
    whole: list[int], shift: int, mirrored: bool
) -> None:
    values = np.array(whole, dtype=float)
    other = (-2 if mirrored else 2) * values + shift
    assert np.array_equal(find_outliers(values, 1.0), find_outliers(other, 2.0))


@given(st.lists(st.floats(-0.5, 0.5), min_size=12, max_size=20), st.data())
def test_one_value_far_off_noise_is_always_found(noise: list[float], data: st.DataObject) -> None:
    values = np.array(noise)
    at = data.draw(st.integers(0, len(noise) - 1))
    values[at] += 1_000
    assert find_jumps(values, 0.5)[at]
