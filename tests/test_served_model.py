"""A registered model behind ``mlflow models serve``, asked over HTTP."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mlflow_server import Service, free_port
from numpy.typing import NDArray
from trained_study import trained_study

from tune_knee.model_sources import find_models
from tune_knee.register import main
from tune_knee.segmenter.geometry import to_original, to_square
from tune_knee.segmenter.segmenter import Segmenter
from tune_knee.tracking_store import sqlite_uri

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served") / "knees"
    trained_study(out)
    assert main([str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    address = f"http://127.0.0.1:{(port := free_port())}"
    programs = Path(sys.executable).parent
    command = [
        str(programs / "mlflow"), "models", "serve", "-m", "models:/knees@best",
        "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    environment = {
        "MLFLOW_TRACKING_URI": sqlite_uri(folder),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",  # it starts uvicorn by its name
    }
    service = Service(command, f"{address}/ping", folder.parent / "serve.log", **environment)
    try:
        service.start()
        yield address
    finally:
        service.kill()


def ask(server: str, content: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{server}/invocations",
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def as_text(picture: NDArray) -> str:
    return base64.b64encode(cv2.imencode(".png", picture)[1]).decode()


def test_answers_pictures_of_any_size_as_the_model_does(server: str, folder: Path) -> None:
    rng = np.random.default_rng(0)
    sizes = ((48, 48), (90, 61), (33, 150))
    pictures = [rng.integers(256, size=size, dtype=np.uint8) for size in sizes]
    records = [{"image": as_text(each)} for each in pictures]
    answers = ask(server, {"dataframe_records": records})["predictions"]
    split = {"columns": ["image"], "data": [[as_text(each)] for each in pictures]}
    assert ask(server, {"dataframe_split": split})["predictions"] == answers
    segmenter = Segmenter(find_models(str(folder), tracking_uri=None))
    squares = np.stack([to_square(each, segmenter.facts) for each in pictures])
    found = segmenter.probabilities(squares)
    for answer, probabilities, picture in zip(answers, found, pictures, strict=True):
        assert list(answer) == ["disc", "bar"]
        mask = segmenter.mask_of(to_original(probabilities, *picture.shape))
        for r, png in enumerate(answer.values()):
            content = np.frombuffer(base64.b64decode(png), np.uint8)
            plane = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(plane, np.where(mask >> r & 1, 255, 0))


def test_takes_16_bit(server: str) -> None:
    picture = np.random.default_rng(0).integers(4096, size=(70, 80), dtype=np.uint16)
    (answer,) = ask(server, {"dataframe_records": [{"image": as_text(picture)}]})["predictions"]
    content = np.frombuffer(base64.b64decode(answer["disc"]), np.uint8)
    assert cv2.imdecode(content, cv2.IMREAD_UNCHANGED).shape == (70, 80)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"dataframe_records": [{"image": base64.b64encode(b"no picture").decode()}]},
         "image 1: the image must be a whole PNG, JPEG or TIFF of 8 or 16 bit"),
        ({"dataframe_records": [{"picture": ""}]}, "missing inputs ['image']"),
    ],
)  # fmt: skip
def test_refuses_what_is_no_picture(server: str, content: dict[str, Any], says: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(server, content)
    assert error.value.code == 400
    assert says in error.value.read().decode()
    assert ask(server, {"dataframe_records": [{"image": as_text(np.eye(40, dtype=np.uint8))}]})
