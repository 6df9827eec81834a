"""Names and paths that come from files and servers stay where they belong."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from labelme_files import SQUARE, encoded, grey, shape, write_cases, write_label
from mlflow import MlflowClient
from tiny_knees import tiny_knees
from tracked_study import TRIALS, frames_of, log_test, track

from analysis.artifacts import load_frames
from analysis.load import RUN_ID, load_study
from search_spaces.loader import load_space
from tune_knee import keys
from tune_knee.data.dataset import open_dataset, write_dataset
from tune_knee.data.preparation import Preparation, prepare
from tune_knee.tracking_store import sqlite_uri

FEMUR = [shape("femur", SQUARE)]
GRID = "{description: x, experiments: [{network: fcn_unet, loss: ce2}]}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source folder beside a patient's image that is none of its business."""
    write_cases(tmp_path / "src", cases=3, frames=1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.png").write_bytes(encoded(grey()))
    write_label(tmp_path / "elsewhere" / "secret.json", FEMUR, "secret.png")
    return tmp_path / "src"


def refused(source: Path) -> str:
    """What `prepare` says; it writes nothing."""
    with pytest.raises(ValueError, match=r"must be mended") as error:
        prepare(source, source.parent / "out", Preparation(size_px=16))
    assert not (source.parent / "out").exists()
    return str(error.value)


@pytest.mark.parametrize(
    "image",
    [
        "../../elsewhere/secret.png",
        "..\\..\\elsewhere\\secret.png",
        "knee/../../../elsewhere/secret.png",
        "/etc/hostname",
    ],
)
def test_an_image_path_does_not_leave_the_source(source: Path, image: str) -> None:
    write_label(source / "knee_0" / "x.json", FEMUR, image)
    assert "knee_0/x.json: imagePath must stay in the source folder" in refused(source)


def link_an_image(source: Path) -> str:
    (source / "knee_0" / "x.png").symlink_to(source.parent / "elsewhere" / "secret.png")
    write_label(source / "knee_0" / "x.json", FEMUR, "x.png")
    return "knee_0/x.png"


def link_a_label(source: Path) -> str:
    (source / "knee_0" / "secret.json").symlink_to(source.parent / "elsewhere" / "secret.json")
    return "knee_0/secret.json"


def link_a_folder(source: Path) -> str:
    (source / "knee_0" / "more").symlink_to(source.parent / "elsewhere")
    write_label(source / "knee_0" / "x.json", FEMUR, "more/secret.png")
    return "knee_0/x.json"


def link_out_of_sight(source: Path) -> str:
    (source / ".more").symlink_to(source.parent / "elsewhere")
    write_label(source / "knee_0" / "x.json", FEMUR, "../.more/secret.png")
    return "knee_0/x.json"


@pytest.mark.parametrize("link", [link_an_image, link_a_label, link_a_folder, link_out_of_sight])
def test_links_do_not_lead_out_of_the_source(source: Path, link: Callable[[Path], str]) -> None:
    where = link(source)
    said = refused(source)
    assert re.search(rf"{where}: (a link|imagePath) must stay in the source folder, got ", said)


def test_links_within_the_source_and_to_it_are_followed(source: Path) -> None:
    (source / "knee_0" / "x.png").symlink_to(source / "knee_0" / "000.png")
    (source / "knee_0" / "000.json").unlink()
    write_label(source / "knee_0" / "x.json", FEMUR, "x.png")
    (source.parent / "link").symlink_to(source)
    made = prepare(source.parent / "link", source.parent / "out", Preparation(size_px=16))
    assert "x" in set(made.frames["frame"])


@pytest.mark.parametrize("region", ["../../x", "a/b", "a\\b", "", ".", "..", "a\nb", "/etc/x"])
def test_a_region_of_a_dataset_names_no_path(tmp_path: Path, region: str) -> None:
    knees = tiny_knees()
    arrays = (knees.images, knees.masks, knees.frames)
    with pytest.raises(ValueError, match="a region's name must be"):
        write_dataset(tmp_path / "made", *arrays, (region, "bar"))
    write_dataset(tmp_path / "knees", *arrays, knees.regions)
    about = tmp_path / "knees" / "dataset.json"
    text = about.read_text()
    about.write_text(
        text.replace('"disc"', f'"{region}"'.replace("\\", "\\\\").replace("\n", "\\n"))
    )
    with pytest.raises(ValueError, match="a region's name must be"):
        open_dataset(tmp_path / "knees")


def test_pickled_arrays_are_not_unpickled(tmp_path: Path) -> None:
    knees = tiny_knees()
    write_dataset(tmp_path / "knees", knees.images, knees.masks, knees.frames, knees.regions)
    np.save(tmp_path / "knees" / "masks.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="a dataset folder must be readable"):
        open_dataset(tmp_path / "knees")


@pytest.mark.parametrize(
    "base", ["../base.yaml", "/tmp/base.yaml", "more/../../base.yaml", "l.yaml"]
)
def test_a_grid_extends_nothing_out_of_its_folder(tmp_path: Path, base: str) -> None:
    folder = tmp_path / "grids"
    (folder / "more").mkdir(parents=True)
    (tmp_path / "base.yaml").write_text(GRID)
    (folder / "l.yaml").symlink_to(tmp_path / "base.yaml")
    (folder / "mine.yaml").write_text(f"{{description: x, extends: {base}}}")
    with pytest.raises(ValueError, match="extends: must stay in the folder of the grid, got"):
        load_space(str(folder / "mine.yaml"))


def test_a_grid_extends_what_lies_below_it(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.yaml").write_text(GRID)
    (tmp_path / "mine.yaml").write_text("{description: x, extends: more/base.yaml}")
    assert load_space(str(tmp_path / "mine.yaml")).name == "mine"


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "..", ".", ".hidden", "a\\b", "''"])
@pytest.mark.parametrize(
    "rest", ["experiments: [{network: fcn_unet, loss: ce2}]", "search: {networks: fcn_unet}"]
)
def test_a_grid_or_search_names_no_path(tmp_path: Path, name: str, rest: str) -> None:
    # Without --out, a study's folder is out/<name>.
    (tmp_path / "mine.yaml").write_text(f"{{description: x, name: {name}, {rest}}}")
    with pytest.raises(ValueError, match="name: must be of letters, digits"):
        load_space(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "paper.yaml/../paper"])
