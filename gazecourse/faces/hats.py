"""Cap, beanie and helmet: domes over the hair that end at a rim, with what belongs to them."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.faces.attributes import HATS, Factors
from gazecourse.faces.hair import HAT_RIMS
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.noise import uniform
from gazecourse.faces.parts import (
    Anchors,
    Part,
    cast,
    descent_at_height,
    grid_triangles,
    interpolate_knots,
    join,
    meridian_rays,
    smoothstep,
    tube,
    tube_triangles,
)

COLUMNS = {"cap": 40, "beanie": 72, "helmet": 40}
ROWS = 9
PROFILES = {
    "cap": ((0.0, 16.0), (0.45, 15.0), (0.8, 9.0), (1.0, 6.5)),
    "beanie": ((0.0, 24.0), (0.3, 19.0), (0.62, 9.0), (0.7, 8.0), (0.74, 11.5), (0.97, 10.5), (1.0, 9.0)),
    "helmet": ((0.0, 30.0), (0.6, 28.0), (0.95, 22.0), (1.0, 21.0)),
}
"""Distance in mm from the skin, by share of the way from the crown to the rim."""
SUNK = -2.0
"""Hats close with a last row of vertices just below the skin."""
RIB_HEIGHT, VENT_DEPTH = 0.35, 7.0
"""In mm; ribs of a beanie and vents of a helmet."""
VISOR_ROWS, VISOR_ANGLE, VISOR_LENGTH, VISOR_THICKNESS = 5, 58.0, 62.0, 2.2
"""A visor reaches to this many degrees on either side, and so far forward in the middle (mm)."""
OTHER_VISOR_SHARE, OTHER_VISOR_SHADE = 0.35, 0.35
"""Share of caps whose visor is darker than the dome, and by how much."""
STRAP_POINTS, STRAP_SIDES, STRAP_ANGLE, STRAP_GAP = 18, 4, 82.0, 2.0
STRAP_HALF_WIDTHS = (0.9, 7.0)
STRAP_COLOR = 0.03


class Dome:
    """Grid of one kind of hat, on meridians from the crown to the rim and back in to the skin.

    Attributes:
        azimuth: [columns] degrees from the front. share: [ROWS + 1, 1] of the way from the crown to the rim.
        bulge: what is added to the distance from the skin, mm, and ``shade``: a factor on the color; both
        [ROWS + 1, columns].
    """

    def __init__(self, model: HeadModel, kind: str) -> None:
        device = model.mean.device
        skin = model.triangles[model.part == 0]
        columns = COLUMNS[kind]
        self.azimuth = torch.arange(columns, device=device) * (360.0 / columns) - 180.0
        rim = interpolate_knots(HAT_RIMS[kind], self.azimuth.abs())
        share = torch.linspace(0, 1, ROWS, device=device).unsqueeze(1)
        descent = share * descent_at_height(model.mean, skin, self.azimuth, rim)
        origin, outward = meridian_rays(self.azimuth.expand(ROWS, -1), descent)
        origin, outward = origin.view(-1, 3), outward.view(-1, 3)
        anchors = cast(model.mean, skin, origin, outward, farthest=True)
        last = slice(-columns, None)
        self.anchors = Anchors.concatenate(anchors, anchors.rows(last))
        self.outward = torch.cat([outward, outward[last]])
        self.share = torch.cat([share, share[-1:]])
        self.bulge = torch.zeros(ROWS + 1, columns, device=device)
        self.shade = torch.ones(ROWS + 1, columns, device=device)
        self.distance = interpolate_knots(PROFILES[kind], share.squeeze(1))
        self.triangles = grid_triangles(ROWS + 1, columns, closed=True).to(device)

    def points(self, geometry: HeadGeometry) -> Tensor:
        """Vertices [B, (ROWS + 1) × columns, 3]."""
        closing = torch.full_like(self.distance[:1], SUNK)
        distance = torch.cat([self.distance, closing]).unsqueeze(1) + self.bulge
        return self.anchors.on(geometry.points) + self.outward * distance.view(-1, 1)

    def rim(self, points: Tensor) -> Tensor:
        """The row [B, columns, 3] of a dome's vertices that lies on the rim."""
        return points.unflatten(1, (ROWS + 1, -1))[:, ROWS - 1]

    def color(self, color: Tensor) -> Tensor:
        """``color`` [B, 3] on every vertex, shaded."""
        return color.unsqueeze(1) * self.shade.view(1, -1, 1)


