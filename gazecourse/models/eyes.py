"""What Full-Face was compared with: gaze from one eye, from two eyes, and iTracker (Krafka et al., CVPR 2016)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from gazecourse.crops import GRID
from gazecourse.models.alexnet import alexnet_features, map_shape, scaled
from gazecourse.models.inputs import ImageInput, check_size
from gazecourse.validation import check_array, check_choice, describe

HEAD_HINT = "Head pose goes in as (pitch, yaw), radians."


def _head(inputs: int, *hidden: int, dropout: float = 0.5) -> nn.Sequential:
    """Fully connected layers with ReLU and dropout, down to two numbers."""
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(inputs, units), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        inputs = units
    return nn.Sequential(*layers, nn.Linear(inputs, 2))


def _require(name: str, crop: Tensor | None) -> Tensor:
    if crop is None:
        raise ValueError(f"{name} must be an eye crop [B, 3, h, w]; got None. gazecourse.crops.eye_crops cuts them.")
    return crop


def _require_batch(name: str, crop: Tensor, count: int) -> None:
    if len(crop) != count:
        raise ValueError(f"{name} must be one crop for each of {count} faces; got {len(crop)}.")


class EyeNet(nn.Module):
    """Gaze from one or two eye crops and the head pose, as before Full-Face (Zhang et al., CVPR 2015, on AlexNet).

    With two eyes each has convolutions of its own; the left crop is not mirrored.

    Args:
        eyes: 1 for the right eye alone, 2 for both.
        size: (height, width) of the crops.
        head_pose: whether the head pose goes in beside the eyes.
        form, width, stride: of AlexNet's convolutions; crops are small, so ``stride`` is 2.
        dropout: share of units silenced in training after the hidden layer.
    """

    def __init__(
        self,
        eyes: int = 2,
        size: tuple[int, int] = (36, 60),
        *,
        head_pose: bool = True,
        form: str = "two_tower",
        width: float = 1.0,
        stride: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_choice("eyes", eyes, (1, 2))
        self.head_pose = head_pose
        self.names = ("right", "left")[:eyes]
        size = check_size(size)
        self.input = nn.ModuleDict({name: ImageInput(size, name) for name in self.names})
        self.features = nn.ModuleDict({name: alexnet_features(form, width=width, stride=stride) for name in self.names})
        channels, height, across = map_shape(self.features["right"], size)
        self.eye = nn.ModuleDict(
            {name: nn.Linear(channels * height * across, scaled(1024, width)) for name in self.names}
        )
        self.gaze = _head(eyes * scaled(1024, width) + 2 * head_pose, scaled(1024, width), dropout=dropout)

    def forward(self, right: Tensor, left: Tensor | None = None, head: Tensor | None = None) -> Tensor:
        """Gaze [B, 2] (pitch, yaw) in radians from RGB crops [B, 3, h, w] in [0, 1] and head pose [B, 2], radians.

        A network for one eye does not look at ``left``, one without head pose not at ``head``.

        Raises:
            TypeError, ValueError: an eye crop or the head pose is needed and missing, or has another shape.
        """
        crops = {"right": right, "left": left}
        known = []
        for name in self.names:
            standardized = self.input[name](_require(name, crops[name]))
            _require_batch(name, standardized, len(right))
            known.append(torch.relu(self.eye[name](self.features[name](standardized).flatten(1))))
        if self.head_pose:
            check_array("head", head, (len(right), 2), hint=HEAD_HINT)
            known.append(torch.as_tensor(head).to(known[0]))
        return self.gaze(torch.cat(known, dim=1))


class ITracker(nn.Module):
    """iTracker on AlexNet's convolutions: both eyes with shared weights, the face, and where in the picture it is.

        eyes  [3, h, w] × 2 → conv → concatenated → FC 128
        face  [3, H, W]     → conv → FC 128 → FC 64
        grid  [25, 25]      → FC 256 → FC 128
        all   128 + 64 + 128 → FC 128 → gaze

    Args:
        face_only: leave out eyes and grid, Full-Face's second iTracker baseline.
        size: height and width of the face. eye_size: (height, width) of the eye crops.
        form, width, stride: of AlexNet's convolutions. The units of the fully connected layers are the paper's.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 224,
        *,
        face_only: bool = False,
        eye_size: tuple[int, int] = (36, 60),
        form: str = "two_tower",
        width: float = 1.0,
        stride: int = 4,
    ) -> None:
        super().__init__()
        self.face_only = face_only
        face_size, eye_size = check_size(size), check_size(eye_size)
        self.face_input = ImageInput(face_size, "face")
        self.face_features = alexnet_features(form, width=width, stride=stride)
        face_units = torch.Size(map_shape(self.face_features, face_size)).numel()
        self.face = nn.Sequential(nn.Linear(face_units, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
        if face_only:
            self.gaze = _head(64, 128, dropout=0.0)
            return
        self.right_input, self.left_input = ImageInput(eye_size, "right"), ImageInput(eye_size, "left")
        self.eye_features = alexnet_features(form, width=width, stride=2)
        eye_units = torch.Size(map_shape(self.eye_features, eye_size)).numel()
        self.eyes = nn.Sequential(nn.Linear(2 * eye_units, 128), nn.ReLU())
        self.grid = nn.Sequential(nn.Linear(GRID * GRID, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU())
        self.gaze = _head(128 + 64 + 128, 128, dropout=0.0)

    def forward(
        self, face: Tensor, right: Tensor | None = None, left: Tensor | None = None, grid: Tensor | None = None
    ) -> Tensor:
        """Gaze [B, 2] (pitch, yaw) in radians from RGB images in [0, 1] and the face grid [B, 25, 25].

        Raises:
            ValueError: an eye crop or the grid is missing, or an image has another size.
        """
        seen = [self.face(self.face_features(self.face_input(face)).flatten(1))]
        if not self.face_only:
            eyes = []
            for name, check, crop in (("right", self.right_input, right), ("left", self.left_input, left)):
                standardized = check(_require(name, crop))
                _require_batch(name, standardized, len(face))
                eyes.append(self.eye_features(standardized).flatten(1))
            seen += [self.eyes(torch.cat(eyes, dim=1)), self.grid(self._checked_grid(grid, seen[0]).flatten(1))]
        return self.gaze(torch.cat(seen, dim=1))

    @staticmethod
    def _checked_grid(grid: Tensor | None, like: Tensor) -> Tensor:
        """The face grid as numbers of the kind the network computes with."""
        if not isinstance(grid, (Tensor, np.ndarray)) or tuple(grid.shape) != (len(like), GRID, GRID):
            raise ValueError(f"grid must be the face grid [{len(like)}, {GRID}, {GRID}]; got {describe(grid)}.")
        return torch.as_tensor(grid).to(like)
