"""Color of the skin: tone, blood, lips, brows, stubble, make-up, age; per vertex where smooth, per pixel where fine."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.faces.attributes import BEARDS, HAIR_STYLES, Factors
from gazecourse.faces.head import HeadModel

TONE_COLORS = torch.tensor(
    [[0.74, 0.50, 0.40], [0.58, 0.35, 0.245], [0.40, 0.215, 0.135], [0.215, 0.105, 0.066], [0.085, 0.042, 0.029]]
)
"""Linear RGB of skin from light to dark, equally spaced in ``skin_tone``."""

HAIR_RGB = torch.tensor(
    [
        [0.012, 0.010, 0.010],
        [0.035, 0.022, 0.015],
        [0.10, 0.058, 0.033],
        [0.36, 0.24, 0.11],
        [0.26, 0.085, 0.03],
        [0.25, 0.25, 0.25],
        [0.62, 0.61, 0.58],
    ]
)
"""Linear RGB of ``HAIR_COLORS``."""

NOISE_CELLS = 64
NOISE_PITCH = 0.9
"""Millimeters between two cells of the skin's noise volume."""


BEARD_TINT = {"none": 0.0, "stubble": 0.42, "mustache": 0.30, "goatee": 0.30, "full beard": 0.55}
MUSTACHE_TINT = {"none": 0.0, "stubble": 0.40, "mustache": 0.72, "goatee": 0.60, "full beard": 0.60}
SCALP_TINT = {"bald": 0.0, "shaved": 0.62, "short": 0.90, "full": 0.95, "curly": 0.95, "long": 0.95}
"""How much of the skin's color the hair on it replaces."""


def _per_category(words: tuple[str, ...], table: dict[str, float], category: Tensor) -> Tensor:
    """Value [B] of each image's category."""
    return torch.tensor([table[word] for word in words], device=category.device)[category]


def interpolate_table(table: Tensor, position: Tensor) -> Tensor:
    """Rows of a color table [N, 3], linearly interpolated at positions [B] in [0, 1]."""
    table = table.to(position.device)
    scaled = position.clamp(0, 1) * (len(table) - 1)
    low = scaled.floor().long().clamp(max=len(table) - 2)
    share = (scaled - low).unsqueeze(1)
    return table[low] * (1 - share) + table[low + 1] * share


def base_color(factors: Factors) -> Tensor:
    """Linear RGB [B, 3] of plain skin."""
    tone = interpolate_table(TONE_COLORS, factors.skin_tone)
    shift = torch.tensor([0.06, 0.0, -0.12], device=tone.device)
    return tone * (1 + factors.undertone.unsqueeze(1) * shift)


def hair_color(factors: Factors) -> Tensor:
    """Linear RGB [B, 3] of the hair, a little different from person to person."""
    device = factors.person.device
    lighter, redder = (torch.remainder(factors.person * prime, 101).unsqueeze(1) / 50.0 - 1.0 for prime in (37, 59))
    tint = torch.tensor([0.06, 0.0, -0.06], device=device)
    return HAIR_RGB.to(device)[factors.hair_color] * (1 + 0.2 * lighter) * (1 + tint * redder)


def noise_volume() -> Tensor:
    """Periodic noise [1, 2, N+1, N+1, N+1]: pores and blotches, mean 0 and standard deviation 1 each."""
    generator = torch.Generator().manual_seed(20240601)
    frequency = torch.fft.fftfreq(NOISE_CELLS) * NOISE_CELLS
    radius = (frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + frequency[None, None, :] ** 2).sqrt()
    white = torch.fft.fftn(torch.randn(NOISE_CELLS, NOISE_CELLS, NOISE_CELLS, generator=generator))
    bands = []
    for low, high in ((9.0, 26.0), (1.5, 7.0)):
        band = torch.fft.ifftn(white * ((radius > low) & (radius < high)) / radius.clamp(min=1.0)).real
        bands.append(band / band.std())
    volume = torch.stack(bands)[None].float()
    for axis in (2, 3, 4):
        volume = torch.cat([volume, volume.narrow(axis, 0, 1)], dim=axis)
    return volume.contiguous()


