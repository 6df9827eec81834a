"""Cases to training, validation and test: a case's frames never part."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pandas as pd

from tune_knee.data.dataset import SPLITS, Split
from tune_knee.data.problems import Problems
from tune_knee.data.pseudonyms import Pseudonyms

Shares = tuple[float, float, float]


def parse_shares(text: str) -> Shares:
    """Read shares of training, validation and test, e.g. ``0.665:0.117:0.218``.

    Raises:
        ValueError: if these are not three positive numbers that sum to 1.
    """
    try:
        train, validation, test = (float(part) for part in text.split(":"))
    except ValueError:
        raise ValueError(
            f"split must be train:validation:test as three numbers, or a CSV file, got split={text}"
        ) from None
    if not min(train, validation, test) > 0 or not math.isclose(
        train + validation + test, 1, abs_tol=1e-6
    ):
        raise ValueError(f"shares of a split must be positive and sum to 1, got split={text}")
    return train, validation, test


def split_by_shares(
    frames_by_case: Mapping[str, int], shares: Shares, seed: int
) -> dict[str, Split]:
    """Assign whole cases so that the splits' frames come near to their shares.

    The cases are shuffled and cut into three runs, none empty, where the sum of the three
    differences to the wanted numbers of frames is smallest (the first of equals).

    Raises:
        ValueError: if there are fewer than three cases.
    """
    if len(frames_by_case) < len(SPLITS):
        raise ValueError(
            f"a split by case must have at least 3 cases, got {len(frames_by_case)}; "
            "put each case into a folder of its own or use --case-from"
        )
    cases = sorted(frames_by_case)
    shuffled = [cases[n] for n in np.random.default_rng(seed).permutation(len(cases))]
    ends = np.cumsum([frames_by_case[case] for case in shuffled])
    wanted = np.array(shares) * ends[-1]
    first, second = np.triu_indices(len(cases) - 1, k=1)  # last case of the first two runs
    frames = np.stack([ends[first], ends[second] - ends[first], ends[-1] - ends[second]], axis=1)
    best = np.abs(frames - wanted).sum(axis=1).argmin()
    runs = np.searchsorted([first[best], second[best]], np.arange(len(cases)))
    return {case: SPLITS[run] for case, run in zip(shuffled, runs, strict=True)}


def read_split(
    path: Path, cases: set[str], problems: Problems, pseudonyms: Pseudonyms | None = None
) -> dict[str, Split]:
    """Read a CSV with the columns case and split; what does not fit goes to `problems`.

    With `pseudonyms` a row may name a case by its PatientID too.

    Raises:
        ValueError: if the file cannot be read or lacks a column.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"split must be a CSV file, got split={path} ({error})") from error
    if not {"case", "split"} <= set(table.columns):
        raise ValueError(
            f"{path} must have the columns case and split, got {', '.join(table.columns)}"
        )
    if pseudonyms is not None:
        names = {case: pseudonyms.case(case) for case in table["case"]}
        table["case"] = [names[case] if names[case] in cases else case for case in table["case"]]
    split: dict[str, Split] = {}
    for case, name in zip(table["case"], table["split"], strict=True):
        if name not in get_args(Split):
            must = f"split of case {case} must be one of {', '.join(SPLITS)}"
            problems.add(path, must, got=name or "nothing", mend="correct it")
        elif split.setdefault(case, cast(Split, name)) != name:
            must = f"case {case} must be in one split"
            problems.add(path, must, got=f"{split[case]} and {name}", mend="remove a row")
    listed = set(table["case"])
    for case in sorted(cases - listed):
        problems.add(path, f"case {case} must have a row", got="none", mend="add it")
    for case in sorted(listed - cases):
        problems.add(path, f"case {case} must be in the source", got="none", mend="remove the row")
    for name in SPLITS:
        if name not in split.values():
            must = f"split {name} must have a case"
            problems.add(path, must, got="none", mend=f"move a case to {name}")
    return split
