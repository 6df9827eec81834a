import numpy as np
import pandas as pd
import pytest
from drawn_knee import PATELLA_MM, REGIONS, TENDON_MM, View, drawn_knee
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tune_knee.motion import columns
from tune_knee.motion.anatomy import Anatomy
from tune_knee.motion.insertion import CREST, PIVOT
from tune_knee.motion.joint import not_measured
from tune_knee.motion.sequence import measure_sequence

FLEXIONS_DEG = (0.0, 15.0, 40.0, 65.0, 85.0, 95.0, 80.0, 50.0)


USUAL = View()


def drawn(view: View = USUAL, flexions: tuple[float, ...] = FLEXIONS_DEG) -> np.ndarray:
    return np.stack([drawn_knee(flexion, view) for flexion in flexions])


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    return drawn()


@pytest.fixture(scope="module")
def table(masks: np.ndarray) -> pd.DataFrame:
    return measure_sequence(masks, REGIONS, spacing_mm=1 / USUAL.scale, frame_time_ms=100)


def test_flexion_tendon_and_patella(table: pd.DataFrame) -> None:
    assert table[columns.FLEXION_DEG].to_numpy() == pytest.approx(FLEXIONS_DEG, abs=0.7)
    assert table[columns.TENDON_MM].to_numpy() == pytest.approx(TENDON_MM, rel=0.04)
    assert table[columns.PATELLA_MM].to_numpy() == pytest.approx(PATELLA_MM, rel=0.04)
    ratio = table[columns.TENDON_PX] / table[columns.PATELLA_PX]
    assert table[columns.INSALL_SALVATI].to_numpy() == pytest.approx(ratio)
    assert set(table[columns.INSERTION_BY]) == {PIVOT}
    assert not table[columns.DOUBTFUL].any()
    assert (table[columns.REASONS] == "").all()
    assert table[columns.TIME_MS].tolist() == [100.0 * n for n in range(len(FLEXIONS_DEG))]


def test_areas_in_both_units(table: pd.DataFrame, masks: np.ndarray) -> None:
    areas = (masks >> REGIONS.index("tibia") & 1).sum(axis=(1, 2))
    assert table[columns.area_px("tibia")].tolist() == areas.tolist()
    mm2 = table[columns.area_mm2("tibia")].to_numpy()
    assert mm2 == pytest.approx(areas / USUAL.scale**2)


def test_unknown_spacing_and_time_are_nan(masks: np.ndarray) -> None:
    table = measure_sequence(masks[:2], REGIONS)
    unknown = [columns.TIME_MS, columns.TENDON_MM, columns.PATELLA_MM, columns.area_mm2("femur")]
    assert table[unknown].isna().all(axis=None)
    assert table[columns.TENDON_PX].notna().all()


def test_hyperextension_is_negative() -> None:
    table = measure_sequence(drawn(flexions=(-10.0, 0.0, 10.0)), REGIONS)
    assert table[columns.FLEXION_DEG].to_numpy() == pytest.approx([-10, 0, 10], abs=0.7)


@settings(max_examples=8)
@given(
    turn_deg=st.floats(-180, 180),
    shift_px=st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
    mirrored=st.booleans(),
)
@example(turn_deg=10.375, shift_px=(0.0, 0.0), mirrored=True)  # the bent knee's tendon seen askew
@example(turn_deg=79.5, shift_px=(3.158, -3.614), mirrored=False)
def test_how_the_knee_is_seen_changes_nothing(
    turn_deg: float, shift_px: tuple[float, float], mirrored: bool
) -> None:
    flexions = (5.0, 40.0, 90.0)
    view = View(turn_deg=turn_deg, shift_px=shift_px, mirrored=mirrored)
    table = measure_sequence(drawn(view, flexions), REGIONS, spacing_mm=1 / view.scale)
    assert table[columns.FLEXION_DEG].to_numpy() == pytest.approx(flexions, abs=1.2)
    assert table[columns.TENDON_MM].to_numpy() == pytest.approx(TENDON_MM, rel=0.1)
    assert table[columns.PATELLA_MM].to_numpy() == pytest.approx(PATELLA_MM, rel=0.05)


