import dataclasses
import json
import re

import pytest
from pydantic import TypeAdapter

from tune_knee import keys
from tune_knee.search_config import OBJECTIVES, LogRange, SearchConfig, SearchSpace, TauRanges


@pytest.mark.parametrize(
    "ranges",
    [
        {},
        {"boundary": (0.0, 0.0)},
        {"ce": (0.1, 0.5), "dice": (0.1, 0.5), "boundary": (0.1, 0.5)},
        {"ce": (0.25, 1.0), "dice": (0.25, 0.3333)},
    ],
)
def test_ranges_that_meet_the_simplex_are_taken(ranges):
    assert dataclasses.asdict(TauRanges(**ranges)).items() >= ranges.items()


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"ce": (-0.1, 1)}, "ce low must be in [0, 1], got ce low=-0.1"),
        ({"dice": (0, 1.5)}, "dice high must be in [0, 1], got dice high=1.5"),
        ({"ce": (0.6, 0.4)}, "ce must be low <= high, got ce=(0.6, 0.4)"),
        ({"ce": (0.12345, 1)}, "ce must have at most four decimals, as τ has, got ce=(0.12345, 1)"),
        (
            {"ce": (0.6, 1), "dice": (0.5, 1)},
            "must hold a point of the simplex, where the parts sum to 1; the lows sum to more "
            "than 1, got ce=(0.6, 1), dice=(0.5, 1), boundary=(0.0, 1.0)",
        ),
        (
            {"ce": (0, 0.3), "dice": (0, 0.3), "boundary": (0, 0.3)},
            "the highs sum to less than 1, got ce=(0, 0.3)",
        ),
        ({"ce": (0.5, 1), "dice": (0.5, 1)}, "must leave more than one point of the simplex"),
        ({"ce": (0, 0.7), "dice": (0, 0.3), "boundary": (0, 0)}, "must leave more than one point"),
        ({"ce": (0.5, 0.5), "dice": (0.5, 0.5)}, "one point is for a grid"),
    ],
)
def test_ranges_that_miss_the_simplex_are_refused_with_the_reason(ranges, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        TauRanges(**ranges)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": ()}, "networks must be at least one choice and none twice, got networks=()"),
        ({"networks": ("fcn_unet", "fcn_unet")}, "none twice"),
        ({"networks": ("unet",)}, "network must be one of fcn_unet, "),
        ({"boundary": ("edge",)}, "boundary must be one of balanced_bce, "),
        ({"weights_in": ("all", "dice")}, "weights_in must be one of ce, all, got weights_in=dice"),
        ({"internal_weights": ((1.0, 0.0),)}, "internal_weight_foreground must be a positive"),
        ({"learning_rate": (1e-3, -1.0)}, "learning_rate must be a positive number"),
        ({"learning_rate": ()}, "learning_rate must be at least one choice"),
    ],
)
def test_a_bad_space_is_named(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SearchSpace(**{"networks": ("fcn_unet",), **changes})


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0, 1, "low must be a positive number, got low=0"),
        (1e-3, 1e-3, "low must be below high, got low=0.001, high=0.001"),
    ],
)
def test_a_bad_range_is_named(low, high, message):
    with pytest.raises(ValueError, match=message):
        LogRange(low=low, high=high)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "random"}, "sampler must be one of tpe, gp, nsga2, quasi_random"),
        ({"objectives": ()}, "objectives must be at least one and none twice, got objectives=none"),
        ({"objectives": (keys.BEST_OVERLAP,) * 2}, "none twice"),
        ({"objectives": ("test/femur/iou",)}, "objective must be one of best/overlap, best/dist"),
        ({"objectives": (keys.SCORE,)}, "the study's rank score depends on the other trials"),
        ({"objectives": (keys.TEST_SCORE,)}, "the study's rank score depends on the other trials"),
        ({"startup_trials": 0}, "startup_trials must be a positive number"),
        ({"seed": -1}, "seed must be at least 0, got seed=-1"),
    ],
)
def test_a_bad_search_is_named(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SearchConfig(**changes)


def test_a_search_weighs_overlap_and_distance_unless_told_otherwise():
    assert SearchConfig().objectives == (keys.BEST_OVERLAP, keys.BEST_DISTANCE_PX)
    assert [OBJECTIVES[each] for each in SearchConfig().objectives] == ["maximize", "minimize"]


@pytest.mark.parametrize(
    ("asked", "concurrency", "expected"), [(None, 2, 10), (None, 16, 16), (4, 4, 4), (5, 1, 5)]
)
def test_startup_is_at_least_the_concurrency(asked, concurrency, expected):
    config = SearchConfig(startup_trials=asked)
    assert config.startup(trials=expected, concurrency=concurrency) == expected


@pytest.mark.parametrize(
    ("asked", "given", "message"),
    [
        (3, {"trials": 30, "concurrency": 4}, "at least the 4 that run at a time, got startup_t"),
        (None, {"trials": 9, "concurrency": 1}, "at least the startup's 10, got trials=9"),
        (None, {"trials": 4, "concurrency": 1, "known": 5}, "with 5 known ones, must be at least"),
    ],
)
def test_a_startup_that_cannot_be_is_refused(asked, given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SearchConfig(startup_trials=asked).startup(**given)


def test_a_space_can_be_kept_as_json():
    """A study's manifest holds it."""
    space = SearchSpace(
        networks=("fcn_unet", "smp:unet:resnet18"),
        tau=TauRanges(boundary=(0.0, 0.4)),
        internal_weights=("balanced", (1.0, 3.0)),
        learning_rate=LogRange(low=1e-4, high=1e-2),
    )
    as_json = json.dumps(dataclasses.asdict(space))
    assert TypeAdapter(SearchSpace).validate_json(as_json) == space


def test_known_trials_count_for_the_startup():
    assert SearchConfig().startup(trials=1, concurrency=1, known=9) == 10
