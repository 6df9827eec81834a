"""What one trained model, or the mean of several, makes of pictures."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tune_knee.data.batch import standardise
from tune_knee.precision import autocast
from tune_knee.segmenter.saved_model import SavedModel


class Segmenter:
    """Probabilities and masks of square frames, by one model or the mean of several.

    Args:
        models: of equal regions and sizes; the probabilities of several are averaged, and
            the thresholds are the first one's.
        mirrored: average each model's probabilities with those of the mirrored frame,
            mirrored back (test-time augmentation).
        device: where to compute; None takes a GPU if there is one.

    Raises:
        ValueError: if the models do not fit each other, or weights not their network.
    """

    def __init__(
        self,
        models: Sequence[SavedModel],
        *,
        mirrored: bool = False,
        device: torch.device | None = None,
    ) -> None:
        assert models, "a segmenter is made of at least one model"
        self.models = tuple(models)
        self.facts = models[0].facts
        for other in models[1:]:
            _must_fit(self.models[0], other)
        self.mirrored = mirrored
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._networks = [
            model.build().eval().to(self.device).to(memory_format=torch.channels_last)
            for model in models
        ]

    @torch.inference_mode()
    def probabilities(self, squares: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
        """Of each frame in turn, in [0, 1]; computed by batches of the model's batch size.

        Args:
            squares: (N, S, S), as `geometry.to_square` makes them.

        Yields:
            N arrays of shape (R, S, S).
        """
        size = self.facts.image_size_px
        assert squares.shape[1:] == (size, size), "frames are of the model's size"
        for start in range(0, len(squares), self.facts.batch_size):
            batch = torch.from_numpy(squares[start : start + self.facts.batch_size])
            images = standardise(batch.to(self.device).float().div_(255))
            yield from self._mean(images).cpu().numpy()

    def masks(self, squares: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bit masks at the model's size; region r is bit r. Shape (N, S, S).

        Of one model, not mirrored, they are what the study's test makes of these frames.
        """
        return np.stack([self.mask_of(each) for each in self.probabilities(squares)])

    def mask_of(self, probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Bit mask of a frame: where each region's probability exceeds its threshold.

        Args:
            probabilities: (R, H, W).

        Returns:
            Shape (H, W); bit r is region r.
        """
        mask = np.zeros(probabilities.shape[1:], dtype=np.uint8)
        for r, (plane, threshold) in enumerate(
            zip(probabilities, self.facts.thresholds, strict=True)
        ):
            mask |= (plane > threshold).astype(np.uint8) << r
        return mask

    def _mean(self, images: Tensor) -> Tensor:
        found = [self._of_one(network, images) for network in self._networks]
        return torch.stack(found).mean(dim=0) if len(found) > 1 else found[0]

    def _of_one(self, network: nn.Module, images: Tensor) -> Tensor:
        plain = self._probabilities(network, images)
        if not self.mirrored:
            return plain
        return (plain + self._probabilities(network, images.flip(-1)).flip(-1)) / 2

    def _probabilities(self, network: nn.Module, images: Tensor) -> Tensor:
        with autocast(self.device):
            logits: Tensor = network(images.contiguous(memory_format=torch.channels_last))
        # In double precision a logit above 0 is a probability above one half.
        return torch.sigmoid(logits.double())


def _must_fit(first: SavedModel, other: SavedModel) -> None:
    for name in ("regions", "prepared_size_px", "image_size_px"):
        mine, theirs = getattr(first.facts, name), getattr(other.facts, name)
        if mine != theirs:
            raise ValueError(
                f"models of an ensemble must have equal {name}, got {mine} of "
                f"{first.facts.label} and {theirs} of {other.facts.label}"
            )
