"""A study of ours beside the paper's 50 models, over those that both have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.agreement import agree_rankings
from analysis.load import LABEL, STATUS, Study
from analysis.parameters import MODEL
from analysis.ranking import RANK, UNSCORED_LOSSES, Ties, rank_trials, score_trials
from tune_knee import keys

OURS: Final = "ours"
PAPER: Final = "paper"
MOVED: Final = "moved"


@dataclass(frozen=True, kw_only=True)
class PaperComparison:
    """The paper's ranking and ours, each scored anew among the shared models alone.

    Attributes:
        regions: that both have, in the paper's order.
        places: a row per shared model: trial (in the paper's words), rank and score in the
            paper, rank and score of ours (``paper_rank``, ...), moved (places up from the
            paper's to ours; down is negative), ours best first.
        correlations: a row per region and for the total: Kendall's tau-b and Spearman's rho
            of the scores, from -1 to 1; NaN where one of the two gives all one score.
        unscored: trials of ours whose loss the paper does not score (ce1), by their labels.
        not_in_paper: other trials of ours without a partner.
        several: models of the paper with more than one trial of ours, and so left out.
        not_in_study: models of the paper without a tested trial of ours.
    """

    regions: tuple[str, ...]
    places: pd.DataFrame
    correlations: pd.DataFrame
    unscored: tuple[str, ...]
    not_in_paper: tuple[str, ...]
    several: tuple[str, ...]
    not_in_study: tuple[str, ...]


def compare_to_paper(
    study: Study, published: pd.DataFrame, *, ties: Ties = "average"
) -> PaperComparison:
    """Match by network, loss and τ, score both among the matches, and compare.

    Args:
        study: ours.
        published: from `published.load_published`.
        ties: points of equal values.

    Raises:
        ValueError: if fewer than two models or no region are shared.
    """
    regions = _shared_regions(study, published)
    models = published[[keys.TRIAL, *MODEL]].drop_duplicates()
    trials = study.trials[study.trials[STATUS] == keys.STATUS_TESTED]
    scored = trials[~trials[keys.LOSS].isin(UNSCORED_LOSSES)]
    pairs = models.merge(scored, on=list(MODEL), suffixes=("", "_ours"))
    several = pairs[keys.TRIAL].duplicated(keep=False)
    matched = pairs[~several].set_index("trial_ours")[keys.TRIAL]
    if len(matched) < 2:
        raise ValueError(
            "two trials or more must be of models that the paper scores, "
            f"got {len(matched)} in study={study.name}"
        )
    scores = _scores(study.tests, published, matched, regions, ties)
    return PaperComparison(
        regions=regions,
        places=_places(scores),
        correlations=agree_rankings(scores[PAPER], scores[OURS]),
        unscored=tuple(trials.loc[trials[keys.LOSS].isin(UNSCORED_LOSSES), LABEL]),
        not_in_paper=tuple(scored.loc[~scored[keys.TRIAL].isin(pairs["trial_ours"]), LABEL]),
        several=tuple(pairs.loc[several, keys.TRIAL].unique()),
        not_in_study=tuple(models.loc[~models[keys.TRIAL].isin(pairs[keys.TRIAL]), keys.TRIAL]),
    )


def _shared_regions(study: Study, published: pd.DataFrame) -> tuple[str, ...]:
    of_paper = published[keys.REGION].unique()
    regions = tuple(region for region in of_paper if region in study.regions)
    if not regions:
        raise ValueError(
            f"a region must be one of the paper's ({', '.join(of_paper)}), "
            f"got {', '.join(study.regions)} in study={study.name}"
        )
    return regions


def _scores(
    tests: pd.DataFrame,
    published: pd.DataFrame,
    matched: "pd.Series[str]",
    regions: Sequence[str],
    ties: Ties,
) -> dict[str, pd.DataFrame]:
    """Scores of both among the matched models alone, in the shared regions, in the paper's words.

    Args:
        tests: ours.
        published: theirs.
        matched: the paper's model by the id of our trial.
        regions: shared ones.
        ties: points of equal values.
    """
    theirs = published[published[keys.TRIAL].isin(matched) & published[keys.REGION].isin(regions)]
    ours = tests[tests[keys.TRIAL].isin(matched.index) & tests[keys.REGION].isin(regions)]
    return {
        PAPER: score_trials(theirs, ties=ties, unscored_losses=()),
        OURS: score_trials(ours, ties=ties).replace({keys.TRIAL: matched.to_dict()}),
    }


def _places(scores: dict[str, pd.DataFrame]) -> pd.DataFrame:
    ours, paper = (
        rank_trials(scores[whose]).set_index(keys.TRIAL).add_prefix(f"{whose}_")
        for whose in (OURS, PAPER)
    )
    places = ours.join(paper).reset_index()
    places[MOVED] = places[f"{PAPER}_{RANK}"] - places[f"{OURS}_{RANK}"]
    return places
