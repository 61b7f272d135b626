"""What gets between the camera and the lower face: a hand, a phone, a mug, a scarf. The eyes stay free."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gazecourse.faces.attributes import OCCLUDERS, Factors
from gazecourse.faces.head import HeadGeometry, HeadModel
from gazecourse.faces.noise import uniform
from gazecourse.faces.parts import SKULL_CENTER, Part, cast, grid_triangles, smoothstep
from gazecourse.faces.props import (
    MUG_HEIGHT,
    MUG_RADIUS,
    PHONE,
    hand_mesh,
    left_hand,
    mug_mesh,
    orientation,
    phone_mesh,
)


@dataclass(frozen=True)
class Pose:
    """How something is held. Directions and offsets are for the person's left side; x changes sign on the right.

    ``item``: "hand", "phone" or "mug". ``up``, ``toward``: its long axis and the direction to the face. ``marks``: two
    landmarks on the left and two on the right side; in the middle between two, moved by ``offset`` mm, lies the item's
    own point ``grip``. ``touches``: slide it along ``toward`` until it touches the face.
    """

    item: str
    up: tuple[float, float, float]
    toward: tuple[float, float, float]
    marks: tuple[tuple[int, int], tuple[int, int]]
    offset: tuple[float, float, float]
    grip: tuple[float, float, float] = (0.0, 0.0, 0.0)
    touches: bool = False


RIM = (0.0, -0.5 * MUG_HEIGHT, MUG_RADIUS + 1.0)
POSES = (
    Pose("hand", (-0.92, -0.42, 0.12), (-0.15, 0.0, 1.0), ((51, 8), (51, 8)), (14.0, 15.0, -25.0), touches=True),
    Pose("hand", (0.12, -0.93, 0.35), (-0.85, 0.0, 0.55), ((12, 12), (4, 4)), (17.0, 8.0, -20.0), touches=True),
    Pose("hand", (-0.75, -0.6, 0.25), (0.0, -0.45, 1.0), ((8, 8), (8, 8)), (10.0, 26.0, -16.0), touches=True),
    Pose("phone", (-0.1, -1.0, -0.15), (0.0, 0.0, 1.0), ((33, 33), (33, 33)), (0.0, PHONE[1] - 2.0, -34.0)),
    Pose("phone", (0.0, -0.8, 0.6), (-1.0, 0.0, 0.15), ((13, 14), (3, 2)), (20.0, -2.0, 14.0), touches=True),
    Pose("mug", (0.0, -0.97, 0.24), (0.0, 0.24, 0.97), ((57, 57), (57, 57)), (0.0, 0.0, -1.0), grip=RIM),
    Pose("mug", (0.0, -0.85, 0.53), (0.0, 0.53, 0.85), ((57, 57), (57, 57)), (0.0, 0.0, -1.0), grip=RIM),
)
"""Over the mouth, at the cheek, under the chin; in front of the mouth, at the ear; two ways to drink."""
HIGHEST, FARTHEST = -0.1, 0.35
"""Limits of ``occluder_place``: nothing may rise to the eyes."""
TOUCH_RADIUS = 12.0
"""A point touches the face where the nearest skin within this many mm, seen along ``toward``, lies."""
LONGEST_PUSH = 60.0
WRIST, HAND_STEP, FACE_STEP = 50.0, 5, 11
"""Touch is tested for every so many vertices of the hand above the wrist (y in mm), and of the face."""
SCARF_COLUMNS, SCARF_ROWS = 48, 11
FAR_FROM_BROWS = 1000.0
"""Hands carry the skin's texture, but from a place where the face has no brows."""


def _held(up: tuple[float, ...], toward: tuple[float, ...], place: tuple[float, ...], hand: Tensor) -> Tensor:
    """A right hand in the frame of what it holds."""
    return hand @ orientation(torch.tensor(up), torch.tensor(toward)) + torch.tensor(place)


