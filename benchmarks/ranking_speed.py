"""Ranking a study with 1,000 bootstrap draws over cases, at 55 to 1,000 models.

    python benchmarks/ranking_speed.py [--models 55 250 500 1000] [--draws 1000]

A synthetic study of 14 cases, 283 frames and 4 regions, made from a seed. Ours is what a ranking
from frames takes, and what a bootstrap of it takes: means, scores and ranks; sums by case, draws,
intervals. The peers do a draw from the same frames, in the same process, as one would write it:
in pandas (gather the rows of the drawn cases, group, rank) and in numpy (gather the frames of an
array, `nanmean`, `scipy.stats.rankdata`). Ours is the best of three rounds; of the peers' draws
the fastest of five counts for each, and their scores must be ours. The bar: 60 s at 1,000 models,
near linear in their number.
"""

import argparse
import itertools
import math
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.aggregate import aggregate_frames
from analysis.bootstrap import Bootstrap, bootstrap_cases, draw_cases
from analysis.case_sums import sum_cases
from analysis.ranking import rank_trials, score_trials
from tune_knee import keys

CASES, FRAMES, REGIONS = 14, 283, ("patella", "femur", "tibia", "patellar_tendon")
SEED, ROUNDS, PEER_DRAWS, BAR_S = 0, 3, 5, 60
Values = NDArray[np.float64]


def made_frames(models: int) -> tuple[pd.DataFrame, Values, NDArray[np.int64]]:
    """A study's frames as a table and as (models, frames, regions, 6), and each frame's case.

    Models differ, cases differ more, and one frame in fifty misses a region.
    """
    rng = np.random.default_rng(SEED)
    case_of = np.sort(np.arange(FRAMES) % CASES)
    skill = rng.normal(0.85, 0.03, (models, 1, len(REGIONS), 1))
    case = rng.normal(0, 0.05, (1, CASES, len(REGIONS), 1))[:, case_of]
    shape = (models, FRAMES, len(REGIONS))
    overlap = np.clip(skill + case + rng.normal(0, 0.05, (*shape, 4)), 0, 1)
    distance = (1 - skill - case) * rng.uniform(10, 40, (*shape, 2))
    missed = rng.random(shape) < 0.02
    overlap[missed], distance[missed] = 0, np.nan
    values = np.concatenate([overlap, distance], axis=-1)
    index = pd.MultiIndex.from_product(
        [[f"model {n:04}" for n in range(models)], range(FRAMES), REGIONS],
        names=[keys.TRIAL, keys.FRAME, keys.REGION],
    )
    table = pd.DataFrame(values.reshape(-1, 6), index, columns=list(keys.METRICS)).reset_index()
    cases = np.array([f"case {n:02}" for n in range(CASES)])
    table[keys.CASE] = cases[case_of[table[keys.FRAME]]]
    return table, values, case_of


def by_us(frames: pd.DataFrame, draws: int) -> tuple[float, float, Bootstrap]:
    """Seconds of the ranking, seconds of the bootstrap, and the latter."""
    started = time.perf_counter()
    rank_trials(score_trials(aggregate_frames(frames), unscored_losses=()))
    ranked = time.perf_counter()
    drawn = bootstrap_cases(sum_cases(frames), draws=draws, seed=SEED)
    drawn.intervals()
    return ranked - started, time.perf_counter() - ranked, drawn


def by_pandas(rows_of: list[pd.DataFrame], times: NDArray[np.int64]) -> Values:
    """Total scores of one draw; `rows_of` holds each case's rows."""
    drawn = [rows_of[case] for case, often in enumerate(times) for _ in range(often)]
    by = [keys.TRIAL, keys.REGION]
    means = pd.concat(drawn).groupby(by, sort=False)[list(keys.METRICS)].mean()
    overlap = means[list(keys.OVERLAP_METRICS)].mean(axis=1)
    distance_px = means[list(keys.DISTANCE_METRICS)].mean(axis=1, skipna=False)
    points = overlap.groupby(keys.REGION).rank() + distance_px.groupby(keys.REGION).rank(
        ascending=False, na_option="bottom"
    )
    return points.groupby(keys.TRIAL, sort=False).sum().to_numpy()


def by_numpy(values: Values, case_of: NDArray[np.int64], times: NDArray[np.int64]) -> Values:
    """Total scores of one draw."""
    means = np.nanmean(values[:, np.repeat(np.arange(FRAMES), times[case_of])], axis=1)
    overlap, distance_px = means[..., :4].mean(axis=-1), means[..., 4:].mean(axis=-1)
    points = rankdata(overlap, axis=0) + rankdata(-distance_px, axis=0)
    return points.sum(axis=1)


def seconds_a_draw(ours: Bootstrap, draw: Callable[[NDArray[np.int64]], Values]) -> float:
    """The fastest of a peer's first draws, whose scores must be ours."""
    best = math.inf
    for number, often in enumerate(draw_cases(CASES, draws=ours.draws, seed=SEED)[:PEER_DRAWS]):
        started = time.perf_counter()
        scores = draw(often)
        best = min(best, time.perf_counter() - started)
        if not np.array_equal(scores, ours.scores[number]):
            sys.exit("a peer's scores must be ours, got others")
    return best


def main() -> None:
    """Print the times, their ratios and how they grow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, nargs="+", default=[55, 250, 500, 1000])
    parser.add_argument("--draws", type=int, default=1000)
    arguments = parser.parse_args()
    by_us(made_frames(2)[0], 10)  # imports that wait for their first use
    print(f"{FRAMES} frames of {CASES} cases, {len(REGIONS)} regions, {arguments.draws} draws")
    print("models       rows    ranking  bootstrap    total          pandas           numpy")
    totals = {}
    for models in arguments.models:
        frames, values, case_of = made_frames(models)
        ranking_s, bootstrap_s, ours = min(
            (by_us(frames, arguments.draws) for _ in range(ROUNDS)), key=lambda took: sum(took[:2])
        )
        totals[models] = ranking_s + bootstrap_s
        rows_of = [own for _, own in frames.groupby(keys.CASE)]
        peers = (
            arguments.draws * seconds_a_draw(ours, partial(by_pandas, rows_of)),
            arguments.draws * seconds_a_draw(ours, partial(by_numpy, values, case_of)),
        )
        beside = "".join(f"{peer:6.0f} s {peer / bootstrap_s:5.0f} x" for peer in peers)
        print(
            f"{models:6} {len(frames):10,} {ranking_s:8.2f} s {bootstrap_s:8.2f} s "
            f"{totals[models]:6.2f} s{beside}"
        )
    for (few, less), (many, more) in itertools.pairwise(totals.items()):
        exponent = math.log(more / less) / math.log(many / few)
        print(f"from {few} to {many} models the total grows as their number to the {exponent:.2f}")
    if 1000 in totals and totals[1000] > BAR_S:
        sys.exit(f"1,000 models must take {BAR_S} s or less, got {totals[1000]:.0f} s")


if __name__ == "__main__":
    main()
