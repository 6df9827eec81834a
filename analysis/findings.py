"""Everything that is to be said about a ranking, from frames and test means."""

from dataclasses import dataclass

import pandas as pd

from analysis.bootstrap import Bootstrap
from analysis.sensitivity import Alternative
from analysis.significance import Significance
from analysis.verdict import Verdict


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
