"""A person's identity parameters from the 68 landmarks of one frontal face, for data whose heads are not known.

The morphable head is linear in its coefficients, the camera is known, and the pose is near frontal. So what is left is
a small regularized least-squares problem. What moves the landmarks hardly or not at all, such as the shape of the ears,
stays near its mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gazecourse.faces.domains import NORMALIZED_DISTANCE, NORMALIZED_FOCAL, NORMALIZED_SIZE
from gazecourse.faces.head import HeadModel
from gazecourse.faces.people import ASYMMETRY_SPREAD, SHAPE_SPREAD
from gazecourse.validation import check_array, check_image_size, check_positive

MACRO_PRIOR = {
    "male": (0.0, 0.8),
    "old": (0.3, 0.3),
    "weight": (0.0, 0.2),
    "african": (1 / 3, 0.35),
    "asian": (1 / 3, 0.35),
    "caucasian": (1 / 3, 0.35),
}
"""Mean and standard deviation of the macro directions among the course's people."""

STEPS = 12
_POSE = 6


@dataclass
class HeadFit:
    """Heads fitted to landmarks.

    Attributes:
        identity: [B, K] coefficients, as ``Factors.identity``.
        macro: [B, M] coefficients of sex, age, weight and ancestry, as ``HeadModel.macro_names``.
        rotation: [B, 3, 3] head frame to camera frame. position: [B, 3] of the face center, mm.
        error: [B] root mean square distance of the landmarks, pixels.
    """

    identity: Tensor
    macro: Tensor
    rotation: Tensor
    position: Tensor
    error: Tensor


def fit_identity(
    landmarks: Tensor,
    size: int | tuple[int, int],
    *,
    focal: float | None = None,
    distance: float = NORMALIZED_DISTANCE,
    noise: float = 1.0,
    distance_spread: float = 20.0,
    model: HeadModel | None = None,
) -> HeadFit:
    """The most probable head for the landmarks of a frontal face, at rest and with open eyes.

        minimize over α, R, t:  Σ_i |p_i − π(R (S̄ᵢ + Σ_k α_k Aᵢ_k) + t)|² / σ² + Σ_k (α_k − μ_k)² / s_k²
                                + (t_z − d)² / s_d²

    with the projection π of the normalized camera. Gauss and Newton's method: at each step the projection is
    linearized and the regularized least-squares problem solved. The size of a head and its distance cannot be told
    apart in one picture; the prior s_d shares the difference out.

    Args:
        landmarks: [B, 68, 2] or [68, 2] (x, y) pixels in the iBUG scheme; (0, 0) is the corner of the image.
        size: height and width of the image.
        focal: of the camera that took it, in pixels; default that of the course's normalized camera. GazeHub's faces
            have 960 at 224 pixels.
        distance: d, of the face center from that camera, mm.
        noise: σ, standard deviation of the landmarks, pixels. A larger one stays closer to the mean head.
        distance_spread: s_d, standard deviation of the distance, mm.
        model: the morphable head; default that of the course.
    Returns:
        One head for each face, float64.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    height, width = check_image_size("size", size)
    focal = NORMALIZED_FOCAL / NORMALIZED_SIZE * width if focal is None else focal
    for name, value in (
        ("focal", focal),
        ("distance", distance),
        ("noise", noise),
        ("distance_spread", distance_spread),
    ):
        check_positive(name, value)
    points = torch.as_tensor(check_array("landmarks", landmarks, ("...", 68, 2))).double().cpu()
    faces = points if points.ndim == 3 else points.reshape(-1, 68, 2)
    head = model or HeadModel()
    mean, directions = (tensor.double().cpu() for tensor in head.landmark_basis())
    prior_mean, prior_spread = prior(head)
    middle = torch.tensor([width / 2, height / 2], dtype=torch.float64)

    def project(parameters: Tensor) -> Tensor:
        turn, position, weights = parameters.split([3, 3, len(prior_mean)])
        placed = (mean + torch.tensordot(weights, directions, 1)) @ _rotation(turn).T + position
        return focal * placed[:, :2] / placed[:, 2:] + middle

    def residuals(parameters: Tensor, face: Tensor) -> Tensor:
        seen = (project(parameters) - face).flatten() / noise
        shape = (parameters[_POSE:] - prior_mean) / prior_spread
        return torch.cat([seen, shape, (parameters[5:6] - distance) / distance_spread])

    jacobian = torch.func.jacrev(residuals)
    start = torch.cat([torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, distance], dtype=torch.float64), prior_mean])
    fits = []
    for face in faces:
        parameters = start
        for _ in range(STEPS):
            step = torch.linalg.lstsq(jacobian(parameters, face), residuals(parameters, face).unsqueeze(1)).solution
            parameters = parameters - step.squeeze(1)
        fits.append(parameters)
    parameters = torch.stack(fits)
    known = len(head.identity_names)
    return HeadFit(
        identity=parameters[:, _POSE : _POSE + known],
        macro=parameters[:, _POSE + known :],
        rotation=torch.stack([_rotation(one[:3]) for one in parameters]),
        position=parameters[:, 3:6],
        error=torch.stack(
            [(project(p) - face).square().sum(1).mean().sqrt() for p, face in zip(parameters, faces, strict=True)]
        ),
    )


def prior(head: HeadModel) -> tuple[Tensor, Tensor]:
    """μ and s [K + M]: how the coefficients are spread among people."""
    shape = [(0.0, ASYMMETRY_SPREAD if n.startswith("asym") else SHAPE_SPREAD) for n in head.identity_names]
    table = torch.tensor(shape + [MACRO_PRIOR[name] for name in head.macro_names], dtype=torch.float64)
    return table[:, 0], table[:, 1]


def _rotation(turn: Tensor) -> Tensor:
    """Rotation [3, 3] of the quaternion (1, turn / 2), normalized; for small turns ``turn`` is the rotation vector."""
    x, y, z = (turn / 2).unbind()
    one = torch.ones_like(x)
    return torch.stack(
        [
            torch.stack([one + x * x - y * y - z * z, 2 * (x * y - z), 2 * (x * z + y)]),
            torch.stack([2 * (x * y + z), one - x * x + y * y - z * z, 2 * (y * z - x)]),
            torch.stack([2 * (x * z - y), 2 * (y * z + x), one - x * x - y * y + z * z]),
        ]
    ) / (1 + x * x + y * y + z * z)
