"""Where a study is tracked: the MLflow store's address, experiment and runs."""

import urllib.request
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.utils import get_results_from_paginated_fn
from sqlalchemy.exc import SQLAlchemyError

from tune_knee import keys

_PROBE_TIMEOUT_S: Final = 10.0
_RUNS_A_PAGE: Final = 1000


def sqlite_uri(out: Path) -> str:
    """Tracking URI of a study's own store, ``<out>/mlflow.db``."""
    return f"sqlite:///{(out / 'mlflow.db').resolve()}"


def require_reachable(tracking_uri: str) -> None:
    """Ask the store one thing; a server that is down is noticed in seconds, not minutes.

    Raises:
        ValueError: if there is no MLflow store or server at the URI.
    """
    try:
        if urlsplit(tracking_uri).scheme in ("http", "https"):
            # MLflow's own client retries an unreachable server for minutes.
            health = f"{tracking_uri.rstrip('/')}/health"
            with urllib.request.urlopen(health, timeout=_PROBE_TIMEOUT_S):
                return
        MlflowClient(tracking_uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        raise ValueError(
            f"tracking_uri must be a reachable MLflow store, got tracking_uri={tracking_uri} "
            f"({str(error).splitlines()[0]}); start its server, or name an SQL store such as sqlite:///mlflow.db"
        ) from error


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


def find_runs(client: MlflowClient, experiment_id: str, study_id: str, kind: str) -> list[Run]:
    """All runs of a study of one kind, `keys.KIND_STUDY` or `keys.KIND_TRIAL`."""
    where = f"tags.`{keys.TAG_STUDY_ID}` = '{study_id}' AND tags.`{keys.TAG_KIND}` = '{kind}'"
    runs: list[Run] = get_results_from_paginated_fn(  # type: ignore[no-untyped-call]
        lambda max_results, page_token: client.search_runs(
            [experiment_id], where, max_results=max_results, page_token=page_token
        ),
        max_results_per_page=_RUNS_A_PAGE,
    )
    return runs
