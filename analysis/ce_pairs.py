"""Trials that differ in the external weights of their cross-entropy alone."""

from typing import Final

import pandas as pd

from analysis.load import STATUS
from analysis.parameters import SETTINGS
from tune_knee import keys

EQUAL: Final = "ce1"
BY_AREA: Final = "ce2"
# What the two of a pair have in common, beside τ, which they do not have.
CE_SHARED: Final = (keys.NETWORK, *SETTINGS, keys.REPEAT)


def ce_pairs(trials: pd.DataFrame) -> pd.DataFrame:
    """Pairs of tested trials with ce1 and ce2: `CE_SHARED`, and their ids as ce1 and ce2.

    Args:
        trials: `Study.trials`, or part of it; the pairs stand in its order.
    """
    tested = trials[trials[STATUS] == keys.STATUS_TESTED]
    equal, by_area = (
        tested.loc[tested[keys.LOSS] == loss, [*CE_SHARED, keys.TRIAL]].rename(
            columns={keys.TRIAL: loss}
        )
        for loss in (EQUAL, BY_AREA)
    )
    return equal.merge(by_area, on=list(CE_SHARED))
