"""The six metrics of a pair of 512 x 512 masks: ours beside MedPy and MONAI, one thread each.

    python benchmarks/metrics_speed.py [--pairs 32] [--repeats 10]

All run in this process on the same knee-like pairs. A tool's time is CPU time of the one thread,
the mean over the pairs of the best of all repeats; every repeat passes over all pairs, so that
none is left in the caches.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from medpy.metric import binary as medpy
from monai.metrics.confusion_matrix import (
    compute_confusion_matrix_metric,
    get_confusion_matrix,
)
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.meaniou import compute_iou
from monai.metrics.surface_distance import compute_average_surface_distance
from numpy.typing import NDArray

from tune_knee.metrics import frame_metrics, region_metrics

Mask = NDArray[np.bool_]
Pair = tuple[Mask, Mask]
SIZE_PX = 512
REGIONS = 4

FIRST_CALL = """
import time
import numpy as np
from tune_knee.metrics import region_metrics
mask = np.ones((64, 64), bool)
start = time.process_time()
region_metrics(mask, mask)
print(time.process_time() - start)
"""


def draw_region(region: int, rng: np.random.Generator) -> Mask:
    """Patella, femur, tibia or patellar tendon of a lateral knee, roughly."""
    canvas = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    y, x = (int(v) for v in rng.integers(-25, 26, 2))
    turn = float(rng.uniform(-15, 15))
    if region == 0:
        cv2.ellipse(canvas, (150 + x, 200 + y), (24, 42), turn, 0, 360, 1, -1)
    elif region == 1:
        cv2.line(canvas, (300 + x, 0), (270 + x, 200 + y), 1, 80)
        cv2.ellipse(canvas, (260 + x, 230 + y), (80, 58), turn, 0, 360, 1, -1)
    elif region == 2:
        cv2.line(canvas, (290 + x, 511), (265 + x, 340 + y), 1, 72)
        cv2.ellipse(canvas, (260 + x, 330 + y), (85, 34), turn, 0, 360, 1, -1)
    else:
        cv2.ellipse(canvas, (190 + x, 320 + y), (50, 90), turn, 110, 230, 1, 11)
    return canvas > 0


def smooth_noise(
    sigma_px: float, amplitude: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Gaussian noise, low-passed, of standard deviation `amplitude`."""
    noise = cv2.GaussianBlur(rng.normal(size=(SIZE_PX, SIZE_PX)), (0, 0), sigma_px)
    return np.float32(amplitude / noise.std()) * np.asarray(noise, np.float32)


def perturb(truth: Mask, rng: np.random.Generator) -> Mask:
    """A prediction: warped, its outline roughened, and islands in every fourth."""
    grid = np.indices(truth.shape).astype(np.float32)
    rows = grid[0] + smooth_noise(20, 1.5, rng) + np.float32(rng.normal(0, 1.5))
    columns = grid[1] + smooth_noise(20, 1.5, rng) + np.float32(rng.normal(0, 1.5))
    warped = cv2.remap(truth.astype(np.float32), columns, rows, cv2.INTER_LINEAR)
    blurred = np.asarray(cv2.GaussianBlur(warped, (0, 0), 2))
    prediction: Mask = blurred + smooth_noise(3, 0.1, rng) > 0.5
    if rng.random() < 0.25:
        canvas = prediction.astype(np.uint8)
        for _ in range(rng.integers(1, 4)):
            y, x = (int(v) for v in rng.integers(20, SIZE_PX - 20, 2))
            cv2.circle(canvas, (x, y), int(rng.integers(2, 12)), 1, -1)
        prediction = canvas > 0
    return prediction


def knee_pairs(count: int, seed: int = 0) -> list[Pair]:
    """(prediction, truth) of the four regions in turn."""
    rng = np.random.default_rng(seed)
    truths = [draw_region(n % REGIONS, rng) for n in range(count)]
    return [(perturb(truth, rng), truth) for truth in truths]


def by_tune_knee(prediction: Mask, truth: Mask) -> Sequence[float]:
    """Ours."""
    m = region_metrics(prediction, truth)
    return m.iou, m.dice, m.precision, m.recall, m.hd95_px, m.assd_px