def sample_volume(volume: Tensor, position: Tensor) -> Tensor:
    """Noise [P, 2] at positions [P, 3] in mm; the volume repeats itself."""
    cell = torch.remainder(position / (NOISE_PITCH * NOISE_CELLS), 1.0) * 2 - 1
    grid = cell.view(1, 1, 1, -1, 3)
    return torch.nn.functional.grid_sample(volume, grid, align_corners=True)[0, :, 0, 0].T


def _bump(position: Tensor, center: tuple[float, float, float], radius: float) -> Tensor:
    """Smooth spot [V] about a point of the mean head and its mirror image."""
    mirrored = torch.cat([position[:, 0:1].abs(), position[:, 1:]], dim=1)
    offset = mirrored - torch.tensor(center, device=position.device)
    return torch.exp(-(offset**2).sum(1) / (2 * radius**2))


class Skin:
    """Paints the vertices and pixels of the skin. Regions are fixed on the mean head and follow every shape."""

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        position = model.mean
        masks = dict(zip(model.mask_names, model.masks.T, strict=True))
        self.lips, self.lids, self.ears = masks["lips"], masks["eyelids"], masks["ears"]
        self.inner_mouth = masks["inner_mouth"]
        cheeks = _bump(position, (36.0, 12.0, 2.0), 15.0)
        nose = _bump(position, (0.0, 10.0, -24.0), 11.0)
        chin = _bump(position, (0.0, 72.0, -8.0), 14.0)
        self.blood = (0.8 * cheeks + nose + 0.35 * chin + 0.8 * self.ears).clamp(0, 1)
        self.cheeks = _bump(position, (42.0, 4.0, 8.0), 13.0)
        self.under_eye = _bump(position, (27.0, -10.0, 2.0), 8.0)
        self.shadow_lid = _bump(position, (30.0, -34.0, 0.0), 9.0)
        self.oily = (_bump(position, (0.0, -65.0, -5.0), 28.0) + _bump(position, (0.0, 5.0, -26.0), 9.0)).clamp(0, 1)
        self.oily = (self.oily + 0.5 * _bump(position, (38.0, 2.0, 0.0), 13.0)).clamp(0, 1)
        self.beard_region = self._beard_region(position)
        self.mustache_region = self._mustache_region(position)
        self.scalp = self._scalp(position)
        brow = (model.landmarks(model.mean[None])[0, 22:27, :2]).to(device)
        self.brow_x, self.brow_y = brow[:, 0].contiguous(), brow[:, 1].contiguous()
        self.volume = noise_volume().to(device)

    def _beard_region(self, position: Tensor) -> Tensor:
        """Jaw, chin and cheeks below the line from the sideburn to the corner of the mouth."""
        x, y, z = position.unbind(1)
        upper = 25.0 + 0.012 * (60.0 - x.abs()).clamp(min=0) ** 2 * 0.8 - 0.6 * (x.abs() - 52.0).clamp(min=0) * 2.2
        below = torch.sigmoid((y - upper) / 2.5)
        above_neck = torch.sigmoid((100.0 - y) / 4.0) * torch.sigmoid((75.0 - z) / 5.0)
        return below * above_neck * (1 - self.lips)

    def _mustache_region(self, position: Tensor) -> Tensor:
        x, y, z = position.unbind(1)
        across = torch.sigmoid((27.0 - x.abs()) / 2.0)
        line = 18.5 + 0.012 * x**2
        return across * torch.sigmoid((y - line) / 1.2) * torch.sigmoid((34.0 - y) / 2.0) * (z < 10) * (1 - self.lips)

    def _scalp(self, position: Tensor) -> Tensor:
        """Where hair grows on the head: behind and above a hairline from temple to temple."""
        x, y, z = position.unbind(1)
        hairline = -88.0 + 0.010 * x**2 + 0.55 * (z - 20.0).clamp(min=0)
        return torch.sigmoid((hairline - y) / 2.5) * torch.sigmoid((70.0 - y) / 6.0)

    def vertex_color(self, factors: Factors) -> Tensor:
        """Linear RGB [B, V, 3] of every vertex of the skin."""
        base = base_color(factors).unsqueeze(1)
        light = 1 - factors.skin_tone.view(-1, 1, 1)
        color = base.expand(-1, self.lips.shape[0], -1)
        red = torch.tensor([0.03, -0.17, -0.15], device=base.device)
        color = color * (1 + (0.35 + 0.65 * light) * self.blood.view(1, -1, 1) * red)
        tired = torch.tensor([-0.16, -0.20, -0.13], device=base.device) * (
            0.6 + 0.6 * (factors.age.view(-1, 1, 1) / 90)
        )
        color = color * (1 + self.under_eye.view(1, -1, 1) * tired)
        color = color * (1 + self.lids.view(1, -1, 1) * torch.tensor([-0.10, -0.24, -0.22], device=base.device))
        color = self._stubble(color, factors)
        color = self._makeup(color, factors)
        lips = base * torch.tensor([0.80, 0.45, 0.46], device=base.device) + torch.tensor(
            [0.022, 0.0, 0.003], device=base.device
        )
        painted = factors.makeup_color.unsqueeze(1)
        share = (0.85 * factors.makeup).view(-1, 1, 1)
        lips = lips * (1 - share) + painted * share
        mask = self.lips.view(1, -1, 1)
        color = color * (1 - mask) + lips * mask
        inner = self.inner_mouth.view(1, -1, 1)
        return color * (1 - inner) + torch.tensor([0.16, 0.035, 0.03], device=base.device) * inner

    def _stubble(self, color: Tensor, factors: Factors) -> Tensor:
        """Shaven and unshaven hair shines through: a tint of the hair's color on beard and scalp."""
        hair = hair_color(factors).unsqueeze(1)
        beard = _per_category(BEARDS, BEARD_TINT, factors.beard)
        beard = torch.maximum(beard, 0.10 * factors.male.clamp(min=0))
        lip = _per_category(BEARDS, MUSTACHE_TINT, factors.beard)
        scalp = _per_category(HAIR_STYLES, SCALP_TINT, factors.hair_style)
        share = 1 - (1 - beard[:, None] * self.beard_region) * (1 - lip[:, None] * self.mustache_region)
        share = 1 - (1 - share) * (1 - scalp[:, None] * self.scalp)
        return color * (1 - share.unsqueeze(-1)) + hair * share.unsqueeze(-1)

    def _makeup(self, color: Tensor, factors: Factors) -> Tensor:
        """Blush on the cheeks and shadow on the upper lids."""
        amount = factors.makeup.view(-1, 1, 1)
        blush = torch.tensor([0.05, -0.18, -0.12], device=color.device)
        color = color * (1 + amount * self.cheeks.view(1, -1, 1) * blush)
        shade = 0.7 * amount * self.shadow_lid.view(1, -1, 1)
        tint = color.mean(1, keepdim=True) * torch.tensor([0.42, 0.30, 0.40], device=color.device)
        return color * (1 - shade) + tint * shade

    def brow_cover(self, position: Tensor, thickness: Tensor, noise: Tensor) -> Tensor:
        """Share [P] of a pixel that eyebrow hair covers.

        Args:
            position: [P, 3] place on the mean head. thickness: [P] brow_thickness. noise: [P] strands.
        """
        x = position[:, 0].abs()
        knots, heights = self.brow_x, self.brow_y
        place = (torch.searchsorted(knots, x.contiguous()) - 1).clamp(0, len(knots) - 2)
        share = (x - knots[place]) / (knots[place + 1] - knots[place])
        center = heights[place] + share.clamp(-0.3, 1.3) * (heights[place + 1] - heights[place]) + 2.0
        along = ((x - knots[0]) / (knots[-1] - knots[0])).clamp(-0.5, 1.5)
        half = (1.5 + 2.6 * thickness) * (1.15 - 0.75 * along.clamp(0, 1))
        across = (position[:, 1] - center).abs() / half
        ends = torch.sigmoid((along + 0.02) * 22) * torch.sigmoid((1.06 - along) * 20)
        front = torch.sigmoid(-(position[:, 2] - 25.0))
        return (torch.sigmoid((1.0 - across) * 4.0) * ends * front * (0.85 + 0.12 * noise)).clamp(0, 1)
