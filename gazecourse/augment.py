"""Changes to training samples that leave their labels true."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from gazecourse.faces.attributes import NAMED
from gazecourse.faces.optics import defocus
from gazecourse.sample import Sample
from gazecourse.validation import check_array, describe


def _exchanged(points: int, *pairs: tuple[int, int]) -> list[int]:
    order = list(range(points))
    for right, left in pairs:
        order[right], order[left] = left, right
    return order


MIRRORED_68 = _exchanged(
    68,
    *((point, 16 - point) for point in range(8)),  # jaw
    *((17 + point, 26 - point) for point in range(5)),  # brows
    *((31, 35), (32, 34)),  # nostrils
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),  # eyes
    *((48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)),  # lips
)
"""Number of the iBUG landmark that takes the place of each in the mirror: the person's left becomes their right."""

MIRRORED_98 = _exchanged(
    98,
    *((point, 32 - point) for point in range(16)),  # jaw
    *((33 + point, 46 - point) for point in range(5)),  # upper edges of the brows
    *((38, 50), (39, 49), (40, 48), (41, 47)),  # lower edges
    *((55, 59), (56, 58)),  # nostrils
    *((60, 72), (61, 71), (62, 70), (63, 69), (64, 68), (65, 75), (66, 74), (67, 73), (96, 97)),  # eyes and pupils
    *((76, 82), (77, 81), (78, 80), (83, 87), (84, 86), (88, 92), (89, 91), (93, 95)),  # lips
)
"""The same for WFLW's landmarks."""

MIRRORED_29 = _exchanged(
    29,
    *((0, 1), (2, 3), (4, 6), (5, 7)),  # brows
    *((8, 9), (10, 11), (12, 14), (13, 15), (16, 17)),  # eyes and pupils
    *((18, 19), (22, 23)),  # nostrils, corners of the mouth
)
"""The same for COFW's landmarks."""

MIRRORED = {98: MIRRORED_98, 68: MIRRORED_68, 29: MIRRORED_29, 6: [3, 2, 1, 0, 5, 4], 2: [1, 0]}
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
        factors={name: mirror_classes(name, values, which) for name, values in batch.factors.items()},
    )


def mirror_classes(name: str, values: Tensor, which: Tensor) -> Tensor:
    """Classes [B] of a named factor; "light from the left" comes from the right in the mirror.

    Args:
        name: of the factor; of another name the values stay as they are. which: bool [B], those to mirror.
    """
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
        known = ", ".join(str(count) for count in sorted(MIRRORED))
        raise ValueError(
            f"landmarks must be [B, N, 2], N one of {known}, whose mirrored order is known; got {describe(points)}."
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


def randomly_blurred(batch: Sample, most: float = 0.02) -> Sample:
    """Half of the faces out of focus, by a Gaussian whose σ is drawn evenly from 0 to ``most`` widths of the image."""
    count, device = len(batch.image), batch.image.device
    sigma = most * torch.rand(count, device=device) * (torch.rand(count, device=device) < 0.5)
    blurred = defocus(batch.float_image(), sigma)
    return replace(batch, image=(255 * blurred).round().to(torch.uint8))


def randomly_lit(
    batch: Sample, gain: tuple[float, float] = (0.3, 1.2), gamma: tuple[float, float] = (0.7, 1.4)
) -> Sample:
    """Half of the faces in other light: v' = a v^γ for values v in [0, 1], with one a and one γ for each face.

    Cameras choose their exposure, and rooms are dark or bright; neither moves a gaze.

    Args:
        batch: B samples.
        gain: range of a, drawn evenly in its logarithm. gamma: range of γ, the same.
    """
    count, device = len(batch.image), batch.image.device

    def between(low: float, high: float) -> Tensor:
        return (math.log(low) + math.log(high / low) * torch.rand(count, 1, 1, 1, device=device)).exp()

    lit = (between(*gain) * batch.float_image() ** between(*gamma)).clamp(0, 1)
    which = torch.rand(count, 1, 1, 1, device=device) < 0.5
    return replace(batch, image=torch.where(which, (255 * lit).round().to(torch.uint8), batch.image))


def warped(batch: Sample, angle: Tensor, scale: Tensor, shift: Tensor) -> Sample:
    """Faces turned about the middle of the image, then scaled, then moved, with their landmarks.

        p' = s R(a) (p − c) + c + t

    What lies beyond the old image repeats its edge. Gaze, head pose, place and factors are dropped: a picture that is
    moved and scaled is no longer seen by the same camera.

    Args:
        batch: B samples.
        angle: a [B], radians; positive turns x towards y, clockwise to the eye.
        scale: s [B], above 0.
        shift: t [B, 2], pixels.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    count, (height, width) = len(batch.image), batch.image.shape[-2:]
    check_array("angle", angle, (count,))
    check_array("scale", scale, (count,))
    check_array("shift", shift, (count, 2))
    if not bool((scale > 0).all()):
        raise ValueError(f"scale must be above 0; got {float(scale.min()):.4g}.")
    cos, sin = angle.cos() * scale, angle.sin() * scale
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)  # s R(a)
    middle = shift.new_tensor([width / 2, height / 2])
    x, y = (torch.arange(side, device=shift.device) + 0.5 for side in (width, height))
    pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
    # Each new pixel looks up where it was: the inverse of the above.
    source = (pixels - middle - shift.unsqueeze(1)) @ torch.linalg.inv(turn).mT + middle
    place = (source / middle - 1).unflatten(1, (height, width))
    images = grid_sample(batch.float_image(), place, padding_mode="border", align_corners=False)
    points = batch.landmarks
    if points is not None:
        points = (points - middle) @ turn.mT + middle + shift.unsqueeze(1)
    return Sample(
        image=(255 * images).round().to(torch.uint8), landmarks=points, person=batch.person, domain=batch.domain
    )


def covered(batch: Sample, which: Tensor, low: Tensor, high: Tensor, color: Tensor) -> Sample:
    """Faces with a rectangle of one color before them. Landmarks stay: a network has to guess the hidden ones.

    Args:
        batch: B samples.
        which: bool [B]; those to cover.
        low, high: [B, 2] (x, y) of two corners, pixels; pixels whose middle lies between them are covered.
        color: uint8 [B, 3].
    """
    height, width = batch.image.shape[-2:]
    x, y = (torch.arange(side, device=low.device) + 0.5 for side in (width, height))
    across, down = ((at >= low[:, axis, None]) & (at < high[:, axis, None]) for axis, at in enumerate((x, y)))
    hidden = down.unsqueeze(2) & across.unsqueeze(1) & which.view(-1, 1, 1)
    return replace(batch, image=torch.where(hidden.unsqueeze(1), color[:, :, None, None], batch.image))
