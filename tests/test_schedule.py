import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_knee.schedule import lr_factor
from tune_knee.training_config import ScheduleConfig

PAPER = ScheduleConfig()


@st.composite
def schedules(draw: st.DrawFn) -> ScheduleConfig:
    joints = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    return ScheduleConfig(
        warmup_share=joints[0], cosine_from_share=joints[1], power=draw(st.floats(0.2, 3))
    )


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (750, 0.5 * 0.97**0.9),
        (1_500, 0.97**0.9),
        (25_000, 0.5**0.9),
        (39_999, (1 - 39_999 / 50_000) ** 0.9),
        (40_000, 0.2**0.9),
        (45_000, 0.5 * 0.2**0.9),
        (50_000, 0.0),
    ],
)
def test_paper_schedule_at_its_joints(step: int, expected: float) -> None:
    assert lr_factor(step, 50_000, PAPER) == pytest.approx(expected, abs=1e-12)


def test_cosine_starts_at_about_a_quarter() -> None:
    assert lr_factor(40_000, 50_000, PAPER) == pytest.approx(0.2349, abs=1e-4)


def test_without_warmup_and_cosine_is_the_polynomial() -> None:
    config = ScheduleConfig(warmup_share=0, cosine_from_share=1, power=2)
    factors = [lr_factor(step, 4, config) for step in range(5)]
    assert factors == pytest.approx([1, 9 / 16, 1 / 4, 1 / 16, 0])


def test_cosine_throughout() -> None:
    config = ScheduleConfig(warmup_share=0, cosine_from_share=0)
    factors = [lr_factor(step, 4, config) for step in range(5)]
    assert factors == pytest.approx([(1 + math.cos(math.pi * i / 4)) / 2 for i in range(5)])


@given(schedules(), st.integers(1, 300))
def test_stays_in_bounds(config: ScheduleConfig, max_steps: int) -> None:
    factors = [lr_factor(step, max_steps, config) for step in range(max_steps + 1)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[-1] == 0


@given(schedules(), st.integers(2, 300))
def test_rises_in_warmup_and_falls_after(config: ScheduleConfig, max_steps: int) -> None:
    factors = [lr_factor(step, max_steps, config) for step in range(max_steps + 1)]
    joint = math.ceil(config.warmup_share * max_steps)
    ramp, rest = factors[:joint], factors[joint:]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(ramp))
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(rest))


@given(st.floats(0.001, 0.5), st.floats(0.5, 0.999), st.floats(0.5, 3))
def test_continuous_at_both_joints(warmup: float, cosine_from: float, power: float) -> None:
    config = ScheduleConfig(warmup_share=warmup, cosine_from_share=cosine_from, power=power)
    many = 10**9
    for joint in (warmup, cosine_from):
        before = lr_factor(math.floor(joint * many) - 1, many, config)
        after = lr_factor(math.ceil(joint * many) + 1, many, config)
        assert before == pytest.approx(after, abs=1e-5)


@pytest.mark.parametrize(("step", "max_steps"), [(-1, 10), (11, 10)])
def test_refuses_steps_outside(step: int, max_steps: int) -> None:
    with pytest.raises(ValueError, match=r"step must be in \[0, 10\]"):
        lr_factor(step, max_steps, PAPER)


def test_refuses_a_training_without_steps() -> None:
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        lr_factor(0, 0, PAPER)
