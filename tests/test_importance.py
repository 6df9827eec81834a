import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_search import made_search

from analysis.absent import Absent
from analysis.importance import parameter_importance
from analysis.search import DISTANCE, OVERLAP, TAU
from tune_knee import keys
from tune_knee.config import NETWORKS


@pytest.fixture(scope="module")
def search():
    return made_search(points=14, networks=NETWORKS[:2], rates=True, known=4)


class TestShares:
    def test_what_varies_and_no_more_sums_to_one(self, search):
        found = parameter_importance(search, OVERLAP)
        assert set(found.table["parameter"]) == {*TAU, keys.NETWORK, keys.LEARNING_RATE}
        assert found.table["importance"].sum() == pytest.approx(1)
        assert found.table["importance"].is_monotonic_decreasing
        low, high = found.table["importance_low"], found.table["importance_high"]
        assert (low <= found.table["importance"]).all()
        assert (found.table["importance"] <= high).all()
        assert found.trials == 18

    def test_finds_what_decides(self, search):
        trials = search.trials.copy()
        trials[OVERLAP.key] = 0.3 + 0.5 * (trials[keys.NETWORK] == NETWORKS[0])
        decided = dataclasses.replace(search, trials=trials, known=search.known.head(0))
        first = parameter_importance(decided, OVERLAP).table.iloc[0]
        assert first["parameter"] == keys.NETWORK
        assert first["importance"] > 0.8

    def test_is_that_of_the_seed(self, search):
        same, again, other = (
            parameter_importance(search, DISTANCE, seed=seed).table for seed in (1, 1, 2)
        )
        pd.testing.assert_frame_equal(same, again)
        assert not np.allclose(same["importance"].to_numpy(), other["importance"].to_numpy())

    def test_says_nothing_on_the_way(self, search, caplog, capfd):
        parameter_importance(search, OVERLAP)
        assert not caplog.records
        assert capfd.readouterr() == ("", "")


class TestAbsent:
    def test_needs_ten_trials(self):
        assert "there are 9" in parameter_importance(made_search(points=9), OVERLAP).reason
        assert not isinstance(parameter_importance(made_search(points=10), OVERLAP), Absent)

    def test_needs_values_that_differ(self):
        search = made_search(points=12)
        search.trials[DISTANCE.key] = np.nan
        assert "same value, or none" in parameter_importance(search, DISTANCE).reason

    def test_needs_parameters_that_differ(self):
        search = made_search(points=12)
        search.trials[list(TAU)] = (0.5, 0.3, 0.2)
        assert "one parameter at most" in parameter_importance(search, OVERLAP).reason
