"""Exercises of notebook 02: which triangles face the camera, where a pixel lies in one, how bright it is."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.exercises import Checks, Wrong, compare, same_gradient, same_output

check = Checks()

TOWARDS = torch.tensor([[[0.0, 0.0], [0.0, 10.0], [10.0, 0.0]]])
"""One triangle on the screen that faces the camera: down first, then up to the right."""


# --- back-face culling --------------------------------------------------------------------------


def _faces_camera(corners: Tensor) -> Tensor:
    a, b, c = corners.unbind(-2)
    ab, ac = b - a, c - a
    return ac[..., 0] * ab[..., 1] - ab[..., 0] * ac[..., 1] > 0


@check.exercise(
    reference=_faces_camera,
    difficulty=1,
    minutes=8,
    hints=(
        "Take two edges from the first corner, a→b and a→c. The sign of their 2-D cross product says which way round "
        "the corners go.",
        "The 2-D cross product of (x₁, y₁) and (x₂, y₂) is x₁ y₂ − y₁ x₂. Because y points down on the screen, corners "
        "that run counter-clockwise to the eye give a negative one.",
        "With ab = b − a and ac = c − a: return ac_x · ab_y − ab_x · ac_y > 0. corners[..., 0, :] is a.",
    ),
)
def faces_camera(candidate):
    """Triangles that face away are dropped, whatever corner comes first; those seen edge-on are dropped too."""
    for first in range(3):
        turned = TOWARDS.roll(first, dims=1)
        _boolean("a triangle that faces the camera", candidate(turned), torch.tensor([True]))
        _boolean("the same triangle seen from behind", candidate(turned.flip(1)), torch.tensor([False]))
    flat = torch.tensor([[[0.0, 0.0], [5.0, 5.0], [10.0, 10.0]]])
    _boolean("a triangle seen edge-on, which covers no pixel", candidate(flat), torch.tensor([False]))
    random = torch.randn(50, 3, 2)
    _boolean("50 random triangles", candidate(random), _faces_camera(random))


def _boolean(name: str, got: object, want: Tensor) -> None:
    if not isinstance(got, Tensor) or got.dtype != torch.bool:
        kind = str(got.dtype).removeprefix("torch.") if isinstance(got, Tensor) else type(got).__name__
        raise Wrong(f"{name}: the answer should be a tensor of True and False; it is {kind}.")
    compare(name, got.float(), want.float())


# --- barycentric weights ------------------------------------------------------------------------


def _barycentric_weights(points: Tensor, corners: Tensor) -> Tensor:
    a, b, c = corners.unbind(-2)

    def doubled_area(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (r[..., 0] - p[..., 0]) * (q[..., 1] - p[..., 1])

    parts = [doubled_area(points, b, c), doubled_area(a, points, c), doubled_area(a, b, points)]
    return torch.stack(parts, dim=-1) / doubled_area(a, b, c)


@check.exercise(
    reference=_barycentric_weights,
    difficulty=2,
    minutes=12,
    hints=(
        "The weight of corner a is the share of the triangle's area that the smaller triangle (p, b, c) takes: the "
        "closer p lies to a, the larger the triangle opposite.",
        "Twice a signed area is a 2-D cross product, as in the exercise before. Use the same order of corners in all "
        "four areas, then signs take care of themselves: a point outside gets a negative weight.",
        "area(p, q, r) = (q_x − p_x)(r_y − p_y) − (r_x − p_x)(q_y − p_y); weights = [area(p, b, c), area(a, p, c), "
        "area(a, b, p)] / area(a, b, c), stacked on the last axis.",
    ),
)
def barycentric_weights(candidate):
    """Weights are 1 at their corner, sum to 1, turn negative outside and give the point back."""
    corners = torch.tensor([[0.0, 0.0], [0.0, 10.0], [10.0, 0.0]])
    compare("the weights at the three corners", candidate(corners, corners), torch.eye(3))
    middle = corners.mean(0, keepdim=True)
    compare("the weights at the middle of the triangle", candidate(middle, corners), torch.full((1, 3), 1 / 3))
    outside = candidate(torch.tensor([[20.0, 20.0]]), corners)
    compare("the weights of a point outside", outside, torch.tensor([[-3.0, 2.0, 2.0]]))
    points, triangle = torch.rand(20, 2) * 8, torch.tensor([[1.0, 2.0], [3.0, 9.0], [8.0, 1.0]])
    weights = candidate(points, triangle)
    same_output(candidate, _barycentric_weights, points, triangle, name="the weights of 20 points", tolerance=1e-4)
    compare("the corners, weighted and added: the points themselves", weights @ triangle, points, tolerance=1e-4)
    clockwise = triangle.flip(0)
    same_output(
        candidate, _barycentric_weights, points, clockwise, name="the weights with corners the other way round",
        tolerance=1e-4,
    )  # fmt: skip


# --- Lambert ------------------------------------------------------------------------------------


def _lambert(normal: Tensor, to_light: Tensor, light_color: Tensor, albedo: Tensor) -> Tensor:
    cosine = (normal * to_light).sum(-1, keepdim=True).clamp(min=0)
    return albedo * light_color * cosine


@check.exercise(
    reference=_lambert,
    difficulty=1,
    minutes=6,
    hints=(
        "Light that falls in at an angle spreads over more skin: brightness goes with the cosine between the normal "
        "and the direction to the light. What should a surface get that faces away?",
        "Both vectors have length 1, so the cosine is their dot product: (normal * to_light).sum(-1). Keep the axis "
        "(keepdim=True), so that it multiplies three colors.",
        "albedo * light_color * cosine.clamp(min=0)",
    ),
)
def lambert(candidate):
    """Brightness falls with the cosine, color by color, and nothing behind gets negative light."""
    skin, white = torch.tensor([[0.6, 0.4, 0.3]]), torch.ones(3)
    straight = torch.tensor([[0.0, 0.0, -1.0]])
    compare("light that falls straight in", candidate(straight, straight[0], white, skin), skin)
    slanted = torch.tensor([0.0, -(0.75**0.5), -0.5])
    compare("light from 60° above", candidate(straight, slanted, white, skin), 0.5 * skin)
    compare("light from behind", candidate(straight, -straight[0], white, skin), torch.zeros(1, 3))
    blue = torch.tensor([0.0, 0.0, 1.0])
    compare("blue light on skin", candidate(straight, straight[0], blue, skin), torch.tensor([[0.0, 0.0, 0.3]]))
    normal = torch.nn.functional.normalize(torch.randn(10, 3), dim=-1)
    same_output(candidate, _lambert, normal, slanted, torch.rand(3), torch.rand(10, 3), name="10 random surfaces")
    lit = normal * torch.sign((normal * slanted).sum(-1, keepdim=True))
    same_gradient(candidate, _lambert, lit, slanted, torch.rand(3), torch.rand(10, 3))
