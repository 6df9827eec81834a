import dataclasses

import numpy as np
import pandas as pd
import pytest
from drawn_figures import check_figure, words_of
from hypothesis import given
from hypothesis import strategies as st
from made_study import made_study
from matplotlib.collections import PathCollection

from analysis.absent import Absent
from analysis.bootstrap import Bootstrap
from analysis.figures.agreement import draw_agreement, draw_region_agreement
from analysis.figures.critical_difference import alike_groups, draw_critical_difference
from analysis.figures.figure import Figure
from analysis.figures.intervals import draw_intervals
from analysis.figures.save import save_figure
from analysis.figures.sensitivity import draw_sensitivity, draw_tie_ranges
from analysis.figures.significance import draw_significance
from analysis.findings import Findings, find
from analysis.sensitivity import rank_shifts

REGIONS = ("patella", "femur", "tibia", "patellar_tendon")
LONG_NAMES = tuple(f"smp:UnetPlusPlus{n}:timm-efficientnet-b{n}" for n in range(17))
DRAW = {
    "intervals": draw_intervals,
    "sensitivity": draw_sensitivity,
    "ties": draw_tie_ranges,
    "significance": draw_significance,
    "critical difference": draw_critical_difference,
    "agreement": lambda findings, labels, trials: draw_agreement(findings),
    "regions": lambda findings, labels, trials: draw_region_agreement(findings),
}
NAN = float("nan")


class Ranked:
    """A made study with what is found about it."""

    def __init__(self, **made: object) -> None:
        study, frames = made_study(**made)
        self.trials = study.trials
        self.labels = dict(zip(study.trials["trial"], study.trials["label"], strict=True))
        self.findings = find(frames, study.tests, self.labels, draws=40)

    def draw(self, what: str, **changes: object) -> Figure | Absent:
        findings = dataclasses.replace(self.findings, **changes)
        return DRAW[what](findings, self.labels, self.trials)


@pytest.fixture(scope="module")
def few() -> Ranked:
    return Ranked(networks=("fcn_unet",), regions=("femur", "tibia"))


@pytest.fixture(scope="module")
def many() -> Ranked:
    """68 scored trials of long names; more than are drawn."""
    return Ranked(networks=LONG_NAMES, regions=REGIONS, frames=2)


def cell_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.drawing.axes[0].texts]


class TestAnySize:
    @pytest.mark.parametrize("what", sorted(DRAW.keys() - {"ties"}))
    @pytest.mark.parametrize("size", ["few", "many"])
    def test_readable(self, what, size, request):
        check_figure(request.getfixturevalue(size).draw(what))

    @pytest.mark.parametrize("what", ["intervals", "significance"])
    def test_small_on_disk(self, many, what, tmp_path):
        _, svg = save_figure(many.draw(what), tmp_path)
        assert svg.stat().st_size < 1_000_000

    @pytest.mark.parametrize(
        "regions", [("femur",), (*REGIONS, *(f"quadriceps_tendon_{n}" for n in "abcd"))]
    )
    def test_one_region_and_eight(self, regions):
        ranked = Ranked(networks=LONG_NAMES[:2], regions=regions, frames=1)
        for what in ("intervals", "sensitivity", "significance", "critical difference"):
            check_figure(ranked.draw(what))
        of_regions = ranked.draw("regions")
        if len(regions) > 1:
            check_figure(of_regions)
        else:
            assert "1 region" in of_regions.reason

    @pytest.mark.parametrize("what", ["intervals", "sensitivity", "significance"])
    def test_the_best_sixty_of_more_are_drawn_best_on_top(self, many, what):
        figure = many.draw(what)
        rows = [label.get_text() for label in figure.drawing.axes[0].get_yticklabels()]
        best = many.findings.ranking["trial"].head(60)
        assert rows == [many.labels[trial] for trial in best]
        assert "The best 60 of 68 trials are drawn." in figure.caption

    @pytest.mark.parametrize("what", ["intervals", "significance", "critical difference"])
    def test_one_case_has_none(self, few, what):
        absent = few.draw(what, bootstrap=None, significance=None)
        assert isinstance(absent, Absent)
        assert "one case" in absent.reason


def one_bootstrap(findings: Findings) -> Bootstrap:
    """Ten draws: the first trial is first in nine, last in one; the second the reverse."""
    trials = tuple(findings.ranking["trial"])
    ranks = np.tile(np.arange(1.0, 1 + len(trials)), (10, 1))
    ranks[9, [0, 1]] = 2, 1
    return Bootstrap(trials=trials, cases=4, draws=10, seed=3, scores=-ranks, ranks=ranks)


