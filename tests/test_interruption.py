import os
import signal
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tune_knee import keys
from tune_knee.config import PREVIEW_BUDGET
from tune_knee.interruption import Interruption, PausingScheduler, pausing_asha

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _handlers_are_restored():
    before = [signal.getsignal(each) for each in SIGNALS]
    yield
    after = [signal.getsignal(each) for each in SIGNALS]
    for each, handler in zip(SIGNALS, before, strict=True):
        signal.signal(each, handler)
    assert after == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_first_signal_is_a_request(number, caplog):
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested
    assert interruption.requested
    assert "once more stops at once" in caplog.text


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_acts_at_once(first, second):
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), second)
        assert signal.getsignal(signal.SIGINT) is before


def test_without_a_signal_nothing_is_requested():
    with Interruption() as interruption:
        pass
    assert not interruption.requested


def test_an_error_inside_passes_through():
    with pytest.raises(RuntimeError, match="inside"), Interruption():
        raise RuntimeError("inside")


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


def test_trials_go_on_until_an_interruption_and_are_then_paused():
    interruption = Interruption()
    scheduler = PausingScheduler(interruption)
    assert scheduler.on_trial_result(None, None, {}) == TrialScheduler.CONTINUE
    interruption.requested = True
    assert scheduler.on_trial_result(None, None, {}) == TrialScheduler.PAUSE


def test_tune_ends_when_no_trial_runs_any_more(tune_ends):
    interruption = Interruption()
    interruption.requested = True
    scheduler = PausingScheduler(interruption)
    running = tune_with(Trial.RUNNING, Trial.PAUSED, Trial.PENDING)
    assert scheduler.choose_trial_to_run(running) is None
    assert tune_ends == []
    paused = tune_with(Trial.PAUSED, Trial.PAUSED, Trial.PENDING)
    for _ in range(2):
        assert scheduler.choose_trial_to_run(paused) is None
        assert tune_ends == [signal.SIGUSR1]


def test_uninterrupted_the_first_waiting_trial_is_chosen(tune_ends):
    tune = tune_with(Trial.RUNNING, Trial.PENDING, Trial.PENDING)
    chosen = PausingScheduler(Interruption()).choose_trial_to_run(tune)
    assert chosen is tune.get_trials()[1]
    assert PausingScheduler(Interruption()).choose_trial_to_run(tune_with()) is None
    assert tune_ends == []


def asha_says(scheduler, trial, step, overlap):
    result = {keys.STEP: step, keys.BEST_OVERLAP: overlap}
    return scheduler.on_trial_result(None, trial, result)


@pytest.fixture
def asha():
    """Successive halving at steps 65 and 195 of 260, and four trials of it."""
    with Interruption() as interruption:
        scheduler = pausing_asha(interruption, PREVIEW_BUDGET)
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
