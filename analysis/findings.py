"""Everything that is to be said about a ranking, from frames and test means."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.agreement import agree_alternatives, agree_regions
from analysis.bootstrap import Bootstrap, bootstrap_cases
from analysis.case_sums import sum_cases
from analysis.ranking import rank_trials, score_trials
from analysis.sensitivity import Alternative, alternatives
from analysis.significance import Significance, compare_with_leader
from analysis.verdict import Verdict, conclude
from tune_knee import keys


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A ranking, and what it is worth.

    Attributes:
        scores: trial, region, score; from `ranking.score_trials`.
        ranking: trial, score, rank, best first; from `ranking.rank_trials`.
        tie_range: trial, score_min, score_max, rank_min (best), rank_max (worst), in the
            ranking's order: what breaking all ties against or for a trial gives it.
        bootstrap: over cases; None with one case.
        alternatives: other ways to rank; the first is the score itself.
        agreement: Kendall's tau-b between the alternatives, over the trials that both
            rank; square, rows and columns are their names.
        region_agreement: Kendall's tau-b between the regions' scores, square.
        significance: paired tests over cases; None with one case.
        verdict: all of it in plain words.
    """

    scores: pd.DataFrame
    ranking: pd.DataFrame
    tie_range: pd.DataFrame
    bootstrap: Bootstrap | None
    alternatives: tuple[Alternative, ...]
    agreement: pd.DataFrame
    region_agreement: pd.DataFrame
    significance: Significance | None
    verdict: Verdict


def find(
    frames: pd.DataFrame,
    tests: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Findings:
    """Rank the trials, and say what the ranking is worth.

    Args:
        frames: a row per tested trial, case, frame and region with `keys.METRICS`.
        tests: a row per tested trial and region with network, loss, and the means of
            `frames`; `load.Study.tests`.
        labels: words for each trial.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: if fewer than two scored trials are tested, one has no frames, or they
            were not all tested on the same frames.
    """
    scores, ranking = _ranked(tests, frames)
    ranges, ways, by_region = tie_range(tests, ranking), alternatives(tests), agree_regions(scores)
    bootstrap, significance = _over_cases(frames, ranking, draws, seed)
    return Findings(
        scores=scores,
        ranking=ranking,
        tie_range=ranges,
        bootstrap=bootstrap,
        alternatives=ways,
        agreement=agree_alternatives(ways),
        region_agreement=by_region,
        significance=significance,
        verdict=conclude(
            scores=scores,
            ranking=ranking,
            tie_range=ranges,
            bootstrap=bootstrap,
            alternatives=ways,
            region_agreement=by_region,
            significance=significance,
            labels=labels,
        ),
    )


def _ranked(tests: pd.DataFrame, frames: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and ranking of two trials or more, each with frames."""
    scores = score_trials(tests)
    ranking = rank_trials(scores)
    if len(ranking) < 2:
        raise ValueError(
            f"two scored trials or more must be tested to compare them, got {len(ranking)}"
        )
    without = ranking.loc[~ranking[keys.TRIAL].isin(frames[keys.TRIAL].unique()), keys.TRIAL]
    if len(without):
        raise ValueError(
            f"each tested trial must have frames, got {len(without)} without, e.g. "
            f"trial={without.iloc[0]}"
        )
    return scores, ranking


def _over_cases(
    frames: pd.DataFrame, ranking: pd.DataFrame, draws: int, seed: int
) -> tuple[Bootstrap | None, Significance | None]:
    """What other cases would have changed; nothing can be said of one case."""
    sums = sum_cases(frames[frames[keys.TRIAL].isin(ranking[keys.TRIAL])])
    if len(sums.cases) == 1:
        return None, None
    leader = str(ranking[keys.TRIAL].iloc[0])
    return bootstrap_cases(sums, draws=draws, seed=seed), compare_with_leader(sums, leader)


def tie_range(tests: pd.DataFrame, ranking: pd.DataFrame) -> pd.DataFrame:
    """Scores and ranks that breaking ties between equal values allows each trial.

    Columns trial, score_min and score_max (all its ties lost, all won), rank_min (best) and
    rank_max (worst), in the ranking's order. A trial can come ahead of another where its
    score_max is above the other's score_min; the ranks count the trials that must and that
    can be ahead, each pair apart, so that no way of breaking ties leads beyond them.

    Args:
        tests: see `find`.
        ranking: from `rank_trials`.
    """
    order = list(ranking[keys.TRIAL])
    low, high = (
        rank_trials(score_trials(tests, ties=ties)).set_index(keys.TRIAL)[keys.SCORE][order]
        for ties in ("min", "max")
    )
    least, most = low.to_numpy(), high.to_numpy()
    must_be_ahead = (least > most[:, None]).sum(axis=1)
    can_be_ahead = (most > least[:, None]).sum(axis=1) - (most > least)  # but not of itself
    return pd.DataFrame(
        {
            keys.TRIAL: order,
            "score_min": least,
            "score_max": most,
            "rank_min": 1 + must_be_ahead,
            "rank_max": 1 + can_be_ahead,
        }
    )
