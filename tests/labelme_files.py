"""Small LabelMe folders for tests."""

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SQUARE = [[8, 8], [24, 8], [24, 24], [8, 24]]


def shape(label: str, points: list[list[float]], kind: str = "polygon", **more: Any) -> Any:
    return {"label": label, "points": points, "shape_type": kind, "flags": {}, **more}


def encoded(image: NDArray[Any], suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def base64_png(image: NDArray[Any]) -> str:
    return base64.b64encode(encoded(image)).decode()


def grey(height: int = 32, width: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def write_label(path: Path, shapes: list[Any], image: str, **changes: Any) -> Path:
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": 32,
        "imageWidth": 32,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changes))
    return path


def write_frame(
    folder: Path,
    name: str,
    shapes: list[Any],
    image: NDArray[Any] | None = None,
    suffix: str = ".png",
    **changes: Any,
) -> Path:
    """An image and its JSON; returns the JSON's path."""
    image = grey() if image is None else image
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}{suffix}").write_bytes(encoded(image, suffix))
    size = {"imageHeight": image.shape[0], "imageWidth": image.shape[1]}
    return write_label(folder / f"{name}.json", shapes, f"{name}{suffix}", **(size | changes))


def write_cases(src: Path, cases: int = 3, frames: int = 2) -> Path:
    """Cases knee_0, knee_1, ..., each frame with a femur and a tibia that overlap."""
    for case in range(cases):
        for frame in range(frames):
            shapes = [shape("tibia", SQUARE), shape("femur", [[4, 4], [16, 4], [16, 16], [4, 16]])]
            image = grey(seed=100 * case + frame)
            write_frame(src / f"knee_{case}", f"{frame:03}", shapes, image)
    return src
