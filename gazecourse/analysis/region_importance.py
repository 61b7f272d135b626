"""Which parts of a face a network needs: hide one after another, and see how much more it errs (Full-Face, 5.3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gazecourse.validation import check_array, check_whole, describe

GRAY = 0.5
EYES = slice(36, 48)
"""Landmarks (iBUG 68) of both eyes."""


@torch.no_grad()
def region_importance(
    error: Callable[[Tensor], Tensor], images: Tensor, *, mask: int, stride: int, fill: float = GRAY
) -> Tensor:
    """Rise of the error of every image while a gray square hides one part of it after another.

    Args:
        error: ``error(images)`` gives the error [N] of each image, degrees.
        images: [N, 3, H, W] in [0, 1]; not changed.
        mask: height and width of the square in pixels.
        stride: pixels from one position to the next. The first lies in the top left corner, and all lie wholly in the
            image.
        fill: gray value of the square.
    Returns:
        [N, rows, columns], degrees: error with the square minus error without; negative where hiding helps.
    Raises:
        TypeError, ValueError: no images, a square that does not fit, or an ``error`` that is not one per image.
    """
    check_array("images", images, ("N", 3, "H", "W"), low=-0.05, high=1.05)
    height, width = images.shape[-2:]
    check_whole("mask", mask, 1, min(height, width))
    check_whole("stride", stride, 1)
    whole = _one_each(error(images), len(images))
    rises = []
    for top in range(0, height - mask + 1, stride):
        for left in range(0, width - mask + 1, stride):
            hidden = images.clone()
            hidden[..., top : top + mask, left : left + mask] = fill
            rises.append(_one_each(error(hidden), len(images)) - whole)
    rows = len(range(0, height - mask + 1, stride))
    return torch.stack(rises, dim=1).unflatten(1, (rows, -1))


def _one_each(errors: Tensor, count: int) -> Tensor:
    if not isinstance(errors, Tensor) or errors.shape != (count,):
        raise ValueError(f"error must return one number per image, [{count}]; got {describe(errors)}.")
    return errors


def mask_centers(size: int, mask: int, stride: int) -> Tensor:
    """Middles of the square along one axis [n], pixels."""
    return torch.arange(0, size - mask + 1, stride) + mask / 2


def eye_region(landmarks: Tensor, size: int, *, mask: int, stride: int, margin: float = 0.0) -> Tensor:
    """Positions of the square whose middle lies on the eyes: in the box around their 12 landmarks.

    Args:
        landmarks: [N, 68, 2] (x, y) pixels. size: of the images. mask, stride: as in ``region_importance``.
        margin: pixels by which the box is larger on every side; half a mask reaches all squares that touch it.
    Returns:
        bool [N, rows, columns].
    """
    check_array("landmarks", landmarks, ("N", 68, 2))
    low, high = landmarks[:, EYES].amin(1) - margin, landmarks[:, EYES].amax(1) + margin
    middle = mask_centers(size, mask, stride).to(landmarks)
    inside = [(middle >= low[:, axis, None]) & (middle <= high[:, axis, None]) for axis in (0, 1)]
    return inside[1].unsqueeze(2) & inside[0].unsqueeze(1)


def share_of_eyes(importance: Tensor, region: Tensor) -> np.ndarray:
    """How much of what a network needs lies on the eyes, of each image: sum there / sum everywhere, of all rises.

    Args:
        importance: [N, rows, columns] from ``region_importance``; where hiding helped counts as 0.
        region: bool [N, rows, columns] from ``eye_region``.
    Returns:
        float64 [N] in [0, 1]; NaN for an image that no square made worse.
    """
    if importance.shape != region.shape:
        raise ValueError(f"region must have the shape of importance, {list(importance.shape)}; got {describe(region)}.")
    rise = importance.clamp(min=0).double()
    total = rise.sum((1, 2))
    share = (rise * region).sum((1, 2)) / total
    return torch.where(total > 0, share, torch.nan).cpu().numpy()
