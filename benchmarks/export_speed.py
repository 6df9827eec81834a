"""An exported ONNX file in onnxruntime beside the same model in PyTorch, on one CPU thread.

    python benchmarks/export_speed.py [network ...]      (minutes; some CPU minutes a network)

One frame of 512 x 512, width 1, random weights, float32. PyTorch as `Segmenter` runs it: eval,
inference_mode, channels_last, one thread. onnxruntime: CPU provider, one thread, its default
optimisations. Both standardise the frame and end in probabilities. CPU time of the process, not
wall time, since other work may share the machine; the best of three runs each, by turns, after
one that warms up. The file is written and compared by what `tune_knee.export` uses: beside the
times stand the largest differences from PyTorch.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from tune_knee.config import NETWORKS
from tune_knee.export.export import export_model
from tune_knee.export.graph import SQUARES
from tune_knee.networks import build_network
from tune_knee.segmenter.saved_model import ModelFacts, SavedModel
from tune_knee.segmenter.segmenter import Segmenter

SIZE, RUNS = 512, 3
REGIONS = ("patella", "femur", "tibia", "patellar_tendon")


def untrained(network: str) -> SavedModel:
    """A model with random weights at the paper's size."""
    torch.manual_seed(0)
    facts = ModelFacts(
        network=network,
        width=1,
        regions=REGIONS,
        thresholds=(0.5,) * len(REGIONS),
        prepared_size_px=SIZE,
        image_size_px=SIZE,
        batch_size=1,
        budget="none",
        fingerprint="none",
        study="none",
        study_id="none",
        trial_id="none",
        label=network,
        step=0,
    )
    return SavedModel(facts, build_network(network, regions=len(REGIONS)).state_dict())


def in_onnxruntime(path: Path) -> Callable[[np.ndarray], object]:
    """A file's probabilities, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda frames: session.run(["probabilities"], {SQUARES: frames[:, None]})


def cpu_seconds(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least CPU time of each of some ways, run by turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + RUNS):
        for name, work in ways.items():
            started = time.process_time()
            work()
            times[name].append(time.process_time() - started)
    return {name: min(each[1:]) for name, each in times.items()}


def main() -> None:
    """Print a line for each network."""
    torch.set_num_threads(1)
    frames = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE), dtype=np.uint8)
    sys.stdout.write(f"one frame of {SIZE} x {SIZE}, width 1, 1 thread, CPU seconds\n")
    for name in sys.argv[1:] or NETWORKS:
        model = untrained(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "knee.onnx"
            agreement = export_model(model, path, "onnx")
            exported = in_onnxruntime(path)
            segmenter = Segmenter([model], device=torch.device("cpu"))
            found = cpu_seconds(
                {
                    "PyTorch": lambda s=segmenter: next(s.probabilities(frames)),  # type: ignore[misc]
                    "onnxruntime": lambda run=exported: run(frames),  # type: ignore[misc]
                }
            )
            ratio = found["PyTorch"] / found["onnxruntime"]
            sys.stdout.write(
                f"{name:20} PyTorch {found['PyTorch']:6.2f}, onnxruntime "
                f"{found['onnxruntime']:6.2f}, {ratio:.2f} x; differences "
                f"{agreement.probabilities:.1e} (probabilities), {agreement.logits:.1e} (logits); "
                f"{path.stat().st_size / 2**20:.0f} MiB\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
