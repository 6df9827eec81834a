"""What a study on several hosts survives of them. Each fault is done to real processes."""

import os
import signal
import time
from pathlib import Path

import pytest
from fault_matrix import FaultMatrix
from fault_study import MOST_LOST, needs_hosts, study_under
from hosts import wait_until
from lab import WORKERS, Lab, repeated
from tiny_study import must_equal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.timeout(1800),
    pytest.mark.hosts,
    needs_hosts,
]


def ends_as(undisturbed: Path, lab: Lab, out: Path, storage: Path, *, at_most: int) -> int:
    """The study ends, and equals the undisturbed one; how many intervals were trained twice."""
    assert lab.ended() == 0, lab.said()
    must_equal(out, undisturbed)
    lost = repeated(lab.trained(storage))
    assert lost <= at_most
    return lost


def test_a_worker_node_dies(
    lab: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out, storage = study_under(lambda: lab.kill_ray("one"), lab, fault_inputs, tmp_path)
    lost = ends_as(undisturbed, lab, out, storage, at_most=MOST_LOST)
    matrix.add(
        "kill -9 of a worker node", "its trial went on, on another node, from its last state", lost
    )


def test_a_trial_dies(
    lab: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    def kill_one() -> None:
        os.kill(lab.training_on("two")[0], signal.SIGKILL)

    out, storage = study_under(kill_one, lab, fault_inputs, tmp_path)
    lost = ends_as(undisturbed, lab, out, storage, at_most=MOST_LOST)
    matrix.add("kill -9 of a trial", "it was started again, from its last state", lost)


def test_the_driver_dies(
    lab: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out, storage = study_under(lab.kill_driver, lab, fault_inputs, tmp_path)
    wait_until(lambda: lab.resume_command(out) in lab.said(), 60, "the way to go on is told")
    lab.start_study("--resume", "--out", out)
    lost = ends_as(undisturbed, lab, out, storage, at_most=2 * MOST_LOST)
    matrix.add(
        "kill -9 of the driver",
        "the command that goes on was said, and went on with both trials",
        lost,
    )


def test_the_head_dies_with_the_driver(
    lab: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    def kill_both() -> None:
        lab.kill_driver()
        lab.kill_ray("head")

    out, storage = study_under(kill_both, lab, fault_inputs, tmp_path)
    for name in WORKERS:
        wait_until(lambda name=name: not lab.ray_runs(name), 300, "the workers end")
    lab.repair()
    lab.start_study("--resume", "--out", out)
    lost = ends_as(undisturbed, lab, out, storage, at_most=2 * MOST_LOST)
    matrix.add(
        "kill -9 of the head and the driver on it",
        "the workers ended by themselves; with Ray started again, `--resume` went on",
        lost,
    )


def test_the_head_dies_alone(
    lab: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out, storage = study_under(lambda: lab.kill_ray("head"), lab, fault_inputs, tmp_path)
    assert lab.ended(300) != 0, lab.said()
    wait_until(lambda: lab.resume_command(out) in lab.said(), 60, "the way to go on is told")
    lab.repair()
    lab.start_study("--resume", "--out", out)
    lost = ends_as(undisturbed, lab, out, storage, at_most=2 * MOST_LOST)
    matrix.add(
        "kill -9 of the head, the driver left alone",
        "the command that goes on was said, and with Ray started again went on",
        lost,
    )


def test_a_worker_is_cut_off_for_long(
    lab: Lab, fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    def cut() -> None:
        lab.hosts["one"].cut()
        time.sleep(40)
        lab.hosts["one"].restore()

    out, storage = study_under(cut, lab, fault_inputs, tmp_path)
    wait_until(lambda: not lab.ray_runs("one"), 300, "the node that was given up ends its Ray")
    # One more than the others: the interval that it had begun.
    lost = ends_as(undisturbed, lab, out, storage, at_most=MOST_LOST + 1)
    matrix.add(
        "a worker's network cut for 40 s, then restored",
        "Ray gave the node up; its trial went on, on another node, from its last state; the node "
        "trained no further than its interval under way, and once it was back ended its Ray",
        lost,
    )
