"""Losses between predicted and true landmarks: which errors they attend to, and whether the shape stays together.

A *penalty* takes residuals of any shape and gives one value for each, so that it can be drawn, compared and put into
either loss. Penalties are even in the residual; at 0 their subgradient is 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from gazecourse.validation import check_array, check_positive, describe

Penalty = Callable[[Tensor], Tensor]
"""Residuals of any shape → one value for each."""

LARGEST_SHARE = 2.0
"""Landmarks within ±2 are no pixels: a chin below the image lies at 1.2 of its height, not at 2 pixels."""


# ---------------------------------------------------------------------- penalties


def l1(residual: Tensor) -> Tensor:
    """|x|: every error pulls alike.

    Args:
        residual: floating point, any shape.
    Raises:
        TypeError: not a floating-point tensor.
    """
    return _distance(residual)


def l2(residual: Tensor) -> Tensor:
    """½ x²: an error pulls as hard as it is large, so that outliers decide.

    Args:
        residual: floating point, any shape.
    Raises:
        TypeError: not a floating-point tensor.
    """
    return _distance(residual).square() / 2


def smooth_l1(residual: Tensor) -> Tensor:
    """½ x² if |x| < 1, else |x| − ½ (Girshick 2015): L1 without its kink at 0.

    Args:
        residual: pixels, floating point, any shape.
    Raises:
        TypeError: not a floating-point tensor.
    """
    x = _distance(residual)
    return torch.where(x < 1, x.square() / 2, x - 0.5)


def wing(residual: Tensor, omega: float = 10.0, epsilon: float = 2.0) -> Tensor:
    """Small and middle-sized errors amplified (Feng et al. 2018).

        ω ln(1 + |x|/ε)   if |x| < ω
        |x| − C           else,   C = ω − ω ln(1 + ω/ε)

    The slope falls from ω/ε at 0 to ω/(ε + ω) at ω, where it jumps to 1. C joins the two pieces.

    Args:
        residual: x in pixels, floating point, any shape.
        omega: ω in pixels, where the logarithm ends.
        epsilon: ε in pixels, how sharply the logarithm bends.
    Raises:
        TypeError, ValueError: no floating-point tensor, or a constant that is not finite and above 0.
    """
    x = _distance(residual)
    check_positive("omega", omega)
    check_positive("epsilon", epsilon)
    c = omega - omega * math.log1p(omega / epsilon)
    return torch.where(x < omega, omega * torch.log1p(x / epsilon), x - c)


def soft_wing(residual: Tensor, omega1: float = 2.0, omega2: float = 20.0, epsilon: float = 0.5) -> Tensor:
    """Middle-sized errors amplified, small ones left alone (Lin et al. 2021).

        |x|                     if |x| < ω₁
        ω₂ ln(1 + |x|/ε) + B    else,   B = ω₁ − ω₂ ln(1 + ω₁/ε)

    Errors below ω₁ may be the annotator's; they pull with slope 1. At ω₁ the slope jumps to ω₂/(ε + ω₁), 8 with the
    paper's constants, and falls from there, so that outliers pull little. B joins the two pieces.

    Args:
        residual: x in pixels, floating point, any shape. In units of the image, where |x| < 1, this is plain L1.
        omega1: ω₁ in pixels, where the logarithm begins.
        omega2: ω₂ in pixels, the strength of the logarithm.
        epsilon: ε in pixels, how sharply the logarithm bends.
    Raises:
        TypeError, ValueError: no floating-point tensor, or a constant that is not finite and above 0.
    """
    x = _distance(residual)
    for name, value in (("omega1", omega1), ("omega2", omega2), ("epsilon", epsilon)):
        check_positive(name, value)
    b = omega1 - omega2 * math.log1p(omega1 / epsilon)
    return torch.where(x < omega1, x, omega2 * torch.log1p(x / epsilon) + b)


def adaptive_wing(
    residual: Tensor,
    target: Tensor | float = 1.0,
    omega: float = 14.0,
    theta: float = 0.5,
    epsilon: float = 1.0,
    alpha: float = 2.1,
) -> Tensor:
    """A wing that knows whether it looks at a landmark or at the background, for heat maps (Wang et al. 2019).

        ω ln(1 + |x/ε|^(α−y))   if |x| < θ
        A |x| − C               else,   A = ω (α−y) (θ/ε)^(α−y−1) / (ε (1 + (θ/ε)^(α−y)))
                                        C = θ A − ω ln(1 + (θ/ε)^(α−y))

    y is the true value of the heat map's pixel: near a landmark (y = 1) the exponent is 1.1 and small errors count
    almost as in wing, on the background (y = 0) it is 2.1 and they hardly count. A and C join value and slope.

    Coordinates have no y, so that the loss cannot adapt to anything there. It is given for reference: on residuals
    of coordinates it is, with the same y for all, a wing of half a pixel with a rounded tip.

    Args:
        residual: x, the difference of two heat maps, floating point, any shape.
        target: y in [0, 1], a number or a tensor that broadcasts to the residual.
        omega: ω, the strength of the logarithm.
        theta: θ, where the logarithm ends.
        epsilon: ε, how sharply the logarithm bends.
        alpha: α, above 1 + the largest y, or the slope at 0 would not be 0.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    x = _distance(residual)
    for name, value in (("omega", omega), ("theta", theta), ("epsilon", epsilon), ("alpha", alpha)):
        check_positive(name, value)
    y = torch.as_tensor(target, dtype=x.dtype, device=x.device)
    check_array("target", y, low=0.0, high=1.0)
    if y.numel() and alpha <= 1 + float(y.max()):
        raise ValueError(f"alpha must be above 1 + the largest target, {1 + float(y.max()):g}; got {alpha!r}.")
    power = alpha - y
    edge = (theta / epsilon) ** power
    slope = omega * power * edge / (theta * (1 + edge))  # A: edge / θ is (θ/ε)^(α−y−1) / ε
    return torch.where(
        x < theta,
        omega * torch.log1p((x / epsilon) ** power),
        slope * (x - theta) + omega * torch.log1p(edge),
    )


