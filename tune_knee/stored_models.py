"""Read a model that lies in MLflow, of a run or of its registry."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tune_knee import keys
from tune_knee.segmenter.saved_model import SavedModel
from tune_knee.tracking_store import answering, bound_requests

RUNS: Final = "runs:/"
MODELS: Final = "models:/"
MODEL_FILE: Final = "data/model.pt"  # below a model's folder in MLflow
_NOT_THERE: Final = (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE)  # the second: bad names


def read_model(client: MlflowClient, address: str) -> SavedModel:
    """The model at ``runs:/ID``, ``models:/NAME/VERSION`` or ``models:/NAME@alias``.

    Only the model's file is fetched, and nothing in it is run.

    Raises:
        ValueError: if there is no such run or version, it holds no model of tune_knee, or
            the store does not answer.
    """
    bound_requests()
    with answering(client.tracking_uri):
        if address.startswith(RUNS):
            place = _of_run(client, address.removeprefix(RUNS))
        else:
            place = _of_version(client, address)
        return _fetch(client, place, address)


def _of_run(client: MlflowClient, run_id: str) -> str:
    """Where the newest model of a run lies."""
    address = RUNS + run_id
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        _reraise_if_away(error)
        raise ValueError(
            f"a run must be one of the store's, got {address}, which is not in "
            f"{client.tracking_uri}"
        ) from error
    models = models_of(client, run.info.experiment_id, run_id)
    if not models:
        trial = run.data.tags.get(keys.TAG_TRIAL, "ID")
        raise ValueError(
            f"a run must hold a model, got {address} with none; "
            f"'python -m tune_knee.register STUDY_FOLDER --trial {trial}' puts it there"
        )
    return str(models[0].artifact_location)


def models_of(client: MlflowClient, experiment_id: str, run_id: str) -> list[LoggedModel]:
    """The whole models that a run holds, newest first."""
    found = client.search_logged_models(
        [experiment_id],
        f"source_run_id = '{run_id}'",
        order_by=[{"field_name": "creation_timestamp", "ascending": False}],
    )
    return [each for each in found if each.status == LoggedModelStatus.READY]


def _of_version(client: MlflowClient, address: str) -> str:
    """Where the model of a registered version lies."""
    named = re.fullmatch(r"([^/@]+)(?:/(\d+)|@([^/@]+))", address.removeprefix(MODELS))
    if named is None:
        raise ValueError(
            "a registered model must be named as models:/NAME/VERSION or models:/NAME@alias, "
            f"got {address}"
        )
    name, version, alias = named.groups()
    try:
        if alias is None:
            found = client.get_model_version(name, version)
        else:
            found = client.get_model_version_by_alias(name, alias)
        return str(client.get_model_version_download_uri(found.name, found.version))
    except MlflowException as error:
        _reraise_if_away(error)
        raise ValueError(
            f"a registered model must be in the registry, got {address}, which is not in "
            f"{client.tracking_uri}; 'python -m tune_knee.register STUDY_FOLDER' registers a "
            "study's best"
        ) from error


def _fetch(client: MlflowClient, place: str, address: str) -> SavedModel:
    repository = get_artifact_repository(place, tracking_uri=client.tracking_uri)
    folder = str(Path(MODEL_FILE).parent)
    if MODEL_FILE not in {each.path for each in repository.list_artifacts(folder)}:
        raise ValueError(
            f"a model in MLflow must be one that tune_knee put there, got {address} without "
            f"{MODEL_FILE}"
        )
    with TemporaryDirectory() as target:
        found = repository.download_artifacts(MODEL_FILE, target)  # type: ignore[no-untyped-call]
        return SavedModel.read(Path(found))


def _reraise_if_away(error: MlflowException) -> None:
    if error.error_code not in {ErrorCode.Name(each) for each in _NOT_THERE}:
        raise error
