import dataclasses
import math
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage

from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET, LossWeights, TrialConfig
from tune_knee.search import NothingNewError, TauSearch, storage_in
from tune_knee.search_config import SAMPLERS, KnownPoint, SearchConfig, SearchSpace, TauRanges

SPACE = SearchSpace(networks=("fcn_unet",))
CE2 = TrialConfig(network="fcn_unet")
DICE = TrialConfig(network="fcn_unet", loss="ce2+dice", tau=LossWeights(ce=0.5, dice=0.5))


def values(overlap, distance_px):
    return {keys.BEST_OVERLAP: overlap, keys.BEST_DISTANCE_PX: distance_px}


def response(trial):
    """Best in the middle of the simplex's edge between cross-entropy and Dice."""
    off = (trial.tau.dice - 0.5) ** 2 + trial.tau.boundary**2
    return values(1 - off, 1 + 9 * off + trial.tau.dice)


def opened(storage, sampler="tpe", *, space=SPACE, startup=3, seed=0, **config):
    return TauSearch(
        space,
        SearchConfig(sampler=sampler, seed=seed, **config),
        startup=startup,
        budget=PREVIEW_BUDGET,
        storage=storage,
        name="study",
    )


def run(search, count):
    """Ask and tell one after the other; the trials asked for."""
    asked = []
    for _ in range(count):
        asked.append(search.ask())
        search.tell(asked[-1].number, response(asked[-1].trial))
    return asked


@pytest.fixture
def memory():
    return InMemoryStorage()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_seed_determines_the_trials(sampler):
    first, same, other = (run(opened(InMemoryStorage(), sampler, seed=s), 6) for s in (1, 1, 2))
    assert first == same
    assert not {each.trial for each in first[3:]} & {each.trial for each in other[3:]}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_opened_again_goes_on_as_if_it_had_never_stopped(sampler, tmp_path):
    whole = run(opened(InMemoryStorage(), sampler), 7)
    run(opened(storage_in(tmp_path), sampler), 4)
    again = opened(storage_in(tmp_path), sampler)
    assert [each.trial for each in again.history()] == [each.trial for each in whole[:4]]
    assert run(again, 3) == whole[4:]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_that_knows_nothing_starts_from_each_term_alone(sampler, memory):
    asked = run(opened(memory, sampler, startup=4), 5)
    taus = [dataclasses.astuple(each.trial.tau) for each in asked]
    assert taus[:3] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert not {*taus[3:]} & {*taus[:3]}


def test_within_ranges_it_starts_from_their_corners(memory):
    ranges = TauRanges(ce=(0.2, 0.6), boundary=(0, 0.3))
    asked = run(opened(memory, space=dataclasses.replace(SPACE, tau=ranges)), 3)
    assert [dataclasses.astuple(each.trial.tau) for each in asked] == [
        (0.6, 0.4, 0.0),
        (0.2, 0.8, 0.0),
        (0.4, 0.3, 0.3),
    ]


@pytest.mark.parametrize("objectives", [(keys.BEST_OVERLAP,), (keys.BEST_DISTANCE_PX,)])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_objective_will_do(sampler, objectives, memory):
    search = opened(memory, sampler, objectives=objectives)
    run(search, 6)
    assert all([*each.values] == [*objectives] for each in search.history())


def test_a_search_improves_on_its_startup(memory):
    search = opened(memory, startup=8, objectives=(keys.BEST_OVERLAP,))
    run(search, 30)
    found = [each.values[keys.BEST_OVERLAP] for each in search.history()]
    assert sum(found[-10:]) > sum(found[:10])
    assert max(found) > 0.995


def test_several_trials_are_open_at_a_time(memory):
    search = opened(memory)
    asked = [search.ask() for _ in range(5)]
    assert len({each.trial for each in asked}) == 5
    assert [each.number for each in asked] == [0, 1, 2, 3, 4]
    for each in reversed(asked):
        search.tell(each.number, response(each.trial))
    assert [each.state for each in search.history()] == ["told"] * 5
    assert run(search, 1)[0].number == 5