def _distance(residual: Tensor) -> Tensor:
    """|x|. NaN is passed on: a training loop can say at which step a run broke."""
    if not isinstance(residual, Tensor) or not residual.is_floating_point():
        raise TypeError(f"residual must be a floating-point tensor; got {describe(residual)}.")
    return residual.abs()


# ---------------------------------------------------------------------- losses


def landmark_loss(pred: Tensor, target: Tensor, penalty: Penalty = soft_wing) -> Tensor:
    """Mean penalty of all coordinates.

        L = 1/(2BN) Σ penalty(P̂ − P)

    Args:
        pred: P̂ [B, N, 2] in pixels. NaN is passed on: ``train`` ends such a run.
        target: P, same shape, in pixels.
        penalty: ``l1``, ``l2``, ``smooth_l1``, ``wing``, ``soft_wing``, or any other function of the residuals.
    Returns:
        Scalar.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    Warns:
        UserWarning: the true landmarks lie within ±2, as shares of the image do, and the penalty has constants in
            pixels, as all but ``l1`` and ``l2`` have.
    """
    _check_landmarks(pred, target, penalty)
    return penalty(pred - target).mean()


def relative_location_loss(pred: Tensor, target: Tensor, laplacian: Tensor, penalty: Penalty = soft_wing) -> Tensor:
    """Mean penalty of where each landmark lies relative to its neighbors (Lin et al. 2021, relative location loss).

        Δ(P) = L P,   Δᵢ = Pᵢ − mean of the neighbors' Pⱼ
        L_rel = 1/(2BN) Σ penalty(Δ(P̂) − Δ(P))

    A face that is misplaced as a whole costs nothing here; one landmark out of line with its neighbors does.

    Args:
        pred, target: P̂ and P [B, N, 2] in pixels, as in ``landmark_loss``.
        laplacian: L [N, N], dense or sparse, as ``laplacian(adjacency)`` makes it.
        penalty: a function of the residuals.
    Returns:
        Scalar.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    Warns:
        UserWarning: as ``landmark_loss``.
    """
    _check_landmarks(pred, target, penalty)
    matrix = _check_laplacian(laplacian, pred)
    # L is linear, so that Δ(P̂) − Δ(P) is L (P̂ − P). One product serves all faces: [N, N] with [N, 2B].
    residual = (pred - target).permute(1, 0, 2)
    return penalty((matrix @ residual.flatten(1)).view_as(residual)).mean()


def _check_landmarks(pred: Tensor, target: Tensor, penalty: Penalty) -> None:
    for name, value in (("pred", pred), ("target", target)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor [B, N, 2]; got {describe(value)}.")
    check_array("target", target, ("B", "N", 2))
    check_array("pred", pred, tuple(target.shape), finite=False, hint="It must have the shape of target.")
    if not target.numel():
        raise ValueError(f"target must hold landmarks; got {describe(target)}.")
    if not callable(penalty):
        raise TypeError(f"penalty must be a function of the residuals, such as soft_wing; got {describe(penalty)}.")
    warn_of_shares(target, penalty, stacklevel=4)


def warn_of_shares(landmarks: Tensor, penalty: Penalty, *, stacklevel: int = 2) -> None:
    """Warn where landmarks seem to be shares of the image and the penalty has constants in pixels.

    Args:
        landmarks: any shape.
        penalty: as in ``landmark_loss``; ``l1`` and ``l2`` have no such constants.
        stacklevel: as in ``warnings.warn``.
    """
    if penalty not in (l1, l2) and bool((landmarks.abs() <= LARGEST_SHARE).all()):
        warnings.warn(
            f"The landmarks lie within ±{LARGEST_SHARE:g}, as shares of the image do; this penalty has constants in "
            "pixels. "
            "Soft wing is plain L1 there, for residuals are below omega1. Give landmarks and predictions in pixels.",
            stacklevel=stacklevel,
        )


def _check_laplacian(laplacian: Tensor, pred: Tensor) -> Tensor:
    """The Laplacian in the dtype and on the device of the landmarks."""
    points = pred.shape[1]
    if not isinstance(laplacian, Tensor) or not laplacian.is_floating_point():
        raise TypeError(f"laplacian must be a floating-point tensor [{points}, {points}]; got {describe(laplacian)}.")
    if tuple(laplacian.shape) != (points, points):
        raise ValueError(f"laplacian must have shape [{points}, {points}]; got {describe(laplacian)}.")
    matrix = laplacian.to(pred)
    sums = (matrix @ matrix.new_ones(points, 1, layout=torch.strided)).abs().amax()
    if not bool(sums < 1e-3):
        raise ValueError(
            f"laplacian must have rows that sum to 0, or a shift of the whole face would count; got a row that is "
            f"{float(sums):.4g} off. laplacian(adjacency) makes one of a graph."
        )
    return matrix
