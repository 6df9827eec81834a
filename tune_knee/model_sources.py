"""Models by where they are: a file."""

from pathlib import Path

from tune_knee.segmenter.saved_model import SavedModel


def find_models(asked: str, *, tracking_uri: str | None, top: int = 1) -> tuple[SavedModel, ...]:
    """The model in a file.

    Raises:
        ValueError: if it is no model, or more than one is asked for.
    """
    if top != 1:
        raise ValueError(f"a file holds one model, got {top} asked of model={asked}")
    return (SavedModel.read(Path(asked)),)
