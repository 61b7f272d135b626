"""Light for the four domains: a few kinds of light for each, written as ranges, and the camera's exposure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from gazecourse.angles import pitchyaw_to_vector, unit
from gazecourse.faces.attributes import LIGHTS, luminance
from gazecourse.faces.draws import Draws

Range = tuple[float, float]


@dataclass(frozen=True)
class Lamp:
    """A light far away, as ranges to draw from.

    Attributes:
        strength: luminance on a surface that faces the light; 1 is plenty for a face.
        pitch, yaw: degrees, direction from the face to the lamp in the room; up and to the picture's left are
            positive.
        warmth: ln(red / blue) of its light; candles +1, a blue sky −0.6.
        either_side: whether the yaw changes sign in half of the pictures.
    """

    strength: Range
    pitch: Range = (0.0, 0.0)
    yaw: Range = (0.0, 0.0)
    warmth: Range = (-0.05, 0.05)
    either_side: bool = False


OFF = Lamp((0.0, 0.0))


@dataclass(frozen=True)
class LightKind:
    """One kind of light in a domain.

    Attributes:
        name: in words.
        weight: how often it comes, against the others.
        lamps: LIGHTS lamps.
        above, below: light of the surroundings; only strength and warmth count.
        backgrounds: weights of what is seen behind the person, by name in BACKGROUNDS.
        bright: whether sunglasses make sense.
    """

    name: str
    weight: float
    lamps: tuple[Lamp, Lamp, Lamp]
    above: Lamp
    below: Lamp
    backgrounds: tuple[tuple[str, float], ...]
    bright: bool = False


@dataclass
class Light:
    """Light on B faces, in the room's frame.

    Attributes:
        kind: [B] int64, index into the domain's kinds. direction: [B, LIGHTS, 3]. color: [B, LIGHTS, 3].
        above, below: [B, 3].
    """

    kind: Tensor
    direction: Tensor
    color: Tensor
    above: Tensor
    below: Tensor


def sample_light(kinds: tuple[LightKind, ...], draws: Draws) -> Light:
    """Light [B] of one of ``kinds`` each."""
    kind = draws.choice(torch.tensor([k.weight for k in kinds]))
    directions, colors = [], []
    for number in range(LIGHTS):
        direction, color = _sample_lamp([k.lamps[number] for k in kinds], kind, draws)
        directions.append(direction)
        colors.append(color)
    _, above = _sample_lamp([k.above for k in kinds], kind, draws)
    _, below = _sample_lamp([k.below for k in kinds], kind, draws)
    return Light(kind, torch.stack(directions, dim=1), torch.stack(colors, dim=1), above, below)


def _sample_lamp(lamps: list[Lamp], kind: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Direction and color, [B, 3] each, of the lamp of each row's kind."""

    def between(name: str) -> Tensor:
        low, high = torch.tensor([getattr(lamp, name) for lamp in lamps], dtype=torch.float64)[kind].unbind(1)
        return draws.uniform(low, high)

    strength, pitch, yaw, warmth = (between(f.name) for f in fields(Lamp) if f.name != "either_side")
    either_side = torch.tensor([lamp.either_side for lamp in lamps])[kind]
    yaw = torch.where(either_side & draws.chance(0.5), -yaw, yaw)
    return pitchyaw_to_vector(torch.deg2rad(torch.stack([pitch, yaw], dim=1))), strength.unsqueeze(1) * tint(warmth)


def tint(warmth: Tensor) -> Tensor:
    """Linear RGB [B, 3] of luminance 1 with ln(red / blue) = ``warmth`` [B]."""
    color = torch.stack([(warmth / 2).exp(), torch.ones_like(warmth), (-warmth / 2).exp()], dim=1)
    return color / luminance(color).unsqueeze(1)


def light_on_face(light: Light, facing: Tensor, toward_camera: Tensor) -> Tensor:
    """About how much light [B] falls on the part of the face that the camera sees.

    Args:
        light: of B faces. facing: [B, 3] unit, where the faces look. toward_camera: [B, 3] unit. Both in the room.
    """
    middle = unit(facing + toward_camera)
    cosine = (light.direction @ middle.unsqueeze(-1)).squeeze(-1)
    wrapped = ((cosine + 0.4) / 1.4).clamp(min=0.0)  # a face is round: part of it faces a light from the side
    ambient = luminance(light.above + light.below) / 2
    return (luminance(light.color) * wrapped).sum(1) + 0.7 * ambient


def _studio_kinds() -> tuple[LightKind, ...]:
    """All 16 ways to switch three soft boxes and the room's light."""
    left = Lamp((0.75, 0.85), (12.0, 16.0), (58.0, 64.0))
    right = Lamp((0.75, 0.85), (12.0, 16.0), (-64.0, -58.0))
    above = Lamp((0.75, 0.85), (48.0, 54.0), (-4.0, 4.0))
    projection = Lamp((0.05, 0.10), (-2.0, 2.0), (-8.0, 8.0), (-0.25, -0.05))
    kinds = []
    for lit in itertools.product((True, False), repeat=4):
        boxes = tuple(box if on else OFF for box, on in zip((left, right, above), lit, strict=False))
        if boxes == (OFF, OFF, OFF):
            boxes = (projection, OFF, OFF)
        room = 0.45 if lit[3] else 0.05
        name = " + ".join(n for n, on in zip(("left", "right", "above", "room"), lit, strict=True) if on)
        surroundings = Lamp((0.9 * room, 1.1 * room)), Lamp((0.6 * room, 0.8 * room))
        kinds.append(LightKind(name or "projection only", 1.0, boxes, *surroundings, (("studio", 1.0),)))
    return tuple(kinds)


