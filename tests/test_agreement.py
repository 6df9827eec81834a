import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from analysis.agreement import agree_alternatives, agree_rankings, agree_regions
from analysis.sensitivity import Alternative


def way(name: str, **scores: float) -> Alternative:
    table = pd.DataFrame({"trial": list(scores), "score": list(scores.values())})
    table["rank"] = table["score"].rank(method="min", ascending=False).astype(int)
    return Alternative(name=name, description="", scores=table)


class TestAgreeAlternatives:
    def test_by_hand(self):
        # Of the six pairs one is turned round: (5 - 1) / 6.
        taus = agree_alternatives([way("x", a=4, b=3, c=2, d=1), way("y", d=1, c=3, b=2, a=9)])
        assert taus.loc["x", "y"] == taus.loc["y", "x"] == pytest.approx(4 / 6)
        assert taus.index.tolist() == taus.columns.tolist() == ["x", "y"]
        assert np.diag(taus).tolist() == [1, 1]

    def test_ties_are_those_of_tau_b(self):
        one, other = [5, 5, 3, 1, 0], [4, 3, 3, 1, 2]
        taus = agree_alternatives(
            [
                way(name, **dict(zip("abcde", values, strict=True)))
                for name, values in (("x", one), ("y", other))
            ]
        )
        assert taus.loc["x", "y"] == pytest.approx(kendalltau(one, other, variant="b").statistic)

    def test_only_shared_trials_count(self):
        taus = agree_alternatives([way("x", a=4, b=3, c=2), way("y", b=1, c=2, d=9)])
        assert taus.loc["x", "y"] == -1

    @pytest.mark.parametrize("other", [way("y", c=1, d=2), way("y", a=1, d=2), way("y", a=1, b=1)])
    def test_too_few_shared_or_all_equal_is_missing(self, other):
        assert np.isnan(agree_alternatives([way("x", a=4, b=3), other]).loc["x", "y"])


class TestAgreeRegions:
    def test_square_in_the_regions_order(self):
        scores = pd.DataFrame(
            [
                ("a", "tibia", 6.0),
                ("a", "femur", 2.0),
                ("b", "tibia", 4.0),
                ("b", "femur", 4.0),
                ("c", "tibia", 2.0),
                ("c", "femur", 6.0),
            ],
            columns=["trial", "region", "score"],
        )
        taus = agree_regions(scores)
        assert taus.index.tolist() == taus.columns.tolist() == ["tibia", "femur"]
        assert taus.to_numpy().tolist() == [[1, -1], [-1, 1]]

    def test_one_region_agrees_with_itself(self):
        scores = pd.DataFrame({"trial": ["a", "b"], "region": "femur", "score": [2.0, 4.0]})
        assert agree_regions(scores).to_numpy().tolist() == [[1]]


class TestAgreeRankings:
    def scores(self, **regions: list[float]) -> pd.DataFrame:
        rows = [
            (trial, region, score)
            for region, values in regions.items()
            for trial, score in zip("abcde", values, strict=False)
        ]
        return pd.DataFrame(rows, columns=["trial", "region", "score"])

    def test_regions_and_total_are_scipys(self):
        one = self.scores(femur=[5, 3, 3, 1], tibia=[2, 9, 4, 4])
        other = self.scores(femur=[4, 4, 2, 1], tibia=[1, 2, 3, 8])
        table = agree_rankings(one, other.sample(frac=1, random_state=0))
        assert sorted(table["region"]) == ["femur", "tibia", "total"]
        rows = table.set_index("region")
        pairs = {
            "femur": ([5, 3, 3, 1], [4, 4, 2, 1]),
            "total": ([7, 12, 7, 5], [5, 6, 5, 9]),
        }
        for name, pair in pairs.items():
            assert rows.loc[name, "kendall_tau"] == pytest.approx(kendalltau(*pair).statistic)
            assert rows.loc[name, "spearman_rho"] == pytest.approx(spearmanr(*pair).statistic)

    @pytest.mark.parametrize("values", [[3, 3, 3], [3], []])
    def test_one_score_for_all_is_missing(self, values):
        table = agree_rankings(
            self.scores(femur=values), self.scores(femur=[1, 2, 3][: len(values)])
        )
        assert table["region"].iloc[-1] == "total"
        assert table[["kendall_tau", "spearman_rho"]].isna().to_numpy().all()
