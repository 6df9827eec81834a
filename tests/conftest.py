import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_matrix import FaultMatrix
from hypothesis import settings


def pytest_configure() -> None:
    """One thread each: small tensors gain nothing from more, and wait where cores are busy.

    No deadlines: on a busy machine they fail tests that are right. Where CI is set, hypothesis
    tries the same examples every time: a change must not fail for an example that another run's
    luck would have found as well.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
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