class Scarf:
    """Rings from over the mouth (in front) and the nape (behind) down to the collar."""

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        skin = model.triangles[model.part == 0]
        self.turn = torch.arange(SCARF_COLUMNS, device=device) * (2 * math.pi / SCARF_COLUMNS) - math.pi
        front = 0.5 + 0.5 * self.turn.cos()
        top, bottom = 62.0 - 44.0 * front**1.5, 118.0 + 8.0 * front
        self.share = torch.linspace(0, 1, SCARF_ROWS, device=device).unsqueeze(1)
        origin = torch.tensor(SKULL_CENTER, device=device).repeat(SCARF_ROWS, SCARF_COLUMNS, 1)
        origin[..., 1] = top + (bottom - top) * self.share
        level = torch.stack([self.turn.sin(), torch.zeros_like(front), -self.turn.cos()], dim=1).expand_as(origin)
        self.outward = level[..., [0, 2]]
        self.anchors = cast(model.mean, skin, origin.view(-1, 3), level.reshape(-1, 3), farthest=True)
        self.triangles = grid_triangles(SCARF_ROWS, SCARF_COLUMNS, closed=True).to(device)

    def points(self, geometry: HeadGeometry, factors: Factors) -> Tensor:
        """Vertices [B, V, 3]; the cloth hangs from what protrudes, and has folds by the seed."""
        base = self.anchors.on(geometry.points).view(len(factors), SCARF_ROWS, SCARF_COLUMNS, 3)
        axis = torch.tensor([SKULL_CENTER[0], SKULL_CENTER[2]], device=base.device)
        radius, height = (base[..., [0, 2]] - axis).norm(dim=-1), base[..., 1]
        radius = (radius + 0.15 * height).cummax(1).values - 0.15 * height
        radius = 0.5 * radius + 0.25 * (radius.roll(1, 2) + radius.roll(-1, 2))
        phase = uniform(factors.seed, 4, 31).view(-1, 4, 1, 1) * (2 * math.pi)
        fold = torch.sin(13.0 * self.share + 1.2 * torch.sin(self.turn + phase[:, 0]) + phase[:, 1])
        fold = fold + 0.6 * torch.sin(21.0 * self.share + 2.0 * torch.sin(self.turn + phase[:, 2]) + phase[:, 3])
        border = smoothstep(self.share, -0.02, 0.12)
        radius = radius + border * (11.0 + 3.2 * fold + 7.0 * self.share) - 1.0
        flat = axis + radius.unsqueeze(-1) * self.outward
        drop = 18.0 * factors.occluder_place[:, 1].clamp(HIGHEST, FARTHEST).view(-1, 1, 1) * (1 - self.share)
        return torch.stack([flat[..., 0], height + drop, flat[..., 1]], dim=-1).flatten(1, 2)


