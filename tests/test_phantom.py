import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tune_knee.data.dataset import KneeDataset, open_dataset, write_dataset
from tune_knee.data.phantom import CasePlan, draw_case, make_phantom, plan_cases
from tune_knee.data.phantom_anatomy import bend, draw_knee, moved
from tune_knee.data.phantom_bodies import patella_body, tendon_body
from tune_knee.data.phantom_xray import REGIONS, draw_exposure, expose, set_scene

PUBLISHED_WEIGHTS = {
    "patella": 0.2704,
    "femur": 0.0324,
    "tibia": 0.0360,
    "patellar_tendon": 0.6612,
}
FLEXIONS_DEG = (0.0, 20.0, 45.0, 70.0, 90.0, 102.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, KneeDataset]:
    """All 64 cases with two frames each, small."""
    out = tmp_path_factory.mktemp("phantom") / "data"
    return out, make_phantom(out, size_px=64, frames=128)


@pytest.fixture(scope="module")
def case() -> tuple[np.ndarray, np.ndarray]:
    drawn = draw_case(CasePlan(3, "train", "right", 6), seed=0, size_px=256)
    return drawn.images, drawn.masks


def of_region(masks: np.ndarray, region: str) -> np.ndarray:
    return (masks >> REGIONS.index(region) & 1).astype(bool)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_paper_split_of_cases_and_frames() -> None:
    plans = plan_cases(0, 64, None)
    assert Counter(plan.split for plan in plans) == {"train": 42, "validation": 8, "test": 14}
    frames = Counter[str]()
    for plan in plans:
        frames[plan.split] += plan.frames
    assert frames == {"train": 862, "validation": 152, "test": 283}
    assert Counter(plan.side for plan in plans) == {"right": 29, "left": 35}
    assert len({plan.name for plan in plans}) == 64
    assert {plan.frames for plan in plans} <= {19, 20, 21}


@pytest.mark.parametrize(("cases", "frames"), [(3, None), (3, 3), (4, 9), (10, 100), (130, None)])
def test_other_sizes_split_by_case(cases: int, frames: int | None) -> None:
    plans = plan_cases(0, cases, frames)
    assert len(plans) == cases
    assert {plan.split for plan in plans} == {"train", "validation", "test"}
    assert min(plan.frames for plan in plans) >= 1
    total = sum(plan.frames for plan in plans)
    assert total == (frames or round(cases * 1297 / 64))


def test_split_and_sides_depend_on_the_seed() -> None:
    assert plan_cases(0, 64, None) == plan_cases(0, 64, None)
    assert [p.split for p in plan_cases(0, 64, None)] != [p.split for p in plan_cases(1, 64, None)]
    assert [p.side for p in plan_cases(0, 64, None)] != [p.side for p in plan_cases(1, 64, None)]


def test_what_is_written_opens(whole: tuple[Path, KneeDataset]) -> None:
    out, made = whole
    opened = open_dataset(out)
    assert opened.regions == REGIONS == ("patella", "femur", "tibia", "patellar_tendon")
    assert opened.fingerprint == made.fingerprint
    assert np.array_equal(opened.images, made.images)
    frames = opened.frames
    assert frames.groupby("case")["split"].nunique().eq(1).all()
    assert frames.groupby("case")["side"].nunique().eq(1).all()
    assert frames["content_hash"].is_unique
    assert set(frames["spacing_source"]) == {"phantom"}
    assert frames["spacing_mm"].between(245 / 64, 285 / 64).all()


def test_every_region_is_in_every_frame(whole: tuple[Path, KneeDataset]) -> None:
    masks = np.asarray(whole[1].masks)
    for region in REGIONS:
        assert of_region(masks, region).any(axis=(1, 2)).all(), region


def test_training_areas_give_the_published_external_weights(
    whole: tuple[Path, KneeDataset],
) -> None:
    areas = whole[1].areas_px("train")
    inverse = areas.sum() / areas
    weights = dict(zip(REGIONS, inverse / inverse.sum(), strict=True))
    assert weights == pytest.approx(PUBLISHED_WEIGHTS, rel=0.15)


def test_regions_overlap(case: tuple[np.ndarray, np.ndarray]) -> None:
    _, masks = case
    for one, other in (
        ("patella", "femur"),
        ("femur", "tibia"),
        ("tibia", "patellar_tendon"),
        ("patella", "patellar_tendon"),
    ):
        both = of_region(masks, one) & of_region(masks, other)
        assert both.any(axis=(1, 2)).all(), (one, other)


