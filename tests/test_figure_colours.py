"""Colours that stay apart with any colour vision, and are seen on every page."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.figures.style import (
    FAINT_INK,
    GRID,
    INK,
    PAPER,
    case_title,
    loss_markers,
    network_colours,
    region_colours,
    region_title,
)
from tune_knee.config import LOSS_TERMS, NETWORKS

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = TO_XYZ.sum(axis=1)
SEVEN = (*NETWORKS, "smp:Unet:resnet18", "smp:FPN:resnet18")
EIGHT = tuple(f"region_{number}" for number in range(8))


def linear(colour: str) -> NDArray[np.float64]:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colour: str, vision: str) -> NDArray[np.float64]:
    """CIE L*a*b* of a colour as someone with that vision sees it."""
    seen = np.clip(np.array(VISIONS[vision]) @ linear(colour), 0, 1)
    t = TO_XYZ @ seen / WHITE
    x, y, z = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least_distance(colours: dict[str, str], vision: str) -> float:
    pairs = itertools.combinations(colours.values(), 2)
    return min(float(np.linalg.norm(lab(a, vision) - lab(b, vision))) for a, b in pairs)


def contrast(colour: str, other: str) -> float:
    """Ratio of luminances, as WCAG defines it."""
    values = sorted(float(TO_XYZ[1] @ linear(each)) + 0.05 for each in (colour, other))
    return values[1] / values[0]


def test_lab_of_known_colours():
    np.testing.assert_allclose(lab("#ffffff", "normal"), [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(lab("#ff0000", "normal"), [53.24, 80.09, 67.20], atol=0.02)
    # With red-green blindness, red and dark green of these shades are hardly told apart.
    red_green = {"red": "#a04000", "green": "#5c6000"}
    assert least_distance(red_green, "normal") > 3 * least_distance(red_green, "deuteranopia")


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_stay_apart(vision):
    assert least_distance(network_colours(NETWORKS), vision) > 30
    assert least_distance(network_colours(SEVEN), vision) > 18
    assert least_distance(region_colours(EIGHT[:4]), vision) > 30
    assert least_distance(region_colours(EIGHT), vision) > 20


def test_networks_stand_off_light_and_dark_pages():
    for colour in network_colours(NETWORKS).values():
        assert contrast(colour, "#ffffff") > 2.2
        assert contrast(colour, "#16171a") > 3


def test_regions_stand_off_the_dark_of_an_x_ray():
    for colour in region_colours(EIGHT).values():
        assert contrast(colour, "#202020") > 3


def test_networks_and_losses_keep_theirs_whatever_else_there_is():
    alone = network_colours(["segformer_b2"])["segformer_b2"]
    assert network_colours(SEVEN)["segformer_b2"] == alone
    assert len(set(network_colours(SEVEN).values())) == 7
    assert loss_markers(["ce2+dice"])["ce2+dice"] == loss_markers(LOSS_TERMS)["ce2+dice"]
    assert len(set(loss_markers(LOSS_TERMS).values())) == len(LOSS_TERMS)


def test_regions_have_theirs_by_place_again_after_eight():
    first, *_, ninth = region_colours([*EIGHT, "region_8"]).values()
    assert first == ninth
    assert region_title("patellar_tendon") == "Patellar tendon"


def test_no_data_colour_is_one_of_the_pages_inks():
    inks = {INK, FAINT_INK, GRID, PAPER}
    assert not inks & {*network_colours(SEVEN).values(), *region_colours(EIGHT).values()}


@pytest.mark.parametrize(
    ("case", "title"),
    [("case_022", "case_022"), ("Case 5", "Case 5"), ("17", "case 17"), ("knee", "case knee")],
)
def test_cases_are_called_so_once(case, title):
    assert case_title(case) == title