class TestIntervals:
    def test_blob_areas_are_the_shares_of_draws(self, few):
        figure = few.draw("intervals", bootstrap=one_bootstrap(few.findings))
        blobs = {
            tuple(place): points.get_sizes()[0]
            for points in figure.drawing.axes[1].collections
            if isinstance(points, PathCollection)
            for place in points.get_offsets()
        }
        assert set(blobs) == {(1, 0), (2, 0), (1, 1), (2, 1), (3, 2), (4, 3)}
        assert blobs[1, 0] / blobs[3, 2] == pytest.approx(0.9, rel=0.05)
        assert blobs[2, 0] / blobs[3, 2] == pytest.approx(0.1, rel=0.2)

    def test_caption_tells_the_leaders_interval(self, few):
        caption = few.draw("intervals", bootstrap=one_bootstrap(few.findings)).caption
        leader = few.labels[few.findings.ranking["trial"].iloc[0]]
        assert f"{leader} is first in 90% of the draws, its interval places 1 to 2" in caption
        assert "10 draws of 4 cases with replacement (seed 3)" in caption
        assert "2 of 4 trials have the first place in theirs" in caption


class TestSensitivity:
    def test_shifts_that_are_not_zero_stand_in_the_cells(self, many):
        figure = many.draw("sensitivity")
        drawn = {label.get_text() for label in figure.drawing.axes[0].get_xticklabels()}
        shifts = rank_shifts(many.findings.alternatives)
        best = shifts[shifts["trial"].isin(many.findings.ranking["trial"].head(60))]
        names = best["alternative"].str.removeprefix("without ")
        kept = best[names.isin({name.replace("\n", "") for name in drawn})]
        expected = [f"{shift:+d}".replace("-", "−") for shift in kept["shift"] if shift]
        found = [text for text in cell_texts(figure) if text[0] in "+−"]
        assert len(drawn) == 14
        assert set(expected) <= set(found)

    def test_caption_names_who_topples_the_leader(self, few):
        ways = few.findings.alternatives
        turned = ways[1].scores[::-1].reset_index(drop=True)
        turned = turned.assign(rank=np.arange(1, 1 + len(turned)))
        changed = dataclasses.replace(ways[1], scores=turned)
        caption = few.draw("sensitivity", alternatives=(ways[0], changed)).caption
        assert f"The first place changes hands in 1 of 1: {ways[1].name}." in caption
        same = few.draw("sensitivity", alternatives=(ways[0], ways[0])).caption
        assert "The first place changes hands in none of 1." in same


class TestTieRanges:
    def test_none_is_a_sentence(self, few):
        ranges = few.findings.tie_range.assign(score_min=4.0, score_max=4.0)
        assert "ties decide nothing" in few.draw("ties", tie_range=ranges).reason

    def test_only_those_that_tie_are_drawn(self, few):
        ranges = few.findings.tie_range.copy()
        ranges["score_min"] = ranges["score_max"] = few.findings.ranking["score"]
        ranges.loc[1, ["score_min", "score_max"]] += [-2, 3]
        ranges["rank_min"], ranges["rank_max"] = [1, 1, 3, 4], [2, 2, 3, 4]
        figure = few.draw("ties", tie_range=ranges)
        check_figure(figure)
        second = few.labels[ranges["trial"][1]]
        words = [text.get_text() for text in words_of(figure.drawing)]
        assert second in words
        assert few.labels[ranges["trial"][0]] not in words
        assert "1–2" in words
        assert f"the widest range is 5 points, of {second}" in figure.caption
        assert "Ties alone let 2 trials be first" in figure.caption


