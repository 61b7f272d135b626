"""Face alignment on rendered faces: what a landmark network learns from, how it is trained, how it is tested.

All four domains together serve as one source, from frontal faces at a laptop to blurred profiles. Every face has a
hardness, known from its factors. A network learns from noisy labels and is tested on other people against the truth,
easy and hard faces apart:

>>> faces = training_faces().with_noise(0.06, seed=0)
>>> model, _ = fit(alignment(faces.labels, faces.side, "dynamic", soft_wing), faces, recipe())
>>> scores(landmarks_of(model, test_faces()), test_faces())["hard"].nme

**Pixels.** Wing and soft wing have constants in pixels of faces that fill images of 256². So networks answer, and
losses are computed, in these pixels, whatever the size of the images. Everywhere else landmarks are in pixels of the
images they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gazecourse.angles import angular_error
from gazecourse.augment import covered, mirror, warped
from gazecourse.comparison import Method, Recipe
from gazecourse.crops import Square, face_square
from gazecourse.faces.attributes import OCCLUDERS
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS
from gazecourse.images import resized
from gazecourse.landmark_noise import SUBSETS, blur_sigma, face_hardness, noisy_labels, subset_of_hardness
from gazecourse.losses.landmarks import (
    Penalty,
    l1,
    l2,
    landmark_loss,
    relative_location_loss,
    smooth_l1,
    soft_wing,
    warn_of_shares,
    wing,
)
from gazecourse.metrics import auc, failure_rate, nme
from gazecourse.models.structure_coherent import HEADS, StructureCoherentNet, landmark_graph, laplacian
from gazecourse.profiles import pick
from gazecourse.sample import Sample
from gazecourse.subsets import Subsets
from gazecourse.training import evaluating, predict
from gazecourse.validation import check_array, check_choice, check_whole, describe

if TYPE_CHECKING:
    from gazecourse.training import Losses

PIXELS = 256
"""Side of the images in whose pixels networks answer and losses are computed."""

SOURCES = tuple(DOMAINS)
"""All domains: easy faces come from laptop and lab, those turned furthest from studio and wild."""

MODERATE_POSE = 45.0
"""Degrees that a head may be turned away from the camera, by pitch and yaw together, and still count as moderate."""

PENALTIES: dict[str, Penalty] = {
    "L2": l2,
    "L1": l1,
    "smooth L1": smooth_l1,
    "wing": wing,
    "soft wing": soft_wing,
}
"""The losses that are compared, by their names in tables."""


# ---------------------------------------------------------------------- sizes


@dataclass(frozen=True)
class Scale:
    """How large the networks and their images are.

    Attributes:
        side: height and width of the images, pixels.
        backbone: "small" or "resnet34".
        graph_width: features of a node inside the graph layers; 128 in the paper.
    """

    side: int
    backbone: str
    graph_width: int


def scale() -> Scale:
    """Quick: images of 64² and a small ResNet. Full: images of 224² and the paper's network."""
    return pick(quick=Scale(64, "small", 32), full=Scale(224, "resnet34", 128))


def recipe() -> Recipe:
    """How long and how fast networks are trained."""
    return pick(quick=Recipe(epochs=3, rate=4e-3), full=Recipe(epochs=60, batch_size=64, rate=1e-3))


# ---------------------------------------------------------------------- faces


