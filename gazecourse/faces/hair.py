"""Hair on the head and in the face: shells and curtains that stick to each head's own skin."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d, normalize

from gazecourse.faces.attributes import BEARDS, HAIR_STYLES, HATS, Factors
from gazecourse.faces.head import HeadGeometry, HeadModel, vertex_normals
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
"""Height y in mm on the mean head of a hat's rim, by degrees from the front."""

TOP = (0.0, 0.0, 8.0, 22.0, 25.0, 13.0)
SIDE = (0.0, 0.0, 5.0, 12.0, 22.0, 11.0)
FRONT = (0.0, 0.0, 3.0, 9.0, 12.0, 4.0)
LUMPS = (0.0, 0.0, 1.0, 2.2, 3.6, 1.3)
"""Thickness in mm of the hair of each style on top, at the sides and near the forehead, and of its lumps."""
OVER_EAR = (0.0, 0.0, 0.0, 24.0, 34.0, 0.0)
"""How far in mm the hair of each style hangs over ears and nape; long hair has its own length."""
LOOSE = (0.0, 0.0, 0.0, 3.5, 9.0, 11.0)
"""Thickness in mm of the hair of each style where it hangs over ears and neck."""
PRESSED = 2.0
LINING = 8.0
CURL = 8.0
"""Curls have no direction: their strands are drawn this much shorter."""
SUNK = 1.2
TAPER = 0.22
COARSE_WAVES, FINE_WAVES = 4, 5
SHELL_ROWS, CURTAIN_ROWS, TABLE_ROWS = 11, 9, 13
FRINGE_WIDTH, FRINGE_COLUMNS, FRINGE_ROWS = 60.0, 21, 8
FRINGE_END = ((0.0, -46.0), (25, -48), (44, -44), (60, -38))
"""Height y in mm on the mean head of the longest fringe, by degrees from the front."""
LOCKS, LOCK_ROWS, LOCK_WIDTH = 30, 6, 4.2
"""Locks of the fringe, vertices along each, and half their width in degrees."""
FREE_HEIGHT = 120.0
"""Below this height in mm hair hangs free."""
OPENING = 63.0
"""Degrees from the front at which long hair frames the face."""
AXIS = (SKULL_CENTER[0], SKULL_CENTER[2])


def _waves(place: Tensor, seed: Tensor, count: int, length: float, stream: int) -> Tensor:
    """Smooth noise [B, N] of about unit size: plane waves of about ``length`` mm with random directions.

    Args:
        place: [N, 3] on the mean head. seed: [B].
    """
    draw = uniform(seed, 4 * count, stream).view(-1, count, 4)
    direction = normalize(draw[..., :3] - 0.5, dim=-1) * (2 * torch.pi / length)
    phase = place.unsqueeze(0) @ direction.transpose(1, 2) + 2 * torch.pi * draw[..., 3].unsqueeze(1)
    return phase.sin().sum(-1) * (2.0 / count) ** 0.5


