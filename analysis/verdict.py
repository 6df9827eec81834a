"""What the ranking is worth, in plain words."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from analysis.bootstrap import Bootstrap
from analysis.ranking import RANK
from analysis.sensitivity import WITHOUT_DOUBLES, Alternative
from analysis.significance import Significance
from tune_knee import keys

Labels = Mapping[str, str]

_NAMED: Final = 5
_CAVEATS: Final = (
    "The leader was chosen on the same cases on which it is tested, which flatters its lead.",
    "Each trial is one training: what another seed would change shows only where a "
    "configuration was repeated.",
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The head of a report.

    Attributes:
        headline: who leads and how surely, one line.
        sentences: what stands behind it, each whole by itself, the weightiest first.
    """

    headline: str
    sentences: tuple[str, ...]


def conclude(
    *,
    scores: pd.DataFrame,
    ranking: pd.DataFrame,
    tie_range: pd.DataFrame,
    bootstrap: Bootstrap | None,
    alternatives: Sequence[Alternative],
    region_agreement: pd.DataFrame,
    significance: Significance | None,
    labels: Labels,
) -> Verdict:
    """Put the findings into words; for the arguments see `findings.Findings`.

    A trial can be told from the leader where the p of Wilcoxon's signed-rank test on the
    scores of single cases, Holm-corrected over all trials, is below `significance.level`.

    Args:
        labels: words for each trial.
    """
    first = list(ranking.loc[ranking[RANK] == 1, keys.TRIAL])
    it = "it" if len(first) == 1 else labels[first[0]]
    sentences = (
        _points(scores, ranking, labels),
        *_told(significance, ranking, it, labels),
        *_draws(bootstrap, first[0], it, labels),
        *_other_ways(alternatives, first, labels),
        _ties(tie_range, it, labels),
        *_regions(scores, region_agreement, first[0], it),
        *_CAVEATS,
    )
    return Verdict(
        headline=f"{_who(first, labels)}; {_how_surely(significance, len(ranking) - 1, it)}",
        sentences=sentences,
    )


def not_told(significance: Significance) -> list[str]:
    """The trials that cannot be told from the leader, by the scores of single cases."""
    tests = significance.tests
    alike = (tests["measure"] == keys.SCORE) & (tests["p_holm"] >= significance.level)
    return list(tests.loc[alike, keys.TRIAL])


def _who(first: Sequence[str], labels: Labels) -> str:
    if len(first) == 1:
        return f"{labels[first[0]]} leads"
    return f"{_names(first, labels)} share the first place"


def _how_surely(significance: Significance | None, others: int, it: str) -> str:
    if significance is None:
        return "a single case cannot say how surely"
    on = f"on {significance.cases} cases"
    if _needed_cases(significance, others) > significance.cases:
        return f"{significance.cases} cases are too few to tell any other from {it}"
    alike = len(not_told(significance))
    if others == 1:
        return f"the other {'cannot' if alike else 'can'} be told from {it} {on}"
    if alike == 0:
        return f"all {others} others can be told from {it} {on}"
    if alike == others:
        return f"none of the {others} others can be told from {it} {on}"
    return f"{alike} of {others} others cannot be told from {it} {on}"


def _needed_cases(significance: Significance, others: int) -> int:
    """Fewest cases whose smallest p, times the number of tests, is below the level."""
    return math.floor(math.log2(2 * others / significance.level)) + 1


def _points(scores: pd.DataFrame, ranking: pd.DataFrame, labels: Labels) -> str:
    most = 2 * len(ranking) * scores[keys.REGION].nunique()
    best = ranking[keys.SCORE].iloc[0]
    behind = ranking[ranking[RANK] > 1]
    if behind.empty:
        return f"Every trial has {best:g} of {most} points."
    has = "The leader has" if len(ranking) - len(behind) == 1 else "Those in first place have"
    margin, following = best - behind[keys.SCORE].iloc[0], labels[behind[keys.TRIAL].iloc[0]]
    return f"{has} {best:g} of {most} points, {margin:g} more than the next, {following}."


def _told(
    significance: Significance | None, ranking: pd.DataFrame, it: str, labels: Labels
) -> Iterator[str]:
    if significance is None:
        yield "With a single test case, chance cannot be told from merit."
        return
    others, cases = len(ranking) - 1, significance.cases
    needed = _needed_cases(significance, others)
    correction = f"; Holm's correction over {others} tests multiplies it by {others}"
    if needed > cases:
        yield (
            f"{cases} cases cannot tell a trial from the leader, whatever they show: the "
            f"smallest p they allow is {significance.smallest_p:.2g}"
            f"{correction if others > 1 else ''}. It would take {needed} cases or more."
        )
        return
    alike = set(not_told(significance))
    in_order = [trial for trial in ranking[keys.TRIAL] if trial in alike]
    if alike:
        yield f"Cannot be told from {it}: {_names(in_order, labels)}."
    corrected = f" after Holm's correction over the {others} tests" if others > 1 else ""
    yield (
        "A trial counts as told from the leader when Wilcoxon's signed-rank test on the scores "
        f"of the {cases} single cases gives p < {significance.level:g}{corrected}."
    )
    ranks = significance.mean_ranks
    ahead = [t for t in ranks.index if ranks[t] < ranks[significance.leader] and t not in alike]
    if ahead:
        yield (
            f"Beware: case by case {_names(ahead, labels)} can be told from the leader by "
            "better scores, which the means over all frames hide."
        )


