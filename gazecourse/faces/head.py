"""The morphable head: identity, age, sex and expression in, vertices, eyeballs and landmarks out.

The head is a linear model, as in Blanz and Vetter (1999, "A morphable model for the synthesis of 3D faces"):

    S = S̄ + Σ_k α_k A_k + Σ_m β_m M_m + Σ_e γ_e E_e

with named identity directions A (a wider nose, a higher forehead, …), the macro directions M (sex, age, weight,
ancestry) and the facial action units E. The head frame has x to the person's left, y down and z to the back of the
head, so that the identity rotation shows a face that looks into the camera; its origin is the face center, the mean
of the four eye corners and the two mouth corners of the neutral face. Lengths are in mm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gazecourse.faces.attributes import EXPRESSIONS, Factors
from gazecourse.paths import HEAD_MODEL
from gazecourse.validation import check_choice

FACE_CENTER_POINTS = [36, 39, 42, 45, 48, 54]
"""Of the 68 landmarks: the corners of both eyes and of the mouth."""

EXPRESSION_ACTIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smiling": {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "cheekSquintLeft": 0.4, "cheekSquintRight": 0.4},
    "laughing": {
        "mouthSmileLeft": 0.8,
        "mouthSmileRight": 0.8,
        "jawOpen": 0.28,
        "mouthUpperUpLeft": 0.35,
        "mouthUpperUpRight": 0.35,
        "cheekSquintLeft": 0.6,
        "cheekSquintRight": 0.6,
    },
    "frowning": {
        "browDownLeft": 0.9,
        "browDownRight": 0.9,
        "mouthFrownLeft": 0.6,
        "mouthFrownRight": 0.6,
        "noseSneerLeft": 0.2,
        "noseSneerRight": 0.2,
    },
    "surprised": {
        "browInnerUp": 0.9,
        "browOuterUpLeft": 0.8,
        "browOuterUpRight": 0.8,
        "jawOpen": 0.35,
        "eyeWideLeft": 0.6,
        "eyeWideRight": 0.6,
    },
    "pursed lips": {"mouthPucker": 0.7, "mouthFunnel": 0.2},
    "talking": {"jawOpen": 0.2, "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3, "mouthFunnel": 0.2},
}
"""Facial action units (0 to 1) of each expression at full strength."""

EYE_CLEARANCE = 0.35
"""The lids' outer side keeps this many mm from the eyeball, whatever shape and expression do."""

EYE_SCALE = 0.965
"""Eyeballs are drawn this much smaller than MakeHuman's, which touch the inside of the lids."""

BLINK_CLOSED = 0.9
"""Weight of the blink unit at which the lids meet; beyond, the upper one passes the lower."""

LOWERED = 0.75
"""Share of the look-down unit that a full look down gets; all of it would all but close the eyes."""

EYES_OPEN = 0.7
"""Weight of the "eye wide" units at rest: MakeHuman's neutral lids lie lower over the iris than people's do."""

LID_RANGE = 0.52
"""Vertical eye rotation in radians (30°) at which the lids' look-up and look-down units are fully on."""


def _stored(path: Path) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    if not path.exists():
        raise FileNotFoundError(f"No head model at {path}. Remedy: python data_scripts/build_head_model.py")
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is not a head model ({error}). Remedy: build_head_model.py writes it anew") from error
    return tensors, {k: tuple(json.loads(v)) for k, v in metadata.items() if v.startswith("[")}


@cache
def _names(path: Path) -> dict[str, tuple[str, ...]]:
    return _stored(path)[1]


def identity_names() -> tuple[str, ...]:
    """Names of the K identity coefficients, in the order of ``Factors.identity``."""
    return _names(HEAD_MODEL)["identity"]


def identity_index(name: str) -> int:
    """Position of a named identity coefficient; ``ValueError`` lists the names if there is none such."""
    check_choice("name", name, identity_names())
    return identity_names().index(name)