class Hair:
    """The shell from crown to hairline, the curtain that hangs below it, and the fringe.

    The vertices lie on meridians from the crown downward. On the scalp they are the head's own surface points, moved
    outward by the thickness of the hair, which ends below the skin at the hairline. The curtain goes on from there
    over the hull of temples, ears and neck.
    """

    def __init__(self, model: HeadModel) -> None:
        skin = model.triangles[model.part == 0]
        half = torch.tensor(HALF_AZIMUTHS, device=model.mean.device)
        self.azimuth = torch.cat([-half.flip(0)[:-1], half])
        self.columns = len(self.azimuth)
        self.away = self.azimuth.abs()
        self._build_shell(model.mean, skin)
        self._build_curtain(model.mean, skin)
        self._build_fringe(model.mean, skin)
        self._build_topology(model.mean.device)

    def _build_shell(self, mean: Tensor, skin: Tensor) -> None:
        self.end = interpolate_knots(HAIRLINE, self.away)
        descent = descent_at_height(mean, skin, self.azimuth, self.end)
        self.share = torch.linspace(0, 1, SHELL_ROWS, device=mean.device)
        rows = self.share.unsqueeze(1) * descent
        origin, direction = meridian_rays(self.azimuth.expand(SHELL_ROWS, -1).reshape(-1), rows.reshape(-1))
        self.outward = direction
        self.shell = cast(mean, skin, origin, direction)
        self.place = self.shell.on(mean.unsqueeze(0))[0]
        self.height = self.place[:, 1].view(SHELL_ROWS, -1)
        self.top = smoothstep(self.height, -40.0, -115.0)
        front = smoothstep(self.away, 75.0, 40.0)
        self.front = smoothstep(self.share, 0.45, 0.95).unsqueeze(1) * front
        steps = (self.place.view(SHELL_ROWS, -1, 3).diff(dim=0)).norm(dim=-1).cumsum(0)
        self.length = torch.cat([torch.zeros_like(steps[:1]), steps])

    def _build_curtain(self, mean: Tensor, skin: Tensor) -> None:
        """Hull points at TABLE_ROWS heights from the hairline down; columns in front bend aside for the face."""
        share = torch.linspace(0, 1, TABLE_ROWS, device=mean.device).unsqueeze(1)
        height = self.end + (FREE_HEIGHT - self.end) * share
        aside = (OPENING - self.away).clamp(min=0) * smoothstep(height - self.end, 0.0, 48.0)
        azimuth = self.azimuth + torch.where(self.azimuth < 0, -aside, aside)
        origin, direction = meridian_rays(azimuth, torch.full_like(azimuth, 90.0))
        origin = torch.stack([origin[..., 0], height, origin[..., 2]], dim=-1)
        below = cast(mean, skin, origin[1:].reshape(-1, 3), direction[1:].reshape(-1, 3), farthest=True)
        last = slice((SHELL_ROWS - 1) * self.columns, None)
        self.table = Anchors(
            torch.cat([self.shell.corners[last], below.corners]), torch.cat([self.shell.weights[last], below.weights])
        )
        self.long = smoothstep(self.away, 14.0, 38.0)
        self.layer = smoothstep(self.away, 24.0, 84.0)

    def _build_fringe(self, mean: Tensor, skin: Tensor) -> None:
        """Forehead from the hair above it down to the brows, as a grid to lay locks on."""
        azimuth = torch.linspace(-FRINGE_WIDTH, FRINGE_WIDTH, FRINGE_COLUMNS, device=mean.device)
        away = azimuth.abs()
        start = descent_at_height(mean, skin, azimuth, interpolate_knots(HAIRLINE, away) - 18.0)
        stop = descent_at_height(mean, skin, azimuth, interpolate_knots(FRINGE_END, away))
        share = torch.linspace(0, 1, FRINGE_ROWS, device=mean.device).unsqueeze(1)
        origin, direction = meridian_rays(azimuth.expand(FRINGE_ROWS, -1), start + (stop - start) * share)
        self.forehead_outward = direction.view(-1, 3)
        self.forehead = cast(mean, skin, origin.view(-1, 3), self.forehead_outward)
        self.lock_azimuth = torch.linspace(-46, 46, LOCKS, device=mean.device)

    def _build_topology(self, device: torch.device) -> None:
        shell = grid_triangles(SHELL_ROWS + CURTAIN_ROWS, self.columns)
        lining = grid_triangles(CURTAIN_ROWS + 1, self.columns, flip=True)
        count = (SHELL_ROWS + CURTAIN_ROWS) * self.columns
        self.triangles = join((count, shell), (lining.max() + 1, lining)).to(device)
        lock = (3 * LOCK_ROWS, grid_triangles(LOCK_ROWS, 3))
        self.fringe_triangles = join(*[lock] * LOCKS).to(device)
        self.across = torch.deg2rad(self.azimuth) * 75.0

    def thickness(self, factors: Factors) -> Tensor:
        """Thickness [B, rows, columns] in mm of the shell before hats press on it."""
        table = torch.tensor([TOP, SIDE, FRONT, LUMPS], device=self.place.device)[:, factors.hair_style]
        top, side, front, lumps = table.view(4, -1, 1, 1)
        thickness = side + (top - side) * self.top
        thickness = thickness + (front - thickness).clamp(max=0) * self.front
        coarse = _waves(self.place, factors.person, COARSE_WAVES, 95.0, 11)
        fine = _waves(self.place, factors.person, FINE_WAVES, 34.0, 12)
        return thickness + lumps * (1.1 * coarse + 0.8 * fine).view(-1, SHELL_ROWS, self.columns)

    def _pressed(self, thickness: Tensor, factors: Factors) -> Tensor:
        """Hair under a hat is flat, and swells again below the rim."""
        rims = torch.stack(
            [torch.full_like(self.away, -1e3)] + [interpolate_knots(HAT_RIMS[h], self.away) for h in HATS[1:]]
        )
        below = self.height - rims[factors.hat].unsqueeze(1)
        free = smoothstep(below, -2.0, 22.0)
        return thickness.clamp(max=PRESSED) * (1 - free) + thickness * free

    def _curtain_length(self, factors: Factors) -> Tensor:
        """How far [B, columns] in mm hair hangs below the hairline."""
        ear = smoothstep(self.away, 62.0, 78.0)
        over_ear = torch.tensor(OVER_EAR, device=self.away.device)[factors.hair_style].unsqueeze(1) * ear
        tip = (70.0 + 150.0 * factors.hair_length).unsqueeze(1)
        style = (factors.hair_style == HAIR_STYLES.index("long")).unsqueeze(1)
        ragged = 0.94 + 0.12 * uniform(factors.person, self.columns - 1, 13)
        ragged = torch.cat([ragged, ragged[:, :1]], dim=1)
        return torch.where(style, (tip - self.end) * self.long * ragged, over_ear * ragged)

    def _curtain(self, geometry: HeadGeometry, length: Tensor, edge: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
        """Outer and inner vertices [B, rows, columns, 3] of the curtain.

        Args:
            length: [B, columns] mm. edge: [B, columns] thickness where the curtain starts. full: [B] further down.
        """
        batch = len(length)
        hull = self.table.on(geometry.points).view(batch, TABLE_ROWS, self.columns, 3)
        axis = torch.tensor(AXIS, device=hull.device)
        offset = hull[..., [0, 2]] - axis
        radius = offset.norm(dim=-1)
        # Ears lie between the columns: each column keeps clear of what its neighbors touch.
        ear = smoothstep(self.away, 64.0, 72.0) * smoothstep(self.away, 122.0, 112.0)
        widest = max_pool2d(radius, 3, stride=1, padding=1) + 1.5
        radius = torch.cat([radius[:, :1], (radius + ear * (widest - radius))[:, 1:]], dim=1)
        height = hull[..., 1]
        hanging = (radius + TAPER * height).cummax(1).values - TAPER * height
        rows = torch.cat([normalize(offset, dim=-1), height.unsqueeze(-1), hanging.unsqueeze(-1)], dim=-1)
        share = torch.linspace(0, 1, CURTAIN_ROWS + 1, device=hull.device).view(1, -1, 1)
        place = share * (length / (FREE_HEIGHT - self.end)).unsqueeze(1)
        low = (place * (TABLE_ROWS - 1)).floor().long().clamp(max=TABLE_ROWS - 2)
        part = (place * (TABLE_ROWS - 1) - low).clamp(max=1.0).unsqueeze(-1)
        index = low.unsqueeze(-1).expand(-1, -1, -1, 4)
        row = rows.gather(1, index) * (1 - part) + rows.gather(1, index + 1) * part
        beyond = (place - 1).clamp(min=0) * (FREE_HEIGHT - self.end)
        swell = smoothstep(share, 0.0, 0.35) * (length / 25.0).clamp(max=1.0).unsqueeze(1)
        thickness = edge.unsqueeze(1) * (1 - swell) + (1.5 + (full - 1.5) * self.layer).unsqueeze(1) * swell
        thickness = thickness * (1 - 0.6 * share**2)
        lining = thickness.clamp(0.0, LINING) * (1 - share**4)
        outer, inner = row[..., 3] + thickness, row[..., 3] + thickness - lining

        def at(distance: Tensor) -> Tensor:
            flat = row[..., :2] * distance.unsqueeze(-1) + axis
            return torch.stack([flat[..., 0], row[..., 2] + beyond, flat[..., 1]], dim=-1)

        return at(outer), at(inner)

    def shell_part(self, geometry: HeadGeometry, factors: Factors, color: Tensor) -> Part:
        """Shell and curtain."""
        batch = len(factors)
        thickness = self._pressed(self.thickness(factors), factors)
        length = self._curtain_length(factors)
        keep = (length / 25.0).clamp(max=1.0)
        border = smoothstep(self.share, 0.72, 1.0).view(1, -1, 1)
        edge = keep * thickness[:, -1].clamp(min=1.0) - (1 - keep) * SUNK
        thickness = thickness * (1 - border) + edge.unsqueeze(1) * border
        base = self.shell.on(geometry.points)
        shell = base + self.outward * thickness.view(batch, -1, 1)
        full = torch.tensor(LOOSE, device=base.device)[factors.hair_style].unsqueeze(1)
        outer, inner = self._curtain(geometry, length, edge, full)
        points = torch.cat([shell, outer[:, 1:].flatten(1, 2), inner.flatten(1, 2)], dim=1)
        along = self.length[-1] + torch.linspace(0, 1, CURTAIN_ROWS + 1, device=base.device).view(
            1, -1, 1
        ) * length.unsqueeze(1)
        along = torch.cat([self.length.expand(batch, -1, -1), along[:, 1:], along], dim=1)
        curly = (factors.hair_style == HAIR_STYLES.index("curly")).view(-1, 1, 1)
        along = torch.where(curly, CURL * along, along)
        layer = torch.zeros_like(along)
        layer[:, SHELL_ROWS + CURTAIN_ROWS :] = 20.0
        surface = torch.stack([self.across.expand_as(along), along, layer], dim=-1).flatten(1, 2)
        shown = factors.hair_style >= HAIR_STYLES.index("short")
        return Part("hair", points, self.triangles, color, "hair", shown, surface)

    def _on_forehead(self, geometry: HeadGeometry, azimuth: Tensor, share: Tensor, lift: Tensor) -> Tensor:
        """Points [B, N, 3] over the forehead at [B, N] azimuths in degrees, shares of the way down and heights in mm."""
        batch = len(azimuth)
        skin = self.forehead.on(geometry.points)
        grid = torch.cat([skin, self.forehead_outward.expand(batch, -1, -1)], dim=-1)
        grid = grid.view(batch, FRINGE_ROWS, FRINGE_COLUMNS, 6).permute(0, 3, 1, 2)
        place = torch.stack([azimuth / FRINGE_WIDTH, 2 * share - 1], dim=-1).unsqueeze(1)
        sample = grid_sample(grid, place, padding_mode="border", align_corners=True)[:, :, 0].transpose(1, 2)
        return sample[..., :3] + sample[..., 3:] * lift.unsqueeze(-1)

    def fringe_part(self, geometry: HeadGeometry, factors: Factors, color: Tensor) -> Part:
        """Locks over the forehead, to just above the brows where ``hair_fringe`` is 1; swept to a side or parted."""
        batch, device = len(factors), color.device
        draw = uniform(factors.person, 3 * LOCKS + 2, 14)
        length, turn, layer = draw[:, : 3 * LOCKS].view(batch, 3, LOCKS).unbind(1)
        sweep = 64.0 * (draw[:, -1:] - 0.5)
        parted = self.lock_azimuth.sign() * sweep.abs()
        sweep = torch.where(draw[:, -2:-1] < 0.35, parted, sweep) + 9.0 * (turn - 0.5)
        wave = torch.sin(self.lock_azimuth * 0.08 + 6.3 * draw[:, :1]) + 0.6 * torch.sin(
            self.lock_azimuth * 0.21 + 6.3 * turn[:, :1]
        )
        reach = (0.3 + 0.7 * factors.hair_fringe.unsqueeze(1)) * (0.72 + 0.16 * length + 0.07 * wave)
        reach = reach * (0.35 + 0.65 * smoothstep(self.lock_azimuth.abs(), 50.0, 30.0))
        along = torch.linspace(0, 1, LOCK_ROWS, device=device).view(1, 1, -1)
        share = along * reach.unsqueeze(-1)
        middle = self.lock_azimuth.view(1, -1, 1) + sweep.unsqueeze(-1) * share**1.3
        half = LOCK_WIDTH * (1 - 0.92 * along**2)
        azimuth = torch.stack([middle - half, middle, middle + half], dim=-1)
        root = torch.tensor(FRONT, device=device)[factors.hair_style].view(-1, 1, 1)
        lift = (
            (1.5 + root) * (1 - smoothstep(along, 0.1, 0.75))
            + 0.9
            + (2.4 * layer + 0.6).unsqueeze(-1) * (1 - 0.6 * along)
        )
        ridge = torch.tensor([0.0, 1.3, 0.0], device=device) * (1 - along).unsqueeze(-1)
        lift = lift.unsqueeze(-1) + ridge
        share = share.unsqueeze(-1).expand_as(lift)
        points = self._on_forehead(geometry, azimuth.flatten(1), share.flatten(1), lift.flatten(1))
        across = torch.deg2rad(azimuth - (middle - self.lock_azimuth.view(1, -1, 1)).unsqueeze(-1)) * 75.0
        surface = torch.stack(
            [across, 90.0 + 60.0 * share, 31.0 + 9.0 * layer.view(batch, -1, 1, 1).expand_as(share)], dim=-1
        )
        styled = factors.hair_style >= HAIR_STYLES.index("short")
        shown = styled & (factors.hair_fringe > 0.15) & (factors.hat == 0)
        return Part("fringe", points, self.fringe_triangles, color, "hair", shown, surface.view(batch, -1, 3))


class Beard:
    """A thin shell over chin, jaw and upper lip that follows every movement of the jaw.

    It is the skin's own triangles there, moved outward along the normals of the mean head.
    """

    def __init__(self, model: HeadModel) -> None:
        skin = model.triangles[model.part == 0]
        lips, inner = (model.masks[:, model.mask_names.index(name)] for name in ("lips", "inner_mouth"))
        x, y, z = model.mean.unbind(1)
        free = (1 - smoothstep(lips, 0.05, 0.4)) * (inner < 0.1)
        jaw = self._jaw(x.abs(), y, z) * free
        goatee = self._goatee(x.abs(), y, z) * free
        mustache = self._mustache(x.abs(), y, z) * free
        cover = torch.stack(
            [
                torch.zeros_like(x),
                torch.zeros_like(x),
                mustache,
                torch.maximum(goatee, mustache),
                torch.maximum(jaw, mustache),
            ]
        )
        kept = skin[(cover.amax(0) > 0.02)[skin].any(1)]
        self.rows, inverse = kept.unique(return_inverse=True)
        self.triangles = inverse.view(-1, 3)
        self.cover = cover.index_select(1, self.rows)
        self.place = model.mean.index_select(0, self.rows)
        normals = vertex_normals(model.mean.unsqueeze(0), skin)[0]
        self.outward = normals.index_select(0, self.rows)
        self.depth = smoothstep(self.place[:, 1], 45.0, 82.0)

    @staticmethod
    def _jaw(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """From the sideburns over the cheeks below a line to the corner of the mouth, down to the throat."""
        line = interpolate_knots(((0.0, 28.0), (20, 34), (34, 34), (46, 24), (56, 4), (61, -14), (66, -24)), x)
        return smoothstep(y, line - 2.0, line + 7.0) * smoothstep(z, 66.0, 52.0) * smoothstep(y, 100.0, 88.0)

    @staticmethod
    def _goatee(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        width = interpolate_knots(((30.0, 30.0), (50, 27), (70, 24), (84, 20)), y)
        return smoothstep(x, width + 2.0, width - 4.0) * smoothstep(y, 38.0, 48.0) * smoothstep(z, 34.0, 22.0)

    @staticmethod
    def _mustache(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        top = 21.0 + 0.011 * x**2
        return smoothstep(x, 31.0, 25.0) * smoothstep(y, top - 1.0, top + 4.0) * smoothstep(y, 50.0, 40.0) * (z < 12)

    def part(self, geometry: HeadGeometry, factors: Factors, color: Tensor) -> Part:
        """The shell of mustache, goatee or full beard."""
        cover = self.cover.index_select(0, factors.beard)
        full = (factors.beard == BEARDS.index("full beard")).float().unsqueeze(1)
        length = 2.6 + (2.0 + 7.0 * full * uniform(factors.person, 1, 15)) * self.depth
        length = length * (1 + 0.12 * _waves(self.place, factors.person, FINE_WAVES, 16.0, 16))
        base = geometry.points.index_select(1, self.rows)
        points = base + self.outward * (cover * (length + 0.9) - 0.9).unsqueeze(-1)
        x, y, z = self.place.unbind(1)
        surface = torch.stack([x + 0.5 * z, y, torch.full_like(x, 57.0)], dim=-1).expand_as(points)
        shown = factors.beard >= BEARDS.index("mustache")
        return Part("beard", points, self.triangles, color, "hair", shown, surface)
