"""How hard a face is to annotate, and labels that are as imprecise there as those of human annotators.

Real data sets hold one label a landmark, and nobody knows how far off it is. The renderer knows the truth; noise that
is added here leaves it untouched, so that a network can be trained on noisy labels and tested against clean ones.

>>> blur = blur_sigma(faces.factors, faces.images.shape[-1])
>>> hardness = face_hardness(faces.head, faces.visibility, blur)
>>> labels = noisy_labels(faces.landmarks, hardness, level=0.05, seed=0)
>>> hard = faces.subset(subset_of_hardness(hardness, "hard"))
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gazecourse.angles import angular_error
from gazecourse.faces.attributes import Factors
from gazecourse.validation import check_array, check_choice, check_not_negative, check_whole, describe

FULL_TURN = 90.0
"""Degrees away from the camera, by pitch and yaw together, at which pose alone makes a face as hard as can be."""

FULL_BLUR = 0.02
"""Standard deviation of the blur, in widths of the image, at which blur alone does: 5 pixels at 256."""

OUTLINES = (range(0, 17), range(17, 22), range(22, 27))
"""Of the 68 landmarks, those on a line without corners: jaw and brows. Nothing marks a point's place along it."""

SLIDE = 0.6
"""Share of an outline point's noise variance that is one common slide along the line."""

SUBSETS = ("easy", "medium", "hard")


# ---------------------------------------------------------------------- hardness


def blur_sigma(factors: Factors, size: int) -> Tensor:
    """Standard deviation of all the blur in each picture: lens, motion and the sensor's pixels.

        σ² = defocus² + |motion|²/12 + (1/resolution² − 1) / (12 size²)

    A path or a pixel of length a spreads a point evenly over a, with variance a²/12. Of the sensor, only what its
    pixels are coarser than those of the picture counts.

    Args:
        factors: B faces.
        size: width of the pictures in pixels.
    Returns:
        [B] in widths of the picture.
    Raises:
        TypeError, ValueError: no factors, or no whole number above 0.
    """
    if not isinstance(factors, Factors):
        raise TypeError(f"factors must be Factors; got {describe(factors)}.")
    check_whole("size", size, 1)
    motion = factors.motion.square().sum(1) / 12
    sensor = (factors.resolution**-2 - 1) / (12 * size**2)
    return (factors.defocus.square() + motion + sensor).sqrt()


def face_hardness(head: Tensor, visibility: Tensor, blur: Tensor) -> Tensor:
    """How hard it is to say where the landmarks of each face are, from 0 (frontal, whole, sharp) to 1.

        h = 1 − (1 − pose) (1 − hidden) (1 − blur)

    Pose is the head's angle to the camera over 90°, hidden the share of landmarks that something covers, the face
    itself included, and blur its standard deviation over 0.02 widths of the image; pose and blur end at 1. Each
    makes a face harder whatever the others are.

    Args:
        head: [B, 2] (pitch, yaw) of the head, radians.
        visibility: bool [B, N], whether nothing hides the landmark.
        blur: [B] from ``blur_sigma``, at least 0.
    Returns:
        [B] in [0, 1].
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_array("head", head, ("B", 2))
    check_array("visibility", visibility, (len(head), "N"), floating=False)
    if visibility.dtype != torch.bool or visibility.shape[1] == 0:
        raise ValueError(f"visibility must be bool [{len(head)}, N], N above 0; got {describe(visibility)}.")
    check_array("blur", blur, (len(head),), low=0.0)
    pose = (angular_error(head, torch.zeros_like(head[0])) / FULL_TURN).clamp(max=1)
    hidden = 1 - visibility.to(pose).mean(1)
    return 1 - (1 - pose) * (1 - hidden) * (1 - (blur / FULL_BLUR).clamp(max=1))


def subset_of_hardness(hardness: Tensor, which: str) -> Tensor:
    """The easiest, the middle or the hardest third of the faces, by rank.

    Args:
        hardness: [B] with B of 3 or more; among equals, earlier faces count as easier.
        which: "easy", "medium" or "hard".
    Returns:
        Mask, bool [B]. The three masks do not overlap, leave nobody out, and differ by one face at most.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_array("hardness", hardness, ("B",))
    check_choice("which", which, SUBSETS)
    count = len(hardness)
    if count < 3:
        raise ValueError(f"hardness must be of three faces or more; got {count}.")
    third = SUBSETS.index(which)
    chosen = hardness.argsort(stable=True)[round(count * third / 3) : round(count * (third + 1) / 3)]
    return torch.zeros_like(hardness, dtype=torch.bool).index_fill_(0, chosen, True)


