"""Checks of configuration values, with one wording."""

import math


def must_be_positive(**values: float) -> None:
    """Raise ValueError, naming the value, unless each is a positive number."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number, got {name}={value}")


def must_be_share(**values: float) -> None:
    """Raise ValueError, naming the value, unless each is in [0, 1]."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {name}={value}")


def must_be_one_of(choices: tuple[str, ...], **values: str) -> None:
    """Raise ValueError, naming value and choices, unless each is one of the choices."""
    for name, value in values.items():
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {name}={value}")
