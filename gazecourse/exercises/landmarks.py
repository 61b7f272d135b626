"""Exercises of notebook 09: wing with its constant C, soft wing with its constant B, and who learns label noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gazecourse.exercises import Checks, Wrong, compare, examine, same_gradient
from gazecourse.landmark_noise import noise_learned as _noise_learned

check = Checks()

Slips = list[tuple[Callable[..., Tensor], str]]
"""Functions with a usual slip each, and what to say of it."""


def _examine(candidate: Callable, reference: Callable, slips: Slips, constants: tuple[tuple[float, ...], ...]) -> None:
    """Values, with the slip named that explains them, then gradients, then the gradient at 0."""
    for values in constants:
        # Random: at a joint itself, either of its two slopes is right.
        residual = torch.cat([3 * max(values) * (2 * torch.rand(40) - 1), 2 * torch.rand(3) - 1]).view(1, 43)
        setting = f"with constants {', '.join(f'{value:g}' for value in values)}"
        results = [(slip(residual, *values), words) for slip, words in slips]
        examine(candidate, reference, (residual, *values), results, name="the loss", setting=setting)
        try:
            same_gradient(candidate, reference, residual, *values)
        except Wrong as wrong:
            raise Wrong(f"{setting}: {wrong}") from None
    _check_zero(candidate, constants[0])


def _check_zero(candidate: Callable, values: tuple[float, ...]) -> None:
    zero = torch.zeros(3, requires_grad=True)
    candidate(zero, *values).sum().backward()
    if not zero.grad.isfinite().all():
        raise Wrong(
            f"the gradient of a residual of 0 is {zero.grad[0]:g}: one exact landmark would end the training. "
            "torch.abs has the gradient 0 there; the root of a square has none."
        )


# --- wing ---------------------------------------------------------------------------------------


def _wing(residual: Tensor, omega: float, epsilon: float) -> Tensor:
    x = residual.abs()
    c = omega - omega * math.log(1 + omega / epsilon)
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x - c)


def _pieces_of_wing(change: str) -> Callable[..., Tensor]:
    """Wing with one slip."""

    def slip(residual: Tensor, omega: float, epsilon: float) -> Tensor:
        x = residual if change == "signed" else residual.abs()
        c = omega - omega * math.log(1 + omega / epsilon)
        inner, outer = omega * torch.log(1 + x / epsilon), x - c
        if change == "no factor":
            inner = inner / omega
        elif change == "no one":
            inner = omega * torch.log(x / epsilon)
        elif change == "log 2":
            inner = inner / math.log(2)
        elif change == "log 10":
            inner = inner / math.log(10)
        elif change == "no epsilon":
            inner = omega * torch.log(1 + x)
        elif change == "epsilon outside":
            inner = omega * torch.log(1 + x) / epsilon
        elif change == "no c":
            outer = x
        elif change == "plus c":
            outer = x + c
        elif change == "omega alone":
            outer = x - omega
        elif change == "logarithm alone":
            outer = x + omega * math.log(1 + omega / epsilon)
        if change == "inner only":
            return inner
        if change == "outer only":
            return outer
        if change == "swapped":
            return torch.where(x >= omega, inner, outer)
        value = torch.where(x < (epsilon if change == "at epsilon" else omega), inner, outer)
        return value.mean() if change == "mean" else value.sum() if change == "sum" else value

    return slip


@check.exercise(
    reference=_wing,
    difficulty=1,
    minutes=8,
    hints=(
        "Two pieces, and a question for every residual: is it smaller than ω? Both pieces look at its absolute value.",
        "torch.where(x < omega, inner, outer) takes for each residual the value of one of the two.",
        "C makes both pieces equal at |x| = ω: ω ln(1 + ω/ε) = ω − C. It is a number; math.log serves.",
        "x = residual.abs(); c = omega - omega * math.log(1 + omega / epsilon); return torch.where(x < omega, "
        "omega * torch.log(1 + x / epsilon), x - c)",
    ),
)
def wing(candidate):
    """The pieces meet at ω, for all constants, and every residual has a value and a gradient."""
    _examine(candidate, _wing, SLIPS_OF_WING, ((10.0, 2.0), (4.0, 0.5), (7.0, 3.0)))


SLIPS_OF_WING: Slips = [
    (_pieces_of_wing(change), words)
    for change, words in (
        ("signed", "the residuals have signs; both pieces look at |x|."),
        ("no c", "the pieces do not meet at ω: C is missing in the outer one."),
        ("plus c", "the sign of C is turned around: the outer piece is |x| − C."),
        ("omega alone", "C is not ω alone: C = ω − ω ln(1 + ω/ε)."),
        ("logarithm alone", "C is not −ω ln(1 + ω/ε) alone: C = ω − ω ln(1 + ω/ε)."),
        ("no factor", "the logarithm is to be multiplied by ω."),
        ("no one", "the 1 in ln(1 + |x|/ε) is missing: at 0 the loss should be 0."),
        ("log 2", "this is the logarithm to base 2; ln is torch.log."),
        ("log 10", "this is the logarithm to base 10; ln is torch.log."),
        ("no epsilon", "|x| is to be divided by ε inside the logarithm."),
        ("epsilon outside", "ε divides |x|, inside the logarithm, not the logarithm itself."),
        ("swapped", "the pieces are swapped: the logarithm belongs to |x| < ω."),
        ("at epsilon", "the pieces meet at ω, not at ε."),
        ("inner only", "this is the logarithm for all residuals; from ω on the loss is |x| − C."),
        ("outer only", "this is |x| − C for all residuals; below ω the loss is the logarithm."),
        ("mean", "this is the mean; every residual should have a value of its own."),
        ("sum", "this is the sum; every residual should have a value of its own."),
    )
]


# --- soft wing ----------------------------------------------------------------------------------


def _soft_wing(residual: Tensor, omega1: float, omega2: float, epsilon: float) -> Tensor:
    x = residual.abs()
    b = omega1 - omega2 * math.log(1 + omega1 / epsilon)
    return torch.where(x < omega1, x, omega2 * torch.log(1 + x / epsilon) + b)


def _pieces_of_soft_wing(change: str) -> Callable[..., Tensor]:
    """Soft wing with one slip."""

    def slip(residual: Tensor, omega1: float, omega2: float, epsilon: float) -> Tensor:
        if change == "wing":
            return _wing(residual, omega1, epsilon)
        x = residual if change == "signed" else residual.abs()
        strength = omega1 if change == "omega1 before the logarithm" else omega2
        limit = omega2 if change == "omega2 as limit" else omega1
        b = limit - strength * math.log(1 + limit / epsilon)
        if change == "b at omega2":
            b = omega1 - omega2 * math.log(1 + omega2 / epsilon)
        elif change == "b with omega1":
            b = omega1 - omega1 * math.log(1 + omega1 / epsilon)
        elif change == "b without omega1":
            b = -omega2 * math.log(1 + omega1 / epsilon)
        elif change == "no b":
            b = 0.0
        elif change == "minus b":
            b = -b
        inner, outer = x, strength * torch.log(1 + x / epsilon) + b
        if change == "no one":
            outer = strength * torch.log(x / epsilon) + b
        elif change == "logarithm only":
            return outer
        elif change == "swapped":
            inner, outer = outer, inner
        value = torch.where(x < limit, inner, outer)
        return value.mean() if change == "mean" else value.sum() if change == "sum" else value

    return slip


@check.exercise(
    reference=_soft_wing,
    difficulty=2,
    minutes=8,
    hints=(
        "Small errors are plain |x| now, and the logarithm comes after. Which of the two has to be shifted to meet?",
        "B makes both pieces equal at |x| = ω₁: ω₁ = ω₂ ln(1 + ω₁/ε) + B. Solve for B.",
        "ω₂ stands before the logarithm only; the limit, in the question and in B, is ω₁.",
        "x = residual.abs(); b = omega1 - omega2 * math.log(1 + omega1 / epsilon); return torch.where(x < omega1, x, "
        "omega2 * torch.log(1 + x / epsilon) + b)",
    ),
)
def soft_wing(candidate):
    """Small errors cost what L1 says, the logarithm begins at ω₁ without a gap, and gradients are right."""
    _examine(candidate, _soft_wing, SLIPS_OF_SOFT_WING, ((2.0, 20.0, 0.5), (3.0, 9.0, 1.5), (6.0, 4.0, 0.8)))


SLIPS_OF_SOFT_WING: Slips = [
    (_pieces_of_soft_wing(change), words)
    for change, words in (
        ("signed", "the residuals have signs; both pieces look at |x|."),
        ("no b", "the pieces do not meet at ω₁: B is missing beside the logarithm."),
        ("minus b", "the sign of B is turned around: B = ω₁ − ω₂ ln(1 + ω₁/ε), and it is added."),
        ("b at omega2", "in B the logarithm is that of 1 + ω₁/ε: the pieces meet at ω₁."),
        ("b with omega1", "in B the logarithm is multiplied by ω₂, as it is in the loss."),
        ("b without omega1", "B begins with ω₁: at the joint the loss should be ω₁, not 0."),
        ("omega1 before the logarithm", "the logarithm is to be multiplied by ω₂, in the loss and in B."),
        ("omega2 as limit", "the pieces meet at ω₁; ω₂ stands before the logarithm only."),
        ("no one", "the 1 in ln(1 + |x|/ε) is missing."),
        ("logarithm only", "this is the logarithm for all residuals; below ω₁ the loss is |x|."),
        ("swapped", "the pieces are swapped: |x| belongs to |x| < ω₁."),
        ("mean", "this is the mean; every residual should have a value of its own."),
        ("sum", "this is the sum; every residual should have a value of its own."),
        ("wing", "this is wing, with ω = ω₁: soft wing has the logarithm outside, not inside."),
    )
]


# --- who learns label noise? --------------------------------------------------------------------


def _share_of_noise(pred: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
    error, noise = pred - clean, noisy - clean
    return (error * noise).sum() / noise.square().sum()


@check.exercise(
    reference=_share_of_noise,
    difficulty=2,
    minutes=10,
    hints=(
        "Two arrows begin at every true landmark: to the prediction, and to the noisy label. How far does the first "
        "reach along the second?",
        "The dot product of both arrows says how far they agree; a network whose errors have nothing to do with the "
        "noise has dot products around 0 on average, however large its errors are.",
        "Divide by the dot product of the noise with itself, so that giving back every label is 1. Sum over all faces, "
        "landmarks and axes before dividing.",
        "error, noise = pred - clean, noisy - clean; return (error * noise).sum() / noise.square().sum()",
    ),
)
def noise_learned(candidate):
    """Giving back the labels is 1, giving back the truth is 0, and errors of another kind do not count."""
    clean = 100 + 30 * torch.randn(6, 5, 2)
    noise = torch.linspace(0.5, 6, 6).view(6, 1, 1) * torch.randn(6, 5, 2)
    noisy = clean + noise
    aside = noise.flip(-1) * torch.tensor([1.0, -1.0])  # at right angles to the noise, and as long
    cases = (
        (noisy, "a network that gives back every label"),
        (clean + 0.3 * noise, "a network that goes 30 % of the way from the truth to the labels"),
        (clean, "a network that gives back the truth"),
        (clean + 3 * aside, "a network whose errors are large and at right angles to the noise"),
        (clean - 0.5 * noise, "a network whose errors point away from the labels"),
        (clean + 0.4 * noise + aside, "a network with both kinds of errors"),
        (clean + torch.linspace(0.0, 1.0, 6).view(6, 1, 1) * noise, "a network that has learned some labels only"),
    )
    for pred, setting in cases:
        got, want = candidate(pred.clone(), clean.clone(), noisy.clone()), _noise_learned(pred, clean, noisy)
        if isinstance(got, (Tensor, float)) and torch.as_tensor(got).ndim == 0 and abs(float(got) - want) > 1e-4:
            for slip, words in SLIPS_OF_NOISE_LEARNED:
                if abs(float(got) - float(slip(pred, clean, noisy))) < 1e-4:
                    raise Wrong(f"{setting}: {words}")
        compare(f"the share for {setting}", got, want, tolerance=1e-4)


def _slip_of_noise(change: str) -> Callable[..., Tensor]:
    """The share with one slip."""

    def slip(pred: Tensor, clean: Tensor, noisy: Tensor) -> Tensor:
        error, noise = pred - clean, noisy - clean
        if change == "lengths":
            return error.norm() / noise.norm()
        if change == "squares":
            return error.square().sum() / noise.square().sum()
        if change == "cosine":
            return (error * noise).sum() / (error.norm() * noise.norm())
        if change == "by the error":
            return (error * noise).sum() / error.square().sum()
        if change == "from the label":
            return ((pred - noisy) * noise).sum() / noise.square().sum()
        if change == "mean of faces":
            return ((error * noise).sum((1, 2)) / noise.square().sum((1, 2))).mean()
        if change == "mean of values":
            return (error / noise).mean()
        if change == "absolute":
            return (error * noise).abs().sum() / noise.square().sum()
        if change == "minus":
            return -(error * noise).sum() / noise.square().sum()
        return (error * noise).mean()

    return slip


SLIPS_OF_NOISE_LEARNED: Slips = [
    (_slip_of_noise(change), words)
    for change, words in (
        ("lengths", "this compares the lengths; errors that do not point at the label should not count."),
        ("squares", "this compares the squared lengths; errors that do not point at the label should not count."),
        ("cosine", "this is the angle between both; the share also says how far the prediction goes."),
        ("by the error", "divide by the noise's square, not by the error's."),
        ("from the label", "the error begins at the truth, too: P̂ − P."),
        ("mean of faces", "sum over all faces before dividing: faces with little noise would count as much as others."),
        ("mean of values", "sum before dividing: where the noise is nearly 0, a quotient is huge."),
        ("absolute", "the signs matter: errors that point away from the label count against it."),
        ("minus", "the sign is turned around: giving back the labels should be 1."),
        ("mean", "divide by the square of the noise, so that giving back the labels is 1."),
    )
]
