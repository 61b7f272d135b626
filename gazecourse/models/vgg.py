"""The convolutions of VGG-16 (Simonyan, Zisserman 2015), which three of the baselines build on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gazecourse.models.alexnet import scaled
from gazecourse.validation import check_positive

POOL = "pool"
VGG16 = (
    64, 64, POOL,
    128, 128, POOL,
    256, 256, 256, POOL,
    512, 512, 512, POOL,
    512, 512, 512, POOL,
)  # fmt: skip
"""Feature maps of VGG-16's thirteen 3 × 3 convolutions, and where 2 × 2 maxima are taken (Simonyan, Zisserman 2015)."""


def vgg_features(plan: Sequence[int | str] = VGG16, *, width: float = 1.0, norm: bool = False) -> nn.Sequential:
    """The convolutions of VGG-16, or the first of them: 3 × 3, ReLU after each.

    The layers bear torchvision's numbers, so that its ImageNet weights fit at width 1 without ``norm``
    (``pretrained.load_imagenet(features, "vgg16", only="features.")``).

    Args:
        plan: feature maps of each convolution, ``POOL`` where the resolution is halved; ``VGG16[:5]`` is the first
            four convolutions.
        width: factor of all channel numbers.
        norm: whether BatchNorm stands between convolution and ReLU.
    Returns:
        A module from [B, 3, H, W] to [B, C, H/2ⁿ, W/2ⁿ] (rounded down) after n halvings. Convolutions are initialized
        as He et al. (2015) do: without BatchNorm, PyTorch's smaller weights would let the signal fade over 13 layers.
    """
    check_positive("width", width)
    layers: list[nn.Module] = []
    inputs = 3
    for step in plan:
        if step == POOL:
            layers.append(nn.MaxPool2d(2))
            continue
        outputs = scaled(step, width)
        conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        nn.init.zeros_(conv.bias)
        layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)] if norm else [conv, nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers)


def dense(inputs: int, outputs: int) -> nn.Sequential:
    """A fully connected layer with BatchNorm and ReLU."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True))
