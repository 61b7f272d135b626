"""Pictures from files, always RGB, with an error that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn.functional import interpolate

from gazecourse.errors import CourseError


def read_image(path: Path, *, upright: bool = False) -> np.ndarray:
    """An image file of any usual format as uint8 [H, W, 3], RGB.

    Args:
        path: the file.
        upright: turn it as its Exif orientation says, as phones store photographs. The labels of data sets belong to
            pictures as they are stored.
    Raises:
        FileNotFoundError: there is no such file.
        CourseError: it is empty, cut off, no image, too large, or may not be read; the message says which.
    """
    try:
        with Image.open(path) as image:
            return np.array((ImageOps.exif_transpose(image) if upright else image).convert("RGB"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no image {path}.") from error
    except UnidentifiedImageError as error:
        verdict = "is empty" if path.stat().st_size == 0 else "is no image, or of a format that cannot be read"
        raise CourseError(f"{path} {verdict}.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CourseError(f"{path} cannot be read as an image; it is cut off or damaged ({reason}).") from error


def resized(images: Tensor, size: int) -> Tensor:
    """Images [3, H, W] or [B, 3, H, W], uint8 or floating point, as [..., 3, size, size], with antialiasing."""
    if tuple(images.shape[-2:]) == (size, size):
        return images
    batch = images if images.ndim == 4 else images[None]
    batch = interpolate(batch, (size, size), mode="bilinear", align_corners=False, antialias=True)
    return batch if images.ndim == 4 else batch[0]


def to_tensor(image: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] as uint8 [3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
