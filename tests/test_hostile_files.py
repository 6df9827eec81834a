"""Hostile files are refused by name, soon, and without taking the machine's memory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_files import READ, REFUSED
from spoilt_sources import assert_refused, read_prepare, silent, write_source

LARGEST_RSS = 1.2 * 2**30  # Python and its packages alone are 0.2 GiB
LONGEST_S = 60.0  # of CPU, for all


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with silent():
        yield


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    src, out = tmp_path / "src", tmp_path / "out"
    write_source(src)
    name, make = REFUSED[kind]
    (src / name).write_bytes(make(src))
    with pytest.raises(ValueError, match=str(src)) as refused:
        read_prepare(src, out)
    assert_refused(str(refused.value), src)
    assert Path(name).name in str(refused.value)
    assert not out.exists()


@pytest.mark.parametrize("kind", READ)
def test_what_only_looks_hostile_is_read(kind: str, tmp_path: Path) -> None:
    src = tmp_path / "src"
    write_source(src)
    name, make = READ[kind]
    (src / name).write_bytes(make(src))
    read_prepare(src, tmp_path / "out")


# What a process is started by counts in what the kernel calls its largest memory: hence VmHWM.
_PREPARE = """
import contextlib, re, resource, sys
from pathlib import Path
from spoilt_sources import read_prepare, silent
for src in sys.argv[1:]:
    with silent(), contextlib.suppress(ValueError):
        read_prepare(Path(src), Path(src).with_suffix(".out"))
own_kib = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
workers = resource.getrusage(resource.RUSAGE_CHILDREN)
used = resource.getrusage(resource.RUSAGE_SELF)
seconds = used.ru_utime + used.ru_stime + workers.ru_utime + workers.ru_stime
sys.stdout.write(f"{max(own_kib, workers.ru_maxrss)} {seconds}")
"""


def test_they_take_neither_memory_nor_time(tmp_path: Path) -> None:
    for n, (name, make) in enumerate([*REFUSED.values(), *READ.values()]):
        write_source(tmp_path / f"{n}")
        content = make(tmp_path / f"{n}")
        (tmp_path / f"{n}" / name).write_bytes(content)
    folders = map(str, sorted(tmp_path.iterdir()))
    path = os.pathsep.join([str(Path.cwd()), str(Path(__file__).parent)])
    ended = subprocess.run(
        [sys.executable, "-c", _PREPARE, *folders],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    largest_kib, seconds = map(float, ended.stdout.split())
    assert largest_kib * 1024 < LARGEST_RSS
    assert seconds < LONGEST_S
