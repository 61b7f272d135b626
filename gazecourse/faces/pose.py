"""Where a head is and which way it is turned, from the 68 landmarks of one picture: PnP on the morphable head.

The shape of the head is not known, and cannot be left out: a longer face looks much like one that is bent forward. So
pose and shape are found together, as the most probable ones, by Gauss and Newton's method in some milliseconds.
``fitting.fit_identity`` does the same for the shape's sake, with faces that are known to be near frontal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from gazecourse.faces.fitting import prior
from gazecourse.faces.head import HeadModel
from gazecourse.validation import Array, check_array

JAW = 17
"""The first so many landmarks lie on the outline of the face, which is another part of the head in every pose."""
RIGHT_CORNER, LEFT_CORNER = 36, 45
"""Outer corners of the person's right and left eye."""
OTHER_STARTS = (-0.7, 0.7)
"""Yaw of heads that the search begins with where a frontal one led to nothing good: it may end in a mirrored pose."""
GOOD = 2.0
"""Cost for each landmark that is good enough; landmarks that are off by ``NOISE`` cost 1 each."""
STEPS = 30
CLOSE = 1e-9
NOISE = 0.02
"""Standard deviation of landmarks in distances between the outer eye corners: 2 pixels of 100."""
OUTLIER = 3.0
"""Landmarks further off than so many deviations count less."""


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


@dataclass(frozen=True)
class Shapes:
    """Heads as a linear model with a prior: landmarks S̄ + Σ_k α_k A_k [n, 3], mm about the face center.

    Attributes:
        mean: S̄ [n, 3]. directions: A [K, n, 3]. expected, spread: μ and s [K] of α among people.
    """

    mean: np.ndarray
    directions: np.ndarray
    expected: np.ndarray
    spread: np.ndarray

    def at(self, weights: np.ndarray) -> np.ndarray:
        """The landmarks of a head, [n, 3]."""
        return self.mean + np.tensordot(weights, self.directions, 1)


@cache
def known_shapes() -> Shapes:
    """All 68 landmarks of the course's morphable head."""
    model = HeadModel()
    expected, spread = prior(model)
    return Shapes(*(tensor.double().numpy() for tensor in (*model.landmark_basis(), expected, spread)))


def average_landmarks() -> np.ndarray:
    """[68, 3] landmarks of the average adult head about its face center, mm."""
    shapes = known_shapes()
    return shapes.at(shapes.expected)


def head_pose(landmarks: Array, camera_matrix: Array, shape: Array | None = None) -> HeadPose:
    """The most probable rotation and position of the head with these landmarks.

        minimize over R, t, α:  Σ_i ρ(|p_i − π(R (S̄_i + Σ_k α_k A_ik) + t)| / σ) + Σ_k (α_k − μ_k)² / 2 s_k²

    over the 51 landmarks inside the face, with the camera's projection π and Huber's ρ, so that a landmark that is
    wholly wrong pulls as much as one that is a little wrong. R changes by small rotations of its own: R ← exp([ω]) R.

    Args:
        landmarks: p [68, 2] (x, y) pixels in the iBUG scheme; (0, 0) is the corner of the image.
        camera_matrix: of the camera [3, 3], pixels from the corner of the image. Where it is unknown, see
            ``guessed_camera``.
        shape: S [68, 3] of this person, mm about the face center, if it is known.
    Returns:
        The pose.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; or eye corners that coincide.
    """
    points = _numpy(check_array("landmarks", landmarks, (68, 2)))
    camera = _numpy(check_array("camera_matrix", camera_matrix, (3, 3)))
    sigma = NOISE * float(np.linalg.norm(points[LEFT_CORNER] - points[RIGHT_CORNER]))
    if sigma == 0:
        raise ValueError("landmarks must be those of a face; the outer eye corners coincide.")
    shapes = known_shapes()
    if shape is not None:
        solid = _numpy(check_array("shape", shape, (68, 3)))
        shapes = Shapes(solid, np.zeros((0, 68, 3)), np.zeros(0), np.zeros(0))
    inner = Shapes(shapes.mean[JAW:], shapes.directions[:, JAW:], shapes.expected, shapes.spread)
    search = _Search(inner, points[JAW:], camera, sigma)
    cost, best = search.refined(_start(inner, points, camera, 0.0))
    if cost > GOOD * len(inner.mean):
        turned = [search.refined(_start(inner, points, camera, yaw)) for yaw in OTHER_STARTS]
        best = min((cost, best), *turned, key=lambda found: found[0])[1]
    off = search.residuals(best) * sigma
    return HeadPose(best.rotation, best.position, float(np.sqrt((off**2).sum(1).mean())))


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


