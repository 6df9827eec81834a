"""How alike rankings are: Kendall's tau-b."""

from collections.abc import Sequence

import pandas as pd

from analysis.sensitivity import Alternative
from tune_knee import keys


def agree_alternatives(ways: Sequence[Alternative]) -> pd.DataFrame:
    """Kendall's tau-b of each pair of alternatives, over the trials that both rank.

    From -1, the reverse order, to 1, the same. NaN where fewer than two trials are shared
    or one of the two gives them all one score. Square, rows and columns are the names; the
    diagonal is 1.
    """
    return _tau_b(pd.DataFrame({way.name: _scores_of(way) for way in ways}))


def agree_regions(scores: pd.DataFrame) -> pd.DataFrame:
    """Kendall's tau-b of each pair of regions' scores, as `agree_alternatives`.

    Args:
        scores: trial, region, score; from `ranking.score_trials`.
    """
    return _tau_b(scores.pivot_table(keys.SCORE, keys.TRIAL, keys.REGION, sort=False))


def _scores_of(way: Alternative) -> pd.Series:
    return way.scores.set_index(keys.TRIAL)[keys.SCORE]


def _tau_b(columns: pd.DataFrame) -> pd.DataFrame:
    taus = columns.corr(method="kendall", min_periods=2)  # scipy.stats.kendalltau
    return taus.rename_axis(index=None, columns=None)
