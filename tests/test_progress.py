import io
import logging
import math

import pytest
from rich.console import Console

from tune_knee import keys, progress
from tune_knee.progress import ProgressView, StudyProgress, duration, table


def study(**changes):
    return StudyProgress(
        **{"title": "knees (preview)", "trials": 4, "max_steps": 100, "started": 0.0, **changes}
    )


def report(step, best_iou=0.5):
    return {
        keys.STEP: step,
        keys.TRAIN_LOSS: 0.25,
        keys.VAL_IOU: 0.4375,
        keys.BEST_IOU: best_iou,
    }


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(state, **console):
    out = io.StringIO()
    Console(file=out, width=120, **console).print(table(state))
    return out.getvalue()


def test_a_trials_way_through_the_counts():
    state = study()
    state.start("a", "segformer_b2 ce1")
    state.start("b", "fcn_unet ce2")
    state.report("a", report(50))
    assert state.done_share() == 0.5 / 4
    state.end("a", failed=False)
    assert (state.finished, state.failed, list(state.running)) == (1, 0, ["b"])
    assert state.done_share() == 1 / 4
    state.end("b", failed=True)
    assert (state.finished, state.failed, state.running) == (1, 1, {})
    assert state.done_share() == 2 / 4


def test_a_trial_that_starts_again_counts_from_its_next_report():
    state = study()
    state.start("a", "segformer_b2 ce1")
    state.report("a", report(50))
    state.start("a", "segformer_b2 ce1")
    assert state.done_share() == 0
    state.report("a", report(2))
    assert state.running["a"].step == 2


def test_a_trial_that_never_started_can_end():
    state = study()
    state.end("a", failed=True)
    assert state.failed == 1


def test_the_best_is_kept_with_its_trial():
    state = study()
    state.start("a", "first")
    state.start("b", "second")
    assert math.isnan(state.best_iou)
    for trial, best in (("a", 0.5), ("b", 0.6), ("a", 0.55), ("b", 0.6)):
        state.report(trial, report(2, best))
    assert (state.best_iou, state.best_label) == (0.6, "second")


def test_a_tie_leaves_the_first():
    state = study()
    for trial in ("first", "second"):
        state.start(trial, trial)
        state.report(trial, report(2, 0.5))
    assert state.best_label == "first"


def test_time_left_is_told_by_the_pace_so_far(clock):
    state = study()
    state.start("a", "first")
    clock[0] = 30
    assert state.left_s() is None
    state.report("a", report(3))
    assert state.left_s() is None  # 0.75 % of the work
    state.report("a", report(40))
    assert state.left_s() == pytest.approx(270)  # 30 s for a tenth
    clock[0] = 60
    state.end("a", failed=False)
    assert state.left_s() == pytest.approx(180)


def test_what_an_earlier_session_did_says_nothing_about_the_pace(clock):
    state = study(finished=1, failed=1)
    clock[0] = 30
    assert state.left_s() is None
    state.start("a", "first")
    state.report("a", report(100))
    assert state.left_s() == pytest.approx(30)  # a quarter took 30 s, a quarter is left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (89 * 60, "89 min"),
        (90 * 60, "1 h 30 min"),
        (200 * 60, "3 h 20 min"),
        (48 * 3600 - 60, "47 h 59 min"),
        (48 * 3600, "2 d 0 h"),
        (52 * 3600, "2 d 4 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_the_table_tells_all_at_a_glance():
    state = study(finished=1, failed=1, tested=1)
    state.start("a", "segformer_b2 ce2+dice 0.50:0.50")
    state.report("a", report(50, 0.5625))
    text = shown(state)
    head, rest = text.split("\n", 1)
    for part in ("knees (preview)", "1 running", "1 of 4 trained", "1 tested", "1 failed",
                 "1 waiting", "left"):  # fmt: skip
        assert part in head
    for part in ("segformer_b2 ce2+dice 0.50:0.50", "50/100", "0.2500", "0.4375", "0.5625"):
        assert part in rest
    assert "best validation IoU so far 0.5625: segformer_b2 ce2+dice 0.50:0.50" in rest


def test_before_the_first_report_there_is_no_best_and_no_figure():
    state = study()
    state.start("a", "segformer_b2 ce1")
    text = shown(state)
    assert "0/100" in text
    assert "best validation" not in text
    assert "nan" not in text


def view(terminal):
    out = io.StringIO()
    state = study()
    state.start("a", "segformer_b2 ce1")
    return ProgressView(state, Console(file=out, force_terminal=terminal, width=120)), out


def test_a_terminal_sees_the_table_and_its_last_state(clock):
    shows, out = view(terminal=True)
    with shows:
        clock[0] = 1
        shows.refresh()
        assert "0/100" in out.getvalue()
        shows.progress.report("a", report(50))
        shows.refresh()
        assert "50/100" not in out.getvalue()  # at most twice a second
        clock[0] = 2
        shows.refresh()
        assert "50/100" in out.getvalue()
        shows.progress.report("a", report(100))
    assert "100/100" in out.getvalue()


def test_without_a_terminal_ended_trials_are_lines_in_the_log(caplog):
    caplog.set_level(logging.INFO)
    shows, out = view(terminal=False)
    with shows:
        shows.refresh()
        shows.progress.end("a", failed=False)
        shows.ended("segformer_b2 ce1", "trained, plateau")
    assert out.getvalue() == ""
    (line,) = caplog.messages
    assert line.startswith("1 of 4 trained, 0 failed, about ")
    assert line.endswith(" left: segformer_b2 ce1 trained, plateau")
