from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_search import BEST, made_search
from made_study import made_study

from analysis.load import Study
from analysis.search import DISTANCE, OVERLAP
from analysis.shortlist import Recommended
from search_spaces.loader import load_search
from tune_knee import keys
from tune_knee.config import NETWORKS, PAPER_BUDGET, PREVIEW_BUDGET, LossWeights, TrialConfig
from tune_knee.refinement import Refinement, point_trial, refine, tried_points
from tune_knee.search_config import LogRange, SearchConfig, SearchSpace
from tune_knee.search_coordinates import SearchCoordinates

ASKED = load_search("continuous_tau")
SPACE = SearchSpace(networks=NETWORKS[:1])


def made(space: SearchSpace = SPACE, **shape: Any) -> Study:
    """A search as MLflow keeps it, tested to the end."""
    found = made_search(networks=space.networks, **shape)
    study, _ = made_study()
    search = {**asdict(SearchConfig()), **asdict(space)}
    return replace(study, search=search, trials=found.trials, tests=region_rows(found.trials))


def region_rows(trials: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({keys.TRIAL: trials[keys.TRIAL], keys.REGION: "femur"})


def a_grid(*configs: TrialConfig) -> Study:
    """A grid's study that has tested these."""
    study, _ = made_study()
    rows = [
        {
            keys.TRIAL: f"g{number}",
            "status": keys.STATUS_TESTED,
            keys.LEARNING_RATE: np.nan,
            keys.REPEAT: config.repeat,
            **config.params(),
        }
        for number, config in enumerate(configs)
    ]
    trials = pd.DataFrame(rows)
    return replace(study, name="paper", study_id="p1", trials=trials, tests=region_rows(trials))


@pytest.fixture(scope="module")
def study() -> Study:
    return made(points=12)


@pytest.fixture(scope="module")
def refined(study: Study) -> Refinement:
    return refine(ASKED, study, PREVIEW_BUDGET, top=3)


def test_the_points_become_trials_and_the_plan_says_whose(study, refined):
    assert len(refined.grid.trials) == len(set(refined.grid.trials)) == 3
    assert refined.grid.name == "continuous_tau"
    first = refined.grid.trials[0]
    assert np.abs(np.array([first.tau.ce, first.tau.dice, first.tau.boundary]) - BEST).max() < 0.15
    assert (first.network, first.loss, first.learning_rate) == (
        NETWORKS[0], "ce2+dice+boundary", None,
    )  # fmt: skip
    assert refined.plan.search == (study.tracking_uri, study.study_id)
    assert (refined.plan.top, refined.plan.grid, refined.plan.taken) == (3, (), ())
    assert any(first.label in note for note in refined.notes)
    assert refined.notes[-1] == (
        "To be ranked with no grid: the search started from none; --warm-start STUDY names one."
    )


def test_the_same_search_is_refined_in_the_same_way(study, refined):
    assert refine(ASKED, study, PREVIEW_BUDGET, top=3) == refined


def test_seeds_repeat_each_point(study, refined):
    trials = refine(ASKED, study, PREVIEW_BUDGET, top=2, seeds=2).grid.trials
    assert trials == tuple(
        replace(point, repeat=repeat) for point in refined.grid.trials[:2] for repeat in (0, 1)
    )


def test_another_budget_has_the_same_points(study, refined):
    assert refine(ASKED, study, PAPER_BUDGET, top=3).grid == refined.grid


def test_what_the_grid_has_tested_is_taken_over(study, refined):
    grid = a_grid(TrialConfig(network=NETWORKS[1]), refined.grid.trials[1])
    again = refine(ASKED, study, PREVIEW_BUDGET, top=3, grid=grid)
    assert again.grid.trials == (refined.grid.trials[0], refined.grid.trials[2])
    assert (again.plan.grid, again.plan.taken) == ((grid.tracking_uri, "p1"), ("g1",))
    assert (
        f"Not trained again, ranked as tested in paper: {refined.grid.trials[1].label} (g1)"
        in again.notes
    )
    assert again.notes[-1] == "To be ranked with the 2 tested trials of paper."
    repeats = refine(ASKED, study, PREVIEW_BUDGET, top=3, seeds=2, grid=grid)
    assert len(repeats.grid.trials) == 5
    assert replace(refined.grid.trials[1], repeat=1) in repeats.grid.trials


def test_what_the_search_has_tested_is_taken_over_unless_the_budget_is_another(study, refined):
    # A thirteenth trial on the best point, as good as expected there, moves the best hardly.
    best = refined.grid.trials[0]
    row = {**study.trials.iloc[0].to_dict(), **best.params(), keys.TRIAL: "s12"}
    predicted = {OVERLAP.key: 0.84, DISTANCE.key: 2.5}
    trials = pd.concat([study.trials, pd.DataFrame([{**row, **predicted}])], ignore_index=True)
    known = replace(study, trials=trials, tests=region_rows(trials))
    here = refine(ASKED, known, PREVIEW_BUDGET, top=1, seeds=2)
    assert here.plan.taken == ("s12",)
    assert here.grid.trials == (replace(best, repeat=1),)
    elsewhere = refine(ASKED, known, PAPER_BUDGET, top=1, seeds=2)
    assert elsewhere.plan.taken == ()
    assert elsewhere.grid.trials == (best, replace(best, repeat=1))


def test_nothing_left_to_train_is_refused(study, refined):
    with pytest.raises(ValueError, match=r"--top must leave something to train.* in paper; ask"):
        refine(ASKED, study, PREVIEW_BUDGET, top=3, grid=a_grid(*refined.grid.trials))


def test_a_grid_of_another_budget_is_refused_when_named(study):
    with pytest.raises(ValueError, match=r"--warm-start must be a study with .* max_steps 260"):
        refine(ASKED, study, PAPER_BUDGET, top=1, grid=a_grid(TrialConfig(network=NETWORKS[0])))


def test_where_the_search_started_is_gone_the_points_are_trained_all_the_same(study, tmp_path):
    gone = replace(study, warm_start=(f"sqlite:///{tmp_path / 'gone.db'}", "p1"))
    found = refine(ASKED, gone, PREVIEW_BUDGET, top=1)
    assert found.notes[-1].startswith("To be ranked with no grid: tracking_uri must name")
    assert found.plan.grid == gone.warm_start


def test_a_study_that_is_no_search_is_refused():
    with pytest.raises(ValueError, match="--refine must name a search, got study=paper"):
        refine(ASKED, a_grid(TrialConfig(network=NETWORKS[0])), PREVIEW_BUDGET, top=1)


def test_a_search_with_too_few_points_is_refused():
    with pytest.raises(ValueError, match="different τ or more; there are 4"):
        refine(ASKED, made(points=4), PREVIEW_BUDGET, top=1)


def test_more_points_than_there_are_is_refused(study):
    with pytest.raises(ValueError, match=r"top must be at most the \d+ points"):
        refine(ASKED, study, PREVIEW_BUDGET, top=999)


def test_a_network_that_the_search_has_not_is_refused(study):
    other = ASKED.narrowed(NETWORKS[1:2])
    with pytest.raises(ValueError, match=f"finished trials of {NETWORKS[1]}, got some of"):
        refine(other, study, PREVIEW_BUDGET, top=1)


@pytest.mark.parametrize(
    ("fingerprint", "regions", "what"),
    [
        ("f2", ("femur", "patellar_tendon"), "its data is f1, not f2"),
        ("f1", ("femur",), "its regions are femur, patellar_tendon, not femur"),
    ],
)
def test_other_data_is_refused(refined, fingerprint, regions, what):
    refined.require_data("f1", ("femur", "patellar_tendon"))
    with pytest.raises(ValueError, match=f"on the same data, got study=made: {what}"):
        refined.require_data(fingerprint, regions)


def at(ce: float, dice: float, **settings: Any) -> TrialConfig:
    tau = LossWeights(ce=ce, dice=dice, boundary=round(1 - ce - dice, 4))
    loss = "ce2+dice+boundary" if tau.boundary else "ce2+dice"
    return TrialConfig(network=NETWORKS[0], loss=loss, tau=tau, **settings)


def value(overlap: float, distance: float = 2.0) -> dict[str, float]:
    return {OVERLAP.key: overlap, DISTANCE.key: distance}


def test_other_settings_are_those_of_the_best_of_the_five_nearest():
    space = replace(SPACE, learning_rate=LogRange(low=1e-5, high=1e-2))
    coordinates = SearchCoordinates(space=space, learning_rate=1e-4)
    tried = {
        at(0.50, 0.3, learning_rate=1e-3): value(0.80),
        at(0.49, 0.3, learning_rate=2e-3): value(0.82),
        at(0.48, 0.3, learning_rate=3e-3): value(0.81, distance=np.nan),
        at(0.47, 0.3, learning_rate=4e-3): value(0.70),
        at(0.46, 0.3, learning_rate=5e-3): value(0.70),
        at(0.10, 0.3, learning_rate=6e-3): value(0.99),  # the sixth
    }
    point = Recommended(network=NETWORKS[0], tau=(0.52, 0.3, 0.18), predicted={})
    found = point_trial(point, tried, (OVERLAP, DISTANCE), coordinates)
    assert found == at(0.52, 0.3, learning_rate=2e-3)
    assert point_trial(point, tried, (DISTANCE,), coordinates).learning_rate == 1e-3  # the nearer


def test_a_setting_of_a_term_comes_from_a_point_that_has_the_term():
    space = replace(SPACE, boundary=("balanced_bce", "signed_distance"))
    coordinates = SearchCoordinates(space=space, learning_rate=1e-4)
    tried = {at(0.6, 0.4): value(0.9), at(0.2, 0.3, boundary="signed_distance"): value(0.5)}
    point = Recommended(network=NETWORKS[0], tau=(0.6, 0.38, 0.02), predicted={})
    found = point_trial(point, tried, (OVERLAP,), coordinates)
    assert found == at(0.6, 0.38, boundary="signed_distance")
    face = Recommended(network=NETWORKS[0], tau=(0.2, 0.8, 0.0), predicted={})
    assert point_trial(face, tried, (OVERLAP,), coordinates) == at(0.2, 0.8)


def test_repeats_of_a_point_are_one_and_what_is_no_point_is_left_out():
    search = made_search(points=6, seeds=2, known=10)
    narrow = replace(SPACE, boundary=("mmseg_1_2_1",))
    points = tried_points(search, SearchCoordinates(space=SPACE, learning_rate=1e-4))
    assert len(points) == 16
    own = search.trials[search.trials[keys.TAU_CE] == search.trials[keys.TAU_CE].iloc[0]]
    assert len(own) == 2
    (point,) = (each for each in points if each.tau.ce == own[keys.TAU_CE].iloc[0])
    assert points[point][OVERLAP.key] == pytest.approx(own[OVERLAP.key].mean())
    # Where the boundary counts, the others have another kind of it.
    left = tried_points(search, SearchCoordinates(space=narrow, learning_rate=1e-4))
    assert {each.tau.boundary for each in left} == {0.0}