class AlignmentFaces(Subsets, Dataset):
    """Faces of one or more rendered sets with what alignment needs: labels to learn from, the truth, and hardness.

    Args:
        sets: rendered faces; whole people belong to one split, so a training and a test set share nobody.
        side: height and width that the images are resized to, pixels.
        boxed: cut to the square around each face's landmarks first, as faces in photographs are; see
            ``crops.face_square``.
    Attributes:
        images: uint8 [N, 3, side, side], RGB.
        landmarks: [N, 68, 2] the truth, pixels of these images.
        labels: [N, 68, 2] what samples hold as their landmarks: the truth, or with noise.
        hardness: [N] in [0, 1]; see ``landmark_noise.face_hardness``.
        pose: [N] degrees by which the head is turned away from the camera.
        visibility: bool [N, 68], whether nothing hides the landmark.
        occluded: bool [N], whether a hand, a phone, a mug or a scarf is before the face.
        person: int64 [N] identity.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """

    def __init__(self, sets: Sequence[FaceDataset], side: int, *, boxed: bool = False) -> None:
        if not sets or not all(isinstance(faces, FaceDataset) for faces in sets):
            raise TypeError(f"sets must be a list of FaceDataset, one or more; got {describe(sets)}.")
        check_whole("side", side, 8, 4096)
        parts = [(_cut if boxed else _whole)(faces, side) for faces in sets]
        self.images, self.landmarks = (torch.cat(values) for values in zip(*parts, strict=True))
        self.labels = self.landmarks
        self.hardness = torch.cat([_hardness(faces) for faces in sets])
        self.pose = torch.cat([angular_error(faces.head, torch.zeros(2)) for faces in sets])
        self.visibility = torch.cat([faces.visibility for faces in sets])
        self.occluded = torch.cat([faces.factors.occluder != OCCLUDERS.index("none") for faces in sets])
        self.person = torch.cat([faces.person for faces in sets])
        self._domains = tuple(faces.domain for faces in sets)
        self._domain = torch.arange(len(sets)).repeat_interleave(torch.tensor([len(faces) for faces in sets]))

    @property
    def side(self) -> int:
        """Height and width of the images, pixels."""
        return self.images.shape[-1]

    def with_noise(self, level: float, seed: int) -> AlignmentFaces:
        """The same faces with labels as annotators might set them; the truth stays in ``landmarks``.

        Arguments and errors as in ``landmark_noise.noisy_labels``.
        """
        noisy = self.subset(torch.arange(len(self)))
        noisy.labels = noisy_labels(self.landmarks, self.hardness, level, seed)
        return noisy

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"AlignmentFaces({len(self)} images of {len(self.people)} people, {self.side} × {self.side})"

    def __getitem__(self, index: int) -> Sample:
        """One face with its label, noisy or not; negative numbers count from the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must lie in [{-len(self)}, {len(self) - 1}]; got {index}.")
        return Sample(
            image=self.images[index],
            landmarks=self.labels[index],
            person=int(self.person[index]),
            domain=self._domains[self._domain[index]],
        )

    def __getitems__(self, indices: Sequence[int] | Tensor) -> Sample:
        """The faces of one batch, collated."""
        chosen = torch.as_tensor(indices)
        return Sample(
            image=self.images.index_select(0, chosen),
            landmarks=self.labels[chosen],
            person=self.person[chosen],
            domain=[self._domains[number] for number in self._domain[chosen].tolist()],
        )

    def _keep(self, rows: Tensor) -> None:
        names = ("images", "landmarks", "labels", "hardness", "pose", "visibility", "occluded", "person", "_domain")
        for name in names:
            setattr(self, name, getattr(self, name)[rows])


def _whole(faces: FaceDataset, side: int) -> tuple[Tensor, Tensor]:
    """Images, resized, and their landmarks."""
    return resized(faces.images, side), faces.landmarks * (side / faces.images.shape[-1])


def _cut(faces: FaceDataset, side: int) -> tuple[Tensor, Tensor]:
    """The square around the landmarks of each image, and the landmarks in it."""
    images, points = [], []
    for image, landmarks in zip(faces.images, faces.landmarks, strict=True):
        low, high = landmarks.amin(0), landmarks.amax(0)
        square = face_square([*low.tolist(), *(high - low).tolist()])
        images.append(square.cut(image, side))
        points.append(square.locate(landmarks, side))
    return torch.stack(images), torch.stack(points)


def _hardness(faces: FaceDataset) -> Tensor:
    return face_hardness(faces.head, faces.visibility, blur_sigma(faces.factors, faces.images.shape[-1]))


def training_faces() -> AlignmentFaces:
    """What networks learn from: the training people of all domains."""
    return AlignmentFaces([FaceDataset(domain, "train") for domain in SOURCES], scale().side)


def test_faces() -> AlignmentFaces:
    """What they are tested on: other people of the same domains."""
    return AlignmentFaces([FaceDataset(domain, "test") for domain in SOURCES], scale().side)


# ---------------------------------------------------------------------- augmentation


@dataclass(frozen=True)
class Augmentation:
    """How training faces are changed, with the paper's values. Standardization is the network's first layer.

    Attributes:
        rotation: up to so many degrees either way.
        translation: up to so many sides of the image either way.
        scale: range of factors.
        mirror: probability.
        occlusion: area of the rectangle that covers a part of the image, as a share of the image's.
        occluded: probability of such a rectangle.
    """

    rotation: float = 40.0
    translation: float = 0.1
    scale: tuple[float, float] = (0.93, 1.07)
    mirror: float = 0.5
    occlusion: float = 0.2
    occluded: float = 0.5


PAPER = Augmentation()
MILD = Augmentation(rotation=10.0, translation=0.03, scale=(0.97, 1.03), occluded=0.3)
"""For faces that were cut upright and at one size, and trainings of a minute: large changes need more of them."""

DETECTED = Augmentation(rotation=30.0, scale=(0.8, 1.2), occluded=0.3)
"""For photographs: boxes of detectors lie beside the face by some hundredths of it and are too large or too small."""

UNCHANGED = Augmentation(rotation=0.0, translation=0.0, scale=(1.0, 1.0), mirror=0.0, occluded=0.0)


def augmentation() -> Augmentation:
    """Quick: mild changes. Full: the paper's."""
    return pick(quick=MILD, full=PAPER)


