"""Exercises of notebook 01: directions as angles and vectors, the angle between them, the normalized camera."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gazecourse.angles import pitchyaw_to_rotation
from gazecourse.exercises import Checks, Wrong, compare, same_gradient, same_output

check = Checks()

QUARTER = math.pi / 2


def _named_directions(candidate: Callable, cases: dict[str, tuple], kind: str) -> None:
    """One direction after the other, each with its name in plain words."""
    for words, (given, wanted) in cases.items():
        result = candidate(torch.tensor([given]))
        compare(f"the {kind} of someone who looks {words}", result, torch.tensor([wanted]), tolerance=1e-4)


# --- pitch and yaw to a vector ------------------------------------------------------------------


def _pitchyaw_to_vector(pitchyaw: Tensor) -> Tensor:
    pitch, yaw = pitchyaw.unbind(-1)
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()], dim=-1)


@check.exercise(
    reference=_pitchyaw_to_vector,
    difficulty=1,
    minutes=5,
    hints=(
        "The three components are the three terms of the equation above, in the order x, y, z. Mind the minus signs.",
        "pitchyaw[..., 0] and pitchyaw[..., 1] take the two angles out of the last axis, however many axes precede it.",
        "torch.stack([x, y, z], dim=-1) puts the components into a new last axis, so that [32, 2] becomes [32, 3].",
    ),
)
def pitchyaw_to_vector(candidate):
    """Every sign is right, for one direction and for batches."""
    cases = {
        "into the camera": ((0.0, 0.0), (0.0, 0.0, -1.0)),
        "straight up": ((QUARTER, 0.0), (0.0, -1.0, 0.0)),
        "to the left of the image": ((0.0, QUARTER), (-1.0, 0.0, 0.0)),
        "away from the camera": ((0.0, math.pi), (0.0, 0.0, 1.0)),
    }
    _named_directions(candidate, cases, "vector")
    same_output(candidate, _pitchyaw_to_vector, torch.randn(6, 2), name="the vectors of 6 random directions")
    same_output(candidate, _pitchyaw_to_vector, torch.randn(2), name="the vector of a single direction, shape [2]")
    same_output(candidate, _pitchyaw_to_vector, torch.randn(2, 4, 2), name="the vectors of a batch of shape [2, 4, 2]")


# --- and back -----------------------------------------------------------------------------------


def _vector_to_pitchyaw(vector: Tensor) -> Tensor:
    x, y, z = vector.unbind(-1)
    return torch.stack([torch.atan2(-y, torch.hypot(x, z)), torch.atan2(-x, -z)], dim=-1)


@check.exercise(
    reference=_vector_to_pitchyaw,
    difficulty=1,
    minutes=8,
    hints=(
        "The vector may have any length, but only a unit vector has -y = sin(pitch). What comes first?",
        "yaw = atan(x / z) cannot tell front from back. torch.atan2 takes both numbers, with their signs.",
        "pitch = asin(-y / |g|), yaw = atan2(-x, -z), stacked on the last axis; |g| = vector.norm(dim=-1).",
    ),
)
def vector_to_pitchyaw(candidate):
    """Every sign is right, for vectors of any length and for people who look away."""
    cases = {
        "into the camera": ((0.0, 0.0, -1.0), (0.0, 0.0)),
        "half up": ((0.0, -1.0, -1.0), (QUARTER / 2, 0.0)),
        "half to the left of the image": ((-1.0, 0.0, -1.0), (0.0, QUARTER / 2)),
        "away, half to the right": ((1.0, 0.0, 1.0), (0.0, -1.5 * QUARTER)),
    }
    _named_directions(candidate, cases, "(pitch, yaw)")
    unit = torch.nn.functional.normalize(torch.randn(6, 3), dim=-1)
    same_output(candidate, _vector_to_pitchyaw, unit, name="the angles of 6 unit vectors", tolerance=1e-4)
    long = 600.0 * unit
    same_output(candidate, _vector_to_pitchyaw, long, name="the angles of 6 vectors of length 600", tolerance=1e-4)
    single = torch.tensor([0.2, -0.3, -0.9])
    same_output(candidate, _vector_to_pitchyaw, single, name="the angles of one vector, shape [3]", tolerance=1e-4)
    batch = torch.nn.functional.normalize(torch.randn(2, 4, 3), dim=-1)
    same_output(candidate, _vector_to_pitchyaw, batch, name="the angles of a batch of shape [2, 4, 3]", tolerance=1e-4)


# --- the angle between two directions -----------------------------------------------------------


def _angular_error(a: Tensor, b: Tensor) -> Tensor:
    sine = torch.linalg.cross(a, b, dim=-1).norm(dim=-1)  # |a||b| sin θ
    cosine = (a * b).sum(dim=-1)  # |a||b| cos θ
    return torch.rad2deg(torch.atan2(sine, cosine))


ALMOST = (0.001, 0.1, 179.9, 179.999)
"""Degrees at which arccos in single precision loses its value, its gradient, or both."""


@check.exercise(
    reference=_angular_error,
    difficulty=2,
    minutes=12,
    hints=(
        "arccos is the trouble: near 0° its input hardly changes while its output does. Which other function of two "
        "vectors grows with their angle?",
        "The cross product has length |a||b| sin θ, the dot product is |a||b| cos θ. An angle has both.",
        "torch.atan2(sine, cosine) needs no clipping and no unit vectors; torch.rad2deg makes degrees of it.",
    ),
)
def angular_error(candidate):
    """Values and gradients are right from 0° to 180°, in single precision."""
    a, b = torch.randn(8, 3), torch.randn(8, 3)
    unit_a, unit_b = (torch.nn.functional.normalize(v, dim=-1) for v in (a, b))
    same_output(candidate, _angular_error, unit_a, unit_b, name="the angle of 8 random pairs", tolerance=1e-3)
    same_output(candidate, _angular_error, 3 * a, b, name="the angle of 8 pairs of any length", tolerance=1e-3)
    batches = a.view(2, 4, 3), b.view(2, 4, 3)
    same_output(candidate, _angular_error, *batches, name="the angles of a batch of shape [2, 4, 3]", tolerance=1e-3)
    for degrees in ALMOST:
        _check_angle(candidate, degrees)
    _check_ends(candidate)
    same_gradient(candidate, _angular_error, unit_a, unit_b, name="the gradient for 8 random pairs", tolerance=1e-3)


def _check_angle(candidate: Callable, degrees: float) -> None:
    """Value and slope of the error of a direction that is ``degrees`` away from straight into the camera."""
    yaw = torch.tensor(math.radians(degrees), dtype=torch.float64)
    away = torch.stack([-yaw.sin(), torch.zeros_like(yaw), -yaw.cos()]).float().requires_grad_()
    error = candidate(away[None], torch.tensor([[0.0, 0.0, -1.0]]))
    if not abs(error.item() - degrees) <= 1e-3 * max(1.0, degrees / 10):
        raise Wrong(
            f"for two directions {degrees}° apart your error is {error.item():.5g}°. In single precision, cosines "
            f"near ±1 and sines near 1 are rounded by more than that."
        )
    along = torch.stack([-yaw.cos(), torch.zeros_like(yaw), yaw.sin()]).float()
    slope = math.radians(_gradient(error, away) @ along)
    if not abs(slope - 1.0) <= 0.01:
        raise Wrong(
            f"for two directions {degrees}° apart, turning one of them by 1° changes the error by {slope:.3g}°, says "
            f"your gradient. It should be 1°."
        )


def _check_ends(candidate: Callable) -> None:
    """At exactly 0° and 180° any finite gradient will do."""
    for words, sign, wanted in (("the same direction twice", 1.0, 0.0), ("opposite directions", -1.0, 180.0)):
        a = torch.tensor([[0.0, 0.0, -1.0]], requires_grad=True)
        error = candidate(a, sign * a.detach())
        if not abs(error.item() - wanted) <= 1e-3:
            raise Wrong(f"for {words} your error is {error.item():.5g}°; it should be {wanted:.0f}°.")
        gradient = _gradient(error, a)
        if not bool(torch.isfinite(gradient).all()):
            raise Wrong(f"for {words} the gradient is {gradient.flatten().tolist()}; one such pair spoils a network.")


def _gradient(error: Tensor, direction: Tensor) -> Tensor:
    if not error.requires_grad:
        raise Wrong("no gradient reaches the directions: is there a detach(), a no_grad() or an item() in the way?")
    return torch.autograd.grad(error.sum(), direction)[0]


# --- the normalized camera ----------------------------------------------------------------------


def _normalizing_rotation(face_center: Tensor, head_rotation: Tensor) -> Tensor:
    z_axis = face_center / face_center.norm()
    y_axis = torch.linalg.cross(z_axis, head_rotation[:, 0])
    y_axis = y_axis / y_axis.norm()
    x_axis = torch.linalg.cross(y_axis, z_axis)
    return torch.stack([x_axis, y_axis, z_axis])


@check.exercise(
    reference=_normalizing_rotation,
    difficulty=2,
    minutes=15,
    hints=(
        "Build the three axes of the virtual camera one by one, as vectors of the real camera's frame. Which one is "
        "given by where the face is?",
        "z points at the face. y stands at right angles to z and to the head's x axis, which is head_rotation[:, 0]: a "
        "cross product gives it. Its length is not 1 yet.",
        "x = y × z completes a right-handed frame. R turns real coordinates into virtual ones: the axes are its rows.",
    ),
)
def normalizing_rotation(candidate):
    """The camera looks at the face, upright, with the head's x axis horizontal."""
    faces = {"an upright face straight ahead": (torch.tensor([0.0, 0.0, 600.0]), torch.eye(3))}
    faces |= {f"random face {number}": _random_face() for number in (1, 2, 3, 4)}
    for words, (center, head) in faces.items():
        rotation, wanted = candidate(center.clone(), head.clone()), _normalizing_rotation(center, head)
        _check_frame(rotation, wanted, center, head)
        compare(f"R for {words}", rotation, wanted, tolerance=1e-4)
    same_output(candidate, _normalizing_rotation, center, head, name="R", tolerance=1e-4)


