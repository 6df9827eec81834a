import signal
from types import SimpleNamespace

import pandas as pd
import pytest
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET, TrialConfig
from tune_knee.gpu_share import TrialResources
from tune_knee.interruption import Interruption
from tune_knee.schedulers import StudyScheduler, placement, study_asha
from tune_knee.storage import FolderStorage
from tune_knee.study_plan import StudyPlan
from tune_knee.trial_folder import FAILED, PRUNED, TRAINED, Outcome

TOO_LITTLE = {keys.FAILURE: "OutOfMemoryError: ...", keys.OUT_OF_MEMORY: True}


@pytest.fixture
def plan(tmp_path):
    return StudyPlan(
        root=tmp_path,
        study_id="study 1",
        storage=FolderStorage(tmp_path),
        trials={"aaa": TrialConfig(network="segformer_b2")},
        budget=PREVIEW_BUDGET,
        fingerprint="f1",
        hardest_region="bar",
        max_concurrent=2,
        resources={"segformer_b2": TrialResources(gpus=0.25, kinds=("A100",))},
    )


@pytest.fixture
def tune_ends():
    """Counts Tune's own signal for the end of its loop."""
    received = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: received.append(number))
    yield received
    signal.signal(signal.SIGUSR1, previous)


def tune_with(*statuses):
    trials = [SimpleNamespace(status=status) for status in statuses]
    return SimpleNamespace(get_trials=lambda: trials)


def test_trials_go_on_until_an_interruption_and_are_then_paused(plan):
    interruption = Interruption()
    scheduler = StudyScheduler(plan, interruption)
    assert scheduler.on_trial_result(None, None, {}) == TrialScheduler.CONTINUE
    interruption.requested = True
    assert scheduler.on_trial_result(None, None, {}) == TrialScheduler.PAUSE


def test_tune_ends_when_no_trial_runs_any_more(plan, tune_ends):
    interruption = Interruption()
    interruption.requested = True
    scheduler = StudyScheduler(plan, interruption)
    running = tune_with(Trial.RUNNING, Trial.PAUSED, Trial.PENDING)
    assert scheduler.choose_trial_to_run(running) is None
    assert tune_ends == []
    paused = tune_with(Trial.PAUSED, Trial.PAUSED, Trial.PENDING)
    for _ in range(2):
        assert scheduler.choose_trial_to_run(paused) is None
        assert tune_ends == [signal.SIGUSR1]


def test_uninterrupted_the_first_waiting_trial_is_chosen(plan, tune_ends):
    tune = tune_with(Trial.RUNNING, Trial.PENDING, Trial.PENDING)
    chosen = StudyScheduler(plan, Interruption()).choose_trial_to_run(tune)
    assert chosen is tune.get_trials()[1]
    assert StudyScheduler(plan, Interruption()).choose_trial_to_run(tune_with()) is None
    assert tune_ends == []


def asha_says(scheduler, trial, step, overlap):
    result = {keys.STEP: step, keys.BEST_OVERLAP: overlap}
    return scheduler.on_trial_result(None, trial, result)


@pytest.fixture
def asha(plan):
    """Successive halving at steps 65 and 195 of 260, and four trials of it."""
    with Interruption() as interruption:
        scheduler = study_asha(plan, interruption)
        trials = [SimpleNamespace(trial_id=str(number)) for number in range(4)]
        for trial in trials:
            scheduler.on_trial_add(None, trial)
        yield interruption, scheduler, trials


def test_halving_stops_what_is_behind_the_best_third(asha):
    _, scheduler, (good, better, bad, best) = asha
    assert asha_says(scheduler, good, 65, 0.5) == TrialScheduler.CONTINUE
    assert asha_says(scheduler, better, 65, 0.6) == TrialScheduler.CONTINUE
    assert asha_says(scheduler, bad, 65, 0.3) == TrialScheduler.STOP
    assert asha_says(scheduler, best, 65, 0.9) == TrialScheduler.CONTINUE
    assert asha_says(scheduler, best, 195, 0.9) == TrialScheduler.CONTINUE
    assert asha_says(scheduler, good, 130, 0.1) == TrialScheduler.CONTINUE  # no rung
    assert asha_says(scheduler, good, 195, 0.2) == TrialScheduler.STOP
    assert asha_says(scheduler, best, 260, 0.9) == TrialScheduler.CONTINUE  # the stopper's end


