"""Bit masks as PNG, and what their bits mean."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tune_knee.predict.recordings import Recording


def read_mask(path: Path) -> NDArray[np.uint8]:
    """A mask that was written before.

    Raises:
        ValueError: if it is no such PNG any more.
    """
    mask = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(
            f"a mask must be the grey 8-bit PNG that was written, got mask={path}; remove it, "
            "and it is made again"
        )
    return np.asarray(mask)


def regions_json(recording: Recording, regions: tuple[str, ...]) -> bytes:
    """Names of the regions in bit order, and what is known of the recording's scale.

    `spacing_mm` is that of a source pixel and so of a mask's; `frame_time_ms` is the mean.
    """
    about: dict[str, object] = {"regions": list(regions)}
    if recording.spacing_mm is not None:
        about["spacing_mm"] = recording.spacing_mm
        about["spacing_source"] = recording.frames[0].facts.spacing_source
    times_s = recording.times_s
    if times_s is not None and len(times_s) > 1:
        about["frame_time_ms"] = 1000 * (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    return (json.dumps(about, indent=2) + "\n").encode()
