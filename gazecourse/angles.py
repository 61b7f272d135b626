"""Gaze directions as (pitch, yaw) or as vectors, head rotations, and the angle between two directions.

One convention for the whole course. The camera frame has x to the right of the image, y down and z forward,
away from the camera. A direction is (pitch, yaw) in radians or a vector (x, y, z):

    g = (-cos(pitch) sin(yaw), -sin(pitch), -cos(pitch) cos(yaw))

- Looking straight into the camera: pitch = yaw = 0, g = (0, 0, -1).
- Looking up: pitch > 0 (y points down, so g_y < 0).
- Looking to the left of the image, which is the person's own right: yaw > 0 (g_x < 0).

Every function takes NumPy arrays or tensors, with any leading axes, and returns the same kind and dtype (tensors
also keep their device and their gradient). Integers are refused: an angle in whole radians is always a mistake.
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import torch

from gazecourse.validation import Array, check_array, describe

_DEGREES = 180.0 / math.pi
_ORTHONORMAL_TOLERANCE = 1e-3  # label files give rotations with as few as four digits


def _library(*values: Array) -> ModuleType:
    """The library that all of ``values`` belong to: ``torch`` or ``numpy``. Both name what is used here alike."""
    tensors = [isinstance(value, torch.Tensor) for value in values]
    if any(tensors) and not all(tensors):
        raise TypeError(f"pass all tensors or all arrays; got {' and '.join(describe(value) for value in values)}.")
    return torch if tensors[0] else np


def norm(vector: Array) -> Array:
    """Length of a vector, [..., n] → [...]. At the zero vector the gradient is 0, where a plain square root has NaN."""
    xp = _library(vector)
    squared = (vector * vector).sum(-1)
    is_zero = squared == 0
    return xp.where(is_zero, squared, xp.sqrt(xp.where(is_zero, xp.ones_like(squared), squared)))


def unit(vector: Array, name: str = "vector") -> Array:
    """``vector`` [..., n] scaled to length 1.

    Raises:
        ValueError: a vector of length zero (or too long for its dtype) has no direction; ``name`` says whose it is.
    """
    length = norm(vector)
    if not bool(((length > 0) & (length < math.inf)).all()):
        raise ValueError(f"{name} must have a direction; got zero or infinite length in {describe(vector)}.")
    return vector / length[..., None]


def cross(a: Array, b: Array) -> Array:
    """Cross product a × b, [..., 3] and [..., 3] → [..., 3], batch axes broadcast."""
    xp = _library(a, b)
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def pitchyaw_to_vector(pitchyaw: Array) -> Array:
    """Unit vector of a direction: g = (-cos(pitch) sin(yaw), -sin(pitch), -cos(pitch) cos(yaw)).

    Args:
        pitchyaw: [..., 2], radians.
    Returns:
        [..., 3], length 1, camera frame.
    Raises:
        TypeError: not a floating-point tensor or array.
        ValueError: wrong shape, NaN or infinity.
    """
    hint = "Directions are (pitch, yaw) in radians; vectors go through vector_to_pitchyaw first."
    return unit_vector(check_array("pitchyaw", pitchyaw, ("...", 2), hint=hint))


def unit_vector(pitchyaw: Array) -> Array:
    """``pitchyaw_to_vector`` without checks, for losses: NaN must reach the training loop, which names the step."""
    xp = _library(pitchyaw)
    pitch, yaw = pitchyaw[..., 0], pitchyaw[..., 1]
    return xp.stack([-xp.cos(pitch) * xp.sin(yaw), -xp.sin(pitch), -xp.cos(pitch) * xp.cos(yaw)], -1)


def vector_to_pitchyaw(vector: Array) -> Array:
    """Direction of a vector of any length: pitch = asin(-g_y / |g|), yaw = atan2(-g_x, -g_z).

    The pitch is computed as atan2(-g_y, √(g_x² + g_z²)). That is the same angle, but it stays accurate, and its
    gradient finite, when someone looks straight up or down; there asin has an infinite slope.

    Args:
        vector: [..., 3], camera frame, any length but zero.
    Returns:
        [..., 2], radians: pitch in [-π/2, π/2], yaw in [-π, π].
    Raises:
        TypeError: not a floating-point tensor or array.
        ValueError: wrong shape, NaN or infinity, or a vector of length zero.
    """
    check_array("vector", vector, ("...", 3), hint="Directions in (pitch, yaw) go through pitchyaw_to_vector first.")
    xp = _library(vector)
    direction = unit(vector)
    x, y, z = direction[..., 0], direction[..., 1], direction[..., 2]
    horizontal = norm(xp.stack([x, z], -1))
    # 0.0 - x is -x without a negative zero: the yaw of straight up is then 0, and of straight away π, never -π.
    return xp.stack([xp.arctan2(0.0 - y, horizontal), xp.arctan2(0.0 - x, 0.0 - z)], -1)


def _direction(name: str, value: Array) -> Array:
    """Unit vectors [..., 3] from directions in either form."""
    if isinstance(value, (torch.Tensor, np.ndarray)) and value.shape[-1:] == (2,):
        check_array(name, value)
        return pitchyaw_to_vector(value)
    check_array(name, value, ("...", 3), hint="Vectors have 3 components; (pitch, yaw) in radians has 2.")
    return unit(value, name)


def angular_error(a: Array, b: Array) -> Array:
    """Angle between two directions, in degrees.

    Textbooks write arccos(a·b). Its slope is infinite at 0° and 180°, and near 0° a·b = 1 - θ²/2 rounds to 1, so
    that in float32 an error below 0.02° cannot be told from none. Clipping a·b trades the infinite gradient for
    none at all, exactly where training should end. Here the angle is

        θ = atan2(|a × b|, a·b),

    accurate to about 1e-5° in float32, with a gradient of one degree per degree right up to 0° and 180°. At these
    two points themselves the angle has a kink and no direction to prefer; the gradient there is 0.

    Args:
        a, b: [..., 2] (pitch, yaw) in radians or [..., 3] vectors of any length, each in its own form. Leading axes
            broadcast if there are equally many, or if one side is a single direction.
    Returns:
        Angles in [0, 180], shape of the leading axes.
    Raises:
        TypeError: a tensor with an array, or not floating point.
        ValueError: wrong shapes, NaN or infinity, or a vector of length zero.
    """
    first, second = _direction("a", a), _direction("b", b)
    xp = _library(first, second)
    _check_batch_axes(first, second)
    sine = norm(cross(first, second))
    cosine = (first * second).sum(-1)
    return xp.arctan2(sine, cosine) * _DEGREES


def _check_batch_axes(a: Array, b: Array) -> None:
    """Refuse [N, k] with [N, 1, k], which would silently become all N × N pairs."""
    first, second = tuple(a.shape[:-1]), tuple(b.shape[:-1])
    same_rank = len(first) == len(second)
    fits = same_rank and all(m == n or 1 in (m, n) for m, n in zip(first, second, strict=True))
    if not (fits or first == () or second == ()):
        raise ValueError(f"a and b must have matching leading axes; got {list(first)} and {list(second)}.")


def check_rotation(name: str, rotation: Array) -> Array:
    """Return ``rotation`` unchanged if it is a rotation matrix [..., 3, 3].

    Raises:
        TypeError: not a floating-point tensor or array.
        ValueError: wrong shape, NaN, columns that are not orthonormal, or a reflection (determinant -1).
    """
    check_array(name, rotation, ("...", 3, 3))
    matrix = rotation.detach().cpu().numpy() if isinstance(rotation, torch.Tensor) else rotation
    matrix = matrix.astype(np.float64)
    residual = np.abs(matrix @ matrix.swapaxes(-1, -2) - np.eye(3)).max(initial=0.0)
    if residual > _ORTHONORMAL_TOLERANCE:
        raise ValueError(f"{name} must be a rotation matrix; its rows are not orthonormal (off by {residual:.3g}).")
    if (np.linalg.det(matrix) < 0).any():
        raise ValueError(f"{name} must be a rotation matrix; got a reflection (determinant -1).")
    return rotation


def rotation_to_pitchyaw(rotation: Array) -> Array:
    """Direction a head looks in, from its rotation: v = R[:, 2], pitch = asin(v_y), yaw = atan2(v_x, v_z).

    The head frame has x to the right of the image, y down and z into the head when the face is frontal, so R is then
    the identity. v points out of the back of the head; the face looks along -v, and (pitch, yaw) of -v under
    ``vector_to_pitchyaw`` is exactly the formula above.

    Args:
        rotation: [..., 3, 3], head frame → camera frame.
    Returns:
        [..., 2], radians. The roll (head tilted to a shoulder) is not part of it.
    Raises:
        TypeError, ValueError: see ``check_rotation``.
    """
    return vector_to_pitchyaw(-check_rotation("rotation", rotation)[..., :, 2])


def pitchyaw_to_rotation(pitchyaw: Array) -> Array:
    """Rotation of a head that looks in a direction and is not tilted (zero roll): R = R_y(yaw) · R_x(-pitch).

    Inverse of ``rotation_to_pitchyaw`` for |pitch| < π/2. The head's x axis stays horizontal (R[1, 0] = 0).

    Args:
        pitchyaw: [..., 2], radians.
    Returns:
        [..., 3, 3], head frame → camera frame; its columns are the head's axes.
    Raises:
        TypeError: not a floating-point tensor or array.
        ValueError: wrong shape, NaN or infinity.
    """
    check_array("pitchyaw", pitchyaw, ("...", 2))
    xp = _library(pitchyaw)
    sin, cos = xp.sin(pitchyaw), xp.cos(pitchyaw)
    sin_p, sin_y, cos_p, cos_y = sin[..., 0], sin[..., 1], cos[..., 0], cos[..., 1]
    x_axis = xp.stack([cos_y, xp.zeros_like(cos_y), -sin_y], -1)
    y_axis = xp.stack([-sin_p * sin_y, cos_p, -sin_p * cos_y], -1)
    z_axis = xp.stack([cos_p * sin_y, sin_p, cos_p * cos_y], -1)
    return xp.stack([x_axis, y_axis, z_axis], -1)


def from_gaze360(direction: Array) -> Array:
    """Gaze360's ``gaze_dir`` to the course's (pitch, yaw): pitch = asin(y), yaw = atan2(x, -z).

    Gaze360 gives vectors in a frame at the eye with x to the left, y up and z away from the camera (Kellnhofer et al.
    2019). Turning x and y around gives a vector of the course.

    Args:
        direction: [..., 3] in Gaze360's eye frame.
    Returns:
        [..., 2], radians.
    Raises:
        TypeError, ValueError: see ``vector_to_pitchyaw``.
    """
    check_array("direction", direction, ("...", 3))
    xp = _library(direction)
    return vector_to_pitchyaw(xp.stack([-direction[..., 0], -direction[..., 1], direction[..., 2]], -1))


def from_gazehub(yawpitch: Array) -> Array:
    """GazeHub's two-number gaze, (yaw, pitch), to the course's (pitch, yaw).

    For the label files of MPIIFaceGaze, EyeDiap and Gaze360. GazeHub's ETH-XGaze files already hold (pitch, yaw).
    Forgetting this exchange does not crash anything: it costs some 20° of error.

    Args:
        yawpitch: [..., 2], radians.
    Returns:
        [..., 2], radians.
    Raises:
        TypeError: not a floating-point tensor or array.
        ValueError: wrong shape, NaN or infinity.
    """
    check_array("yawpitch", yawpitch, ("...", 2))
    return _library(yawpitch).stack([yawpitch[..., 1], yawpitch[..., 0]], -1)


def from_mpiifacegaze_normalized(pitchyaw: Array) -> Array:
    """The normalized MPIIFaceGaze release's (pitch, yaw) to the course's: both signs change.

    Args:
        pitchyaw: [..., 2], radians, gaze or head pose of ``Data/label``.
    Returns:
        [..., 2], radians.
    Raises:
        TypeError: not a floating-point tensor or array.
        ValueError: wrong shape, NaN or infinity.
    """
    return -check_array("pitchyaw", pitchyaw, ("...", 2))
