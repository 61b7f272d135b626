"""Randomness that belongs to an image: hashed numbers and smooth noise that depend on the image's seed alone.

A random number generator hands out numbers in order, so an image would depend on which others were drawn before it.
Here every number is a hash of (seed, stream, index), a counter-based generator in the sense of Salmon et al. 2011
("Parallel random numbers: as easy as 1, 2, 3"): the same image comes out alone, in any batch, in any shard, on a
CPU and on a GPU. ``stream`` keeps apart the numbers that one image needs for different purposes.
"""

from __future__ import annotations

import operator
from functools import lru_cache

import torch
from torch import Tensor

from gazecourse.validation import check_array, check_positive, describe

_QUANTILES = 1 << 16
_LATTICE_STREAM = 7919
"""Streams of the octaves of one noise field are this far apart."""
_SPLINE_POWER = 0.4794
"""Mean of the sum of squared cubic B-spline weights: the variance that white noise keeps along one axis."""


def hashed(seed: Tensor, count: int, stream: int = 0) -> Tensor:
    """Well-mixed integers that depend on nothing but (seed, stream, index).

    Args:
        seed: [B] int64, one seed per image.
        count: how many numbers each image needs; more of them leave the first ones as they were.
        stream: which of the image's independent sequences.
    Returns:
        [B, count] int32, uniform over 0 ... 2³¹ − 1.
    Raises:
        TypeError, ValueError: if ``seed`` is no int64 tensor [B], or ``count`` or ``stream`` is no integer ≥ 0.
    """
    count, stream = _natural("count", count), _natural("stream", stream)
    low, high = _key(seed, stream)
    bits = torch.arange(count, dtype=torch.int32, device=seed.device) * -1640531527 + low
    # The 32-bit finalizer "lowbias32" (Wellons 2018), with the second half of the key stirred in on the way.
    bits = _xorshift_(bits, 16).mul_(0x7FEB352D)
    bits = _xorshift_(bits, 15).bitwise_xor_(high).mul_(-2073254261)
    return _xorshift_(bits, 16).bitwise_and_(0x7FFFFFFF)


def uniform(seed: Tensor, count: int, stream: int = 0) -> Tensor:
    """[B, count] float32, uniform on [0, 1) in steps of 2⁻²⁴. Arguments and errors as in ``hashed``."""
    return hashed(seed, count, stream).bitwise_right_shift_(7).float().mul_(2.0**-24)


def normal(seed: Tensor, count: int, stream: int = 0) -> Tensor:
    """[B, count] float32 from the standard normal distribution. Arguments and errors as in ``hashed``.

    The hash picks one of 65,536 equally likely quantiles. A table gives the same bits everywhere, which logarithms
    and cosines do not: their last bit depends on whether a value falls into a vectorized part of a loop.
    """
    which = hashed(seed, count, stream).bitwise_right_shift_(15)
    return _normal_quantiles(seed.device).index_select(0, which.flatten()).view_as(which)


def fbm(
    seed: Tensor, height: int, width: int, stream: int = 0, *, cells: float = 4.0, octaves: int = 4, gain: float = 0.5
) -> Tensor:
    """Fractal noise: octaves of smooth random bumps, each 1.9 times finer and ``gain`` times weaker than the last.

    Every octave is white noise on a lattice, interpolated by cubic B-splines (twice differentiable, so no lattice
    shows). The field is fixed in units of the picture's width: other sizes sample the same field.

    Args:
        seed: [B] int64.
        height, width: size in pixels.
        stream: as in ``hashed``.
        cells: bumps of the first octave across the picture's width.
        octaves: number of octaves, at least 1.
        gain: strength of each octave relative to the one before.
    Returns:
        [B, height, width] float32 with mean 0 and variance 1 (over seeds).
    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    height, width = _size("height", height), _size("width", width)
    octaves = _size("octaves", octaves)
    check_positive("cells", cells)
    check_positive("gain", gain)
    total = torch.zeros(seed.shape[0], height, width, device=seed.device)
    power = sum(gain ** (2 * k) for k in range(octaves))
    for k in range(octaves):
        pitch = cells * 1.9**k / width
        rows, columns = int(height * pitch) + 4, int(width * pitch) + 4
        lattice = uniform(seed, rows * columns, stream + _LATTICE_STREAM * k).mul_(2).sub_(1).view(-1, rows, columns)
        octave = _spline(lattice, (height, width), (pitch, pitch))
        # Uniform numbers on [-1, 1] have variance 1/3.
        total += octave.mul_(gain**k / power**0.5 * 3**0.5 / _SPLINE_POWER)
    return total


def enlarge(image: Tensor, height: int, width: int) -> Tensor:
    """Smooth resampling by cubic B-splines: softer than the original, never stepped and never overshooting.

    Args:
        image: [B, C, h, w] floats.
        height, width: new size in pixels, meant to be no smaller than about half of the old one.
    Returns:
        [B, C, height, width].
    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    check_array("image", image, ["B", "C", "h", "w"], finite=False)
    height, width = _size("height", height), _size("width", width)
    rows, columns = image.shape[2:]
    # Pixel centers: (i + 1/2) / new = (x + 1/2) / old; the first of the four neighbors of x is floor(x) - 1.
    return _spline(image, (height, width), (rows / height, columns / width), start=-1.5)


