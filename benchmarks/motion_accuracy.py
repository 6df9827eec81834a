"""Motion from the phantom's true masks beside what is true, every frame of 64 cases.

    python benchmarks/motion_accuracy.py [--size 512] [--seed 0] [--model MODEL]

Absolute errors, mean (largest), of flexion in degrees and of tendon length, patella length and
Insall-Salvati ratio in %; of all frames, and without those of cases that show little of a shaft.
The bars, on true masks: flexion within 3 degrees and tendon length within 5 %. With a model, from
the masks that it finds in the 14 cases for testing, at its own size.
"""

import argparse

import numpy as np
import pandas as pd
from tqdm import tqdm

from tune_knee.data.phantom import draw_case, plan_cases
from tune_knee.data.phantom_xray import REGIONS
from tune_knee.model_sources import find_models
from tune_knee.motion import columns
from tune_knee.motion.sequence import measure_sequence
from tune_knee.segmenter.segmenter import Segmenter

CASES = 64
FAR_PERCENT = 20
FLEXION, CASE = "flexion", "case"


def measured(size_px: int, seed: int, model: Segmenter | None = None) -> pd.DataFrame:
    """A row a frame: what is measured on true or found masks, what is true, and the case."""
    plans = [
        plan for plan in plan_cases(seed, CASES, None) if model is None or plan.split == "test"
    ]
    tables = []
    for plan in tqdm(plans, "cases", disable=None):
        case = draw_case(plan, seed=seed, size_px=size_px)
        table = measure_sequence(case.masks if model is None else model.masks(case.images), REGIONS)
        tables.append(table.join(case.truth.add_prefix("true_")).assign(**{CASE: plan.name}))
    return pd.concat(tables, ignore_index=True)


def errors(found: pd.DataFrame) -> pd.DataFrame:
    """Signed errors of the four measures, in the table's order of rows."""
    tendon = found["true_tendon_length_px"]
    ends = [
        found[f"true_patella_apex_{axis}_px"] - found[f"true_patella_base_{axis}_px"]
        for axis in "xy"
    ]
    patella = np.hypot(*ends)
    return pd.DataFrame(
        {
            FLEXION: found[columns.FLEXION_DEG] - found["true_flexion_deg"],
            "tendon length": 100 * (found[columns.TENDON_PX] / tendon - 1),
            "patella length": 100 * (found[columns.PATELLA_PX] / patella - 1),
            "Insall-Salvati": 100 * (found[columns.INSALL_SALVATI] * patella / tendon - 1),
        }
    )


def shown(off: pd.DataFrame) -> str:
    """Mean (largest) of each measure's absolute error."""
    return ", ".join(
        f"{name} {values.abs().mean():.2f} ({values.abs().max():.2f})"
        for name, values in off.items()
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="side of the frames in px")
    parser.add_argument("--seed", type=int, default=0, help="of the phantom")
    parser.add_argument("--model", help="its file, or a study's folder (its best)")
    options = parser.parse_args()
    model, size = None, options.size
    if options.model:
        model = Segmenter(find_models(options.model, tracking_uri=None))
        size = model.facts.image_size_px
    found = measured(size, options.seed, model)
    off = errors(found)
    little = found[columns.REASONS].str.contains("little of the shaft")
    print(f"{len(found)} frames: {shown(off)}")
    print(f"{(~little).sum()} frames that show enough of the shafts: {shown(off[~little])}")
    doubtful = found[columns.DOUBTFUL]
    cases = found.loc[doubtful, CASE].nunique()
    print(f"doubtful: {doubtful.sum()} frames of {cases} cases: {shown(off[doubtful])}")
    print(f"not doubtful: {shown(off[~doubtful])}")
    far = off["tendon length"].abs() > FAR_PERCENT
    print(f"tendon off by more than {FAR_PERCENT} %: {far.sum()}, {doubtful[far].sum()} doubtful")
    spread = off[FLEXION].groupby(found[CASE]).std(ddof=0)
    print(f"flexion's errors within a case: standard deviation {spread.mean():.2f} degrees")
    print(f"insertion by: {found[columns.INSERTION_BY].value_counts().to_dict()}")


if __name__ == "__main__":
    main()
