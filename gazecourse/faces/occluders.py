"""What gets between the camera and the lower face: a hand, a phone, a mug, a scarf. The eyes stay free."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gazecourse.faces.attributes import OCCLUDERS, Factors
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.noise import uniform
from gazecourse.faces.parts import (
    SKULL_CENTER,
    Part,
    cast,
    grid_triangles,
    join,
    smoothstep,
    tube,
    tube_triangles,
)

FINGER_RINGS, FINGER_SIDES = 8, 8
PALM_RINGS, PALM_SIDES = 10, 12
FINGERS = (
    # knuckle x, y; length; radius; spread
    (-30.0, -36.0, 70.0, 8.6, -0.10),
    (-10.0, -42.0, 79.0, 8.8, -0.03),
    (10.0, -40.0, 73.0, 8.4, 0.04),
    (28.5, -33.0, 57.0, 7.6, 0.13),
)
"""Index to little finger of a right hand seen from its back, fingers up; mm about the middle of the palm."""
TIP = (1.0, 1.0, 1.02, 0.95, 0.97, 0.88, 0.66, 0.12)
"""Half width of a finger along its length: knuckle, joints, tip."""
PALM = (
    # y, half width, half depth
    (230.0, 40.0, 36.0), (160.0, 35.0, 29.0), (95.0, 29.0, 21.0), (62.0, 28.0, 17.0), (42.0, 33.0, 15.0),
    (18.0, 41.0, 14.5), (-10.0, 43.0, 13.0), (-32.0, 41.0, 11.0), (-44.0, 36.0, 8.5), (-48.0, 20.0, 3.0),
)  # fmt: skip
PHONE = (36.0, 75.0, 4.2)
"""Half width, height and depth of a phone in mm."""
MUG_RADIUS, MUG_HEIGHT = 41.0, 94.0
SCARF_COLUMNS, SCARF_ROWS = 48, 11
FAR_FROM_BROWS = 1000.0
"""Hands carry the skin's texture, but from a place where the face has no brows."""


def _finger(base: Tensor, direction: Tensor, length: float, radius: float, curl: tuple[float, float, float]) -> Tensor:
    """Vertices of one finger that bends at three joints toward +z (the palm's side)."""
    forward = torch.tensor([0.0, 0.0, 1.0])
    share = torch.tensor([0.0, 0.22, 0.45, 0.52, 0.74, 0.86, 0.95, 1.0])
    bend = torch.tensor([curl[0], curl[0], curl[0], curl[1], curl[1], curl[2], curl[2]])
    step = share.diff().unsqueeze(1) * length
    heading = direction * bend.cos().unsqueeze(1) + forward * bend.sin().unsqueeze(1)
    path = torch.cat([base.unsqueeze(0), base + (step * heading).cumsum(0)])
    radii = (torch.tensor(TIP) * radius).unsqueeze(1).expand(-1, 2)
    side = torch.linalg.cross(direction, forward)
    return tube(path.unsqueeze(0), radii, side, FINGER_SIDES)[0]


