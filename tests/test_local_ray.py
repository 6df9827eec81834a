"""Ray on one machine lets nobody in: who listens where, who may read what."""

import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen

import pytest
from listening import Listener, listeners, tree

from tune_knee.local_ray import private_folder

SOME_RAY = """
import ray, sys
from tune_knee.cluster import start_ray
print(start_ray(), flush=True)
actor = ray.remote(type("Actor", (), {"ping": lambda self: 1})).remote()
ray.get(actor.ping.remote())
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path / f"ray-{os.getuid()}"


def test_rays_folder_is_entered_by_its_user_alone(mine: Path) -> None:
    assert private_folder() == mine
    assert mine.stat().st_mode & 0o777 == 0o700
    assert private_folder() == mine  # again


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def readable_by_the_group(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o750)


def a_link(folder: Path) -> None:
    (folder.parent / "other").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "other")


@pytest.mark.parametrize("make", [open_to_all, readable_by_the_group, a_link])
def test_a_folder_that_others_made_is_refused(mine: Path, make: Callable[[Path], None]) -> None:
    make(mine)
    with pytest.raises(ValueError, match=r"must be yours alone, got .*RAY_TMPDIR"):
        private_folder()


class Running:
    """A process with a Ray of its own, started as a study starts it."""

    def __init__(self, process: "Popen[str]", home: Path, folder: Path) -> None:
        self.process, self.home, self.folder = process, home, folder
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if line.strip() == "up":
                break
        assert said[-1:] == ["up"], said
        self.dashboard = said[-2]

    def listeners(self) -> list[Listener]:
        return listeners(tree(self.process.pid))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        yield from started(Path(short))


def started(folder: Path) -> Iterator[Running]:
    home = folder / "home"
    home.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_")
    } | {"HOME": str(home), "RAY_TMPDIR": str(folder)}
    command = [sys.executable, "-c", SOME_RAY]
    with Popen(
        command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, text=True, env=environment
    ) as process:
        try:
            yield Running(process, home, folder)
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            process.wait(60)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")
def test_nothing_listens_beyond_this_machine(running: Running) -> None:
    found = running.listeners()
    for name in ("gcs_server", "raylet", "dashboard", "RuntimeEnvAgent", "ray::Actor"):
        assert any(name in each.process for each in found), name
    assert [each for each in found if each.beyond_this_machine] == []


def status(address: str, *headers: tuple[str, str]) -> int:
    request = urllib.request.Request(f"http://{address}", headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["api/jobs/", "api/version", "nodes?view=summary", "logical/actors"]
)
def test_the_dashboard_answers_only_with_the_token(running: Running, path: str) -> None:
    token = (running.home / ".ray" / "auth_token").read_text()
    asked = f"{running.dashboard}/{path}"
    assert status(asked) == 401
    assert status(asked, ("Authorization", "Bearer wrong")) == 403
    assert status(asked, ("Authorization", f"Bearer {token}")) == 200


@pytest.mark.slow
def test_only_its_user_reads_the_token_and_the_session(running: Running) -> None:
    token = running.home / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert len(token.read_text()) == 64
    private = running.folder / f"ray-{os.getuid()}"
    assert private.stat().st_mode & 0o777 == 0o700
    assert list((private / "r").glob("session_*/sockets/raylet"))
    assert not (running.folder / "ray").exists()
