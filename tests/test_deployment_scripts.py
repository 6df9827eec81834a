"""The scripts of docker/ run with stand-ins for what they start: what reaches it, what does not."""

import configparser
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCKER = Path(__file__).parent.parent / "docker"
BIN = DOCKER / "bin"

Run = Callable[..., subprocess.CompletedProcess[str]]

# Stands in for a program: writes its arguments and its environment where the test finds them.
STAND_IN = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "$SEEN/arguments"
env > "$SEEN/environment"
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script; `stands_in` names the program that it would start."""

    def run(
        script: Path, *arguments: str | Path, stands_in: str = "", **environment: str | Path
    ) -> subprocess.CompletedProcess[str]:
        programs = tmp_path / "programs"
        programs.mkdir(exist_ok=True)
        if stands_in:
            (programs / stands_in).write_text(STAND_IN)
            (programs / stands_in).chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        return subprocess.run(
            [script, *arguments],
            env={"PATH": path, "SEEN": str(tmp_path)} | {k: str(v) for k, v in environment.items()},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def seen(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    lines = (tmp_path / "environment").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    return (tmp_path / "arguments").read_text().splitlines(), environment


@pytest.fixture
def secrets(tmp_path: Path, run: Run) -> Path:
    folder = tmp_path / "secrets"
    assert run(DOCKER / "make-secrets", folder).returncode == 0
    return folder


# make-secrets


def test_secrets_are_the_owners_alone_and_differ(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    files = list(secrets.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o444}
    alone = [
        file.read_text() for file in files if file.suffix == "" and "credentials" not in file.name
    ]
    assert len(set(alone)) == len(alone) == 4
    assert all(len(value) == 64 and int(value, 16) for value in alone)


def test_secrets_fit_together(secrets: Path) -> None:
    login, s3 = configparser.ConfigParser(), configparser.ConfigParser()
    login.read(secrets / "mlflow_credentials")
    s3.read(secrets / "s3_credentials")
    password = (secrets / "mlflow_password").read_text()
    assert login["mlflow"]["mlflow_tracking_password"] == password
    identities = (secrets / "s3_identities.json").read_text()
    assert s3["default"]["aws_access_key_id"] in identities
    assert s3["default"]["aws_secret_access_key"] in identities


def test_secrets_are_not_made_twice_nor_shown(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "secrets"
    first = run(DOCKER / "make-secrets", folder)
    before = {file.name: file.read_text() for file in folder.iterdir()}
    assert not any(value in first.stdout + first.stderr for value in before.values())
    second = run(DOCKER / "make-secrets", folder)
    assert second.returncode == 2
    assert "must not be there yet" in second.stderr
    assert {file.name: file.read_text() for file in folder.iterdir()} == before


# ray-node


def test_node_starts_no_ray_without_a_token(tmp_path: Path, run: Run) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for environment in (
        {},
        {"RAY_AUTH_TOKEN_PATH": empty},
        {"RAY_AUTH_TOKEN_PATH": tmp_path / "no"},
    ):
        found = run(BIN / "ray-node", "head", stands_in="ray", **environment)
        assert found.returncode != 0
        assert "must" in found.stderr
        assert not (tmp_path / "arguments").exists()


def test_node_is_a_head_that_others_reach_by_its_name(
    tmp_path: Path, run: Run, secrets: Path
) -> None:
    token = secrets / "ray_token"
    found = run(
        BIN / "ray-node", "head", stands_in="ray", RAY_AUTH_TOKEN_PATH=token, NODE_NAME="localhost"
    )
    assert found.returncode == 0, found.stderr
    arguments, environment = seen(tmp_path)
    assert arguments[:3] == ["start", "--head", "--block"]
    assert arguments[arguments.index("--node-ip-address") + 1] == "127.0.0.1"
    assert arguments[arguments.index("--num-cpus") + 1] == "0"
    assert environment["RAY_AUTH_MODE"] == "token"
    assert token.read_text() not in "".join(arguments) + "".join(environment.values())


def test_node_is_a_worker_of_the_head_it_is_told(tmp_path: Path, run: Run, secrets: Path) -> None:
    told = {"RAY_AUTH_TOKEN_PATH": secrets / "ray_token", "NODE_NAME": "localhost"}
    assert run(BIN / "ray-node", "worker", "ray-head:6379", stands_in="ray", **told).returncode == 0
    arguments, _ = seen(tmp_path)
    assert "--head" not in arguments
    assert "--num-cpus" not in arguments
    assert arguments[arguments.index("--address") + 1] == "ray-head:6379"
    for wrong in (["worker"], ["driver"], []):
        assert run(BIN / "ray-node", *wrong, stands_in="ray", **told).returncode == 2


# mlflow-server


def test_mlflow_gets_its_secrets_as_private_files(tmp_path: Path, run: Run, secrets: Path) -> None:
    (secrets / "postgres_password").chmod(0o644)
    (secrets / "postgres_password").write_text(r"a:b\c%d")
    (secrets / "mlflow_password").chmod(0o644)
    (secrets / "mlflow_password").write_text("100%sure of it")
    found = run(
        BIN / "mlflow-server",
        stands_in="mlflow",
        SECRETS_DIR=secrets,
        POSTGRES_HOST="db",
        TMPDIR=tmp_path,
    )
    assert found.returncode == 0, found.stderr
    arguments, environment = seen(tmp_path)
    pgpass, login = Path(environment["PGPASSFILE"]), Path(environment["MLFLOW_AUTH_CONFIG_PATH"])
    assert pgpass.read_text() == r"db:5432:mlflow:mlflow:a\:b\\c%d" + "\n"
    read = configparser.ConfigParser()
    read.read(login)
    assert read["mlflow"]["admin_password"] == "100%sure of it"
    assert {path.stat().st_mode & 0o777 for path in (pgpass, login)} == {0o600}
    assert arguments[:3] == ["server", "--app-name", "basic-auth"]
    assert not any(secret in " ".join(arguments) for secret in (r"a:b\c%d", "100%sure of it"))
    left = {name: value for name, value in environment.items() if "SECRET_KEY" not in name}
    assert not any("100%sure" in value or r"a:b\c" in value for value in left.values())


@pytest.mark.parametrize("missing", ["postgres_password", "mlflow_password", "mlflow_session_key"])
def test_mlflow_does_not_start_without_a_secret(
    missing: str, tmp_path: Path, run: Run, secrets: Path
) -> None:
    (secrets / missing).unlink()
    found = run(BIN / "mlflow-server", stands_in="mlflow", SECRETS_DIR=secrets, TMPDIR=tmp_path)
    assert found.returncode == 2
    assert missing in found.stderr
    assert not (tmp_path / "arguments").exists()


# study.sbatch


PYTHON = """#!/usr/bin/env bash
[[ $1 != -c ]] || { echo 2; exit; }  # how many nodes are here
printf '%s\\n' "$@" > "$SEEN/arguments"
exit 3
"""


@pytest.mark.parametrize("waited_for_s", [0, 0.5])
def test_slurm_runs_the_study_as_a_job_and_hands_on_its_status(
    waited_for_s: float, tmp_path: Path, run: Run
) -> None:
    slow = tmp_path / "slow.bash"  # a study may have ended before anything waits for it
    slow.write_text(f"trap '[[ -z ${{driver-}} ]] || sleep {waited_for_s}' DEBUG\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"python": PYTHON, **dict.fromkeys(("ray", "srun", "scancel"), "")}.items():
        (programs / name).write_text(text or "#!/usr/bin/env bash\n")
        (programs / name).chmod(0o755)
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "bin").symlink_to(programs)
    slurm = {"CPUS_PER_TASK": 8, "JOB_ID": 7, "JOB_NUM_NODES": 2, "SUBMIT_DIR": tmp_path}
    folder = tmp_path / "paper"
    found = run(
        Path("/bin/bash"), DOCKER / "slurm" / "study.sbatch",
        folder, "--max-concurrent", "3", "--", "--grid", "paper",
        HEAD_IP="10.0.0.1", HOME=tmp_path, TUNE_KNEE_VENV=tmp_path / "venv", BASH_ENV=slow,
        **{f"SLURM_{name}": value for name, value in slurm.items()},
    )  # fmt: skip
    assert found.returncode == 3, found.stderr
    assert (tmp_path / "arguments").read_text().splitlines() == [
        "-m", "tune_knee.job", str(folder), "--address", "10.0.0.1:20028",
        "--max-concurrent", "3", "--", "--grid", "paper",
    ]  # fmt: skip
    token = tmp_path / ".ray" / "auth_token"
    assert (token.stat().st_mode & 0o777, len(token.read_text())) == (0o600, 64)


# make-buckets


@pytest.fixture
def object_store() -> Any:
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = server.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    store.start()
    yield f"http://127.0.0.1:{port}"
    store.stop()


def test_buckets_are_made_once_and_left_empty(run: Run, secrets: Path, object_store: str) -> None:
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    told = {
        "AWS_ENDPOINT_URL_S3": object_store,
        "AWS_SHARED_CREDENTIALS_FILE": secrets / "s3_credentials",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for _ in range(2):
        found = run(BIN / "make-buckets", "study", "mlflow", **told)
        assert (found.returncode, found.stdout) == (0, "study is there\nmlflow is there\n"), (
            found.stderr
        )
    store = boto3.client(
        "s3", endpoint_url=object_store, aws_access_key_id="a", aws_secret_access_key="b",
        region_name="us-east-1",
    )  # fmt: skip
    names = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
    assert {"study", "mlflow"} <= names
    assert store.list_objects_v2(Bucket="study")["KeyCount"] == 0
    assert run(BIN / "make-buckets", **told).returncode == 2
