"""Mustache, goatee and full beard."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.faces.attributes import BEARDS, Factors
from gazecourse.faces.head import HeadGeometry, HeadModel, vertex_normals
from gazecourse.faces.noise import uniform
from gazecourse.faces.parts import Part, interpolate_knots, plane_waves, smoothstep

SUNK = 0.9
"""Where no beard grows, the shell lies this far in mm below the skin."""
SHORT, LONGER, LONGEST = 2.6, 2.0, 7.0
"""Length in mm everywhere; how much is added at the chin; how much more a full beard may have there."""
BRISTLE = 3.5
"""Beard hair is shorter than hair on the head: its strands are drawn this much shorter."""
LAYER = 57.0


def _jaw(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """From the sideburns over the cheeks, below a line to the corner of the mouth, down to the throat."""
    line = interpolate_knots(((0.0, 28.0), (20, 34), (34, 34), (46, 24), (56, 4), (61, -14), (66, -24)), x)
    return smoothstep(y, line - 7.0, line + 12.0) * smoothstep(z, 66.0, 52.0) * smoothstep(y, 100.0, 88.0)


def _goatee(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    width = interpolate_knots(((30.0, 30.0), (50, 27), (70, 24), (84, 20)), y)
    return smoothstep(x, width + 4.0, width - 6.0) * smoothstep(y, 38.0, 48.0) * smoothstep(z, 34.0, 22.0)


def _mustache(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    top = 21.0 + 0.011 * x**2
    return smoothstep(x, 31.0, 25.0) * smoothstep(y, top - 1.0, top + 4.0) * smoothstep(y, 50.0, 40.0) * (z < 12)


class Beard:
    """A thin shell over chin, jaw and upper lip that follows every movement of the jaw.

    It is the skin's own triangles there, moved outward along the normals of the mean head; the lips stay free.
    """

    def __init__(self, model: HeadModel) -> None:
        skin = model.triangles[model.part == 0]
        lips, inner = (model.masks[:, model.mask_names.index(name)] for name in ("lips", "inner_mouth"))
        x, y, z = model.mean.unbind(1)
        free = (1 - smoothstep(lips, 0.05, 0.4)) * (inner < 0.1)
        jaw, goatee, mustache = (grows(x.abs(), y, z) * free for grows in (_jaw, _goatee, _mustache))
        none = torch.zeros_like(x)
        covers = {
            "mustache": mustache,
            "goatee": torch.maximum(goatee, mustache),
            "full beard": torch.maximum(jaw, mustache),
        }
        cover = torch.stack([covers.get(name, none) for name in BEARDS])
        kept = skin[(cover.amax(0) > 0.02)[skin].any(1)]
        self.rows, self.triangles = kept.unique(return_inverse=True)
        self.cover = cover.index_select(1, self.rows)
        self.place = model.mean.index_select(0, self.rows)
        self.outward = vertex_normals(model.mean.unsqueeze(0), skin)[0].index_select(0, self.rows)
        self.is_chin = smoothstep(self.place[:, 1], 45.0, 82.0)
        strand = torch.stack([self.place[:, 0] + 0.5 * self.place[:, 2], BRISTLE * self.place[:, 1]], dim=1)
        self.strand = torch.cat([strand, torch.full_like(strand[:, :1], LAYER)], dim=1)

    def part(self, geometry: HeadGeometry, factors: Factors, color: Tensor) -> Part:
        """The shell of mustache, goatee or full beard; ``color`` [B, 3]."""
        cover = self.cover.index_select(0, factors.beard)
        is_full = (factors.beard == BEARDS.index("full beard")).unsqueeze(1)
        length = SHORT + (LONGER + LONGEST * is_full * uniform(factors.person, 1, 15)) * self.is_chin
        length = length * (1 + 0.12 * plane_waves(self.place, factors.person, count=5, length=16.0, stream=16))
        base = geometry.points.index_select(1, self.rows)
        points = base + self.outward * (cover * (length + SUNK) - SUNK).unsqueeze(-1)
        shown = factors.beard >= BEARDS.index("mustache")
        return Part("beard", points, self.triangles, color, "hair", shown, self.strand.expand_as(points))
