"""Hair on the head: a shell from crown to hairline, and the curtain that hangs below it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize

from gazecourse.faces.attributes import HAIR_STYLES, HATS, Factors
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.noise import uniform
from gazecourse.faces.parts import (
    SKULL_CENTER,
    Anchors,
    Part,
    cast,
    descent_at_height,
    grid_triangles,
    interpolate_knots,
    join,
    meridian_rays,
    plane_waves,
    smoothstep,
)

HALF_AZIMUTHS = (
    0.0, 8, 16, 24, 32, 40, 47, 54, 60, 65, 70, 75, 80, 88, 96, 104, 110, 117, 125, 134, 145, 157, 168.5, 180,
)  # fmt: skip
"""Columns of the hair on one side, in degrees from the front, denser at the temples and ears."""
HAIRLINE = (
    (0.0, -90.0), (16, -90), (28, -86), (38, -80), (47, -68), (54, -50), (60, -32), (65, -12), (70, -4), (74, -8),
    (79, -34), (90, -37), (103, -31), (111, -8), (119, 14), (134, 38), (150, 46), (180, 48),
)  # fmt: skip
"""Height y in mm on the mean head at which hair ends, by degrees from the front."""
HAT_RIMS = {
    "cap": ((0.0, -74.0), (50, -62), (90, -44), (140, -12), (180, -2)),
    "beanie": ((0.0, -70.0), (50, -56), (75, -40), (90, -24), (140, 14), (180, 24)),
    "helmet": ((0.0, -78.0), (50, -66), (90, -46), (140, -6), (180, 6)),
}
"""Height y in mm on the mean head of each hat's rim, by degrees from the front."""

# For each of HAIR_STYLES, in mm: thickness on top, at the sides, at the forehead and where hair hangs free; how much
# the thickness varies; how far hair hangs over the ears (long hair has its own length).
TOP = (0.0, 0.0, 8.0, 22.0, 25.0, 13.0)
SIDE = (0.0, 0.0, 5.0, 12.0, 22.0, 11.0)
FRONT = (0.0, 0.0, 3.0, 9.0, 12.0, 4.0)
LOOSE = (0.0, 0.0, 0.0, 3.5, 9.0, 11.0)
LUMPS = (0.0, 0.0, 1.0, 2.2, 3.6, 1.3)
OVER_EAR = (0.0, 0.0, 0.0, 24.0, 34.0, 0.0)

SUNK = 1.2
"""At the hairline the shell lies this far in mm below the skin, so that no edge floats."""
PRESSED = 2.0
"""Thickness in mm that a hat leaves to hair."""
LINING = 8.0
"""The inside of a curtain lies at most this far in mm from its outside."""
SHORTEST, LONGEST = 70.0, 220.0
"""Height y in mm at which long hair ends where ``hair_length`` is 0 and 1."""
FREE_HEIGHT = 120.0
"""Below this height y in mm hair hangs straight down."""
TAPER = 0.22
"""From the widest point on, curtains fall inward by this many mm per mm."""
OPENING = 63.0
"""Degrees from the front at which long hair frames the face."""
CURL = 8.0
"""Curls have no direction: their strands are drawn this much shorter."""
SHELL_ROWS, CURTAIN_ROWS, TABLE_ROWS = 11, 9, 13
INNER_LAYER = 20.0


