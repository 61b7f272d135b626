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
VISOR_COLUMNS, VISOR_ROWS = 17, 5
VISOR_HALF_ANGLE = 58.0
STRAP_POINTS, STRAP_SIDES = 18, 4


class Dome:
    """Grid of one kind of hat, on meridians from the crown to the rim and back in to the skin."""

    def __init__(self, model: HeadModel, kind: str) -> None:
        skin = model.triangles[model.part == 0]
        columns = COLUMNS[kind]
        self.azimuth = torch.arange(columns, device=model.mean.device) * (360.0 / columns) - 180.0
        away = self.azimuth.abs()
        descent = descent_at_height(model.mean, skin, self.azimuth, interpolate_knots(HAT_RIMS[kind], away))
        share = torch.linspace(0, 1, ROWS, device=model.mean.device).unsqueeze(1)
        origin, self.outward = meridian_rays(self.azimuth.expand(ROWS, -1).reshape(-1), (share * descent).reshape(-1))
        anchors = cast(model.mean, skin, origin, self.outward, farthest=True)
        last = slice(-columns, None)
        self.anchors = Anchors.concatenate(anchors, anchors.rows(last))
        self.outward = torch.cat([self.outward, self.outward[last]])
        self.columns = columns
        distance = interpolate_knots(PROFILES[kind], share.expand(-1, columns))
        self.distance = torch.cat([distance, torch.full_like(distance[:1], SUNK)])
        self.triangles = grid_triangles(ROWS + 1, columns, closed=True).to(model.mean.device)

    def points(self, geometry: HeadGeometry, bulge: Tensor | float = 0.0) -> Tensor:
        """Vertices [B, (ROWS + 1) × columns, 3]; ``bulge`` [ROWS + 1, columns] is added to the distance."""
        distance = (self.distance + bulge).view(-1, 1)
        return self.anchors.on(geometry.points) + self.outward * distance


