"""Columns of a study's trials that say what was trained."""

from typing import Final

from tune_knee import keys

# What tells the paper's models apart.
MODEL: Final = (keys.NETWORK, keys.LOSS, keys.TAU_CE, keys.TAU_DICE, keys.TAU_BOUNDARY)
# What else a trial may set; beside these, repeats differ by their seed alone.
SETTINGS: Final = (
    keys.BOUNDARY,
    keys.INTERNAL_WEIGHTS,
    keys.WEIGHTS_IN,
    keys.PRETRAINED,
    keys.LEARNING_RATE,
)
