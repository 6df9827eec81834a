"""What the outbox keeps through reopening, torn files, full disks and kills."""

import math
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_knee import outbox
from tune_knee.outbox import Entry, Outbox

TEXTS = st.text(max_size=20)
ENTRIES = st.builds(
    Entry,
    run=st.text(min_size=1, max_size=20),
    time_ms=st.integers(0, 2**45),
    starts_as=TEXTS,
    params=st.dictionaries(TEXTS, TEXTS, max_size=3),
    metrics=st.dictionaries(TEXTS, st.floats(allow_nan=False), max_size=3),
    step=st.integers(0, 10**6),
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
    files=st.lists(TEXTS, max_size=3).map(tuple),
    texts=st.dictionaries(TEXTS, TEXTS, max_size=3),
    ends_as=TEXTS,
)


def point(run: str, step: int) -> Entry:
    return Entry(run=run, time_ms=step, metrics={"step": float(step)}, step=step)


def steps(box: Outbox, run: str = "t1") -> list[int]:
    return [entry.step for entry in box.waiting(run)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "unsent.jsonl"


class TestEntry:
    @given(ENTRIES)
    def test_is_one_line_and_reads_back(self, entry):
        line = entry.to_line()
        assert line.count(b"\n") == 1
        assert Entry.from_line(line) == entry

    def test_nan_stays_nan(self):
        entry = Entry(run="t1", time_ms=1, metrics={"a": math.nan, "b": math.inf})
        back = Entry.from_line(entry.to_line())
        assert math.isnan(back.metrics["a"])
        assert back.metrics["b"] == math.inf

    @pytest.mark.parametrize(
        "line", [b"{}", b'{"run": "t1"}', b'{"run": "t1", "time_ms": 1, "x": 2}', b"[]", b"\0\0"]
    )
    def test_what_is_none_is_refused(self, line):
        with pytest.raises(ValueError):  # noqa: PT011  json has messages of its own
            Entry.from_line(line)


class TestOutbox:
    def test_keeps_the_order_of_each_run_over_a_reopening(self, path):
        box = Outbox(path)
        for run, step in (("t1", 1), ("t2", 1), ("t1", 2), ("t2", 2), ("t1", 3)):
            box.append(point(run, step), durable=step == 2)
        box.done("t2", 1)
        assert (box.runs(), len(box)) == (["t1", "t2"], 4)
        box = Outbox(path)
        assert steps(box) == [1, 2, 3]
        assert steps(box, "t2") == [1, 2]  # what was sent may come back, in order

    def test_there_is_no_file_where_nothing_waits(self, path):
        box = Outbox(path)
        assert not path.exists()
        for step in (1, 2):
            box.append(point("t1", step), durable=True)
            assert path.exists()
            box.done("t1", 1)
            assert not path.exists()

    def test_does_not_grow_with_what_was_sent(self, path, monkeypatch):
        monkeypatch.setattr(outbox, "_COMPACT_AFTER", 10)
        box = Outbox(path)
        box.append(point("late", 7), durable=False)
        for step in range(1000):
            box.append(point("t1", step), durable=False)
            box.done("t1", 1)
            assert path.stat().st_size < 12 * 70
        box.append(point("t1", 1000), durable=True)
        box = Outbox(path)
        assert (steps(box, "late"), steps(box)[-1]) == ([7], 1000)
        assert list(path.parent.iterdir()) == [path]

    @given(st.data())
    def test_half_a_line_at_the_end_is_dropped_wherever_it_was_cut(self, tmp_path_factory, data):
        path = tmp_path_factory.mktemp("cut") / "unsent.jsonl"
        box = Outbox(path)
        ends = [0]
        for step in range(1, 5):
            box.append(point("t1", step), durable=False)
            ends.append(path.stat().st_size)
        cut = data.draw(st.integers(0, ends[-1]))
        path.write_bytes(path.read_bytes()[:cut])
        box = Outbox(path)
        whole = sum(end <= cut for end in ends) - 1
        assert steps(box) == list(range(1, whole + 1))
        box.append(point("t1", 9), durable=True)
        assert steps(Outbox(path)) == [*range(1, whole + 1), 9]

    def test_a_whole_line_that_is_no_entry_is_named(self, path):
        path.write_bytes(point("t1", 1).to_line() + b"rubbish\n" + point("t1", 2).to_line())
        with pytest.raises(ValueError, match=r"unsent.jsonl must be whole, got line 2: .*take"):
            Outbox(path)

    def test_a_full_disk_takes_a_line_whole_or_not_at_all(self, path):
        box = Outbox(path)
        box.append(point("t1", 1), durable=True)
        before = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
        try:
            with pytest.raises(OSError, match=r"No space|too large"):
                box.append(point("t1", 2), durable=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        assert steps(box) == [1]
        box.append(point("t1", 3), durable=False)
        assert steps(box) == [1, 3]


WRITER = """
import sys
from pathlib import Path
from tune_knee.outbox import Entry, Outbox
box = Outbox(Path(sys.argv[1]))
for step in range(1, 10**9):
    entry = Entry(run="t1", time_ms=step, step=step, metrics={"x" * 50: 0.5})
    box.append(entry, durable=step % 50 == 0)
    print(step, flush=True)
    if step % 700 == 0:
        box.done("t1", 650)
"""


@pytest.mark.parametrize("seed", range(3))
def test_what_append_returned_from_survives_kill_9(path, seed):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "1\n"
    time.sleep(random.Random(seed).uniform(0.05, 0.6))
    writer.send_signal(signal.SIGKILL)
    said = int(writer.stdout.read().splitlines()[-1])
    writer.wait()
    writer.stdout.close()
    kept = steps(Outbox(path))
    assert kept == list(range(kept[0], kept[-1] + 1))
    assert kept[-1] >= said
