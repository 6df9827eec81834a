"""A study with secrets in its environment: none of them is left anywhere."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from listening import command_line, listeners, tree
from tiny_knees import tiny_knees

from tune_knee.data.dataset import write_dataset
from tune_knee.tracking_store import sqlite_uri

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc"),
]
# Each unlike any other text, and of a form that the library in question takes.
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED4KNEES",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret-7f3a",
    "AWS_SESSION_TOKEN": "planted-aws-session-7f3a",
    "MLFLOW_TRACKING_USERNAME": "planted-mlflow-user-7f3a",
    "MLFLOW_TRACKING_PASSWORD": "planted-mlflow-password-7f3a",
    "MLFLOW_TRACKING_TOKEN": "planted-mlflow-token-7f3a",
    "RAY_AUTH_TOKEN": "5ec2e7" + "ab" * 29,
}
GRID = """\
description: for tests
budget: {image_size_px: 32, max_steps: 40, evaluation_interval: 4, batch_size: 2}
experiments:
  - {network: segformer_b2, loss: ce2}
  - {network: segformer_b2, loss: ce2+dice, tau: ["0.50:0.50"]}
"""


@dataclass(frozen=True)
class Ended:
    """A study that ended, its report made.

    Attributes:
        folder: with all that it wrote: study, report, Ray's sessions, home.
        said: on the terminal, study and report.
        shown: command lines of all its processes, as ``ps`` showed them while it ran.
        beyond: what listened beyond this machine meanwhile.
    """

    folder: Path
    said: str
    shown: frozenset[str]
    beyond: frozenset[str]


@pytest.fixture(scope="module")
def ended() -> Iterator[Ended]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short)
        (folder / "home").mkdir()
        knees = tiny_knees(8, 4, 4)
        write_dataset(folder / "knees", knees.images, knees.masks, knees.frames, knees.regions)
        (folder / "tiny.yaml").write_text(GRID)
        yield run_and_watch(folder)


def run_and_watch(folder: Path) -> Ended:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**kept, **SECRETS, "HOME": str(folder / "home"), "RAY_TMPDIR": str(folder)}
    study = [
        "tune_knee.run", "--grid", "tiny.yaml", "--data", "knees", "--out", "study",
        "--budget", "preview", "--max-concurrent", "2",
    ]  # fmt: skip
    report = [
        "analysis", "report", "--study", "study", "--out", "report", "--draws", "50",
        "--tracking-uri", sqlite_uri(folder / "study"),
    ]  # fmt: skip
    shown, beyond = set(), set()
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *study], env=environment, cwd=folder, stdout=said, stderr=said
        )
        while process.poll() is None:
            pids = tree(process.pid)
            shown |= {command_line(pid) for pid in pids}
            beyond |= {
                f"{each.address}:{each.port} {each.process}"
                for each in listeners(pids)
                if each.beyond_this_machine
            }
            time.sleep(0.2)
        assert process.returncode == 0, (folder / "said").read_text()
        subprocess.run(
            [sys.executable, "-m", *report],
            env=environment, cwd=folder, stdout=said, stderr=said, check=True,
        )  # fmt: skip
    return Ended(folder, (folder / "said").read_text(), frozenset(shown), frozenset(beyond))


def test_the_study_was_watched_while_it_ran(ended: Ended) -> None:
    for name in ("tune_knee.run", "gcs_server", "raylet", "ray::KneeTrial", "dashboard.py"):
        assert any(name in line for line in ended.shown), name
    files = {path.name for path in ended.folder.rglob("*") if path.is_file()}
    assert files >= {
        "study.json", "study.log", "mlflow.db", "train.log", "report.html", "raylet.out",
        "gcs_server.out", "dashboard.log",
    }  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_file_and_on_no_screen(ended: Ended, name: str) -> None:
    secret = SECRETS[name]
    assert secret not in ended.said
    assert not [shlex.quote(line) for line in ended.shown if secret in line]
    found = [
        path.relative_to(ended.folder)
        for path in ended.folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert found == []


def test_nothing_listened_beyond_this_machine(ended: Ended) -> None:
    assert ended.beyond == frozenset()
