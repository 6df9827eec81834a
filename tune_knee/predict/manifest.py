"""predict.json: what a folder of predictions was made by, and of what."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from tune_knee.predict.layout import MANIFEST
from tune_knee.predict.reading import ReadRecording
from tune_knee.predict.whole_files import write_whole
from tune_knee.segmenter.saved_model import ModelFacts, SavedModel
from tune_knee.segmenter.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class UsedModel:
    """A model's facts, and a hash of its weights."""

    facts: ModelFacts
    weights: str


@dataclass(frozen=True, kw_only=True)
class SourceFrame:
    """A frame by its case, its recording's folder and its name, where it came from, and its hash.

    `source` is as `data prepare` writes it: a path in the source, or DICOM pseudonyms.
    """

    case: str
    folder: str
    name: str
    source: str
    content_hash: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that masks depend on."""

    models: tuple[UsedModel, ...]
    mirrored: bool
    frames: tuple[SourceFrame, ...]
    schema_version: Literal[1] = 1

    @property
    def model_hash(self) -> str:
        """What tells the models, and how they are used, from others."""
        used = [
            *(model.weights for model in self.models),
            *("mirrored" for _ in range(self.mirrored)),
        ]
        return hashlib.sha256(" ".join(used).encode()).hexdigest()[:16]

    @classmethod
    def of(cls, segmenter: Segmenter, recordings: Sequence[ReadRecording]) -> "Manifest":
        """Of these models and frames."""
        return cls(
            models=tuple(
                UsedModel(facts=model.facts, weights=weights_hash(model))
                for model in segmenter.models
            ),
            mirrored=segmenter.mirrored,
            frames=tuple(
                SourceFrame(
                    case=read.recording.case,
                    folder=read.recording.folder,
                    name=name,
                    source=frame.source,
                    content_hash=content_hash,
                )
                for read in recordings
                for name, frame, content_hash in zip(
                    read.recording.names,
                    read.recording.frames,
                    read.content_hashes,
                    strict=True,
                )
            ),
        )

    def claim(self, out: Path) -> None:
        """Make a folder this prediction's, or go on in it.

        Raises:
            ValueError: if it is another's, or holds anything else.
        """
        path = out / MANIFEST
        if not path.exists():
            if out.exists() and (not out.is_dir() or any(_not_ours(out))):
                raise ValueError(
                    f"out must be new or a prediction's folder, got out={out}; name another folder"
                )
            write_whole(path, (json.dumps(asdict(self), indent=1) + "\n").encode())
            return
        try:
            other = TypeAdapter(Manifest).validate_json(path.read_bytes())
        except ValidationError as error:
            raise ValueError(
                f"{MANIFEST} must be one that tune_knee wrote, got {path}; name another folder"
            ) from error
        for name in ("models", "mirrored", "frames"):
            if getattr(self, name) != getattr(other, name):
                what = {"mirrored": "setting of --tta"}.get(name, name)
                raise ValueError(
                    f"a folder must hold predictions of one kind, got other {what} than those "
                    f"of out={out}; name another folder"
                )


def weights_hash(model: SavedModel) -> str:
    """Hash of a model's weights, by name and value."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.weights.items()):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _not_ours(out: Path) -> list[Path]:
    """What lies in a folder, but for a manifest that a killed run left half written."""
    return [path for path in out.iterdir() if path.name != f".{MANIFEST}.partial"]
