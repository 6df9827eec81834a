"""Ctrl-C where no training listens to it: before it, or once more while MLflow is told."""

import pytest
from rich.console import Console

from tune_knee import run
from tune_knee.cli import Arguments


def test_ends_as_shells_have_it_and_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(asked: Arguments, console: Console, gpus: float | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "open_study", interrupted)
    assert run.main(["--grid", "paper"]) == 130
    assert capfd.readouterr().err == ""