def test_the_network_and_other_settings_are_dimensions(memory):
    space = SearchSpace(networks=("fcn_unet", "segformer_b2"), weights_in=("ce", "all"))
    found = [each.trial for each in run(opened(memory, space=space), 12)]
    assert {each.network for each in found} == {"fcn_unet", "segformer_b2"}
    assert {each.weights_in for each in found} == {"ce", "all"}


def test_a_distance_that_is_not_defined_is_the_images_diagonal(memory):
    search = opened(memory)
    search.tell(search.ask().number, values(0.3, math.nan))
    assert search.history()[0].values == values(0.3, math.sqrt(2) * 64)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({keys.BEST_OVERLAP: 0.5}, "values must hold the objective best/distance_px, got best/ov"),
        (values(math.nan, 1.0), "best/overlap must be a finite number, got best/overlap=nan"),
        (values(0.5, math.inf), "best/distance_px must be a finite number"),
    ],
)
def test_values_that_are_none_are_refused_and_the_trial_stays_open(told, message, memory):
    search = opened(memory)
    number = search.ask().number
    with pytest.raises(ValueError, match=message):
        search.tell(number, told)
    search.tell(number, values(0.5, 1.0))


def test_only_an_open_trial_is_told(memory):
    search = opened(memory)
    number = search.ask().number
    search.tell(number, values(0.5, 1.0))
    for unknown in (number, 7):
        with pytest.raises(ValueError, match=f"asked for and open .* got number={unknown}"):
            search.tell(unknown, values(0.5, 1.0))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_failed_and_pruned_trials_have_no_values_and_do_not_stop_it(sampler, memory):
    search = opened(memory, sampler)
    search.tell_failed(search.ask().number)
    search.tell_pruned(search.ask().number)
    run(search, 6)
    history = search.history()
    assert [each.state for each in history] == ["failed", "pruned"] + ["told"] * 6
    assert history[0].values == history[1].values == {}


class TestKnownPoints:
    known = (
        KnownPoint(trial=dataclasses.replace(CE2, experiment=2), values=values(0.92, 2.5)),
        KnownPoint(trial=DICE, values=values(0.93, 3.0)),
        KnownPoint(trial=dataclasses.replace(DICE, repeat=1), values=values(0.95, math.nan)),
    )

    @pytest.mark.parametrize("sampler", SAMPLERS)
    def test_are_taken_over_and_marked(self, sampler, memory):
        search = opened(memory, sampler, startup=2)
        assert search.add_known(self.known) == ()
        first, second = search.history()
        assert (first.trial, first.values, first.known) == (CE2, values(0.92, 2.5), True)
        assert (second.trial, second.state) == (DICE, "told")
        mean = values(0.94, (3 + math.sqrt(2) * 64) / 2)
        assert second.values == pytest.approx(mean)
        asked = run(search, 4)
        assert not {each.trial for each in asked} & {CE2, DICE}
        assert [each.known for each in search.history()] == [True, True] + [False] * 4

    def test_are_taken_over_once(self, tmp_path):
        opened(storage_in(tmp_path)).add_known(self.known)
        again = opened(storage_in(tmp_path))
        assert again.add_known(self.known) == ()
        assert len(again.history()) == 2

    def test_keep_their_decimals(self, tmp_path):
        fine = dataclasses.replace(DICE, tau=LossWeights(ce=0.99501, dice=0.00499))
        opened(storage_in(tmp_path)).add_known([KnownPoint(trial=fine, values=values(0.9, 2.0))])
        assert opened(storage_in(tmp_path)).history()[0].trial == fine

    def test_outside_the_space_are_named(self, memory):
        others = [
            KnownPoint(trial=dataclasses.replace(CE2, loss="ce1"), values=values(0.9, 3.0)),
            KnownPoint(trial=TrialConfig(network="segformer_b2"), values=values(0.9, 3.0)),
        ]
        search = opened(memory)
        assert search.add_known([*self.known, *others]) == (
            "fcn_unet ce1: loss must weigh regions by area, got loss=ce1",
            "segformer_b2 ce2: network must be one of fcn_unet, got network=segformer_b2",
        )
        assert len(search.history()) == 2

    def test_are_where_learning_starts(self, memory):
        """With as many known as the startup takes, the first trial asked for is a guided one."""
        grid = [(d / 4, b / 4) for d in range(5) for b in range(5 - d)]
        known = []
        for dice, rest in grid:
            tau = LossWeights(ce=1 - dice - rest, dice=dice, boundary=rest)
            trial = dataclasses.replace(CE2, loss="ce2+dice+boundary", tau=tau)
            known.append(KnownPoint(trial=trial, values=response(trial)))
        search = opened(memory, startup=10, objectives=(keys.BEST_OVERLAP,))
        search.add_known(known)
        first = [each.trial.tau for each in run(search, 4)]
        assert sum(tau.boundary for tau in first) / 4 < 0.15
        assert all(1 not in dataclasses.astuple(tau) for tau in first)


