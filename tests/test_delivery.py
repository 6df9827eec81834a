"""Entries arrive in order and once, whatever happens on the way."""

import logging
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice, pairwise, takewhile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_knee import delivery
from tune_knee.delivery import Delivery
from tune_knee.outbox import Entry, Outbox


class Store:
    """Keeps what it is told as MLflow does, and fails as it is told to."""

    def __init__(self) -> None:
        self.points: set[tuple[str, str, int, int, float]] = set()
        self.tags: dict[str, dict[str, str]] = defaultdict(dict)
        self.ends: dict[str, str] = {}
        self.told: list[str] = []
        self.fate: Iterator[str] = iter(())
        self.down: set[str] = set()
        self.poison = ""

    def send(self, entries: Sequence[Entry]) -> int:
        fate = next(self.fate, "")
        run = entries[0].run
        self.told.append(run)
        if self.poison == run:
            raise ValueError("bad value\nand more")
        if fate == "lost" or run in self.down:
            raise ConnectionError("refused")
        alone = takewhile(lambda entry: entry.is_metrics_alone, entries)
        batch = list(islice(alone, 3)) or entries[:1]
        for entry in batch:
            self.keep(entry)
        if fate == "answer lost":
            raise TimeoutError
        return len(batch)

    def keep(self, entry: Entry) -> None:
        if entry.starts_as:
            self.ends.pop(entry.run, None)
        for name, value in entry.metrics.items():
            self.points.add((entry.run, name, entry.step, entry.time_ms, value))
        self.tags[entry.run] |= entry.tags
        if entry.ends_as:
            self.ends[entry.run] = entry.ends_as

    def state(self) -> tuple[object, ...]:
        return self.points, {run: tags for run, tags in self.tags.items() if tags}, self.ends


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_PAUSE_S", "_FIRST_RETRY_S", "_LAST_RETRY_S"):
        monkeypatch.setattr(delivery, name, 0.001)


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "unsent.jsonl")


def deliver(box: Outbox, store: Store) -> Delivery:
    return Delivery(box, store.send, lambda error: isinstance(error, ValueError))


def point(run: str, step: int) -> Entry:
    return Entry(run=run, time_ms=step, metrics={"x": 0.5}, step=step)


RUNS = st.sampled_from(["t1", "t2", "t3"])
KINDS = st.sampled_from(["start", "point", "point", "tag", "end"])
FATES = st.lists(st.sampled_from(["", "lost", "answer lost"]), max_size=12)


def entry_of(run: str, kind: str, number: int) -> Entry:
    return {
        "start": Entry(run=run, time_ms=number, starts_as=run, tags={"status": "running"}),
        "point": point(run, number),
        "tag": Entry(run=run, time_ms=number, tags={"status": f"at {number}"}),
        "end": Entry(run=run, time_ms=number, ends_as=f"END {number}"),
    }[kind]


@given(said=st.lists(st.tuples(RUNS, KINDS, FATES, st.booleans()), max_size=25))
@settings(max_examples=60)
def test_outages_lost_answers_and_crashes_leave_no_trace(tmp_path_factory, said):
    """Between any two calls requests may fail, answers get lost, and the driver die."""
    path = tmp_path_factory.mktemp("box") / "unsent.jsonl"
    undisturbed, store = Store(), Store()
    box = Outbox(path)
    sender = deliver(box, store)
    for number, (run, kind, fates, crashes) in enumerate(said):
        undisturbed.keep(entry_of(run, kind, number))
        store.fate = iter(fates)
        box.append(entry_of(run, kind, number), durable=False)
        if crashes:
            disk = path.with_name("as it was")
            with suppress(FileNotFoundError):  # all was sent
                shutil.copy(path, disk)
            sender.close()
            path.unlink(missing_ok=True)
            if disk.exists():
                shutil.move(disk, path)
            box = Outbox(path)
            sender = deliver(box, store)
    store.fate = iter(())
    assert sender.drain(20) == 0
    sender.close()
    assert not path.exists()
    assert store.state() == undisturbed.state()


def test_what_waits_is_sent_unasked_and_together(box):
    store = Store()
    sender = deliver(box, store)
    for step in range(5):
        box.append(point("t1", step), durable=False)
    deadline = time.monotonic() + 10
    while len(box):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sender.close()
    assert {step for _, _, step, _, _ in store.points} == set(range(5))