def augmented(batch: Sample, settings: Augmentation) -> Sample:
    """A batch, each face of it mirrored, turned, moved, scaled and covered at random, with its landmarks."""
    count, device = len(batch.image), batch.image.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, device=device)

    batch = mirror(batch, uniform(0, 1) < settings.mirror)
    turn, side = math.radians(settings.rotation), batch.image.shape[-1]
    shift = side * settings.translation * uniform(-1, 1, 2)
    batch = warped(batch, uniform(-turn, turn), uniform(*settings.scale), shift)
    size = _rectangles(uniform(0, 1), side, settings.occlusion)
    low = (side - size).clamp(min=0) * uniform(0, 1, 2)
    color = torch.randint(0, 256, (count, 3), dtype=torch.uint8, device=device)
    return covered(batch, uniform(0, 1) < settings.occluded, low, low + size, color)


def covered_faces(faces: AlignmentFaces, seed: int = 0) -> tuple[AlignmentFaces, Tensor]:
    """The same faces, each with a rectangle before a part of it, to be tested on: the truth is known below it, too.

    The rectangle has the paper's 20 % of the image's area and a random color, and lies around a random landmark.

    Args:
        faces: to cover; they stay as they are.
        seed: of place, form and color.
    Returns:
        The covered faces, and which landmarks are hidden by the rectangle: bool [N, 68].
    """
    generator = torch.Generator().manual_seed(check_whole("seed", seed, 0))
    count, side = len(faces), faces.side
    aspect, point = torch.rand(count, generator=generator), torch.randint(68, (count,), generator=generator)
    color = torch.randint(0, 256, (count, 3), generator=generator, dtype=torch.uint8)
    half = _rectangles(aspect, side, PAPER.occlusion) / 2
    center = faces.landmarks[torch.arange(count), point]
    result = faces.subset(torch.arange(count))
    whole = Sample(faces.images)
    result.images = covered(whole, torch.ones(count, dtype=torch.bool), center - half, center + half, color).image
    hidden = ((faces.landmarks - center.unsqueeze(1)).abs() <= half.unsqueeze(1)).all(2)
    return result, hidden


