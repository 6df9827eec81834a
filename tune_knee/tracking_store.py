"""Where a study is tracked: the MLflow store's address, experiment and runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run
from mlflow.environment_variables import (
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
)
from mlflow.exceptions import MlflowException
from mlflow.utils import get_results_from_paginated_fn
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request, verify_rest_response
from sqlalchemy.exc import SQLAlchemyError

from tune_knee import keys
from tune_knee.tracking_uri import require_no_secret

_PROBE: Final = "/api/2.0/mlflow/experiments/search"
_PROBE_TIMEOUT_S: Final = 10.0
_RUNS_A_PAGE: Final = 1000
_UNAUTHORISED: Final = (401, 403)
# MLflow's own, 7 and 120, keep a caller for minutes where a server is down. And what MLflow sends
# again where an answer was lost it does twice: a run would be made twice.
_RETRIES, _TIMEOUT_S = 0, 30


def sqlite_uri(out: Path) -> str:
    """Tracking URI of a study's own store, ``<out>/mlflow.db``."""
    return f"sqlite:///{(out / 'mlflow.db').resolve()}"


def bound_requests() -> None:
    """Let no request of this process to a server last long, unless the environment says so.

    Nor print where in the server each run is that ends: a study has its own view.
    """
    os.environ.setdefault(MLFLOW_HTTP_REQUEST_MAX_RETRIES.name, str(_RETRIES))
    os.environ.setdefault(MLFLOW_HTTP_REQUEST_TIMEOUT.name, str(_TIMEOUT_S))
    os.environ.setdefault(MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.name, "true")


def require_reachable(tracking_uri: str) -> None:
    """Ask the store one thing; a server that is down is noticed in seconds, not minutes.

    Raises:
        ValueError: if there is no MLflow store or server at the URI, it does not let us in,
            or the URI holds a password.
    """
    require_no_secret(tracking_uri)
    with answering(tracking_uri):
        if urlsplit(tracking_uri).scheme in ("http", "https"):
            answer = http_request(
                get_default_host_creds(tracking_uri),  # type: ignore[no-untyped-call]
                _PROBE,
                "POST",
                max_retries=0,
                timeout=_PROBE_TIMEOUT_S,
                json={"max_results": 1},
            )
            verify_rest_response(answer, _PROBE)
        else:
            MlflowClient(tracking_uri).search_experiments(max_results=1)


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Has MLflow's errors say what to do about them.

    Raises:
        ValueError: if the store does not answer, or does not let us in.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        if isinstance(error, MlflowException) and status_of(error) in _UNAUTHORISED:
            raise ValueError(
                f"the MLflow server must let this user in, got tracking_uri={tracking_uri} "
                f"({reason}); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN, or write ~/.mlflow/credentials"
            ) from error
        raise ValueError(
            f"tracking_uri must be a reachable MLflow store, got tracking_uri={tracking_uri} "
            f"({reason}); start its server, or name an SQL store such as sqlite:///mlflow.db"
        ) from error


def status_of(error: MlflowException) -> int:
    """HTTP status of an error, also of one that came from no server."""
    return int(error.get_http_status_code())  # type: ignore[no-untyped-call]


def open_experiment(client: MlflowClient, name: str, artifact_root: Path | None) -> str:
    """Id of the experiment of a name, made where there is none.

    Raises:
        ValueError: if it was deleted: MLflow keeps its name, and takes no runs for it.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = None if artifact_root is None else artifact_root.resolve().as_uri()
        return str(client.create_experiment(name, artifact_location=location))
    if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
        raise ValueError(
            f"the study's MLflow experiment must not be deleted, got study={name}; "
            f"'mlflow experiments restore -x {experiment.experiment_id}' brings it back, "
            "or take another name"
        )
    return str(experiment.experiment_id)


def find_runs(client: MlflowClient, experiment_id: str, where: str) -> list[Run]:
    """All runs of an experiment of which a condition holds, oldest first."""
    runs: list[Run] = get_results_from_paginated_fn(  # type: ignore[no-untyped-call]
        lambda max_results, page_token: client.search_runs(
            [experiment_id],
            where,
            max_results=max_results,
            order_by=["attributes.start_time ASC"],
            page_token=page_token,
        ),
        max_results_per_page=_RUNS_A_PAGE,
    )
    return runs


def of_study(study_id: str, kind: str) -> str:
    """Condition of a study's runs of one kind, `keys.KIND_STUDY` or `keys.KIND_TRIAL`."""
    return f"tags.`{keys.TAG_STUDY_ID}` = '{study_id}' AND tags.`{keys.TAG_KIND}` = '{kind}'"


def of_trial(study_id: str, trial_id: str) -> str:
    """Condition of a trial's run."""
    return f"{of_study(study_id, keys.KIND_TRIAL)} AND tags.`{keys.TAG_TRIAL}` = '{trial_id}'"
