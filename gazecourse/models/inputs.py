"""What goes into a network: images that are checked once, and shifted and scaled as ImageNet's were."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gazecourse.validation import check_image_size, describe

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RANGE_SLACK = 0.05
"""Resampling with cubic kernels overshoots [0, 1] a little."""


def check_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) that a network can be built for, from one number for squares, or from both."""
    return check_image_size("size", size, 8, 4096)


def check_images(name: str, images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``images`` if they are RGB [B, 3, H, W] of ``size``, floating point, in [0, 1].

    Raises:
        TypeError: no tensor, or whole numbers.
        ValueError: another shape, size or range, NaN or infinity; the message says what to do about it.
    """
    height, width = size
    wanted = f"{name} must be RGB [B, 3, {height}, {width}] in [0, 1]"
    if not isinstance(images, Tensor):
        raise TypeError(f"{wanted}; got {describe(images)}.")
    if not images.is_floating_point():
        raise TypeError(f"{wanted}; got {describe(images)}. Divide bytes by 255: batch.float_image() does.")
    if images.ndim == 4 and images.shape[-1] == 3 and images.shape[1] != 3:
        raise ValueError(f"{wanted}; got {describe(images)}, colors last. Use images.permute(0, 3, 1, 2).")
    if images.ndim == 3:
        raise ValueError(f"{wanted}; got {describe(images)}. A single image needs a batch axis: image[None].")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"{wanted}; got {describe(images)}.")
    if images.shape[-2:] != (height, width):
        resize = f"torch.nn.functional.interpolate(images, ({height}, {width}), mode='bilinear', antialias=True)"
        raise ValueError(f"{wanted}; got {describe(images)}. Use {resize}, or build the network for that size.")
    if images.numel():
        low, high = (value.item() for value in torch.aminmax(images.detach()))
        if not (low >= -RANGE_SLACK and high <= 1 + RANGE_SLACK):  # written so that NaN does not pass
            raise ValueError(f"{wanted}; got values from {low:.4g} to {high:.4g}.{_advice(low, high)}")
    return images


def _advice(low: float, high: float) -> str:
    """What was probably done to images with such values."""
    if -10 <= low < 0 and high <= 10:
        return " The network shifts and scales them itself."
    return " Divide by 255." if low >= 0 and 2 < high <= 255 else ""


class ImageInput(nn.Module):
    """Checks images and standardizes their colors with ImageNet's mean and deviation, which its weights expect.

    Args:
        size: (height, width) that the network was built for.
        name: the argument's name in error messages.
    """

    def __init__(self, size: tuple[int, int], name: str = "image") -> None:
        super().__init__()
        self.size, self.name = size, name
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Standardized images [B, 3, H, W]."""
        images = check_images(self.name, images, self.size).to(self.mean.dtype)
        return (images - self.mean) / self.std
