"""How a study's machinery grows with its trials: time, memory and rows per trial.

    python benchmarks/study_scale.py [times ...]

Runs 11 losses of one network 9, 27 and 91 times (99, 297 and 1,001 trials) that train nothing:
each reports four times at once, and its test is rows made up. All else is a study's own: Tune's
loop, stoppers, MLflow on SQLite, outcomes and tests on disk, the ranking at the end. The smaller
study is the larger one's peer: where growth is linear, the columns per trial stay as they are.
"""

import json
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

from tune_knee import evaluation, keys, run, study
from tune_knee.cli import parse
from tune_knee.config import TrialConfig
from tune_knee.data.dataset import KneeDataset
from tune_knee.data.phantom import make_phantom
from tune_knee.opening import open_study
from tune_knee.testing import Tested

TIMES = (9, 27, 91)
REPORTS = 4
GRID = """\
description: nothing is trained
extends: paper
only: {network: [segformer_b2]}
budget: {max_steps: 4, evaluation_interval: 1, image_size_px: 32, batch_size: 2}
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


def run_one(times: int) -> None:
    """Run a study in this process and print what it took, as JSON."""
    study.KneeTrial = InstantTrial  # type: ignore[misc, assignment]
    evaluation._Tester = InstantTester  # type: ignore[misc, assignment]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "grid.yaml").write_text(GRID)
        make_phantom(root / "data", size_px=32, cases=8, frames=32)
        out = root / "study"
        asked = parse(
            [
                "--grid",
                str(root / "grid.yaml"),
                "--data",
                str(root / "data"),
                "--out",
                str(out),
                "--budget",
                "preview",
                "--seeds",
                str(times),
            ]
        )
        console = Console(stderr=True)
        run.quieten_libraries()
        opened = open_study(asked, console)
        started = time.perf_counter()
        status = run.run_session(asked, opened, console)
        wall_s = time.perf_counter() - started
        assert status == 0, "the study did not end well"
        with sqlite3.connect(out / "mlflow.db") as database:
            (points,) = database.execute("SELECT count(*) FROM metrics").fetchone()
        files = sum(1 for path in out.rglob("*") if path.is_file())
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"trials": opened.manifest.planned, "wall_s": wall_s, "driver_mib": peak_mib,
                      "mlflow_points": points, "files": files}))  # fmt: skip


def main() -> None:
    """Each size in a process of its own, for its memory; prints a row per size."""
    if sys.argv[1:2] == ["--one"]:
        run_one(int(sys.argv[2]))
        return
    rows = []
    for times in map(int, sys.argv[1:] or TIMES):
        ended = subprocess.run([sys.executable, __file__, "--one", str(times)],
                               capture_output=True, text=True)  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        rows.append(json.loads(ended.stdout.splitlines()[-1]))
    table = pd.DataFrame(rows)
    for name in ("wall_s", "mlflow_points", "files"):
        table[f"{name} a trial"] = table[name] / table["trials"]
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
