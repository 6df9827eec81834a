"""Puts models into MLflow: with the run that trained them, and into its registry."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    ErrorCode,
)
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from tune_knee import keys
from tune_knee.model_package import write_package
from tune_knee.segmenter.saved_model import ModelFacts, SavedModel
from tune_knee.stored_models import MODELS, models_of
from tune_knee.tracking_store import answering, bound_requests

BEST: Final = "best"  # the alias of a study's winner
_DESCRIPTION_LENGTH: Final = 5000  # as much as MLflow's database keeps
_MORE: Final = "\n\n… the rest is in README.md beside the model."


@dataclass(frozen=True)
class Registered:
    """A version of a registered model."""

    name: str
    version: str

    @property
    def address(self) -> str:
        """What `find_models`, ``mlflow.pyfunc.load_model`` and ``mlflow models serve`` take."""
        return f"{MODELS}{self.name}/{self.version}"


class Registry:
    """Logs and registers models of one MLflow store; what is there already is left alone.

    Nothing global: neither MLflow's active run nor its tracking URI are touched.

    Args:
        tracking_uri: of the store that has the runs.
    """

    def __init__(self, tracking_uri: str) -> None:
        bound_requests()
        self._tracking_uri = tracking_uri
        self._client = MlflowClient(tracking_uri)

    def run(self, run_id: str) -> Run:
        """A run of the store.

        Raises:
            ValueError: if there is none, or the store does not answer.
        """
        with answering(self._tracking_uri):
            return self._client.get_run(run_id)

    def register(self, model: SavedModel, card: str, run: Run, *, name: str) -> Registered:
        """Keep a model with its run, and as a new version of a registered model.

        The same weights of the same trial have one version under a name, however often this
        is called, and what an interrupted call left is taken up.

        Args:
            model: with its facts, which become tags.
            card: Markdown; a file beside the model, and the version's description.
            run: that trained it.
            name: of the registered model, made where there is none.

        Raises:
            ValueError: if MLflow refuses the name, the store does not answer, or the disk or the
                artifact store does not take the model.
        """
        tags = _tags(model)
        with answering(self._tracking_uri):
            self._make(name)
            found = self._version(name, tags[keys.TAG_MODEL])
            if found is None:
                kept = self._kept(model, card, run, tags)
                found = self._client.create_model_version(
                    name,
                    source=kept.artifact_location,
                    run_id=run.info.run_id,
                    tags=tags,
                    description=_shortened(card),
                    model_id=kept.model_id,
                )
                self._note(kept.model_id, name, str(found.version))
        return Registered(name, str(found.version))

    def call(self, registered: Registered, alias: str) -> None:
        """Give a version an alias, which another one loses.

        Raises:
            ValueError: if the store does not answer.
        """
        with answering(self._tracking_uri):
            self._client.set_registered_model_alias(registered.name, alias, registered.version)

    def _make(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(INVALID_PARAMETER_VALUE):
                raise ValueError(
                    f"a registered model must have a name that MLflow takes, got name={name}: "
                    f"{error.message}; --name gives it another"
                ) from error
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise

    def _version(self, name: str, digest: str) -> ModelVersion | None:
        quote = '"' if "'" in name else "'"
        versions = self._client.search_model_versions(f"name = {quote}{name}{quote}")
        same = (each for each in versions if each.tags.get(keys.TAG_MODEL) == digest)
        return min(same, key=lambda each: int(each.version), default=None)

    def _note(self, model_id: str, name: str, version: str) -> None:
        """Have MLflow's page of the model name its version; a server does so by itself."""
        tags = self._client.get_logged_model(model_id).tags
        versions = json.loads(tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
        if name not in {each["name"] for each in versions}:
            versions.append({"name": name, "version": version})
            self._client.set_logged_model_tags(
                model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(versions)}
            )

    def _kept(self, model: SavedModel, card: str, run: Run, tags: dict[str, str]) -> LoggedModel:
        """The model as the run holds it, uploaded if it was not."""
        run_id = run.info.run_id
        same = (
            each
            for each in models_of(self._client, run.info.experiment_id, run_id)
            if each.tags.get(keys.TAG_MODEL) == tags[keys.TAG_MODEL]
        )
        kept = next(same, None)
        if kept is None:
            kept = self._client.create_logged_model(
                run.info.experiment_id,
                name=model.facts.trial_id,
                source_run_id=run_id,
                tags=tags,
                params=run.data.params,
            )
        if kept.status != LoggedModelStatus.READY:
            self._upload(model, card, run_id, kept)
            kept = self._client.finalize_logged_model(kept.model_id, LoggedModelStatus.READY)
        outputs = [] if run.outputs is None else run.outputs.model_outputs
        if kept.model_id not in {each.model_id for each in outputs}:
            output = LoggedModelOutput(kept.model_id, step=model.facts.step)
            self._client.log_outputs(run_id, [output])
        return kept

    def _upload(self, model: SavedModel, card: str, run_id: str, kept: LoggedModel) -> None:
        about = Model(
            artifact_path=kept.artifact_location,
            run_id=run_id,
            model_uuid=kept.model_id,
            model_id=kept.model_id,
        )
        with TemporaryDirectory() as folder:
            package = Path(folder) / "model"
            try:
                write_package(model, card, about, package)
            except OSError as error:
                raise ValueError(f"a model's package must be written, got {error}") from error
            try:
                self._client.log_model_artifacts(kept.model_id, str(package))
            # Artifact stores raise errors of their own.
            except Exception as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                raise ValueError(f"the artifact store must take a model, got {reason}") from error


def _tags(model: SavedModel) -> dict[str, str]:
    facts = model.facts
    return {
        keys.TAG_STUDY: facts.study,
        keys.TAG_STUDY_ID: facts.study_id,
        keys.TAG_TRIAL: facts.trial_id,
        keys.TAG_LABEL: facts.label,
        keys.TAG_BUDGET: facts.budget,
        keys.TAG_FINGERPRINT: facts.fingerprint,
        keys.TAG_REGIONS: ",".join(facts.regions),
        keys.TAG_THRESHOLDS: _thresholds(facts),
        keys.TAG_MODEL: digest_of(model),
    }


def _thresholds(facts: ModelFacts) -> str:
    return ",".join(f"{threshold:g}" for threshold in facts.thresholds)


def digest_of(model: SavedModel) -> str:
    """Identity of a model: a hash of its facts and weights, 16 hex digits."""
    digest = hashlib.sha256(repr(model.facts).encode())
    for name, weights in sorted(model.weights.items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        digest.update(weights.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _shortened(card: str) -> str:
    if len(card) <= _DESCRIPTION_LENGTH:
        return card
    return card[: _DESCRIPTION_LENGTH - len(_MORE)] + _MORE
