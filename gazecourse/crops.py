"""What networks look at: eye crops, a band across the face, iTracker's face grid, and a face in a photograph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from gazecourse.validation import check_array, check_image_size, check_positive, describe

EYES = {68: (slice(36, 42), slice(42, 48)), 6: (slice(0, 2), slice(2, 4)), 2: (slice(0, 1), slice(1, 2))}
"""Landmarks of the person's right and left eye: all around them (iBUG 68), their corners (MPIIFaceGaze's six), or their
middles (Gaze360, EYEDIAP)."""

WINDOW = (0.27, 0.16)
"""Width and height of what an eye crop shows, as shares of the width of the face image: 1.5 eyes wide."""

GRID = 25
"""Cells of the face grid along either side (Krafka et al. 2016)."""

FACE_WIDTH = 160.0
"""Millimeters that the box of the face grid is wide and high: what a normalized face image shows of a face."""


def eye_crops(images: Tensor, landmarks: Tensor, size: int | tuple[int, int] = (36, 60)) -> tuple[Tensor, Tensor]:
    """Crops around both eyes, enlarged from the face image.

    Args:
        images: [B, C, H, W] faces in [0, 1].
        landmarks: [B, 68, 6 or 2, 2] (x, y) in pixels of these images.
        size: of the crops in pixels: (height, width), or one number for squares.
    Returns:
        Right eye and left eye (the person's), [B, C, *size] each; beyond the image its edge is repeated.
    Raises:
        TypeError, ValueError: no landmarks, or neither 68 nor 6 per image.
    """
    if landmarks is None:
        raise ValueError("landmarks must be [B, 68, 6 or 2, 2]; got None: without landmarks there are no eye crops.")
    images = torch.as_tensor(check_array("images", images, ("B", "C", "H", "W")))
    check_array("landmarks", landmarks, (len(images), "68, 6 or 2", 2))
    rows, columns = check_image_size("size", size)
    height, width = images.shape[-2:]
    x = torch.linspace(-0.5, 0.5, columns).to(images) * WINDOW[0] * width
    y = torch.linspace(-0.5, 0.5, rows).to(images) * WINDOW[1] * width
    offsets = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    to_unit = 2 / torch.tensor([width, height]).to(images)
    crops = []
    for center in eye_centers(torch.as_tensor(landmarks).to(images)).unbind(1):
        place = center.view(-1, 1, 1, 2) + offsets
        crops.append(grid_sample(images, place * to_unit - 1, padding_mode="border", align_corners=False))
    return crops[0], crops[1]


def eye_centers(landmarks: Tensor) -> Tensor:
    """Middles of the right and the left eye [B, 2, 2], (x, y) in pixels, from landmarks [B, 68, 6 or 2, 2]."""
    check_array("landmarks", landmarks, ("B", "68, 6 or 2", 2))
    if landmarks.shape[1] not in EYES:
        raise ValueError(f"landmarks must be [B, 68, 6 or 2, 2], where the eyes are known; got {describe(landmarks)}.")
    return torch.stack([landmarks[:, eye].mean(1) for eye in EYES[landmarks.shape[1]]], dim=1)


@dataclass(frozen=True)
class Band:
    """A part of the face image, as wide as the image, at the size that a network wants.

    Small pictures waste pixels on hair and chin. The band from 1/7 to 4/7 of a normalized face's height holds the eyes,
    the brows and most of the nose.

    Attributes:
        size: (height, width) in pixels that the band is resized to, or one number for squares.
        top, bottom: where it begins and ends, as shares of the image's height.
    """

    size: int | tuple[int, int]
    top: float = 0.0
    bottom: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.top < self.bottom <= 1:
            raise ValueError(f"top and bottom must fulfill 0 <= top < bottom <= 1; got {self.top} and {self.bottom}.")
        object.__setattr__(self, "size", check_image_size("size", self.size))

    def rows(self, height: int) -> tuple[int, int]:
        """The first row of an image of ``height`` that belongs to the band, and the first one below it."""
        top, bottom = round(self.top * height), round(self.bottom * height)
        if top == bottom:
            raise ValueError(f"top and bottom must leave a row of pixels; an image of {height} rows has none between.")
        return top, bottom

    def cut(self, images: Tensor) -> Tensor:
        """[B, 3, *size] from faces [B, 3, H, W] in [0, 1]."""
        top, bottom = self.rows(images.shape[-2])
        part = images[..., top:bottom, :]
        if part.shape[-2:] == self.size:
            return part
        return interpolate(part, self.size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)

    def locate(self, points: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Where points [..., 2] (x, y) of a face image of ``image_size`` (height, width) lie in the band, pixels."""
        height, width = image_size
        top, bottom = self.rows(height)
        scale = points.new_tensor([self.size[1] / width, self.size[0] / (bottom - top)])
        return (points - points.new_tensor([0.0, top])) * scale


def face_grid(center: Tensor, focal: float = 1.0) -> Tensor:
    """Where in the webcam's picture the face is, as iTracker wants to know: cells of the picture that its box covers.

    Args:
        center: [B, 3] face center in the physical camera's frame, mm.
        focal: focal length in units of the picture's width.
    Returns:
        [B, 25, 25], the covered share of each cell of the square around the picture's middle, as wide as the picture.
    Raises:
        TypeError, ValueError: another shape, a face that is not in front of the camera, or no focal length.
    """
    center = torch.as_tensor(check_array("center", center, ("B", 3)))
    check_positive("focal", focal)
    if not bool((center[:, 2] > 0).all()):
        raise ValueError("center must lie in front of the camera (z > 0).")
    middle = (focal * center[:, :2] / center[:, 2:] + 0.5) * GRID
    half = (focal * FACE_WIDTH / 2 / center[:, 2:]) * GRID
    edges = torch.arange(GRID, device=center.device, dtype=center.dtype)

    def covered(axis: int) -> Tensor:
        low, high = middle[:, axis, None] - half, middle[:, axis, None] + half
        return (torch.minimum(high, edges + 1) - torch.maximum(low, edges)).clamp(0, 1)

    return covered(1).unsqueeze(2) * covered(0).unsqueeze(1)


MARGIN = 1.25
"""Side of the square around a face, in sides of the box around its landmarks: what landmark networks are trained on."""


@dataclass(frozen=True)
class Square:
    """A square of whole pixels in a photograph; it may reach beyond the edge.

    Attributes:
        left, top: of its first column and row, pixels.
        side: height and width, pixels.
    """

    left: int
    top: int
    side: int

    def cut(self, photo: Tensor, size: int) -> Tensor:
        """What it shows, uint8 [3, size, size], resized with antialiasing; beyond the photograph its edge is repeated.

        Args:
            photo: uint8 RGB [3, H, W].
            size: height and width of the result, pixels.
        Raises:
            TypeError, ValueError: naming the argument, what was expected and what came.
        """
        check_array("photo", photo, (3, "H", "W"), floating=False)
        if not isinstance(photo, Tensor) or photo.dtype != torch.uint8 or not photo.numel():
            raise TypeError(f"photo must be a uint8 tensor [3, H, W], RGB, not empty; got {describe(photo)}.")
        check_image_size("size", size)
        height, width = photo.shape[1:]
        rows = torch.arange(self.top, self.top + self.side, device=photo.device).clamp(0, height - 1)
        columns = torch.arange(self.left, self.left + self.side, device=photo.device).clamp(0, width - 1)
        part = photo[:, rows][:, :, columns].float()[None]
        if self.side != size:
            part = interpolate(part, (size, size), mode="bilinear", antialias=True, align_corners=False)
        return part[0].round().clamp(0, 255).to(torch.uint8)

    def locate(self, points: Tensor, size: int) -> Tensor:
        """Where points [..., 2] (x, y) of the photograph lie in its cut of ``size``, pixels."""
        return (points - points.new_tensor([self.left, self.top])) * (size / self.side)

    def place_back(self, points: Tensor, size: int) -> Tensor:
        """Where points [..., 2] (x, y) of a cut of ``size`` lie in the photograph, pixels."""
        return points * (self.side / size) + points.new_tensor([self.left, self.top])


def face_square(box: Sequence[float]) -> Square:
    """The square around a face, in the middle of its box and 1.25 times as large as the longer side.

    Args:
        box: x, y, width, height, pixels; (0, 0) is the corner of the photograph.
    Raises:
        TypeError, ValueError: not four finite numbers, or without an extent.
    """
    try:
        x, y, width, height = (float(value) for value in box)
    except (TypeError, ValueError) as error:
        raise TypeError(f"box must be four numbers, x, y, width and height; got {describe(box)}.") from error
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise ValueError(f"box must be finite, with a width and a height above 0; got {(x, y, width, height)}.")
    side = max(1, round(MARGIN * max(width, height)))
    return Square(round(x + width / 2 - side / 2), round(y + height / 2 - side / 2), side)
