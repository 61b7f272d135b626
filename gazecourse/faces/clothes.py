"""Clothes: shoulders and chest below a collar, closed where the head model is cut off."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.faces.attributes import Factors
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.parts import Part, cast, grid_triangles, interpolate_knots, smoothstep

COLUMNS, ROWS, EXTENSION_ROWS = 48, 10, 4
CHEST = (0.0, 230.0, 110.0)
"""Inside the chest of the mean head; rays from here reach shoulders and neck."""
COLLAR = ((0.0, 46.0), (40, 38), (70, 29), (100, 25), (140, 24), (180, 24))
"""Degrees between straight up and the collar, seen from ``CHEST``, by degrees from the front."""
CUT = ((0.0, 97.0), (35, 92), (55, 80), (75, 74), (105, 74), (125, 84), (150, 95), (180, 95))
"""Degrees at which the cloth leaves the head model, which ends a little further down."""
EXTENSION = ((12.0, 22.0), (20.0, 75.0), (23.0, 170.0), (23.0, 420.0))
"""Steps outward and down in mm from there on, for the arms; chest and back have a quarter of the first."""
MARGIN = 9.0
"""Degrees below the collar at which skin is surely out of sight."""
LOWEST_CHIN = 112.0
"""No part of a face lies below this height y in mm on the mean head."""


class Clothes:
    """A shirt with a round neck."""

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        skin = model.triangles[model.part == 0]
        self.azimuth = torch.arange(COLUMNS, device=device) * (360.0 / COLUMNS) - 180.0
        away = self.azimuth.abs()
        share = torch.linspace(0, 1, ROWS, device=device).unsqueeze(1) ** 1.3
        start, stop = interpolate_knots(COLLAR, away), interpolate_knots(CUT, away)
        polar = torch.deg2rad(start + (stop - start) * share)
        theta = torch.deg2rad(self.azimuth).expand(ROWS, -1)
        direction = torch.stack([polar.sin() * theta.sin(), -polar.cos(), -polar.sin() * theta.cos()], dim=-1)
        self.outward = direction.reshape(-1, 3)
        origin = torch.tensor(CHEST, device=device).expand_as(self.outward)
        self.anchors = cast(model.mean, skin, origin, self.outward)
        place = self.anchors.on(model.mean.unsqueeze(0))[0]
        arm = smoothstep(place[-COLUMNS:, 0].abs(), 90.0, 170.0)
        step = torch.tensor(EXTENSION, device=device)
        sideways = step[:, :1] * (0.25 + 0.75 * arm)
        self.extension = torch.stack(
            [sideways * theta[0].sin(), step[:, 1:].expand(-1, COLUMNS), -sideways * theta[0].cos()], dim=-1
        )
        rows = torch.tensor([-2.0, 3.5, 4.0] + [5.0] * (ROWS - 3), device=device)
        self.distance = rows.repeat_interleave(COLUMNS).unsqueeze(1)
        self.triangles = grid_triangles(ROWS + EXTENSION_ROWS, COLUMNS, closed=True).to(device)
        self.covered = self._covered(model)

    def _covered(self, model: HeadModel) -> Tensor:
        """Triangles [F] of the model that lie wholly under the cloth, a good way below the collar."""
        offset = model.mean - torch.tensor(CHEST, device=model.mean.device)
        away = torch.rad2deg(torch.atan2(offset[:, 0].abs(), -offset[:, 2]))
        polar = torch.rad2deg(torch.atan2(offset[:, [0, 2]].norm(dim=1), -offset[:, 1]))
        below = (polar > interpolate_knots(COLLAR, away) + MARGIN) & (model.mean[:, 1] > LOWEST_CHIN)
        return below[model.triangles].all(1)

    def parts(self, geometry: HeadGeometry, factors: Factors) -> list[Part]:
        """The shirt."""
        batch = len(factors)
        points = self.anchors.on(geometry.points) + self.outward * self.distance
        last = points[:, -COLUMNS:].unsqueeze(1)
        below = (last + self.extension).flatten(1, 2)
        points = torch.cat([points, below], dim=1)
        everyone = torch.ones(batch, dtype=torch.bool, device=points.device)
        return [Part("shirt", points, self.triangles, factors.clothes_color, "cloth", everyone)]
