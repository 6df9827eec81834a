"""Which frames a step sees, and its seed: pure functions of (seed, step)."""

import numpy as np
from numpy.typing import NDArray


def step_seed(seed: int, step: int) -> int:
    """Seed of everything random in one step, in [0, 2**32)."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


def batch_indices(seed: int, step: int, frames: int, batch_size: int) -> NDArray[np.intp]:
    """Frames of a step. Shape (B,).

    Each epoch is a fresh shuffle; what is left of it after its last whole batch is dropped.
    `frames` must be at least `batch_size`.
    """
    epoch, batch = divmod(step, frames // batch_size)
    order = np.random.default_rng((seed, epoch)).permutation(frames)
    return order[batch * batch_size : (batch + 1) * batch_size]
