"""Rigid things that hide a part of the face, each in a frame of its own: a hand, a phone, a mug."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gazecourse.faces.parts import grid_triangles, join, tube, tube_triangles

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
PHONE_SIDES, PHONE_CORNER = 20, 9.0
MUG_RADIUS, MUG_HEIGHT = 41.0, 94.0
MUG_PROFILE = ((0.0, 0.5), (0.93, 0.5), (1.0, 0.42), (1.0, -0.47), (0.97, -0.5), (0.93, -0.47), (0.9, 0.3), (0.0, 0.3))
"""Radius and height of a mug's wall in units of the mug's, from under the bottom up and down again inside."""
MUG_SIDES, HANDLE_RINGS, HANDLE_SIDES, OUTER_ROWS = 24, 9, 8, 5


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


def phone_mesh() -> tuple[Tensor, Tensor, Tensor]:
    """A slab with rounded corners: vertices [V, 3], triangles, and which vertices [V] (1 or 0) belong to its screen.

    The screen faces +z; each side has vertices of its own, so that the edges stay sharp.
    """
    angle = torch.arange(PHONE_SIDES) * (2 * math.pi / PHONE_SIDES) + math.pi / PHONE_SIDES
    unit = torch.stack([angle.cos(), angle.sin()], dim=1)
    outline = unit.sign() * (torch.tensor(PHONE[:2]) - PHONE_CORNER) + unit * PHONE_CORNER
    depth = torch.tensor([-PHONE[2], PHONE[2]]).view(2, 1, 1).expand(-1, PHONE_SIDES, -1)
    back, front = torch.cat([outline.expand(2, -1, -1), depth], dim=-1)
    middle = torch.arange(1, PHONE_SIDES - 1)
    fan = torch.stack([torch.zeros_like(middle), middle, middle + 1], dim=1)
    edge = grid_triangles(2, PHONE_SIDES, closed=True, flip=True)
    triangles = join((PHONE_SIDES, fan.flip(1)), (PHONE_SIDES, fan), (2 * PHONE_SIDES, edge))
    screen = torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(PHONE_SIDES)
    return torch.cat([back, front, back, front]), triangles, screen


def mug_mesh() -> tuple[Tensor, Tensor, Tensor]:
    """A mug that opens toward -y, its handle at +x: vertices [V, 3], triangles, and which vertices [V] are inside."""
    profile = torch.tensor(MUG_PROFILE)
    rows = len(MUG_PROFILE)
    angle = torch.arange(MUG_SIDES) * (2 * math.pi / MUG_SIDES)
    radius, height = profile[:, :1] * MUG_RADIUS, profile[:, 1:] * MUG_HEIGHT
    body = torch.stack([radius * angle.cos(), height.expand(-1, MUG_SIDES), radius * angle.sin()], dim=-1)
    turn = torch.linspace(-1.25, 1.25, HANDLE_RINGS)
    path = torch.stack([MUG_RADIUS - 9 + 34 * turn.cos(), 31 * turn.sin(), torch.zeros_like(turn)], dim=1)
    widths = torch.tensor([6.5, 4.5]).expand(HANDLE_RINGS, 2)
    handle = tube(path.unsqueeze(0), widths, torch.tensor([0.0, 0.0, 1.0]), HANDLE_SIDES)[0]
    triangles = join(
        (rows * MUG_SIDES, grid_triangles(rows, MUG_SIDES, closed=True, flip=True)),
        (len(handle), tube_triangles(HANDLE_RINGS, HANDLE_SIDES)),
    )
    inside = torch.tensor([0.0] * OUTER_ROWS + [1.0] * (rows - OUTER_ROWS)).repeat_interleave(MUG_SIDES)
    return torch.cat([body.reshape(-1, 3), handle]), triangles, torch.cat([inside, torch.zeros(len(handle))])


def left_hand(right: Tensor) -> Tensor:
    """The left hand [V, 3] for a right one: x changes its sign, and every ring runs the other way round."""
    flipped = right * torch.tensor([-1.0, 1.0, 1.0])
    palm, fingers = flipped.split([PALM_RINGS * PALM_SIDES, 5 * FINGER_RINGS * FINGER_SIDES])
    rings = [ring.view(-1, sides, 3).flip(1) for ring, sides in ((palm, PALM_SIDES), (fingers, FINGER_SIDES))]
    return torch.cat([ring.reshape(-1, 3) for ring in rings])


def orientation(up: Tensor, toward: Tensor) -> Tensor:
    """Rotation [..., 3, 3] for row vectors: -y goes along ``up`` [..., 3], +z as near as can be to ``toward``."""
    down = -normalize(up, dim=-1)
    right = normalize(torch.linalg.cross(down, toward), dim=-1)
    return torch.stack([right, down, torch.linalg.cross(right, down)], dim=-2)
