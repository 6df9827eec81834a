import os
import signal

import pytest

from tune_knee.interruption import Interruption

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