def test_halving_pauses_what_it_does_not_stop_once_interrupted(asha):
    interruption, scheduler, (good, _, bad, _) = asha
    interruption.requested = True
    assert asha_says(scheduler, good, 65, 0.5) == TrialScheduler.PAUSE
    assert asha_says(scheduler, bad, 65, 0.3) == TrialScheduler.STOP


def ended(plan, identity, status, *overlaps):
    """A trial of an earlier session, with reports at steps 65, 130, ..."""
    plan.trials[identity] = TrialConfig(network="segformer_b2")
    reports = [
        {keys.STEP: 65 * number, keys.BEST_OVERLAP: overlap}
        for number, overlap in enumerate(overlaps, start=1)
    ]
    if reports:
        plan.folder(identity).write_history(pd.DataFrame(reports))
    plan.folder(identity).write_outcome(Outcome(status=status, reason="..."))


def test_halving_compares_with_trials_of_earlier_sessions(plan):
    ended(plan, "a", TRAINED, 0.5, 0.55, 0.6, 0.6)
    ended(plan, "b", TRAINED, 0.6, 0.65, 0.9, 0.9)
    ended(plan, "c", PRUNED, 0.3)
    ended(plan, "d", FAILED)
    scheduler = study_asha(plan, Interruption())
    worse, between, best = (SimpleNamespace(trial_id=str(number)) for number in range(3))
    for trial in (worse, between, best):
        scheduler.on_trial_add(None, trial)
    # At step 65 there are 0.3, 0.5 and 0.6, and the cut is a third of the way from 0.5 to 0.6.
    assert asha_says(scheduler, worse, 65, 0.53) == TrialScheduler.STOP
    # Now 0.3, 0.5, 0.53 and 0.6: the cut is 0.53.
    assert asha_says(scheduler, between, 65, 0.54) == TrialScheduler.CONTINUE
    assert asha_says(scheduler, best, 65, 0.7) == TrialScheduler.CONTINUE
    # At step 195 there are 0.6 and 0.9, and the cut is two thirds of the way, 0.8.
    assert asha_says(scheduler, between, 195, 0.79) == TrialScheduler.STOP
    # With 0.79 it is a third of the way from 0.79 to 0.9.
    assert asha_says(scheduler, best, 195, 0.83) == TrialScheduler.CONTINUE


def test_halving_in_a_first_session_knows_nobody(plan):
    scheduler = study_asha(plan, Interruption())
    trial = SimpleNamespace(trial_id="0")
    scheduler.on_trial_add(None, trial)
    assert asha_says(scheduler, trial, 65, 0.01) == TrialScheduler.CONTINUE


class Paused(SimpleNamespace):
    """As much of Tune's trial as a scheduler sees of one that it paused."""

    status = Trial.PAUSED
    trial_id = "tune 1"

    def update_resources(self, resources):
        self.placement_group_factory = resources


def paused(plan):
    resources = placement(plan.resources_of("aaa"))
    return Paused(config={keys.TRIAL_ID: "aaa"}, placement_group_factory=resources)


def test_a_trial_that_ran_out_of_memory_starts_again_with_twice_the_share_once(plan):
    scheduler, trial = StudyScheduler(plan, Interruption()), paused(plan)
    assert trial.placement_group_factory.required_resources == {"CPU": 1, "GPU": 0.225}
    assert scheduler.on_trial_result(None, trial, TOO_LITTLE) == TrialScheduler.PAUSE
    tune = SimpleNamespace(get_trials=lambda: [trial])
    assert scheduler.choose_trial_to_run(tune) is trial
    assert trial.placement_group_factory == placement(TrialResources(gpus=0.5, kinds=("A100",)))
    assert scheduler.on_trial_result(None, trial, TOO_LITTLE) == TrialScheduler.STOP


def test_a_trial_that_had_a_whole_gpu_is_not_tried_again(plan):
    plan.shares["aaa"] = 1.0
    assert not plan.widen("aaa")
    plan.shares.clear()
    plan.resources["segformer_b2"] = TrialResources(gpus=1)
    assert StudyScheduler(plan, Interruption()).on_trial_result(None, paused(plan), TOO_LITTLE) == (
        TrialScheduler.STOP
    )


def test_kinds_of_gpu_become_labels_and_a_cpu_trial_wants_no_gpu():
    assert placement(TrialResources()) == PlacementGroupFactory([{"CPU": 1.0}])
    wanted = placement(TrialResources(gpus=1, kinds=("A100", "H100")))
    labels = [{"ray.io/accelerator-type": "in(A100,H100)"}]
    assert wanted == PlacementGroupFactory([{"CPU": 1, "GPU": 0.9}], bundle_label_selector=labels)
