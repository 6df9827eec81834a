"""The kinds of boundary loss."""

from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

PIXELS: Final = (0, 2, 3)  # what a region's sum runs over in (N, R, H, W)


def bce_by_class(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy, split into what background and foreground pixels contribute.

    Mean over all N · H · W pixels of (1 - y) · BCE, and of y · BCE. (R,) each, in [0, ∞);
    their sum is the plain BCE of each region.

    Args:
        x: logits. (N, R, H, W).
        y: targets, 0 or 1. (N, R, H, W).
    """
    bce = functional.binary_cross_entropy_with_logits(x, y, reduction="none")
    foreground = (bce * y).mean(PIXELS)
    return bce.mean(PIXELS) - foreground, foreground


def balanced_bce(by_class: tuple[Tensor, Tensor], share: Tensor, weights: Tensor) -> Tensor:
    """Class-balanced binary cross-entropy on masks, in [0, ∞), lower is better.

    Σ_r u_r · mean of w_i · BCE_i, where w = N₋ / (N₊ + N₋) on foreground and N₊ / (N₊ + N₋)
    on background, counts over all regions of the batch; u_r = 1 / R gives the plain mean. At
    p = 0.5 it is 2π(1 - π) ln 2 for a foreground share π. A batch without foreground costs 0.

    Args:
        by_class: of `bce_by_class`.
        share: π, foreground among all pixels of all regions; a scalar.
        weights: u, summing to 1. (R,).
    """
    background, foreground = by_class
    return (weights * (share * background + (1 - share) * foreground)).sum()


def mmseg_1_2_1(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """`balanced_bce` as MMSegmentation 1.2.1's BoundaryLoss computes it on (N, R, H, W).

    That function flattens the logits pixel by pixel (NHWC) and the targets region by region
    (NCHW), so that each logit is compared with the target of another pixel and region: a
    perfect prediction scores about 1.55 instead of 0. The collapse published for CE2 +
    boundary looks like this mismatch, and not like any correct boundary loss: a hypothesis, not
    proof, for the authors' code is not public. For reproducing that behaviour, nothing else.

    Args:
        x: logits. (N, R, H, W).
        y: targets, 0 or 1. (N, R, H, W).
        weights: u of the logits' regions, summing to 1. (R,).
    """
    frames, regions, height, width = x.shape
    misread = y.reshape(frames, height, width, regions).permute(0, 3, 1, 2)
    return balanced_bce(bce_by_class(x, misread), y.mean(), weights)


def signed_distance(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Boundary loss of Kervadec et al. 2019, in [-1, 1], lower is better; it can be negative.

    Σ_r u_r · mean of p · φ, with φ of `signed_distance_maps`. The maps are made on the CPU
    wherever the targets are, in about 5 ms a mask of 512².

    Args:
        x: logits. (N, R, H, W).
        y: targets, 0 or 1. (N, R, H, W).
        weights: u, summing to 1. (R,).
    """
    maps = torch.from_numpy(signed_distance_maps(y.bool().cpu().numpy())).to(x.device)
    return (weights * (torch.sigmoid(x) * maps).mean(PIXELS)).sum()


def signed_distance_maps(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance of every pixel to its region's border, negative inside, over the largest one.

    Outside a region the distance to its nearest pixel; inside, minus (the distance to the
    nearest pixel outside - 1), as Kervadec et al. do; Euclidean, exact, in pixels, then
    divided by the largest magnitude of that mask, so that φ is in [-1, 1] and each region
    weighs alike. A mask without border (empty or full) is 0 throughout.

    Args:
        masks: (N, R, H, W).
    """
    maps = np.zeros(masks.shape, dtype=np.float32)
    for index in np.ndindex(masks.shape[:2]):
        mask = masks[index]
        if mask.any() and not mask.all():
            distance = _distance_px(~mask) - np.maximum(_distance_px(mask) - 1, 0)
            maps[index] = distance / np.abs(distance).max()
    return maps


def _distance_px(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance of every set pixel to the nearest one that is not."""
    return np.asarray(
        cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    )