def _rectangles(draw: Tensor, side: int, area: float) -> Tensor:
    """Width and height [B, 2] in pixels of rectangles twice as wide as high to twice as high, from draws in [0, 1)."""
    aspect = (math.log(2.0) * (2 * draw - 1)).exp()  # width over height
    return side * torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=1)


# ---------------------------------------------------------------------- methods


def alignment_losses(penalty: Penalty, side: int, settings: Augmentation, matrix: Tensor | None = None) -> Losses:
    """``losses`` for ``train``: the penalty of the landmarks, and of their relative locations.

        L = L_landmarks + L_rel

    Args:
        penalty: of both.
        side: of the images, pixels.
        settings: how faces are changed before.
        matrix: Laplacian [N, N] of the graph; None leaves L_rel out.
    """

    def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
        warn_of_shares(batch.landmarks, penalty)  # before they are scaled
        batch = augmented(batch, settings)
        pred, target = model(batch.float_image()).float(), batch.landmarks * (PIXELS / side)
        terms = {"landmarks": landmark_loss(pred, target, penalty)}
        if matrix is not None:
            terms["relative location"] = relative_location_loss(pred, target, matrix.to(pred), penalty)
        return {"loss": sum(terms.values()), **terms}

    return losses


def alignment(
    labels: Tensor,
    side: int,
    head: str = "static",
    penalty: Penalty = soft_wing,
    *,
    relative_location: bool = True,
    k: int = 3,
    settings: Augmentation | None = None,
    sizes: Scale | None = None,
) -> Method:
    """A landmark network and how it is trained, for ``comparison.fit``.

    Graph and mean face come from the labels of the training faces, noisy as they may be: nobody has others.

    Args:
        labels: [M, N, 2] of the training faces, pixels of their images.
        side: of these images, pixels.
        head: "static", "dynamic" or "fc".
        penalty: of the residuals in pixels of 256².
        relative_location: add the relative location loss.
        k: neighbors per landmark.
        settings: how training faces are changed; default as the profile has it, ``UNCHANGED`` leaves them as they are.
        sizes: of the network; default as the profile has it. Its side is ``side``, whatever it says.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also where the graph cannot be
            made, as ``landmark_graph`` says.
    """
    check_choice("head", head, HEADS)
    check_whole("side", side, 8, 4096)
    sizes = sizes or scale()
    places = torch.as_tensor(check_array("labels", labels, ("M", "N", 2))) * (PIXELS / side)
    graph, mean_shape = landmark_graph(places, k), places.mean(0)

    def build(_: object) -> nn.Module:
        return StructureCoherentNet(
            len(graph), graph, sizes.backbone, head, side, graph_width=sizes.graph_width, mean_shape=mean_shape
        )

    matrix = laplacian(graph) if relative_location else None
    losses = alignment_losses(penalty, side, settings or augmentation(), matrix)
    return Method(f"{head} head", build, in_image_pixels, losses)


def in_image_pixels(model: nn.Module, batch: Sample) -> Tensor:
    """Landmarks [B, N, 2] of a batch, in pixels of its images."""
    return model(batch.float_image()) * (batch.image.shape[-1] / PIXELS)


def landmarks_of(model: nn.Module, faces: Dataset) -> Tensor:
    """What a network says of all faces [len(faces), N, 2], in pixels of their images."""
    return predict(model, faces, in_image_pixels)


@torch.no_grad()
def landmarks_in_photo(model: nn.Module, photo: Tensor, box: Sequence[float]) -> Tensor:
    """Landmarks [N, 2] of a face in a photograph, in its pixels.

    Args:
        model: a trained ``StructureCoherentNet``.
        photo: uint8 RGB [3, H, W].
        box: x, y, width and height of the face, pixels: from the brows to the chin, from ear to ear, as detectors and
            the data sets of the field have it.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    square = face_square(box)
    side = model.size[0]
    device = next(model.parameters()).device
    crop = square.cut(photo, side).to(device)
    with evaluating(model):
        points = in_image_pixels(model, Sample(crop[None]))[0].float().cpu()
    return square.place_back(points, side)


MOST_DOUBT = 0.1
"""Landmarks in a face and in its mirror image may be so many distances between the eyes apart, in the mean.

