"""What a study survives of its driver's disk: no room left, files cut in half."""

import contextlib
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_matrix import FaultMatrix
from lab import repeated, trained_intervals
from tiny_study import asked, begin, must_equal, run

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(1800)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300m", "none", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> Path:
    """A file that takes the last byte of a disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_the_drivers_disk_is_full(
    fault_inputs: Path, undisturbed: Path, small_disk: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out, storage = small_disk / "study", tmp_path / "shared"
    ask = asked(fault_inputs, out, "--storage", storage)
    study = begin(out, *ask, storage=storage, log=tmp_path / "driver.log")
    filler = fill(small_disk)
    assert study.ended() == 1, study.said()
    assert "No space left on device" in study.said()
    assert f"python -m tune_knee.run --resume --out {out}" in study.said()
    assert "Traceback" not in study.said()
    filler.unlink()
    ended = run("--resume", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    must_equal(out, undisturbed)
    matrix.add(
        "the driver's disk full",
        "the study stopped and said why and how to go on; with room made, `--resume` went on",
        None,
    )


def test_what_is_on_disk_is_cut_in_half(
    fault_inputs: Path, undisturbed: Path, tmp_path: Path, matrix: FaultMatrix
) -> None:
    out = tmp_path / "study"
    begin(out, *asked(fault_inputs, out)).kill()
    manifest = out / "study.json"
    kept = manifest.read_bytes()
    manifest.write_bytes(kept[: len(kept) // 2])
    ended = run("--resume", "--out", out)
    assert ended.returncode == 2
    told = " ".join(ended.stderr.split())
    assert f"a study's manifest must be whole, got {manifest}" in told
    assert "restore it from a copy" in told
    manifest.write_bytes(kept)
    matrix.add("study.json cut in half", "refused by name; nothing was touched", None)

    for state in out.glob("ray/*/*.json"):
        state.write_bytes(state.read_bytes()[:100])
    broken, *_ = sorted(out.glob("trials/*/last.pt"))
    broken.write_bytes(broken.read_bytes()[:5000])
    ended = run("--resume", "--out", out)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "a checkpoint must be whole" in " ".join(ended.stdout.split())
    matrix.add("Tune's experiment state cut in half", "nothing: a study reads none of it", None)
    broken.unlink()
    ended = run("--resume", "--retry-failed", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    must_equal(out, undisturbed)
    matrix.add(
        "a trial's state cut in half",
        "that trial failed by name; with the state removed, `--retry-failed` trained it anew",
        repeated(Counter(trained_intervals(out.glob("trials/*/train.log")))),
    )
