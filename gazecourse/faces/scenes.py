"""Where everything stands: camera, person, screen and target, in the four kinds of rooms.

Gaze is never drawn as an angle. A person sits somewhere, a target appears somewhere, the head turns part of the way
and the eyes do the rest; the angles follow, together with all that ties them to each other in real data.

Two frames are used, both with x to the right of the image, y down, z away from the camera, in mm:

- the *camera* frame of the physical camera, with its center as origin;
- the *room*: the camera frame turned until y points along gravity. Lights are placed in it, and the neck bends
  against it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gazecourse.angles import norm, pitchyaw_to_rotation, pitchyaw_to_vector, unit, vector_to_pitchyaw
from gazecourse.faces.draws import Draws
from gazecourse.normalization import normalizing_rotation

EYE_YAW_LIMIT = math.radians(40.0)
EYE_PITCH_LIMITS = (math.radians(-35.0), math.radians(30.0))
"""How far eyes turn in the head; people move the head before they get there (Stahl 1999)."""
WIDEST_VIEW = math.radians(80.0)
"""Largest angle between where a head faces and where the camera is; beyond, there is no face to see."""
NECK_PITCH, NECK_YAW = math.radians(35.0), math.radians(60.0)
WILD_HEAD_PITCH, WILD_HEAD_YAW = math.radians(40.0), math.radians(78.0)

STUDIO_CAMERAS = (
    (4, 0), (-14, -11), (-14, 11), (18, -12), (18, 12), (2, -24), (2, 24), (-20, -34), (-20, 34),
    (26, -30), (26, 30), (8, -46), (8, 46), (-10, -60), (-10, 60), (28, -56), (28, 56), (38, 0),
)  # fmt: skip
"""(pitch, yaw) in degrees of the 18 cameras as seen by the person: positive is up and to the person's right."""
STUDIO_CAMERA_DISTANCE = 1100.0
STUDIO_SCREEN_DISTANCE = 1000.0
STUDIO_SCREEN = (1900.0, 1000.0)
LAB_SCREEN = (531.0, 299.0)
LAB_SCREEN_BEHIND = 80.0
"""The lab's camera stands this far in front of its screen."""


@dataclass
class Screen:
    """B flat screens in the physical camera's frame, or NaN where there is none.

    Attributes:
        origin: [B, 3] top left corner as the person sees it.
        x_axis, y_axis: [B, 3] unit vectors to the person's right and down the screen.
        size: [B, 2] width and height in mm.
    """

    origin: Tensor
    x_axis: Tensor
    y_axis: Tensor
    size: Tensor

    def point(self, place: Tensor) -> Tensor:
        """Points [B, 3] at ``place`` [B, 2], mm from the top left corner."""
        return self.origin + place[:, :1] * self.x_axis + place[:, 1:] * self.y_axis

    def locate(self, point: Tensor) -> Tensor:
        """Places [B, 2] in mm from the top left corner, of points [B, 3] on the screen."""
        offset = point - self.origin
        return torch.stack([(offset * self.x_axis).sum(1), (offset * self.y_axis).sum(1)], dim=1)


@dataclass
class Scene:
    """B people who look at something, as the physical camera has them.

    Attributes:
        face_center: [B, 3]. head_rotation: [B, 3, 3] head frame to camera frame. target: [B, 3].
        neck: [B, 2] pitch and yaw of the head against the chest.
        room: [B, 3, 3] rotation from the room's frame to the camera's.
        screen: where there is one. place: [B, 2] of the target on it, in mm; NaN where the target is elsewhere.
    """

    face_center: Tensor
    head_rotation: Tensor
    target: Tensor
    neck: Tensor
    room: Tensor
    screen: Screen
    place: Tensor


def turn_head(gaze: Tensor, eye_in_head: Tensor, roll: Tensor) -> Tensor:
    """Rotations [B, 3, 3] of heads whose eyes, turned by ``eye_in_head``, look along ``gaze``.

    With the eyes' direction in the head v, tilted by the roll, the head's pitch θ has to give the gaze its height,
    v_y cos θ + v_z sin θ = g_y; the yaw then turns it into place.

    Args:
        gaze: [B, 3] unit vectors. eye_in_head: [B, 2] (pitch, yaw). roll: [B] of the head, positive to the person's
            left shoulder.
    """
    zero = torch.zeros_like(roll)
    tilt = torch.stack(
        [roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, torch.ones_like(roll)], dim=1
    ).view(-1, 3, 3)
    in_head = apply(tilt, pitchyaw_to_vector(eye_in_head))
    upright = norm(in_head[:, 1:])
    pitch = torch.atan2(in_head[:, 1], -in_head[:, 2]) - torch.asin((gaze[:, 1] / upright).clamp(-1.0, 1.0))
    nodded = apply(pitchyaw_to_rotation(torch.stack([pitch, zero], dim=1)), in_head)
    yaw = vector_to_pitchyaw(gaze)[:, 1] - vector_to_pitchyaw(nodded)[:, 1]
    return pitchyaw_to_rotation(torch.stack([pitch, yaw], dim=1)) @ tilt


