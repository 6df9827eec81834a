import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_search import made_search

from analysis.search import DISTANCE, KNOWN, OVERLAP, ratio_text
from tune_knee import keys
from tune_knee.config import NETWORKS


class TestObjective:
    @pytest.mark.parametrize(
        ("objective", "values"), [(OVERLAP, [0.0, 0.2, 0.9, 1.0]), (DISTANCE, [0.0, 0.5, 300.0])]
    )
    def test_scales_are_finite_increasing_and_turn_back(self, objective, values):
        modelled = objective.to_model(np.array(values))
        assert np.isfinite(modelled).all()
        assert (np.diff(modelled) > 0).all()
        assert objective.from_model(modelled) == pytest.approx(values)

    def test_scale_at_known_values(self):
        assert OVERLAP.to_model(np.array([0.5])) == pytest.approx([0.0])
        assert DISTANCE.to_model(np.array([np.e - 1])) == pytest.approx([1.0])

    def test_texts(self):
        assert DISTANCE.text(-1.234) == "−1.23 px"
        assert OVERLAP.text(0.5, signed=True) == "+0.5000"
        assert DISTANCE.text(-0.001) == "0.00 px"


class TestFinished:
    def test_grid_first_then_the_search_in_its_order(self):
        search = made_search(points=4, known=3)
        assert list(search.finished[keys.TRIAL]) == ["g0", "g1", "g2", "s0", "s1", "s2", "s3"]
        assert list(search.finished[KNOWN]) == [True] * 3 + [False] * 4

    def test_without_a_grid(self):
        finished = made_search(points=4).finished
        assert len(finished) == 4
        assert not finished[KNOWN].any()

    @pytest.mark.parametrize(
        ("status", "counts"),
        [
            (keys.STATUS_TRAINED, True),
            (keys.STATUS_TESTED, True),
            (keys.STATUS_PRUNED, False),
            (keys.STATUS_RUNNING, False),
            (keys.STATUS_FAILED, False),
        ],
    )
    def test_only_what_was_trained_to_its_end(self, status, counts):
        search = made_search(points=4)
        search.trials.loc[1, "status"] = status
        assert ("s1" in set(search.finished[keys.TRIAL])) is counts
        assert ("s1" in set(search.pruned[keys.TRIAL])) is (status == keys.STATUS_PRUNED)

    def test_without_overlap_out_without_distance_in(self):
        search = made_search(points=4)
        search.trials.loc[1, OVERLAP.key] = np.nan
        search.trials.loc[2, DISTANCE.key] = np.nan
        assert list(search.finished[keys.TRIAL]) == ["s0", "s2", "s3"]

    def test_of_the_grid_only_networks_of_the_search_and_scored_losses(self):
        search = made_search(points=2, known=3)
        search.known.loc[0, keys.NETWORK] = NETWORKS[1]
        search.known.loc[1, keys.LOSS] = "ce1"
        assert list(search.finished[keys.TRIAL]) == ["g2", "s0", "s1"]

    def test_takes_an_empty_table_for_no_grid(self):
        search = made_search(points=2)
        bare = dataclasses.replace(search, known=pd.DataFrame())
        pd.testing.assert_frame_equal(bare.finished, search.finished)


def test_ratio_text_has_two_decimals():
    assert ratio_text((0.5, 1 / 3, 1 / 6)) == "0.50:0.33:0.17"
