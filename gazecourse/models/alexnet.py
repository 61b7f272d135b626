"""AlexNet (Krizhevsky, Sutskever, Hinton 2012), in the form of the paper and in the later one of torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gazecourse.models.inputs import ImageInput, check_size
from gazecourse.validation import check_choice, check_positive, check_whole

CHANNELS = {"two_tower": (96, 256, 384, 384, 256), "one_tower": (64, 192, 384, 256, 256)}
"""Feature maps of the five convolutions."""

SIZES = {"two_tower": 227, "one_tower": 224}
"""Input sizes that the two forms were made for."""


@dataclass(frozen=True)
class Towers:
    """What tells the two forms apart.

    Attributes:
        groups: of the five convolutions. 2 is how the original was spread over two graphics cards: in these layers
            each half of the filters sees only the half of the maps that lies on its own card.
        padding: of the first convolution.
        ceil_mode: whether a pooling window may hang over the edge. At 227 pixels it makes no difference; at 448 the
            original's framework rounded up, which gives the 13 × 13 maps that Full-Face reports.
    """

    groups: tuple[int, ...]
    padding: int
    ceil_mode: bool


FORMS = {
    "two_tower": Towers(groups=(1, 2, 1, 2, 2), padding=0, ceil_mode=True),
    "one_tower": Towers(groups=(1, 1, 1, 1, 1), padding=2, ceil_mode=False),
}


def scaled(channels: int, width: float) -> int:
    """``channels`` × ``width``, to the nearest multiple of 8, at least 8: groups and fast kernels want even numbers."""
    return max(8, 8 * round(channels * width / 8))


def alexnet_features(form: str = "two_tower", *, width: float = 1.0, stride: int = 4) -> nn.Sequential:
    """The five convolutional layers, up to and including pool5.

        conv1  11 × 11, stride 4 → ReLU → max pool 3 × 3, stride 2
        conv2  5 × 5             → ReLU → max pool 3 × 3, stride 2
        conv3  3 × 3             → ReLU
        conv4  3 × 3             → ReLU
        conv5  3 × 3             → ReLU → max pool 3 × 3, stride 2

    Left out is the local response normalization after conv1 and conv2 of the 2012 paper: it has no parameters, and
    later networks did as well without it (Simonyan and Zisserman 2015). torchvision's AlexNet leaves it out too.

    Args:
        form: "two_tower" (2012, grouped convolutions) or "one_tower" (torchvision's).
        width: factor of all channel numbers.
        stride: of conv1. With 2, images of half the size give maps of the same size (two-tower form) or one smaller.
    Returns:
        A module from [B, 3, H, W] to [B, 256 · width, h, w]. Convolutions are initialized as He et al. (2015) do for
        ReLU networks: the N(0, 0.01) of 2012 was made for full width and weeks of training.
    """
    check_choice("form", form, tuple(FORMS))
    check_positive("width", width)
    check_whole("stride", stride, 1, 11)
    towers = FORMS[form]
    c1, c2, c3, c4, c5 = (scaled(channels, width) for channels in CHANNELS[form])
    g1, g2, g3, g4, g5 = towers.groups

    def pool() -> nn.MaxPool2d:
        return nn.MaxPool2d(3, stride=2, ceil_mode=towers.ceil_mode)

    features = nn.Sequential(
        nn.Conv2d(3, c1, 11, stride, towers.padding, groups=g1), nn.ReLU(inplace=True), pool(),
        nn.Conv2d(c1, c2, 5, padding=2, groups=g2), nn.ReLU(inplace=True), pool(),
        nn.Conv2d(c2, c3, 3, padding=1, groups=g3), nn.ReLU(inplace=True),
        nn.Conv2d(c3, c4, 3, padding=1, groups=g4), nn.ReLU(inplace=True),
        nn.Conv2d(c4, c5, 3, padding=1, groups=g5), nn.ReLU(inplace=True), pool(),
    )  # fmt: skip
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return features


@torch.no_grad()
def map_shape(features: nn.Module, size: int | Sequence[int]) -> tuple[int, int, int]:
    """Shape [C, h, w] that ``features`` gives for images of ``size``; a dry run on no data.

    Raises:
        ValueError: the images are too small to leave anything.
    """
    height, width = (size, size) if isinstance(size, int) else size
    try:
        return tuple(features(torch.zeros(1, 3, height, width)).shape[1:])
    except RuntimeError as error:
        raise ValueError(f"size must leave feature maps of 1 × 1 or more; {height} × {width} is too small.") from error


class AlexNet(nn.Module):
    """Five convolutions and three fully connected layers: 1000 classes of ImageNet, or whatever you need.

    The two-tower form at 227² has 60,965,224 parameters, torchvision's one-tower form at 224² has 61,100,840 and takes
    its ImageNet weights (``pretrained.load_imagenet``).

    Args:
        outputs: length of the output; 1000 classes, or 2 for a gaze direction.
        form: "two_tower" (Krizhevsky et al. 2012) or "one_tower" (torchvision's).
        size: height and width of the images; default the one that the form was made for.
        width: factor of all channel numbers and of the 4096 units of the fully connected layers.
        stride: of conv1; see ``alexnet_features``.
        dropout: share of units that are silenced in training before fc6 and fc7.
    Raises:
        ValueError: an unknown form, or a size that leaves no feature map.
    """

    def __init__(
        self,
        outputs: int = 1000,
        form: str = "two_tower",
        *,
        size: int | None = None,
        width: float = 1.0,
        stride: int = 4,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = alexnet_features(form, width=width, stride=stride)
        self.form, self.size = form, check_size(SIZES[form] if size is None else size)
        channels, height, across = map_shape(self.features, self.size)
        hidden = scaled(4096, width)
        self.input = ImageInput(self.size)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(channels * height * across, hidden), nn.ReLU(inplace=True),
            nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(inplace=True),
            nn.Linear(hidden, check_whole("outputs", outputs, 1)),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """Outputs [B, outputs], before any softmax, for RGB images [B, 3, size, size] in [0, 1]."""
        maps = self.features(self.input(image))
        return self.classifier(maps.flatten(1))