def test_same_seed_same_phantom_other_seed_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_phantom(tmp_path / "a", size_px=32, cases=3, frames=4)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    again = make_phantom(tmp_path / "b", size_px=32, cases=3, frames=4)
    other = make_phantom(tmp_path / "c", size_px=32, cases=3, frames=4, seed=1)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    truth = pd.read_parquet(tmp_path / "a" / "phantom_truth.parquet")
    assert truth.equals(pd.read_parquet(tmp_path / "b" / "phantom_truth.parquet"))
    assert not np.array_equal(first.masks, other.masks)


def test_noise_differs_between_frames_of_one_pose() -> None:
    rng = np.random.default_rng(0)
    knee, exposure = draw_knee(rng), draw_exposure(rng, mirrored=False)
    scene = set_scene(knee, exposure, rng, 96)
    pose = bend(knee, 30.0)
    image, mask = expose(scene, pose, np.random.default_rng(1))
    repeated, _ = expose(scene, pose, np.random.default_rng(1))
    noisy, unchanged = expose(scene, pose, np.random.default_rng(2))
    assert np.array_equal(image, repeated)
    assert not np.array_equal(image, noisy)
    assert np.array_equal(mask, unchanged)


def test_same_anatomy_at_two_sizes(case: tuple[np.ndarray, np.ndarray]) -> None:
    images, masks = case
    small = draw_case(CasePlan(3, "train", "right", 6), seed=0, size_px=64)
    for region in REGIONS:
        shares = [
            cv2.resize(mask.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
            for mask in of_region(masks, region)
        ]
        least = 0.85 if region == "patellar_tendon" else 0.95  # it is 1.2 px thin
        assert iou(np.array(shares) >= 0.5, of_region(small.masks, region)) > least, region
    shrunk = [cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) for image in images]
    assert np.abs(np.array(shrunk, float) - small.images).mean() < 4


def test_a_left_knee_is_a_right_one_mirrored(case: tuple[np.ndarray, np.ndarray]) -> None:
    images, masks = case
    left = draw_case(CasePlan(3, "train", "left", 6), seed=0, size_px=256)
    for region in REGIONS:
        assert iou(of_region(masks, region), of_region(left.masks, region)[..., ::-1]) > 0.98
    assert np.abs(images.astype(float) - left.images[..., ::-1]).mean() < 4
    thigh_x = [np.nonzero(of_region(m, "femur"))[2].mean() for m in (masks, left.masks)]
    assert thigh_x[0] < 128 < thigh_x[1]


def test_shafts_run_to_the_end_of_what_is_exposed(whole: tuple[Path, KneeDataset]) -> None:
    """Nothing bright goes on beyond a shaft: it ends at the border or at a blade."""
    masks = np.asarray(whole[1].masks)
    at_border = np.zeros(masks.shape[1:], bool)
    at_border[[0, -1]] = at_border[:, [0, -1]] = True
    # blades stand at least 0.38 of the side from the middle, knees shift and tilt with them
    outside = np.hypot(*(np.indices((64, 64)) - 31.5)) > 0.32 * 64
    for region in ("femur", "tibia"):
        assert (of_region(masks, region) & (at_border | outside)).any(axis=(1, 2)).all()


def test_tendon_is_lower_in_contrast_than_bone(case: tuple[np.ndarray, np.ndarray]) -> None:
    """Grey steps across the outline, from 2 px outside to 2 px inside, where nothing overlaps."""
    images, masks = case
    disc = np.ones((5, 5), np.uint8)
    steps = {}
    for region in REGIONS:
        alone = [masks == 1 << REGIONS.index(region), masks == 0]
        inner, outer = [], []
        for image, mask, only, free in zip(images, of_region(masks, region), *alone, strict=True):
            grown = cv2.dilate(mask.astype(np.uint8), disc).astype(bool)
            tissue = free & grown & (image > 20)
            inner.append(image[only & ~cv2.erode(mask.astype(np.uint8), disc).astype(bool)].mean())
            outer.append(image[tissue].mean())
        steps[region] = np.mean(np.array(inner) - outer)
    assert 0 < steps["patellar_tendon"] < 0.5 * min(steps["femur"], steps["tibia"])
    assert steps["patellar_tendon"] < steps["patella"]


