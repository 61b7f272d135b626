"""Light on the head: shadows, ambient light, diffuse and glossy reflection."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.faces.attributes import Factors
from gazecourse.faces.rasterizer import depth_map


def light_basis(direction: Tensor) -> Tensor:
    """Rotation [B, 3, 3] whose third row points away from a light that shines from ``direction`` [B, 3] (unit)."""
    forward = -direction
    up = torch.tensor([0.0, 1.0, 0.0], device=direction.device).expand_as(forward)
    side = torch.tensor([1.0, 0.0, 0.0], device=direction.device).expand_as(forward)
    helper = torch.where(forward[:, 1:2].abs() > 0.9, side, up)
    right = torch.nn.functional.normalize(torch.linalg.cross(helper, forward), dim=1)
    return torch.stack([right, torch.linalg.cross(forward, right), forward], dim=1)


def visible_from(
    points: Tensor, triangles: Tensor, direction: Tensor, *, size: int = 128, extent: float = 150.0, bias: float = 3.0
) -> Tensor:
    """Share of light that reaches each vertex from a distant light: a shadow map with 3 × 3 filtering.

    Args:
        points: [B, V, 3] vertices in mm, the head about the origin.
        triangles: [F, 3] the triangles that cast shadows.
        direction: [B, 3] unit vectors to the light.
        size: width of the shadow map in texels.
        extent: half the width of the shadow map in mm; points outside are lit.
        bias: in mm; how far behind the map a point may lie and still be lit.
    Returns:
        [B, V] in [0, 1].
    """
    batch, count, _ = points.shape
    seen = points @ light_basis(direction).transpose(1, 2)
    scale = size / (2 * extent)
    far = 4000.0
    x = seen[..., 0] * scale + size / 2
    y = seen[..., 1] * scale + size / 2
    z = seen[..., 2] + far
    projected = torch.stack([x, y, z], dim=-1)
    # The rasterizer takes 1/z to be linear in the image; with the head this far away so is z, to a micrometer.
    depth = depth_map(projected, triangles, size, size).unsqueeze(1)
    grid = torch.stack([x, y], dim=-1) * (2 / size) - 1
    lit = torch.zeros(batch, count, device=points.device)
    for dx in (-1.0, 0.0, 1.0):
        for dy in (-1.0, 0.0, 1.0):
            offset = torch.tensor([dx, dy], device=points.device) * (2 / size)
            nearest = torch.nn.functional.grid_sample(
                depth, (grid + offset).unsqueeze(1), mode="nearest", padding_mode="border", align_corners=False
            )[:, 0, 0]
            lit += (z <= nearest + bias).float() / 9
    outside = (grid.abs() > 1).any(-1)
    return torch.where(outside, 1.0, lit)


SKIN_WRAP = (0.36, 0.20, 0.14)
"""How far light of each color creeps around the shadow's edge: red light scatters farthest inside the skin."""


def diffuse_light(normals: Tensor, openness: Tensor, shadow: Tensor, factors: Factors) -> Tensor:
    """Light [B, V, 3] that a matte surface receives: Lambert's cosine, wrapped, plus the surroundings.

    Args:
        normals: [B, V, 3] unit. openness: [B, V] share of the surroundings each vertex sees.
        shadow: [B, V, LIGHTS] share of each light that arrives.
        factors: light_direction, light_color, ambient_above and ambient_below are read.
    """
    wrap = torch.tensor(SKIN_WRAP, device=normals.device)
    up = (0.5 - 0.5 * normals[..., 1:2]).clamp(0, 1)
    ambient = up * factors.ambient_above.unsqueeze(1) + (1 - up) * factors.ambient_below.unsqueeze(1)
    total = ambient * openness.unsqueeze(-1)
    for index in range(factors.light_color.shape[1]):
        cosine = (normals @ factors.light_direction[:, index].unsqueeze(-1)).clamp(-1, 1)
        wrapped = ((cosine + wrap) / (1 + wrap)).clamp(min=0)
        reach = shadow[..., index : index + 1] * (0.15 + 0.85 * openness.unsqueeze(-1)).clamp(max=1.0)
        total = total + wrapped * reach * factors.light_color[:, index].unsqueeze(1)
    return total


def glossy_light(
    normal: Tensor, toward: Tensor, sharpness: Tensor, received: Tensor, image: Tensor, factors: Factors
) -> Tensor:
    """Mirror-like light [P, 3] of Blinn (1977, "Models of light reflection for computer synthesized pictures").

    Args:
        normal, toward: [P, 3] unit normal and unit direction to the camera.
        sharpness: [P] Blinn's exponent. received: [P, 3] diffuse light there, which dims highlights in the shade.
        image: [P] index into the batch. factors: the lights are read.
    """
    shine = torch.zeros_like(normal)
    fresnel = 0.35 + 0.65 * (1 - (normal * toward).sum(1, keepdim=True).clamp(0, 1)) ** 3
    open_share = (received / (received + 0.25)).mean(1, keepdim=True)
    for index in range(factors.light_color.shape[1]):
        direction = factors.light_direction[:, index].index_select(0, image)
        half = torch.nn.functional.normalize(direction + toward, dim=1)
        cosine = (normal * half).sum(1).clamp(min=1e-4)
        lobe = torch.exp(sharpness * torch.log(cosine)).unsqueeze(1)
        shine = shine + lobe * factors.light_color[:, index].index_select(0, image)
    return shine * fresnel * open_share
