"""How far scores and ranks move when the cases are drawn again."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.case_sums import CaseSums
from tune_knee import keys

_CHUNK: Final = 1 << 18  # numbers at a time: draws x trials x regions x metrics


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Scores and ranks in draws of cases with replacement; a case brings all its frames.

    Cases and not frames are drawn, because the frames of a knee are alike.

    Attributes:
        trials: in the order of the columns below. M of them.
        cases: how many there are, and are in each draw.
        draws: B.
        seed: of numpy's default generator.
        scores: total score in each draw, higher is better. Shape (B, M).
        ranks: place in each draw, 1 is best; equal totals share the lowest. Shape (B, M).
    """

    trials: tuple[str, ...]
    cases: int
    draws: int
    seed: int
    scores: NDArray[np.float64]
    ranks: NDArray[np.float64]

    def intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals, a row per trial, in the order of `trials`.

        Columns trial, score_low, score_median, score_high, rank_low (best), rank_median,
        rank_high (worst), first_share. The bounds are values that occur: at most
        (1 - level) / 2 of the draws lie beyond either. ``first_share`` is the share of
        draws in which no trial has a higher total; those that share the first place all
        count, so that the shares may sum to more than 1.

        Raises:
            ValueError: if `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, got level={level}")
        table = pd.DataFrame({keys.TRIAL: self.trials})
        at = ((1 - level) / 2, 0.5, (1 + level) / 2)
        for name, values in (("score", self.scores), ("rank", self.ranks)):
            quantiles = np.quantile(values, at, axis=0, method="inverted_cdf")
            for suffix, bound in zip(("low", "median", "high"), quantiles, strict=True):
                table[f"{name}_{suffix}"] = bound
        table["first_share"] = (self.ranks == 1).mean(axis=0)
        return table


def bootstrap_cases(sums: CaseSums, *, draws: int = 1000, seed: int = 0) -> Bootstrap:
    """Score and rank the trials in draws of as many cases as there are, with replacement.

    In each draw the means are taken over all frames of the drawn cases and scored as
    `rank_sum_score` does under ``average``; a trial without a defined distance in a draw
    ranks last there.

    Raises:
        ValueError: if there is one case only, or `draws` is below 1.
    """
    cases = len(sums.cases)
    if cases < 2:
        raise ValueError(f"there must be two cases or more to draw from, got cases={cases}")
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, got draws={draws}")
    times = draw_cases(cases, draws=draws, seed=seed)
    chunks = min(draws, math.ceil(draws * sums.sums[0].size / _CHUNK))
    scores = np.concatenate([sums.scores(part) for part in np.array_split(times, chunks)])
    ranks = pd.DataFrame(-scores).rank(axis=1, method="min").to_numpy(dtype=np.float64)
    return Bootstrap(
        trials=sums.trials, cases=cases, draws=draws, seed=seed, scores=scores, ranks=ranks
    )


def draw_cases(cases: int, *, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each case is in each draw. Shape (draws, cases); rows sum to `cases`."""
    drawn = np.random.default_rng(seed).integers(cases, size=(draws, cases))
    cell = np.arange(draws)[:, None] * cases + drawn
    times: NDArray[np.int64] = np.bincount(cell.ravel(), minlength=draws * cases)
    return times.reshape(draws, cases)
