import numpy as np
import pandas as pd
import pytest

from analysis.bootstrap import Bootstrap
from analysis.sensitivity import Alternative
from analysis.significance import Significance
from analysis.verdict import Verdict, conclude, not_told

LABELS = {name: f"net {name.upper()}" for name in "abcdefghi"}
NAN = float("nan")


def way(name: str, **scores: float) -> Alternative:
    table = pd.DataFrame({"trial": list(scores), "score": list(scores.values())})
    table["rank"] = table["score"].rank(method="min", ascending=False).astype(int)
    table = table.sort_values("rank", kind="stable", ignore_index=True)
    return Alternative(name=name, description="", scores=table)


def significance_of(
    cases: int = 14, mean_ranks: dict[str, float] | None = None, **p: float
) -> Significance:
    tests = pd.DataFrame({"trial": list(p), "measure": "score", "region": "", "p_holm": p.values()})
    decoy = tests.assign(measure="overlap", region="femur", p_holm=1 - tests["p_holm"])
    ranks = mean_ranks or {"a": 1.0} | dict.fromkeys(p, 2.0)
    return Significance(
        tests=pd.concat([tests, decoy]),
        leader="a",
        level=0.05,
        cases=cases,
        smallest_p=2.0 ** (1 - cases),
        mean_ranks=pd.Series(ranks),
        friedman_p=0.5,
        nemenyi=pd.DataFrame(),
        critical_difference=1.0,
    )


def drawn(ranks: list[list[float]], cases: int = 14) -> Bootstrap:
    return Bootstrap(
        trials=tuple("abcdefghi"[: len(ranks[0])]),
        cases=cases,
        draws=len(ranks),
        seed=0,
        scores=-np.array(ranks, dtype=float),
        ranks=np.array(ranks, dtype=float),
    )


def concluded(
    points: dict[str, dict[str, float]],
    *,
    significance: Significance | None = None,
    bootstrap: Bootstrap | None = None,
    others: tuple[Alternative, ...] = (),
    ties: dict[str, tuple[float, float]] | None = None,
    tau: float = 0.5,
) -> Verdict:
    """Of trials' points by region; all else as told, or quiet."""
    scores = pd.DataFrame(
        [(t, region, value) for t, own in points.items() for region, value in own.items()],
        columns=["trial", "region", "score"],
    )
    score = way("score", **{trial: sum(own.values()) for trial, own in points.items()})
    order = score.scores["trial"]
    total = score.scores["score"]
    ranges = pd.DataFrame({"trial": order, "score_min": total, "score_max": total})
    for trial, (low, high) in (ties or {}).items():
        ranges.loc[ranges["trial"] == trial, ["score_min", "score_max"]] = [low, high]
    regions = list(next(iter(points.values())))
    taus = pd.DataFrame(tau, index=regions, columns=regions)
    return conclude(
        scores=scores,
        ranking=score.scores,
        tie_range=ranges,
        bootstrap=bootstrap,
        alternatives=(score, *others),
        region_agreement=taus,
        significance=significance,
        labels=LABELS,
    )


THREE = {"a": {"femur": 6}, "b": {"femur": 4.5}, "c": {"femur": 1.5}}


class TestHeadline:
    @pytest.mark.parametrize(
        ("p", "expected"),
        [
            (
                {"b": 0.2, "c": 0.01},
                "net A leads; 1 of 2 others cannot be told from it on 14 cases",
            ),
            ({"b": 0.01, "c": 0.01}, "net A leads; all 2 others can be told from it on 14 cases"),
            (
                {"b": 0.2, "c": 0.05},
                "net A leads; none of the 2 others can be told from it on 14 cases",
            ),
        ],
    )
    def test_who_leads_and_how_surely(self, p, expected):
        assert concluded(THREE, significance=significance_of(**p)).headline == expected

    @pytest.mark.parametrize(("p", "can"), [(0.049, "can"), (0.05, "cannot")])
    def test_one_other(self, p, can):
        two = {"a": {"femur": 4}, "b": {"femur": 2}}
        headline = concluded(two, significance=significance_of(b=p)).headline
        assert headline == f"net A leads; the other {can} be told from it on 14 cases"

    def test_a_shared_first_place(self):
        points = {"a": {"femur": 5}, "b": {"femur": 5}, "c": {"femur": 2}}
        headline = concluded(points, significance=significance_of(b=1, c=0.01)).headline
        assert headline == (
            "net A and net B share the first place; "
            "1 of 2 others cannot be told from net A on 14 cases"
        )

    def test_one_case_says_so(self):
        assert concluded(THREE).headline == "net A leads; a single case cannot say how surely"

    @pytest.mark.parametrize(("cases", "few"), [(6, True), (7, False)])
    def test_too_few_cases_for_any_difference(self, cases, few):
        # Two tests: 2 * 2/2^6 = 0.0625, 2 * 2/2^7 = 0.03125.
        verdict = concluded(THREE, significance=significance_of(cases=cases, b=0.2, c=0.2))
        assert ("6 cases are too few to tell any other from it" in verdict.headline) == few
        said = (
            "the smallest p they allow is 0.031; Holm's correction over 2 tests multiplies it by 2"
        )
        assert any(said in sentence for sentence in verdict.sentences) == few
        assert any("It would take 7 cases" in sentence for sentence in verdict.sentences) == few


