"""Losses between predicted and true gaze."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.angles import unit_vector
from gazecourse.validation import describe


def gaze_l1(pred: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the angles (or of screen points), the loss of Full-Face and PureGaze.

        L = 1/(2B) Σ |ĝ − g|₁

    Args:
        pred, target: [B, 2] (pitch, yaw) in radians, or (x, y) in mm.
    Returns:
        Scalar, in the unit of the arguments.
    Raises:
        ValueError: the shapes differ or are not [B, 2]: L1 would broadcast them without a word.
    """
    _check_pair(pred, target)
    return (pred - target).abs().mean()


def gaze_angular(pred: Tensor, target: Tensor) -> Tensor:
    """Mean angle between predicted and true directions: the measure itself as the loss (CLIP-Gaze).

    Written as atan2(|a × b|, a · b), whose gradient stays finite where the directions agree; that of arccos does not.

    Args:
        pred, target: [B, 2] (pitch, yaw) in radians.
    Returns:
        Scalar, radians.
    Raises:
        ValueError: the shapes differ or are not [B, 2].
    """
    _check_pair(pred, target)
    precision = torch.promote_types(torch.promote_types(pred.dtype, target.dtype), torch.float32)
    a, b = unit_vector(pred.to(precision)), unit_vector(target.to(precision))
    across = (torch.linalg.cross(a, b).square().sum(-1) + 1e-12).sqrt()
    return torch.atan2(across, (a * b).sum(-1)).mean()


def _check_pair(pred: Tensor, target: Tensor) -> None:
    for name, value in (("pred", pred), ("target", target)):
        if not isinstance(value, Tensor) or value.ndim != 2 or value.shape[1] != 2:
            raise ValueError(f"{name} must be a tensor [B, 2]; got {describe(value)}.")
    if pred.shape != target.shape:
        raise ValueError(f"pred and target must have one shape; got {list(pred.shape)} and {list(target.shape)}.")
