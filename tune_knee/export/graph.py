"""What is exported: grey squares in, probabilities out, and nothing of ours between."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tune_knee.data.batch import standardise
from tune_knee.segmenter.saved_model import ModelFacts, SavedModel

SQUARES: Final = "squares"
OUTPUTS: Final = ("probabilities", "logits")
NOTICE: Final = "Not a medical device; for research alone."

Floats: TypeAlias = NDArray[np.float32]
Runner: TypeAlias = Callable[[NDArray[np.uint8]], tuple[Floats, Floats]]
"""Makes squares uint8 (N, 1, S, S) into probabilities and logits, (N, R, S, S) each."""


class ExportedNetwork(nn.Module):
    """A network with what goes before and after it: standardised frames, the sigmoid."""

    def __init__(self, model: SavedModel) -> None:
        super().__init__()
        self.network = model.build()
        self.eval()

    def forward(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Grey squares uint8 (N, 1, S, S) to probabilities and logits, float32 (N, R, S, S)."""
        # In double precision: other runtimes sum a frame in an order of their own, and would
        # otherwise find contrast in a constant one.
        images = standardise(squares[:, 0].double().div_(255))
        logits: Tensor = self.network(images.float())
        return torch.sigmoid(logits), logits


def example_squares(size_px: int) -> Tensor:
    """Two frames to trace with, all grey values from corner to corner. uint8 (2, 1, S, S)."""
    ramp = torch.linspace(0, 255, size_px**2).round().to(torch.uint8)
    return torch.stack([ramp, ramp.flip(0)]).view(2, 1, size_px, size_px)


def metadata(facts: ModelFacts) -> dict[str, str]:
    """What an exported file says of its model: each fact as text, tuples as JSON lists."""
    told = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in asdict(facts).items()
    }
    return {**told, "notice": NOTICE}
