import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_study import made_study, with_trials

from analysis.paper_comparison import compare_to_paper
from analysis.published import load_published, recompute, total
from tune_knee.config import NETWORKS

PAPER_REGIONS = ("patella", "femur", "tibia", "patellar_tendon")


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return load_published()


@pytest.fixture(scope="module")
def study():
    return made_study(networks=NETWORKS, regions=PAPER_REGIONS)[0]


def like_the_paper(study, published, sign: int):
    """The study with the paper's own values, or with their order reversed."""
    trials = study.trials.merge(
        published[["trial", "network", "loss", "tau_ce"]].drop_duplicates(),
        on=["network", "loss", "tau_ce"],
        suffixes=("", "_paper"),
    )
    values = published.merge(
        trials[["trial", "trial_paper"]], left_on="trial", right_on="trial_paper"
    )
    tests = pd.DataFrame(
        {
            "trial": values["trial_y"],
            "region": values["region"],
            "network": values["network"],
            "loss": values["loss"],
            "overlap": 0.5 + sign * values["overlap"] / 2,
            "distance_px": 50 + sign * values["distance_px"],
        }
    )
    return dataclasses.replace(study, tests=tests)


class TestAgreement:
    def test_the_paper_agrees_with_itself(self, study, published):
        found = compare_to_paper(like_the_paper(study, published, 1), published)
        assert found.correlations["region"].tolist() == [*PAPER_REGIONS, "total"]
        assert found.correlations["kendall_tau"].tolist() == pytest.approx([1] * 5)
        assert found.correlations["spearman_rho"].tolist() == pytest.approx([1] * 5)
        assert (found.places["moved"] == 0).all()

    def test_the_reverse_is_the_opposite(self, study, published):
        found = compare_to_paper(like_the_paper(study, published, -1), published)
        assert found.correlations["kendall_tau"].tolist() == pytest.approx([-1] * 5, abs=0.05)
        places = found.places
        assert (places["ours_rank"].sort_values().to_numpy()[0], len(places)) == (1, 20)
        first = places.iloc[0]
        assert first["moved"] == first["paper_rank"] - first["ours_rank"] > 15

    def test_both_are_ranked_among_the_shared_alone(self, study, published):
        found = compare_to_paper(study, published, ties="max")
        shared = published[published["trial"].isin(found.places["trial"])]
        expected = total(recompute(shared, ties="max")).set_index("trial")
        places = found.places.set_index("trial")
        assert len(places) == 20
        assert places["paper_score"].to_dict() == expected["score"].to_dict()
        assert places["paper_rank"].to_dict() == expected["rank"].to_dict()

    def test_equal_scores_have_no_correlation(self, study, published):
        tests = study.tests.copy()
        lost = tests["region"] == "patellar_tendon"
        tests.loc[lost, ["overlap", "distance_px"]] = [0.0, np.nan]
        same = dataclasses.replace(study, tests=tests)
        row = compare_to_paper(same, published).correlations.set_index("region")
        assert row.loc["patellar_tendon"].isna().all()
        assert row.loc["total"].notna().all()


class TestPartners:
    def test_who_has_none_is_named(self, study, published):
        trials = study.trials.copy()
        trials.loc[trials["label"] == "segformer_b2 ce2", "tau_ce"] = 0.7
        trials.loc[trials["label"] == "fcn_unet ce2", "status"] = "failed"
        found = compare_to_paper(with_trials(study, trials), published)
        assert found.unscored == tuple(f"{network} ce1" for network in NETWORKS)
        assert found.not_in_paper == ("segformer_b2 ce2",)
        assert {"SegFormer_B2 ce2", "FCN_UNet ce2"} <= set(found.not_in_study)
        assert len(found.not_in_study) == 50 - 20 + 2
        assert len(found.places) == 18

    def test_several_trials_of_one_model_are_left_out_and_named(self, study, published):
        trials = study.trials.copy()
        twin = trials[trials["label"] == "fcn_unet ce2"].assign(pretrained=True, trial="twin")
        found = compare_to_paper(with_trials(study, pd.concat([trials, twin])), published)
        assert found.several == ("FCN_UNet ce2",)
        assert "FCN_UNet ce2" not in set(found.places["trial"])
        assert "FCN_UNet ce2" not in found.not_in_study

    def test_shared_regions_alone(self, published):
        study = made_study(regions=("tibia", "fibula"))[0]
        found = compare_to_paper(study, published)
        assert found.regions == ("tibia",)
        assert found.correlations["region"].tolist() == ["tibia", "total"]
        assert found.places["paper_score"].max() <= 2 * len(found.places)

    def test_no_shared_region(self, published):
        study = made_study(regions=("fibula", "talus"))[0]
        with pytest.raises(ValueError, match=r"one of the paper's .*, got fibula, talus in study"):
            compare_to_paper(study, published)

    def test_one_shared_model_is_no_ranking(self, study, published):
        one = study.trials[study.trials["label"].isin(["fcn_unet ce2", "fcn_unet ce1"])]
        with pytest.raises(ValueError, match=r"two trials or more .* got 1 in study=made"):
            compare_to_paper(with_trials(study, one), published)