class Occluders:
    """Hand, phone, mug and scarf; which pose and which hand is chosen by the seed."""

    def __init__(self, model: HeadModel) -> None:
        device = model.mean.device
        self.scarf = Scarf(model)
        self._build_meshes(device)
        self._build_poses(device)
        vertices = model.triangles[model.part == 0].unique()
        place = model.mean.index_select(0, vertices)
        self.face = vertices[(place[:, 1] > -60) & (place[:, 1] < 95) & (place[:, 2] < 80)][::FACE_STEP]

    def _build_meshes(self, device: torch.device) -> None:
        """Meshes of the left and the right side, [2, V, 3]; hands also by item, [3, 2, V, 3]."""
        flat, triangles = hand_mesh((0.12, 0.30, 0.45), (-0.75, -0.65, 0.25))
        phone_grip, _ = hand_mesh((0.10, 0.95, 1.5), (-0.30, -0.85, 0.45))
        mug_grip, _ = hand_mesh((0.45, 1.15, 1.9), (-0.55, -0.7, 0.45))
        hands = [
            flat,
            _held((0.80, -0.60, 0.0), (0.0, 0.0, 1.0), (-14.0, 26.0, -21.0), phone_grip),
            _held((0.60, -0.45, -0.66), (0.80, 0.1, 0.62), (-MUG_RADIUS - 10.0, 12.0, -18.0), mug_grip),
        ]
        self.hands = torch.stack([torch.stack([left_hand(hand), hand]) for hand in hands]).to(device)
        self.hand_triangles = triangles.to(device)
        phone, self.phone_triangles, self.screen = (t.to(device) for t in phone_mesh())
        self.phone = phone.expand(2, -1, -1)
        mug, self.mug_triangles, self.inside = (t.to(device) for t in mug_mesh())
        # Turned by half a turn, the handle is on the other side.
        self.mug = torch.stack([mug, mug * torch.tensor([-1.0, 1.0, -1.0], device=device)])

    def _build_poses(self, device: torch.device) -> None:
        """The table of poses as tensors [2, P, ...], left and right, and for each occluder its poses [5, P]."""
        mirror = torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], device=device).unsqueeze(1)

        def column(name: str) -> Tensor:
            return torch.tensor([getattr(pose, name) for pose in POSES], device=device) * mirror

        self.rotation = orientation(column("up"), column("toward"))
        self.offset = column("offset") - (column("grip").unsqueeze(-2) @ self.rotation).squeeze(-2)
        self.marks = torch.tensor([[pose.marks[side] for pose in POSES] for side in (0, 1)], device=device)
        self.touches = torch.tensor([pose.touches for pose in POSES], device=device)
        items = [pose.item for pose in POSES]
        self.first = torch.tensor([items.index(n) if n in items else 0 for n in OCCLUDERS], device=device)
        self.count = torch.tensor([max(items.count(n), 1) for n in OCCLUDERS], device=device)
        self.palm = self.hands[0][:, self.hands[0, 0, :, 1] < WRIST][:, ::HAND_STEP]

    def _push(self, points: Tensor, rotation: Tensor, geometry: HeadGeometry) -> Tensor:
        """How far [B, 1] in mm points [B, K, 3] can slide along the third row of ``rotation`` until one touches."""
        face = geometry.points.index_select(1, self.face) @ rotation.transpose(1, 2)
        mine = points @ rotation.transpose(1, 2)
        near = torch.cdist(mine[..., :2].contiguous(), face[..., :2].contiguous()) < TOUCH_RADIUS
        depth = face[..., 2].unsqueeze(1) - mine[..., 2].unsqueeze(2)
        room = torch.where(near, depth, torch.full_like(depth, LONGEST_PUSH)).amin((1, 2))
        return room.clamp(-LONGEST_PUSH, LONGEST_PUSH).unsqueeze(1)

    def _place(self, geometry: HeadGeometry, factors: Factors, side: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations [B, 3, 3] and origins [B, 3] of what is held; ``side`` [B] is 0 for left, 1 for right."""
        count = self.count.index_select(0, factors.occluder)
        pose = self.first.index_select(0, factors.occluder) + (draw * count).long()
        row = side * len(POSES) + pose
        rotation = self.rotation.flatten(0, 1).index_select(0, row)
        marks = self.marks.flatten(0, 1).index_select(0, row)
        base = geometry.landmarks.gather(1, marks.unsqueeze(-1).expand(-1, -1, 3)).mean(1)
        width = geometry.landmarks[:, 16, 0] - geometry.landmarks[:, 0, 0]
        shift_x, shift_y = (factors.occluder_place.clamp(-FARTHEST, FARTHEST) * width.unsqueeze(1)).unbind(1)
        shift = torch.stack([shift_x, torch.maximum(shift_y, HIGHEST * width), torch.zeros_like(width)], dim=1)
        place = base + self.offset.flatten(0, 1).index_select(0, row) + shift
        points = self.palm.index_select(0, side) @ rotation + place.unsqueeze(1)
        push = self._push(points, rotation, geometry) * self.touches.index_select(0, pose).unsqueeze(1)
        return rotation, place + push * rotation[:, 2]

    def parts(self, geometry: HeadGeometry, factors: Factors, skin: Tensor) -> list[Part]:
        """All occluders; ``skin`` [B, 3] is the color of hands."""
        draw = uniform(factors.seed, 6, 32)
        side = (draw[:, 0] < 0.5).long()
        rotation, place = self._place(geometry, factors, side, draw[:, 1])

        def put(mesh: Tensor) -> Tensor:
            return mesh.index_select(0, side) @ rotation + place.unsqueeze(1)

        item = (factors.occluder - OCCLUDERS.index("hand")).clamp(0, 2)
        hand = self.hands.flatten(0, 1).index_select(0, 2 * item + side) @ rotation + place.unsqueeze(1)
        away = torch.tensor([0.0, FAR_FROM_BROWS, 0.0], device=skin.device)
        texture = (self.hands[0, 0] + away).expand_as(hand)
        color = (0.04 + 0.75 * draw[:, 2:5] ** 2).unsqueeze(1)
        glass = torch.tensor([0.012, 0.014, 0.018], device=skin.device)
        screen, inside = self.screen.view(1, -1, 1), self.inside.view(1, -1, 1)
        phone_color = (0.02 + 0.4 * draw[:, 5:6] ** 3).unsqueeze(-1) * (1 - screen) + glass * screen
        is_hand, is_phone, is_mug, is_scarf = (factors.occluder == k for k in range(1, len(OCCLUDERS)))
        scarf = self.scarf.points(geometry, factors)
        return [
            Part("hand", hand, self.hand_triangles, skin, "skin", is_hand | is_phone | is_mug, texture),
            Part("phone", put(self.phone), self.phone_triangles, phone_color, "plastic", is_phone),
            Part("mug", put(self.mug), self.mug_triangles, color * (1 - 0.7 * inside), "plastic", is_mug),
            Part("scarf", scarf, self.scarf.triangles, color.squeeze(1), "cloth", is_scarf),
        ]
