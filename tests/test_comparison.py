import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_study import made_study, with_trials
from scipy.stats import kendalltau, wilcoxon
from statsmodels.stats.multitest import multipletests

from analysis.aggregate import aggregate_frames
from analysis.comparison import compare_studies
from analysis.load import Study
from analysis.ranking import rank_trials, score_trials
from tune_knee.config import PAPER_BUDGET, PREVIEW_BUDGET


@pytest.fixture(scope="module")
def first() -> tuple[Study, pd.DataFrame]:
    return made_study(cases=8)


@pytest.fixture(scope="module")
def other() -> tuple[Study, pd.DataFrame]:
    study, frames = made_study(cases=8, seed=1)
    return dataclasses.replace(study, name="again", study_id="s2"), frames


def compare(first, other):
    return compare_studies(first[0], other[0], first[1], other[1])


def renamed(made, prefix: str):
    """The same study with other trial ids."""
    study, frames = made
    tables = (study.trials, study.tests, frames)
    trials, tests, frames = (table.assign(trial=prefix + table["trial"]) for table in tables)
    return dataclasses.replace(study, trials=trials, tests=tests), frames


class TestDifferences:
    def test_a_study_does_not_differ_from_itself(self, first):
        found = compare(first, first)
        assert (found.differences["difference"].dropna() == 0).all()
        assert (found.differences["p"] == 1).all()
        assert (found.places["first_rank"] == found.places["other_rank"]).all()
        assert found.correlations["kendall_tau"].tolist() == pytest.approx([1] * 3)

    def test_means_are_the_studies_own(self, first, other):
        found = compare(first, renamed(other, "x"))
        row = found.differences.query("trial == 't7' and region == 'femur'").set_index("measure")
        for measure in ("overlap", "distance_px"):
            values = [
                study.tests.query("trial == 't7' and region == 'femur'")[measure].item()
                for study in (first[0], other[0])
            ]
            assert row.loc[measure, ["first", "other"]].tolist() == values
            assert row.loc[measure, "difference"] == values[1] - values[0]

    @pytest.mark.parametrize("measure", ["overlap", "distance_px"])
    def test_p_is_wilcoxons_over_cases_and_holms_over_trials(self, first, other, measure):
        found = compare(first, other).differences
        by_case = [
            aggregate_frames(frames, by=["trial", "case"])
            .query("region == 'femur'")
            .pivot_table(measure, "case", "trial", sort=False)
            for _, frames in (first, other)
        ]
        differences = by_case[1] - by_case[0]
        p = [wilcoxon(differences[trial]).pvalue for trial in differences]
        rows = found.query("region == 'femur' and measure == @measure").set_index("trial")
        rows = rows.loc[differences.columns]
        assert rows["p"].tolist() == pytest.approx(p)
        assert rows["p_holm"].tolist() == pytest.approx(multipletests(p, method="holm")[1])
        assert rows["median_difference"].tolist() == pytest.approx(differences.median().tolist())

    def test_a_region_found_in_one_study_only_is_the_largest_difference(self, first):
        study, frames = made_study(cases=8)
        lost = (frames["trial"] == "t3") & (frames["region"] == "patellar_tendon")
        frames.loc[lost, ["iou", "dice", "precision", "recall"]] = 0.0
        frames.loc[lost, ["hd95_px", "assd_px"]] = np.nan
        tests = study.tests.drop(columns=frames.columns.intersection(study.tests.columns)[4:])
        means = aggregate_frames(frames).merge(
            tests[["trial", "network", "loss"]].drop_duplicates()
        )
        found = compare(first, (dataclasses.replace(study, tests=means), frames)).differences
        row = found.query(
            "trial == 't3' and region == 'patellar_tendon' and measure == 'distance_px'"
        ).iloc[0]
        assert np.isnan(row["other"])
        assert np.isnan(row["median_difference"])
        assert (row["cases"], row["p"]) == (8, 2 / 2**8)

    def test_distances_come_to_the_pixels_of_the_first(self, first):
        large = dataclasses.replace(first[0], budget=PAPER_BUDGET)
        found = compare((large, first[1]), first)
        factor = PAPER_BUDGET.image_size_px / PREVIEW_BUDGET.image_size_px
        assert found.scale == factor
        rows = found.differences.query("measure == 'distance_px'").dropna(subset="first")
        assert (rows["other"] / rows["first"]).tolist() == pytest.approx([factor] * len(rows))
        longer = rows["median_difference"] / rows["first"]
        assert longer.to_numpy() == pytest.approx(factor - 1, rel=0.2)


class TestCases:
    def test_other_test_frames_are_not_paired(self, first, other):
        moved = other[1].assign(case="other " + other[1]["case"])
        found = compare(first, (other[0], moved))
        assert found.cases is None
        assert found.differences[["p", "p_holm", "cases"]].isna().to_numpy().all()
        assert found.differences["difference"].notna().any()

    def test_one_case_is_paired_and_not_tested(self):
        found = compare(made_study(cases=1), made_study(cases=1, seed=1))
        assert found.cases == 1
        assert found.differences["p"].isna().all()

    def test_frames_of_trials_without_a_partner_do_not_matter(self, first, other):
        alone = first[0].trials["label"] == "fcn_unet ce2"
        fewer = with_trials(first[0], first[0].trials[~alone])
        frames = other[1].drop(other[1].query("trial == 't1'").index[:3])
        assert compare((fewer, first[1]), (other[0], frames)).cases == 8


class TestRanks:
    def test_they_are_among_the_shared_alone(self, first, other):
        fewer = with_trials(first[0], first[0].trials.iloc[2:9])
        found = compare((fewer, first[1]), other)
        some = set(fewer.trials["trial"])
        expected = rank_trials(score_trials(other[0].tests[other[0].tests["trial"].isin(some)]))
        places = found.places.set_index("trial")
        assert places["other_rank"].to_dict() == expected.set_index("trial")["rank"].to_dict()
        assert places["first_rank"].is_monotonic_increasing
        assert "t5" not in places.index  # ce1

    def test_tau_is_scipys(self, first, other):
        found = compare(first, other)
        totals = found.places[["first_score", "other_score"]].to_numpy().T
        taus = found.correlations.set_index("region")["kendall_tau"]
        assert taus["total"] == pytest.approx(kendalltau(*totals).statistic)

    def test_trials_that_have_no_score_are_compared_all_the_same(self, first, other):
        ce1 = with_trials(first[0], first[0].trials[first[0].trials["loss"] == "ce1"])
        found = compare((ce1, first[1]), other)
        assert found.places.empty
        assert len(found.differences) == 3 * 2 * 2


class TestRegions:
    def test_shared_ones_alone(self, first):
        other = made_study(regions=("tibia", "femur"), cases=8, seed=1)
        found = compare(first, other)
        assert found.regions == ("femur",)
        assert found.other_regions == ("patellar_tendon", "tibia")
        assert set(found.differences["region"]) == {"femur"}
        assert found.correlations["region"].tolist() == ["femur", "total"]

    def test_none_shared(self, first):
        other = made_study(regions=("tibia", "fibula"))
        with pytest.raises(ValueError, match=r"must share a region, got femur, patellar_tendon in"):
            compare(first, other)
