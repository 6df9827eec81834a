import numpy as np
import pandas as pd

from analysis.ranking import rank_trials, score_trials
from analysis.sensitivity import Alternative, alternatives, rank_shifts
from tune_knee import keys

#           trial, network, loss, overlap, distance
TRIALS = [
    ("a", "unet", "ce2", 0.90, 1.0),
    ("b", "unet", "ce2+dice", 0.80, 2.0),
    ("c", "pspnet", "ce2", 0.70, 3.0),
    ("d", "pspnet", "ce2+dice", 0.60, 4.0),
    ("e", "pspnet", "ce1", 0.95, 0.5),
]


def means(trials: list[tuple] = TRIALS) -> pd.DataFrame:
    rows = [
        (trial, region, network, loss, *[overlap] * 4, distance, distance, overlap, distance)
        for trial, network, loss, overlap, distance in trials
        for region in ("femur", "tibia")
    ]
    columns = ["trial", "region", "network", "loss", *keys.METRICS, "overlap", "distance_px"]
    return pd.DataFrame(rows, columns=columns)


def order(way: Alternative) -> str:
    return "".join(way.scores["trial"])


class TestAlternatives:
    def test_names_and_who_is_ranked(self):
        found = {way.name: order(way) for way in alternatives(means())}
        assert found == {
            "score": "abcd",
            "without unet": "cd",
            "without pspnet": "ab",
            "without ce2": "bd",
            "without ce2+dice": "ac",
            "without Dice and ASSD": "abcd",
        }

    def test_the_first_is_the_score_itself(self):
        score = alternatives(means())[0]
        expected = rank_trials(score_trials(means()))
        pd.testing.assert_frame_equal(score.scores, expected)

    def test_those_that_remain_are_scored_among_themselves(self):
        without = {way.name: way for way in alternatives(means())}["without unet"]
        assert without.scores.to_numpy().tolist() == [["c", 8.0, 1], ["d", 4.0, 2]]

    def test_a_trial_between_two_others_may_be_what_parts_them(self):
        # b has the better overlap and a the better distance; c stands between in the first.
        table = means(
            [
                ("a", "unet", "ce2", 0.7, 1.0),
                ("b", "unet", "ce2", 0.9, 2.0),
                ("c", "pspnet", "ce2", 0.8, 3.0),
            ]
        )
        ways = {way.name: way.scores for way in alternatives(table)}
        assert ways["score"].to_numpy().tolist() == [["b", 10, 1], ["a", 8, 2], ["c", 6, 3]]
        assert ways["without pspnet"].to_numpy().tolist() == [["a", 6, 1], ["b", 6, 1]]

    def test_nothing_is_left_out_where_fewer_than_two_would_remain(self):
        one_network = means([row for row in TRIALS if row[1] == "unet"])
        assert [way.name for way in alternatives(one_network)] == ["score", "without Dice and ASSD"]

    def test_without_doubles_takes_iou_precision_recall_and_hd95(self):
        table = means()
        at = (table["trial"] == "d") & (table["region"] == "femur")
        table.loc[at, ["dice", "assd_px"]] = [1.0, 0.0]
        table.loc[at, ["overlap", "distance_px"]] = [1.0, 0.0]
        score, *_, without = alternatives(table)
        assert score.scores.set_index("trial").loc["d", "score"] == 2 * 4 + 2 * 1
        assert without.scores.set_index("trial").loc["d", "score"] == 4
        table.loc[at, ["iou", "hd95_px"]] = [1.0, 0.5]  # (1 + 0.6 + 0.6) / 3 = 0.733
        without = alternatives(table)[-1]
        assert without.scores.set_index("trial").loc["d", "score"] == (2 + 4) + 2

    def test_an_undefined_distance_stays_last(self):
        table = means()
        lost = table["trial"] == "a"
        table.loc[lost, ["hd95_px", "assd_px", "distance_px"]] = np.nan
        without = alternatives(table)[-1]
        assert without.scores.set_index("trial").loc["a", "score"] == 2 * (4 + 1)


class TestRankShifts:
    def test_a_trial_is_compared_with_its_place_among_those_that_remain(self):
        score = way("score", {"a": 9, "b": 7, "c": 5, "d": 3})
        turned = way("without a", {"d": 6, "b": 4, "c": 2})
        shifts = rank_shifts([score, turned])
        assert shifts.columns.tolist() == ["alternative", "trial", "place", "rank", "shift"]
        assert shifts.to_numpy().tolist() == [
            ["without a", "b", 1, 2, -1],
            ["without a", "c", 2, 3, -1],
            ["without a", "d", 3, 1, 2],
        ]

    def test_equal_scores_share_a_place(self):
        score = way("score", {"a": 9, "b": 7, "c": 7, "d": 3})
        same = way("same", {"b": 7, "c": 7, "d": 3})
        assert rank_shifts([score, same])["place"].tolist() == [1, 1, 3]
        assert rank_shifts([score, same])["shift"].tolist() == [0, 0, 0]


def way(name: str, scores: dict[str, float]) -> Alternative:
    table = pd.DataFrame({"trial": list(scores), "score": list(scores.values())})
    table["rank"] = table["score"].rank(method="min", ascending=False).astype(int)
    return Alternative(name=name, description="", scores=table)