def test_a_late_run_holds_up_no_other(box):
    store = Store()
    store.down = {"t1"}
    sender = deliver(box, store)
    for run in ("t1", "t2", "t1", "t3"):
        box.append(point(run, len(box)), durable=False)
    assert sender.drain(1) == 2
    assert box.runs() == ["t1"]
    store.down = set()
    assert sender.drain(20) == 0
    sender.close()


def test_late_runs_are_tried_in_turn(box):
    store = Store()
    store.down = {"t1"}
    store.fate = iter(["lost"] * 4)
    sender = deliver(box, store)
    for run in ("t1", "t2"):
        box.append(point(run, 1), durable=False)
    assert sender.drain(2) == 1
    assert box.runs() == ["t1"]
    sender.close()


def test_an_outage_is_said_once_and_its_end(box, caplog):
    caplog.set_level(logging.INFO, "tune_knee")
    store = Store()
    store.down = {"t1", "t2"}
    sender = deliver(box, store)
    for step in range(40):
        box.append(point(f"t{step % 2 + 1}", step), durable=False)
        time.sleep(0.005)
    store.down = set()
    assert sender.drain(20) == 0
    deadline = time.monotonic() + 10
    while len(caplog.messages) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sender.close()
    away, back = caplog.messages
    assert away == (
        f"MLflow does not answer (refused); results are kept in {box.path} and sent when it is back"
    )
    assert back == "MLflow answers again and has everything."


def test_what_is_refused_is_said_once_kept_and_nobody_waits_for_it(box, caplog):
    store = Store()
    store.poison = "t1"
    sender = deliver(box, store)
    for run in ("t1", "t2"):
        box.append(point(run, 1), durable=False)
    started = time.monotonic()
    assert sender.drain(60) == 1
    assert time.monotonic() - started < 20
    assert box.runs() == ["t1"]
    assert caplog.messages == [
        "MLflow refuses what it is told of t1 (bad value); "
        f"that is kept in {box.path} and tried again"
    ]
    store.poison = ""
    assert sender.drain(20) == 0
    sender.close()


def test_an_attempt_that_hangs_holds_up_nobody_longer_than_they_wait(box):
    let_go = threading.Event()
    sender = Delivery(box, lambda entries: let_go.wait(30) and len(entries), lambda _: False)
    box.append(point("t1", 1), durable=False)
    started = time.monotonic()
    assert sender.drain(0.3) == 1
    box.append(point("t1", 2), durable=False)
    assert time.monotonic() - started < 5
    let_go.set()
    assert sender.drain(20) == 0
    sender.close()


def test_waits_between_attempts_grow_to_a_bound(box, monkeypatch):
    for name, value in (("_FIRST_RETRY_S", 0.05), ("_LAST_RETRY_S", 0.4)):
        monkeypatch.setattr(delivery, name, value)
    attempts: list[float] = []

    def refuse(_: Sequence[Entry]) -> int:
        attempts.append(time.monotonic())
        raise ConnectionError

    sender = Delivery(box, refuse, lambda _: False)
    box.append(point("t1", 1), durable=False)
    time.sleep(2.2)
    sender.close()
    waits = [b - a for a, b in pairwise(attempts)]
    assert waits[0] >= 0.04
    assert waits[-1] >= 0.39
    assert 5 <= len(attempts) <= 10


def test_a_backlog_is_waited_for_as_long_as_it_moves(box):
    def slow(entries: Sequence[Entry]) -> int:
        time.sleep(0.6)
        return 1

    sender = Delivery(box, slow, lambda _: False)
    for step in range(6):
        box.append(point("t1", step), durable=False)
    assert sender.drain(2) > 0
    assert sender.drain_patiently(2) == 0
    sender.close()


def test_a_backlog_that_stops_moving_is_left(box):
    let_go, sent = threading.Event(), []

    def two_and_no_more(entries: Sequence[Entry]) -> int:
        if len(sent) == 2:
            let_go.wait(30)
        sent.append(entries[0])
        return 1

    sender = Delivery(box, two_and_no_more, lambda _: False)
    for step in range(5):
        box.append(point("t1", step), durable=False)
    started = time.monotonic()
    assert sender.drain_patiently(0.5) == 3
    assert time.monotonic() - started < 10
    let_go.set()
    assert sender.drain_patiently(20) == 0
    sender.close()