class TestSentences:
    def test_points_and_margin(self):
        first = concluded(THREE).sentences[0]
        assert first == "The leader has 6 of 6 points, 1.5 more than the next, net B."

    def test_points_of_a_shared_first_place(self):
        points = {"a": {"femur": 5}, "b": {"femur": 5}, "c": {"femur": 2}}
        first = concluded(points).sentences[0]
        assert first == "Those in first place have 5 of 6 points, 3 more than the next, net C."
        all_equal = {"a": {"femur": 3}, "b": {"femur": 3}}
        assert concluded(all_equal).sentences[0] == "Every trial has 3 of 4 points."

    def test_who_cannot_be_told_is_named_in_the_rankings_order_then_counted(self):
        points = {name: {"femur": 20.0 - n} for n, name in enumerate("abcdefghi")}
        p = {"i": 0.9, "h": 0.01, **dict.fromkeys("gfedcb", 0.5)}
        verdict = concluded(points, significance=significance_of(**p))
        assert "Cannot be told from it: net B, net C, net D, net E, net F and 2 more." in (
            verdict.sentences
        )

    def test_what_told_means_is_said(self):
        (said,) = [
            s
            for s in concluded(THREE, significance=significance_of(b=0, c=0)).sentences
            if "told" in s
        ]
        assert said == (
            "A trial counts as told from the leader when Wilcoxon's signed-rank test on the scores "
            "of the 14 single cases gives p < 0.05 after Holm's correction over the 2 tests."
        )

    def test_a_trial_that_is_better_case_by_case_is_named(self):
        ranks = {"b": 1.2, "c": 1.5, "a": 2.0}
        verdict = concluded(THREE, significance=significance_of(mean_ranks=ranks, b=0.01, c=0.3))
        (beware,) = [sentence for sentence in verdict.sentences if "Beware" in sentence]
        assert "case by case net B can be told from the leader by better scores" in beware
        calm = concluded(THREE, significance=significance_of(b=0.01, c=0.3))
        assert not any("Beware" in sentence for sentence in calm.sentences)

    @pytest.mark.parametrize(
        ("seconds", "share", "rival"),
        [(0, "100 %", None), (1, "over 99 %", "under 1 %"), (150, "85 %", "15 %")],
    )
    def test_draws(self, seconds, share, rival):
        ranks = [[1, 2, 3]] * (1000 - seconds) + [[2, 1, 3]] * seconds
        text = "".join(concluded(THREE, bootstrap=drawn(ranks)).sentences)
        assert (
            f"In 1,000 draws of 14 cases with replacement it is first, alone or level, in {share};"
            in text
        )
        assert f"interval of its rank is 1 to {2 if seconds == 150 else 1}." in text
        assert ("Most often first beside it" in text) == (rival is not None)
        assert rival is None or f"beside it: net B, in {rival}." in text

    def test_few_cases_make_few_draws(self):
        ranks = [[1, 2, 3]] * 1000
        few = concluded(THREE, bootstrap=drawn(ranks, cases=5)).sentences
        assert "5 cases allow only 126 different draws: the interval is a rough one." in few
        enough = concluded(THREE, bootstrap=drawn(ranks, cases=7)).sentences
        assert not any("different draws" in sentence for sentence in enough)

    def test_another_leader_among_those_that_remain(self):
        others = (
            way("without x", b=4, c=2),  # the leader itself is left out
            way("without y", a=2, c=4),
            way("without z", a=3, b=3),
            way("without Dice and ASSD", a=6, b=4, c=2),
        )
        text = "".join(concluded(THREE, others=others).sentences)
        assert (
            "in 2 of 3 ways: without y: net C, not net A; without z: net A and net B, not net A."
            in text
        )
        assert "repeat IoU and HD95, leaves the first place as it is." in text

    def test_none_among_those_that_remain(self):
        others = (way("without x", b=4, c=2), way("without y", a=4, c=2))
        said = "left out (2 ways), the best of those that remain stays first."
        assert said in "".join(concluded(THREE, others=others).sentences)

    def test_the_doubled_metrics_may_decide(self):
        others = (way("without Dice and ASSD", a=4, b=6, c=2),)
        assert (
            "Leaving out Dice and ASSD, which nearly repeat IoU and HD95, puts net B first."
            in concluded(THREE, others=others).sentences
        )

    def test_ties_decide_where_another_could_be_ahead(self):
        calm = "No way of breaking ties between equal values puts another trial ahead of it."
        assert calm in concluded(THREE, ties={"a": (5, 6), "b": (4, 5)}).sentences
        assert (
            "Ties between equal values decide: broken in their favour they would put net B "
            "ahead of it."
        ) in concluded(THREE, ties={"a": (5, 6), "b": (4, 5.5)}).sentences

    def test_regions(self):
        points = {
            "a": {"femur": 6, "patellar_tendon": 3},
            "b": {"femur": 4, "patellar_tendon": 4},
            "c": {"femur": 2, "patellar_tendon": 5},
        }
        sentences = concluded(points, tau=-0.25).sentences
        assert (
            "By region the place of the leader is 1 on femur and 3 on patellar tendon." in sentences
        )
        assert (
            "The regions agree least between femur and patellar tendon: Kendall's tau of their "
            "scores is -0.25 (1: the same order, 0: unrelated, -1: the reverse)."
        ) in sentences
        same = concluded(points, tau=1).sentences
        assert "All regions put the trials into the same order." in same
        unknown = concluded(points, tau=NAN).sentences
        assert not any("Kendall" in sentence for sentence in unknown)

    def test_one_region_has_nothing_to_agree_with(self):
        assert not any("region" in sentence for sentence in concluded(THREE).sentences)

    def test_the_caveats_are_always_said(self):
        for verdict in (concluded(THREE), concluded(THREE, significance=significance_of(b=0, c=0))):
            assert "flatters its lead" in verdict.sentences[-2]
            assert "another seed" in verdict.sentences[-1]


def test_not_told_looks_at_the_score_alone():
    assert not_told(significance_of(b=0.2, c=0.01, d=0.05)) == ["b", "d"]