def test_a_name_of_a_grid_is_one_that_ships(name: str) -> None:
    with pytest.raises(ValueError, match="grid must be one of ce2_only, "):
        load_space(name)


@pytest.fixture
def tracked(tmp_path: Path) -> str:
    tracker = track(tmp_path, "knees", "s1")
    for trial_id in ("t1", "t2"):
        tracker.start_trial(trial_id, TRIALS[trial_id], seed=1)
        log_test(tracker, trial_id, frames_of(0.9), tmp_path)
    tracker.finish_study("FINISHED")
    return sqlite_uri(tmp_path)


def test_what_a_server_calls_a_run_is_no_path_here(
    tracked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_study(tracked, "knees")
    true_ids = dict(enumerate(study.trials[RUN_ID]))
    study.trials[RUN_ID] = [f"../../{run_id}" for run_id in true_ids.values()]
    download, listing, targets = MlflowClient.download_artifacts, MlflowClient.list_artifacts, []

    def honest(run_id: str) -> str:
        return run_id.removeprefix("../../")

    def recorded(self: MlflowClient, run_id: str, path: str, target: str) -> str:
        targets.append(Path(target))
        return download(self, honest(run_id), path, target)

    monkeypatch.setattr(MlflowClient, "download_artifacts", recorded)
    monkeypatch.setattr(
        MlflowClient, "list_artifacts", lambda self, run: listing(self, honest(run))
    )
    assert len(load_frames(study)) == 8
    assert all(".." not in target.parts for target in targets)
    assert len(set(targets)) == 2


def test_a_region_of_a_study_names_no_path(tracked: str) -> None:
    study = load_study(tracked, "knees")
    client = MlflowClient(tracked)
    client.set_tag(study.run_id, keys.TAG_REGIONS, "femur,../../tibia")
    with pytest.raises(
        ValueError, match=r"a region's name must be of .* got region='\.\./\.\./tibia'"
    ):
        load_study(tracked, "knees")
