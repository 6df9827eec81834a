"""A text on stderr if the process ends inside, and none if it leaves."""

import subprocess
import sys

import pytest

WORDS = "go on with: --out 'a $(b) \"c\"'"
BEGIN = f"""
import os, signal, sys
from tune_knee.last_words import LastWords
with LastWords({WORDS!r}):
    print("inside", flush=True)
"""


def end_of(inside: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-c", f"{BEGIN}    {inside}"], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "inside\n"
    return ended.returncode, ended.stderr


def test_whoever_leaves_says_nothing() -> None:
    assert end_of("pass") == (0, "")


@pytest.mark.parametrize("number", [9, 6, 15])
def test_whoever_is_killed_has_a_last_word(number: int) -> None:
    assert end_of(f"os.kill(os.getpid(), {number})") == (-number, f"{WORDS}\n")


def test_an_error_is_told_before() -> None:
    status, said = end_of("raise KeyError('lost')")
    assert status == 1
    assert said.endswith(f"KeyError: 'lost'\n{WORDS}\n")


def test_ctrl_c_in_a_terminal_reaches_the_process_alone() -> None:
    """A terminal signals the whole process group; the shell is not in it."""
    status, said = end_of("os.setpgrp(), os.killpg(0, signal.SIGKILL)")
    assert (status, said) == (-9, f"{WORDS}\n")