def hand_mesh(curl: tuple[float, float, float], thumb: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """A right hand with forearm: vertices [V, 3] in mm and triangles.

    The palm's middle is the origin, fingers point to -y, the palm faces +z, the thumb is on the side of -x.

    Args:
        curl: bend of the three joints of every finger, radians.
        thumb: direction of the thumb.
    """
    palm = torch.tensor(PALM)
    path = torch.stack([torch.zeros(PALM_RINGS), palm[:, 0], torch.zeros(PALM_RINGS)], dim=1)
    across = torch.tensor([1.0, 0.0, 0.0])
    pieces = [tube(path.unsqueeze(0), palm[:, 1:], across, PALM_SIDES)[0]]
    for x, y, length, radius, spread in FINGERS:
        direction = normalize(torch.tensor([spread, -1.0, 0.0]), dim=0)
        pieces.append(_finger(torch.tensor([x, y, 0.0]), direction, length, radius, curl))
    heading = normalize(torch.tensor(thumb), dim=0)
    pieces.append(_finger(torch.tensor([-27.0, 24.0, 3.0]), heading, 72.0, 10.0, (0.0, 0.2, 0.3)))
    finger = (FINGER_RINGS * FINGER_SIDES, tube_triangles(FINGER_RINGS, FINGER_SIDES))
    triangles = join((PALM_RINGS * PALM_SIDES, tube_triangles(PALM_RINGS, PALM_SIDES)), *[finger] * 5)
    return torch.cat(pieces), triangles


def box_mesh(half: tuple[float, float, float], corner: float) -> tuple[Tensor, Tensor, Tensor]:
    """A slab with rounded corners: vertices [V, 3], triangles, and which vertices [V] belong to its face toward +z."""
    angle = torch.arange(20) * (2 * math.pi / 20) + math.pi / 20
    inner = torch.tensor([half[0] - corner, half[1] - corner])
    unit = torch.stack([angle.cos(), angle.sin()], dim=1)
    outline = unit.sign() * inner + unit * corner
    depth = torch.tensor([-half[2], half[2]]).view(2, 1, 1).expand(-1, 20, -1)
    rings = torch.cat([outline.expand(2, -1, -1), depth], dim=-1)
    fan = torch.stack([torch.zeros(18).long(), torch.arange(1, 19), torch.arange(2, 20)], dim=1)
    points = torch.cat([rings[0], rings[1], rings[0], rings[1]])
    triangles = torch.cat([fan.flip(1), fan + 20, grid_triangles(2, 20, closed=True, flip=True) + 40])
    face = torch.zeros(80)
    face[20:40] = 1.0
    return points, triangles, face


def mug_mesh() -> tuple[Tensor, Tensor, Tensor]:
    """A mug whose opening faces -y, with a handle toward +x: vertices, triangles, darkness [V] of its inside."""
    profile = torch.tensor(
        [[0.0, 0.5], [0.93, 0.5], [1.0, 0.42], [1.0, -0.47], [0.97, -0.5], [0.93, -0.47], [0.9, 0.3], [0.0, 0.3]]
    )
    angle = torch.arange(24) * (2 * math.pi / 24)
    radius = profile[:, :1] * MUG_RADIUS
    ring = torch.stack(
        [radius * angle.cos(), (profile[:, 1:] * MUG_HEIGHT).expand(-1, 24), radius * angle.sin()], dim=-1
    )
    turn = torch.linspace(-1.25, 1.25, 9)
    path = torch.stack([MUG_RADIUS - 9 + 34 * turn.cos(), 31 * turn.sin(), torch.zeros(9)], dim=1)
    handle = tube(path.unsqueeze(0), torch.tensor([6.5, 4.5]).expand(9, 2), torch.tensor([0.0, 0.0, 1.0]), 8)
    body = (8 * 24, grid_triangles(8, 24, closed=True, flip=True))
    dark = torch.cat([(torch.arange(8 * 24) >= 5 * 24).float(), torch.zeros(72)])
    return torch.cat([ring.reshape(-1, 3), handle[0]]), join(body, (72, tube_triangles(9, 8))), dark


def _pose(points: Tensor, up: Tensor, toward: Tensor, place: Tensor) -> Tensor:
    """Rigidly place meshes [..., V, 3]: its -y axis along ``up`` and its +z axis as near as can be to ``toward``.

    Args:
        up, toward, place: [B, 3].
    """
    up = normalize(up, dim=-1)
    right = normalize(torch.linalg.cross(-up, toward), dim=-1)
    forward = torch.linalg.cross(right, -up)
    rotation = torch.stack([right, -up, forward], dim=1)
    return points @ rotation + place.unsqueeze(1)


def _mirrored(points: Tensor) -> Tensor:
    """The left hand for a right one: x changes its sign, and every ring runs the other way round."""
    flipped = points * torch.tensor([-1.0, 1.0, 1.0])
    palm, fingers = flipped.split([PALM_RINGS * PALM_SIDES, 5 * FINGER_RINGS * FINGER_SIDES])
    rings = [
        palm.view(-1, PALM_SIDES, 3).flip(1).reshape(-1, 3),
        fingers.view(-1, FINGER_SIDES, 3).flip(1).reshape(-1, 3),
    ]
    return torch.cat(rings)


def _row(*values: float) -> Tensor:
    return torch.tensor([values])


def _hand_table() -> tuple[Tensor, Tensor]:
    """Hands in the frames of what they hold, [3, 2, V, 3]: free, with a phone, with a mug; left, then right."""
    flat, triangles = hand_mesh((0.12, 0.30, 0.45), (-0.75, -0.65, 0.25))
    phone_grip, _ = hand_mesh((0.10, 0.95, 1.5), (-0.30, -0.85, 0.45))
    mug_grip, _ = hand_mesh((0.45, 1.15, 1.9), (-0.55, -0.7, 0.45))
    right = [
        flat,
        _pose(phone_grip, _row(0.80, -0.60, 0.0), _row(0.0, 0.0, 1.0), _row(-14.0, 26.0, -21.0))[0],
        _pose(mug_grip, _row(0.60, -0.45, -0.66), _row(0.80, 0.1, 0.62), _row(-MUG_RADIUS - 10.0, 12.0, -18.0))[0],
    ]
    return torch.stack([torch.stack([_mirrored(hand), hand]) for hand in right]), triangles


class Occluders:
    """Hand, phone, mug and scarf."""

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        hands, triangles = _hand_table()
        self.hands, self.hand_triangles = hands.flatten(0, 1).to(device), triangles.to(device)
        self.phone, self.phone_triangles, screen = (t.to(device) for t in box_mesh(PHONE, 9.0))
        mug, self.mug_triangles, inside = (t.to(device) for t in mug_mesh())
        self.mug = torch.stack([mug, mug * torch.tensor([-1.0, 1.0, -1.0], device=device)])
        self.screen, self.inside = screen.view(1, -1, 1), inside.view(1, -1, 1)
        self._build_scarf(model)

    def _build_scarf(self, model: HeadModel) -> None:
        """Rings from over the mouth (in front) and the nape (behind) down to the collar."""
        device = model.mean.device
        skin = model.triangles[model.part == 0]
        azimuth = torch.arange(SCARF_COLUMNS, device=device) * (360.0 / SCARF_COLUMNS) - 180.0
        front = 0.5 + 0.5 * torch.cos(torch.deg2rad(azimuth))
        top, bottom = 62.0 - 44.0 * front**1.5, 118.0 + 8.0 * front
        share = torch.linspace(0, 1, SCARF_ROWS, device=device).unsqueeze(1)
        height = top + (bottom - top) * share
        theta = torch.deg2rad(azimuth).expand(SCARF_ROWS, -1)
        direction = torch.stack([theta.sin(), torch.zeros_like(theta), -theta.cos()], dim=-1)
        origin = torch.tensor([0.0, 0.0, 85.0], device=device) + height.unsqueeze(-1) * torch.tensor(
            [0.0, 1.0, 0.0], device=device
        )
        self.scarf = cast(model.mean, skin, origin.reshape(-1, 3), direction.reshape(-1, 3), farthest=True)
        self.scarf_outward = direction
        self.scarf_share = share
        self.scarf_azimuth = torch.deg2rad(azimuth)
        self.scarf_triangles = grid_triangles(SCARF_ROWS, SCARF_COLUMNS, closed=True).to(device)

    def _scarf(self, geometry: HeadGeometry, factors: Factors) -> Tensor:
        batch = len(factors)
        base = self.scarf.on(geometry.points).view(batch, SCARF_ROWS, SCARF_COLUMNS, 3)
        axis = torch.tensor([SKULL_CENTER[0], SKULL_CENTER[2]], device=base.device)
        radius = (base[..., [0, 2]] - axis).norm(dim=-1)
        radius = (radius + 0.15 * base[..., 1]).cummax(1).values - 0.15 * base[..., 1]
        radius = 0.5 * radius + 0.25 * (radius.roll(1, 2) + radius.roll(-1, 2))
        draw = uniform(factors.seed, 4, 31).view(batch, 4, 1, 1) * (2 * math.pi)
        slope = self.scarf_azimuth * 1.0
        fold = torch.sin(13.0 * self.scarf_share + 1.2 * torch.sin(slope + draw[:, 0]) + draw[:, 1])
        fold = fold + 0.6 * torch.sin(21.0 * self.scarf_share + 2.0 * torch.sin(slope + draw[:, 2]) + draw[:, 3])
        roll = smoothstep(self.scarf_share, -0.02, 0.12)
        distance = roll * (9.0 + 3.2 * fold + 7.0 * self.scarf_share) - 1.0 * (1 - roll)
        flat = axis + (radius + distance).unsqueeze(-1) * self.scarf_outward[..., [0, 2]]
        lift = -18.0 * factors.occluder_place[:, 1].clamp(-0.3, 0.3).view(-1, 1, 1) * (1 - self.scarf_share)
        return torch.stack([flat[..., 0], base[..., 1] - lift, flat[..., 1]], dim=-1).flatten(1, 2)

    def _shift(self, geometry: HeadGeometry, factors: Factors) -> Tensor:
        """Offset [B, 3] in mm from the usual place."""
        width = (geometry.landmarks[:, 16, 0] - geometry.landmarks[:, 0, 0]).unsqueeze(1)
        shift = factors.occluder_place.clamp(-0.35, 0.35) * width
        return torch.cat([shift, torch.zeros_like(width)], dim=1)

    def _hand_pose(self, marks: Tensor, side: Tensor, kind: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Over the mouth, at the cheek or under the chin."""
        zero, one = torch.zeros_like(side), torch.ones_like(side)
        lips, chin = marks[:, 51], marks[:, 8]
        jaw = torch.where(side > 0, marks[:, 12], marks[:, 4])
        front = torch.minimum(marks[:, 33, 2], lips[:, 2]).unsqueeze(1)
        mouth = torch.cat([side * 14.0, (lips[:, 1:2] + chin[:, 1:2]) / 2 + 10.0, front - 21.0], dim=1)
        cheek = jaw + torch.cat([side * 17.0, zero + 8.0, zero - 20.0], dim=1)
        under = chin + torch.cat([side * 10.0, zero + 26.0, zero - 16.0], dim=1)
        ups = (
            torch.cat([-side * 0.92, -0.42 * one, 0.12 * one], dim=1),
            torch.cat([side * 0.12, -0.93 * one, 0.35 * one], dim=1),
            torch.cat([-side * 0.75, -0.6 * one, 0.25 * one], dim=1),
        )
        towards = (
            torch.cat([-side * 0.15, zero, one], dim=1),
            torch.cat([-side * 0.85, zero, 0.55 * one], dim=1),
            torch.cat([zero, -0.45 * one, one], dim=1),
        )
        first, second = kind < 0.34, kind < 0.72

        def pick(options: tuple[Tensor, ...]) -> Tensor:
            return torch.where(first, options[0], torch.where(second, options[1], options[2]))

        return pick(ups), pick(towards), pick((mouth, cheek, under))

    def _phone_pose(self, marks: Tensor, side: Tensor, kind: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """In front of mouth and chin, its back to the camera, or at the ear."""
        zero, one = torch.zeros_like(side), torch.ones_like(side)
        nose = marks[:, 33]
        front = nose + torch.cat([zero, zero + PHONE[1] - 2.0, zero - 34.0], dim=1)
        ear = torch.where(side > 0, (marks[:, 14] + marks[:, 13]) / 2, (marks[:, 2] + marks[:, 3]) / 2)
        call = ear + torch.cat([side * 20.0, zero - 2.0, zero + 14.0], dim=1)
        up = torch.where(
            kind < 0.6,
            torch.cat([-side * 0.1, -one, -0.15 * one], dim=1),
            torch.cat([zero, -0.80 * one, 0.60 * one], dim=1),
        )
        toward = torch.where(
            kind < 0.6, torch.cat([zero, zero, one], dim=1), torch.cat([-side, zero, 0.15 * one], dim=1)
        )
        return up, toward, torch.where(kind < 0.6, front, call)

    def _mug_pose(self, marks: Tensor, kind: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Its rim at the lower lip, tilted toward the face."""
        tilt = 0.15 + 0.45 * kind
        zero = torch.zeros_like(kind)
        up = torch.cat([zero, -tilt.cos(), tilt.sin()], dim=1)
        toward = torch.cat([zero, tilt.sin(), tilt.cos()], dim=1)
        return up, toward, marks[:, 57] - 0.5 * MUG_HEIGHT * up - (MUG_RADIUS + 1.0) * toward

    def parts(self, geometry: HeadGeometry, factors: Factors, skin: Tensor) -> list[Part]:
        """All occluders; ``skin`` [B, 3] is the color of hands."""
        marks, batch = geometry.landmarks, len(factors)
        draw = uniform(factors.seed, 6, 32)
        side = torch.where(draw[:, :1] < 0.5, 1.0, -1.0)
        kind = draw[:, 1:2]
        which = (factors.occluder - OCCLUDERS.index("hand")).clamp(0, 2)
        poses = (self._hand_pose(marks, side, kind), self._phone_pose(marks, side, kind), self._mug_pose(marks, kind))
        choice = which.unsqueeze(1)
        up, toward, place = (
            torch.where(choice == 0, a, torch.where(choice == 1, b, c)) for a, b, c in zip(*poses, strict=True)
        )
        place = place + self._shift(geometry, factors)
        right = (side < 0).long().squeeze(1)
        hand = _pose(self.hands.index_select(0, 2 * which + right), up, toward, place)
        color = 0.04 + 0.75 * draw[:, 2:5] ** 2
        glass = torch.tensor([0.012, 0.014, 0.018], device=color.device)
        phone_color = (0.02 + 0.4 * draw[:, 2:3] ** 3).unsqueeze(-1) * (1 - self.screen) + glass * self.screen
        mug_color = color.unsqueeze(1) * (1 - 0.7 * self.inside)
        away = torch.tensor([0.0, FAR_FROM_BROWS, 0.0], device=color.device)
        surface = self.hands[:1].expand(batch, -1, -1) + away
        shown = {name: factors.occluder == OCCLUDERS.index(name) for name in OCCLUDERS[1:]}
        held = shown["hand"] | shown["phone"] | shown["mug"]
        return [
            Part("hand", hand, self.hand_triangles, skin, "skin", held, surface),
            Part(
                "phone",
                _pose(self.phone.expand(batch, -1, -1), up, toward, place),
                self.phone_triangles,
                phone_color,
                "plastic",
                shown["phone"],
            ),
            Part(
                "mug",
                _pose(self.mug.index_select(0, right), up, toward, place),
                self.mug_triangles,
                mug_color,
                "plastic",
                shown["mug"],
            ),
            Part("scarf", self._scarf(geometry, factors), self.scarf_triangles, color, "cloth", shown["scarf"]),
        ]
