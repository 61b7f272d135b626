"""Where a head is and which way it is turned, from the 68 landmarks of one picture: PnP on the morphable head.

The head is taken for the average one; what remains is six numbers, found by Gauss and Newton's method in a few
milliseconds. ``fitting.fit_identity`` finds the shape as well, for faces that are known to be near frontal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from gazecourse.faces.fitting import MACRO_PRIOR
from gazecourse.faces.head import HeadModel
from gazecourse.validation import Array, check_array

JAW = 17
"""The first so many landmarks lie on the outline of the face, which is another part of the head in every pose."""
RIGHT_CORNER, LEFT_CORNER = 36, 45
"""Outer corners of the person's right and left eye."""
STARTS = (0.0, -0.7, 0.7)
"""Yaw of the heads that the search begins with; from the first alone it may end in a mirrored pose."""
STEPS = 30
CLOSE = 1e-10
OUTLIER = 3.0
"""Landmarks further off than so many medians count less."""


@dataclass(frozen=True)
class HeadPose:
    """A head before a camera.

    Attributes:
        rotation: [3, 3] head frame → camera frame.
        position: [3] of the face center in the camera's frame, mm; as far as the head has the average size.
        error: root mean square distance of the landmarks from the head's, pixels, the outline left out.
    """

    rotation: np.ndarray
    position: np.ndarray
    error: float


@cache
def average_landmarks() -> np.ndarray:
    """[68, 3] landmarks of the average adult head about its face center, mm; float64."""
    model = HeadModel()
    mean, directions = (tensor.double() for tensor in model.landmark_basis())
    macro = torch.tensor([MACRO_PRIOR[name][0] for name in model.macro_names], dtype=torch.float64)
    return (mean + torch.tensordot(macro, directions[len(model.identity_names) :], 1)).numpy()


def head_pose(landmarks: Array, camera_matrix: Array, shape: Array | None = None) -> HeadPose:
    """Rotation and position of the head that best explains the landmarks of one face.

        minimize over R, t:  Σ_i ρ(|p_i − π(R S_i + t)|)

    over the 51 landmarks inside the face, with the camera's projection π and Huber's ρ, so that a landmark that is
    wholly wrong pulls as much as one that is a little wrong. R changes by small rotations of its own: R ← exp([ω]) R.

    Args:
        landmarks: p [68, 2] (x, y) pixels in the iBUG scheme; (0, 0) is the corner of the image.
        camera_matrix: of the camera [3, 3], pixels from the corner of the image. Where it is unknown, see
            ``guessed_camera``.
        shape: S [68, 3] of this person, mm about the face center; default the average.
    Returns:
        The pose.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; or landmarks that all coincide.
    """
    points = _numpy(check_array("landmarks", landmarks, (68, 2)))
    camera = _numpy(check_array("camera_matrix", camera_matrix, (3, 3)))
    solid = average_landmarks() if shape is None else _numpy(check_array("shape", shape, (68, 3)))
    if np.ptp(points[JAW:], axis=0).max() == 0:
        raise ValueError("landmarks must be those of a face; they all coincide.")
    inner, seen = solid[JAW:], points[JAW:]
    found = [_refined(inner, seen, camera, *_start(solid, points, camera, yaw)) for yaw in STARTS]
    _, rotation, position = min(found, key=lambda each: each[0])
    off = _project(inner @ rotation.T + position, camera) - seen
    return HeadPose(rotation, position, float(np.sqrt((off**2).sum(1).mean())))


def guessed_camera(width: int, height: int, focal: float | None = None) -> np.ndarray:
    """A camera matrix [3, 3] for a picture of unknown origin.

    Args:
        width, height: of the picture, pixels.
        focal: focal length in pixels; default the longer side, an angle of view of 53° along it, as webcams have.
            A wrong one moves the face nearer or farther, and turns gaze by less than the face is off the middle.
    """
    focal = float(max(width, height)) if focal is None else focal
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def _numpy(value: Array) -> np.ndarray:
    return (value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value).astype(np.float64)


def _start(solid: np.ndarray, points: np.ndarray, camera: np.ndarray, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """A head turned by ``yaw``, tilted as the eyes are, as far away as its size says."""
    across = points[LEFT_CORNER] - points[RIGHT_CORNER]
    tilt = np.arctan2(across[1], across[0])
    rotation = Rotation.from_rotvec([0, 0, tilt]).as_matrix() @ Rotation.from_rotvec([0, yaw, 0]).as_matrix()
    inner, seen = solid[JAW:] @ rotation.T, points[JAW:]
    middle, size = seen.mean(0), np.sqrt(seen.var(0).sum())
    depth = camera[0, 0] * np.sqrt(inner[:, :2].var(0).sum()) / size
    ray = np.linalg.solve(camera, [*middle, 1.0])
    return rotation, depth * ray - inner.mean(0)


def _project(points: np.ndarray, camera: np.ndarray) -> np.ndarray:
    seen = points @ camera.T
    return seen[:, :2] / seen[:, 2:]


def _refined(
    solid: np.ndarray, seen: np.ndarray, camera: np.ndarray, rotation: np.ndarray, position: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Cost, rotation and position after Gauss–Newton steps, damped where they would not help (Levenberg)."""
    cost, weights = _huber(_project(solid @ rotation.T + position, camera) - seen)
    damping = 1e-4
    for _ in range(STEPS):
        turned = solid @ rotation.T
        jacobian, off = _jacobian(turned, position, camera), _project(turned + position, camera) - seen
        weighted = jacobian * weights[:, None, None]
        normal = np.einsum("nij,nik->jk", weighted, jacobian)
        gradient = np.einsum("nij,ni->j", weighted, off)
        step = -np.linalg.solve(normal + damping * np.diag(normal.diagonal()), gradient)
        other = Rotation.from_rotvec(step[:3]).as_matrix() @ rotation, position + step[3:]
        placed = solid @ other[0].T + other[1]
        if placed[:, 2].min() <= 0:
            damping *= 10
            continue
        new_cost, new_weights = _huber(_project(placed, camera) - seen)
        if new_cost > cost:
            damping *= 10
            continue
        rotation, position = other
        done = cost - new_cost <= CLOSE * cost
        cost, weights, damping = new_cost, new_weights, damping / 10
        if done:
            break
    return cost, rotation, position


def _jacobian(turned: np.ndarray, position: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """[n, 2, 6] of the pixels with respect to a small rotation and a shift."""
    placed = turned + position
    seen = placed @ camera.T
    by_point = (camera[:2] - (seen[:, :2] / seen[:, 2:])[..., None] * camera[2]) / seen[:, 2, None, None]
    by_turn = np.cross(np.eye(3), turned[:, None])  # [n, 3, 3]: row j is e_j × p, what turning about axis j does
    return np.concatenate([by_point @ by_turn.transpose(0, 2, 1), by_point], axis=2)


def _huber(off: np.ndarray) -> tuple[float, np.ndarray]:
    """Huber's cost of residuals [n, 2], and the weights [n] of the least-squares problem with the same gradient."""
    distance = np.linalg.norm(off, axis=1)
    limit = max(OUTLIER * float(np.median(distance)), 1e-9)
    weights = np.minimum(1.0, limit / np.maximum(distance, 1e-12))
    small = distance <= limit
    cost = np.where(small, distance**2 / 2, limit * (distance - limit / 2)).sum()
    return float(cost), weights
