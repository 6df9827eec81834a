import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from segmentation_models_pytorch.losses import DiceLoss
from torch import Tensor

from tune_knee.boundary import signed_distance_maps
from tune_knee.config import BOUNDARY_KINDS, LossWeights, TrialConfig
from tune_knee.losses import LossTerms, MixedLoss, external_weights, internal_weights

AREAS = np.array([58, 483, 435, 24])
TOTAL_PX = 10_000
areas_of_regions = hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(1, 1e9))


CE, DICE, BOUNDARY = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def mixed(
    tau: tuple[float, float, float] = CE, areas: NDArray[np.int64] = AREAS, **fields: Any
) -> MixedLoss:
    weights = LossWeights(ce=tau[0], dice=tau[1], boundary=tau[2])
    fields = {"loss": "ce2+dice+boundary", "tau": weights, **fields}
    return MixedLoss(TrialConfig(network="fcn_unet", **fields), areas, TOTAL_PX)


def example(seed: int = 0, regions: int = 4, size: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, regions, size, size, generator=generator)
    return logits, torch.rand(logits.shape, generator=generator) < 0.3


# Weights of regions and classes.


def test_external_weights_are_the_published_ones() -> None:
    shares = np.array([5.8, 48.3, 43.5, 2.4])
    published = [0.2704, 0.0324, 0.0360, 0.6612]
    rounding = itertools.product([-0.05, 0.05], repeat=4)  # the shares' last printed digit
    corners = np.array([external_weights(shares + error) for error in rounding])
    assert (corners.min(axis=0) <= published).all()
    assert (published <= corners.max(axis=0)).all()
    assert external_weights(shares) == pytest.approx(published, abs=0.003)


@given(areas_of_regions, st.randoms(use_true_random=False))
def test_external_weights_follow_their_regions(areas: NDArray[np.float64], random: Any) -> None:
    order = np.array(random.sample(range(len(areas)), len(areas)))
    assert external_weights(areas[order]) == pytest.approx(external_weights(areas)[order])


@given(areas_of_regions, st.floats(1e-3, 1e3))
def test_external_weights_sum_to_one_in_any_unit(areas: NDArray[np.float64], unit: float) -> None:
    weights = external_weights(areas)
    assert weights.sum() == pytest.approx(1)
    assert external_weights(areas * unit) == pytest.approx(weights)
    assert np.argmax(weights) == np.argmin(areas) or np.isclose(
        areas[np.argmax(weights)], areas.min()
    )


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_external_weights_name_the_bad_area(bad: float) -> None:
    with pytest.raises(ValueError, match=r"areas must be positive, got areas\[1\]"):
        external_weights([3.0, bad])


