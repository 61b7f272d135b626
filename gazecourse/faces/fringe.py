"""Locks of hair that fall over the forehead."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from gazecourse.faces.attributes import HAIR_STYLES, Factors
from gazecourse.faces.hair import FRONT, HAIRLINE
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.noise import uniform
from gazecourse.faces.parts import (
    Part,
    cast,
    descent_at_height,
    grid_triangles,
    interpolate_knots,
    join,
    meridian_rays,
    smoothstep,
)

WIDTH, COLUMNS, ROWS = 60.0, 21, 8
"""The forehead as a grid: degrees to either side, and vertices."""
ABOVE_HAIRLINE = 18.0
"""Locks start this far in mm above the hairline."""
END = ((0.0, -46.0), (25, -48), (44, -44), (60, -38))
"""Height y in mm on the mean head of the longest lock, just above the brows, by degrees from the front."""
LOCKS, LOCK_ROWS, LOCK_WIDTH = 30, 6, 4.2
"""Locks, vertices along each, and half their width in degrees."""
OUTERMOST = 46.0
SHORTEST = 0.15
"""A ``hair_fringe`` below this is none."""
WIDEST_SWEEP = 32.0
"""Degrees to either side by which the tips of a fringe are swept."""
PARTED_SHARE = 0.35
"""Share of people whose fringe is parted in the middle."""


class Fringe:
    """Tapered strips that start in the hair and end above the brows; all people have their own way to wear them."""

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        skin = model.triangles[model.part == 0]
        azimuth = torch.linspace(-WIDTH, WIDTH, COLUMNS, device=device)
        away = azimuth.abs()
        start = descent_at_height(model.mean, skin, azimuth, interpolate_knots(HAIRLINE, away) - ABOVE_HAIRLINE)
        stop = descent_at_height(model.mean, skin, azimuth, interpolate_knots(END, away))
        share = torch.linspace(0, 1, ROWS, device=device).unsqueeze(1)
        origin, direction = meridian_rays(azimuth.expand(ROWS, -1), start + (stop - start) * share)
        self.outward = direction.view(-1, 3)
        self.forehead = cast(model.mean, skin, origin.view(-1, 3), self.outward)
        self.root = torch.linspace(-OUTERMOST, OUTERMOST, LOCKS, device=device)
        self.along = torch.linspace(0, 1, LOCK_ROWS, device=device)
        self.triangles = join(*[(3 * LOCK_ROWS, grid_triangles(LOCK_ROWS, 3))] * LOCKS).to(device)
        self.front = torch.tensor(FRONT, device=device)

    def _over_forehead(self, geometry: HeadGeometry, azimuth: Tensor, share: Tensor, lift: Tensor) -> Tensor:
        """Points [B, N, 3] over the forehead.

        Args:
            azimuth: [B, N] degrees from the front. share: [B, N] of the way down. lift: [B, N] mm above the skin.
        """
        skin = self.forehead.on(geometry.points)
        grid = torch.cat([skin, self.outward.expand_as(skin)], dim=-1).view(-1, ROWS, COLUMNS, 6).permute(0, 3, 1, 2)
        place = torch.stack([azimuth / WIDTH, 2 * share - 1], dim=-1).unsqueeze(1)
        sample = grid_sample(grid, place, padding_mode="border", align_corners=True)[:, :, 0].transpose(1, 2)
        return sample[..., :3] + sample[..., 3:] * lift.unsqueeze(-1)

    def _habit(self, factors: Factors) -> tuple[Tensor, Tensor, Tensor]:
        """Of each lock [B, LOCKS]: its length as a share of the forehead, its sweep in degrees, its layer in [0, 1]."""
        draw = uniform(factors.person, 3 * LOCKS + 4, 14)
        length, turn, layer = draw[:, : 3 * LOCKS].view(-1, 3, LOCKS).unbind(1)
        side, parted, first, second = draw[:, 3 * LOCKS :].split(1, dim=1)
        sweep = WIDEST_SWEEP * (2 * side - 1)
        sweep = torch.where(parted < PARTED_SHARE, self.root.sign() * sweep.abs(), sweep) + 9.0 * (turn - 0.5)
        wave = torch.sin(0.08 * self.root + 6.3 * first) + 0.6 * torch.sin(0.21 * self.root + 6.3 * second)
        length = (0.3 + 0.7 * factors.hair_fringe.unsqueeze(1)) * (0.72 + 0.16 * length + 0.07 * wave)
        return length * (0.35 + 0.65 * smoothstep(self.root.abs(), 50.0, 30.0)), sweep, layer

    def part(self, geometry: HeadGeometry, factors: Factors, color: Tensor) -> Part:
        """The fringe; hats hide it. ``color`` [B, 3]."""
        length, sweep, layer = (value.unsqueeze(-1) for value in self._habit(factors))
        share = self.along * length
        swept = sweep * share**1.3
        half = LOCK_WIDTH * (1 - 0.92 * self.along**2)
        side = torch.tensor([-1.0, 0.0, 1.0], device=color.device)
        across = self.root.view(-1, 1, 1) + half.unsqueeze(-1) * side
        azimuth = across + swept.unsqueeze(-1)
        hair = self.front.index_select(0, factors.hair_style).view(-1, 1, 1)
        lift = 0.9 + (1.5 + hair) * smoothstep(self.along, 0.75, 0.1) + (0.6 + 2.4 * layer) * (1 - 0.6 * self.along)
        lift = lift.unsqueeze(-1) + 1.3 * (1 - self.along).unsqueeze(-1) * (1 - side.abs())
        share = share.unsqueeze(-1).expand_as(azimuth)
        points = self._over_forehead(geometry, azimuth.flatten(1), share.flatten(1), lift.flatten(1))
        across = (torch.deg2rad(across) * 75.0).expand_as(azimuth)
        depth = (31.0 + 9.0 * layer.unsqueeze(-1)).expand_as(azimuth)
        surface = torch.stack([across, 90.0 + 60.0 * share, depth], dim=-1).flatten(1, 3)
        styled = factors.hair_style >= HAIR_STYLES.index("short")
        shown = styled & (factors.hair_fringe > SHORTEST) & (factors.hat == 0)
        return Part("fringe", points, self.triangles, color, "hair", shown, surface)
