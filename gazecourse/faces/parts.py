"""What everything that a head wears is made of: parts, points that stick to the head, grids and tubes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gazecourse.faces.noise import uniform
from gazecourse.validation import check_array

SKULL_CENTER = (0.0, -40.0, 85.0)
"""Inside the mean head; meridians start above it and run down around the vertical axis through it."""
DEGREES_PER_MM = 0.75
"""Below the skull's center, meridians run straight down; there a millimeter counts as this many degrees of descent."""
RAYS_AT_ONCE = 256
EDGE_TOLERANCE = 1e-4
"""Rays may miss a triangle by this share of its size, so that none slips through an edge."""


@dataclass
class Part:
    """One piece of a batch of B faces' outfits, in the head frame.

    Attributes:
        name: what it is.
        points: [B, V, 3] in mm.
        triangles: [F, 3], counter-clockwise seen from outside; the same in every batch.
        color: [B, 3] or [B, V, 3] linear RGB.
        material: "hair", "cloth", "plastic", "metal", "skin" or "lens".
        shown: [B] bool; the points of faces that do not wear the part mean nothing.
        surface: [B, V, 3] in mm, what textures are drawn in; None stands for the points themselves. Hair has
            (across the strands, along the strands from the crown, layer).
    """

    name: str
    points: Tensor
    triangles: Tensor
    color: Tensor
    material: str
    shown: Tensor
    surface: Tensor | None = None


@dataclass(frozen=True)
class Anchors:
    """N points that stick to the surface: vertex indices ``corners`` and barycentric ``weights``, both [N, 3]."""

    corners: Tensor
    weights: Tensor

    def on(self, points: Tensor) -> Tensor:
        """Where the anchors lie, [B, N, 3], on heads with vertices ``points`` [B, V, 3]."""
        out = points.index_select(1, self.corners[:, 0]) * self.weights[:, 0:1]
        out.addcmul_(points.index_select(1, self.corners[:, 1]), self.weights[:, 1:2])
        return out.addcmul_(points.index_select(1, self.corners[:, 2]), self.weights[:, 2:3])

    def rows(self, which: slice) -> Anchors:
        """Some of the anchors."""
        return Anchors(self.corners[which], self.weights[which])

    @staticmethod
    def concatenate(*pieces: Anchors) -> Anchors:
        """The anchors of all ``pieces``, one after another."""
        return Anchors(torch.cat([p.corners for p in pieces]), torch.cat([p.weights for p in pieces]))


def _moments(origin: Tensor, direction: Tensor) -> Tensor:
    """Plücker coordinates [..., 6] of lines."""
    return torch.cat([direction, torch.linalg.cross(origin, direction)], dim=-1)


def cast(points: Tensor, triangles: Tensor, origins: Tensor, directions: Tensor, *, farthest: bool = False) -> Anchors:
    """Where rays from inside leave a surface.

    A line leaves through a triangle if it passes all three edges on the same side, which Plücker coordinates tell by
    the sign of one inner product per edge; those products are also the barycentric weights.

    Args:
        points: [V, 3]. triangles: [F, 3], counter-clockwise seen from outside.
        origins, directions: [N, 3].
        farthest: take the last exit of each ray instead of the first.
    Raises:
        TypeError, ValueError: wrong shape or dtype, NaN, or a ray that never leaves the surface.
    """
    check_array("points", points, ["V", 3])
    check_array("triangles", triangles, ["F", 3], floating=False)
    check_array("origins", origins, ["N", 3])
    check_array("directions", directions, [len(origins), 3])
    corners = points[triangles]
    opposite = [_moments(corners[:, k - 2], corners[:, k - 1] - corners[:, k - 2]) for k in range(3)]
    rays = _moments(origins, directions).roll(3, dims=1)
    pieces = [_exits(rays[start : start + RAYS_AT_ONCE], opposite) for start in range(0, len(rays), RAYS_AT_ONCE)]
    ray = torch.cat([piece[0] + RAYS_AT_ONCE * number for number, piece in enumerate(pieces)])
    face = torch.cat([piece[1] for piece in pieces])
    weights = torch.cat([piece[2] for piece in pieces])
    hit = (corners[face] * weights.unsqueeze(-1)).sum(1)
    depth = ((hit - origins[ray]) * directions[ray]).sum(1)
    ahead = depth > 0
    empty = -math.inf if farthest else math.inf
    best = torch.full((len(origins),), empty, device=points.device)
    best = best.scatter_reduce(0, ray[ahead], depth[ahead], reduce="amax" if farthest else "amin")
    chosen = (ahead & (depth == best[ray])).nonzero().squeeze(1)
    if bool(best.isinf().any()):
        lost = int(best.isinf().nonzero()[0])
        raise ValueError(f"the ray from {origins[lost].tolist()} to {directions[lost].tolist()} leaves no surface.")
    # Of two triangles that share the edge a ray runs through, either will do.
    row = torch.empty(len(origins), dtype=torch.long, device=points.device).index_copy_(0, ray[chosen], chosen)
    return Anchors(triangles[face[row]], weights[row])


