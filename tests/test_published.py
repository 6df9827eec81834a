from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.published import (
    agreement,
    compare_tables_4_and_8,
    is_possible,
    load_published,
    load_table_4,
    recompute,
    total,
    winners,
)
from analysis.ranking import rank_sum_score
from tune_knee.config import NETWORKS, LossWeights, TrialConfig

SHARED = Path(__file__).parents[2] / "shared" / "paper"
TOP_10 = [335, 334, 329, 329, 325, 305, 300, 294, 288, 287]


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return load_published()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/paper beside the checkout")
@pytest.mark.parametrize("name", ["tables_5_to_8.csv", "table_4.csv"])
def test_the_package_ships_the_tables_as_they_were_read(name):
    shipped = files("analysis").joinpath("published_tables", name).read_bytes()
    assert shipped == (SHARED / name).read_bytes()


class TestTables:
    def test_50_models_on_four_regions(self, published):
        assert len(published) == 200
        assert published["trial"].nunique() == 50
        assert set(published["network"]) == set(NETWORKS)

    def test_models_are_ours(self, published):
        for row in published.drop_duplicates("trial").to_dict("records"):
            tau = LossWeights(ce=row["tau_ce"], dice=row["tau_dice"], boundary=row["tau_boundary"])
            ours = TrialConfig(network=row["network"], loss=row["loss"], tau=tau)
            assert row["trial"].lower().replace("+_", "plus_") == ours.label

    def test_what_our_copy_lost_ranks_first_and_a_dash_last(self, published):
        rows = published.set_index(["region", "trial"])
        lost = rows.loc[("patella", "PSPNet_R50c ce2+dice 0.90:0.10")]
        assert (lost["overlap"], lost["distance_px"]) == (1, 0)
        one = rows.loc[("tibia", "FCN_UNet ce2+dice 0.10:0.90")]
        assert (one["overlap"], one["distance_px"]) == (1, 1.6518)
        dash = rows.loc[("patellar_tendon", "PSPNet_R50c ce2+boundary 0.50:0.50")]
        assert np.isnan([dash["overlap"], dash["distance_px"]]).all()

    def test_table_4_by_hand(self):
        row = load_table_4().query("network == 'fcn_unet' and loss == 'ce1'").iloc[0]
        assert row["overlap"] == pytest.approx((0.7151 + 0.8268 + 0.8561 + 0.8160) / 4)
        assert row["distance_px"] == pytest.approx((27.8598 + 4.0110) / 2)

    def test_tables_4_and_8_agree_to_the_last_digit(self, published):
        pairs = compare_tables_4_and_8(published)
        assert len(pairs) == 10
        known = pairs.dropna()
        assert (known["printed"] - known["table_4"]).abs().max() <= 0.5e-4 + 1e-9
        (lost,) = pairs[pairs["printed"].isna()].to_dict("records")
        assert lost["trial"] == "DeepLabV3+_R50c ce2"
        assert lost["table_4"] == pytest.approx(0.80935)


class TestScores:
    def test_199_of_200_are_possible(self, published):
        scores = recompute(published)
        (wrong,) = scores[~is_possible(scores)].to_dict("records")
        assert wrong["trial"] == "FCN_UNet ce2+dice+boundary 0.80:0.10:0.10"
        assert wrong["region"] == "tibia"
        assert (wrong["published"], wrong["lowest"], wrong["highest"]) == (51, 52, 53)

    @pytest.mark.parametrize(
        ("ties", "equal"),
        [("average", [38, 36, 38, 48]), ("min", [44, 43, 43, 49]), ("max", [44, 43, 42, 49])],
    )
    def test_agreement_by_region(self, published, ties, equal):
        counts = agreement(recompute(published, ties=ties))
        assert counts["region"].tolist() == ["patella", "femur", "tibia", "patellar_tendon"]
        assert counts["models"].tolist() == [50] * 4
        assert counts["equal"].tolist() == equal
        assert counts["possible"].tolist() == [50, 50, 49, 50]

    def test_where_nothing_ties_the_score_is_the_printed_one(self, published):
        scores = recompute(published)
        apart = scores[scores["lowest"] == scores["highest"]]
        assert len(apart) == 200 - (12 + 14 + 13 + 2)
        assert (apart["score"] == apart["published"]).all()

    def test_scores_are_those_of_the_criterion(self, published):
        scores = recompute(published, ties="max")
        for region, rows in published.groupby("region"):
            expected = rank_sum_score(rows["overlap"], rows["distance_px"], ties="max")
            assert scores.loc[scores["region"] == region, "score"].tolist() == expected.tolist()


class TestTotals:
    def test_the_published_top_10_lie_between_the_tie_rules(self, published):
        totals = total(recompute(published)).sort_values("published", ascending=False)
        top = totals.head(10)
        assert top["published"].tolist() == TOP_10
        assert (top["lowest"] <= top["published"]).all()
        assert (top["published"] <= top["highest"]).all()

    def test_mean_ranks_change_the_winner(self, published):
        totals = total(recompute(published))
        assert len(totals) == 50
        assert totals["trial"].head(2).tolist() == [
            "SegFormer_B2 ce2+dice 0.50:0.50",
            "DeepLabV3+_R50c ce2+dice+boundary 0.50:0.25:0.25",
        ]
        assert totals["score"].head(2).tolist() == [334.0, 333.5]
        assert totals["rank"].head(2).tolist() == [1, 2]

    def test_two_models_win_by_some_rule(self, published):
        rules = winners(published).set_index("trial").to_dict("index")
        assert rules == {
            "SegFormer_B2 ce2+dice 0.50:0.50": {
                "published": 334,
                "average": 334.0,
                "min": 334.0,
                "max": 334.0,
            },
            "DeepLabV3+_R50c ce2+dice+boundary 0.50:0.25:0.25": {
                "published": 335,
                "average": 333.5,
                "min": 332.0,
                "max": 335.0,
            },
        }

    def test_some_models_can_be_scored_among_themselves(self, published):
        some = published[published["network"] == "segformer_b2"]
        scores = recompute(some)
        assert len(scores) == 40
        assert scores.groupby("region")["score"].sum().tolist() == [10 * 11] * 4
