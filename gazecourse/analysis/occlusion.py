"""Which landmarks move when a part of the face is covered: those under the cover, or the others, too? (Lin et al. 2021)

In a fully connected head every landmark hangs on every hidden unit, so that a hand before the mouth can move the brows.
In a graph a landmark hears of its neighbors. Cover one region after another and watch.

>>> found = influence(lambda images: model(images), images, landmarks)
>>> found.matrix  # row: what is covered; column: what moves
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from gazecourse.landmark_noise import face_sizes
from gazecourse.validation import check_array, check_positive, describe

REGIONS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "jaw": tuple(range(0, 17)),
        "right brow": tuple(range(17, 22)),
        "left brow": tuple(range(22, 27)),
        "nose": tuple(range(27, 36)),
        "right eye": tuple(range(36, 42)),
        "left eye": tuple(range(42, 48)),
        "mouth": tuple(range(48, 68)),
    }
)
"""The 68 landmarks by parts of the face; right and left are the person's."""

RADIUS = 0.1
"""Of the disks around a region's landmarks, in face sizes: they touch each other and leave no gap."""

GRAY = 0.5


def cover(images: Tensor, landmarks: Tensor, points: Sequence[int], *, radius: float = RADIUS) -> Tensor:
    """Images with gray disks around some landmarks of each face.

    Args:
        images: [B, 3, H, W] in [0, 1]; not changed.
        landmarks: [B, N, 2] where the landmarks are, pixels of the images.
        points: numbers of the landmarks to cover.
        radius: of the disks, in face sizes (the root of the area of the landmarks' box).
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_array("images", images, ("B", 3, "H", "W"), low=-0.05, high=1.05)
    check_array("landmarks", landmarks, (len(images), "N", 2))
    height, width = images.shape[-2:]
    x, y = (torch.arange(side, device=images.device) + 0.5 for side in (width, height))
    pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
    hidden = under_cover(pixels.expand(len(images), -1, -1), landmarks.to(pixels), points, radius=radius)
    return images.masked_fill(hidden.view(-1, 1, height, width), GRAY)


def under_cover(places: Tensor, landmarks: Tensor, points: Sequence[int], *, radius: float = RADIUS) -> Tensor:
    """Whether places [B, M, 2] lie under the disks of ``cover``: bool [B, M]. Other arguments as there."""
    check_array("landmarks", landmarks, ("B", "N", 2))
    check_array("places", places, (len(landmarks), "M", 2))
    check_positive("radius", radius)
    _check_points("points", points, landmarks.shape[1])
    distance = torch.cdist(places, landmarks[:, list(points)])
    return (distance <= radius * face_sizes(landmarks).view(-1, 1, 1)).any(2)


def _check_points(name: str, points: Sequence[int], count: int) -> None:
    whole = isinstance(points, Sequence) and not isinstance(points, str) and len(points) > 0
    if not whole or not all(isinstance(p, int) and 0 <= p < count for p in points):
        raise ValueError(f"{name} must be numbers of landmarks from 0 to {count - 1}, one or more; got {points!r:.80}.")


@dataclass(frozen=True)
class Influence:
    """How far landmarks move when others are covered.

    Attributes:
        names: of the regions [R].
        moved: [R, B, N, 2], the way of every landmark when region r is covered, pixels.
        hidden: bool [R, B, N], whether it lies under the cover itself, of the same region or not.
        length: [R, B, N], of the way, in face sizes.
        matrix: [R, R], mean length over faces and the landmarks of a region: row r is covered, column s moves.
    """

    names: tuple[str, ...]
    moved: Tensor
    hidden: Tensor
    length: Tensor
    matrix: Tensor

    @property
    def under_cover(self) -> Tensor:
        """[B], mean way of the landmarks that are hidden, over regions; face sizes."""
        return _mean_where(self.length, self.hidden)

    @property
    def elsewhere(self) -> Tensor:
        """[B], mean way of the landmarks that nothing hides, over regions; face sizes."""
        return _mean_where(self.length, ~self.hidden)


def _mean_where(length: Tensor, mask: Tensor) -> Tensor:
    """Mean over regions and landmarks [B] of lengths [R, B, N], where the mask is set."""
    return (length * mask).sum((0, 2)) / mask.sum((0, 2))


@torch.no_grad()
def influence(
    predict: Callable[[Tensor], Tensor],
    images: Tensor,
    landmarks: Tensor,
    regions: Mapping[str, Sequence[int]] = REGIONS,
    *,
    radius: float = RADIUS,
    batch: int = 100,
) -> Influence:
    """Cover one region after another, and measure the way of every landmark from where it was predicted without.

    With ``regions={str(i): [i] for i in range(68)}`` every landmark is a region of its own.

    Args:
        predict: landmarks [B, N, 2] in pixels of images [B, 3, H, W] in [0, 1]; a network in evaluation mode.
        images: [B, 3, H, W] in [0, 1].
        landmarks: [B, N, 2] the true ones, which say where the regions are.
        regions: numbers of landmarks by name, two regions or more.
        radius: as in ``cover``.
        batch: images at once.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_array("images", images, ("B", 3, "H", "W"), low=-0.05, high=1.05)
    check_array("landmarks", landmarks, (len(images), "N", 2))
    if not isinstance(regions, Mapping) or len(regions) < 2:
        raise ValueError(f"regions must be numbers of landmarks by name, two or more; got {describe(regions)}.")
    for name, points in regions.items():
        _check_points(f"regions[{name!r}]", points, landmarks.shape[1])
    size = face_sizes(landmarks).cpu()
    if not bool((size > 0).all()):
        raise ValueError("landmarks must span a face; in one image, all of them are on a line.")

    def answered(pictures: Tensor) -> Tensor:
        parts = [predict(part) for part in pictures.split(batch)]
        return check_array("predict's result", torch.cat(parts).float().cpu(), tuple(landmarks.shape))

    before = answered(images)
    moved = torch.stack([answered(cover(images, landmarks, points, radius=radius)) for points in regions.values()])
    moved = moved - before
    length = moved.norm(dim=3) / size.unsqueeze(1)
    places = landmarks.cpu()
    hidden = torch.stack([under_cover(places, places, points, radius=radius) for points in regions.values()])
    matrix = torch.stack([length[:, :, list(points)].mean((1, 2)) for points in regions.values()], dim=1)
    return Influence(tuple(regions), moved, hidden, length, matrix)
