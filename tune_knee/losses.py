"""The study's loss: dual-level weighted cross-entropy, Dice and boundary loss, mixed by τ."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tune_knee import boundary
from tune_knee.boundary import PIXELS
from tune_knee.config import TrialConfig


@dataclass(frozen=True)
class LossTerms:
    """What is minimised and the terms it is mixed from, lower is better; scalars.

    A term whose τ is 0 is not computed and is None.
    """

    total: Tensor
    ce: Tensor | None
    dice: Tensor | None
    boundary: Tensor | None


def external_weights(areas: ArrayLike) -> NDArray[np.float64]:
    """Weights of R regions from their areas in the training labels: small regions weigh more.

    With area share s_r = S_r / Σ S: e_r = (1 / s_r) / Σ (1 / s), so Σ e_r = 1 (the paper's
    CE2; its ε cancels).

    Args:
        areas: area of each region, in any one unit. Shape (R,).

    Raises:
        ValueError: if `areas` is no non-empty row of positive, finite numbers.
    """
    values = np.asarray(areas, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"areas must be one number a region, got shape={values.shape}")
    for index, area in enumerate(values):
        if not (np.isfinite(area) and area > 0):
            raise ValueError(
                f"areas must be positive, got areas[{index}]={area:g}; "
                "label that region in the training split or leave it out of the dataset"
            )
    inverse = values.sum() / values
    return np.asarray(inverse / inverse.sum())


def internal_weights(areas_px: NDArray[np.int64], total_px: int) -> NDArray[np.float64]:
    """Weights of background and foreground by inverse class frequency, per region: (2, R).

    total / (2 · class pixels), so that both classes weigh alike in sum and the mean weight
    over the training pixels is 1.

    Raises:
        ValueError: if a region fills none or all of the training pixels.
    """
    areas = np.asarray(areas_px, dtype=np.float64)
    if not ((areas > 0) & (areas < total_px)).all():
        raise ValueError(
            f"areas_px must be between 0 and total_px={total_px}, got areas_px={areas.tolist()}; "
            "give internal_weights as a pair instead of 'balanced'"
        )
    return np.stack([total_px / (2 * (total_px - areas)), total_px / (2 * areas)])


class MixedLoss(nn.Module):
    """τ1 · cross-entropy + τ2 · Dice + τ3 · boundary loss of a trial, lower is better.

    Cross-entropy: Σ_r e_r · mean over pixels of w_r(y) · BCE, with external weights e_r of the
    regions (equal in ce1, `external_weights` in ce2) and internal weights w_r of the two
    classes. Dice: Σ_r u_r · (1 - 2 Σ p·y / (Σ p + Σ y)), sums over the whole batch; a region
    absent from the batch contributes 0. Boundary: see `tune_knee.boundary`. The weights u_r of
    Dice and boundary are 1 / R, or e_r with ``weights_in="all"``.
    """

    ce_weights: Tensor  # e of the cross-entropy, (R,)
    other_weights: Tensor  # u of Dice and boundary, (R,)
    class_weights: Tensor  # of background and foreground, (2, R)

    def __init__(self, trial: TrialConfig, areas_px: NDArray[np.int64], total_px: int) -> None:
        """Prepare the weights.

        Args:
            trial: loss, τ, kind of boundary loss and weights.
            areas_px: pixels of each region over all training frames. Shape (R,).
            total_px: pixels of all training frames, N · H · W.

        Raises:
            ValueError: if a region has no area, where its weight depends on it.
        """
        super().__init__()
        self.trial = trial
        regions = len(areas_px)
        equal = np.full(regions, 1 / regions)
        external = equal if trial.loss == "ce1" else external_weights(areas_px)
        if trial.internal_weights == "balanced":
            internal = internal_weights(areas_px, total_px)
        else:
            internal = np.repeat(np.array(trial.internal_weights)[:, None], regions, axis=1)
        for name, values in {
            "ce_weights": external,
            "other_weights": external if trial.weights_in == "all" else equal,
            "class_weights": internal,
        }.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> LossTerms:
        """The loss of a batch, in float32 whatever the logits' type.

        Args:
            logits: (N, R, H, W).
            targets: 0 or 1, floating or bool. (N, R, H, W).
        """
        tau = self.trial.tau
        with torch.autocast(logits.device.type, enabled=False):
            x, y = logits.float(), targets.float()
            by_class = boundary.bce_by_class(x, y)
            terms = {
                "ce": self._cross_entropy(by_class) if tau.ce else None,
                "dice": self._dice(x, y) if tau.dice else None,
                "boundary": self._boundary(x, y, by_class) if tau.boundary else None,
            }
            parts = [getattr(tau, name) * term for name, term in terms.items() if term is not None]
            return LossTerms(total=torch.stack(parts).sum(), **terms)

    def _cross_entropy(self, by_class: tuple[Tensor, Tensor]) -> Tensor:
        weighted = self.class_weights[0] * by_class[0] + self.class_weights[1] * by_class[1]
        return (self.ce_weights * weighted).sum()

    def _dice(self, x: Tensor, y: Tensor) -> Tensor:
        p = torch.sigmoid(x)
        area = y.sum(PIXELS)
        overlap = 2 * (p * y).sum(PIXELS) / (p.sum(PIXELS) + area).clamp_min(1e-7)
        return (self.other_weights * (1 - overlap) * (area > 0)).sum()

    def _boundary(self, x: Tensor, y: Tensor, by_class: tuple[Tensor, Tensor]) -> Tensor:
        kind = self.trial.boundary
        if kind == "balanced_bce":
            return boundary.balanced_bce(by_class, y.mean(), self.other_weights)
        if kind == "mmseg_1_2_1":
            return boundary.mmseg_1_2_1(x, y, self.other_weights)
        return boundary.signed_distance(x, y, self.other_weights)