@pytest.mark.parametrize("shape", [(0,), (2, 2)])
def test_external_weights_want_one_number_a_region(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one number a region"):
        external_weights(np.ones(shape))


def test_balanced_internal_weights_by_hand() -> None:
    weights = internal_weights(np.array([25, 50]), 100)
    assert weights == pytest.approx(np.array([[100 / 150, 1.0], [2.0, 1.0]]))


@pytest.mark.parametrize("area", [0, 100])
def test_balanced_internal_weights_need_both_classes(area: int) -> None:
    with pytest.raises(ValueError, match="'balanced'"):
        internal_weights(np.array([50, area]), 100)


# Cross-entropy.

TWO_BY_TWO = torch.tensor([[0.0, 2.0], [-1.0, 3.0]])
TWO_BY_TWO_TARGET = torch.tensor([[1.0, 0.0], [0.0, 1.0]])


def bce_by_hand(x: float, y: float) -> float:
    p = 1 / (1 + math.exp(-x))
    return -math.log(p) if y else -math.log(1 - p)


def hand_batch() -> tuple[Tensor, Tensor]:
    logits = torch.stack([TWO_BY_TWO, -TWO_BY_TWO])[None]
    return logits, torch.stack([TWO_BY_TWO_TARGET, TWO_BY_TWO_TARGET])[None]


@pytest.mark.parametrize(
    ("loss", "e"), [("ce1", (0.5, 0.5)), ("ce2", (0.8, 0.2))], ids=["ce1", "ce2"]
)
@pytest.mark.parametrize("internal", [(1.0, 1.0), (0.5, 3.0)])
def test_cross_entropy_by_hand(
    loss: str, e: tuple[float, float], internal: tuple[float, float]
) -> None:
    logits, targets = hand_batch()
    terms = mixed(areas=np.array([10, 40]), loss=loss, internal_weights=internal)(logits, targets)
    expected = 0.0
    for r in range(2):
        pixels = zip(logits[0, r].flatten().tolist(), TWO_BY_TWO_TARGET.flatten(), strict=True)
        mean = sum(internal[int(y)] * bce_by_hand(x, float(y)) for x, y in pixels) / 4
        expected += e[r] * mean
    assert terms.ce is not None
    assert terms.ce.item() == pytest.approx(expected, rel=1e-5)
    assert terms.total.item() == pytest.approx(expected, rel=1e-5)
    assert (terms.dice, terms.boundary) == (None, None)


def test_cross_entropy_of_an_undecided_network_is_ln_2_in_both_kinds() -> None:
    targets = example()[1]
    for loss in ("ce1", "ce2"):
        terms = mixed(loss=loss)(torch.zeros(targets.shape), targets)
        assert terms.total.item() == pytest.approx(math.log(2), rel=1e-6)


def test_balanced_classes_weigh_alike() -> None:
    targets = torch.zeros(1, 1, 4, 4)
    targets[..., 0, 0] = 1
    loss = mixed(areas=np.array([625]), internal_weights="balanced", loss="ce1")
    assert loss(torch.zeros(targets.shape), targets).total.item() == pytest.approx(math.log(2))
    missed = loss(torch.where(targets == 1, -5.0, -50.0), targets).total.item()
    invented = loss(torch.where(targets == 1, 50.0, 5.0), targets).total.item()
    assert missed == pytest.approx(invented, rel=1e-4)


# Dice.


def test_dice_by_hand() -> None:
    targets = torch.stack([TWO_BY_TWO_TARGET, torch.ones(2, 2)])[None]
    terms = mixed(DICE, np.array([10, 40]))(torch.zeros(1, 2, 2, 2), targets)
    assert terms.dice is not None
    first, second = 1 - 2 * 1 / (2 + 2), 1 - 2 * 2 / (2 + 4)
    assert terms.dice.item() == pytest.approx((first + second) / 2)


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_dice_equals_segmentation_models_pytorch(seed: int) -> None:
    logits, targets = example(seed)
    targets[:, 1] = False
    expected = DiceLoss(mode="multilabel")(logits, targets.float())
    assert mixed(DICE)(logits, targets).total.item() == pytest.approx(expected.item(), abs=1e-6)


def test_dice_of_an_absent_region_is_zero_and_has_no_gradient() -> None:
    logits, targets = example()
    targets[:, 2] = False
    logits.requires_grad_()
    mixed(DICE)(logits, targets).total.backward()
    assert logits.grad is not None
    assert (logits.grad[:, 2] == 0).all()
    assert (logits.grad[:, 1] != 0).any()


# Boundary.


def test_balanced_bce_by_hand() -> None:
    logits, targets = hand_batch()
    targets[0, 1] = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    positive = 3 / 8
    expected = sum(
        (1 - positive if y else positive) * bce_by_hand(x, y)
        for x, y in zip(logits.flatten().tolist(), targets.flatten().tolist(), strict=True)
    )
    terms = mixed(BOUNDARY, np.array([10, 40]))(logits, targets)
    assert terms.total.item() == pytest.approx(expected / 8, rel=1e-5)


def test_balanced_bce_of_an_undecided_network() -> None:
    targets = torch.zeros(1, 4, 10, 10)
    targets[..., :3, :] = 1
    value = mixed(BOUNDARY)(torch.zeros(targets.shape), targets).total.item()
    assert value == pytest.approx(2 * 0.3 * 0.7 * math.log(2))


def knee_like_masks() -> Tensor:
    """Four regions of unequal size, one overlapping another. (2, 4, 64, 64)."""
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    masks = torch.zeros(2, 4, 64, 64)
    masks[:, 0] = ((rows - 18) ** 2 + (columns - 12) ** 2 < 49).float()
    masks[:, 1] = ((rows < 34) & (columns > 16)).float()
    masks[:, 2] = ((rows > 32) & (columns > 18) & (columns < 62)).float()
    masks[:, 3] = ((rows - columns - 15).abs() < 3).float() * (rows < 40)
    return masks


def mmseg_by_hand(logits: Tensor, targets: Tensor) -> float:
    x = logits.numpy().transpose(0, 2, 3, 1).ravel().astype(np.float64)
    y = targets.numpy().ravel()
    weight = np.where(y == 1, (y == 0).mean(), (y == 1).mean())
    return float((weight * np.logaddexp(0, np.where(y == 1, -x, x))).mean())


def test_mmseg_1_2_1_mismatch_reproduced() -> None:
    logits, _ = example(size=64)
    masks = knee_like_masks()
    loss = mixed(BOUNDARY, boundary="mmseg_1_2_1")
    for x in (logits, 20 * masks - 10):
        assert loss(x, masks).total.item() == pytest.approx(mmseg_by_hand(x, masks), rel=1e-5)


def test_mmseg_1_2_1_scores_a_perfect_prediction_badly() -> None:
    masks = knee_like_masks()
    perfect = 20 * masks - 10
    misread = mixed(BOUNDARY, boundary="mmseg_1_2_1")(perfect, masks).total.item()
    aligned = mixed(BOUNDARY)(perfect, masks).total.item()
    assert misread == pytest.approx(1.55, abs=0.15)
    assert aligned < 1e-4


def test_mmseg_1_2_1_of_one_region_has_no_mismatch() -> None:
    logits, targets = example(regions=1)
    areas = np.array([7])
    misread = mixed(BOUNDARY, areas, boundary="mmseg_1_2_1")(logits, targets)
    aligned = mixed(BOUNDARY, areas)(logits, targets)
    assert misread.total.item() == pytest.approx(aligned.total.item(), rel=1e-6)


def test_signed_distance_maps_by_hand() -> None:
    mask = np.zeros((1, 1, 1, 6), dtype=bool)
    mask[..., :3] = True
    expected = np.array([-2, -1, 0, 1, 2, 3]) / 3
    assert signed_distance_maps(mask)[0, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("value", [False, True])
def test_signed_distance_of_a_mask_without_border_is_zero(value: bool) -> None:
    assert (signed_distance_maps(np.full((1, 2, 4, 4), value)) == 0).all()


@given(hnp.arrays(np.bool_, (1, 2, 9, 7)))
@settings(max_examples=40)
def test_signed_distance_maps_equal_scipy(masks: NDArray[np.bool_]) -> None:
    for r, mask in enumerate(masks[0]):
        if mask.all() or not mask.any():
            continue
        inside = np.maximum(distance_transform_edt(mask) - 1, 0)
        signed = distance_transform_edt(~mask) - inside
        expected = signed / np.abs(signed).max()
        assert signed_distance_maps(masks)[0, r] == pytest.approx(expected, abs=1e-6)


def test_signed_distance_equals_monai_up_to_the_normalisation() -> None:
    monai_losses = pytest.importorskip("monai.losses", reason="needs the extra 'bench'")
    masks = knee_like_masks()
    logits = example(size=64)[0]
    pixels = monai_losses.BoundaryLoss().compute_distance_map(masks)
    largest = pixels.abs().amax((2, 3), keepdim=True)
    expected = (torch.sigmoid(logits) * pixels / largest).mean()
    value = mixed(BOUNDARY, boundary="signed_distance")(logits, masks).total
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)


def test_signed_distance_of_a_perfect_prediction_is_negative() -> None:
    masks = knee_like_masks()
    loss = mixed(BOUNDARY, boundary="signed_distance")
    perfect, inverted = loss(40 * masks - 20, masks).total, loss(20 - 40 * masks, masks).total
    assert -1 <= perfect.item() < 0 < inverted.item() <= 1


# The mix.


def value_of(loss: MixedLoss, logits: Tensor, targets: Tensor) -> float:
    terms: LossTerms = loss(logits, targets)
    return terms.total.item()


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(BOUNDARY_KINDS))
@settings(max_examples=30)
def test_total_is_linear_in_tau(a: float, b: float, kind: str) -> None:
    tau = (a, (1 - a) * b, (1 - a) * (1 - b))
    batch = example()
    alone = [value_of(mixed(each, boundary=kind), *batch) for each in (CE, DICE, BOUNDARY)]
    expected = sum(share * value for share, value in zip(tau, alone, strict=True))
    assert value_of(mixed(tau, boundary=kind), *batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weights_in", ["ce", "all"])
@given(st.permutations(range(4)))
@settings(max_examples=10)
def test_order_of_regions_does_not_matter(weights_in: str, order: list[int]) -> None:
    logits, targets = example()
    fields: dict[str, Any] = {"weights_in": weights_in, "internal_weights": "balanced"}
    for kind in ("balanced_bce", "signed_distance"):
        tau = (0.5, 0.25, 0.25)
        straight = value_of(mixed(tau, boundary=kind, **fields), logits, targets)
        permuted = mixed(tau, AREAS[order], boundary=kind, **fields)
        shuffled = value_of(permuted, logits[:, order], targets[:, order])
        assert shuffled == pytest.approx(straight, rel=1e-5)


@pytest.mark.parametrize("kind", BOUNDARY_KINDS)
@pytest.mark.parametrize("tau", [DICE, BOUNDARY])
def test_external_weights_act_in_all_terms_on_demand(
    tau: tuple[float, float, float], kind: str
) -> None:
    logits, targets = example()
    tendon_missed = torch.where(targets, 9.0, -9.0)
    tendon_missed[:, 3] = -9.0
    in_ce = value_of(mixed(tau, boundary=kind), tendon_missed, targets)
    in_all = value_of(mixed(tau, boundary=kind, weights_in="all"), tendon_missed, targets)
    assert in_all != pytest.approx(in_ce, rel=1e-3)
    equal_areas = np.full(4, 100)
    for weights_in in ("ce", "all"):
        loss = mixed(tau, equal_areas, boundary=kind, weights_in=weights_in)
        assert value_of(loss, logits, targets) == pytest.approx(
            value_of(mixed(tau, boundary=kind), logits, targets), rel=1e-5
        )


def test_dice_with_external_weights_is_their_mean_of_regions() -> None:
    targets = example()[1]
    logits = torch.where(targets, 30.0, -30.0)
    logits[:, 3] = -30.0
    weights = external_weights(AREAS)
    loss = mixed(DICE, weights_in="all")
    assert value_of(loss, logits, targets) == pytest.approx(weights[3], rel=1e-4)


@pytest.mark.parametrize("kind", BOUNDARY_KINDS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gradient_is_finite_for_any_logits_and_masks(kind: str, scale: float) -> None:
    logits, targets = example()
    targets[:, 0], targets[:, 1] = True, False
    scaled = (scale * logits).requires_grad_()
    total = mixed((0.34, 0.33, 0.33), boundary=kind)(scaled, targets).total
    total.backward()
    assert scaled.grad is not None
    assert total.isfinite()
    assert scaled.grad.isfinite().all()


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits, targets = example(size=64)
    loss = mixed((0.5, 0.25, 0.25))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = loss(logits.bfloat16(), targets).total
    assert low.dtype == torch.float32
    assert low.item() == pytest.approx(value_of(loss, logits.bfloat16().float(), targets), rel=1e-6)


def test_targets_may_be_bool_or_floating() -> None:
    logits, targets = example()
    loss = mixed((0.5, 0.25, 0.25))
    assert value_of(loss, logits, targets) == value_of(loss, logits, targets.float())


def test_weights_are_no_part_of_the_state() -> None:
    assert mixed().state_dict() == {}


def test_a_region_without_area_stops_ce2_but_not_ce1() -> None:
    areas = np.array([1, 0, 2, 3])
    with pytest.raises(ValueError, match=r"areas\[1\]"):
        mixed(areas=areas, loss="ce2")
    assert mixed(areas=areas, loss="ce1").ce_weights.tolist() == [0.25] * 4
