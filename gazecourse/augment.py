"""Changes to training samples that leave their labels true."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from gazecourse.faces.attributes import NAMED
from gazecourse.sample import Sample
from gazecourse.validation import describe


def _mirrored_landmarks() -> list[int]:
    pairs = [(left, 16 - left) for left in range(8)] + [(17 + i, 26 - i) for i in range(5)]  # jaw, brows
    pairs += [(31, 35), (32, 34)]  # nostrils
    pairs += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]  # eyes
    pairs += [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]  # lips
    order = list(range(68))
    for right, left in pairs:
        order[right], order[left] = left, right
    return order


MIRRORED_68 = _mirrored_landmarks()
"""Number of the iBUG landmark that takes the place of each in the mirror: the person's left becomes their right."""

MIRRORED = {68: MIRRORED_68, 6: [3, 2, 1, 0, 5, 4], 2: [1, 0]}
"""The same by number of landmarks; six are MPIIFaceGaze's corners of eyes and mouth, two the middles of both eyes."""


def mirror(batch: Sample, which: Tensor | None = None) -> Sample:
    """Faces as in a mirror: image, landmarks, gaze, head pose, place and side of the light turn around together.

    A mirrored person looks at a mirrored screen, so ``screen`` is dropped.

    Args:
        batch: B samples.
        which: bool [B]; those to mirror. None mirrors all.
    Raises:
        ValueError: ``which`` is not bool [B].
    """
    if batch.image.ndim != 4:
        raise ValueError(
            f"batch must hold images [B, 3, H, W]; got {describe(batch.image)}. collate([sample]) makes one."
        )
    count = len(batch.image)
    which = torch.ones(count, dtype=torch.bool, device=batch.image.device) if which is None else which
    if not isinstance(which, Tensor) or which.shape != (count,) or which.dtype != torch.bool:
        raise ValueError(f"which must be bool [{count}]; got {describe(which)}.")

    def turned(values: Tensor | None, axis: int) -> Tensor | None:
        if values is None:
            return None
        sign = torch.ones_like(values)
        sign[which, axis] = -1
        return values * sign

    return replace(
        batch,
        image=torch.where(which.view(-1, 1, 1, 1), batch.image.flip(3), batch.image),
        gaze=turned(batch.gaze, 1),
        head=turned(batch.head, 1),
        landmarks=_mirror_landmarks(batch, which),
        face_center=turned(batch.face_center, 0),
        screen=None,
        factors={name: _mirror_classes(name, values, which) for name, values in batch.factors.items()},
    )


def _mirror_classes(name: str, values: Tensor, which: Tensor) -> Tensor:
    """Classes of a named factor; "light from the left" comes from the right in the mirror."""
    words = list(NAMED[name].words) if name in NAMED else []
    other = [_other_side(word) for word in words]
    if words == other:
        return values
    turned = torch.tensor([words.index(word) for word in other], device=values.device)
    return torch.where(which & (values >= 0), turned[values], values)  # -1: an image does not show it


def _other_side(words: str) -> str:
    sides = {"left": "right", "right": "left"}
    return " ".join(sides.get(word, word) for word in words.split(" "))


def _mirror_landmarks(batch: Sample, which: Tensor) -> Tensor | None:
    points = batch.landmarks
    if points is None:
        return None
    if points.shape[1] not in MIRRORED:
        raise ValueError(
            f"landmarks must be [B, 68, 6 or 2, 2], whose mirrored order is known; got {describe(points)}."
        )
    across = batch.image.shape[-1] - points[..., :1]
    other = torch.cat([across, points[..., 1:]], dim=-1)[:, MIRRORED[points.shape[1]]]
    return torch.where(which.view(-1, 1, 1), other, points)


def randomly_mirrored(batch: Sample) -> Sample:
    """Every face mirrored with probability one half."""
    return mirror(batch, torch.rand(len(batch.image), device=batch.image.device) < 0.5)


def shaken_landmarks(batch: Sample, pixels: float = 1.0) -> Sample:
    """All landmarks of a face moved together, N(0, ``pixels``) each way: as a detector's error would, moving crops."""
    if batch.landmarks is None:
        raise ValueError("batch must have landmarks [B, N, 2]; it has None.")
    offset = pixels * torch.randn(len(batch.image), 1, 2, device=batch.landmarks.device)
    return replace(batch, landmarks=batch.landmarks + offset)
