"""Measure how knees move, from a dataset's labels or from masks: a CSV and a plot a sequence."""

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pandas as pd
from tqdm import tqdm

from tune_knee import keys
from tune_knee.motion import columns
from tune_knee.motion.anatomy import Anatomy
from tune_knee.motion.joint import not_measured
from tune_knee.motion.plot import draw_motion, save_motion
from tune_knee.motion.sequence import measure_sequence
from tune_knee.motion.sources import MaskSequence, read_dataset, read_mask_folders

MOTION_CSV: Final = "motion.csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write. Returns the exit code: 2 where the user can mend something."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if (options.src / "masks.npy").is_file():
            count, sequences = read_dataset(options.src)
        else:
            count, sequences = read_mask_folders(options.src)
        table = _measure(sequences, count, options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    doubtful = int(table[columns.DOUBTFUL].sum())
    sys.stdout.write(
        f"{options.out / MOTION_CSV}: {len(table)} frames of {count} "
        f"{'sequence' if count == 1 else 'sequences'}, {doubtful} doubtful\n"
    )
    return 0


def _measure(
    sequences: Iterable[MaskSequence], count: int, options: argparse.Namespace
) -> pd.DataFrame:
    options.out.mkdir(parents=True, exist_ok=True)
    tables: list[pd.DataFrame] = []
    for one in tqdm(sequences, "motion", count, unit="sequence", disable=None):
        if not tables:
            _say_not_measured(one.regions)
        table = measure_sequence(
            one.masks,
            one.regions,
            spacing_mm=one.spacing_mm,
            frame_time_ms=options.frame_time_ms or one.frame_time_ms,
        )
        table.insert(0, keys.CASE, one.case)
        table.insert(1, keys.FRAME, one.frames)
        save_motion(draw_motion(table, one.case), options.out / f"{quote(one.case, safe='')}.png")
        tables.append(table)
    whole = pd.concat(tables, ignore_index=True)
    whole.round(4).to_csv(options.out / MOTION_CSV, index=False)
    return whole


def _say_not_measured(regions: Sequence[str]) -> None:
    for measure, parts in not_measured(Anatomy.among(regions)).items():
        logging.getLogger(__name__).info(
            "%s not measured: no region is named %s (regions: %s)",
            measure,
            " or ".join(parts),
            ", ".join(regions),
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tune_knee.motion", description=__doc__)
    parser.add_argument(
        "src",
        type=Path,
        metavar="DATASET|MASKS|PREDICTED",
        help="a prepared dataset, a sequence's folder of mask PNGs with regions.json, or a folder "
        "of these, such as tune_knee.predict writes",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for motion.csv and plots"
    )
    parser.add_argument(
        "--frame-time-ms",
        type=float,
        metavar="MS",
        help="from one frame to the next, for a time axis (default: what regions.json says)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
