import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_model import made_model
from mlflow import MlflowClient
from trained_study import PREPARED_PX, TESTED, TRIALS, trained_study

from analysis.beside_grid import beside_grid
from analysis.load import load_study
from analysis.ranking import rank_trials, score_trials
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import LossWeights, TrialConfig
from tune_knee.manifest import Manifest
from tune_knee.model_sources import TrainedStudy, find_models
from tune_knee.refinement_plan import RefinementPlan
from tune_knee.registration import standing_of
from tune_knee.storage import FolderStorage
from tune_knee.tracking_store import sqlite_uri


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "knees"
    trained_study(out)
    return out


def ids(study: Path) -> list[str]:
    return list(Manifest.read(study).trials_by_id())


class TestFile:
    def test_is_read(self, tmp_path: Path) -> None:
        model = made_model(3)
        model.write(tmp_path / "model.pt")
        (found,) = find_models(str(tmp_path / "model.pt"), tracking_uri=None)
        assert found.facts == model.facts

    def test_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"named by its file, .* got model=.*none.pt, which"):
            find_models(str(tmp_path / "none.pt"), tracking_uri=None)

    def test_is_one_model(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="must be the best of a study's folder"):
            find_models(str(tmp_path / "model.pt"), tracking_uri=None, top=2)
        with pytest.raises(ValueError, match="top must be a positive number, got top=0"):
            find_models(str(tmp_path / "model.pt"), tracking_uri=None, top=0)


class TestStudy:
    def test_its_best_are_those_of_the_ranking(self, study: Path) -> None:
        manifest = Manifest.read(study)
        field = beside_grid(load_study(manifest.tracking_uri, manifest.study_id))
        ranked = rank_trials(score_trials(field.study.tests))["trial"].tolist()
        assert sorted(ranked) == sorted(ids(study)[1:3])  # ce1 has no score, the last no test
        found = find_models(str(study), tracking_uri=None, top=2)
        assert [model.facts.trial_id for model in found] == ranked

    def test_facts_and_weights_are_the_trials(self, study: Path) -> None:
        manifest = Manifest.read(study)
        (best,) = find_models(str(study), tracking_uri=None)
        facts = best.facts
        assert (facts.network, facts.width) == ("segformer_b2", 0.25)
        assert (facts.regions, facts.thresholds) == (("disc", "bar"), (0.5, 0.5))
        assert (facts.prepared_size_px, facts.image_size_px) == (PREPARED_PX, 32)
        assert (facts.budget, facts.step, facts.batch_size) == ("preview+tiny", 4, 2)
        assert (facts.study, facts.study_id) == ("knees", manifest.study_id)
        assert facts.fingerprint == manifest.fingerprint
        assert facts.label == manifest.trials_by_id()[facts.trial_id].label
        _, weights = Checkpoints.of(FolderStorage(study), facts.trial_id).load_best()
        assert all(torch.equal(best.weights[name], weights[name]) for name in weights)

    def test_more_than_there_are(self, study: Path) -> None:
        message = f"got 2 of 3 in study=knees; tested without a score: {ids(study)[0]}"
        with pytest.raises(ValueError, match=message):
            find_models(str(study), tracking_uri=None, top=3)

    def test_a_trial_without_a_score_is_a_model_too(self, study: Path) -> None:
        assert TrainedStudy.open(study).model(ids(study)[0]).facts.label == "segformer_b2 ce1"

    def test_a_trial_that_is_not_tested_is_none(self, study: Path) -> None:
        with pytest.raises(ValueError, match=f"trial={ids(study)[3]}, which is not tested; tested"):
            TrainedStudy.open(study).model(ids(study)[3])
        with pytest.raises(ValueError, match="trial=abc, which is none of its"):
            TrainedStudy.open(study).model("abc")

    def test_a_pruned_trial_is_none(self, study: Path) -> None:
        with pytest.raises(ValueError, match=f"trial={ids(study)[4]}, which is not tested; tested"):
            TrainedStudy.open(study).model(ids(study)[4])

    def test_nothing_tested(self, study: Path, tmp_path: Path) -> None:
        trials = {trial: state for trial, state in TRIALS.items() if state != TESTED}
        trained_study(tmp_path / "young", trials=trials, tracking_uri=sqlite_uri(study))
        with pytest.raises(ValueError, match="at least one trial must be tested, got 2 trials"):
            find_models(str(tmp_path / "young"), tracking_uri=None)

    def test_nothing_scored(self, study: Path, tmp_path: Path) -> None:
        trials = {trial: state for trial, state in TRIALS.items() if trial.loss == "ce1"}
        trained_study(tmp_path / "ce1", trials=trials, tracking_uri=sqlite_uri(study))
        with pytest.raises(ValueError, match="got 0 of 1 in study=ce1; tested without a score"):
            find_models(str(tmp_path / "ce1"), tracking_uri=None)

    def test_a_refinements_best_are_its_own_as_ranked_with_the_grid(
        self, study: Path, tmp_path: Path
    ) -> None:
        grid = Manifest.read(study)
        address = (grid.tracking_uri, grid.study_id)
        trials = {
            TrialConfig(network="segformer_b2", loss="ce2+boundary", tau=tau): TESTED
            for tau in (LossWeights(ce=0.9, boundary=0.1), LossWeights(ce=0.1, boundary=0.9))
        }
        refines = RefinementPlan(search=address, top=2, grid=address)
        out = tmp_path / "refined"
        manifest = trained_study(
            out, trials=trials, tracking_uri=grid.tracking_uri, refines=refines
        )
        own = set(manifest.trials_by_id())
        refined = TrainedStudy.open(out)
        ranked = rank_trials(score_trials(refined.field.study.tests))["trial"].tolist()
        assert len(ranked) == 2 + 2
        assert refined.best(2) == [trial for trial in ranked if trial in own]
        with pytest.raises(ValueError, match="got 2 of 3 in study=refined"):
            find_models(str(out), tracking_uri=None, top=3)
        standing = standing_of(refined, refined.best()[0])
        assert (standing.scored, standing.beside) == (4, "knees")
        assert standing.rank == 1 + sum(
            score > standing.score
            for score in score_trials(refined.field.study.tests).groupby("trial")["score"].sum()
        )

    def test_no_study_there(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"a study's folder must hold study.json, got model="):
            find_models(str(tmp_path), tracking_uri=None)

    def test_other_data(self, study: Path, tmp_path: Path) -> None:
        replace(Manifest.read(study), fingerprint="0" * 16).write(tmp_path)
        with pytest.raises(ValueError, match="bring the old data back"):
            find_models(str(tmp_path), tracking_uri=None)

    def test_its_store_is_gone(self, study: Path, tmp_path: Path) -> None:
        away = replace(Manifest.read(study), tracking_uri=f"sqlite:///{tmp_path}/gone.db")
        away.write(tmp_path)
        with pytest.raises(ValueError, match="tracking_uri must name an existing store"):
            find_models(str(tmp_path), tracking_uri=None)


