import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_matrix import FaultMatrix
from hypothesis import settings
from lab import Lab, lab_of_hosts


def pytest_configure() -> None:
    """One thread each: small tensors gain nothing from more, and wait where cores are busy.

    No deadlines: on a busy machine they fail tests that are right. Where CI is set, hypothesis
    tries the same examples every time: a change must not fail for an example that another run's
    luck would have found as well.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Ray's workers are nice by default, and would starve beside tests that run at once.
    os.environ.setdefault("RAY_worker_niceness", "0")
    repeatable = bool(os.environ.get("CI"))
    settings.register_profile("tune_knee", deadline=None, derandomize=repeatable)
    settings.load_profile("tune_knee")


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray for all tests that need it: a start takes seconds."""
    import ray

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        environment.setenv("TUNE_DISABLE_SIGINT_HANDLER", "1")  # which Tune leaves behind
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
        yield
        ray.shutdown()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the tests of faults put down what happened."""
    parser.addoption("--fault-matrix", metavar="FILE.md", help="write the table of faults here")


@pytest.fixture(scope="session")
def matrix(request: pytest.FixtureRequest) -> Iterator[FaultMatrix]:
    """What the tests of faults saw."""
    seen = FaultMatrix()
    yield seen
    path = request.config.getoption("--fault-matrix")
    if path:
        seen.write(Path(path))


@pytest.fixture(scope="session")
def fault_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and grid of the study that tests of faults disturb."""
    from fault_study import GRID
    from tiny_study import write_inputs  # imports MLflow

    return write_inputs(tmp_path_factory.mktemp("inputs"), tiny=GRID)


@pytest.fixture(scope="session")
def undisturbed(fault_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That study as it is without a fault."""
    from tiny_study import asked, run

    out = tmp_path_factory.mktemp("undisturbed") / "study"
    ended = run(*asked(fault_inputs, out))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


@pytest.fixture(scope="session")
def hosts_of_a_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Hosts that are started once for all tests of faults."""
    with lab_of_hosts(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture
def lab(hosts_of_a_lab: Lab) -> Lab:
    """A cluster in which everything runs, whatever the test before did to it."""
    hosts_of_a_lab.repair()
    return hosts_of_a_lab


@pytest.fixture
def store(lab: Lab) -> Lab:
    """The same with the host of results."""
    lab.start_store()
    return lab
