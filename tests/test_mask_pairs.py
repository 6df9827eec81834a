"""Exactness: against MedPy, against the definition, at the limits of the compiled routine."""

import dataclasses
import math

import numpy as np
import pytest
from drawn_masks import Mask, disc, mask_of
from hypothesis import given, settings
from hypothesis import strategies as st
from medpy.metric import binary as medpy
from numpy.typing import NDArray

from tune_knee.mask_pairs import MAX_SIDE_PX, REACH
from tune_knee.metrics import RegionMetrics, region_metrics

SHAPE = (130, 200)


def by_medpy(prediction: Mask, truth: Mask) -> list[float]:
    functions = (medpy.jc, medpy.dc, medpy.precision, medpy.recall, medpy.hd95, medpy.assd)
    return [float(function(prediction, truth)) for function in functions]


def border_points(mask: Mask) -> NDArray[np.intp]:
    padded = np.pad(mask, 1)
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.argwhere(mask & ~np.logical_and.reduce(neighbours))


def distances_by_definition(prediction: Mask, truth: Mask) -> list[float]:
    """HD95 and ASSD from the distances of all pairs of border pixels."""
    p, t = border_points(prediction), border_points(truth)
    all_pairs = np.sqrt(((p[:, None] - t[None]) ** 2).sum(axis=-1))
    pooled = np.concatenate([all_pairs.min(axis=1), all_pairs.min(axis=0)])
    return [float(np.percentile(pooled, 95)), float(pooled.mean())]


def assert_equal_to_medpy(prediction: Mask, truth: Mask) -> None:
    ours = dataclasses.astuple(region_metrics(prediction, truth))
    np.testing.assert_allclose(ours, by_medpy(prediction, truth), rtol=0, atol=1e-9)


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, int]) -> Mask:
    """Not empty: noise of any density, and unions of rectangles, down to single pixels."""
    height, width = shape
    mask = np.zeros(shape, bool)
    if draw(st.booleans()):
        density = draw(st.sampled_from([0.001, 0.05, 0.5, 0.95]))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        mask |= rng.random(shape) < density
    for _ in range(draw(st.integers(0 if mask.any() else 1, 3))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + draw(st.integers(1, height)), x : x + draw(st.integers(1, width))] = True
    return mask


@st.composite
def mask_pairs(draw: st.DrawFn, longest: int = 200) -> tuple[Mask, Mask]:
    sides = st.integers(1, longest) | st.sampled_from([1, 63, 64, 65, 128, 129])
    shape = (draw(sides), draw(sides))
    return draw(masks(shape)), draw(masks(shape))


def pathological_masks() -> dict[str, Mask]:
    rows, columns = np.indices(SHAPE)
    ring = disc(SHAPE, 64, 100, 50) & ~disc(SHAPE, 64, 100, 46)
    return {
        "corner pixel": mask_of(SHAPE, (0, 0)),
        "other corner": mask_of(SHAPE, (129, 199)),
        "full": np.ones(SHAPE, bool),
        "all but one": ~mask_of(SHAPE, (65, 64)),
        "frame": (rows % 129 == 0) | (columns % 199 == 0),
        "row": rows == 77,
        "column": columns == 63,
        "diagonal": rows == columns,
        "checkerboard": (rows + columns) % 2 == 0,
        "half checkerboard": ((rows + columns) % 2 == 0) & (columns < 60),
        "other half": ((rows + columns) % 2 == 0) & (columns > 140),
        "disc": disc(SHAPE, 64, 100, 40),
        "disc in it": disc(SHAPE, 60, 95, 12),
        "ring": ring,
        "disc and islands": disc(SHAPE, 64, 100, 40) | disc(SHAPE, 6, 6, 5) | (columns == 199),
    }


def test_every_offset_within_and_beyond_the_reach_of_the_bit_scan() -> None:
    shape = (3 * REACH, 6 * REACH)
    truth = mask_of(shape, (40, 100))
    for y in range(shape[0]):
        for x in range(shape[1]):
            result = region_metrics(mask_of(shape, (y, x)), truth)
            assert result.hd95_px == result.assd_px == math.sqrt((y - 40) ** 2 + (x - 100) ** 2)


@pytest.mark.parametrize("name", pathological_masks())
def test_pathological_masks_equal_medpy(name: str) -> None:
    prediction = pathological_masks()[name]
    for truth in pathological_masks().values():
        assert_equal_to_medpy(prediction, truth)


@settings(max_examples=150)
@given(mask_pairs())
def test_random_masks_equal_medpy(pair: tuple[Mask, Mask]) -> None:
    assert_equal_to_medpy(*pair)


@settings(max_examples=100)
@given(mask_pairs(longest=40))
def test_distances_equal_their_definition(pair: tuple[Mask, Mask]) -> None:
    result = region_metrics(*pair)
    expected = distances_by_definition(*pair)
    assert [result.hd95_px, result.assd_px] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=50)
@given(mask_pairs())
def test_laws(pair: tuple[Mask, Mask]) -> None:
    prediction, truth = pair
    result = region_metrics(prediction, truth)
    swapped = region_metrics(truth, prediction)
    assert (swapped.precision, swapped.recall) == (result.recall, result.precision)
    assert (swapped.iou, swapped.dice, swapped.hd95_px) == (
        result.iou,
        result.dice,
        result.hd95_px,
    )
    assert swapped.assd_px == pytest.approx(result.assd_px)
    for turn in (np.transpose, np.flipud, np.fliplr):
        turned = dataclasses.astuple(region_metrics(turn(prediction), turn(truth)))
        assert turned == pytest.approx(dataclasses.astuple(result), abs=1e-12)
    assert result.dice == pytest.approx(2 * result.iou / (1 + result.iou))
    assert region_metrics(truth, truth) == RegionMetrics(1.0, 1.0, 1.0, 1.0, 0.0, 0.0)


def test_longest_side_does_not_overflow() -> None:
    truth, prediction = np.zeros((2, MAX_SIDE_PX, MAX_SIDE_PX), bool)
    truth[0, 0] = prediction[-1, -1] = True
    assert region_metrics(prediction, truth).hd95_px == math.sqrt(2) * (MAX_SIDE_PX - 1)
