"""Changes of training frames on the CPU: OpenCV on 8-bit frames, one after the other."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_knee.data.changes import Changes

_IDENTITY = np.eye(2, 3)


def change_frames(images: Tensor, masks: Tensor, changes: Changes) -> tuple[Tensor, Tensor]:
    """Warp, filter and correct frames; 4 to 7 times as fast on one core as `torch_changes`.

    Args:
        images: uint8 (B, S, S), on the CPU.
        masks: uint8 (B, S, S), on the CPU.
        changes: of the B frames; the noise is added elsewhere.

    Returns:
        Grey values in [0, 1], float32 (B, S, S), and masks, uint8 (B, S, S).
    """
    size = images.shape[-1]
    matrices = _pixel_matrices(changes.affine, size)
    sigmas_px = (changes.blur_sigma * size).tolist()
    levels = torch.linspace(0, 1, 256)
    grey = torch.empty(images.shape)
    warped = torch.empty_like(masks)
    for n, (matrix, sigma_px, gamma) in enumerate(
        zip(matrices, sigmas_px, changes.gamma, strict=True)
    ):
        image = _filtered(_warped(images[n].numpy(), matrix, cv2.INTER_LINEAR), sigma_px)
        cv2.LUT(image, (levels**gamma).numpy(), dst=grey[n].numpy())
        warped[n] = torch.from_numpy(_warped(masks[n].numpy(), matrix, cv2.INTER_NEAREST))
    return grey, warped


def _pixel_matrices(affine: Tensor, size: int) -> NDArray[np.float64]:
    """Output pixel -> source pixel, counted at pixel centres. (B, 2, 3)."""
    matrices = affine.double().numpy().copy()
    centre = (size - 1) / 2
    linear = matrices[:, :, :2].sum(axis=2)
    matrices[:, :, 2] = centre + size / 2 * matrices[:, :, 2] - centre * linear
    return matrices


def _warped(
    plane: NDArray[np.uint8], matrix: NDArray[np.float64], interpolation: int
) -> NDArray[np.uint8]:
    if np.array_equal(matrix, _IDENTITY):
        return plane
    flags = interpolation | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(plane, matrix, plane.shape, flags=flags)
    return np.asarray(warped, dtype=np.uint8)


def _filtered(image: NDArray[np.uint8], sigma_px: float) -> NDArray[np.uint8]:
    if not sigma_px:
        return image
    blurred = cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.uint8)
