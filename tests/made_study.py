"""A study made up in memory: as `analysis.load` and `analysis.artifacts` would read it."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.aggregate import aggregate_frames
from analysis.load import Study, opened_column
from tune_knee import keys
from tune_knee.config import NETWORKS, PREVIEW_BUDGET, LossWeights, TrialConfig

MIXES = (
    ("ce1", LossWeights()),
    ("ce2", LossWeights()),
    ("ce2+dice", LossWeights(ce=0.5, dice=0.5)),
    ("ce2+boundary", LossWeights(ce=0.9, boundary=0.1)),
    ("ce2+dice+boundary", LossWeights(ce=0.34, dice=0.33, boundary=0.33)),
)


def made_study(
    *,
    networks: tuple[str, ...] = NETWORKS[:3],
    regions: tuple[str, ...] = ("femur", "patellar_tendon"),
    cases: int = 4,
    frames: int = 3,
    seed: int = 0,
    spacing_source: str = "",
) -> tuple[Study, pd.DataFrame]:
    """Networks x `MIXES`, all tested, and their frames; later networks are a little better.

    The last region is small: its metrics are lower, and the first trial never finds it. With a
    spacing source, a pixel is half a millimetre.
    """
    rng = np.random.default_rng(seed)
    configs = [
        TrialConfig(network=network, loss=loss, tau=tau, experiment=1 + number)
        for network in networks
        for number, (loss, tau) in enumerate(MIXES)
    ]
    trials = pd.DataFrame([_trial_row(number, config) for number, config in enumerate(configs)])
    table = pd.concat(
        [
            _frames(f"t{n}", n / len(configs), regions, cases, frames, rng)
            for n in range(len(configs))
        ],
        ignore_index=True,
    )
    lost = (table["trial"] == "t0") & (table["region"] == regions[-1])
    table.loc[lost, list(keys.OVERLAP_METRICS)] = 0.0
    table.loc[lost, list(keys.DISTANCE_METRICS)] = np.nan
    if spacing_source:
        table[list(keys.MM_METRICS)] = table[list(keys.DISTANCE_METRICS)] / 2
        table[keys.SPACING_SOURCE] = spacing_source
    study = Study(
        tracking_uri="sqlite:///nowhere.db",
        name="made",
        study_id="s1",
        run_id="r0",
        started=datetime(2026, 1, 31, 12, tzinfo=UTC),
        budget=PREVIEW_BUDGET,
        fingerprint="f1",
        regions=regions,
        planned=len(configs),
        running=False,
        data=Path("nowhere"),
        hardest_region=regions[-1],
        trials=trials.astype({keys.EXPERIMENT: "Int64"}),
        tests=_tests(table, trials),
        spacing_source=spacing_source,
    )
    return study, table


def with_trials(study: Study, trials: pd.DataFrame) -> Study:
    """The study with other trials, its tests those of its tested ones."""
    tested = trials.loc[trials["status"] == keys.STATUS_TESTED, keys.TRIAL]
    tests = study.tests[study.tests[keys.TRIAL].isin(tested)].reset_index(drop=True)
    return dataclasses.replace(study, trials=trials, tests=tests)


def _trial_row(number: int, config: TrialConfig) -> dict[str, object]:
    return {
        keys.TRIAL: f"t{number}",
        "run_id": f"r{number + 1}",
        "label": config.label,
        "status": keys.STATUS_TESTED,
        keys.EXPERIMENT: None,
        **config.params(),
        keys.SEED: number,
        keys.LEARNING_RATE: np.nan,
        keys.REPEAT: 0,
        "stop_reason": "maximum of 260 steps",
        "failure": None,
        "cpus": 1.0,
        "gpus": 0.0,
        **{opened_column(criterion): np.nan for criterion in keys.CRITERIA},
        keys.STEP: 260.0,
        keys.WALL_TIME_S: 90.0 + number,
        keys.BEST_STEP: 195.0,
        keys.BEST_IOU: 0.7,
        keys.BEST_OVERLAP: 0.8,
        keys.BEST_DISTANCE_PX: 3.0,
    }


def _frames(
    trial: str,
    skill: float,
    regions: tuple[str, ...],
    cases: int,
    frames: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    rows = []
    for case in range(cases):
        for frame in range(frames):
            for place, region in enumerate(regions):
                level = 0.9 + 0.05 * skill - 0.2 * (place == len(regions) - 1)
                overlaps = np.clip(level + rng.normal(0, 0.03, 4), 0, 1)
                distances = (1 - level) * np.array([20, 6]) * rng.uniform(0.8, 1.2, 2)
                key = (trial, f"case_{case:02}", f"{frame:03}", region)
                rows.append((*key, *overlaps, *distances))
    columns = [keys.TRIAL, keys.CASE, keys.FRAME, keys.REGION, *keys.METRICS]
    return pd.DataFrame(rows, columns=columns)


def _tests(frames: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    named = trials[[keys.TRIAL, keys.NETWORK, keys.LOSS]]
    return aggregate_frames(frames).merge(named, on=keys.TRIAL)
