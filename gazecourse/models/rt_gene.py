"""RT-Gene: a VGG-16 for either eye, and the head pose (Fischer, Chang, Demiris, ECCV 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gazecourse.models.alexnet import map_shape, scaled
from gazecourse.models.eyes import HEAD_HINT
from gazecourse.models.inputs import ImageInput, check_size
from gazecourse.models.vgg import dense, vgg_features
from gazecourse.validation import check_array


class RTGene(nn.Module):
    """Gaze from both eyes and the head pose, in the form that the GazeHub benchmark gave RT-Gene.

        each eye  [3, 36, 60] → VGG-16 → average over the map → FC 1024 → BN → ReLU
        both      1024 + 1024 → FC 512 → BN → ReLU
        head      512 + 2     → FC 256 → BN → ReLU → FC 2

    Either eye has a VGG-16 of its own; the left crop is not mirrored. At width 1 the network has 31.7 M parameters.
    It is one network, where the paper averages four. It starts from random weights, where the paper and the benchmark
    start from ImageNet's; ``vgg_features`` says how to load them.

    Args:
        size: (height, width) of the eye crops, 32 or more either way.
        width: factor of all channel and unit numbers.
    Raises:
        ValueError: the crops are too small for five halvings.
    """

    def __init__(self, size: tuple[int, int] = (36, 60), *, width: float = 1.0) -> None:
        super().__init__()
        self.size = check_size(size)
        self.input = nn.ModuleDict({name: ImageInput(self.size, name) for name in ("right", "left")})
        self.features = nn.ModuleDict({name: vgg_features(width=width) for name in self.input})
        channels, *_ = map_shape(self.features["right"], self.size)
        self.eye = nn.ModuleDict({name: dense(channels, scaled(1024, width)) for name in self.input})
        self.both = dense(2 * scaled(1024, width), scaled(512, width))
        self.gaze = nn.Sequential(*dense(scaled(512, width) + 2, scaled(256, width)), nn.Linear(scaled(256, width), 2))

    def forward(self, right: Tensor, left: Tensor, head: Tensor) -> Tensor:
        """Gaze [B, 2] (pitch, yaw) in radians from RGB crops [B, 3, h, w] in [0, 1] and head pose [B, 2], radians.

        Raises:
            TypeError, ValueError: an eye crop or the head pose is missing, or has another shape or range.
        """
        crops = {"right": self.input["right"](right), "left": self.input["left"](left)}
        check_array("left", left, tuple(right.shape), hint="Each right eye needs its left one.")
        check_array("head", head, (len(right), 2), hint=HEAD_HINT)
        eyes = [self.eye[name](self.features[name](crop).mean((2, 3))) for name, crop in crops.items()]
        both = self.both(torch.cat(eyes, dim=1))
        return self.gaze(torch.cat([both, torch.as_tensor(head).to(both)], dim=1))
