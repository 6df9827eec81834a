"""The folder that MLflow keeps of a model: the model's file, how to load it, and its card."""

from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Final

import cv2
import mlflow.pyfunc
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from packaging.version import Version

from tune_knee.data.phantom import CasePlan, draw_case
from tune_knee.segmenter import serving
from tune_knee.segmenter.saved_model import SavedModel
from tune_knee.stored_models import MODEL_FILE

CARD: Final = "README.md"
# What the masks depend on; the rest follows from tune_knee's own ranges.
_PINNED: Final = (
    "tune-knee",
    "numpy",
    "opencv-python-headless",
    "segmentation-models-pytorch",
    "timm",
    "torch",
    "torchvision",
)
_EXAMPLE_PX: Final = 128


def write_package(model: SavedModel, card: str, about: Model, folder: Path) -> None:
    """Write a model as MLflow's pyfunc flavour loads it.

    No pickle and no code: the flavour names a module of ours, which reads the one file.

    Args:
        model: the model.
        card: its card, Markdown.
        about: MLflow's own description, with the model's and the run's id.
        folder: a new folder; that which it is in must be there, for the file on its way.
    """
    file = folder.parent / PurePosixPath(MODEL_FILE).name
    model.write(file)
    mlflow.pyfunc.save_model(
        folder,
        loader_module=serving.__name__,
        data_path=file,
        mlflow_model=about,
        signature=_signature(model),
        input_example=_example(),
        pip_requirements=[f"{name}=={Version(version(name)).public}" for name in _PINNED],
        uv_project_path=folder.parent,  # else MLflow takes in what lies in the working directory
    )
    (folder / CARD).write_text(card)


def _signature(model: SavedModel) -> ModelSignature:
    return ModelSignature(
        Schema([ColSpec(DataType.binary, serving.IMAGE)]),
        Schema([ColSpec(DataType.binary, region) for region in model.facts.regions]),
    )


def _example() -> pd.DataFrame:
    """A frame of the phantom: one of the dataset might show a patient."""
    plan = CasePlan(number=0, split="test", side="right", frames=1)
    (image,) = draw_case(plan, seed=0, size_px=_EXAMPLE_PX).images
    encoded, content = cv2.imencode(".png", image)
    assert encoded, "a grey picture of 8 bits has a PNG"
    return pd.DataFrame({serving.IMAGE: [content.tobytes()]})
