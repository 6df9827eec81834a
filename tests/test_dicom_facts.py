import math
from typing import Any

import numpy as np
import pytest
from made_dicom import dicom, item
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from tune_knee.data.dicom_facts import (
    Window,
    acquired_s,
    frame_times_s,
    interval_s,
    inverted,
    pixel_spacing,
    seconds,
    side,
    windows,
)
from tune_knee.data.dicom_pixels import windowed

EMPTY = np.zeros((4, 4), dtype=np.uint16)


@pytest.mark.parametrize(
    ("attributes", "mm", "source"),
    [
        ({}, math.nan, ""),
        ({"PixelSpacing": [0.2, 0.2]}, 0.2, "uncalibrated"),
        (
            {"PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "FIDUCIAL"},
            0.2,
            "patient",
        ),
        (
            {"PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "GEOMETRY"},
            0.2,
            "patient",
        ),
        ({"PixelSpacing": [0.3, 0.3], "ImagerPixelSpacing": [0.3, 0.3]}, 0.3, "detector"),
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.3, 0.3]}, 0.2, "patient"),
        ({"ImagerPixelSpacing": [0.3, 0.3]}, 0.3, "detector"),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, 0.1, "scanner"),
        ({"PixelSpacing": [0.2, 0.2004]}, math.sqrt(0.2 * 0.2004), "uncalibrated"),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.3, 0.3]}, 0.3, "detector"),
    ],
)
def test_spacing_and_where_it_was_measured(
    attributes: dict[str, Any], mm: float, source: str
) -> None:
    found = pixel_spacing(dicom(EMPTY, **attributes))
    assert found.mm == pytest.approx(mm, nan_ok=True)
    assert found.source == source


@pytest.mark.parametrize(
    ("value", "doubt"),
    [([0, 0], "not positive"), ([0.2, -0.2], "not positive"), ([0.2, 0.21], "not square")],
)
def test_a_spacing_that_does_not_count(value: list[float], doubt: str) -> None:
    found = pixel_spacing(dicom(EMPTY, PixelSpacing=value))
    assert math.isnan(found.mm)
    assert found.source == ""
    assert doubt in found.doubt


def test_spacing_of_a_functional_group() -> None:
    made = dicom(EMPTY)
    made.SharedFunctionalGroupsSequence = [
        item(FramePixelDataPropertiesSequence=[item(ImagerPixelSpacing=[0.4, 0.4])])
    ]
    assert pixel_spacing(made).mm == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, ""),
        ({"Laterality": "L"}, "left"),
        ({"ImageLaterality": "R"}, "right"),
        ({"ImageLaterality": "R", "Laterality": "R"}, "right"),
        ({"ImageLaterality": "R", "Laterality": "L"}, ""),
        ({"ImageLaterality": "B"}, ""),
        ({"ImageLaterality": "U"}, ""),
    ],
)
def test_the_side(attributes: dict[str, Any], expected: str) -> None:
    assert side(dicom(EMPTY, **attributes)) == expected


def test_the_side_of_a_functional_group() -> None:
    made = dicom(EMPTY)
    made.SharedFunctionalGroupsSequence = [item(FrameAnatomySequence=[item(FrameLaterality="L")])]
    assert side(made) == "left"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, None),
        ({"FrameTime": 40}, (0, 0.04, 0.08)),
        ({"FrameTime": 0}, None),
        ({"CineRate": 10}, (0, 0.1, 0.2)),
        ({"RecommendedDisplayFrameRate": 20}, (0, 0.05, 0.1)),
        ({"FrameTime": 40, "CineRate": 10}, (0, 0.04, 0.08)),
        ({"FrameTimeVector": [0, 30, 50]}, (0, 0.03, 0.08)),
        ({"FrameTimeVector": [0, 30], "FrameTime": 40}, (0, 0.04, 0.08)),
    ],
)
def test_times_of_frames(attributes: dict[str, Any], expected: tuple[float, ...] | None) -> None:
    times = frame_times_s(dicom(np.stack([EMPTY] * 3), **attributes), 3)
    assert times == (None if expected is None else pytest.approx(expected))


def test_times_that_the_frames_state_themselves() -> None:
    made = dicom(np.stack([EMPTY] * 2), FrameTime=40)
    made.PerFrameFunctionalGroupsSequence = [
        item(FrameContentSequence=[item(FrameAcquisitionDateTime=f"2020010112000{n}.5")])
        for n in (3, 1)
    ]
    assert frame_times_s(made, 2) == pytest.approx((2, 0))


def test_when_an_object_was_acquired() -> None:
    assert acquired_s(Dataset()) is None
    noon = acquired_s(item(AcquisitionDate="20200229", AcquisitionTime="120000"))
    later = acquired_s(item(AcquisitionDateTime="20200301000000.25+0100"))
    content = acquired_s(item(ContentDate="20200229", ContentTime="120001"))
    assert noon is not None
    assert later is not None
    assert later - noon == pytest.approx(12 * 3600 + 0.25)
    assert content == noon + 1
    assert interval_s(item(CineRate=0)) is None


@pytest.mark.parametrize("value", ["", "2020", "20200230120000", "20200101250000", "x", None])
def test_times_that_are_none(value: str | None) -> None:
    assert seconds(value) is None


@pytest.mark.parametrize(
    ("photometric", "shape", "expected"),
    [
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),  # one statement, not two that cancel
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", None, False),
    ],
)
def test_inversion(photometric: str, shape: str | None, expected: bool) -> None:
    more = {} if shape is None else {"PresentationLUTShape": shape}
    assert inverted(dicom(EMPTY, PhotometricInterpretation=photometric, **more)) is expected


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), [(2048, 4096), (700, 300), (10.5, 2)])
def test_windows_equal_pydicoms(function: str | None, centre: float, width: float) -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    made = dicom(values, bits=12, WindowCenter=centre, WindowWidth=width)
    if function:
        made.VOILUTFunction = function
    (window,) = windows(made, 1)
    expected = apply_windowing(values, made) * (255 / 4095)
    np.testing.assert_allclose(windowed(values.astype(np.float32), window), expected, atol=1e-2)


def test_the_first_of_several_windows_and_those_of_frames() -> None:
    made = dicom(EMPTY, WindowCenter=[50, 60], WindowWidth=[21, 31])
    assert windows(made, 1) == (Window(39.5, 59.5),)
    made.PerFrameFunctionalGroupsSequence = [
        item(FrameVOILUTSequence=[item(WindowCenter=centre, WindowWidth=11)]) for centre in (5, 9)
    ]
    assert windows(made, 2) == (Window(-0.5, 9.5), Window(3.5, 13.5))


@pytest.mark.parametrize(("centre", "width"), [(50, 0), (50, -3), (50, 1), (None, 9)])
def test_windows_that_are_none(centre: float | None, width: float) -> None:
    more = {} if centre is None else {"WindowCenter": centre}
    assert windows(dicom(EMPTY, WindowWidth=width, **more), 1) == ()
