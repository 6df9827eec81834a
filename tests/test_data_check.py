from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tune_knee.data.check import check, summarise
from tune_knee.data.dataset import FRAME_COLUMNS, KneeDataset, write_dataset
from tune_knee.data.pictures import (
    COLOURS,
    MAX_TILES,
    TILE_PX,
    Tile,
    augmented_sheet,
    contact_sheet,
    draw_sheet,
)
from tune_knee.training_config import AugmentationConfig

REGIONS = ("femur", "tibia", "patella")
SIZE = 16


def frame_table(frames: int) -> pd.DataFrame:
    splits = ["train", "validation", "test"]
    table = pd.DataFrame({"case": [f"knee_{n % 3}" for n in range(frames)]})
    table["split"] = [splits[n % 3] for n in range(frames)]
    table["frame"] = range(frames)  # names may be numbers
    table["content_hash"] = [str(n) for n in range(frames)]
    table["spacing_mm"] = np.nan
    for column in set(FRAME_COLUMNS).difference(table.columns):
        table[column] = ""
    return table


def dataset_of(frames: int = 6) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    images = np.full((frames, SIZE, SIZE), 90, dtype=np.uint8)
    masks = np.zeros((frames, SIZE, SIZE), dtype=np.uint8)
    masks[:, 0:8, 0:8] |= 1  # 64 pixels
    masks[:, 4:12, 6:10] |= 2  # 32 pixels, 8 of them the femur's
    masks[0, 12:16, 12:16] |= 4  # 16 pixels of one training frame
    return images, masks, frame_table(frames)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def knees() -> KneeDataset:
    return KneeDataset(*dataset_of(), REGIONS, "fingerprint")


def test_areas_and_overlaps_are_counted(knees: KneeDataset) -> None:
    summary = summarise(knees)
    np.testing.assert_array_equal(summary.areas_px, [[64, 32, 16]] + [[64, 32, 0]] * 5)
    np.testing.assert_array_equal(summary.overlaps_px[1], [[64, 8, 0], [8, 32, 0], [0, 0, 0]])


def test_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    images, masks, frames = dataset_of()
    frames.loc[1, "content_hash"] = frames.loc[0, "content_hash"]
    data = tmp_path / "data"
    written = write_dataset(data, images, masks, frames, REGIONS)
    check(data, augmented=tmp_path / "augmented.png")
    lines = [
        " ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()
    ]
    assert lines[0] == f"{data}: 16 px, fingerprint {written.fingerprint}"
    for line in (
        "train 1 2 2 2 1",
        "validation 1 2 2 2 0",
        "all 3 6 6 6 1",
        # Two training frames: 128, 64 and 16 pixels; weights as 1/8 to 1/4 to 1.
        "femur 128 61.54% 0.0909",
        "tibia 64 30.77% 0.1818",
        "patella 16 7.69% 0.7273",
        "femur and tibia 48 25.00% 6",
        "femur and patella 0 0.00% 0",
        "frames without femur: 0",
        "frames without patella: 5: knee_1/1, knee_2/2, knee_0/3, knee_1/4, knee_2/5",
        "knee_1 1 (): in validation, the same image as knee_0 0 () in train; "
        "put both into one case, or remove one",
        "findings: 7: exposure 6, duplicate 1",
        f"contact sheet: {data / 'contact_sheet.png'}",
        f"augmented: {tmp_path / 'augmented.png'}",
    ):
        assert line in lines
    for path in (data / "contact_sheet.png", tmp_path / "augmented.png"):
        with Image.open(path) as picture:
            assert picture.format == "PNG"


def test_the_sheet_goes_where_it_is_sent(tmp_path: Path) -> None:
    images, masks, frames = dataset_of()
    write_dataset(tmp_path / "data", images, masks, frames, REGIONS)
    check(tmp_path / "data", sheet=tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()
    assert not (tmp_path / "data" / "contact_sheet.png").exists()


def test_outlines_lie_on_the_edges_of_their_regions(knees: KneeDataset) -> None:
    tile = Tile(knees.images[0], knees.masks[0], "knee")
    picture = np.asarray(draw_sheet([tile], REGIONS))
    frame = picture[-TILE_PX - 20 : -20]
    patella = (frame == COLOURS[2]).all(axis=2)
    rows, columns = np.nonzero(patella)
    scale = TILE_PX // SIZE
    assert (rows.min(), columns.min()) == (12 * scale, 12 * scale)
    assert not patella[13 * scale : 15 * scale, 13 * scale : 15 * scale].any()
    assert (frame[14 * scale, 14 * scale] == 90).all()
    assert (frame == COLOURS[0]).all(axis=2).any()


def test_the_legend_has_each_regions_colour(knees: KneeDataset) -> None:
    picture = np.asarray(contact_sheet(knees))
    legend = picture[:20]
    for n in range(len(REGIONS)):
        cell = legend[:, n * TILE_PX : (n + 1) * TILE_PX]
        assert (cell == COLOURS[n]).all(axis=2).any()
        assert (cell[:, 40:] == 255).any()  # its name


def test_a_sheet_shows_so_many_frames_at_most() -> None:
    few = contact_sheet(KneeDataset(*dataset_of(6), REGIONS, ""))
    assert few.size == (6 * TILE_PX, 20 + TILE_PX + 20)
    many = contact_sheet(KneeDataset(*dataset_of(3 * MAX_TILES), REGIONS, ""))
    assert many.size == (8 * TILE_PX, 20 + MAX_TILES // 8 * (TILE_PX + 20))


def test_long_names_stay_in_their_tile(knees: KneeDataset) -> None:
    long = Tile(knees.images[0], knees.masks[0], "a case of a very long name " * 10)
    blank = Tile(knees.images[0], knees.masks[0], "")
    picture = np.asarray(draw_sheet([long, blank], REGIONS))
    caption = picture[-20:]
    assert caption[:, :TILE_PX].any()
    assert not caption[:, TILE_PX:].any()


def test_labels_move_with_augmented_frames() -> None:
    images, masks, frames = dataset_of()
    images[masks == 0] = 0
    images[masks > 0] = 200
    dataset = KneeDataset(images, masks, frames, REGIONS, "")
    mirror = AugmentationConfig(probability=0.0, flip_probability=1.0)
    picture = np.asarray(augmented_sheet(dataset, mirror))
    original, augmented = picture[20 : 20 + TILE_PX, :TILE_PX], picture[20 : 20 + TILE_PX, TILE_PX:]
    for colour in COLOURS[:3]:
        before = (original == colour).all(axis=2)
        after = (augmented[:, :TILE_PX] == colour).all(axis=2)
        assert before.any()
        assert np.mean(before[:, ::-1] == after) > 0.99


def test_the_seed_of_augmented_frames_is_honoured(knees: KneeDataset) -> None:
    sheets = [np.asarray(augmented_sheet(knees, AugmentationConfig(), seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any()