@pytest.mark.parametrize("scale", [0.6, 1.7])
def test_scale_changes_pixels_not_angles_and_ratios(scale: float, table: pd.DataFrame) -> None:
    view = View(scale=scale, size_px=round(256 * scale / 0.85))
    scaled = measure_sequence(drawn(view), REGIONS)
    for column, tolerance in ((columns.FLEXION_DEG, 1.0), (columns.INSALL_SALVATI, 0.1)):
        assert scaled[column].to_numpy() == pytest.approx(table[column].to_numpy(), abs=tolerance)
    factor = scaled[columns.TENDON_PX].mean() / table[columns.TENDON_PX].mean()
    assert factor == pytest.approx(scale / 0.85, rel=0.05)


def test_how_the_frame_cuts_the_bones_hardly_matters(masks: np.ndarray) -> None:
    """The principal axis turns by several degrees; the shaft's does not."""
    cut = masks.copy()
    rows, columns_px = np.mgrid[:256, :256]
    beyond = rows + columns_px / 2 > 270  # through the tibia, obliquely, and through no femur
    cut[:, beyond] = 0
    table = measure_sequence(cut, REGIONS)
    assert table[columns.FLEXION_DEG].to_numpy() == pytest.approx(FLEXIONS_DEG, abs=1.5)


def test_one_frame_alone(masks: np.ndarray) -> None:
    table = measure_sequence(masks[2:3], REGIONS, spacing_mm=1 / USUAL.scale)
    assert table[columns.FLEXION_DEG][0] == pytest.approx(FLEXIONS_DEG[2], abs=1)
    assert table[columns.TENDON_MM][0] == pytest.approx(TENDON_MM, rel=0.06)
    assert table[columns.INSERTION_BY][0] == CREST
    assert not table[columns.DOUBTFUL][0]


def bit(region: str) -> np.uint8:
    return np.uint8(1 << REGIONS.index(region))


@pytest.mark.parametrize("region", REGIONS)
def test_a_missing_region_is_named(masks: np.ndarray, region: str) -> None:
    damaged = masks.copy()
    damaged[3] &= ~bit(region)
    table = measure_sequence(damaged, REGIONS)
    assert np.flatnonzero(table[columns.DOUBTFUL]).tolist() == [3]
    assert f"{region}: missing" in table[columns.REASONS][3].split("; ")
    assert np.isnan(table[columns.TENDON_PX][3])
    told = region in ("patella", "patellar_tendon")  # bones alone give the angle
    assert np.isfinite(table[columns.FLEXION_DEG][3]) == told
    assert table[columns.FLEXION_DEG].drop(3).notna().all()


def test_parts_border_and_size_are_named(masks: np.ndarray) -> None:
    damaged = masks.copy()
    damaged[1, 5:25, 5:25] |= bit("tibia")
    damaged[2, 0, 100:110] |= bit("patella")
    damaged[4, 200:203, :] |= bit("femur")
    found = measure_sequence(damaged, REGIONS)[columns.REASONS]
    assert "tibia: in several parts" in found[1]
    assert "patella: cut by the border" in found[2]
    assert "femur: in several parts" in found[4]
    assert (found[[0, 3, 5, 6, 7]] == "").all()


def test_a_bone_at_the_border_is_no_doubt(masks: np.ndarray) -> None:
    low = np.roll(masks, 60, axis=1)
    low[:, :60] = 0
    table = measure_sequence(low, REGIONS)
    assert table[columns.touches_border("tibia")].any()
    assert not table[columns.REASONS].str.contains("border").any()


