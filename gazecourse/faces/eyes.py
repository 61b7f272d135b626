"""Eyeballs: spheres that turn about their centers, painted by the angle from the optical axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gazecourse.faces.attributes import Factors
from gazecourse.faces.head import HeadGeometry

IRIS_RGB = torch.tensor(
    [
        [0.030, 0.014, 0.008],
        [0.105, 0.047, 0.020],
        [0.155, 0.100, 0.038],
        [0.120, 0.145, 0.065],
        [0.120, 0.190, 0.290],
        [0.200, 0.225, 0.240],
    ]
)
"""Linear RGB of ``EYE_COLORS``."""

RINGS, SECTORS = 9, 22
FRONT_ANGLE = math.radians(82.0)
CORNEA_RADIUS = 7.8
UPPER_LIDS = ((42, 43, 44, 45), (36, 37, 38, 39))
LOWER_LIDS = ((42, 47, 46, 45), (36, 41, 40, 39))


def eye_mesh() -> tuple[Tensor, Tensor]:
    """Unit front of an eyeball: vertices [V, 3] about the axis -z, and triangles [F, 3] wound outward."""
    angle = torch.linspace(0, FRONT_ANGLE, RINGS + 1)[1:]
    turn = torch.arange(SECTORS) * (2 * math.pi / SECTORS)
    ring = torch.stack(
        [
            angle.sin()[:, None] * turn.cos(),
            angle.sin()[:, None] * turn.sin(),
            -angle.cos()[:, None].expand(-1, SECTORS),
        ],
        dim=-1,
    )
    points = torch.cat([torch.tensor([[0.0, 0.0, -1.0]]), ring.reshape(-1, 3)])
    index = 1 + torch.arange(RINGS * SECTORS).view(RINGS, SECTORS)
    following = index.roll(-1, dims=1)
    cap = torch.stack([torch.zeros(SECTORS, dtype=torch.long), following[0], index[0]], dim=1)
    inner, outer = index[:-1].reshape(-1), index[1:].reshape(-1)
    inner_next, outer_next = following[:-1].reshape(-1), following[1:].reshape(-1)
    quads = [torch.stack([inner, outer_next, outer], dim=1), torch.stack([inner, inner_next, outer_next], dim=1)]
    return points, torch.cat([cap, *quads])


def lid_shade(points: Tensor, geometry: HeadGeometry, side: int) -> Tensor:
    """Ambient light [B, V] that reaches an eyeball's vertices [B, V, 3] between the lids, in [0, 1].

    The closer a point lies to the upper lid and its lashes, the darker it is; the lower lid shades less.
    """

    def distance(rows: tuple[int, ...]) -> Tensor:
        knots = geometry.landmarks[:, list(rows)]
        steps = torch.linspace(0, 1, 5, device=points.device)[:-1].view(1, 1, -1, 1)
        edge = (knots[:, :-1, None] * (1 - steps) + knots[:, 1:, None] * steps).flatten(1, 2)
        return torch.cdist(points, torch.cat([edge, knots[:, -1:]], dim=1)).amin(-1)

    upper = (distance(UPPER_LIDS[side]) / 5.0).clamp(0, 1)
    lower = (distance(LOWER_LIDS[side]) / 3.0).clamp(0, 1)
    return (0.25 + 0.75 * upper) * (0.65 + 0.35 * lower)


def _smooth(value: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Smooth step from 0 below ``low`` to 1 above ``high``."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def eyeball_color(direction: Tensor, axis: Tensor, radius: Tensor, image: Tensor, factors: Factors) -> Tensor:
    """Linear RGB [P, 3] of sclera, iris and pupil.

    Args:
        direction: [P, 3] unit vectors from the eye's center to the pixel's surface point, camera frame.
        axis: [P, 3] the eye's gaze direction. radius: [P] of the eyeball in mm.
        image: [P] index into the batch. factors: iris_radius, pupil_radius, eye_color, skin_tone and seed are read.
    """
    cosine = (direction * axis).sum(1).clamp(-1, 1)
    # Distance from the optical axis in mm, on the iris plane.
    off_axis = radius * (1 - cosine**2).clamp(min=0).sqrt() + radius * 2 * (cosine < 0)
    iris, pupil = factors.iris_radius[image], factors.pupil_radius[image]
    right = torch.nn.functional.normalize(
        torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0], device=axis.device).expand_as(axis), axis), dim=1
    )
    down = torch.linalg.cross(axis, right)
    around = torch.atan2((direction * down).sum(1), (direction * right).sum(1))
    phase = (torch.remainder(factors.person, 628) / 100.0)[image]
    fibers = 0.45 * torch.sin(17 * around + 3 * phase) + 0.35 * torch.sin(31 * around - 5 * phase + off_axis)
    fibers = fibers + 0.3 * torch.sin(53 * around + 7 * phase)
    place = (off_axis / iris).clamp(0, 1.2)
    color = IRIS_RGB.to(axis.device)[factors.eye_color][image]
    tone = 1.35 - 0.75 * _smooth(place, 0.72, 1.0) + 0.22 * fibers * _smooth(place, 0.25, 0.5)
    warm = torch.tensor([1.5, 1.0, 0.5], device=axis.device)
    collar = (1 - _smooth(place, 0.35, 0.62)).unsqueeze(1) * 0.4
    color = color * tone.unsqueeze(1) * (1 + collar * (warm - 1))
    inside_pupil = 1 - _smooth(off_axis, pupil - 0.25, pupil + 0.25)
    color = color * (1 - inside_pupil.unsqueeze(1)) + 0.004 * inside_pupil.unsqueeze(1)

    age = ((factors.age - 20) / 60).clamp(0, 1)[image].unsqueeze(1)
    white = torch.tensor([0.54, 0.485, 0.45], device=axis.device) * (1 - age * torch.tensor([0.08, 0.12, 0.22]).to(age))
    veins = 0.10 * _smooth(off_axis, 8.0, 13.0) * (1 + torch.sin(9 * around + phase) * torch.sin(2.3 * off_axis))
    white = white * (1 - veins.unsqueeze(1) * torch.tensor([0.15, 0.9, 0.9], device=axis.device))
    outside = _smooth(off_axis, iris - 0.35, iris + 0.45).unsqueeze(1)
    return color * (1 - outside) + white * outside


def corneal_normal(direction: Tensor, axis: Tensor, radius: Tensor, iris: Tensor) -> Tensor:
    """Unit normal [P, 3] of the eye's wet surface: the cornea bulges over the iris, the rest is the eyeball."""
    cosine = (direction * axis).sum(1)
    rim = torch.sqrt((radius**2 - iris**2).clamp(min=1.0))
    center = rim - math.sqrt(CORNEA_RADIUS**2 - 5.9**2)
    bulge = torch.nn.functional.normalize(direction * radius.unsqueeze(1) - axis * center.unsqueeze(1), dim=1)
    share = _smooth(radius * cosine, rim - 0.6, rim + 0.6).unsqueeze(1)
    return torch.nn.functional.normalize(direction * (1 - share) + bulge * share, dim=1)
