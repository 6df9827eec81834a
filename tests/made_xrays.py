"""Folders of made X-rays: smooth noise as images and as DICOM, of several sizes and depths."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from labelme_files import encoded
from made_dicom import dicom, save
from made_model import made_model
from numpy.typing import NDArray

from tune_knee.segmenter.saved_model import SavedModel


def smooth(height: int, width: int, seed: int, top: int = 255) -> NDArray[Any]:
    """Blobs in all grey values up to `top`; uint8 where they fit, else uint16."""
    noise = np.random.default_rng(seed).random((height, width))
    blobs = cv2.GaussianBlur(noise, (0, 0), min(height, width) / 8)
    share = (blobs - blobs.min()) / (blobs.max() - blobs.min())
    return (share * top).astype(np.uint8 if top < 256 else np.uint16)


def write_images(folder: Path, frames: int, height: int, width: int, **more: Any) -> Path:
    """PNGs called 0, 1, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(frames):
        (folder / f"{n}.png").write_bytes(encoded(smooth(height, width, n, **more)))
    return folder


def write_single_frames(folder: Path, frames: int, height: int, width: int, **more: Any) -> Path:
    """A series of 12 bit, an object a frame, 50 ms apart."""
    for n in range(frames):
        facts = {"bits": 12, "instance": n, "number": n, "FrameTime": 50, **more}
        save(folder / f"im{n}.dcm", dicom(smooth(height, width, n, 4000), **facts))
    return folder


def write_multi_frame(path: Path, frames: int, height: int, width: int, **more: Any) -> Path:
    """One object of 12 bit, 40 ms a frame."""
    pixels = np.stack([smooth(height, width, n, 4000) for n in range(frames)])
    facts = {"bits": 12, "patient": "patient 2", "instance": "run", "FrameTime": 40, **more}
    return save(path, dicom(pixels, **facts))


def write_xrays(src: Path) -> Path:
    """Every kind of source, none of them square."""
    write_images(src / "knee" / "run 1", 5, 51, 40)
    write_images(src / "deep", 3, 33, 48, top=9000)
    write_single_frames(src / "series", 3, 37, 44)
    write_multi_frame(src / "many" / "run.dcm", 4, 45, 32)
    return src


def blob_model(**changes: Any) -> SavedModel:
    """An untrained model whose two regions overlap on these X-rays, and leave some of them."""
    return made_model(**{"batch_size": 2, **changes})
