"""Dilated-Net: eyes at high resolution, seen by dilated convolutions (Chen, Shi, ACCV 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gazecourse.models.alexnet import map_shape, scaled
from gazecourse.models.inputs import ImageInput, check_size
from gazecourse.models.vgg import VGG16, dense, vgg_features
from gazecourse.validation import check_array

DILATIONS = ((2, 2), (3, 3), (4, 5), (5, 11))
"""Pixels from one tap to the next, (down, across), of the four dilated convolutions."""

DILATED_CHANNELS = (64, 64, 128, 128)
"""Their feature maps."""


def conv(
    inputs: int, outputs: int, kernel: int, *, padding: int = 0, dilation: tuple[int, int] = (1, 1)
) -> list[nn.Module]:
    """A convolution with BatchNorm and ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation)
    return [layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def face_features(width: float = 1.0) -> nn.Sequential:
    """VGG-16's first seven convolutions, 1 × 1 to 64 maps, two 3 × 3: [B, 3, H, W] to [B, 64, H/16, W/16]."""
    narrow = scaled(64, width)
    return nn.Sequential(
        *vgg_features(VGG16[:9], width=width, norm=True),
        *conv(scaled(256, width), narrow, 1), nn.MaxPool2d(2),
        *conv(narrow, narrow, 3, padding=1),
        *conv(narrow, narrow, 3, padding=1), nn.MaxPool2d(2),
    )  # fmt: skip


def eye_features(width: float = 1.0) -> nn.Sequential:
    """VGG-16's first four convolutions with one halving, 1 × 1 to 64 maps, four dilated convolutions.

    Pooling would soon have made the eye too small for the iris' few pixels of movement to show. A dilated kernel has
    its nine taps d pixels apart: it sees as far as pooled maps would let it, and keeps their resolution. Nothing is
    padded, so each such layer takes 2 d pixels off the map:

        32 × 48 → 28 × 44 → 22 × 38 → 14 × 28 → 4 × 6

    Returns:
        A module from [B, 3, H, W] to [B, 128, H/2 − 28, W/2 − 42].
    """
    channels = scaled(64, width)
    layers = [*vgg_features(VGG16[:5], width=width, norm=True), *conv(scaled(128, width), channels, 1)]
    for outputs, dilation in zip(DILATED_CHANNELS, DILATIONS, strict=True):
        layers += conv(channels, scaled(outputs, width), 3, dilation=dilation)
        channels = scaled(outputs, width)
    return nn.Sequential(*layers)


def check_eye_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of eye crops if the dilated convolutions leave some of them."""
    size = check_size(size)
    least = tuple(2 * (1 + sum(2 * dilation for dilation in axis)) for axis in zip(*DILATIONS, strict=True))
    if size[0] < least[0] or size[1] < least[1]:
        raise ValueError(
            f"eye_size must be {least[0]} × {least[1]} or more, which the dilated convolutions reduce to 1 × 1; got "
            f"{size[0]} × {size[1]}. gazecourse.crops.eye_crops cuts crops of any size."
        )
    return size


class DilatedNet(nn.Module):
    """Gaze from the face and both eyes, in the form that the GazeHub benchmark gave Dilated-Net.

        face  [3, 96, 96]     → convolutions → [64, 6, 6]  → FC 256 → FC 32
        eyes  [3, 64, 96] × 2 → convolutions → [128, 4, 6] → FC 256, shared by both
        all   32 + 256 + 256  → FC 256 → FC 2

    BatchNorm and ReLU follow every layer but the last, dropout every hidden fully connected one. At width 1 the
    network has 3.9 M parameters. It starts from random weights, where the benchmark starts the first convolutions from
    those of VGG-16.

    Args:
        size: height and width of the face, 16 or more; the map is 16 times smaller.
        eye_size: (height, width) of the eye crops, 58 × 86 or more.
        width: factor of all channel and unit numbers.
        dropout: share of units that are silenced in training after the fully connected layers.
    Raises:
        ValueError: a size that leaves no feature map.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 96,
        *,
        eye_size: tuple[int, int] = (64, 96),
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.size, self.eye_size = check_size(size), check_eye_size(eye_size)
        self.face_input = ImageInput(self.size, "face")
        self.eye_input = nn.ModuleDict({name: ImageInput(self.eye_size, name) for name in ("right", "left")})
        self.face_features, self.eye_features = face_features(width), eye_features(width)
        self.eval()  # the dry runs must not reach BatchNorm's statistics
        face = torch.Size(map_shape(self.face_features, self.size)).numel()
        eye = torch.Size(map_shape(self.eye_features, self.eye_size)).numel()
        hidden, narrow = scaled(256, width), scaled(32, width)

        def layer(inputs: int, outputs: int) -> nn.Sequential:
            return dense(inputs, outputs).append(nn.Dropout(dropout))

        self.face = nn.Sequential(layer(face, hidden), layer(hidden, narrow))
        self.eye = layer(eye, hidden)
        self.gaze = nn.Sequential(layer(2 * hidden + narrow, hidden), nn.Linear(hidden, 2))
        self.train()

    def forward(self, face: Tensor, right: Tensor, left: Tensor) -> Tensor:
        """Gaze [B, 2] (pitch, yaw) in radians from RGB images in [0, 1]: faces [B, 3, H, W], eyes [B, 3, h, w].

        Raises:
            TypeError, ValueError: an image is missing, or has another shape or range.
        """
        face = self.face_input(face)
        eyes = [self._checked(name, crop, len(face)) for name, crop in (("right", right), ("left", left))]
        seen = [self.face(self.face_features(face).flatten(1))]
        seen += [self.eye(self.eye_features(eye).flatten(1)) for eye in eyes]
        return self.gaze(torch.cat(seen, dim=1))

    def _checked(self, name: str, crop: Tensor, count: int) -> Tensor:
        """Standardized crops, one for each face."""
        standardized = self.eye_input[name](crop)
        check_array(name, crop, (count, 3, *self.eye_size), hint="Each face needs its two eyes.")
        return standardized
