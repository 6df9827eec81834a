"""A trained model in one file: its weights, and all that is needed to use them rightly."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final, Literal, Self

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from tune_knee.checks import must_be_positive, must_be_share
from tune_knee.networks import build_network
from tune_knee.networks.base import SegmentationNetwork
from tune_knee.networks.checkpoint_file import DAMAGED

THRESHOLD: Final = 0.5  # of probability, where validation and test put it
_FACTS, _WEIGHTS = "facts", "weights"


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a model is, and where it comes from.

    Attributes:
        network: as `build_network` takes it.
        width: factor on its channels.
        regions: names of the R regions, in the order of the logits' channels.
        thresholds: of each region's probability, in (0, 1); above it a pixel is the region's.
        prepared_size_px: side of the frames of the dataset that it was trained with.
        image_size_px: side to which these were brought, which the network saw.
        batch_size: frames that it was tested with at a time.
        budget: name of what was spent on its training.
        fingerprint: identity of that dataset.
        study, study_id, trial_id: where it was trained; the id is empty outside of a study.
        label: the trial in words.
        step: of the validation at which it was best.
    """

    network: str
    width: float
    regions: tuple[str, ...]
    thresholds: tuple[float, ...]
    prepared_size_px: int
    image_size_px: int
    batch_size: int
    budget: str
    fingerprint: str
    study: str
    study_id: str
    trial_id: str
    label: str
    step: int
    schema_version: Literal[1] = 1

    __pydantic_config__ = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        must_be_positive(
            prepared_size_px=self.prepared_size_px,
            image_size_px=self.image_size_px,
            batch_size=self.batch_size,
        )
        if len(self.thresholds) != len(self.regions):
            raise ValueError(
                f"there must be a threshold a region, got {len(self.thresholds)} for "
                f"{', '.join(self.regions)}"
            )
        for region, threshold in zip(self.regions, self.thresholds, strict=True):
            must_be_share(**{f"threshold of {region}": threshold})


@dataclass(frozen=True)
class SavedModel:
    """A model's facts and weights."""

    facts: ModelFacts
    weights: Mapping[str, Tensor]

    def write(self, path: Path) -> None:
        """Write the file aside, then rename it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        content = {_FACTS: json.dumps(asdict(self.facts)), _WEIGHTS: dict(self.weights)}
        file = io.BytesIO()
        torch.save(content, file)
        try:
            aside.write_bytes(file.getbuffer())  # of a full disk torch itself says RuntimeError
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a model's file; nothing in it is run.

        Raises:
            ValueError: if there is no such file, or it holds no model of this schema.
        """
        must = "a model's file must be one that tune_knee wrote"
        if not path.is_file():
            raise ValueError(f"{must}, got no file at model={path}")
        try:
            file = io.BytesIO(path.read_bytes())  # of a cut file on disk torch says EINVAL
            _must_be_unchanged(file)
            content = torch.load(file, map_location="cpu", weights_only=True)
        except (*DAMAGED, pickle.UnpicklingError) as error:
            raise ValueError(
                f"{must}, whole, got model={path} ({type(error).__name__}); export it again"
            ) from error
        if not isinstance(content, dict) or set(content) != {_FACTS, _WEIGHTS}:
            raise ValueError(f"{must}, got other content in model={path}")
        try:
            facts = TypeAdapter(ModelFacts).validate_json(content[_FACTS])
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{must}, got {field}: {first['msg']} in model={path}") from error
        return cls(facts, content[_WEIGHTS])

    def build(self) -> SegmentationNetwork:
        """The network with its weights, on the CPU.

        Raises:
            ValueError: if the weights are not this network's.
        """
        facts = self.facts
        network = build_network(facts.network, regions=len(facts.regions), width=facts.width)
        try:
            network.load_state_dict(self.weights)
        except RuntimeError as error:
            raise ValueError(
                f"a model's weights must be those of its network, got network={facts.network} of "
                f"width {facts.width:g}: {str(error).splitlines()[-1].strip()}"
            ) from error
        return network


def _must_be_unchanged(file: IO[bytes]) -> None:
    """Raise BadZipFile where a part is not what was written, which torch does not look for."""
    with zipfile.ZipFile(file) as parts:
        if (name := parts.testzip()) is not None:
            raise zipfile.BadZipFile(f"{name} is damaged")
    file.seek(0)