@dataclass(frozen=True)
class _State:
    """R, t and α."""

    rotation: np.ndarray
    position: np.ndarray
    weights: np.ndarray

    def moved(self, step: np.ndarray) -> _State:
        """After a step [6 + K]: small rotation, shift, change of weights."""
        turn = Rotation.from_rotvec(step[:3]).as_matrix()
        return _State(turn @ self.rotation, self.position + step[3:6], self.weights + step[6:])


def _start(shapes: Shapes, points: np.ndarray, camera: np.ndarray, yaw: float) -> _State:
    """The average head turned by ``yaw``, tilted as the eyes are, as far away as its size says."""
    across = points[LEFT_CORNER] - points[RIGHT_CORNER]
    tilt = np.arctan2(across[1], across[0])
    rotation = Rotation.from_rotvec([0, 0, tilt]).as_matrix() @ Rotation.from_rotvec([0, yaw, 0]).as_matrix()
    turned, seen = shapes.at(shapes.expected) @ rotation.T, points[JAW:]
    depth = camera[0, 0] * np.sqrt(turned[:, :2].var(0).sum() / seen.var(0).sum())
    ray = np.linalg.solve(camera, [*seen.mean(0), 1.0])
    return _State(rotation, depth * ray - turned.mean(0), shapes.expected)


@dataclass(frozen=True)
class _Search:
    """The problem of one face."""

    shapes: Shapes
    seen: np.ndarray
    camera: np.ndarray
    sigma: float

    def residuals(self, state: _State) -> np.ndarray:
        """[n, 2] projected minus seen landmarks, in standard deviations; infinite where one is behind the camera."""
        placed = self.shapes.at(state.weights) @ state.rotation.T + state.position
        if placed[:, 2].min() <= 0:
            return np.full(self.seen.shape, np.inf)
        projected = placed @ self.camera.T
        return (projected[:, :2] / projected[:, 2:] - self.seen) / self.sigma

    def cost(self, state: _State) -> float:
        """What is minimized."""
        distance = np.linalg.norm(self.residuals(state), axis=1)
        data = np.where(distance <= OUTLIER, distance**2 / 2, OUTLIER * (distance - OUTLIER / 2)).sum()
        return float(data + (((state.weights - self.shapes.expected) / self.shapes.spread) ** 2).sum() / 2)

    def refined(self, state: _State) -> tuple[float, _State]:
        """Cost and state after Gauss–Newton steps, damped where they would not help (Levenberg)."""
        cost, damping = self.cost(state), 1e-4
        for _ in range(STEPS):
            normal, gradient = self.equations(state)
            other = state.moved(-np.linalg.solve(normal + damping * np.diag(normal.diagonal()), gradient))
            new_cost = self.cost(other)
            if not new_cost <= cost:
                damping *= 10
                continue
            done = cost - new_cost <= CLOSE * cost
            state, cost, damping = other, new_cost, damping / 10
            if done:
                break
        return cost, state

    def equations(self, state: _State) -> tuple[np.ndarray, np.ndarray]:
        """The normal matrix [6 + K, 6 + K] and the gradient [6 + K] of the problem, linearized."""
        off = self.residuals(state)
        distance = np.linalg.norm(off, axis=1)
        weight = np.minimum(1.0, OUTLIER / np.maximum(distance, 1e-12))[:, None, None]
        jacobian = self.jacobian(state)
        normal = np.einsum("nij,nik->jk", weight * jacobian, jacobian, optimize=True)
        gradient = np.einsum("nij,ni->j", weight * jacobian, off)
        precision = self.shapes.spread**-2.0
        normal[6:, 6:] += np.diag(precision)
        gradient[6:] += precision * (state.weights - self.shapes.expected)
        return normal, gradient

    def jacobian(self, state: _State) -> np.ndarray:
        """[n, 2, 6 + K] of the residuals with respect to a step of ``_State.moved``."""
        turned = self.shapes.at(state.weights) @ state.rotation.T
        projected = (turned + state.position) @ self.camera.T
        depth = projected[:, 2, None, None]
        by_point = (self.camera[:2] - (projected[:, :2] / projected[:, 2:])[..., None] * self.camera[2]) / depth
        # Turning about axis j moves p along e_j × p.
        by_turn = by_point @ np.cross(np.eye(3), turned[:, None]).transpose(0, 2, 1)
        by_shape = by_point @ (self.shapes.directions @ state.rotation.T).transpose(1, 2, 0)
        return np.concatenate([by_turn, by_point, by_shape], axis=2) / self.sigma
