"""Clothes: shoulders and chest below a collar, closed where the head model is cut off."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.faces.attributes import Factors
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.noise import uniform
from gazecourse.faces.parts import Anchors, Part, cast, grid_triangles, interpolate_knots, smoothstep

COLUMNS, ROWS, EXTENSION_ROWS = 48, 10, 4
CHEST = (0.0, 230.0, 110.0)
"""Inside the chest of the mean head; rays from here reach shoulders and neck."""
COLLAR = ((0.0, 46.0), (40, 38), (70, 29), (100, 25), (140, 24), (180, 24))
"""Degrees between straight up and the collar, seen from ``CHEST``, by degrees from the front."""
CUT = (
    (0.0, 99.0), (30, 96), (40, 91), (60, 92), (70, 90), (78, 80), (90, 76), (102, 74), (110, 88), (130, 91), (150, 93),
    (180, 95),
)  # fmt: skip
"""Degrees at which the cloth leaves the head model, which ends a little further down."""
EXTENSION = ((12.0, 22.0), (20.0, 75.0), (23.0, 170.0), (23.0, 420.0))
"""Steps outward and down in mm from there on, for the arms; chest and back step outward less."""
COLLARS = {
    "shirt": ((-3.0, 3.0), (16.0, 2.5), (25.0, 4.0), (21.0, 8.0), (7.0, 9.5), (-4.0, 9.5), (-14.0, 1.0)),
    "turtleneck": ((-6.0, 9.0), (24.0, 2.5), (38.0, 4.0), (35.0, 8.5), (20.0, 9.0), (4.0, 9.0), (-16.0, 2.0)),
}
"""Profile of a collar: height above the neckline and distance from the neck in mm, up on the inside and down again."""
COLLAR_SHARES = {"shirt": 0.4, "turtleneck": 0.2}
MARGIN = 9.0
"""Degrees below the collar at which skin is surely out of sight."""


class Clothes:
    """A shirt with a round neck, to which a folded collar or a turtleneck may be added."""

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
        sideways = step[:, :1] * (0.4 + 0.6 * arm)
        self.extension = torch.stack(
            [sideways * theta[0].sin(), step[:, 1:].expand(-1, COLUMNS), -sideways * theta[0].cos()], dim=-1
        )
        rows = torch.tensor([-2.0, 3.5, 4.0, 6.0] + [8.0] * (ROWS - 4), device=device)
        self.distance = rows.repeat_interleave(COLUMNS).unsqueeze(1)
        self.triangles = grid_triangles(ROWS + EXTENSION_ROWS, COLUMNS, closed=True).to(device)
        self.covered = self._covered(model)
        neckline = place[:COLUMNS]
        self.collars = {kind: self._collar(model.mean, skin, neckline, kind) for kind in COLLARS}
        self.collar_triangles = grid_triangles(len(COLLARS["shirt"]), COLUMNS, closed=True).to(device)

    def _collar(self, mean: Tensor, skin: Tensor, neckline: Tensor, kind: str) -> tuple[Anchors, Tensor]:
        """Points of the neck behind a collar, and how far [N, 3] the collar stands off from them."""
        profile = torch.tensor(COLLARS[kind], device=mean.device)
        theta = torch.atan2(neckline[:, 0], CHEST[2] - neckline[:, 2])
        closed = smoothstep(torch.rad2deg(theta).abs(), 2.0, 22.0) if kind == "shirt" else torch.ones_like(theta)
        height = neckline[:, 1] - profile[:, :1] * closed
        origin = torch.tensor(CHEST, device=mean.device).expand(*height.shape, 3).clone()
        origin[..., 1] = height
        direction = torch.stack([theta.sin(), torch.zeros_like(theta), -theta.cos()], dim=1).expand_as(origin)
        outward = direction * profile[:, 1:].unsqueeze(-1)
        return cast(mean, skin, origin.reshape(-1, 3), direction.reshape(-1, 3)), outward.reshape(-1, 3)

    def _covered(self, model: HeadModel) -> Tensor:
        """Triangles [F] of the model that lie wholly under the cloth, a good way below the collar."""
        offset = model.mean - torch.tensor(CHEST, device=model.mean.device)
        away = torch.rad2deg(torch.atan2(offset[:, 0].abs(), -offset[:, 2]))
        polar = torch.rad2deg(torch.atan2(offset[:, [0, 2]].norm(dim=1), -offset[:, 1]))
        below = polar > interpolate_knots(COLLAR, away) + MARGIN
        return below[model.triangles].all(1)

    def parts(self, geometry: HeadGeometry, factors: Factors) -> list[Part]:
        """The shirt."""
        batch = len(factors)
        points = self.anchors.on(geometry.points) + self.outward * self.distance
        last = points[:, -COLUMNS:].unsqueeze(1)
        below = (last + self.extension).flatten(1, 2)
        points = torch.cat([points, below], dim=1)
        everyone = torch.ones(batch, dtype=torch.bool, device=points.device)
        shirt = Part("shirt", points, self.triangles, factors.clothes_color, "cloth", everyone)
        draw = uniform(factors.seed, 1, 41)
        folded = draw < COLLAR_SHARES["shirt"]
        (shirt_neck, shirt_off), (turtle_neck, turtle_off) = self.collars.values()
        collar = torch.where(
            folded.unsqueeze(-1),
            shirt_neck.on(geometry.points) + shirt_off,
            turtle_neck.on(geometry.points) + turtle_off,
        )
        shown = draw.squeeze(1) < sum(COLLAR_SHARES.values())
        return [shirt, Part("collar", collar, self.collar_triangles, 0.92 * factors.clothes_color, "cloth", shown)]
