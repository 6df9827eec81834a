"""What a trial cost: the time for which it held its devices."""

from typing import Final

import pandas as pd

from analysis.load import CPUS, GPUS
from tune_knee import keys

HOUR_S: Final = 3600


def device_seconds(trials: pd.DataFrame) -> "pd.Series[float]":
    """Wall time in seconds times the GPUs a trial took, or its CPU cores where it took none.

    Args:
        trials: `load.Study.trials`, or rows with its columns wall_time_s, cpus and gpus.
    """
    return trials[keys.WALL_TIME_S] * trials[GPUS].where(trials[GPUS] > 0, trials[CPUS])
