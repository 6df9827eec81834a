import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import load_grid
from tune_knee.config import LOSS_TERMS, LossWeights, TrialConfig
from tune_knee.search_config import LogRange, SearchSpace, TauRanges
from tune_knee.search_coordinates import SearchCoordinates, loss_of

ONE = SearchSpace(networks=("fcn_unet",))
MANY = SearchSpace(
    networks=("fcn_unet", "segformer_b2"),
    boundary=("balanced_bce", "signed_distance"),
    weights_in=("ce", "all"),
    internal_weights=("balanced", (1.0, 1.0), (1.0, 3.0)),
    learning_rate=(1e-3, 1e-2),
)
RANGES = SearchSpace(
    networks=("fcn_unet",),
    internal_weights=LogRange(low=0.5, high=8.0),
    learning_rate=LogRange(low=1e-4, high=1e-2),
)


def coordinates(space):
    return SearchCoordinates(space=space, learning_rate=1e-4)


def trial(ce, dice, rest, /, **settings):
    tau = LossWeights(ce=ce, dice=dice, boundary=rest)
    return TrialConfig(**{"network": "fcn_unet", "loss": loss_of(tau), "tau": tau, **settings})


@pytest.mark.parametrize(
    ("tau", "loss"),
    [
        ((1, 0, 0), "ce2"),
        ((0.5, 0.5, 0), "ce2+dice"),
        ((0.5, 0, 0.5), "ce2+boundary"),
        ((0.5, 0.25, 0.25), "ce2+dice+boundary"),
        ((0, 1, 0), "ce2+dice"),
        ((0, 0, 1), "ce2+boundary"),
        ((0, 0.5, 0.5), "ce2+dice+boundary"),
    ],
)
def test_the_loss_follows_from_tau(tau, loss):
    weights = LossWeights(**dict(zip(("ce", "dice", "boundary"), tau, strict=True)))
    assert loss_of(weights) == loss
    assert TrialConfig(network="fcn_unet", loss=loss, tau=weights).loss in LOSS_TERMS


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (ONE, ["u_boundary", "u_dice"]),
        (dataclasses.replace(ONE, tau=TauRanges(boundary=(0.1, 0.1))), ["u_dice"]),
        (dataclasses.replace(ONE, tau=TauRanges(dice=(0, 0))), ["u_boundary"]),
        (RANGES, ["u_boundary", "u_dice", "internal_weights", "learning_rate"]),
        (
            MANY,
            ["u_boundary", "u_dice", "network", "boundary", "weights_in", "internal_weights",
             "learning_rate"],
        ),
    ],
)  # fmt: skip
def test_only_what_can_differ_is_a_coordinate(space, names):
    assert list(coordinates(space).distributions) == names


def test_coordinates_are_a_trial():
    params = {"u_boundary": 1 - 0.75**2, "u_dice": 1 / 3}
    assert coordinates(ONE).trial(params) == trial(0.5, 0.25, 0.25)
    more = {"internal_weights": 2.34567, "learning_rate": 0.00123456}
    assert coordinates(RANGES).trial({**params, **more}) == trial(
        0.5, 0.25, 0.25, internal_weights=(1.0, 2.35), learning_rate=0.00123
    )
    choices = {
        "network": "segformer_b2",
        "boundary": "signed_distance",
        "weights_in": "all",
        "internal_weights": "(1.0, 3.0)",
        "learning_rate": "0.01",
    }
    assert coordinates(MANY).trial({**params, **choices}) == trial(
        0.5, 0.25, 0.25, network="segformer_b2", boundary="signed_distance", weights_in="all",
        internal_weights=(1.0, 3.0), learning_rate=0.01,
    )  # fmt: skip


@given(st.sampled_from([ONE, MANY, RANGES]), st.data())
def test_a_proposal_leads_back_to_itself(space, data):
    found = coordinates(space)
    params = {
        name: data.draw(st.sampled_from(each.choices))
        if hasattr(each, "choices")
        else data.draw(st.floats(each.low, each.high))
        for name, each in found.distributions.items()
    }
    proposal = found.trial(params)
    assert found.canonical(proposal) == proposal
    back = found.params(proposal)
    assert all(each._contains(each.to_internal_repr(back[name]))
               for name, each in found.distributions.items())  # fmt: skip
    assert found.trial(back) == proposal


def test_every_scored_trial_of_the_paper_is_a_point():
    found = coordinates(dataclasses.replace(MANY, learning_rate=None, internal_weights=((1, 1),)))
    for each in load_grid("paper").trials:
        if each.loss != "ce1" and each.network in MANY.networks:
            point = found.canonical(each)
            assert (point.tau, point.loss, point.experiment) == (each.tau, each.loss, None)
            assert found.trial(found.params(point)) == point


def test_trials_that_train_alike_are_one_point():
    found = coordinates(MANY)
    plain = trial(0.5, 0.5, 0, internal_weights="balanced", learning_rate=1e-3)
    same = [
        dataclasses.replace(plain, experiment=3),
        dataclasses.replace(plain, repeat=2),
        dataclasses.replace(plain, boundary="signed_distance"),
        dataclasses.replace(plain, loss="ce2+dice+boundary"),
    ]
    assert {found.canonical(each) for each in [plain, *same]} == {plain}
    without_ce = trial(0, 1, 0, internal_weights=(1.0, 3.0), learning_rate=1e-3)
    assert found.canonical(without_ce).internal_weights == "balanced"
    assert coordinates(RANGES).canonical(without_ce).internal_weights == (1.0, 0.5)


def test_the_budgets_learning_rate_is_a_trials_where_it_has_none():
    assert coordinates(ONE).canonical(trial(1, 0, 0, learning_rate=1e-4)) == trial(1, 0, 0)
    at_hand = dataclasses.replace(RANGES, internal_weights=((1.0, 1.0),))
    assert coordinates(at_hand).canonical(trial(1, 0, 0)).learning_rate == 1e-4


@pytest.mark.parametrize(
    ("space", "changes", "message"),
    [
        (ONE, {"loss": "ce1"}, "loss must weigh regions by area, got loss=ce1"),
        (
            ONE,
            {"network": "segformer_b2"},
            "network must be one of fcn_unet, got network=segformer_b2",
        ),
        (ONE, {"pretrained": True}, "pretrained must be False, got pretrained=True"),
        (ONE, {"weights_in": "all"}, "weights_in must be one of ce, got weights_in=all"),
        (
            ONE,
            {"learning_rate": 1e-3},
            "learning_rate must be the budget's, got learning_rate=0.001",
        ),
        (
            RANGES,
            {"learning_rate": 0.1},
            "learning_rate must be in [0.0001, 0.01], got learning",
        ),
        (
            RANGES,
            {"internal_weights": "balanced"},
            "internal_weights must be in [0.5, 8.0], got internal_",
        ),
        (
            RANGES,
            {"internal_weights": (2.0, 2.0)},
            "internal_weights must be in [0.5, 8.0], got internal_",
        ),
        (
            dataclasses.replace(ONE, tau=TauRanges(ce=(0, 0.5))),
            {},
            "tau of ce must be in [0, 0.5], got tau=1:0:0",
        ),
    ],
)
def test_what_is_no_point_of_the_space_is_refused_with_the_reason(space, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        coordinates(space).canonical(trial(1, 0, 0, **changes))
