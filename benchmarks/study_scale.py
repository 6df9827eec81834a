"""How a study's machinery grows with its trials: time, memory and rows per trial.

    python benchmarks/study_scale.py [TIMESxREPORTS ...]     e.g. 9x4 91x4

Runs 11 losses of one network 9, 27 and 91 times (99, 297 and 1,001 trials) that train nothing:
each reports four times at once, and its test is rows made up. All else is a study's own: Tune's
loop, stoppers, MLflow on SQLite, outcomes and tests on disk, the ranking at the end, and
``--resume`` of the finished study. The smaller study is the larger one's peer: where growth is
linear, the columns per trial stay as they are. One more with 40 reports tells what a report costs
and what a trial. CPU time tells more than wall time where other work shares the machine. Reads
/proc, so runs on Linux alone.
"""

import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from ray import tune
from rich.console import Console

from tune_knee import evaluation, keys, run, study, study_log
from tune_knee.cli import parse
from tune_knee.config import TrialConfig
from tune_knee.data.dataset import KneeDataset
from tune_knee.data.phantom import make_phantom
from tune_knee.opening import open_study
from tune_knee.testing import Tested

SIZES = ("9x4", "27x4", "91x4", "9x40")
MIB = 2**20
GRID = """\
description: nothing is trained
extends: paper
only: {network: [segformer_b2]}
budget: {max_steps: REPORTS, evaluation_interval: 1, image_size_px: 32, batch_size: 2}
"""


class InstantTrial(tune.Trainable):
    """Reports at once what a trial would."""

    def setup(self, config: dict[str, Any], *, dataset: KneeDataset, **settings: Any) -> None:
        """Called by Tune once a process."""
        self._regions, self._steps = dataset.regions, 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Serve another trial."""
        self._steps = 0
        return True

    def step(self) -> dict[str, float]:
        """A report of made-up values."""
        self._steps += 1
        shown = (
            keys.LEARNING_RATE,
            keys.TRAIN_LOSS,
            keys.VAL_IOU,
            keys.VAL_OVERLAP,
            keys.BEST_IOU,
            keys.BEST_OVERLAP,
            keys.BEST_DISTANCE_PX,
            keys.BEST_STEP,
        )
        regions = {keys.validation(each, "iou"): 0.5 for each in self._regions}
        values = {**dict.fromkeys(shown, 0.5), **regions}
        return {keys.STEP: self._steps, keys.WALL_TIME_S: 0.0, **values}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing to load."""


class InstantTester:
    """Makes up a test's rows."""

    def __init__(self, *settings: Any) -> None:
        self._random = np.random.default_rng(0)

    def test(self, trial_id: str, trial: TrialConfig, dataset: KneeDataset) -> Tested:
        """Rows and masks of every test frame."""
        about = dataset.frames.iloc[dataset.indices("test")]
        rows = about.loc[about.index.repeat(len(dataset.regions)), [keys.CASE, keys.FRAME]]
        rows[keys.REGION] = list(dataset.regions) * len(about)
        rows[list(keys.METRICS)] = self._random.uniform(size=(len(rows), len(keys.METRICS)))
        masks = about[[keys.CASE, keys.FRAME]].assign(**{keys.PNG: b"a mask's bytes"})
        return Tested(rows.reset_index(drop=True), masks)


def cpu_s_of_all_below() -> float:
    """CPU time of this process's children and theirs, ended ones included that were waited for."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            stats[int(path.parent.name)] = path.read_text().rpartition(") ")[2].split()
    below = [os.getpid()]
    for parent in below:
        below += [pid for pid, stat in stats.items() if int(stat[1]) == parent]
    ticks = sum(int(each) for pid in below[1:] for each in stats[pid][11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(kind: str) -> float:
    """Memory of this process: ``VmRSS``, ``VmHWM`` (its peak) or ``RssAnon``, without files."""
    (line,) = (
        each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(kind)
    )
    return int(line.split()[1]) / 1024


def run_one(folder: Path, times: int, reports: int) -> None:
    """Run a study in this process and print what it took, as JSON."""
    study.KneeTrial = InstantTrial  # type: ignore[misc, assignment]
    evaluation._Tester = InstantTester  # type: ignore[misc, assignment]
    ranking_s = []
    rank = run.conclude

    def conclude(*arguments: Any) -> int:
        started = time.perf_counter()
        status = rank(*arguments)
        ranking_s.append(time.perf_counter() - started)
        return status

    run.conclude = conclude  # type: ignore[assignment]
    (folder / "grid.yaml").write_text(GRID.replace("REPORTS", str(reports)))
    make_phantom(folder / "data", size_px=32, cases=8, frames=32)
    asked = parse(
        ["--grid", str(folder / "grid.yaml"), "--data", str(folder / "data"),
         "--out", str(folder / "study"), "--budget", "preview", "--seeds", str(times)]
    )  # fmt: skip
    console = Console(stderr=True)
    study_log.quieten_libraries()
    opened = open_study(asked, console)
    before_mib = memory_mib("RssAnon")
    started, cpu_s = time.perf_counter(), time.process_time()
    status = run.run_session(asked, opened, None, console)
    assert status == 0, "the study did not end well"
    print(json.dumps({
        "trials": opened.manifest.planned,
        "reports": reports,
        "wall_s": time.perf_counter() - started,
        "driver_cpu_s": time.process_time() - cpu_s,
        "ray_cpu_s": cpu_s_of_all_below(),
        "ranking_s": ranking_s[0],
        "driver_peak_mib": memory_mib("VmHWM"),
        "driver_grew_mib": memory_mib("RssAnon") - before_mib,
    }))  # fmt: skip


def kept(out: Path) -> dict[str, float]:
    """What a study leaves on disk."""
    with sqlite3.connect(out / "mlflow.db") as database:
        tables = [name for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'")]  # fmt: skip
        rows = [database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables]
    files = [path for path in out.rglob("*") if path.is_file()]
    return {
        "mlflow_rows": sum(rows),
        "mlflow_mib": (out / "mlflow.db").stat().st_size / MIB,
        "files": len(files),
        "disk_mib": sum(path.stat().st_size for path in files) / MIB,
    }


def resumed(out: Path) -> dict[str, float]:
    """What it takes to resume a study of which all is done: to find that, and to rank again."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    again = [sys.executable, "-m", "tune_knee.run", "--resume", "--out", str(out)]
    subprocess.run(again, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"resume_s": time.perf_counter() - started, "resume_cpu_s": cpu_s}


def measured(size: str) -> dict[str, float]:
    """One study, in a process of its own for its memory, and again as a finished one."""
    times, reports = size.split("x")
    with TemporaryDirectory() as folder:
        one = [sys.executable, __file__, "--one", folder, times, reports]
        ended = subprocess.run(one, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr[-3000:]
        out = Path(folder) / "study"
        figures: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
        load = os.getloadavg()[1]
        figures |= {**kept(out), **resumed(out), "load_5_min": load}
    print(json.dumps(figures), file=sys.stderr, flush=True)
    return figures


def main() -> None:
    """Each size by itself, smallest first; prints a column per size."""
    if sys.argv[1:2] == ["--one"]:
        run_one(Path(sys.argv[2]), *map(int, sys.argv[3:]))
        return
    table = pd.DataFrame([measured(size) for size in sys.argv[1:] or SIZES])
    for name in ("wall_s", "driver_cpu_s", "ray_cpu_s", "mlflow_rows", "files"):
        table[f"{name} a trial"] = table[name] / table["trials"]
    print(table.round(3).T.to_string(header=False))


if __name__ == "__main__":
    main()