class TestPointsProposedAgain:
    """Ranges so narrow that six points are all there are."""

    space = SearchSpace(
        networks=("fcn_unet",), tau=TauRanges(ce=(0.5, 0.5005), dice=(0.2, 1), boundary=(0.2, 0.2))
    )

    def test_are_told_at_once_and_never_handed_out_twice(self, memory):
        space = dataclasses.replace(
            self.space, tau=TauRanges(ce=(0.5, 0.5005), boundary=(0.2, 0.2), dice=(0, 1))
        )
        search = opened(memory, "quasi_random", space=space)
        with pytest.raises(NothingNewError, match="within 20 proposals, got none; widen"):
            run(search, 7)
        points = [each.trial for each in search.history()]
        assert len(set(points)) == len(points) == 6
        told = optuna.load_study(study_name="study", storage=memory).trials
        assert len(told) > 20
        assert {each.state.name for each in told} == {"COMPLETE"}

    def test_share_the_end_of_an_open_one(self, memory):
        search = opened(memory, "quasi_random", space=self.space)
        asked = [search.ask() for _ in range(6)]
        with pytest.raises(NothingNewError):
            search.ask()
        study = optuna.load_study(study_name="study", storage=memory)
        assert len(study.get_trials(states=[optuna.trial.TrialState.RUNNING])) > len(asked)
        search.tell_failed(asked[0].number)
        for each in asked[1:]:
            search.tell(each.number, response(each.trial))
        assert not study.get_trials(states=[optuna.trial.TrialState.RUNNING])
        assert [each.state for each in search.history()] == ["failed"] + ["told"] * 5


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {path}
from test_search import opened, response
from tune_knee.search import storage_in
search = opened(storage_in(Path({folder!r})))
asked = [search.ask() for _ in range(4)]
search.tell(asked[1].number, response(asked[1].trial))
print(*[each.trial.tau.ratio() for each in asked], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_open_trials_are_handed_out_again_first(tmp_path):
    program = KILLED.format(path=[str(Path(__file__).parent), *sys.path], folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    ratios = done.stdout.split()
    search = opened(storage_in(tmp_path))
    assert [each.state for each in search.history()] == ["open", "told", "open", "open"]
    again = [search.ask() for _ in range(5)]
    assert [each.number for each in again] == [0, 2, 3, 4, 5]
    assert [each.trial.tau.ratio() for each in again[:3]] == [ratios[0], ratios[2], ratios[3]]
    for each in again:
        search.tell(each.number, response(each.trial))
    assert [each.number for each in search.history()] == [0, 1, 2, 3, 4, 5]


def test_a_trial_interrupted_before_it_was_handed_out_is_given_up(tmp_path):
    run(opened(storage_in(tmp_path)), 1)
    study = optuna.load_study(study_name="study", storage=storage_in(tmp_path))
    study.ask()  # as a kill between the trial and its coordinates leaves it
    search = opened(storage_in(tmp_path))
    assert [each.number for each in search.history()] == [0]
    assert search.ask().number == 2
    assert study.trials[1].state.name == "FAIL"


def test_optuna_reads_the_file_while_the_search_is_on(tmp_path):
    search = opened(storage_in(tmp_path))
    run(search, 2)
    search.ask()
    url = f"sqlite:///{tmp_path / 'search.db'}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.load_study(study_name="study", storage=url)
    assert [each.state.name for each in study.trials] == ["COMPLETE", "COMPLETE", "RUNNING"]
    assert study.metric_names == [keys.BEST_OVERLAP, keys.BEST_DISTANCE_PX]
    assert [each.name for each in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[0].user_attrs["label"] == search.history()[0].trial.label
