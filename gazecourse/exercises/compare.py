"""Compare an answer with the reference and name the first thing that is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Wrong(Exception):
    """An answer is wrong; the message says how, in words for the learner."""


def compare(name: str, got: Any, want: Any, tolerance: float = 1e-5) -> None:
    """Pass if ``got`` equals ``want``; otherwise say what differs first: kind, shape, or value.

    Args:
        name: what is compared, as it should appear in the message ("output", "the yaw").
        got: the learner's result: number, tensor, array, or a tuple, list or dict of these.
        want: the right result. Tensors and arrays may be mixed.
        tolerance: largest accepted |got - want|, relative to |want| where that is above 1.
    Raises:
        Wrong: with the first difference.
    """
    if isinstance(want, dict):
        _compare_dicts(name, got, want, tolerance)
    elif isinstance(want, (tuple, list)):
        _compare_sequences(name, got, want, tolerance)
    else:
        _compare_values(name, _as_tensor(name, got, want), torch.as_tensor(want).detach().cpu(), tolerance)


def same_output(
    candidate: Callable, reference: Callable, *inputs: Any, name: str = "output", tolerance: float = 1e-5
) -> None:
    """Pass if both functions give the same result on ``inputs``, with the same kind and dtype.

    Raises:
        Wrong: with the first difference, or because the candidate changed an input in place.
    """
    names = _argument_names(reference, len(inputs))
    given = [_copy(value) for value in inputs]
    got = candidate(*given)
    for argument, before, after in zip(names, inputs, given, strict=True):
        if isinstance(before, (Tensor, np.ndarray)) and not _identical(before, after):
            raise Wrong(f"your code changes its argument `{argument}` in place; work on a copy, or build a new tensor.")
    want = reference(*[_copy(value) for value in inputs])
    if isinstance(want, (Tensor, np.ndarray)):
        _check_kind(name, got, want)
    compare(name, got, want, tolerance)


Slips = Sequence[tuple[Tensor, str]]
"""Results of usual slips, each with what to say of it."""


def examine(
    candidate: Callable, reference: Callable, inputs: Sequence[Any], slips: Slips, *, name: str, setting: str
) -> None:
    """``same_output``, with words for a result that a usual slip gives.

    Args:
        inputs: arguments of both functions.
        slips: the first whose result is the candidate's is named.
        name: what is compared ("the loss"). setting: on which inputs ("with three faces"); it begins the message.
    Raises:
        Wrong: as ``same_output``.
    """
    got = candidate(*[_copy(value) for value in inputs])
    if isinstance(got, Tensor) and not _alike(got, reference(*[_copy(value) for value in inputs])):
        for result, words in slips:
            if _alike(got, result):
                raise Wrong(f"{setting}: {words}")
    try:
        same_output(candidate, reference, *inputs, name=name)
    except Wrong as wrong:
        raise Wrong(f"{setting}: {wrong}") from None


def _alike(got: Tensor, want: Tensor) -> bool:
    return got.shape == want.shape and torch.allclose(
        got.detach().double(), want.detach().double(), rtol=1e-4, atol=1e-5, equal_nan=True
    )


def same_gradient(
    candidate: Callable, reference: Callable, *inputs: Any, name: str = "the gradient", tolerance: float = 1e-4
) -> None:
    """Pass if both functions have the same gradient with respect to every floating-point tensor in ``inputs``.

    The output is weighted with fixed random numbers, so that errors of opposite sign do not cancel.

    Raises:
        Wrong: with the first difference; also where a gradient is missing, NaN or infinite.
    """
    argument_names = _argument_names(reference, len(inputs))
    wanted = _gradients(reference, inputs)
    received = _gradients(candidate, inputs)
    for argument, got, want in zip(argument_names, received, wanted, strict=True):
        if want is None:
            continue
        if got is None:
            raise Wrong(f"no gradient reaches `{argument}`: is there a detach(), a no_grad() or a copy in the way?")
        compare(f"{name} with respect to `{argument}`", got, want, tolerance)


def _gradients(function: Callable, inputs: tuple) -> list[Tensor | None]:
    """Gradient of a weighted sum of the function's output, per input (None where an input has none)."""
    given = [_copy(value) for value in inputs]
    leaves = [v.requires_grad_() for v in given if isinstance(v, Tensor) and v.is_floating_point()]
    output = function(*given)
    if not isinstance(output, Tensor):
        raise Wrong(f"your function returns {kind(output)}; a torch tensor is needed here.")
    if output.requires_grad:
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output)
        (output * weights).sum().backward()
    return [v.grad if any(v is leaf for leaf in leaves) else None for v in given]


