"""Frames whose metrics are eighths: equal values abound, and their sums are exact."""

import numpy as np
import pandas as pd

from tune_knee import keys

COLUMNS = [keys.TRIAL, keys.CASE, keys.FRAME, keys.REGION, *keys.METRICS]


def stepped_frames(
    seed: int, *, trials: int = 5, cases: int = 4, regions: tuple[str, ...] = ("femur", "tibia")
) -> pd.DataFrame:
    """Cases of one to three frames; the second trial equals the first, the last is poor.

    Some distances are undefined, and all of the last trial's in the last region and in the
    first case.
    """
    rng = np.random.default_rng(seed)
    places = [
        (f"k{case}", frame, region)
        for case in range(cases)
        for frame in range(rng.integers(1, 4))
        for region in regions
    ]
    rows = []
    for trial in range(trials):
        if trial != 1:
            values = rng.integers(0, 9, (len(places), 6)) / 8
            values[rng.random(len(places)) < 0.2, 4:] = np.nan
        if trial == trials - 1:
            lost = [case == "k0" or region == regions[-1] for case, _, region in places]
            values[lost] = [0, 0, 0, 0, np.nan, np.nan]
        rows += [(f"t{trial}", *place, *row) for place, row in zip(places, values, strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)
