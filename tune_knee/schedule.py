"""The learning rate over a training: a pure function of the step."""

import math

from tune_knee.training_config import ScheduleConfig


def lr_factor(step: int, max_steps: int, config: ScheduleConfig) -> float:
    """Share of the initial learning rate at a step, in [0, 1].

    Three stages over s = step / max_steps, continuous at both joints: a linear ramp from 0
    over the first `warmup_share`; then (1 - s)**power, the polynomial of the full horizon;
    from `cosine_from_share` on, half a cosine from the value reached down to 0 at s = 1.

    Args:
        step: updates made before the one that uses this rate.
        max_steps: updates of the whole training.
        config: exponent and joints.

    Raises:
        ValueError: if step is outside [0, max_steps], or max_steps is below 1.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got max_steps={max_steps}")
    if not 0 <= step <= max_steps:
        raise ValueError(f"step must be in [0, {max_steps}], got step={step}")
    share = step / max_steps
    if share < config.warmup_share:
        return _polynomial(config.warmup_share, config.power) * share / config.warmup_share
    if share < config.cosine_from_share:
        return _polynomial(share, config.power)
    reached = _polynomial(config.cosine_from_share, config.power)
    if reached == 0:
        return 0.0
    progress = (share - config.cosine_from_share) / (1 - config.cosine_from_share)
    return reached * (1 + math.cos(math.pi * progress)) / 2


def _polynomial(share: float, power: float) -> float:
    return float((1 - share) ** power)