def by_medpy(prediction: Mask, truth: Mask) -> Sequence[float]:
    """MedPy, its six functions."""
    functions = (medpy.jc, medpy.dc, medpy.precision, medpy.recall, medpy.hd95, medpy.assd)
    return [float(function(prediction, truth)) for function in functions]


def by_monai(prediction: Mask, truth: Mask) -> Sequence[float]:
    """MONAI, on floats: its precision and recall are wrong on booleans."""
    p, t = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth))
    confusion = get_confusion_matrix(p, t)
    results = (
        compute_iou(p, t),
        compute_dice(p, t),
        compute_confusion_matrix_metric("precision", confusion),
        compute_confusion_matrix_metric("recall", confusion),
        compute_hausdorff_distance(p, t, include_background=True, percentile=95),
        compute_average_surface_distance(p, t, include_background=True, symmetric=True),
    )
    return [float(result) for result in results]


def measure(
    compare: Callable[[Mask, Mask], Sequence[float]], pairs: list[Pair], repeats: int
) -> tuple[float, NDArray[np.float64]]:
    """Milliseconds a pair, and the (pairs, 6) results."""
    results = np.array([compare(*pair) for pair in pairs])
    best = np.full(len(pairs), math.inf)
    for _ in range(repeats):
        for n, pair in enumerate(pairs):
            start = time.thread_time()
            compare(*pair)
            best[n] = min(best[n], time.thread_time() - start)
    return 1e3 * best.mean(), results


def compare_tools(count: int, repeats: int) -> None:
    """Print the times, their ratios and the differences of the results."""
    pairs = knee_pairs(count)
    ours_ms, ours = measure(by_tune_knee, pairs, repeats)
    medpy_ms, from_medpy = measure(by_medpy, pairs, repeats)
    monai_ms, from_monai = measure(by_monai, pairs, repeats)
    print(f"Six metrics of a {SIZE_PX} x {SIZE_PX} pair, {count} pairs, one thread, CPU time")
    print(f"  tune_knee  {ours_ms:8.3f} ms")
    print(f"  MedPy      {medpy_ms:8.3f} ms  {medpy_ms / ours_ms:6.0f} x ours")
    print(f"  MONAI      {monai_ms:8.3f} ms  {monai_ms / ours_ms:6.0f} x ours")
    print(f"  largest difference from MedPy: {np.abs(ours - from_medpy).max():.1e}")
    off = np.abs(ours - from_monai)
    print(f"  from MONAI, but for HD95: {np.delete(off, 4, axis=1).max():.1e} (it is in float32)")
    print(
        f"  MONAI's HD95 is another: the larger of the directions' percentiles, not that of\n"
        f"  both pooled. It differs on {(off[:, 4] > 1e-3).sum()} pairs, by up to "
        f"{off[:, 4].max():.0f} px."
    )


def frame_throughput(repeats: int) -> None:
    """Print how many frames of four regions the test stage gets through."""
    pairs = knee_pairs(16 * REGIONS, seed=1)
    for size_px in (64, SIZE_PX):
        step = SIZE_PX // size_px
        small = np.array(pairs)[:, :, ::step, ::step].reshape(16, REGIONS, 2, size_px, size_px)
        bits = (small << np.arange(REGIONS)[:, None, None, None]).sum(axis=1, dtype=np.uint8)
        predictions, truths = np.ascontiguousarray(bits[:, 0]), np.ascontiguousarray(bits[:, 1])
        best = math.inf
        for _ in range(2 * repeats):
            start = time.thread_time()
            frame_metrics(predictions, truths, REGIONS)
            best = min(best, time.thread_time() - start)
        print(f"frame_metrics, {REGIONS} regions at {size_px:3} px: {16 / best:7.0f} frames/s")


def first_call() -> None:
    """Print what a worker's first call costs, compiling and loading what was compiled."""
    with tempfile.TemporaryDirectory() as cache:
        for state in ("compiling", "from the cache"):
            seconds = subprocess.run(
                [sys.executable, "-c", FIRST_CALL],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            print(f"first call of a process, {state}: {float(seconds):.2f} s")


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # MONAI's about itself
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    compare_tools(arguments.pairs, arguments.repeats)
    frame_throughput(arguments.repeats)
    first_call()


if __name__ == "__main__":
    main()