class Visor:
    """Two sheets, one above the other, sewn to the front of a cap's rim."""

    def __init__(self, dome: Dome) -> None:
        self.columns = (dome.azimuth.abs() < VISOR_ANGLE).nonzero().squeeze(1)
        angle = dome.azimuth[self.columns] / VISOR_ANGLE
        share = torch.linspace(0, 1, VISOR_ROWS, device=angle.device).unsqueeze(1)
        self.forward = share * VISOR_LENGTH * (1 - angle.abs() ** 2.6)
        self.drop = self.forward * (0.26 + 0.15 * angle**2)
        self.spread = 1 + 0.10 * share * (1 - angle**2)
        count = VISOR_ROWS * len(self.columns)
        above = grid_triangles(VISOR_ROWS, len(self.columns), flip=True)
        self.triangles = join((count, above), (count, above.flip(1))).to(angle.device)

    def points(self, rim: Tensor) -> Tensor:
        """Vertices [B, V, 3] for a rim [B, columns, 3]."""
        x, y, z = rim.index_select(1, self.columns).unsqueeze(1).unbind(-1)
        middle = x.mean(2, keepdim=True)
        sheet = torch.stack([middle + (x - middle) * self.spread, y + self.drop, z - self.forward], dim=-1)
        # The seam lies a little inside the dome.
        sheet = sheet.flatten(1, 2) + torch.tensor([0.0, -1.0, 1.5], device=rim.device)
        return torch.cat([sheet, sheet + torch.tensor([0.0, VISOR_THICKNESS, 0.0], device=rim.device)], dim=1)


class Strap:
    """A band from a helmet's rim, before one ear, under the chin and up to the other side."""

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        turn = torch.linspace(-1.0, 1.0, STRAP_POINTS, device=device)
        angle = torch.deg2rad(turn * STRAP_ANGLE)
        zero = torch.zeros_like(turn)
        self.outward = torch.stack([angle.sin(), angle.cos(), zero], dim=1)
        origin = torch.stack([zero, 20.0 - 78.0 * turn.abs() ** 1.8, zero + 48.0], dim=1)
        self.anchors = cast(model.mean, model.triangles[model.part == 0], origin, self.outward, farthest=True)
        self.widths = torch.tensor(STRAP_HALF_WIDTHS, device=device)
        self.triangles = tube_triangles(STRAP_POINTS, STRAP_SIDES).to(device)

    def points(self, geometry: HeadGeometry) -> Tensor:
        """Vertices [B, V, 3]."""
        path = self.anchors.on(geometry.points) + self.outward * STRAP_GAP
        return tube(path, self.widths, self.outward, STRAP_SIDES)


class Hats:
    """All hats: a cap with seams and a visor, a beanie with ribs, a helmet with vents and a strap."""

    def __init__(self, model: HeadModel) -> None:
        self.cap, self.beanie, self.helmet = (Dome(model, kind) for kind in ("cap", "beanie", "helmet"))
        self.visor, self.strap = Visor(self.cap), Strap(model)
        is_seam = self.cap.azimuth.remainder(60.0) < 1e-3
        self.cap.shade = self.cap.shade - 0.25 * is_seam
        rib = 1 - 2 * torch.arange(len(self.beanie.azimuth), device=model.mean.device).remainder(2)
        self.beanie.bulge = self.beanie.bulge + RIB_HEIGHT * rib
        self.beanie.shade = self.beanie.shade * (0.78 + 0.22 * rib)
        stripe = torch.deg2rad(8 * self.helmet.azimuth).cos().clamp(min=0) ** 1.5
        vent = smoothstep(self.helmet.share, 0.2, 0.34) * smoothstep(self.helmet.share, 0.96, 0.78) * stripe
        self.helmet.bulge = self.helmet.bulge - VENT_DEPTH * vent
        self.helmet.shade = 1 - 0.85 * vent

    def parts(self, geometry: HeadGeometry, factors: Factors) -> list[Part]:
        """Dome of every kind, visor and strap."""
        color = factors.hat_color
        other = uniform(factors.seed, 1, 21) < OTHER_VISOR_SHARE
        visor_color = torch.where(other, OTHER_VISOR_SHADE * color, color)
        is_cap, is_beanie, is_helmet = (factors.hat == HATS.index(kind) for kind in ("cap", "beanie", "helmet"))
        cap, beanie, helmet = (dome.points(geometry) for dome in (self.cap, self.beanie, self.helmet))
        visor, strap = self.visor.points(self.cap.rim(cap)), self.strap.points(geometry)
        strap_color = torch.full_like(color, STRAP_COLOR)
        return [
            Part("cap", cap, self.cap.triangles, self.cap.color(color), "cloth", is_cap),
            Part("visor", visor, self.visor.triangles, visor_color, "cloth", is_cap),
            Part("beanie", beanie, self.beanie.triangles, self.beanie.color(color), "cloth", is_beanie),
            Part("helmet", helmet, self.helmet.triangles, self.helmet.color(color), "plastic", is_helmet),
            Part("strap", strap, self.strap.triangles, strap_color, "cloth", is_helmet),
        ]