class TestSignificance:
    def made(self, ranked: Ranked, **columns: object) -> Figure:
        """All trials told apart or not alike, by what the columns of the tests say."""
        significance = ranked.findings.significance
        tests = significance.tests.assign(**columns)
        figure = ranked.draw(
            "significance", significance=dataclasses.replace(significance, tests=tests)
        )
        assert isinstance(figure, Figure)
        return figure

    def symbols(self, figure: Figure) -> set[str]:
        return {text[0] for text in cell_texts(figure)} & set("▲▼≠")

    def test_level_and_just_below(self, few):
        assert self.symbols(self.made(few, p_holm=0.05, difference=-1.0)) == set()
        assert self.symbols(self.made(few, p_holm=0.049, difference=0.0)) == {"≠"}

    def test_less_distance_is_better_and_less_overlap_worse(self, few):
        tests = few.findings.significance.tests
        distance = tests["measure"] == "distance_px"
        better = np.where(distance, -1.0, 1.0)
        assert self.symbols(self.made(few, p_holm=0.01, difference=better)) == {"▲"}
        assert self.symbols(self.made(few, p_holm=0.01, difference=-better)) == {"▼"}

    def test_a_distance_without_a_number_goes_with_the_overlap(self, few):
        tests = few.findings.significance.tests
        difference = tests["measure"].map({"score": -1.0, "overlap": -0.5, "distance_px": NAN})
        figure = self.made(few, p_holm=0.01, difference=difference)
        assert self.symbols(figure) == {"▼"}

    def test_numbers_and_their_absence(self, few):
        cells = cell_texts(self.made(few, p_holm=[0.0004, 0.012, 0.31] * 5, difference=-1.0))
        assert {"▼ <.001", "▼ .012", ".31"} <= set(cells)
        assert "–" in cell_texts(self.made(few, p_holm=NAN))

    def test_too_few_cases_are_said_to_be(self, few):
        caption = few.draw("significance").caption
        assert "With 4 cases no p can be below 0.12" in caption
        assert "no trial could be told from it" in caption


class TestCriticalDifference:
    def test_groups_by_hand(self):
        ranks = np.array([1.0, 2.0, 3.5, 6.0])
        assert alike_groups(ranks, 0.5) == []
        assert alike_groups(ranks, 1.5) == [(0, 1), (1, 2)]
        assert alike_groups(ranks, 2.5) == [(0, 2), (2, 3)]
        assert alike_groups(ranks, 5.0) == [(0, 3)]

    @given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 12))
    def test_two_share_a_group_if_and_only_if_they_are_near(self, values, difference):
        ranks = np.sort(np.array(values, dtype=float))
        groups = alike_groups(ranks, difference)
        for one in range(len(ranks)):
            for other in range(one + 1, len(ranks)):
                together = any(first <= one and other <= last for first, last in groups)
                assert together == (ranks[other] - ranks[one] <= difference)
        for first, last in groups:
            others = [group for group in groups if group != (first, last)]
            assert not any(low <= first and last <= high for low, high in others)

    def test_the_difference_is_drawn_from_the_best(self, few):
        significance = few.findings.significance
        figure = few.draw("critical difference")
        (shade,) = figure.drawing.axes[0].patches
        best = significance.mean_ranks.min()
        assert shade.get_x() == pytest.approx(best)
        assert shade.get_width() == pytest.approx(significance.critical_difference)

    def test_two_trials_have_no_friedman(self, few):
        significance = dataclasses.replace(few.findings.significance, friedman_p=NAN)
        assert "Friedman" in few.draw("critical difference").caption
        figure = few.draw("critical difference", significance=significance)
        assert "Friedman" not in figure.caption


class TestAgreement:
    def test_taus_stand_in_the_cells_but_for_the_diagonal(self, few):
        names = ["score", "without a", "without b"]
        taus = pd.DataFrame([[1, 0.5, NAN], [0.5, 1, -0.25], [NAN, -0.25, 1]], names, names)
        figure = few.draw("agreement", agreement=taus)
        assert sorted(cell_texts(figure)) == sorted(["0.50", "–", "−0.25"] * 2)
        assert "Least like the score: without a (0.50)." in figure.caption
        assert "tau lies between -0.25 and 0.50" in figure.caption.replace("−", "-")

    def test_regions_are_named(self, few):
        taus = pd.DataFrame(
            [[1, 0.9, 0.2], [0.9, 1, 0.4], [0.2, 0.4, 1]], list(REGIONS[:3]), list(REGIONS[:3])
        )
        caption = few.draw("regions", region_agreement=taus).caption
        assert "Least alike: patella and tibia (0.20); most: patella and femur (0.90)." in caption

    def test_nothing_to_compare(self, few):
        taus = pd.DataFrame([[1, NAN], [NAN, 1]], ["a", "b"], ["a", "b"])
        assert isinstance(few.draw("agreement", agreement=taus), Absent)
        assert isinstance(few.draw("regions", region_agreement=taus), Absent)
