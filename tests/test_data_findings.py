from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tune_knee.data.check import check, find
from tune_knee.data.dataset import FRAME_COLUMNS, KneeDataset, write_dataset
from tune_knee.data.image_findings import perceptual_hashes
from tune_knee.data.measures import measure, pieces_of
from tune_knee.data.outline_checks import crosses_itself

SIZE = 64
REGIONS = ("femur", "patella")
SPLITS = ("train", "train", "train", "train", "validation", "test")


def scene(seed: int, shift: float = 0.0) -> NDArray[np.float64]:
    """A smooth picture of its own, moved to the right by `shift` pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    x = x - shift / SIZE
    waves = rng.uniform(-70, 70, (60, 2))
    phases = rng.uniform(0, 2 * np.pi, 60)
    total = sum(np.sin(x * a + y * b + phase) for (a, b), phase in zip(waves, phases, strict=True))
    return np.asarray(128 + 5 * total)


def knees(frames: int = 8, **columns: Any) -> KneeDataset:
    """Six cases whose pictures move slowly; the patella is on the left in left knees."""
    images, masks, rows = [], [], []
    for case, split in enumerate(SPLITS):
        side = "left" if case % 2 else "right"
        for n in range(frames):
            images.append(scene(case, shift=0.05 * n))
            mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
            mask[20:50, 24:44] |= 1
            mask[24:34, 6:14] |= 2
            masks.append(mask if side == "left" else mask[:, ::-1])
            rows.append({"case": f"k{case}", "frame": f"{n}", "split": split, "side": side})
    table = pd.DataFrame(rows)
    table["content_hash"] = [str(n) for n in range(len(table))]
    table["source"] = "file " + table["content_hash"]
    table["spacing_mm"] = np.nan
    for name in set(FRAME_COLUMNS).difference(table.columns):
        table[name] = ""
    stored = np.clip(np.stack(images), 0, 255).astype(np.uint8)
    return KneeDataset(stored, np.stack(masks), table.assign(**columns), REGIONS, "")


def found(dataset: KneeDataset) -> list[str]:
    return [f"{finding.kind}: {finding}" for finding in find(dataset, measure(dataset))]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert found(knees()) == []


def test_a_white_frame_and_a_grey_one() -> None:
    dataset = knees()
    dataset.images[3, :, :40] = 255
    dataset.images[9] = 77
    lines = [line for line in found(dataset) if line.startswith("exposure")]
    assert lines == [
        "exposure: k0 3 (file 3): 62% of the pixels are pure white; "
        "check its exposure, and the window that it was exported with",
        "exposure: k1 1 (file 9): 98 % of the pixels lie within 0 grey values; "
        "check that it is a picture, and its window",
    ]


def test_a_jump_within_a_sequence() -> None:
    dataset = knees()
    for n in range(4, 8):
        dataset.images[n] = np.clip(scene(77, shift=0.05 * n), 0, 255)
    (line,) = found(dataset)
    assert line.startswith("jump: k0 4 (file 4): it differs from frame 3 by ")
    assert line.endswith("; check the order of the frames, and whether some are missing")


def test_two_sequences_of_a_case_do_not_jump() -> None:
    dataset = knees()
    for n in range(4, 8):
        dataset.images[n] = np.clip(scene(77, shift=0.05 * n), 0, 255)
    names = ["a"] * 4 + ["b"] * 4 + [""] * (len(dataset) - 8)
    assert (
        found(KneeDataset(**vars(dataset) | {"frames": dataset.frames.assign(sequence=names)}))
        == []
    )


def test_frames_in_two_splits() -> None:
    dataset = knees()
    dataset.frames.loc[45, "content_hash"] = dataset.frames.loc[2, "content_hash"]
    noise = np.random.default_rng(0).normal(0, 2, (SIZE, SIZE))
    dataset.images[33] = np.clip(dataset.images[9] * 0.8 + 20 + noise, 0, 255)
    lines = [line for line in found(dataset) if line.startswith("duplicate")]
    assert len(lines) == 2
    assert lines[0].startswith("duplicate: k4 1 (file 33): in validation, nearly (0.9")
    assert "the image of k1 1 (file 9) in train" in lines[0]
    assert lines[1] == (
        "duplicate: k5 5 (file 45): in test, the same image as k0 2 (file 2) in train; "
        "put both into one case, or remove one"
    )


def test_frames_of_one_split_may_be_alike() -> None:
    dataset = knees()
    dataset.images[9] = dataset.images[1]
    assert not [line for line in found(dataset) if line.startswith("duplicate")]


def test_the_perceptual_hash_sees_content_and_not_exposure() -> None:
    seen = np.stack([scene(0), scene(0) * 0.5 + 40, scene(0, shift=0.1), scene(1)])
    codes = perceptual_hashes(seen.astype(np.float32))
    differing = [int(np.bitwise_count(codes[0] ^ code).sum()) for code in codes]
    assert differing[0] == differing[1] == 0
    assert differing[2] <= 16
    assert differing[3] > 60


def test_islands_and_holes() -> None:
    dataset = knees()
    dataset.masks[5, 2:4, 2:5] |= 1
    dataset.masks[5, 60, 60] |= 1
    dataset.masks[6, 26:29, 30:32] &= 0xFE
    assert found(dataset) == [
        "island: k0 5 (file 5): femur has 2 islands, 6 px the largest; "
        "delete it, or join it to its region",
        "hole: k0 6 (file 6): femur has a hole, 6 px; fill it, if the region has none",
    ]


@pytest.mark.parametrize(
    ("rows", "islands", "holes"),
    [
        (["###"], (), ()),
        (["#.#"], (1,), ()),
        (["#..", ".#."], (), ()),  # over a corner it holds together
        (["###", "#.#", "###"], (), (1,)),
        (["####", "#.##", "##.#", "####"], (), (1, 1)),  # holes do not
        (["###", "#.#", "#.#"], (), ()),  # open at the edge of its box
    ],
)
def test_pieces(rows: list[str], islands: tuple[int, ...], holes: tuple[int, ...]) -> None:
    mask = np.array([[pixel == "#" for pixel in row] for row in rows]).astype(np.uint8)
    assert pieces_of(mask) == (islands, holes)


@pytest.mark.parametrize(
    ("points", "crossing"),
    [
        ([(0, 0), (9, 0), (9, 9), (0, 9)], False),
        ([(0, 0), (9, 9), (9, 0), (0, 9)], True),  # a bow tie
        ([(0, 0), (9, 0), (9, 9), (9, 0), (0, 0), (0, 9)], False),  # back along an edge
        ([(0, 0), (5, 5), (9, 0), (9, 9), (5, 5), (0, 9)], False),  # touches at a corner
        (  # a slit to a hole
            [(0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (3, 6), (6, 6), (6, 3), (3, 3)],
            False,
        ),
        ([(0, 0), (0.4, 0.4), (0.4, 0), (0, 0.4)], False),  # too small to be seen
        ([(10, 0), (16, 19), (0, 7), (20, 7), (4, 19)], True),  # a pentagram
    ],
)
def test_outlines_that_cross_themselves(points: Any, crossing: bool) -> None:
    assert crosses_itself(np.array(points, dtype=float)) is crossing


def test_a_thousand_crossings_are_told_soon() -> None:
    """Faces between them are not measured: their number grows as its square."""
    rng = np.random.default_rng(0)
    assert crosses_itself(rng.uniform(0, 64, (1500, 2)))


def test_a_long_outline_that_crosses_nothing() -> None:
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    radius = 30 + 2 * np.cos(400 * angles)
    assert not crosses_itself(radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def test_a_crossing_told_when_it_was_prepared() -> None:
    marks = [""] * 48
    marks[7] = "femur,patella"
    (line,) = found(knees(self_crossing=marks))
    assert line == (
        "crossing: k0 7 (file 7): the outline of femur, patella crosses itself; "
        "draw it again: part of its inside counts as outside"
    )


def test_a_flipped_knee() -> None:
    dataset = knees()
    dataset.masks[8:16] = dataset.masks[8:16, :, ::-1]
    assert found(dataset) == [
        "flip: k1: recorded as left, but its regions lie as in a knee of the other side; "
        "check its side, and whether its frames were mirrored"
    ]


def test_knees_that_look_no_way_are_not_called_flipped() -> None:
    dataset = knees()
    for case in (0, 1, 2):
        mine = slice(8 * case, 8 * case + 8)
        dataset.masks[mine] = dataset.masks[mine, :, ::-1]
    assert found(dataset) == []
    assert found(knees(side="")) == []


def test_the_exit_code_and_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = knees(frames=2, bits_stored=12)
    write_dataset(tmp_path / "good", dataset.images, dataset.masks, dataset.frames, REGIONS)
    assert check(tmp_path / "good") == 0
    said = capsys.readouterr().out
    assert "bits of a source pixel: 12: 12 frames" in said
    assert "no millimetres, as pixel spacing is not one for all: unknown: 12 frames" in said
    assert said.endswith("findings: 0\n")
    dataset.masks[0, 26:29, 30:32] &= 0xFE
    write_dataset(tmp_path / "bad", dataset.images, dataset.masks, dataset.frames, REGIONS)
    assert check(tmp_path / "bad") == 1
    assert capsys.readouterr().out.endswith("findings: 1: hole 1\n")