def _exits(rays: Tensor, opposite: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Ray, triangle and barycentric weights [H, 3] of every place where lines go out through triangles."""
    sides = [rays @ edge.T for edge in opposite]
    total = sides[0] + sides[1] + sides[2]
    lowest = torch.minimum(torch.minimum(sides[0], sides[1]), sides[2])
    ray, face = ((lowest >= -EDGE_TOLERANCE * total) & (total > 0)).nonzero().unbind(1)
    weights = torch.stack([side[ray, face] for side in sides], dim=1).clamp(min=0)
    return ray, face, weights / weights.sum(1, keepdim=True)


def meridian_rays(azimuth: Tensor, descent: Tensor) -> tuple[Tensor, Tensor]:
    """Rays, origins and directions [..., 3], that leave the head on a grid from the crown downward.

    Args:
        azimuth: [...] degrees about the vertical axis from the front to the person's left.
        descent: [...] degrees from the crown; from 90 on, ``DEGREES_PER_MM`` for each mm below the skull's center.
    """
    theta, phi = torch.deg2rad(azimuth), torch.deg2rad(descent.clamp(max=90.0))
    drop = (descent - 90.0).clamp(min=0) / DEGREES_PER_MM
    zero = torch.zeros_like(theta)
    origin = torch.tensor(SKULL_CENTER, device=azimuth.device) + torch.stack([zero, drop + zero, zero], dim=-1)
    direction = torch.stack([phi.sin() * theta.sin(), -phi.cos() + zero, -phi.sin() * theta.cos()], dim=-1)
    return origin, direction


def descent_to(point: Tensor) -> Tensor:
    """Descent [...] at which a meridian reaches the height of surface points [..., 3]."""
    offset = point - torch.tensor(SKULL_CENTER, device=point.device)
    across = offset[..., [0, 2]].norm(dim=-1)
    polar = torch.rad2deg(torch.atan2(across, -offset[..., 1]))
    return torch.where(offset[..., 1] < 0, polar, 90.0 + offset[..., 1] * DEGREES_PER_MM)


def descent_at_height(points: Tensor, triangles: Tensor, azimuth: Tensor, height: Tensor) -> Tensor:
    """Descent [N] at which the meridians ``azimuth`` [N] reach heights ``height`` [N] (y in mm) of a head."""
    origin, direction = meridian_rays(azimuth, torch.full_like(azimuth, 90.0))
    origin = torch.stack([origin[:, 0], height, origin[:, 2]], dim=1)
    surface = cast(points, triangles, origin, direction).on(points.unsqueeze(0))[0]
    return descent_to(surface)


def grid_triangles(rows: int, columns: int, *, closed: bool = False, flip: bool = False) -> Tensor:
    """Triangles [F, 3] of a grid of vertices in row-major order.

    The outside is where (step to the next row) × (step to the next column) points; ``flip`` turns it around.

    Args:
        rows, columns: vertices in each direction.
        closed: join the last column to the first.
    """
    index = torch.arange(rows * columns).view(rows, columns)
    right = index.roll(-1, dims=1) if closed else index[:, 1:]
    left = index if closed else index[:, :-1]
    a, b, c, d = left[:-1].reshape(-1), left[1:].reshape(-1), right[:-1].reshape(-1), right[1:].reshape(-1)
    triangles = torch.cat([torch.stack([a, b, c], dim=1), torch.stack([c, b, d], dim=1)])
    return triangles.flip(1) if flip else triangles


def join(*pieces: tuple[int, Tensor]) -> Tensor:
    """One triangle list for pieces that lie one after another, each given by its vertex count and triangles."""
    total, lists = 0, []
    for count, triangles in pieces:
        lists.append(triangles + total)
        total += count
    return torch.cat(lists)


def tube(path: Tensor, radius: Tensor, side: Tensor, sides: int) -> Tensor:
    """Vertices [B, N × sides, 3] of tubes about paths, ring after ring.

    Args:
        path: [B, N, 3] center line.
        radius: [..., N, 2] half-widths along ``side`` and across it, mm; broadcasts over the batch.
        side: [B, N, 3] or broadcastable; a direction that is not along the path.
        sides: vertices of each ring.
    """
    along = torch.cat([path[:, 1:2] - path[:, :1], path[:, 2:] - path[:, :-2], path[:, -1:] - path[:, -2:-1]], dim=1)
    along = normalize(along, dim=-1)
    across = normalize(torch.linalg.cross(side.expand_as(along), along), dim=-1)
    first = torch.linalg.cross(along, across)
    angle = torch.arange(sides, device=path.device) * (2 * math.pi / sides)
    u = (radius[..., 0:1] * angle.cos()).unsqueeze(-1) * first.unsqueeze(2)
    v = (radius[..., 1:2] * angle.sin()).unsqueeze(-1) * across.unsqueeze(2)
    return (path.unsqueeze(2) + u + v).flatten(1, 2)


def tube_triangles(rings: int, sides: int, *, capped: bool = True) -> Tensor:
    """Triangles of a ``tube``; caps close both ends with fans."""
    triangles = grid_triangles(rings, sides, closed=True)
    if not capped:
        return triangles
    fan = torch.stack([torch.zeros(sides - 2).long(), torch.arange(1, sides - 1), torch.arange(2, sides)], dim=1)
    return torch.cat([triangles, fan, fan.flip(1) + (rings - 1) * sides])


def plane_waves(place: Tensor, seed: Tensor, *, count: int, length: float, stream: int) -> Tensor:
    """Smooth noise [B, N] of mean 0 and about unit size: plane waves in random directions.

    Args:
        place: [N, 3] in mm. seed: [B] int64. count: waves. length: of each wave in mm. stream: as in ``uniform``.
    """
    draw = uniform(seed, 4 * count, stream).view(-1, count, 4)
    direction = normalize(draw[..., :3] - 0.5, dim=-1) * (2 * math.pi / length)
    phase = place @ direction.transpose(1, 2) + 2 * math.pi * draw[..., 3].unsqueeze(1)
    return phase.sin().sum(-1) * (2.0 / count) ** 0.5


def smoothstep(value: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """0 below ``low``, 1 above ``high`` (or the reverse if low > high), smooth in between."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def interpolate_knots(knots: tuple[tuple[float, float], ...], x: Tensor) -> Tensor:
    """Piecewise linear function through (x, y) ``knots``, constant outside."""
    xs = torch.tensor([k[0] for k in knots], device=x.device)
    ys = torch.tensor([k[1] for k in knots], device=x.device)
    place = (torch.searchsorted(xs, x.contiguous()) - 1).clamp(0, len(knots) - 2)
    share = ((x - xs[place]) / (xs[place + 1] - xs[place])).clamp(0, 1)
    return ys[place] + share * (ys[place + 1] - ys[place])
