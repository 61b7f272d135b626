"""Rendered photographs: the people of a domain before a webcam, anywhere in its picture, with every label known.

Rendered faces come as a network sees them, cut out and normalized. A real picture is what comes before: a whole room,
with a face somewhere in it. On photographs that are rendered, each step from such a picture to a gaze can be measured
by itself: where the face is, its landmarks, its pose, its gaze.

>>> faces = FaceDataset("laptop", "test").some(8)
>>> photos, labels = render_photographs(photographed(faces.factors))
>>> labels["landmarks"]  # pixels of the photographs
"""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.faces.attributes import Factors
from gazecourse.faces.draws import Draws
from gazecourse.faces.renderer import Renderer
from gazecourse.normalization import normalizing_rotation
from gazecourse.validation import check_positive, check_whole, describe

PHOTO_SIZE = (480, 640)
"""Height and width in pixels, as webcams have them."""
DISTANCES = (450.0, 750.0)
"""Range of the face's distance along the line of sight of the camera, mm."""
ASIDE = (0.25, 0.15)
"""How far off the middle a face may be, right and down, in its distance: a quarter is 14°."""

_TOGETHER = 4
"""Photographs that are drawn at once: memory bounds them, for each has 24 times the pixels of a face of 112 × 112."""


def photographed(factors: Factors, focal: float = 1.0, seed: int = 0) -> Factors:
    """The same faces before a camera with a fixed focal length, somewhere in its picture.

    Face, light and gaze target are turned about the camera together. So whoever normalizes the photograph gets the face
    that the factors were drawn for: its head pose and gaze are those of the domain, wherever it stands in the picture.
    Only its distance, and with it the perspective, is another. Blur stays what it was on the face; the sensor has the
    picture's pixels.

    Args:
        factors: B faces, of any camera.
        focal: focal length of the camera in widths of its picture; 1 is an angle of view of 53°, as webcams have.
        seed: of the places.
    Returns:
        Factors for a renderer of ``PHOTO_SIZE`` or any other size of 3 : 4.
    Raises:
        TypeError, ValueError: no factors, or a focal length that is not above 0.
    """
    if not isinstance(factors, Factors):
        raise TypeError(f"factors must be Factors; got {describe(factors)}.")
    check_positive("focal", focal)
    place = _places(factors, check_whole("seed", seed, 0))
    aspect = PHOTO_SIZE[0] / PHOTO_SIZE[1]
    lens = torch.tensor([[focal, 0.0, 0.5], [0.0, focal, aspect / 2], [0.0, 0.0, 1.0]])
    before = factors.camera[:, 0, 0] / factors.head_position[:, 2]  # widths of the picture to a mm of the face
    zoom = (focal / place[:, 2]) / before
    back = normalizing_rotation(place, torch.eye(3).expand_as(factors.head_rotation)).mT
    return factors.replace(
        camera=lens.expand_as(factors.camera),
        head_rotation=back @ factors.head_rotation,
        head_position=place,
        target=place + (back @ (factors.target - factors.head_position).unsqueeze(2)).squeeze(2),
        light_direction=factors.light_direction @ back.mT,
        normalization=torch.eye(3).expand_as(factors.normalization),
        defocus=factors.defocus * zoom,
        motion=factors.motion * zoom.unsqueeze(1),
        resolution=1.0,
    )


def render_photographs(factors: Factors) -> tuple[Tensor, dict[str, Tensor]]:
    """Draw photographs of ``PHOTO_SIZE``, a few at a time, on the CPU.

    Args:
        factors: B faces, as ``photographed`` returns them.
    Returns:
        pictures uint8 [B, 3, H, W], RGB; and all labels of ``Renderer.render``, each with a leading axis B.
    Raises:
        TypeError, ValueError: no factors, none of them, or a factor that cannot be drawn.
    """
    if not isinstance(factors, Factors):
        raise TypeError(f"factors must be Factors; got {describe(factors)}.")
    if len(factors) == 0:
        raise ValueError("factors must hold at least one face; got none.")
    renderer = Renderer(PHOTO_SIZE, "cpu")
    parts = [renderer.render(factors[rows]) for rows in torch.arange(len(factors)).split(_TOGETHER)]
    pictures = torch.cat([(255 * images).round().byte() for images, _ in parts])
    return pictures, {name: torch.cat([labels[name] for _, labels in parts]) for name in parts[0][1]}


def _places(factors: Factors, seed: int) -> Tensor:
    """Face centers [B, 3] in the camera's frame, mm; those of a face do not depend on the others of its batch."""
    draws = Draws([f"photograph/{seed}/{number}" for number in factors.seed.tolist()], 3)
    distance = draws.uniform(*DISTANCES)
    across, down = (distance * draws.uniform(-most, most) for most in ASIDE)
    return torch.stack([across, down, distance], dim=1).to(factors.head_position)
