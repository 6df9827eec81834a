"""What Ray Tune and all around it add to a study's training.

    python benchmarks/study_overhead.py [arguments of tune_knee.run, e.g. --network segformer_b2]

Runs the paper's grid with the preview budget in a folder of its own, and divides the wall
time of the command (imports, phantom, Ray's start, MLflow, tests and ranking included) by
the trials' own training and validation time over the trials at a time. The peer is thus the
same training without any of it. The bar for all 55 trials: at most 1.25.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

BAR = 1.25


def main() -> int:
    """Run the study and print the ratio; 1 if it fails the bar."""
    concurrent = os.cpu_count() or 1
    with TemporaryDirectory() as folder:
        out = Path(folder) / "study"
        run = [sys.executable, "-m", "tune_knee.run", "--grid", "paper", "--budget", "preview"]
        where = ["--max-concurrent", str(concurrent), "--out", str(out)]
        started = time.perf_counter()
        subprocess.run([*run, *where, *sys.argv[1:]], check=True)
        wall_s = time.perf_counter() - started
        outcomes = [json.loads(path.read_text()) for path in out.glob("trials/*/outcome.json")]
    training_s = sum(outcome["wall_time_s"] for outcome in outcomes)
    ratio = wall_s / (training_s / concurrent)
    print(f"{len(outcomes)} trials, {concurrent} at a time: {wall_s:.0f} s of wall time")
    print(f"their training and validation: {training_s:.0f} s in sum")
    print(f"wall time over training / concurrency: {ratio:.3f} (bar {BAR} for 55 trials)")
    return int(ratio > BAR)


if __name__ == "__main__":
    sys.exit(main())