class Hair:
    """Shell and curtain of one mesh, shaped by the style and by who it is.

    The vertices lie on meridians from the crown downward. On the scalp they are the head's own surface points, moved
    outward by the thickness of the hair, which ends below the skin at the hairline. The curtain goes on from there
    over the hull of temples, ears and neck; where nothing hangs it shrinks to the hairline.
    """

    def __init__(self, model: HeadModel) -> None:
        skin = model.triangles[model.part == 0]
        half = torch.tensor(HALF_AZIMUTHS, device=model.mean.device)
        self.azimuth = torch.cat([-half.flip(0)[:-1], half])
        self.away = self.azimuth.abs()
        self.columns = len(self.azimuth)
        self.end = interpolate_knots(HAIRLINE, self.away)
        self._build_shell(model.mean, skin)
        self._build_curtain(model.mean, skin)
        self._build_topology(model.mean.device)

    def _build_shell(self, mean: Tensor, skin: Tensor) -> None:
        descent = descent_at_height(mean, skin, self.azimuth, self.end)
        self.share = torch.linspace(0, 1, SHELL_ROWS, device=mean.device).unsqueeze(1)
        origin, direction = meridian_rays(self.azimuth.expand(SHELL_ROWS, -1), self.share * descent)
        self.outward = direction.view(-1, 3)
        self.shell = cast(mean, skin, origin.view(-1, 3), self.outward)
        self.place = self.shell.on(mean.unsqueeze(0))[0]
        grid = self.place.view(SHELL_ROWS, -1, 3)
        self.height = grid[..., 1]
        self.is_top = smoothstep(self.height, -40.0, -115.0)
        self.is_front = smoothstep(self.share, 0.45, 0.95) * smoothstep(self.away, 75.0, 40.0)
        self.border = smoothstep(self.share, 0.78, 1.0)
        steps = grid.diff(dim=0).norm(dim=-1).cumsum(0)
        self.along = torch.cat([torch.zeros_like(steps[:1]), steps])

    def _build_curtain(self, mean: Tensor, skin: Tensor) -> None:
        """Hull points at TABLE_ROWS heights from the hairline down; columns in front bend aside for the face."""
        share = torch.linspace(0, 1, TABLE_ROWS, device=mean.device).unsqueeze(1)
        height = self.end + (FREE_HEIGHT - self.end) * share
        aside = (OPENING - self.away).clamp(min=0) * smoothstep(height - self.end, 0.0, 48.0)
        azimuth = self.azimuth + torch.where(self.azimuth < 0, -aside, aside)
        origin, direction = meridian_rays(azimuth, torch.full_like(azimuth, 90.0))
        origin = torch.stack([origin[..., 0], height, origin[..., 2]], dim=-1)
        below = cast(mean, skin, origin[1:].reshape(-1, 3), direction[1:].reshape(-1, 3), farthest=True)
        self.hull = Anchors.concatenate(self.shell.rows(slice(-self.columns, None)), below)
        # Ears lie between the columns: each column there keeps clear of what its neighbors touch.
        is_ear = smoothstep(self.away, 64.0, 72.0) * smoothstep(self.away, 122.0, 112.0)
        self.is_ear = is_ear * (torch.arange(TABLE_ROWS, device=mean.device) > 0).unsqueeze(1)
        self.is_over_ear = smoothstep(self.away, 62.0, 78.0)
        self.is_long = smoothstep(self.away, 14.0, 38.0)
        self.is_full = smoothstep(self.away, 24.0, 84.0)

    def _build_topology(self, device: torch.device) -> None:
        outside = grid_triangles(SHELL_ROWS + CURTAIN_ROWS, self.columns)
        inside = grid_triangles(CURTAIN_ROWS + 1, self.columns, flip=True)
        self.triangles = join(((SHELL_ROWS + CURTAIN_ROWS) * self.columns, outside), (0, inside)).to(device)
        self.across = torch.deg2rad(self.azimuth) * 75.0
        rims = [interpolate_knots(HAT_RIMS[kind], self.away) for kind in HATS[1:]]
        self.rims = torch.stack([torch.full_like(self.away, -1e3), *rims])
        self.tables = torch.tensor([TOP, SIDE, FRONT, LUMPS, LOOSE, OVER_EAR], device=device)

    def _thickness(self, factors: Factors) -> Tensor:
        """Thickness [B, rows, columns] in mm of the shell; under a hat it is flat, and swells again below the rim."""
        top, side, front, lumps = self.tables[:4, factors.hair_style].view(4, -1, 1, 1)
        thickness = side + (top - side) * self.is_top
        thickness = thickness + (front - thickness).clamp(max=0) * self.is_front
        coarse = plane_waves(self.place, factors.person, count=4, length=95.0, stream=11)
        fine = plane_waves(self.place, factors.person, count=5, length=34.0, stream=12)
        thickness = thickness + lumps * (1.1 * coarse + 0.8 * fine).view(-1, SHELL_ROWS, self.columns)
        free = smoothstep(self.height - self.rims.index_select(0, factors.hat).unsqueeze(1), -2.0, 22.0)
        return thickness * free + thickness.clamp(max=PRESSED) * (1 - free)

    def _length(self, factors: Factors) -> Tensor:
        """How far [B, columns] in mm hair hangs below the hairline; the two columns of the seam agree."""
        draw = uniform(factors.person, self.columns - 1, 13)
        ragged = 0.94 + 0.12 * torch.cat([draw, draw[:, :1]], dim=1)
        tip = (SHORTEST + (LONGEST - SHORTEST) * factors.hair_length).unsqueeze(1)
        is_long = (factors.hair_style == HAIR_STYLES.index("long")).unsqueeze(1)
        over_ear = self.tables[5, factors.hair_style].unsqueeze(1) * self.is_over_ear
        return torch.where(is_long, (tip - self.end) * self.is_long, over_ear) * ragged

    def _fall(self, geometry: HeadGeometry) -> Tensor:
        """Where hair falls: at each height of the table, direction (x, z), height y and radius about the vertical axis.

        [B, TABLE_ROWS, columns, 4]. Hair hangs from what protrudes farthest, so the radius is a running maximum.
        """
        hull = self.hull.on(geometry.points).view(-1, TABLE_ROWS, self.columns, 3)
        offset = hull[..., [0, 2]] - torch.tensor(SKULL_CENTER, device=hull.device)[[0, 2]]
        radius, height = offset.norm(dim=-1), hull[..., 1]
        widest = max_pool2d(radius, 3, stride=1, padding=1) + 3.0
        radius = radius + self.is_ear * (widest - radius)
        radius = (radius + TAPER * height).cummax(1).values - TAPER * height
        return torch.cat([normalize(offset, dim=-1), height.unsqueeze(-1), radius.unsqueeze(-1)], dim=-1)

    def _curtain(self, geometry: HeadGeometry, length: Tensor, edge: Tensor, loose: Tensor) -> tuple[Tensor, Tensor]:
        """Outer and inner vertices [B, CURTAIN_ROWS + 1, columns, 3].

        Args:
            length: [B, columns] mm. edge: [B, columns] thickness where the curtain starts. loose: [B, 1] further down.
        """
        fall = self._fall(geometry)
        share = torch.linspace(0, 1, CURTAIN_ROWS + 1, device=length.device).view(1, -1, 1)
        place = share * (length / (FREE_HEIGHT - self.end)).unsqueeze(1)
        low = (place * (TABLE_ROWS - 1)).floor().long().clamp(max=TABLE_ROWS - 2)
        part = (place * (TABLE_ROWS - 1) - low).clamp(max=1.0).unsqueeze(-1)
        index = low.unsqueeze(-1).expand(-1, -1, -1, 4)
        x, z, height, radius = (fall.gather(1, index) * (1 - part) + fall.gather(1, index + 1) * part).unbind(-1)
        height = height + (place - 1).clamp(min=0) * (FREE_HEIGHT - self.end)
        swell = smoothstep(share, 0.0, 0.35) * self._hangs(length).unsqueeze(1)
        hanging = 1.5 + (loose - 1.5) * self.is_full
        thickness = edge.unsqueeze(1) * (1 - swell) + hanging.unsqueeze(1) * swell
        thickness = thickness * (1 - 0.6 * share**2)
        outer = radius + thickness
        inner = outer - thickness.clamp(0.0, LINING) * (1 - share**4)
        middle_x, _, middle_z = SKULL_CENTER
        points = [torch.stack([x * r + middle_x, height, z * r + middle_z], dim=-1) for r in (outer, inner)]
        return points[0], points[1]

    @staticmethod
    def _hangs(length: Tensor) -> Tensor:
        """1 where hair hangs down, 0 where it ends at the hairline."""
        return (length / 25.0).clamp(max=1.0)

    def _strands(self, factors: Factors, length: Tensor) -> Tensor:
        """Coordinates [B, V, 3] across and along the strands; the inside of the curtain is another layer."""
        batch = len(factors)
        share = torch.linspace(0, 1, CURTAIN_ROWS + 1, device=length.device).view(1, -1, 1)
        hanging = self.along[-1] + share * length.unsqueeze(1)
        along = torch.cat([self.along.expand(batch, -1, -1), hanging[:, 1:], hanging], dim=1)
        curly = (factors.hair_style == HAIR_STYLES.index("curly")).view(-1, 1, 1)
        along = torch.where(curly, CURL * along, along)
        layer = torch.zeros_like(along)
        layer[:, SHELL_ROWS + CURTAIN_ROWS :] = INNER_LAYER
        return torch.stack([self.across.expand_as(along), along, layer], dim=-1).flatten(1, 2)

    def part(self, geometry: HeadGeometry, factors: Factors, color: Tensor) -> Part:
        """The hair of every style that has volume; ``color`` [B, 3]."""
        thickness = self._thickness(factors)
        length = self._length(factors)
        hangs = self._hangs(length)
        edge = hangs * thickness[:, -1].clamp(min=1.0) - (1 - hangs) * SUNK
        thickness = thickness * (1 - self.border) + edge.unsqueeze(1) * self.border
        shell = self.shell.on(geometry.points) + self.outward * thickness.flatten(1).unsqueeze(-1)
        loose = self.tables[4, factors.hair_style].unsqueeze(1)
        outer, inner = self._curtain(geometry, length, edge, loose)
        points = torch.cat([shell, outer[:, 1:].flatten(1, 2), inner.flatten(1, 2)], dim=1)
        shown = factors.hair_style >= HAIR_STYLES.index("short")
        return Part("hair", points, self.triangles, color, "hair", shown, self._strands(factors, length))
