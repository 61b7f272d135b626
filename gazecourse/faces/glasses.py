"""Glasses that sit on each head's own nose and ears."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gazecourse.faces.attributes import GLASSES, Factors
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.parts import Part, cast, join, tube, tube_triangles

RIM_POINTS, RIM_SIDES = 28, 5
BRIDGE_POINTS, TEMPLE_POINTS, TEMPLE_SIDES = 7, 8, 6
ROUND_SIZE = (0.0, 22.0, 22.5, 27.5)
SQUARE_SIZE = (0.0, 26.0, 26.0, 30.0)
ROUND_HEIGHT = (0.0, 20.5, 21.0, 24.0)
SQUARE_HEIGHT = (0.0, 16.5, 18.0, 22.0)
"""Half width and half height in mm of the lenses of each kind of glasses, round and square."""
RIM_WIDTH = (1.0, 0.9, 2.3, 1.6)
RIM_DEPTH = (1.0, 0.9, 1.8, 1.5)
TEMPLE_HEIGHT = (1.0, 1.1, 3.0, 2.6)
TILT = math.tan(math.radians(8.0))
"""Lenses lean: their lower edge is nearer to the cheeks."""
WRAP = 0.0013
"""Frames curve around the face: mm to the back per mm² to the side."""
USUAL_EYE = 28.9
"""Half the distance in mm between the mean head's eyes; larger heads get larger lenses."""
HALF_BRIDGE, BELOW_EYE = 8.0, 2.5
"""In mm: lenses stay apart by twice the first, and their centers lie below the eyes by the second."""
MARGIN, CLEARANCE = 3.0, 2.0
"""The frame keeps this clearance in mm from all skin behind the lenses and this margin around them."""
LENS_BULGE = 2.0
STATIONS = ((-31.0, 14.0), (-31.0, 36.0), (-31.0, 58.0), (-31.0, 80.0), (-30.0, 90.0), (-12.0, 104.0))
"""Height and depth (y, z) in mm on the mean head of the points that a temple passes; the last lies behind the ear."""


@dataclass
class _Frame:
    """Size and place of every lens: all [B, 1], mm; ``center`` and ``half`` along x, then y."""

    center: tuple[Tensor, Tensor]
    half: tuple[Tensor, Tensor]
    power: Tensor
    front: Tensor

    def depth(self, x: Tensor, y: Tensor) -> Tensor:
        """z of the frame's surface at (x, y)."""
        return self.front + TILT * (y - self.center[1]) + WRAP * x**2