def _random_face() -> tuple[Tensor, Tensor]:
    """A face center [3] in mm and a head rotation [3, 3] with some tilt to a shoulder."""
    center = torch.tensor([250.0, 150.0, 0.0]) * torch.randn(3) + torch.tensor([0.0, 0.0, 700.0])
    return center, pitchyaw_to_rotation(0.4 * torch.randn(2)) @ _roll(0.3 * torch.randn(()))


def _roll(angle: Tensor) -> Tensor:
    """Rotation [3, 3] of a head tilted to a shoulder."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero, zero, zero, one]
    return torch.stack(rows).view(3, 3)


def _check_frame(rotation: Tensor, wanted: Tensor, center: Tensor, head: Tensor) -> None:
    """Say in the terms of the camera what is wrong with R, where that says more than its numbers do."""
    if not isinstance(rotation, Tensor) or rotation.shape != (3, 3):
        compare("R", rotation, wanted)
    if torch.allclose(rotation, wanted.T, atol=1e-4) and not torch.allclose(rotation, wanted, atol=1e-4):
        raise Wrong("this is the transpose of R: it turns virtual coordinates into real ones. The axes are R's rows.")
    if not torch.allclose(rotation @ rotation.T, torch.eye(3), atol=1e-4):
        raise Wrong("the rows of R must have length 1 and stand at right angles; R Rᵀ should be the identity.")
    if torch.linalg.det(rotation) < 0:
        raise Wrong("R mirrors the image: its determinant is -1. The order of a cross product matters.")
    seen = rotation @ center
    if not torch.allclose(seen, wanted @ center, atol=0.1):
        values = ", ".join(f"{value:.0f}" for value in seen.tolist())
        raise Wrong(f"the virtual camera should see the face at (0, 0, {center.norm():.0f}); it sees it at ({values}).")
    if rotation[0] @ wanted[0] < -0.99:
        raise Wrong("the image is upside down: x and y both point the wrong way.")
    slant = (rotation @ head[:, 0])[1].item()
    if abs(slant) > 1e-4:
        raise Wrong(f"the head's x axis is not horizontal in the new image: its y component is {slant:.3f}, not 0.")
