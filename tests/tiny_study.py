"""Tiny studies: how tests run them as users do, and what must come of them whatever happened."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import sqlalchemy
from hosts import wait_until
from listening import command_line, tree
from mlflow import MlflowClient
from tiny_knees import tiny_knees, to_the_bit

from tune_knee import keys
from tune_knee.data.dataset import write_dataset
from tune_knee.manifest import Manifest
from tune_knee.trial_folder import TRAINED, TrialFolder


def write_inputs(folder: Path, **spaces: str) -> Path:
    """A dataset, and search spaces by their names."""
    knees = tiny_knees(8, 4, 4)
    write_dataset(folder / "knees", knees.images, knees.masks, knees.frames, knees.regions)
    for name, text in spaces.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def asked(inputs: Path, out: Path, *more: object, space: str = "tiny") -> tuple[object, ...]:
    return ("--grid", inputs / f"{space}.yaml", "--data", inputs / "knees", "--out", out,
            "--budget", "preview", "--max-concurrent", 2, *more)  # fmt: skip


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tune_knee.run", *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Running:
    """A study in the background, and what it prints."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def said(self) -> str:
        """What it has printed, in one line."""
        return " ".join(self.log.read_text().split())

    def ended(self, timeout_s: float = 900) -> int:
        """Its exit status."""
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """kill -9; comes back when all that it had started has ended too."""
        below = tree(self.process.pid)[1:]
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not any(map(command_line, below)), 240, "Ray ends with its driver")


def begin(
    out: Path, *arguments: object, storage: Path | None = None, log: Path | None = None
) -> Running:
    """Start a study, and come back when two of its trials have saved a state."""
    log = log or out.with_name(f"{out.name}.log")
    with log.open("ab") as said:
        process = subprocess.Popen(command(*arguments), stdout=said, stderr=subprocess.STDOUT)
    study = Running(process, log)

    def saved() -> bool:
        assert process.poll() is None, study.said()
        return states(storage or out) >= 2

    wait_until(saved, 900, "two trials have saved a state")
    return study


def states(storage: Path) -> int:
    """How many trials have saved a state."""
    return len(list(storage.glob("trials/*/last.pt")))


def query(study: Path, sql: str, database: str | None = None) -> list[tuple]:
    """Rows of MLflow's database: the study's own, or a server's."""
    engine = sqlalchemy.create_engine(database or f"sqlite:///{study / 'mlflow.db'}")
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(sqlalchemy.text(sql))]
    engine.dispose()
    return rows


def runs_of(study: Path) -> str:
    """SQL: the ids of a study's runs."""
    return (
        "SELECT runs.run_uuid FROM runs JOIN experiments USING (experiment_id) "
        f"WHERE experiments.name = '{study.name}' AND runs.lifecycle_stage = 'active'"
    )


def scores(study: Path, database: str | None = None) -> list[tuple]:
    """Trial, name and value of every score in MLflow."""
    return query(
        study,
        "SELECT tags.value, latest_metrics.key, latest_metrics.value FROM latest_metrics "
        "JOIN tags ON tags.run_uuid = latest_metrics.run_uuid AND tags.key = 'tune_knee.trial_id' "
        f"WHERE tags.run_uuid IN ({runs_of(study)}) AND latest_metrics.key LIKE 'test/%score' "
        "ORDER BY 1, 2",
        database,
    )


def registered(study: Path, database: str | None = None) -> list[tuple]:
    """Version and trial of each model that is registered under the study's name."""
    return query(
        study,
        f"SELECT version, value FROM model_version_tags WHERE key = '{keys.TAG_TRIAL}' "
        f"AND name = '{study.name}' ORDER BY 1",
        database,
    )


def must_equal(study: Path, other: Path, database: str | None = None) -> None:
    """Reports, tests, scores and winner equal another study's to the last bit, each in MLflow once.

    Args:
        study: folder of what happened; its name is the study's.
        other: folder of a study with results in a database of its own.
        database: where MLflow keeps the first's; None is in its folder.
    """
    manifest = Manifest.read(study)
    trials, budget = manifest.trials_by_id(), manifest.budget
    assert Manifest.read(other).trials_by_id() == trials
    validations = budget.max_steps // budget.evaluation_interval
    for trial_id in trials:
        mine, theirs = (TrialFolder.of(each, trial_id) for each in (study, other))
        outcome = mine.read_outcome()
        assert outcome is not None
        assert (outcome.status, outcome.tested) == (TRAINED, True)
        reports = [pd.read_parquet(each.root / keys.HISTORY) for each in (mine, theirs)]
        assert len(reports[0]) == validations
        histories = [to_the_bit(each.to_dict("records")) for each in reports]
        assert histories[0] == histories[1]
        pd.testing.assert_frame_equal(
            pd.read_parquet(mine.frames_path), pd.read_parquet(theirs.frames_path), check_exact=True
        )
    assert scores(study, database) == scores(other)
    assert registered(study, database) == registered(other)
    must_be_in_mlflow_once(study, len(trials) * validations, database)


def must_be_in_mlflow_once(study: Path, validations: int, database: str | None = None) -> None:
    """A run a trial, which has ended, with a point a validation and its files; nothing waits."""
    assert not (study / "unsent.jsonl").exists()
    manifest = Manifest.read(study)
    mine = runs_of(study)
    by_status = f"SELECT status, count(*) FROM runs WHERE run_uuid IN ({mine}) GROUP BY 1"
    assert query(study, by_status, database) == [("FINISHED", 1 + manifest.planned)]
    points = query(
        study,
        "SELECT run_uuid, step, count(*) FROM metrics "
        f"WHERE run_uuid IN ({mine}) AND key = 'val/iou' GROUP BY 1, 2",
        database,
    )
    assert len(points) == validations
    assert {times for _, _, times in points} == {1}
    client = MlflowClient(manifest.tracking_uri)
    tagged = f"SELECT run_uuid, value FROM tags WHERE key = '{keys.TAG_TRIAL}'"
    for run_id, trial_id in query(study, f"{tagged} AND run_uuid IN ({mine})", database):
        folder = TrialFolder.of(study, trial_id).root
        sizes = {file.path: file.file_size for file in client.list_artifacts(run_id)}
        files = (keys.HISTORY, keys.TEST_FRAMES, keys.TEST_MASKS)
        # A trial that failed before keeps what it said then.
        assert sizes.items() >= {name: (folder / name).stat().st_size for name in files}.items()
