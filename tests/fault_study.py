"""The study that tests of faults disturb, and how they do it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hosts import can_make_hosts, wait_until
from lab import WORKERS, Lab, postgres_programs
from tiny_study import asked, states

STEPS, INTERVAL, STATE_EVERY = 90, 5, 2
GRID = f"""\
name: tiny
description: for tests
budget:
  max_steps: {STEPS}
  evaluation_interval: {INTERVAL}
  checkpoint_interval: {STATE_EVERY}
  batch_size: 2
  image_size_px: 32
experiments:
  - {{network: segformer_b2, loss: ce2}}
  - {{network: segformer_b2, loss: ce2+dice, tau: ["0.50:0.50", "0.90:0.10"]}}
"""
# A trial that dies right before a state is saved loses this many validation intervals.
MOST_LOST = STATE_EVERY

_no_hosts = can_make_hosts()
needs_hosts = pytest.mark.skipif(bool(_no_hosts), reason=f"no hosts can be made: {_no_hosts}")
needs_postgres = pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL is not here")


def under_way(lab: Lab, storage: Path) -> bool:
    """Both workers train, and each trial has saved a state."""
    assert lab.head.runs("driver"), lab.said()
    return states(storage) >= 2 and all(lab.training_on(name) for name in WORKERS)


def study_under(
    fault: Callable[[], None], lab: Lab, inputs: Path, folder: Path, *more: object
) -> tuple[Path, Path]:
    """A study that both workers train when the fault strikes; its folder and its storage."""
    out, storage = folder / folder.name, folder / "shared"
    lab.start_study(*asked(inputs, out, "--storage", storage, *more))
    wait_until(lambda: under_way(lab, storage), 900, "two trials have saved a state")
    fault()
    return out, storage


def stops_or_ends(lab: Lab, out: Path) -> bool:
    """The study ends; or it stops with the command that goes on, which does. Whether it stopped."""
    status = lab.ended()
    if status == 0:
        return False
    assert status == 1, lab.said()
    assert lab.resume_command(out) in lab.said()
    lab.start_study("--resume", "--out", out)
    assert lab.ended() == 0, lab.said()
    return True