def test_a_leak_is_named_and_leaves_the_other_frames_alone(masks: np.ndarray) -> None:
    damaged = masks.copy()
    damaged[5] |= np.where(damaged[5] & bit("tibia"), bit("femur"), np.uint8(0))
    table = measure_sequence(damaged, REGIONS)
    assert np.flatnonzero(table[columns.DOUBTFUL]).tolist() == [5]
    others = np.delete(np.arange(8), 5)
    angles = table[columns.FLEXION_DEG].to_numpy()[others]
    assert angles == pytest.approx(np.array(FLEXIONS_DEG)[others], abs=1.5)


def test_names_of_regions() -> None:
    assert Anatomy.among(REGIONS) == Anatomy(
        patella="patella", femur="femur", tibia="tibia", patellar_tendon="patellar_tendon"
    )
    assert Anatomy.among(("Patellar tendon", "FEMUR")) == Anatomy(
        femur="FEMUR", patellar_tendon="Patellar tendon"
    )
    assert not_measured(Anatomy.among(REGIONS)) == {}
    assert not_measured(Anatomy(femur="f", tibia="t", patella="p")) == {
        "tendon length": ("patellar_tendon",),
        "Insall-Salvati ratio": ("patellar_tendon",),
    }


def test_other_regions_are_measured_by_themselves(masks: np.ndarray) -> None:
    table = measure_sequence(masks, ("a", "b", "c", "d"))
    assert table[columns.area_px("b")].gt(0).all()
    joint = [columns.FLEXION_DEG, columns.TENDON_PX, columns.PATELLA_PX, columns.INSALL_SALVATI]
    assert table[joint].isna().all(axis=None)
    named = Anatomy(patella="a", femur="b", tibia="c", patellar_tendon="d")
    named_table = measure_sequence(masks, ("a", "b", "c", "d"), anatomy=named)
    assert named_table[joint].notna().all(axis=None)


def test_nothing_anywhere_is_doubtful_everywhere() -> None:
    table = measure_sequence(np.zeros((7, 32, 40), np.uint8), REGIONS)
    assert table[columns.DOUBTFUL].all()
    assert table[columns.FLEXION_DEG].isna().all()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (np.zeros((2, 8, 8), np.int64), "uint8"),
        (np.zeros((8, 8), np.uint8), r"\(N, H, W\)"),
        (np.zeros((0, 8, 8), np.uint8), "none of them 0"),
        (np.full((1, 8, 8), 16, np.uint8), "no bit beyond the 4 regions, got one or more of 16"),
    ],
)
def test_what_is_no_sequence_of_masks(broken: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_sequence(broken, REGIONS)


def test_wrong_options_are_named(masks: np.ndarray) -> None:
    with pytest.raises(ValueError, match="spacing_mm"):
        measure_sequence(masks, REGIONS, spacing_mm=0)
    with pytest.raises(ValueError, match="frame_time_ms"):
        measure_sequence(masks, REGIONS, frame_time_ms=-1)
    with pytest.raises(ValueError, match="femur must be one of the regions"):
        measure_sequence(masks, REGIONS, anatomy=Anatomy(femur="thigh"))


def test_any_masks_give_a_table() -> None:
    rng = np.random.default_rng(0)
    for _ in range(15):
        frames, height, width = rng.integers(1, [11, 50, 50], dtype=int)
        noise = rng.random((frames, height, width)) < rng.choice([0.01, 0.5, 1.0])
        boxes = np.zeros_like(noise, dtype=np.uint8)
        for frame in boxes:
            for region in range(4):
                top, left = rng.integers(0, [height, width])
                down, right = rng.integers(1, 30, 2)
                frame[top : top + down, left : left + right] |= np.uint8(1 << region)
        scattered = np.where(noise, rng.integers(0, 16, noise.shape), 0).astype(np.uint8)
        for masks in (boxes, scattered, boxes ^ scattered):
            assert len(measure_sequence(masks, REGIONS)) == frames