class Glasses:
    """Rims, bridge, temples and lenses.

    The frame is a tilted, slightly curved sheet that is moved forward until it clears lids, brows, cheeks and the
    flanks of the nose; its temples run outside of the head to the ears.
    """

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        skin = model.triangles[model.part == 0]
        vertices = skin.unique()
        x, y, z = model.mean.index_select(0, vertices).unbind(1)
        near = (x.abs() > 6) & (x.abs() < 70) & (y > -56) & (y < 14) & (z < 40)
        self.face = vertices[near]
        station = torch.tensor(STATIONS, device=device)
        origin = torch.cat([torch.zeros_like(station[:, :1]), station], dim=1)
        left = torch.tensor([1.0, 0.0, 0.0], device=device).expand_as(origin)
        self.left = cast(model.mean, skin, origin, left)
        self.right = cast(model.mean, skin, origin, -left)
        self.angle = torch.arange(RIM_POINTS, device=device) * (2 * math.pi / RIM_POINTS)
        self._build_topology(device)

    def _build_topology(self, device: torch.device) -> None:
        ring = tube_triangles(RIM_POINTS + 1, RIM_SIDES, capped=False)
        bridge = tube_triangles(BRIDGE_POINTS, RIM_SIDES)
        temple = tube_triangles(TEMPLE_POINTS, TEMPLE_SIDES)
        rim = ((RIM_POINTS + 1) * RIM_SIDES, ring)
        arm = (TEMPLE_POINTS * TEMPLE_SIDES, temple)
        self.frame_triangles = join(rim, rim, (BRIDGE_POINTS * RIM_SIDES, bridge), arm, arm).to(device)
        index = torch.arange(RIM_POINTS)
        following = index.roll(-1)
        middle, edge = 1 + index, 1 + RIM_POINTS + index
        middle_next, edge_next = 1 + following, 1 + RIM_POINTS + following
        disc = torch.cat(
            [
                torch.stack([torch.zeros_like(index), middle, middle_next], dim=1),
                torch.stack([middle, edge, edge_next], dim=1),
                torch.stack([middle, edge_next, middle_next], dim=1),
            ]
        )
        count = 1 + 2 * RIM_POINTS
        # Lenses are seen from both sides; each side has vertices of its own, or their normals would cancel out.
        self.lens_triangles = join(*[(count, disc), (count, disc.flip(1))] * 2).to(device)

    def _fit(self, geometry: HeadGeometry, factors: Factors) -> _Frame:
        """Choose size and shape, center the lenses before the eyes, and move the frame off the face."""
        device = geometry.points.device
        table = torch.tensor([ROUND_SIZE, SQUARE_SIZE, ROUND_HEIGHT, SQUARE_HEIGHT], device=device)
        round_, square, round_high, square_high = table[:, factors.glasses].unsqueeze(-1)
        shape = factors.glasses_shape.unsqueeze(1)
        eyes = geometry.eye_centers
        apart = (eyes[:, :1, 0] - eyes[:, 1:, 0]) / 2
        scale = (apart / USUAL_EYE).clamp(0.9, 1.15)
        wide = (round_ + (square - round_) * shape) * scale
        high = (round_high + (square_high - round_high) * shape) * scale
        middle = torch.maximum(apart, wide + HALF_BRIDGE)
        height = eyes[..., 1].mean(1, keepdim=True) + BELOW_EYE
        frame = _Frame((middle, height), (wide, high), 2.0 + 2.2 * shape, torch.zeros_like(wide))
        x, y, z = geometry.points.index_select(1, self.face).unbind(2)
        across, down = (x.abs() - middle) / (wide + MARGIN), (y - height) / (high + MARGIN)
        behind = across.abs() ** frame.power + down.abs() ** frame.power < 1
        room = torch.where(behind, z - frame.depth(x, y), torch.inf).amin(1, keepdim=True)
        rim = torch.tensor(RIM_DEPTH, device=device)[factors.glasses].unsqueeze(1)
        frame.front = room - CLEARANCE - rim
        return frame

    def _outline(self, frame: _Frame, side: float, share: float = 1.0) -> Tensor:
        """Points [B, RIM_POINTS, 3] of a superellipse on the frame's sheet; ``side`` is 1 for the person's left."""
        cosine, sine = self.angle.cos(), self.angle.sin()
        stretch = share / (cosine.abs() ** frame.power + sine.abs() ** frame.power) ** (1 / frame.power)
        x = side * (frame.center[0] + frame.half[0] * cosine * stretch)
        y = frame.center[1] + frame.half[1] * sine * stretch
        return torch.stack([x, y, frame.depth(x, y)], dim=-1)

    def _bridge(self, frame: _Frame, geometry: HeadGeometry) -> Tensor:
        """Center line over the nose: a flat arch that stays in front of the bridge of the nose."""
        t = torch.linspace(-1, 1, BRIDGE_POINTS, device=frame.front.device)
        inner = frame.center[0] - frame.half[0] * 0.97
        x = inner * t
        y = frame.center[1] - frame.half[1] * (0.22 + 0.16 * (1 - t**2))
        nose = geometry.landmarks[:, 27:28, 2] - 3.0
        depth = frame.depth(x, y)
        return torch.stack([x, y, depth + (torch.minimum(nose, depth) - depth) * (1 - t**4)], dim=-1)

    def _temple(self, frame: _Frame, geometry: HeadGeometry, side: float) -> Tensor:
        """Center line from the hinge along the temple, over the ear and down behind it."""
        skin = (self.left if side > 0 else self.right).on(geometry.points)
        x = side * (frame.center[0] + frame.half[0] * 1.02)
        y = frame.center[1] - 0.42 * frame.half[1]
        hinge = torch.stack([x, y, frame.depth(x, y)], dim=-1)
        corner = hinge + torch.tensor([side * 3.0, 0.0, 3.5], device=x.device)
        ear = skin[:, 4:5]
        along = ((skin[:, :5, 2:] - corner[..., 2:]) / (ear[..., 2:] - corner[..., 2:])).clamp(0, 1)
        line = corner + (ear - corner) * along
        outward = torch.maximum(side * line[..., 0], side * skin[:, :5, 0] + 2.2)
        straight = torch.stack([side * outward, line[..., 1], line[..., 2]], dim=-1)
        behind = skin[:, 5:] + torch.tensor([side * 1.0, 0.0, 0.0], device=x.device)
        return torch.cat([hinge, corner, straight, behind], dim=1)

    def _lens(self, frame: _Frame, side: float) -> Tensor:
        edge, middle = self._outline(frame, side), self._outline(frame, side, 0.55)
        center = torch.stack(
            [side * frame.center[0], frame.center[1], frame.front + WRAP * frame.center[0] ** 2], dim=-1
        )
        forward = torch.tensor([0.0, 0.0, -LENS_BULGE], device=edge.device)
        return torch.cat([center + forward, middle + 0.7 * forward, edge], dim=1)

    def parts(self, geometry: HeadGeometry, factors: Factors) -> list[Part]:
        """Metal frames for thin glasses, plastic ones for the others, and the lenses."""
        frame = self._fit(geometry, factors)
        device = frame.front.device
        sizes = torch.tensor([RIM_WIDTH, RIM_DEPTH, TEMPLE_HEIGHT], device=device)[:, factors.glasses]
        width, depth, high = sizes.view(3, -1, 1)
        forward = torch.tensor([0.0, 0.0, -1.0], device=device)
        sideways = torch.tensor([1.0, 0.0, 0.0], device=device)
        rim = torch.stack([depth, width], dim=-1)
        arm = torch.stack([0.5 * high + 0.5, high], dim=-1)
        pieces = []
        for side in (1.0, -1.0):
            outline = self._outline(frame, side)
            closed = torch.cat([outline[:, -1:], outline, outline[:, :2]], dim=1)
            ring = tube(closed, rim, forward, RIM_SIDES).view(len(factors), -1, RIM_SIDES, 3)
            pieces.append(ring[:, 1:-1].flatten(1, 2))
        pieces.append(tube(self._bridge(frame, geometry), rim, forward, RIM_SIDES))
        pieces += [tube(self._temple(frame, geometry, side), arm, sideways, TEMPLE_SIDES) for side in (1.0, -1.0)]
        points = torch.cat(pieces, dim=1)
        thin = factors.glasses == GLASSES.index("thin-framed glasses")
        worn = factors.glasses > 0
        left, right = self._lens(frame, 1.0), self._lens(frame, -1.0)
        lenses = torch.cat([left, left, right, right], dim=1)
        color = factors.glasses_color
        return [
            Part("frame", points, self.frame_triangles, color, "plastic", worn & ~thin),
            Part("wire frame", points, self.frame_triangles, color, "metal", thin),
            Part("lenses", lenses, self.lens_triangles, torch.ones_like(color), "lens", worn),
        ]
