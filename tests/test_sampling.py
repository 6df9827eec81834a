import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tune_knee.data.sampling import batch_indices, step_seed

seeds = st.integers(0, 2**32 - 1)
batch_sizes = st.integers(1, 8)


def epoch(seed, number, frames, batch_size):
    """All frames of an epoch, in the order of its steps."""
    batches = frames // batch_size
    steps = range(number * batches, (number + 1) * batches)
    return np.concatenate([batch_indices(seed, step, frames, batch_size) for step in steps])


@given(seeds, st.integers(0, 50), st.integers(0, 40), batch_sizes)
def test_an_epoch_visits_every_frame_at_most_once(seed, number, spare, batch_size):
    frames = batch_size + spare
    visited = epoch(seed, number, frames, batch_size)
    assert len(set(visited.tolist())) == len(visited) == frames - frames % batch_size
    assert visited.min() >= 0
    assert visited.max() < frames


@given(seeds, st.integers(0, 10_000), st.integers(8, 50), batch_sizes)
def test_a_batch_is_a_function_of_seed_and_step(seed, step, frames, batch_size):
    first, again = (batch_indices(seed, step, frames, batch_size) for _ in range(2))
    assert first.shape == (batch_size,)
    np.testing.assert_array_equal(first, again)


@given(seeds, seeds)
def test_seeds_shuffle_differently(one, other):
    same = np.array_equal(batch_indices(one, 0, 100, 100), batch_indices(other, 0, 100, 100))
    assert same == (one == other)


@given(seeds, st.integers(0, 1000))
def test_every_epoch_is_shuffled_anew(seed, number):
    assert not np.array_equal(epoch(seed, number, 100, 10), epoch(seed, number + 1, 100, 10))


def test_the_last_incomplete_batch_is_left_out_of_the_epoch():
    first_of_next = batch_indices(5, 2, 5, 2)
    assert set(first_of_next) <= set(epoch(5, 1, 5, 2))


@given(seeds, st.integers(0, 100_000))
def test_step_seeds_are_in_range_and_differ(seed, step):
    here = step_seed(seed, step)
    assert 0 <= here < 2**32
    assert here == step_seed(seed, step)
    assert here != step_seed(seed, step + 1)
    assert here != step_seed(seed + 1, step)
