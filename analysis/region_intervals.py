"""One model's metrics in each region, and how far they move when the cases are drawn again."""

from typing import Final

import numpy as np
import pandas as pd

from analysis.bootstrap import draw_cases
from analysis.case_sums import sum_cases
from tune_knee import keys

METRIC: Final = "metric"
MEAN: Final = "mean"
LOW: Final = "low"
HIGH: Final = "high"


def region_intervals(
    frames: pd.DataFrame, *, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Mean of each metric and region over the frames, with its percentile interval.

    Cases are drawn, as many as there are, with replacement, and bring all their frames:
    the frames of a knee are alike. The bounds are means that occur in a draw; draws in which
    a distance is defined in no frame do not count for it.

    Args:
        frames: of one model, a row per case, frame and region with `keys.METRICS`; NaN where
            a distance is undefined.
        draws: how many.
        seed: of numpy's default generator.
        level: share of the draws inside the interval, in (0, 1).

    Returns:
        Columns region, metric, mean, low, high, in the order of the regions and of
        `keys.METRICS`. NaN where a metric is defined in no frame; low and high are NaN too if
        all frames are of one case.

    Raises:
        ValueError: if a frame's region is there twice, or lacking.
    """
    sums = sum_cases(frames.assign(**{keys.TRIAL: ""}))
    cases = len(sums.cases)
    means = sums.metric_means(np.ones(cases))[0]
    bounds = np.full((2, *means.shape), np.nan)
    if cases > 1:
        drawn = sums.metric_means(draw_cases(cases, draws=draws, seed=seed))[:, 0]
        known = ~np.isnan(means)  # so in one draw at least, but for draws that are very few
        at = (1 - level) / 2, (1 + level) / 2
        bounds[:, known] = np.nanquantile(drawn[:, known], at, axis=0, method="inverted_cdf")
    rows = pd.MultiIndex.from_product([sums.regions, keys.METRICS], names=[keys.REGION, METRIC])
    columns = {MEAN: means.ravel(), LOW: bounds[0].ravel(), HIGH: bounds[1].ravel()}
    return pd.DataFrame(columns, index=rows).reset_index()
