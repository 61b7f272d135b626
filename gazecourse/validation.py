"""Checks for arguments of public functions. A message names the argument, what was expected and what came."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
import torch

Array = torch.Tensor | np.ndarray


def describe(value: object) -> str:
    """A short description of what a caller passed, for error messages."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        return f"{kind} of shape {list(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    return f"{type(value).__name__} {value!r:.60}"


def _shape_matches(actual: Sequence[int], expected: Sequence[int | str]) -> bool:
    """``expected`` may start with "..." (any leading axes) and name free axes by a string."""
    if expected and expected[0] == "...":
        expected = expected[1:]
        actual = actual[len(actual) - len(expected) :] if len(actual) >= len(expected) else (-1,)
    return len(actual) == len(expected) and all(
        isinstance(e, str) or a == e for a, e in zip(actual, expected, strict=True)
    )


def _is_finite(value: Array) -> bool:
    return bool(torch.isfinite(value).all() if isinstance(value, torch.Tensor) else np.isfinite(value).all())


def check_array(
    name: str,
    value: object,
    shape: Sequence[int | str] | None = None,
    *,
    floating: bool = True,
    finite: bool = True,
    low: float | None = None,
    high: float | None = None,
    hint: str = "",
) -> Array:
    """Return ``value`` unchanged if it is a tensor or array as described; raise otherwise.

    Args:
        name: the argument's name, as the caller knows it.
        value: what the caller passed.
        shape: expected shape; ``"..."`` first allows any leading axes, a string is a free axis.
        floating: require a floating-point dtype.
        finite: refuse NaN and infinity.
        low, high: inclusive range of the values.
        hint: a sentence that is appended to the message.
    Raises:
        TypeError: not a tensor or array, or an integer dtype where floats are needed.
        ValueError: wrong shape, values out of range, NaN or infinity.
    """
    tail = f" {hint}" if hint else ""
    if not isinstance(value, (torch.Tensor, np.ndarray)):
        raise TypeError(f"{name} must be a tensor or array; got {describe(value)}.{tail}")
    is_float = value.is_floating_point() if isinstance(value, torch.Tensor) else value.dtype.kind == "f"
    if floating and not is_float:
        raise TypeError(f"{name} must be floating point; got {describe(value)}.{tail}")
    if shape is not None and not _shape_matches(tuple(value.shape), tuple(shape)):
        wanted = "[" + ", ".join(str(s) for s in shape) + "]"
        raise ValueError(f"{name} must have shape {wanted}; got {describe(value)}.{tail}")
    if is_float and finite and not _is_finite(value):
        raise ValueError(f"{name} must be finite; got NaN or infinity in a {describe(value)}.{tail}")
    if value.size if isinstance(value, np.ndarray) else value.numel():
        smallest, largest = value.min().item(), value.max().item()
        if (low is not None and smallest < low) or (high is not None and largest > high):
            bounds = f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"
            raise ValueError(f"{name} must lie in {bounds}; got values from {smallest:.4g} to {largest:.4g}.{tail}")
    return value


def check_positive(name: str, value: float) -> float:
    """Return ``value`` if it is a finite number above zero; raise ``TypeError`` or ``ValueError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number above 0; got {describe(value)}.")
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above 0; got {value!r}.")
    return value


def check_not_negative(name: str, value: float) -> float:
    """Return ``value`` if it is a finite number, 0 or more; raise ``TypeError`` or ``ValueError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, 0 or more; got {describe(value)}.")
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a finite number, 0 or more; got {value!r}.")
    return value


def check_number(name: str, value: object, low: float, high: float) -> float:
    """Return the number; raise unless it is one from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number from {low:g} to {high:g}; got {describe(value)}.")
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}]; got {value!r}.")
    return float(value)


def check_whole(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int if it is a whole number from ``low`` to ``high``.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is out of range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number; got {describe(value)}.")
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} must be {low} or more{'' if high is None else f', at most {high}'}; got {number}.")
    return number


def check_image_size(name: str, size: object, low: int = 1, high: int | None = None) -> tuple[int, int]:
    """Return (height, width) in pixels, both from ``low`` to ``high``, of either or of one number for squares.

    Raises:
        TypeError, ValueError: as ``check_whole``.
    """
    height, width = size if isinstance(size, (tuple, list)) and len(size) == 2 else (size, size)
    return check_whole(name, height, low, high), check_whole(name, width, low, high)


def check_choice(name: str, value: object, choices: Sequence[object]) -> object:
    """Return ``value`` if it is one of ``choices``; raise ``ValueError`` that lists them otherwise."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}.")
    return value
