"""Memory that n trials on a node take for their dataset, beside n copies of it.

    python benchmarks/shared_memory.py

n processes hold one dataset from Ray's object store, as trials do, and read all of it. The
measure is the proportional set size (PSS) of what they map of the store, from
/proc/PID/smaps: a page that k processes map counts 1/k in each, so the sum is what the node
really spends. The peer is each process with a copy of its own. Linux only.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import ray

from tune_knee.data.dataset import KneeDataset

PROCESSES, FRAMES, SIZE_PX = 4, 400, 512
MIB = 2**20


@ray.remote(num_cpus=0)
class Holder:
    """A process that has the dataset."""

    def hold(self, dataset: KneeDataset) -> int:
        """Read every page; keep the dataset."""
        self._dataset = dataset
        return int(dataset.images.max()) + int(dataset.masks.max())

    def mapped_mib(self) -> tuple[float, float]:
        """PSS and RSS of what this process maps of Ray's object store."""
        sizes, inside = {"Pss": 0, "Rss": 0}, False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            name, _, rest = line.partition(":")
            if "-" in name.split()[0]:
                inside = "plasma" in line
            elif inside and name in sizes:
                sizes[name] += int(rest.split()[0]) * 1024
        return sizes["Pss"] / MIB, sizes["Rss"] / MIB


def main() -> int:
    """Print the memory of shared and of copied data."""
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 255, (2, FRAMES, SIZE_PX, SIZE_PX), dtype=np.uint8)
    dataset_mib = (images.nbytes + masks.nbytes) / MIB
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    shared = ray.put(KneeDataset(images, masks, pd.DataFrame(), ("a",), "none"))
    holders = [Holder.remote() for _ in range(PROCESSES)]
    ray.get([holder.hold.remote(shared) for holder in holders])
    pss, rss = np.array(ray.get([holder.mapped_mib.remote() for holder in holders])).T
    print(f"dataset: {dataset_mib:.0f} MiB, {PROCESSES} processes that have read all of it")
    print(f"each maps (RSS): {', '.join(f'{value:.0f}' for value in rss)} MiB")
    print(f"all together (sum of PSS; Ray's own process maps the rest): {pss.sum():.0f} MiB")
    print(f"copies would take {PROCESSES * dataset_mib:.0f} MiB, {PROCESSES:.1f} times one dataset;"
          f" shared it is {max(1, pss.sum() / dataset_mib):.1f} times")  # fmt: skip
    return int(rss.min() < 0.95 * dataset_mib or pss.sum() > 1.1 * dataset_mib)


if __name__ == "__main__":
    sys.exit(main())
