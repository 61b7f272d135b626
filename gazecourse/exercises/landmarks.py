"""Exercises of notebook 09: wing with its constant C, and soft wing with its constant B."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gazecourse.exercises import Checks, Wrong, same_gradient, same_output

check = Checks()

Slips = list[tuple[Callable[..., Tensor], str]]


def _examine(candidate: Callable, reference: Callable, slips: Slips, constants: tuple[tuple[float, ...], ...]) -> None:
    """Values, with the slip named that explains them, then gradients, then the gradient at 0."""
    for values in constants:
        # Random: at a joint itself, either of its two slopes is right.
        residual = torch.cat([3 * max(values) * (2 * torch.rand(40) - 1), 2 * torch.rand(3) - 1]).view(1, 43)
        setting = f"with constants {', '.join(f'{value:g}' for value in values)}"
        got = candidate(residual.clone(), *values)
        if isinstance(got, Tensor) and not _same(got, reference(residual, *values)):
            for slip, words in slips:
                if _same(got, slip(residual, *values)):
                    raise Wrong(f"{setting}: {words}")
        try:
            same_output(candidate, reference, residual, *values, name="the loss")
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


def _same(got: Tensor, want: Tensor) -> bool:
    return got.shape == want.shape and torch.allclose(got.detach().float(), want, rtol=1e-4, atol=1e-4, equal_nan=True)


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