class TestMlflow:
    @pytest.fixture
    def uri(self, study: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return sqlite_uri(study)

    @pytest.mark.parametrize("asked", ["runs:/0", "models:/knees/1"])
    def test_needs_a_store(self, uri: str, asked: str) -> None:
        with pytest.raises(ValueError, match="must come with --tracking-uri or MLFLOW_TRACKING"):
            find_models(asked, tracking_uri=None)

    def test_takes_the_store_of_the_environment(
        self, uri: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(ValueError, match=f"models:/none/1, which is not in {uri}"):
            find_models("models:/none/1", tracking_uri=None)

    @pytest.mark.parametrize(
        "asked", ["models:/knees", "models:/knees/latest", "models:/a/b/1", "models:/a@b@c"]
    )
    def test_malformed(self, uri: str, asked: str) -> None:
        with pytest.raises(ValueError, match="must be named as models:/NAME/VERSION or"):
            find_models(asked, tracking_uri=uri)

    @pytest.mark.parametrize("asked", ["models:/knees@none", "models:/none@best"])
    def test_no_such_alias(self, uri: str, asked: str) -> None:
        with pytest.raises(ValueError, match=r"must be in the registry, .*register STUDY_FOLDER"):
            find_models(asked, tracking_uri=uri)

    def test_no_such_run(self, uri: str) -> None:
        with pytest.raises(ValueError, match=f"got runs:/0000, which is not in {uri}"):
            find_models("runs:/0000", tracking_uri=uri)

    def test_a_run_without_a_model(self, study: Path, uri: str) -> None:
        manifest = Manifest.read(study)
        trials = load_study(uri, manifest.study_id).trials
        with pytest.raises(ValueError, match=f"'python -m .* --trial {trials.trial[2]}' puts it"):
            find_models(f"runs:/{trials.run_id[2]}", tracking_uri=uri)

    def test_a_server_that_is_away(self, uri: str) -> None:
        with pytest.raises(ValueError, match="must be a reachable MLflow store"):
            find_models("models:/knees/1", tracking_uri="http://127.0.0.1:9")

    def test_a_model_of_somebody_elses(self, study: Path, tmp_path: Path) -> None:
        uri = f"sqlite:///{shutil.copy(study / 'mlflow.db', tmp_path / 'copy.db')}"
        client = MlflowClient(uri)
        source = tmp_path / "theirs"
        source.mkdir()
        (source / "MLmodel").write_text("flavors: {}")
        client.create_registered_model("theirs")
        client.create_model_version("theirs", str(source))
        with pytest.raises(ValueError, match="one that tune_knee put there, got models:/theirs/1"):
            find_models("models:/theirs/1", tracking_uri=uri)
