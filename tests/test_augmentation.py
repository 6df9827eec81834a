import dataclasses
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tune_knee.data import opencv_changes, torch_changes
from tune_knee.data.augmentation import augment_batch
from tune_knee.data.batch import Batch, make_batch
from tune_knee.data.changes import Changes, draw_changes
from tune_knee.training_config import AugmentationConfig

NOTHING = AugmentationConfig(
    probability=1,
    flip_probability=0,
    noise_sd=0,
    blur_sigma_share=0,
    scale=(1, 1),
    crop_share=1,
    rotation_deg=0,
    gamma=(1, 1),
)
ALONE = {
    "noise": {"noise_sd": 0.1},
    "filtering": {"blur_sigma_share": 0.05},
    "scaling": {"scale": (0.8, 1.25)},
    "cropping": {"crop_share": 0.7},
    "flipping": {"flip_probability": 1},
    "rotation": {"rotation_deg": 20.0},
    "gamma": {"gamma": (0.5, 2)},
}
GEOMETRIC = ("scaling", "cropping", "flipping", "rotation")


def alone(kind: str) -> AugmentationConfig:
    return dataclasses.replace(NOTHING, **ALONE[kind])  # type: ignore[arg-type]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squares(frames: int = 4, size: int = 64) -> tuple[Tensor, Tensor]:
    """Grey frames with two overlapping squares, off centre; regions 0 and 2."""
    images = torch.full((frames, size, size), 40, dtype=torch.uint8)
    masks = torch.zeros_like(images)
    first = slice(size // 4, size // 2), slice(size // 4, size // 2)
    second = slice(3 * size // 8, 5 * size // 8), slice(3 * size // 8, 5 * size // 8)
    images[:, *first] = 200
    masks[:, *first] |= 1
    images[:, *second] += 50
    masks[:, *second] |= 4
    return images, masks


def smooth_frames(frames: int, size: int) -> Tensor:
    steps = torch.linspace(0, 9, size)
    waves = 128 + 60 * steps.sin()[:, None] + 60 * (1.3 * steps).cos()
    return waves.to(torch.uint8).expand(frames, size, size).contiguous()


def iou(a: Tensor, b: Tensor) -> float:
    return float((a & b).sum() / (a | b).sum())


def is_bright(batch: Batch) -> Tensor:
    """Pixels of region 0's square by their grey value alone."""
    low, high = batch.images.amin((1, 2, 3), True), batch.images.amax((1, 2, 3), True)
    return (batch.images > (low + high) / 2)[:, 0]


# The batch.


def test_batch_has_one_standardised_grey_channel_and_one_target_a_region() -> None:
    images, masks = squares()
    batch = make_batch(images, masks, regions=3)
    assert batch.images.shape == (4, 1, 64, 64)
    assert batch.images.dtype == torch.float32
    assert batch.images.mean((1, 2, 3)) == pytest.approx(torch.zeros(4), abs=1e-6)
    assert batch.images.std((1, 2, 3), correction=0) == pytest.approx(torch.ones(4), abs=1e-5)
    assert batch.targets.dtype == torch.bool
    assert torch.equal(batch.targets[:, 0], masks % 2 == 1)
    assert not batch.targets[:, 1].any()
    assert torch.equal(batch.targets[:, 2], masks >= 4)
    assert (batch.targets[:, 0] & batch.targets[:, 2]).any()  # the overlap


def test_eight_regions_fit() -> None:
    masks = torch.tensor([[[255, 128], [1, 0]]], dtype=torch.uint8)
    targets = make_batch(masks, masks, regions=8).targets
    assert targets[0, :, 0, 0].all()
    assert targets[0, :, 0, 1].tolist() == [False] * 7 + [True]
    assert targets[0, :, 1, 0].tolist() == [True] + [False] * 7
    assert not targets[0, :, 1, 1].any()


@pytest.mark.parametrize("level", [0, 1, 200, 255])
def test_constant_frame_becomes_zero(level: int) -> None:
    images = torch.full((1, 96, 96), level, dtype=torch.uint8)
    assert (make_batch(images, images, 1).images == 0).all()


def test_faintest_frame_is_standardised() -> None:
    images = torch.full((1, 96, 96), 200, dtype=torch.uint8)
    images[0, 3, 5] = 201
    batch = make_batch(images, images, 1)
    assert batch.images.std(correction=0).item() == pytest.approx(1, abs=0.01)


# Augmentation as a whole.


@pytest.mark.parametrize(
    "config",
    [AugmentationConfig(probability=0, flip_probability=0), NOTHING],
    ids=["probability 0", "ranges of nothing"],
)
def test_no_change_is_the_identity(config: AugmentationConfig) -> None:
    images, masks = squares()
    augmented = augment_batch(images, masks, 3, config, seeded())
    plain = make_batch(images, masks, 3)
    assert torch.allclose(augmented.images, plain.images, atol=1e-5)
    assert torch.equal(augmented.targets, plain.targets)


@pytest.mark.parametrize("kind", ALONE)
def test_every_kind_acts_alone(kind: str) -> None:
    images, masks = squares()
    augmented = augment_batch(images, masks, 3, alone(kind), seeded())
    plain = make_batch(images, masks, 3)
    changed = (augmented.images - plain.images).abs().amax((1, 2, 3)) > 0.05
    assert changed.all()
    moved = (augmented.targets != plain.targets).any()
    assert moved == (kind in GEOMETRIC)


def test_frames_change_differently() -> None:
    images, masks = squares(frames=6)
    batch = augment_batch(images, masks, 3, AugmentationConfig(), seeded())
    assert len(torch.unique(batch.images, dim=0)) == 6


def test_seed_determines_the_batch() -> None:
    images, masks = squares()
    first, again, other = (
        augment_batch(images, masks, 3, AugmentationConfig(), seeded(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.images, other.images)


def test_input_is_left_as_it_is() -> None:
    images, masks = squares()
    before = images.clone(), masks.clone()
    augment_batch(images, masks, 3, AugmentationConfig(probability=1), seeded())
    augment_batch(images, masks, 3, NOTHING, seeded())
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])


def test_frames_must_be_square() -> None:
    images = torch.zeros(1, 32, 64, dtype=torch.uint8)
    with pytest.raises(ValueError, match="frames must be square"):
        augment_batch(images, images, 1, AugmentationConfig(), seeded())


@pytest.mark.parametrize("kind", [*GEOMETRIC, "all"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_labels_move_with_the_image(kind: str, seed: int) -> None:
    images, masks = squares(size=128)
    images[masks & 1 == 0] = 0
    config = (
        dataclasses.replace(AugmentationConfig(), probability=1, noise_sd=0.01)
        if kind == "all"
        else alone(kind)
    )
    batch = augment_batch(images, masks, 3, config, seeded(seed))
    assert iou(is_bright(batch), batch.targets[:, 0]) > 0.95


def test_overlap_survives_a_rotation() -> None:
    images, masks = squares()
    targets = augment_batch(images, masks, 3, alone("rotation"), seeded()).targets
    before, after = int((masks == 5).sum()), (targets[:, 0] & targets[:, 2]).sum()
    assert int(after) == pytest.approx(before, rel=0.1)


# Single kinds, by hand.


def test_flip_mirrors_left_and_right_exactly() -> None:
    images, masks = squares()
    batch = augment_batch(images, masks, 3, alone("flipping"), seeded())
    mirrored = make_batch(images.flip(2), masks.flip(2), 3)
    assert torch.allclose(batch.images, mirrored.images, atol=1e-5)
    assert torch.equal(batch.targets, mirrored.targets)


def test_rotation_by_a_right_angle() -> None:
    images, masks = squares(frames=1)
    matrix = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    for module in (opencv_changes, torch_changes):
        _, turned = module.change_frames(images, masks, neutral(1, affine=matrix))
        assert torch.equal(turned, masks.rot90(1, (1, 2)))


@pytest.mark.parametrize("module", [opencv_changes, torch_changes])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scale_changes_areas_by_its_square_and_fills_with_nothing(
    factor: float, module: ModuleType
) -> None:
    config = dataclasses.replace(NOTHING, scale=(factor, factor))
    images = torch.full((1, 64, 64), 100, dtype=torch.uint8)
    masks = torch.full_like(images, 2)
    masks[:, 24:40, 24:40] = 1
    grey, scaled = module.change_frames(images, masks, draw_changes(1, config, seeded()))
    assert int((scaled == 1).sum()) == 256 * factor**2
    assert (float(grey[0, 0, 0]), int(scaled[0, 0, 0])) == (
        (0, 0) if factor < 1 else (pytest.approx(100 / 255), 2)
    )


def test_crop_shows_a_part_of_the_frame_only() -> None:
    config = dataclasses.replace(NOTHING, crop_share=0.7)
    changes = draw_changes(200, config, seeded())
    corners = torch.tensor([[-1.0, -1, 1], [1, 1, 1], [1, -1, 1], [-1, 1, 1]])
    assert (changes.affine @ corners.T).abs().max() <= 1 + 1e-6
    shown = changes.affine[:, 0, 0]
    assert 0.7 <= shown.min() < 0.72
    assert 0.98 < shown.max() <= 1


def test_gamma_is_a_power_of_the_grey_value() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    expected = (levels.double() / 255) ** 1.3
    for module in (opencv_changes, torch_changes):
        grey, _ = module.change_frames(levels, levels, neutral(1, gamma=torch.tensor([1.3])))
        assert torch.allclose(grey.double(), expected, atol=1e-6)


def test_noise_has_the_drawn_deviation() -> None:
    images = smooth_frames(3, 128)
    config = dataclasses.replace(NOTHING, noise_sd=0.1)
    drawn = draw_changes(3, config, seeded(5)).noise_sd
    contrast = (images[0].float() / 255).std()
    plain = make_batch(images, images, 1).images
    noisy = augment_batch(images, images, 1, config, seeded(5)).images
    for n in range(3):  # noisy = (plain · contrast + noise) / sqrt(contrast² + sd²)
        sd = drawn[n]
        noise = noisy[n] * (contrast**2 + sd**2).sqrt() - plain[n] * contrast
        assert float(noise.std()) == pytest.approx(float(sd), rel=0.05)


def test_kinds_are_drawn_with_their_probability() -> None:
    changes = draw_changes(4000, AugmentationConfig(probability=0.3), seeded())
    assert (changes.gamma != 1).float().mean() == pytest.approx(0.3, abs=0.03)
    assert (changes.noise_sd != 0).float().mean() == pytest.approx(0.3, abs=0.03)
    assert (changes.blur_sigma != 0).float().mean() == pytest.approx(0.3, abs=0.03)
    mirrored = torch.linalg.det(changes.affine[:, :, :2]) < 0
    assert mirrored.float().mean() == pytest.approx(0.5, abs=0.03)


def test_gamma_and_scale_are_as_often_up_as_down() -> None:
    config = AugmentationConfig(probability=1, scale=(0.5, 2), gamma=(0.5, 2), crop_share=1)
    changes = draw_changes(4000, config, seeded())
    zoom = torch.linalg.det(changes.affine[:, :, :2]).abs().sqrt()
    assert (changes.gamma > 1).float().mean() == pytest.approx(0.5, abs=0.03)
    assert (zoom > 1).float().mean() == pytest.approx(0.5, abs=0.03)


# The two ways agree.


def neutral(frames: int, **changed: Tensor) -> Changes:
    changes = draw_changes(frames, NOTHING, seeded())
    return dataclasses.replace(changes, **changed)  # type: ignore[arg-type]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_opencv_and_torch_make_the_same_changes(seed: int) -> None:
    images, (_, masks) = smooth_frames(4, 128), squares(size=128)
    config = AugmentationConfig(probability=0.8, blur_sigma_share=0.02)
    changes = draw_changes(4, config, seeded(seed))
    fast, fast_masks = opencv_changes.change_frames(images, masks, changes)
    batched, batched_masks = torch_changes.change_frames(images, masks, changes)
    difference = (fast - batched).abs()
    assert difference.mean() < 1 / 255
    assert difference.quantile(0.99) < 4 / 255
    assert (fast_masks == batched_masks).float().mean() > 0.995