def limit_eyes(eye_in_head: Tensor) -> Tensor:
    """Eye rotations [B, 2] (pitch, yaw) kept within what eyes can do; the head has to make up for the rest."""
    pitch = eye_in_head[:, 0].clamp(*EYE_PITCH_LIMITS)
    yaw = eye_in_head[:, 1].clamp(-EYE_YAW_LIMIT, EYE_YAW_LIMIT)
    return torch.stack([pitch, yaw], dim=1)


def studio(person: Draws, image: Draws) -> Scene:
    """One of 18 cameras around a person who faces a wall-sized projection (ETH-XGaze).

    Everything is laid out in the room, with the person's usual place as origin, and then seen from the camera.
    """
    face = person.normal(0.0, 12.0, size=3) + image.normal(0.0, 12.0, size=3)
    width, height = STUDIO_SCREEN
    screen = _screen_opposite(face, (width, height), (width / 2, -height / 2, -STUDIO_SCREEN_DISTANCE))
    place = image.uniform(size=2) * screen.size
    gaze = screen.point(place) - face
    share = image.uniform(0.15, 0.6).unsqueeze(1)
    eyes = (1 - share) * vector_to_pitchyaw(gaze) + person.angles(2.5, 1.5) + image.angles(3.0, 3.0)
    head = turn_head(unit(gaze), limit_eyes(eyes), image.angles(3.0)[:, 0])

    centers, rooms = _studio_cameras()
    toward = unit(centers - face.unsqueeze(1))
    sees_face = -(toward @ head[:, :, 2:]).squeeze(2) > math.cos(WIDEST_VIEW)
    camera = image.choice(sees_face.double())
    room, center = rooms[camera], centers[camera]
    seen = Screen(
        apply(room, screen.origin - center), apply(room, screen.x_axis), apply(room, screen.y_axis), screen.size
    )
    return Scene(apply(room, face - center), room @ head, seen.point(place), _neck(head), room, seen, place)


def wild(person: Draws, image: Draws) -> Scene:
    """Someone 1 to 3 m away who faces anywhere and looks anywhere, indoors or out (Gaze360)."""
    distance = 1000.0 * 3.0 ** image.uniform()
    sideways, down = image.uniform(-0.45, 0.45), image.uniform(-0.2, 0.2)
    face = torch.stack([sideways * distance, down * distance, distance], dim=1)
    swing = image.uniform(-1.0, 1.0)
    yaw = WILD_HEAD_YAW * swing.sign() * swing.abs() ** 1.25
    pitch = image.normal(math.radians(-3.0), math.radians(13.0)).clamp(-WILD_HEAD_PITCH, WILD_HEAD_PITCH)
    # Near profile a small roll would turn the normalized picture by a large angle; see normalizing_rotation.
    roll = image.angles(6.0)[:, 0] * yaw.cos()
    eyes = limit_eyes(person.angles(2.0, 0.0) + image.angles(9.0, 14.0))
    straight = torch.zeros_like(eyes)
    toward = _facing(face)
    head = toward @ turn_head(pitchyaw_to_vector(torch.stack([pitch, yaw], dim=1)), straight, roll)
    far = 700.0 * 7.0 ** image.uniform().unsqueeze(1)
    target = face + far * apply(head, pitchyaw_to_vector(eyes))

    room = toward @ _tilted_up(image.angles(5.0)[:, 0])
    chest = image.angles(16.0)[:, 0]
    neck = torch.stack([_neck(room.mT @ head)[:, 0], chest], dim=1)
    nowhere = torch.full_like(target, math.nan)
    return Scene(face, head, target, neck, room, Screen(nowhere, nowhere, nowhere, nowhere[:, :2]), nowhere[:, :2])


def laptop(person: Draws, image: Draws) -> Scene:
    """Someone at their own laptop, with the camera above the screen and in its plane (MPIIFaceGaze)."""
    large = person.uniform()
    size = torch.stack([286.0 + 58.0 * large, 179.0 + 14.0 * large], dim=1)
    corner = torch.stack([size[:, 0] / 2, person.uniform(6.0, 14.0), torch.zeros_like(large)], dim=1)
    x, y = image.normal(0.0, 40.0), image.normal(person.normal(0.0, 25.0), 25.0)
    z = image.normal(person.normal(565.0, 45.0), 45.0).clamp(450.0, 700.0)
    face = torch.stack([x, y, z], dim=1)
    screen = _screen_opposite(face, size, corner)
    place = image.uniform(size=2) * size
    target = screen.point(place)
    posture = person.angles(4.5, 3.0) + image.angles(3.0, 3.0)
    head = _head_before(screen, face, target, posture, image.uniform(0.1, 0.55), image.angles(3.0)[:, 0])
    room = _tilted_up(person.uniform(math.radians(5.0), math.radians(22.0)))
    return Scene(face, head, target, _neck(room.mT @ head), room, screen, place)