def _spline(values: Tensor, size: tuple[int, int], pitch: tuple[float, float], start: float = 0.0) -> Tensor:
    """Cubic B-spline of ``values`` [..., h, w] at (i + 1/2) · pitch + start for i < size, along both axes."""
    # Picking whole rows is much faster than picking columns.
    tall = _spline_rows(values.transpose(-1, -2).contiguous(), size[1], pitch[1], start)
    return _spline_rows(tall.transpose(-1, -2).contiguous(), size[0], pitch[0], start)


def _spline_rows(values: Tensor, count: int, pitch: float, start: float) -> Tensor:
    """Cubic B-spline of ``values`` along the last axis but one.

    Written as gathers, products and sums of whole tensors, whose bits do not depend on the batch's size.
    """
    total = None
    for index, weight in _spline_taps(values.shape[-2], count, pitch, start, values.device):
        picked = values.index_select(-2, index).mul_(weight)
        total = picked if total is None else total.add_(picked)
    return total


@lru_cache(maxsize=256)
def _spline_taps(
    size: int, count: int, pitch: float, start: float, device: torch.device
) -> list[tuple[Tensor, Tensor]]:
    """Index [count] below ``size`` and weight [count, 1] of the four neighbors that each new value is a mean of."""
    with torch.inference_mode(False):
        place = (torch.arange(count, dtype=torch.float64) + 0.5) * pitch + start
        first = place.floor()
        t = place - first
        weights = (
            (1 - t) ** 3 / 6,
            (3 * t**3 - 6 * t**2 + 4) / 6,
            (3 * (1 - t) ** 3 - 6 * (1 - t) ** 2 + 4) / 6,
            t**3 / 6,
        )
        return [
            ((first.long() + k).clamp(0, size - 1).to(device), weight.float().unsqueeze(1).to(device))
            for k, weight in enumerate(weights)
        ]


def _key(seed: Tensor, stream: int) -> tuple[Tensor, Tensor]:
    """Two int32 columns [B, 1] mixed from seed and stream by SplitMix64 (Steele et al. 2014)."""
    check_array("seed", seed, ["B"], floating=False)
    if seed.dtype != torch.int64:
        raise TypeError(f"seed must be int64; got {describe(seed)}.")
    step = (stream + 1) * 0x9E3779B97F4A7C15 % (1 << 64)
    z = seed + (step - (step >> 63 << 64))
    z = (z ^ (z >> 30 & (1 << 34) - 1)) * -4658895280553007687
    z = (z ^ (z >> 27 & (1 << 37) - 1)) * -7723592293110705685
    z = z ^ (z >> 31 & (1 << 33) - 1)
    low, high = (z & 0xFFFFFFFF), (z >> 32 & 0xFFFFFFFF)
    return _as_int32(low).unsqueeze(1), _as_int32(high).unsqueeze(1)


def _as_int32(word: Tensor) -> Tensor:
    """Unsigned 32-bit words held in int64, reinterpreted as int32."""
    return (word - ((word >> 31) << 32)).to(torch.int32)


def _xorshift_(bits: Tensor, shift: int) -> Tensor:
    """bits ^= bits >>> shift, in place; the mask makes the arithmetic shift a logical one."""
    return bits.bitwise_xor_((bits >> shift).bitwise_and_((1 << (32 - shift)) - 1))


@lru_cache(maxsize=8)
def _normal_quantiles(device: torch.device) -> Tensor:
    """Quantiles of the standard normal distribution at (i + 1/2) / 65536."""
    with torch.inference_mode(False):
        levels = (torch.arange(_QUANTILES, dtype=torch.float64) + 0.5) / _QUANTILES
        return torch.special.ndtri(levels).float().to(device)


def _natural(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {describe(value)}.") from None
    if number < 0:
        raise ValueError(f"{name} must be at least 0; got {number}.")
    return number


def _size(name: str, value: int) -> int:
    if _natural(name, value) == 0:
        raise ValueError(f"{name} must be at least 1; got 0.")
    return operator.index(value)
