"""The bars of motion: flexion within 3 degrees, tendon length within 5 %, on true masks."""

import numpy as np
import pandas as pd
import pytest

from tune_knee.data.phantom import draw_case, plan_cases
from tune_knee.data.phantom_xray import REGIONS
from tune_knee.motion import columns
from tune_knee.motion.insertion import PIVOT
from tune_knee.motion.sequence import measure_sequence


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    """Eight of the 64 cases, seven frames each, beside what is true."""
    tables = []
    for plan in plan_cases(0, 64, 64 * 7)[::8]:
        case = draw_case(plan, seed=0, size_px=256)
        spacing = float(case.frames["spacing_mm"].iloc[0])
        tables.append(
            measure_sequence(case.masks, REGIONS, spacing_mm=spacing)
            .join(case.truth.add_prefix("true_"))
            .assign(spacing_mm=spacing)
        )
    return pd.concat(tables, ignore_index=True)


def test_flexion_is_within_3_degrees(measured: pd.DataFrame) -> None:
    error = measured[columns.FLEXION_DEG] - measured["true_flexion_deg"]
    assert error.abs().max() < 3
    assert error.abs().mean() < 2


def test_tendon_length_is_within_5_percent(measured: pd.DataFrame) -> None:
    true_px = measured["true_tendon_length_px"]
    assert (measured[columns.TENDON_PX] / true_px - 1).abs().max() < 0.05
    assert (measured[columns.TENDON_MM] / (true_px * measured["spacing_mm"]) - 1).abs().max() < 0.05
    assert set(measured[columns.INSERTION_BY]) == {PIVOT}


def test_patella_and_its_height(measured: pd.DataFrame) -> None:
    true_patella = np.hypot(
        *(
            measured[f"true_patella_apex_{axis}_px"] - measured[f"true_patella_base_{axis}_px"]
            for axis in "xy"
        )
    )
    true_ratio = measured["true_tendon_length_px"] / true_patella
    assert (measured[columns.PATELLA_PX] / true_patella - 1).abs().max() < 0.05
    assert (measured[columns.INSALL_SALVATI] / true_ratio - 1).abs().max() < 0.07


def test_hardly_a_true_mask_is_doubtful(measured: pd.DataFrame) -> None:
    little = measured[columns.REASONS].str.contains("little of the shaft")
    assert (measured[columns.DOUBTFUL] & ~little).mean() < 0.02
