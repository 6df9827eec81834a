"""Whether an exported model says what ours does."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from tune_knee.data.batch import standardise
from tune_knee.data.phantom import CasePlan, draw_case
from tune_knee.export.graph import Floats, Runner
from tune_knee.segmenter.geometry import to_square
from tune_knee.segmenter.saved_model import ModelFacts, SavedModel

TOLERANCE: Final = 1e-4
_PHANTOM_PX: Final = 256


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The largest differences between two ways to compute one model; lower is better.

    Attributes:
        probabilities: absolute.
        logits: relative to the frame's largest logit, absolute where that is within ±1. A
            trained network's reach ±50, and the order of summing alone moves each by some
            millionths of that.
    """

    probabilities: float
    logits: float

    @property
    def holds(self) -> bool:
        """Whether both are within `TOLERANCE`; NaN is not."""
        return self.probabilities <= TOLERANCE and self.logits <= TOLERANCE


def compare(model: SavedModel, exported: Runner) -> Agreement:
    """Run both on frames of the phantom, noise and one grey, by one and by three frames."""
    squares = frames_to_compare(model.facts)
    expected_probabilities, expected_logits = _expected(model, squares)
    parts = [exported(squares[:1]), exported(squares[1:])]
    probabilities, logits = (np.concatenate(each) for each in zip(*parts, strict=True))
    largest = np.abs(expected_logits).max(axis=(1, 2, 3), keepdims=True)
    return Agreement(
        probabilities=float(np.abs(probabilities - expected_probabilities).max()),
        logits=float((np.abs(logits - expected_logits) / np.maximum(1, largest)).max()),
    )


def frames_to_compare(facts: ModelFacts) -> NDArray[np.uint8]:
    """Two X-rays of the phantom, one of noise, one of a single grey. Shape (4, 1, S, S)."""
    size = facts.image_size_px
    plan = CasePlan(number=0, split="test", side="left", frames=2)
    knees = [to_square(each, facts) for each in draw_case(plan, seed=0, size_px=_PHANTOM_PX).images]
    noise = np.random.default_rng(0).integers(0, 256, (size, size), dtype=np.uint8)
    grey = np.full((size, size), 100, dtype=np.uint8)
    return np.stack([*knees, noise, grey])[:, None]


@torch.inference_mode()
def _expected(model: SavedModel, squares: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Probabilities and logits as the study's test and `Segmenter` compute them, in PyTorch."""
    network = model.build().eval()
    frames = torch.from_numpy(squares[:, 0])
    logits = torch.cat([network(standardise(each[None].float().div_(255))) for each in frames])
    return torch.sigmoid(logits).numpy(), logits.numpy()