class Hats:
    """All hats; each is a dome, the cap has a visor and the helmet a strap."""

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        self.domes = {kind: Dome(model, kind) for kind in HATS[1:]}
        self._build_visor(device)
        self._build_shades()
        self._build_strap(model)

    def _build_visor(self, device: torch.device) -> None:
        """Where along the rim the visor is sewn on, and the shape of its sheet."""
        cap = self.domes["cap"]
        self.sewn = (cap.azimuth.abs() <= VISOR_HALF_ANGLE + 1).nonzero().squeeze(1)
        angle = cap.azimuth[self.sewn] / VISOR_HALF_ANGLE
        share = torch.linspace(0, 1, VISOR_ROWS, device=device).unsqueeze(1)
        reach = 62.0 * (1 - angle.abs().clamp(max=1) ** 2.6)
        self.visor_forward = share * reach
        self.visor_drop = share * reach * (0.26 + 0.15 * angle**2)
        self.visor_spread = 1 + 0.10 * share * (1 - angle**2)
        columns = len(self.sewn)
        top = grid_triangles(VISOR_ROWS, columns, flip=True)
        bottom = grid_triangles(VISOR_ROWS, columns)
        count = VISOR_ROWS * columns
        self.visor_triangles = join((count, top), (count, bottom)).to(device)

    def _build_shades(self) -> None:
        """Seams of the cap, ribs of the beanie, vents of the helmet, as factors on the color and bulges in mm."""
        beanie, cap, helmet = (self.domes[k] for k in ("beanie", "cap", "helmet"))
        rib = 1 - 2 * (torch.arange(beanie.columns, device=beanie.azimuth.device) % 2)
        self.ribs = 0.35 * rib.expand(ROWS + 1, -1)
        self.rib_shade = (0.78 + 0.22 * rib).expand(ROWS + 1, -1)
        seam = (cap.azimuth.abs() % 60.0) < 1e-3
        self.seam_shade = 1 - 0.25 * seam.float().expand(ROWS + 1, -1)
        rows = torch.linspace(0, 1, ROWS + 1, device=helmet.azimuth.device).unsqueeze(1)
        stripe = torch.cos(torch.deg2rad(helmet.azimuth) * 8).clamp(min=0) ** 1.5
        self.vents = smoothstep(rows, 0.18, 0.3) * smoothstep(rows, 0.86, 0.7) * stripe

    def _build_strap(self, model: HeadModel) -> None:
        """From the helmet's rim before the ears down under the chin."""
        turn = torch.linspace(-82.0, 82.0, STRAP_POINTS, device=model.mean.device)
        angle = torch.deg2rad(turn)
        skin = model.triangles[model.part == 0]
        origin = torch.tensor([0.0, 0.0, 48.0], device=angle.device).expand(STRAP_POINTS, 3)
        direction = torch.stack([angle.sin(), angle.cos(), torch.zeros_like(angle)], dim=1)
        height = 20.0 - 62.0 * (turn.abs() / 82.0) ** 1.5
        origin = torch.stack([origin[:, 0], height, origin[:, 2]], dim=1)
        self.strap_outward = direction
        self.strap = cast(model.mean, skin, origin, direction, farthest=True)
        self.strap_triangles = tube_triangles(STRAP_POINTS, STRAP_SIDES).to(angle.device)

    def _visor(self, cap: Tensor) -> Tensor:
        """Upper and lower sheet of the visor on a cap's dome [B, V, 3]."""
        dome = self.domes["cap"]
        first = (ROWS - 1) * dome.columns
        rim = cap[:, first : first + dome.columns].index_select(1, self.sewn).unsqueeze(1)
        middle = rim[..., 0].mean(2, keepdim=True)
        x = middle + (rim[..., 0] - middle) * self.visor_spread
        y = rim[..., 1] + self.visor_drop - 1.0
        z = rim[..., 2] - self.visor_forward + 1.5
        sheet = torch.stack([x, y, z], dim=-1).flatten(1, 2)
        down = torch.tensor([0.0, 2.2, 0.0], device=cap.device)
        return torch.cat([sheet, sheet + down], dim=1)

    def parts(self, geometry: HeadGeometry, factors: Factors) -> list[Part]:
        """Dome of every kind, visor and strap."""
        color = factors.hat_color
        worn = {kind: factors.hat == HATS.index(kind) for kind in HATS[1:]}
        cap = self.domes["cap"].points(geometry)
        beanie = self.domes["beanie"].points(geometry, self.ribs)
        helmet = self.domes["helmet"].points(geometry, -7.0 * self.vents)
        strap = self.strap.on(geometry.points) + self.strap_outward * 2.0
        band = torch.tensor([0.9, 7.0], device=strap.device)
        vent = (1 - 0.85 * self.vents).reshape(1, -1, 1)
        second = uniform(factors.seed, 1, 21).unsqueeze(-1)
        visor_color = color * torch.where(second.squeeze(-1) < 0.35, 0.35, 1.0)
        return [
            Part(
                "cap",
                cap,
                self.domes["cap"].triangles,
                color.unsqueeze(1) * self.seam_shade.reshape(1, -1, 1),
                "cloth",
                worn["cap"],
            ),
            Part("visor", self._visor(cap), self.visor_triangles, visor_color, "cloth", worn["cap"]),
            Part(
                "beanie",
                beanie,
                self.domes["beanie"].triangles,
                color.unsqueeze(1) * self.rib_shade.reshape(1, -1, 1),
                "cloth",
                worn["beanie"],
            ),
            Part(
                "helmet", helmet, self.domes["helmet"].triangles, color.unsqueeze(1) * vent, "plastic", worn["helmet"]
            ),
            Part(
                "strap",
                tube(strap, band, self.strap_outward, STRAP_SIDES),
                self.strap_triangles,
                torch.full_like(color, 0.03),
                "cloth",
                worn["helmet"],
            ),
        ]
