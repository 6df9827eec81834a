"""Models into MLflow and out again, on a real store."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import cv2
import mlflow
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.models import get_model_info
from rich.console import Console
from trained_study import trained_study

from analysis.load import load_study
from tune_knee import keys, model_registry, run
from tune_knee.model_registry import digest_of
from tune_knee.model_sources import TrainedStudy, find_models
from tune_knee.register import main
from tune_knee.registration import register_trial
from tune_knee.run import register_best
from tune_knee.segmenter.geometry import to_original, to_square
from tune_knee.segmenter.saved_model import SavedModel
from tune_knee.segmenter.segmenter import Segmenter
from tune_knee.tracking_store import sqlite_uri


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "knees"
    trained_study(out)
    return out


@pytest.fixture(scope="module")
def study(folder: Path) -> TrainedStudy:
    return TrainedStudy.open(folder)


@pytest.fixture(scope="module")
def client(folder: Path) -> MlflowClient:
    return MlflowClient(sqlite_uri(folder))


@pytest.fixture(scope="module")
def registered(study: TrainedStudy) -> str:
    """Address of the best."""
    return register_trial(study, study.best()[0], best=True)


@pytest.fixture
def in_store(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What users type; the project itself sets nothing global."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)


def run_of(client: MlflowClient, study: TrainedStudy, trial: str) -> str:
    trials = load_study(client.tracking_uri, study.manifest.study_id).trials
    return str(trials.set_index("trial").loc[trial, "run_id"])


def versions(client: MlflowClient, name: str) -> list[str]:
    return [each.version for each in client.search_model_versions(f"name = '{name}'")]


class TestRegistered:
    def test_bears_the_studys_name_and_is_its_best(
        self, registered: str, study: TrainedStudy, client: MlflowClient
    ) -> None:
        assert registered == "models:/knees/1"
        version = client.get_model_version_by_alias("knees", "best")
        assert version.version == 1
        (best,) = study.best()
        assert version.run_id == run_of(client, study, best)
        facts = study.model(best).facts
        assert version.tags == {
            keys.TAG_STUDY: "knees",
            keys.TAG_STUDY_ID: study.manifest.study_id,
            keys.TAG_TRIAL: best,
            keys.TAG_LABEL: facts.label,
            keys.TAG_BUDGET: "preview+tiny",
            keys.TAG_FINGERPRINT: study.manifest.fingerprint,
            keys.TAG_REGIONS: "disc,bar",
            keys.TAG_THRESHOLDS: "0.5,0.5",
            keys.TAG_MODEL: digest_of(study.model(best)),
        }

    def test_its_description_is_its_card(
        self, registered: str, study: TrainedStudy, client: MlflowClient, in_store: None
    ) -> None:
        description = client.get_model_version("knees", "1").description
        card = Path(download_artifacts(f"{registered}/README.md")).read_text()
        assert description == card
        assert card.startswith(f"# {study.model(study.best()[0]).facts.label}\n")
        assert "Not a medical device." in card
        assert "**Budget preview+tiny**" in card
        assert "The best of 2 trials by their test results" in card
        assert "- **train**: 4 frames of 2 cases\n" in card
        assert "6 frames of 2 cases at 32 px" in card

    def test_is_the_runs_model(
        self, registered: str, study: TrainedStudy, client: MlflowClient
    ) -> None:
        run = client.get_run(run_of(client, study, study.best()[0]))
        (output,) = run.outputs.model_outputs
        assert output.step == 4
        logged = client.get_logged_model(output.model_id)
        assert logged.status == "READY"
        assert logged.params == run.data.params
        assert logged.artifact_location == client.get_model_version("knees", "1").source
        assert logged.artifact_location.startswith((study.folder / "mlartifacts").as_uri())

    def test_has_signature_example_and_requirements(self, registered: str, in_store: None) -> None:
        info = get_model_info(registered)
        assert info.signature.inputs.to_dict() == [
            {"type": "binary", "name": "image", "required": True}
        ]
        assert info.signature.outputs.input_names() == ["disc", "bar"]
        loaded = mlflow.pyfunc.load_model(registered)
        masks = loaded.predict(loaded.input_example)
        assert cv2.imdecode(np.frombuffer(masks["bar"][0], np.uint8), -1).shape == (128, 128)
        folder = Path(download_artifacts(registered))
        required = (folder / "requirements.txt").read_text()
        names = {line.partition("==")[0] for line in required.splitlines()}
        assert {"tune-knee", "mlflow", "torch", "timm", "numpy"} <= names
        assert "+" not in required

    def test_holds_no_code_and_no_pickle_of_ours(self, registered: str, in_store: None) -> None:
        folder = Path(download_artifacts(registered))
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        assert names == {
            "MLmodel", "README.md", "conda.yaml", "data", "data/model.pt", "input_example.json",
            "python_env.yaml", "requirements.txt", "serving_input_example.json",
            "registered_model_meta",  # MLflow's note of what was downloaded
        }  # fmt: skip
        torch.load(folder / "data/model.pt", weights_only=True)

    def test_predicts_pictures_of_any_size_to_the_bit(
        self, registered: str, study: TrainedStudy, in_store: None
    ) -> None:
        rng = np.random.default_rng(0)
        sizes = ((48, 48), (70, 40), (33, 150))
        pictures = [rng.integers(256, size=size, dtype=np.uint8) for size in sizes]
        files = [cv2.imencode(".png", each)[1].tobytes() for each in pictures]
        masks = mlflow.pyfunc.load_model(registered).predict(pd.DataFrame({"image": files}))
        segmenter = Segmenter([study.model(study.best()[0])])
        squares = np.stack([to_square(each, segmenter.facts) for each in pictures])
        found = segmenter.probabilities(squares)
        for row, probabilities, each in zip(masks.itertuples(), found, pictures, strict=True):
            mask = segmenter.mask_of(to_original(probabilities, *each.shape))
            for r, png in enumerate((row.disc, row.bar)):
                plane = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
                np.testing.assert_array_equal(plane, np.where(mask >> r & 1, 255, 0))

    def test_what_is_no_table_of_files_is_refused(self, registered: str, in_store: None) -> None:
        loaded = mlflow.pyfunc.load_model(registered)
        with pytest.raises(MlflowException, match="missing inputs"):
            loaded.predict(pd.DataFrame({"picture": [b""]}))
        with pytest.raises(MlflowException, match="Incompatible input types"):
            loaded.predict(pd.DataFrame({"image": [3.0]}))


class TestFound:
    def test_by_version_alias_and_run(
        self, registered: str, study: TrainedStudy, client: MlflowClient
    ) -> None:
        (best,) = study.best()
        expected = digest_of(study.model(best))
        for asked in (registered, "models:/knees@best", f"runs:/{run_of(client, study, best)}"):
            (found,) = find_models(asked, tracking_uri=client.tracking_uri)
            assert digest_of(found) == expected

    def test_nothing_of_what_it_says_to_load_with_is_loaded(
        self, registered: str, client: MlflowClient
    ) -> None:
        place = client.get_model_version("knees", "1").source.removeprefix("file://")
        about = Path(place, "MLmodel")
        before = about.read_text()
        about.write_text(before.replace("tune_knee.segmenter.serving", "antigravity"))
        (found,) = find_models(registered, tracking_uri=client.tracking_uri)
        assert found.facts.study == "knees"
        about.write_text(before)


class TestAgain:
    def test_makes_no_second_version(
        self, registered: str, study: TrainedStudy, client: MlflowClient
    ) -> None:
        assert register_trial(study, study.best()[0], best=True) == registered
        assert versions(client, "knees") == [1]
        models = client.search_logged_models([client.get_experiment_by_name("knees").experiment_id])
        assert len(models) == 1

    def test_another_name_takes_the_model_that_is_there(
        self, registered: str, study: TrainedStudy, client: MlflowClient
    ) -> None:
        address = register_trial(study, study.best()[0], name="kept", best=False)
        assert address == "models:/kept/1"
        version = client.get_model_version("kept", "1")
        assert version.source == client.get_model_version("knees", "1").source
        (output,) = client.get_run(version.run_id).outputs.model_outputs
        noted = json.loads(client.get_logged_model(output.model_id).tags["mlflow.modelVersions"])
        assert {"name": "knees", "version": "1"} in noted
        assert {"name": "kept", "version": "1"} in noted
        assert version.aliases == []

    def test_other_weights_are_another_version(
        self, registered: str, study: TrainedStudy, client: MlflowClient
    ) -> None:
        second = study.best(2)[1]
        assert register_trial(study, second, name="both", best=True) == "models:/both/1"
        assert register_trial(study, study.best()[0], name="both", best=True) == "models:/both/2"
        assert client.get_model_version_by_alias("both", "best").version == 2
        assert register_trial(study, second, name="both", best=False) == "models:/both/1"

    def test_an_interrupted_upload_is_taken_up(
        self, study: TrainedStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        trial = next(iter(study.manifest.trials_by_id()))
        run_id = run_of(client, study, trial)

        def full(self: MlflowClient, model_id: str, folder: str) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "log_model_artifacts", full)
            with pytest.raises(
                ValueError, match=r"^the artifact store must take a model, got .*No space"
            ):
                register_trial(study, trial, name="late", best=False)
        assert versions(client, "late") == []
        with pytest.raises(ValueError, match=f"runs:/{run_id} with none"):
            find_models(f"runs:/{run_id}", tracking_uri=client.tracking_uri)
        assert register_trial(study, trial, name="late", best=False) == "models:/late/1"
        (found,) = find_models(f"runs:/{run_id}", tracking_uri=client.tracking_uri)
        assert found.facts.trial_id == trial
        assert len(client.get_run(run_id).outputs.model_outputs) == 1
        card = client.get_model_version("late", "1").description
        assert "By hand: it has no score. 2 trials were ranked; those of ce1 never are." in card


def test_a_name_that_mlflow_refuses(study: TrainedStudy) -> None:
    with pytest.raises(ValueError, match=r"name that MLflow takes, got name=a/b: .*cannot contain"):
        register_trial(study, study.best()[0], name="a/b", best=False)


def test_a_name_with_a_quote(study: TrainedStudy, client: MlflowClient) -> None:
    for _ in range(2):
        address = register_trial(study, study.best()[0], name="o'brien", best=False)
        assert address == "models:/o'brien/1"


def test_a_long_card_is_cut_in_the_registry_alone(
    study: TrainedStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, in_store: None
) -> None:
    monkeypatch.setattr(model_registry, "_DESCRIPTION_LENGTH", 300)
    register_trial(study, study.best()[0], name="long", best=False)
    description = client.get_model_version("long", "1").description
    assert len(description) == 300
    assert description.endswith("the rest is in README.md beside the model.")


class TestCommand:
    def test_registers_the_best(
        self, folder: Path, registered: str, capsys: pytest.CaptureFixture[str],
        study: TrainedStudy,
    ) -> None:  # fmt: skip
        assert main([str(folder)]) == 0
        assert capsys.readouterr().out == f"{registered} is trial {study.best()[0]}, the best\n"

    def test_registers_another_trial_and_leaves_the_best(
        self, folder: Path, registered: str, study: TrainedStudy, client: MlflowClient,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        second = study.best(2)[1]
        assert main([str(folder), "--trial", second, "--name", "second"]) == 0
        assert capsys.readouterr().out == f"models:/second/1 is trial {second}\n"
        assert client.get_model_version("second", "1").tags[keys.TAG_TRIAL] == second
        assert client.get_model_version("second", "1").aliases == []

    def test_writes_a_file_and_no_registry(
        self, folder: Path, study: TrainedStudy, tmp_path: Path,
        capsys: pytest.CaptureFixture[str], client: MlflowClient,
    ) -> None:  # fmt: skip
        before = len(client.search_registered_models())
        out = tmp_path / "new" / "model.pt"
        assert main([str(folder), "--out", str(out)]) == 0
        label = study.model(study.best()[0]).facts.label
        assert capsys.readouterr().out == f"{out}: {label}, budget preview+tiny\n"
        assert digest_of(SavedModel.read(out)) == digest_of(study.model(study.best()[0]))
        assert len(client.search_registered_models()) == before
        assert main([str(folder), "--out", str(out)]) == 2
        assert "--out must name a new file" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nowhere"], "a study's folder must hold study.json, got model=nowhere"),
            (["{}", "--trial", "abc"], "trial=abc, which is none of its; tested: "),
            (["{}", "--name", "a:b"], "cannot contain"),
        ],
    )
    def test_says_what_to_mend(
        self, folder: Path, arguments: list[str], message: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        assert main([each.format(folder) for each in arguments]) == 2
        assert message in capsys.readouterr().err


class TestEndOfAStudy:
    @pytest.fixture
    def said(self) -> StringIO:
        return StringIO()

    def test_names_the_best(self, study: TrainedStudy, registered: str, said: StringIO) -> None:
        register_best(study, Console(file=said))
        assert said.getvalue() == f"Best model: {registered} (trial {study.best()[0]})\n"

    def test_a_server_that_is_away(self, study: TrainedStudy, said: StringIO) -> None:
        away = replace(study.manifest, tracking_uri="http://127.0.0.1:9")
        register_best(replace(study, manifest=away), Console(file=said))
        text = said.getvalue()
        assert "was not registered: tracking_uri must be a reachable MLflow store" in text
        assert f"later with:\n  python -m tune_knee.register {study.folder}\n" in text

    def test_a_full_disk(
        self, study: TrainedStudy, said: StringIO, monkeypatch: pytest.MonkeyPatch,
        client: MlflowClient,
    ) -> None:  # fmt: skip
        def full(self: Path, content: bytes) -> int:
            raise OSError(28, "No space left on device", str(self))

        monkeypatch.setattr(Path, "write_bytes", full)
        manifest = replace(study.manifest, study="full")
        (best,) = study.best()
        other = next(each for each in study.scored if each != best)
        alone = replace(study, manifest=manifest, own=frozenset([other]))
        register_best(alone, Console(file=said))
        assert "a model's package must be written, got [Errno 28]" in said.getvalue()
        assert versions(client, "full") == []

    def test_ctrl_c(
        self, study: TrainedStudy, said: StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(run, "register_trial", interrupted)
        register_best(study, Console(file=said))
        assert "The best model was not registered: interrupted. Register it" in said.getvalue()

    def test_without_a_score(self, study: TrainedStudy, said: StringIO) -> None:
        ce1 = frozenset(list(study.manifest.trials_by_id())[:1])
        register_best(replace(study, own=ce1), Console(file=said))
        expected = f"  python -m tune_knee.register {study.folder} --trial ID\n"
        assert said.getvalue().endswith(expected)