def lab(person: Draws, image: Draws) -> Scene:
    """Someone 80 to 100 cm from a depth camera, which stands below a 24" screen (EyeDiap).

    In a third of the pictures the target is a ball that hangs in the air, and in half of them the head moves about
    on its own while the eyes hold the target.
    """
    x, y = image.normal(0.0, 35.0), image.normal(person.normal(-190.0, 30.0), 20.0)
    z = image.normal(person.normal(900.0, 40.0), 35.0).clamp(800.0, 1000.0)
    face = torch.stack([x, y, z], dim=1)
    width, height = LAB_SCREEN
    screen = _screen_opposite(face, (width, height), (width / 2, -height - 70.0, -LAB_SCREEN_BEHIND))
    place = image.uniform(size=2) * screen.size
    is_ball = image.chance(1 / 3).unsqueeze(1)
    depth = image.uniform(430.0, 750.0)
    ball = torch.stack([image.uniform(-210.0, 210.0), image.uniform(-270.0, 60.0), z - depth], dim=1)
    target = torch.where(is_ball, ball, screen.point(place))
    moves = image.chance(0.5).unsqueeze(1)
    posture = person.angles(3.0, 2.0) + image.angles(1.5, 1.5) + moves * image.angles(7.0, 9.0)
    head = _head_before(screen, face, target, posture, image.uniform(0.1, 0.5), image.angles(3.0)[:, 0])
    room = _tilted_up(person.uniform(0.0, math.radians(4.0)))
    return Scene(face, head, target, _neck(room.mT @ head), room, screen, torch.where(is_ball, math.nan, place))


def apply(rotation: Tensor, vector: Tensor) -> Tensor:
    """Vectors [B, 3] turned by rotations [B, 3, 3]."""
    return (rotation @ vector.unsqueeze(-1)).squeeze(-1)


def _screen_opposite(face: Tensor, size: Tensor | tuple[float, ...], corner: Tensor | tuple[float, ...]) -> Screen:
    """Screens in the plane of the image; what is right on them for the person is left in the image."""

    def rows(value: Tensor | tuple[float, ...]) -> Tensor:
        value = torch.as_tensor(value, dtype=face.dtype)
        return value.expand(len(face), value.shape[-1])

    return Screen(rows(corner), rows((-1.0, 0.0, 0.0)), rows((0.0, 1.0, 0.0)), rows(size))


def _head_before(screen: Screen, face: Tensor, target: Tensor, posture: Tensor, share: Tensor, roll: Tensor) -> Tensor:
    """Head rotations of people before a screen: at rest toward its middle, but for the ``posture`` [B, 2], and
    turned from there by a ``share`` [B] of the way to the target."""
    rest = vector_to_pitchyaw(screen.point(screen.size / 2) - face) + posture
    gaze = vector_to_pitchyaw(target - face)
    eyes = (1 - share.unsqueeze(1)) * (gaze - rest)
    return turn_head(unit(target - face), limit_eyes(eyes), roll)


def _studio_cameras() -> tuple[Tensor, Tensor]:
    """Centers [18, 3] of the cameras in the room, and rotations [18, 3, 3] from the room to each of them."""
    direction = pitchyaw_to_vector(torch.deg2rad(torch.tensor(STUDIO_CAMERAS, dtype=torch.float64)))
    return STUDIO_CAMERA_DISTANCE * direction, _facing(-direction).mT


def _facing(point: Tensor) -> Tensor:
    """Rotations [B, 3, 3] to the camera frame from a level frame whose z axis runs through ``point`` [B, 3]."""
    level = torch.eye(3, dtype=point.dtype).expand(len(point), 3, 3)
    return normalizing_rotation(point, level).mT


def _tilted_up(angle: Tensor) -> Tensor:
    """Rotations [B, 3, 3] from a level room to the frame of a camera that is tilted up by ``angle`` [B]."""
    return pitchyaw_to_rotation(torch.stack([angle, torch.zeros_like(angle)], dim=1))


def _neck(head: Tensor) -> Tensor:
    """Pitch and yaw [B, 2] of heads [B, 3, 3], given in the room, against a chest that faces (0, 0, -1)."""
    pitch, yaw = vector_to_pitchyaw(-head[:, :, 2]).unbind(1)
    return torch.stack([pitch.clamp(-NECK_PITCH, NECK_PITCH), yaw.clamp(-NECK_YAW, NECK_YAW)], dim=1)