# ---------------------------------------------------------------------- noise


def face_sizes(landmarks: Tensor) -> Tensor:
    """Root of the area of the bounding box [B] of landmarks [B, N, 2], in their unit."""
    return (landmarks.amax(1) - landmarks.amin(1)).prod(1).sqrt()


def noisy_labels(landmarks: Tensor, hardness: Tensor, level: float, seed: int) -> Tensor:
    """Landmarks as annotators might set them: the harder the face, the further off.

        P̃ᵢ = Pᵢ + σ (√s · a · τᵢ + √(1 − s) · eᵢ),   σ = level · hardness · face size

    Jaw and brows have no corners to hold on to: an annotator who begins too high stays too high. There a share
    s = 0.6 of the variance is one slide a ~ N(0, 1) for the whole line, along its tangent τᵢ; elsewhere s = 0. What
    remains, eᵢ, is independent from point to point and alike in all directions. Either way the mean squared distance
    from the truth is σ². The face size is the root of the area of the landmarks' bounding box, which, unlike the
    distance of the eyes, does not vanish in profile.

    Twice the level gives the same noise, twice as large. Noise belongs to a face's place in the batch: make the labels
    of a whole set at once, then choose subsets.

    Args:
        landmarks: clean [B, 68, 2] in pixels; they stay as they are.
        hardness: [B] in [0, 1], from ``face_hardness``.
        level: root mean square distance from the truth at hardness 1, in face sizes; at least 0.
        seed: of the noise; the same seed gives the same labels.
    Returns:
        Noisy landmarks [B, 68, 2] in pixels, possibly outside the image.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_array("landmarks", landmarks, ("B", 68, 2))
    check_array("hardness", hardness, (len(landmarks),), low=0.0, high=1.0)
    check_not_negative("level", level)
    generator = torch.Generator().manual_seed(check_whole("seed", seed, 0))
    # Drawn on the CPU in float64, whatever the landmarks are: a seed gives one noise on all devices.
    alone = torch.randn(len(landmarks), 68, 2, generator=generator, dtype=torch.float64) / math.sqrt(2)
    slides = torch.randn(len(landmarks), len(OUTLINES), generator=generator, dtype=torch.float64)
    truth = landmarks.double()
    noise = alone.to(truth)
    for outline, slide in zip(OUTLINES, slides.to(truth).unbind(1), strict=True):
        along = slide.view(-1, 1, 1) * _tangents(truth[:, outline])
        noise[:, outline] = math.sqrt(SLIDE) * along + math.sqrt(1 - SLIDE) * noise[:, outline]
    sigma = level * hardness.to(truth) * face_sizes(truth)
    return (truth + sigma.view(-1, 1, 1) * noise).to(landmarks.dtype)


def noise_learned(pred: Tensor, clean: Tensor, noisy: Tensor) -> float:
    """How much of the label noise a network has learned, from its answers on its own training faces.

        s = Σ (P̂ − P) · (P̃ − P) / Σ ‖P̃ − P‖²

    The share s of the way from the truth P to the label P̃ at which P̂ lies, as far as P̂ errs along with the label:
    0 where errors have nothing to do with the noise, however large they are, 1 where every label is given back.

    Args:
        pred, clean, noisy: P̂, P and P̃ [B, N, 2], pixels.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also where no label has noise.
    """
    check_array("clean", clean, ("B", "N", 2))
    for name, value in (("pred", pred), ("noisy", noisy)):
        check_array(name, value, tuple(clean.shape))
    error, noise = (pred - clean).double(), (noisy - clean).double()
    power = noise.square().sum()
    if not bool(power > 0):
        raise ValueError("noisy must differ from clean; there is no noise to learn.")
    return float((error * noise).sum() / power)


def _tangents(line: Tensor) -> Tensor:
    """Unit vectors [B, P, 2] along a line of P points, from each one's neighbors; 0 where these coincide."""
    ahead = torch.cat([line[:, 1:], line[:, -1:]], dim=1)
    behind = torch.cat([line[:, :1], line[:, :-1]], dim=1)
    return torch.nn.functional.normalize(ahead - behind, dim=-1)
