"""Two drivers on one study: the second is refused, and only while the first lives."""

import errno
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tune_knee import run
from tune_knee.driver_lock import FILE_NAME, sole_driver

HOLDS = """
import sys
from pathlib import Path
from tune_knee.driver_lock import sole_driver
with sole_driver(Path(sys.argv[1])):
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
        process.kill()


def test_a_second_driver_is_refused_and_told_of_the_first(
    holder: "subprocess.Popen[str]",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "open_study", lambda *_: SimpleNamespace(out=tmp_path))
    assert run.main(["--resume", "--out", str(tmp_path)]) == 2
    first = f"process {holder.pid} on {socket.gethostname()}"
    told = " ".join(capsys.readouterr().err.split())
    assert f"one driver at a time, got out={tmp_path}, where {first} runs; wait" in told
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_driver_holds_nothing(
    holder: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals
) -> None:
    os.kill(holder.pid, number)
    holder.wait(30)
    with sole_driver(tmp_path):
        assert (tmp_path / FILE_NAME).read_text().startswith(f"process {os.getpid()} on ")


def test_what_is_left_may_be_held_again(tmp_path: Path) -> None:
    with sole_driver(tmp_path), pytest.raises(ValueError, match="one driver"):
        sole_driver(tmp_path).__enter__()
    with sole_driver(tmp_path):
        assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 1


def test_a_file_system_without_locks_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(file: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refused)
    with caplog.at_level(logging.WARNING), sole_driver(tmp_path):
        assert "run one driver at a time" in caplog.text