@dataclass
class HeadGeometry:
    """Heads of a batch in their own head frames (mm).

    Attributes:
        points: [B, V, 3] vertices with expression and lids.
        landmarks: [B, 68, 3] iBUG points on the surface.
        eye_centers: [B, 2, 3] rotation centers of the person's left and right eyeball.
        eye_radius: [B] of the eyeballs.
    """

    points: Tensor
    landmarks: Tensor
    eye_centers: Tensor
    eye_radius: Tensor


class HeadModel:
    """The linear head model as tensors on one device.

    Attributes:
        mean: [V, 3] mean adult head. triangles: [F, 3], counter-clockwise seen from outside. part: [F] index into
        ``parts``. occlusion: [V] share of the sky each vertex sees. masks: [V, M] of lips, eyelids, ears and inner
        mouth. landmark_corners, landmark_weights: [68, 3]. neck_joint: [3].
    Raises:
        FileNotFoundError: no file at ``path``. ValueError: the file is damaged.
    """

    def __init__(self, device: torch.device | str = "cpu", path: Path = HEAD_MODEL) -> None:
        tensors, names = _stored(path)
        tensors = {k: v.to(device) for k, v in tensors.items()}
        float32 = {k: v.float() for k, v in tensors.items() if v.is_floating_point()}
        self.parts, self.mask_names = names["parts"], names["masks"]
        self.action_names, self.macro_names = names["action"], names["macro"]
        self.identity_names = names["identity"]
        self.mean = float32["mean"]
        self.triangles = tensors["triangles"].long()
        self.part = tensors["part"].long()
        self.occlusion, self.masks = float32["occlusion"], float32["masks"]
        self.neck_joint = float32["neck_joint"]
        self.landmark_corners = tensors["landmark_corners"].long()
        self.landmark_weights = float32["landmark_weights"]
        self.eye_centers, self.eye_radius = float32["eye_centers"], EYE_SCALE * float32["eye_radius"]
        self._shape = torch.cat([float32["identity"], float32["macro"]]).flatten(1)
        self._shape_eyes = torch.cat([float32["identity_eyes"], float32["macro_eyes"]]).flatten(1)
        self._action = float32["action"].flatten(1)
        self._lids = [self._lid_rows(side) for side in (0, 1)]

    def _lid_rows(self, side: int) -> Tensor:
        """Skin vertices that lie outside an eyeball of the mean head, near its surface and in front of its center."""
        skin = self.triangles[self.part == 0].unique()
        offset = self.mean[skin] - self.eye_centers[side]
        distance = offset.norm(dim=1)
        near = (
            (distance > self.eye_radius / EYE_SCALE + 0.05) & (distance < self.eye_radius + 8.0) & (offset[:, 2] < 3.0)
        )
        return skin[near]

    def _clear_eyes(self, points: Tensor, neutral: HeadGeometry) -> Tensor:
        """Push lid vertices that entered an eyeball back out to its surface."""
        for side, rows in enumerate(self._lids):
            center = neutral.eye_centers[:, side : side + 1]
            offset = points.index_select(1, rows) - center
            distance = offset.norm(dim=-1, keepdim=True)
            least = neutral.eye_radius.view(-1, 1, 1) + EYE_CLEARANCE
            points = points.index_copy(1, rows, center + offset * (torch.maximum(distance, least) / distance))
        return points

    def action(self, name: str) -> int:
        """Index of a facial action unit."""
        return self.action_names.index(name)

    def landmarks(self, points: Tensor) -> Tensor:
        """Surface points [B, 68, 3] of the iBUG scheme on vertices [B, V, 3]."""
        corners = points.index_select(1, self.landmark_corners.reshape(-1)).view(points.shape[0], 68, 3, 3)
        return (corners * self.landmark_weights.unsqueeze(-1)).sum(2)

    def landmark_basis(self) -> tuple[Tensor, Tensor]:
        """The landmarks as a linear model of their own: mean [68, 3] and directions [K + M, 68, 3], mm.

        Both are about the face center, for a face at rest that looks straight ahead. The directions are those of
        ``identity_names``, then of ``macro_names``.
        """

        def about_center(points: Tensor) -> Tensor:
            landmarks = self.landmarks(points)
            return landmarks - landmarks[:, FACE_CENTER_POINTS].mean(1, keepdim=True)

        rest = [self.action(f"eyeWide{side}") for side in ("Left", "Right")]
        lids = self.landmarks(self._action[rest].sum(0).view(1, -1, 3))
        mean = about_center(self.mean.unsqueeze(0)) + EYES_OPEN * lids
        return mean[0], about_center(self._shape.view(len(self._shape), -1, 3))

    def shape(self, factors: Factors) -> HeadGeometry:
        """The neutral heads: identity, sex, age, weight and ancestry, about their own face centers."""
        batch = len(factors)
        old = ((factors.age - 30.0) / 45.0).clamp(0.0, 1.0)
        macro = {"male": factors.male, "old": old, "weight": 0.5 * factors.weight}
        macro |= dict(zip(("african", "asian", "caucasian"), factors.ancestry.unbind(1), strict=True))
        weights = torch.cat([factors.identity, torch.stack([macro[n] for n in self.macro_names], dim=1)], dim=1)
        points = self.mean + (weights @ self._shape).view(batch, -1, 3)
        eyes = self.eye_centers + (weights @ self._shape_eyes).view(batch, 2, 3)
        center = self.landmarks(points)[:, FACE_CENTER_POINTS].mean(1, keepdim=True)
        points, eyes = points - center, eyes - center
        return HeadGeometry(points, self.landmarks(points), eyes, self.eye_radius.expand(batch))

    def actions(self, factors: Factors, eye_pitch: Tensor, eye_yaw: Tensor) -> Tensor:
        """Weights [B, E] of the action units: expression, blink, and lids that follow the eyes.

        Args:
            factors: expression, expression_strength and blink are read.
            eye_pitch, eye_yaw: [B, 2] rotation of the left and right eye in the head, radians; pitch up and yaw
                to the person's right are positive.
        """
        table = torch.zeros(len(EXPRESSIONS), len(self.action_names), device=eye_pitch.device)
        for row, expression in enumerate(EXPRESSIONS):
            for name, value in EXPRESSION_ACTIONS[expression].items():
                table[row, self.action(name)] = value
        weights = table[factors.expression] * factors.expression_strength.unsqueeze(1)
        up, right = eye_pitch / LID_RANGE, eye_yaw / LID_RANGE
        for column, side, outward in ((0, "Left", -1.0), (1, "Right", 1.0)):
            weights[:, self.action(f"eyeLookUp{side}")] += up[:, column].clamp(0, 1.2)
            weights[:, self.action(f"eyeLookDown{side}")] += LOWERED * (-up[:, column]).clamp(0, 1.2)
            weights[:, self.action(f"eyeLookOut{side}")] += (outward * right[:, column]).clamp(0, 1.2)
            weights[:, self.action(f"eyeLookIn{side}")] += (-outward * right[:, column]).clamp(0, 1.2)
            weights[:, self.action(f"eyeWide{side}")] += EYES_OPEN * (1 - factors.blink)
            weights[:, self.action(f"eyeBlink{side}")] += BLINK_CLOSED * factors.blink
        return weights

    def express(self, neutral: HeadGeometry, actions: Tensor) -> HeadGeometry:
        """The heads with action units [B, E] applied; the eyeballs stay where they are."""
        points = neutral.points + (actions @ self._action).view_as(neutral.points)
        points = self._clear_eyes(points, neutral)
        return HeadGeometry(points, self.landmarks(points), neutral.eye_centers, neutral.eye_radius)


def vertex_normals(points: Tensor, triangles: Tensor) -> Tensor:
    """Unit normals [B, V, 3] that point outward, the area-weighted mean of the adjoining triangles' normals."""
    corners = points.index_select(1, triangles.reshape(-1)).view(points.shape[0], -1, 3, 3)
    a, b, c = corners.unbind(2)
    face = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(points)
    for corner in range(3):
        total.index_add_(1, triangles[:, corner], face)
    return torch.nn.functional.normalize(total, dim=-1)