In ``results/detectors.json`` 95 % of the boxes on sharp faces are below 0.05; on what is no face they begin at 0.14.
"""


@torch.no_grad()
def landmarks_and_doubt(model: nn.Module, photo: Tensor, box: Sequence[float]) -> tuple[Tensor, float]:
    """Landmarks [N, 2] where it is not sure that a box holds a face, and how much to doubt it.

    A network answers whatever it is shown. So it is shown the box and its mirror image: on a face the two answers
    agree, on anything else they do not, and ``MOST_DOUBT`` parts them. Both are asked twice, the second time with the
    square around what they found first: networks are trained on squares around landmarks, which a detector's boxes and
    whole images only resemble.

    Args:
        model, photo, box: as in ``landmarks_in_photo``; N of 29, 68 or 98.
    Returns:
        The mean of both answers in pixels of the photograph, and their distance in distances between the eyes.
    """
    with evaluating(model):
        both = _in_both_views(model, photo, (face_square(box),) * 2)
        boxes = [[*points.amin(0).tolist(), *(points.amax(0) - points.amin(0)).tolist()] for points in both]
        seen, mirrored = _in_both_views(model, photo, [face_square(own) for own in boxes])
    return (seen + mirrored) / 2, float(nme(mirrored, seen, len(seen)))


def _in_both_views(model: nn.Module, photo: Tensor, squares: Sequence[Square]) -> list[Tensor]:
    """Landmarks in a square as it is, and in another one in the mirror; [N, 2] each, pixels of the photograph."""
    side, second = model.size[0], torch.tensor([False, True])
    views = mirror(Sample(torch.stack([square.cut(photo, side) for square in squares])), second)
    points = in_image_pixels(model, views.to(next(model.parameters()).device)).float().cpu()
    back = mirror(Sample(views.image, landmarks=points), second).landmarks
    return [square.place_back(own, side) for square, own in zip(squares, back, strict=True)]


# ---------------------------------------------------------------------- scores


@dataclass(frozen=True)
class Score:
    """How well a network places the landmarks of some faces.

    Attributes:
        nme: normalized mean error, by the inter-ocular distance, mean over faces; 0.05 is 5 %.
        nme_box: the same by the size of the face's box, which does not vanish in profile.
        failure_rate: share of faces with an NME above 0.1.
        auc: area under the cumulative error curve up to 0.1.
        faces: how many.
    """

    nme: float
    nme_box: float
    failure_rate: float
    auc: float
    faces: int


def score(pred: Tensor, target: Tensor) -> Score:
    """Score of predictions [B, N, 2] against true landmarks [B, N, 2], with N of 29, 68 or 98.

    Raises:
        TypeError, ValueError: as ``metrics.nme``.
    """
    scheme = target.shape[-2]
    errors = nme(pred, target, scheme)
    boxed = nme(pred, target, scheme, "box")
    return Score(float(errors.mean()), float(boxed.mean()), failure_rate(errors), auc(errors), len(errors))


def subsets(faces: AlignmentFaces) -> dict[str, Tensor]:
    """Masks, bool [N], of the faces that are looked at apart: by pose, by hardness (thirds), by what is before them."""
    masks = {"all": torch.ones(len(faces), dtype=torch.bool), "moderate pose": faces.pose <= MODERATE_POSE}
    masks |= {which: subset_of_hardness(faces.hardness, which) for which in SUBSETS}
    return masks | {"occluded": faces.occluded}


def scores(pred: Tensor, faces: AlignmentFaces) -> dict[str, Score]:
    """Score on every subset that holds a face, against the truth.

    Args:
        pred: [N, 68, 2] pixels of the images, from ``landmarks_of``.
    """
    check_array("pred", pred, tuple(faces.landmarks.shape))
    masks = subsets(faces)
    return {name: score(pred[rows], faces.landmarks[rows]) for name, rows in masks.items() if bool(rows.any())}
