"""What is measured: gaze error, landmark error, and how sure one can be of their means.

All of these are for evaluation: they take tensors or arrays, forget gradients and compute in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from gazecourse.angles import angular_error
from gazecourse.validation import Array, check_array, check_choice, check_positive, describe

# Outer eye corners, the two ends of the inter-ocular distance: 300W (68), WFLW (98) and COFW (29).
OUTER_EYE_CORNERS = {29: (8, 9), 68: (36, 45), 98: (60, 72)}
NORMALIZERS = ("inter-ocular", "box")


class Interval(NamedTuple):
    """A mean with its bootstrap interval, in the unit of the values."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def as_float64(value: Array) -> np.ndarray:
    """An array of float64 from a tensor (wherever it lies, without its gradient) or an array."""
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    return array.astype(np.float64)


def gaze_error(pred: Array, target: Array) -> float:
    """Gaze error: the mean angle between predicted and true directions, in degrees.

    Args:
        pred, target: [N, 2] (pitch, yaw) in radians or [N, 3] vectors, each in its own form.
    Returns:
        Mean angle in degrees. ``angular_error`` gives the angle of every sample.
    Raises:
        TypeError: a tensor with an array, or not floating point.
        ValueError: wrong or empty shapes, NaN or infinity, or a vector of length zero.
    """
    return float(as_float64(_angles(pred, target)).mean())


def gaze_error_by_person(pred: Array, target: Array, person: Array) -> dict[int, float]:
    """Gaze error of each person, in degrees.

    Leave-one-person-out results are the mean over people, ``statistics.mean(result.values())``, in which everyone
    counts once; ``gaze_error`` weighs people by their number of images.

    Args:
        pred, target: as in ``gaze_error``.
        person: [N] integer identities.
    Returns:
        Person → mean angle in degrees, in ascending order of person.
    Raises:
        TypeError, ValueError: as ``gaze_error``, or for a ``person`` that is not [N] integers.
    """
    angles = as_float64(_angles(pred, target))
    identities, members = np.unique(_groups("person", person, len(angles)), return_inverse=True)
    means = np.bincount(members, weights=angles) / np.bincount(members)
    return {int(identity): float(mean) for identity, mean in zip(identities, means, strict=True)}


def _angles(pred: Array, target: Array) -> Array:
    check_array("pred", pred, ("N", "2 or 3"))
    check_array("target", target, ("N", "2 or 3"))
    if len(pred) != len(target) or len(pred) == 0:
        raise ValueError(f"pred and target must have the same length, above 0; got {len(pred)} and {len(target)}.")
    return angular_error(pred, target)


def landmark_errors(pred: Array, target: Array, scheme: int, normalizer: str = "inter-ocular") -> np.ndarray:
    """Error of each landmark: its distance from the truth / size of the true face.

    The distance of the outer eye corners shrinks as a face turns away, and with it everything is an error. The root of
    the area of the landmarks' bounding box does not, so that it can compare poses.

    Args:
        pred, target: [..., scheme, 2] landmarks in pixels (any unit, the same for both).
        scheme: number of landmarks: 29 (COFW), 68 (300W) or 98 (WFLW).
        normalizer: what the size of a face is: "inter-ocular", the distance of the outer eye corners, as the papers'
            tables have it, or "box".
    Returns:
        [..., scheme] float64.
    Raises:
        TypeError: not floating point.
        ValueError: unknown scheme or normalizer, wrong or different shapes, NaN, or a face of size 0: its eye corners
            coincide, or its box has no area.
    """
    check_choice("scheme", scheme, tuple(OUTER_EYE_CORNERS))
    check_choice("normalizer", normalizer, NORMALIZERS)
    predicted, true = (
        as_float64(check_array(name, value, ("...", scheme, 2))) for name, value in (("pred", pred), ("target", target))
    )
    if predicted.shape != true.shape:
        raise ValueError(f"pred and target must have the same shape; got {predicted.shape} and {true.shape}.")
    size = _inter_ocular(true, scheme) if normalizer == "inter-ocular" else _box_size(true)
    return np.linalg.norm(predicted - true, axis=-1) / size[..., None]


def nme(pred: Array, target: Array, scheme: int, normalizer: str = "inter-ocular") -> np.ndarray:
    """Normalized mean error of each face: the mean of its ``landmark_errors``, whose arguments and errors it has.

    Returns:
        [...] float64; 0.05 is what tables print as 5 %.
    """
    return landmark_errors(pred, target, scheme, normalizer).mean(-1)


def _inter_ocular(true: np.ndarray, scheme: int) -> np.ndarray:
    right, left = OUTER_EYE_CORNERS[scheme]
    distance = np.linalg.norm(true[..., right, :] - true[..., left, :], axis=-1)
    if (distance == 0).any():
        raise ValueError(f"target must have distinct outer eye corners; points {right} and {left} coincide.")
    return distance


def _box_size(true: np.ndarray) -> np.ndarray:
    area = np.ptp(true, axis=-2).prod(-1)
    if (area == 0).any():
        raise ValueError("target must have faces whose bounding box has an area; in one, all points are on a line.")
    return np.sqrt(area)


def failure_rate(errors: Array, threshold: float = 0.1) -> float:
    """FR: the fraction of faces whose NME is above ``threshold``.

    Args:
        errors: [N] NME of each face.
        threshold: 0.1 in the WFLW protocol.
    Returns:
        Fraction in [0, 1].
    Raises:
        TypeError, ValueError: ``errors`` is not [N] non-negative floats, or ``threshold`` is not above 0.
    """
    check_positive("threshold", threshold)
    return float((_values("errors", errors, low=0.0) > threshold).mean())