STUDIO_LIGHT = _studio_kinds()
_INDOORS = (("home", 0.45), ("office", 0.3), ("plain wall", 0.25))
WILD_LIGHT = (
    LightKind(
        "sun",
        0.32,
        (
            Lamp((1.6, 2.6), (18.0, 62.0), (10.0, 115.0), (0.0, 0.35), either_side=True),
            Lamp((0.1, 0.3), (-30.0, -10.0), (-40.0, 40.0), (0.1, 0.3)),
            OFF,
        ),
        Lamp((0.5, 0.9), warmth=(-0.6, -0.2)),
        Lamp((0.2, 0.5), warmth=(0.0, 0.35)),
        (("outdoors", 0.55), ("street", 0.45)),
        bright=True,
    ),
    LightKind(
        "shade",
        0.36,
        (Lamp((0.3, 0.8), (15.0, 60.0), (0.0, 70.0), (-0.3, 0.0), either_side=True), OFF, OFF),
        Lamp((0.8, 1.2), warmth=(-0.45, -0.05)),
        Lamp((0.2, 0.5), warmth=(-0.1, 0.2)),
        (("outdoors", 0.5), ("street", 0.5)),
        bright=True,
    ),
    LightKind(
        "indoors",
        0.32,
        (
            Lamp((0.4, 1.0), (35.0, 70.0), (0.0, 60.0), (0.1, 0.6), either_side=True),
            Lamp((0.0, 0.7), (0.0, 25.0), (40.0, 100.0), (-0.3, 0.0), either_side=True),
            OFF,
        ),
        Lamp((0.2, 0.5), warmth=(0.0, 0.4)),
        Lamp((0.15, 0.35), warmth=(0.1, 0.5)),
        _INDOORS,
    ),
)
_SCREEN_GLOW = Lamp((0.06, 0.2), (-22.0, -8.0), (-6.0, 6.0), (-0.35, -0.05))
LAPTOP_LIGHT = (
    LightKind(
        "window",
        0.42,
        (
            Lamp((0.5, 1.6), (0.0, 30.0), (20.0, 85.0), (-0.3, 0.1), either_side=True),
            Lamp((0.0, 0.4), (40.0, 75.0), (-40.0, 40.0), (0.0, 0.4)),
            _SCREEN_GLOW,
        ),
        Lamp((0.3, 0.6), warmth=(-0.2, 0.15)),
        Lamp((0.15, 0.4), warmth=(0.0, 0.3)),
        _INDOORS,
    ),
    LightKind(
        "ceiling light",
        0.28,
        (
            Lamp((0.5, 1.0), (40.0, 75.0), (0.0, 60.0), (-0.1, 0.35), either_side=True),
            Lamp((0.2, 0.6), (40.0, 75.0), (0.0, 60.0), (-0.1, 0.35), either_side=True),
            _SCREEN_GLOW,
        ),
        Lamp((0.25, 0.5), warmth=(-0.05, 0.3)),
        Lamp((0.15, 0.35), warmth=(0.0, 0.3)),
        (("office", 0.6), ("plain wall", 0.2), ("home", 0.2)),
    ),
    LightKind(
        "desk lamp",
        0.2,
        (
            Lamp((0.5, 1.1), (5.0, 40.0), (15.0, 75.0), (0.25, 0.8), either_side=True),
            OFF,
            _SCREEN_GLOW,
        ),
        Lamp((0.1, 0.3), warmth=(0.2, 0.6)),
        Lamp((0.1, 0.3), warmth=(0.2, 0.6)),
        (("home", 0.7), ("plain wall", 0.3)),
    ),
    LightKind(
        "screen at night",
        0.1,
        (
            Lamp((0.25, 0.5), (-24.0, -10.0), (-6.0, 6.0), (-0.5, -0.1)),
            Lamp((0.0, 0.15), (20.0, 60.0), (20.0, 80.0), (0.2, 0.6), either_side=True),
            OFF,
        ),
        Lamp((0.04, 0.12), warmth=(0.0, 0.4)),
        Lamp((0.04, 0.12), warmth=(-0.2, 0.2)),
        (("home", 0.6), ("plain wall", 0.4)),
    ),
)
LAB_LIGHT = (
    LightKind(
        "ceiling panels",
        1.0,
        (
            Lamp((0.7, 0.78), (58.0, 62.0), (30.0, 36.0), (-0.14, -0.1)),
            Lamp((0.52, 0.6), (58.0, 62.0), (-36.0, -30.0), (-0.14, -0.1)),
            Lamp((0.08, 0.2), (0.0, 12.0), (-6.0, 6.0), (-0.3, -0.1)),
        ),
        Lamp((0.36, 0.42), warmth=(-0.1, 0.0)),
        Lamp((0.22, 0.28), warmth=(0.0, 0.1)),
        (("office", 0.6), ("plain wall", 0.4)),
    ),
)