def _argument_names(reference: Callable, count: int) -> list[str]:
    names = list(signature(reference).parameters)[:count]
    return names + [f"argument {i + 1}" for i in range(len(names), count)]


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _identical(a: Tensor | np.ndarray, b: Tensor | np.ndarray) -> bool:
    a, b = torch.as_tensor(a).detach(), torch.as_tensor(b).detach()
    return a.shape == b.shape and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def kind(value: Any) -> str:
    """What an answer is, in words: "a numpy array"."""
    if value is None:
        return "None: is the `return` missing?"
    if isinstance(value, Tensor):
        return "a torch tensor"
    return "a numpy array" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _check_kind(name: str, got: Any, want: Tensor | np.ndarray) -> None:
    """Refuse an array or a number for a tensor and the like, and another dtype: later cells would fail on it."""
    if not isinstance(got, Tensor if isinstance(want, Tensor) else np.ndarray):
        raise Wrong(f"{name} is {kind(got)}" + ("" if got is None else f"; it should be {kind(want)}."))
    if got.dtype != want.dtype:
        raise Wrong(f"{name} has dtype {_plain(got.dtype)}; it should be {_plain(want.dtype)}.")


def _plain(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _as_tensor(name: str, got: Any, want: Any) -> Tensor:
    if got is None or isinstance(got, str):
        raise Wrong(f"{name} is {kind(got)}" + ("" if got is None else f"; it should be {kind(want)}."))
    if isinstance(want, (Tensor, np.ndarray)) and want.ndim and not isinstance(got, (Tensor, np.ndarray)):
        raise Wrong(f"{name} is {kind(got)}; it should be {kind(want)} of shape {list(want.shape)}.")
    try:
        return torch.as_tensor(got).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"{name} is {kind(got)}; it should be {kind(want)}.") from None


def _compare_dicts(name: str, got: Any, want: dict, tolerance: float) -> None:
    if not isinstance(got, dict):
        raise Wrong(f"{name} is {kind(got)}; it should be a dict with {', '.join(map(repr, want))}.")
    for key in want:
        if key not in got:
            raise Wrong(f"{name} has no {key!r}.")
        compare(f"{name}[{key!r}]", got[key], want[key], tolerance)


def _compare_sequences(name: str, got: Any, want: tuple | list, tolerance: float) -> None:
    if not isinstance(got, (tuple, list)):
        raise Wrong(f"{name} is {kind(got)}; it should have {len(want)} parts.")
    if len(got) != len(want):
        raise Wrong(f"{name} has {len(got)} parts; it should have {len(want)}.")
    for i, (one, other) in enumerate(zip(got, want, strict=True)):
        compare(f"{name}[{i}]", one, other, tolerance)


def _compare_values(name: str, got: Tensor, want: Tensor, tolerance: float) -> None:
    if got.shape != want.shape:
        raise Wrong(f"{name} has shape {list(got.shape)}; it should be {list(want.shape)}.")
    if want.is_floating_point() and not (got.is_floating_point() or got.ndim == 0):
        raise Wrong(f"{name} has dtype {_plain(got.dtype)}; it should be a floating-point number.")
    if want.dtype == torch.bool and got.dtype != torch.bool:
        raise Wrong(f"{name} has dtype {_plain(got.dtype)}; it should be bool.")
    got, want = got.double(), want.double()
    off = ~_close(got, want, tolerance)
    if not off.any():
        return
    index = tuple(int(i) for i in off.nonzero()[0])
    where = f"{name}[{', '.join(map(str, index))}]" if index else name
    count = f" {int(off.sum())} of {off.numel()} values differ." if off.numel() > 1 else ""
    raise Wrong(f"{where} is {_pair(got[index].item(), want[index].item())}.{count}{_guess(got, want, tolerance)}")


def _close(got: Tensor, want: Tensor, tolerance: float) -> Tensor:
    same = (got - want).abs() <= tolerance * want.abs().clamp(min=1.0)
    return same | (got == want) | (got.isnan() & want.isnan())


def _pair(got: float, want: float) -> str:
    """Both numbers with as many digits as it takes to tell them apart, four at least."""
    if math.isfinite(got) and math.isfinite(want):
        for digits in range(4, 17):
            texts = f"{got:.{digits}g}", f"{want:.{digits}g}"
            if texts[0] != texts[1]:
                break
        return f"{texts[0]}; it should be {texts[1]}"
    return f"{got:.4g}; it should be {want:.4g}"


def _guess(got: Tensor, want: Tensor, tolerance: float) -> str:
    """A word on the usual slips, where one of them explains the whole difference."""

    def equals(other: Tensor) -> bool:
        return other.shape == got.shape and bool(_close(got, other, tolerance).all())

    if equals(-want):
        return " Only the sign is wrong."
    if equals(torch.rad2deg(want)):
        return " These are the right angles in degrees; radians are wanted."
    if equals(torch.deg2rad(want)):
        return " These are the right angles in radians; degrees are wanted."
    if want.ndim >= 2 and want.shape[-1] == want.shape[-2] and equals(want.transpose(-1, -2)):
        return " This is the transpose of the right matrix."
    if want.ndim and want.shape[-1] == 2 and equals(want.flip(-1)):
        return " The two columns are swapped."
    if want.ndim and want.shape[-1] <= 3:
        for axis in range(want.shape[-1]):
            flipped = want.clone()
            flipped[..., axis] *= -1
            if equals(flipped):
                return f" Only the sign of component {axis} is wrong."
    return ""