def auc(errors: Array, limit: float = 0.1) -> float:
    """Area under the cumulative error curve from 0 to ``limit``, divided by ``limit``.

    The curve, the fraction of faces with an NME of at most x, is a staircase. Its area over its width is exactly the
    mean of max(0, 1 - NME / limit); no histogram is needed.

    Args:
        errors: [N] NME of each face.
        limit: right end of the curve, 0.1 in the WFLW protocol.
    Returns:
        Area in [0, 1]; 1 means every landmark is exact.
    Raises:
        TypeError, ValueError: ``errors`` is not [N] non-negative floats, or ``limit`` is not above 0.
    """
    check_positive("limit", limit)
    return float(np.maximum(0.0, 1.0 - _values("errors", errors, low=0.0) / limit).mean())


def cumulative_errors(errors: Array, limits: Sequence[float]) -> list[float]:
    """Points of the cumulative error curve: the fraction of faces whose NME is at most each of ``limits``.

    Args:
        errors: [N] NME of each face.
        limits: NMEs, in any order.
    Raises:
        TypeError, ValueError: ``errors`` is not [N] non-negative floats.
    """
    values = _values("errors", errors, low=0.0)
    return [float((values <= limit).mean()) for limit in limits]


def bootstrap_ci(
    values: Array,
    *,
    clusters: Array | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of ``values`` with a percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13).

    The values are drawn again with replacement, as many as there are, and the mean taken; the interval holds the
    middle ``level`` of ``resamples`` such means. Images of one person are alike, so a hundred of them tell less about
    new people than a hundred people would. With ``clusters``, whole people are drawn, each with all their images.
    With fewer than about ten clusters the interval is too narrow; read it as a lower bound of the uncertainty.

    Args:
        values: [N], such as the angular error of each image.
        clusters: [N] integers, such as ``person``; values with the same number are drawn together.
        level: coverage, in (0, 1).
        resamples: number of means drawn.
        seed: of the draws; the same seed gives the same interval.
    Returns:
        ``Interval(mean, low, high)``.
    Raises:
        TypeError: not floating point (``values``), not integers (``clusters``).
        ValueError: wrong or empty shape, NaN, ``level`` outside (0, 1), ``resamples`` not a whole number above 0.
    """
    samples = _values("values", values)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}.")
    if not isinstance(resamples, (int, np.integer)) or resamples < 1:
        raise ValueError(f"resamples must be a whole number above 0; got {resamples!r}.")
    groups = np.arange(len(samples)) if clusters is None else _groups("clusters", clusters, len(samples))
    _, members = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(members, weights=samples), np.bincount(members)
    generator = np.random.default_rng(seed)
    draws = (generator.integers(len(sums), size=len(sums)) for _ in range(resamples))
    means = [sums[drawn].sum() / counts[drawn].sum() for drawn in draws]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(samples.mean()), float(low), float(high))


def bootstrap_difference(
    a: Array,
    b: Array,
    *,
    clusters: Array | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of a - b with its bootstrap interval, for two methods measured on the same samples.

    Both methods find the same images hard, so their difference is known better than either mean: two methods can
    differ for certain although their own intervals overlap. An interval without 0 says that they do.

    Args:
        a, b: [N] values of the two methods, sample by sample.
        clusters, level, resamples, seed: as in ``bootstrap_ci``.
    Returns:
        ``Interval(mean, low, high)`` of a - b.
    Raises:
        TypeError, ValueError: as ``bootstrap_ci``, or for different lengths.
    """
    first, second = _values("a", a), _values("b", b)
    if len(first) != len(second):
        raise ValueError(f"a and b must be paired, sample by sample; got {len(first)} and {len(second)} values.")
    return bootstrap_ci(first - second, clusters=clusters, level=level, resamples=resamples, seed=seed)


def student_ci(values: Array, *, level: float = 0.95) -> Interval:
    """Mean of a few independent runs with Student's t interval: what another run with a new seed would change.

    For a handful of seeds a bootstrap draws from too few values and promises too much; t allows for that.

    Args:
        values: [N], one result of each run, N of 2 or more.
        level: coverage, in (0, 1).
    Returns:
        ``Interval(mean, low, high)``.
    Raises:
        TypeError, ValueError: wrong shape, NaN, fewer than two values, or ``level`` outside (0, 1).
    """
    from scipy.stats import t

    samples = _values("values", values)
    if len(samples) < 2:
        raise ValueError(f"values must be of two runs or more; got {len(samples)}.")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}.")
    half = t.ppf((1 + level) / 2, len(samples) - 1) * samples.std(ddof=1) / np.sqrt(len(samples))
    return Interval(float(samples.mean()), float(samples.mean() - half), float(samples.mean() + half))


def _values(name: str, values: Array, low: float | None = None) -> np.ndarray:
    check_array(name, values, ("N",), low=low)
    if len(values) == 0:
        raise ValueError(f"{name} must hold at least one value; got none.")
    return as_float64(values)


def _groups(name: str, groups: Array, length: int) -> np.ndarray:
    check_array(name, groups, (length,), floating=False)
    array = groups.cpu().numpy() if isinstance(groups, torch.Tensor) else groups
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers; got {describe(groups)}.")
    return array