def _draws(bootstrap: Bootstrap | None, leader: str, it: str, labels: Labels) -> Iterator[str]:
    if bootstrap is None:
        return
    cases, draws = bootstrap.cases, bootstrap.draws
    trials = bootstrap.intervals().set_index(keys.TRIAL)
    own = trials.to_dict("index")[leader]
    text = (
        f"In {draws:,} draws of {cases} cases with replacement {it} is first, alone or level, "
        f"in {_share(own['first_share'])}; the 95 % interval of its rank is "
        f"{own['rank_low']:g} to {own['rank_high']:g}."
    )
    rivals = trials["first_share"].drop(leader)
    if rivals.max() > 0:
        rival = str(rivals.idxmax())
        text += f" Most often first beside it: {labels[rival]}, in {_share(rivals[rival])}."
    yield text
    different = math.comb(2 * cases - 1, cases)
    if different < draws:
        yield (
            f"{cases} cases allow only {different} different draws: the interval is a rough one."
        )


def _other_ways(ways: Sequence[Alternative], first: Sequence[str], labels: Labels) -> Iterator[str]:
    score, *others = ways
    left_out = [way for way in others if way.name != WITHOUT_DOUBLES]
    changed = [way for way in left_out if set(_firsts(way)) != set(_firsts_among(score, way))]
    if changed:
        listed = "; ".join(
            f"{way.name}: {_names(_firsts(way), labels)}, "
            f"not {_names(_firsts_among(score, way), labels)}"
            for way in changed
        )
        yield (
            "Leaving out a network or a kind of loss changes who is first among those that "
            f"remain in {len(changed)} of {len(left_out)} ways: {listed}."
        )
    elif left_out:
        yield (
            f"Whichever network or kind of loss is left out ({len(left_out)} ways), the best of "
            "those that remain stays first."
        )
    for way in others:
        if way.name == WITHOUT_DOUBLES:
            firsts = _firsts(way)
            same = set(firsts) == set(first)
            what = (
                "leaves the first place as it is"
                if same
                else f"puts {_names(firsts, labels)} first"
            )
            yield f"Leaving out Dice and ASSD, which nearly repeat IoU and HD95, {what}."


def _firsts(way: Alternative) -> list[str]:
    return list(way.scores.loc[way.scores[RANK] == 1, keys.TRIAL])


def _firsts_among(score: Alternative, way: Alternative) -> list[str]:
    """Who leads by the score of all among the trials that `way` ranks."""
    among = score.scores[score.scores[keys.TRIAL].isin(way.scores[keys.TRIAL])]
    return list(among.loc[among[keys.SCORE] == among[keys.SCORE].max(), keys.TRIAL])


def _ties(tie_range: pd.DataFrame, it: str, labels: Labels) -> str:
    others = tie_range.iloc[1:]
    rivals = others.loc[others["score_max"] > tie_range["score_min"].iloc[0], keys.TRIAL]
    if rivals.empty:
        return f"No way of breaking ties between equal values puts another trial ahead of {it}."
    return (
        "Ties between equal values decide: broken in their favour they would put "
        f"{_names(list(rivals), labels)} ahead of {it}."
    )


def _regions(scores: pd.DataFrame, taus: pd.DataFrame, leader: str, it: str) -> Iterator[str]:
    if len(taus) < 2:
        return
    places = scores.groupby(keys.REGION)[keys.SCORE].rank(method="min", ascending=False)
    own = scores[keys.TRIAL] == leader
    regions = [_words(region) for region in scores.loc[own, keys.REGION]]
    listed = [f"{at:g} on {region}" for at, region in zip(places[own], regions, strict=True)]
    yield f"By region the place of {'the leader' if it == 'it' else it} is {_and(listed)}."
    above = np.triu_indices(len(taus), k=1)
    values = taus.to_numpy()[above]
    if np.isnan(values).all():
        return
    lowest = int(np.nanargmin(values))
    if np.isclose(values[lowest], 1):
        yield "All regions put the trials into the same order."
        return
    one, other = (_words(taus.index[pair[lowest]]) for pair in above)
    yield (
        f"The regions agree least between {one} and {other}: Kendall's tau of their scores is "
        f"{values[lowest]:.2f} (1: the same order, 0: unrelated, -1: the reverse)."
    )


def _words(region: str) -> str:
    return region.replace("_", " ")


def _names(trials: Sequence[str], labels: Labels) -> str:
    named = [labels[trial] for trial in trials[:_NAMED]]
    more = len(trials) - len(named)
    return _and([*named, f"{more} more"] if more else named)


def _and(words: Sequence[str]) -> str:
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last


def _share(share: float) -> str:
    """A percentage that says 0 and 100 only where it is."""
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"
