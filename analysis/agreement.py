"""How alike rankings are: Kendall's tau-b, and Spearman's rho."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from analysis.sensitivity import Alternative
from tune_knee import keys

TOTAL: Final = "total"


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


def agree_rankings(scores: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """How alike two rankings of the same trials are, by region and in total.

    Args:
        scores: trial, region, score; from `ranking.score_trials`.
        others: the same of the other ranking.

    Returns:
        region (the regions and `TOTAL`), kendall_tau (tau-b), spearman_rho: from -1 to 1,
        NaN where one of the two gives all one score.
    """
    ours, theirs = (
        table.pivot_table(keys.SCORE, keys.TRIAL, keys.REGION, sort=False).sort_index()
        for table in (scores, others)
    )
    for points in (ours, theirs):
        points[TOTAL] = points.sum(axis="columns")
    rows = []
    for name in ours.columns:
        tau = rho = float("nan")
        if min(ours[name].nunique(), theirs[name].nunique()) > 1:
            tau = ours[name].corr(theirs[name], method="kendall")
            rho = ours[name].corr(theirs[name], method="spearman")
        rows.append((name, tau, rho))
    return pd.DataFrame(rows, columns=[keys.REGION, "kendall_tau", "spearman_rho"])


def _scores_of(way: Alternative) -> pd.Series:
    return way.scores.set_index(keys.TRIAL)[keys.SCORE]


def _tau_b(columns: pd.DataFrame) -> pd.DataFrame:
    taus = columns.corr(method="kendall", min_periods=2)  # scipy.stats.kendalltau
    return taus.rename_axis(index=None, columns=None)