def test_tendon_adds_less_attenuation_than_bone() -> None:
    rng = np.random.default_rng(0)
    knee = draw_knee(rng)
    tendon, patella = tendon_body(knee, rng), patella_body(knee, 1.0, rng)
    assert 0 < tendon.layers[..., 0].max() < 0.5 * patella.layers[..., 0].max()


def test_truth_keeps_the_tendon_and_covers_flexion(whole: tuple[Path, KneeDataset]) -> None:
    out, made = whole
    truth = pd.read_parquet(out / "phantom_truth.parquet")
    assert truth[["case", "frame"]].equals(made.frames[["case", "frame"]])
    by_case = truth.groupby("case")["tendon_length_px"]
    assert (by_case.max() - by_case.min()).max() < 1e-9
    length_mm = truth["tendon_length_px"] * made.frames["spacing_mm"]
    assert length_mm.between(35, 65).all()
    apart = [truth[f"patella_apex_{x}_px"] - truth[f"tuberosity_{x}_px"] for x in "xy"]
    assert np.hypot(*apart).to_numpy() == pytest.approx(truth["tendon_length_px"].to_numpy())
    assert truth["flexion_deg"].between(0, 102).all()


def test_landmarks_lie_in_their_regions() -> None:
    drawn = draw_case(CasePlan(3, "train", "left", 8), seed=0, size_px=256)
    margin = np.ones((5, 5), np.uint8)  # some lie on their outline
    for place, region in (
        ("patella_apex", "patella"),
        ("patella_apex", "patellar_tendon"),
        ("tuberosity", "patellar_tendon"),
        ("tuberosity", "tibia"),
        ("condyle_centre", "femur"),
        ("plateau_centre", "tibia"),
    ):
        for row, mask in zip(drawn.truth.itertuples(), of_region(drawn.masks, region), strict=True):
            x, y = getattr(row, f"{place}_x_px"), getattr(row, f"{place}_y_px")
            assert cv2.dilate(mask.astype(np.uint8), margin)[int(y), int(x)], (
                place,
                region,
                row.frame,
            )


def test_flexion_is_smooth_over_a_case() -> None:
    truth = draw_case(CasePlan(5, "train", "left", 20), seed=0, size_px=32).truth
    flexion = truth["flexion_deg"].to_numpy()
    assert flexion.min() < 10
    assert flexion.max() > 80
    assert np.abs(np.diff(flexion)).max() < 20
    assert np.abs(np.diff(flexion, n=2)).max() < 6


@pytest.mark.parametrize("number", range(8))
def test_patella_glides_and_tendon_turns_with_flexion(number: int) -> None:
    knee = draw_knee(np.random.default_rng(number))
    poses = [bend(knee, flexion) for flexion in FLEXIONS_DEG]
    # along the condyles the patella goes from the front to below, and never jumps
    around = [np.arctan2(*(pose.patella[:2, 2] - [10.0, 0.0])) for pose in poses]
    steps_deg = np.diff(np.rad2deg(np.unwrap(around)))
    assert ((steps_deg > 0) & (steps_deg < 45)).all()
    # seen from the tibia, the tendon leans forwards, and less so as the knee bends
    leans = []
    for pose in poses:
        in_tibia = np.linalg.inv(pose.tibia) @ pose.tendon
        leans.append(np.rad2deg(np.arctan2(in_tibia[0, 1], in_tibia[1, 1])))
        assert moved(in_tibia, np.zeros(2)) == pytest.approx(knee.tuberosity)
    assert (np.diff(leans) < 0).all()
    assert 10 < leans[0] < 45


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cases": 2}, "cases must be at least 3, one a split, got cases=2"),
        ({"cases": 5, "frames": 4}, r"at least as many as cases \(5\), got frames=4"),
        ({"size_px": 31}, "size_px must be at least 32, got size_px=31"),
        ({"seed": -1}, "seed must not be negative, got seed=-1"),
    ],
)
def test_wrong_wishes_write_nothing(tmp_path: Path, wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_phantom(tmp_path / "data", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out must not exist"):
        make_phantom(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_takes_tables_beside_it(tmp_path: Path, whole: tuple[Path, KneeDataset]) -> None:
    made = whole[1]
    table = pd.DataFrame({"case": ["case_001"], "flexion_deg": [12.5]})
    written = write_dataset(
        tmp_path / "data", made.images, made.masks, made.frames, REGIONS, extra={"notes": table}
    )
    assert pd.read_parquet(tmp_path / "data" / "notes.parquet").equals(table)
    assert written.fingerprint == made.fingerprint
