from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn_figures import unreadable
from drawn_knee import REGIONS, drawn_knee
from PIL import Image

from tune_knee.motion import columns
from tune_knee.motion.plot import draw_motion, save_motion
from tune_knee.motion.sequence import measure_sequence


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    masks = np.stack([drawn_knee(flexion) for flexion in (10.0, 40.0, 70.0)])
    masks[1] &= ~np.uint8(1 << REGIONS.index("patellar_tendon"))
    return measure_sequence(masks, REGIONS, spacing_mm=0.5, frame_time_ms=500)


def test_panels_units_and_doubtful_frames(table: pd.DataFrame) -> None:
    figure = draw_motion(table, "case_001")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        "Flexion (°)",
        "Patellar tendon's length (mm)",
        "Insall–Salvati ratio (tendon / patella)",
    ]
    assert figure.axes[-1].get_xlabel() == "Time (s)"
    assert figure.get_suptitle() == "case_001\n1 of 3 frames doubtful (banded, hollow)"
    figure.draw_without_rendering()
    assert unreadable(figure) == []
    trusted, doubtful = figure.axes[0].lines
    assert np.isnan(np.asarray(trusted.get_ydata(), dtype=float)).tolist() == [False, True, False]
    assert np.asarray(doubtful.get_xdata()).tolist() == [0.5]
    assert [len(axes.patches) for axes in figure.axes] == [1, 1, 1]


def test_without_time_and_spacing(table: pd.DataFrame) -> None:
    unknown = [columns.TIME_MS, columns.TENDON_MM, columns.PATELLA_MM]
    figure = draw_motion(table.assign(**dict.fromkeys(unknown, np.nan)), "case_001")
    assert figure.axes[-1].get_xlabel() == "Frame"
    assert figure.axes[1].get_title(loc="left") == "Patellar tendon's length (px)"


def test_regions_without_a_joint_show_their_areas() -> None:
    masks = np.stack([drawn_knee(10.0)])
    figure = draw_motion(measure_sequence(masks, ("a", "b", "c", "d_e")), "one")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Area (px)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b", "c", "d e"]
    assert figure.get_suptitle().endswith("no frame doubtful")


def test_png_is_on_white_and_the_same_twice(tmp_path: Path, table: pd.DataFrame) -> None:
    for name in "ab":
        save_motion(draw_motion(table, "case_001"), tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = Image.open(tmp_path / "a.png").convert("RGB")
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    assert picture.width == 900
