"""Full-Face's comparison: every method in one form, one way to train them, one protocol to test them.

The methods are those of the paper's tables. Each is built for a size, fed from a ``Sample`` and trained with the same
loss, the same number of epochs and the same optimizer, on the same people. Two need no training by gradient descent:
the head pose taken as gaze, and a linear regression from head pose to gaze.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gazecourse.augment import randomly_mirrored, shaken_landmarks
from gazecourse.batches import seed_all
from gazecourse.crops import eye_crops, face_grid
from gazecourse.losses import gaze_l1
from gazecourse.models import EyeNet, FullFace, ITracker
from gazecourse.profiles import pick
from gazecourse.sample import Sample
from gazecourse.training import Backward, Losses, OneCycle, Schedule, Settings, backward_total, train
from gazecourse.validation import check_array, check_whole

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch.utils.data import Dataset

    from gazecourse.history import History
    from gazecourse.logbook import Observer

EYE_SIZE = (36, 60)


@dataclass(frozen=True)
class Size:
    """How large the networks are. The papers' channel numbers are at ``width`` 1.

    Attributes:
        face: height and width of the face image in pixels.
        width: factor of all channel numbers.
        stride: of conv1 on faces; with 2, a face of 112 pixels gives the 6 × 6 maps of one of 224.
    """

    face: int
    width: float
    stride: int


def size_of_profile() -> Size:
    """Quick: faces of 112², a quarter of AlexNet's channels. Full: faces of 224² and all channels."""
    return pick(quick=Size(face=112, width=0.25, stride=2), full=Size(face=224, width=1.0, stride=4))


def adam(model: nn.Module, rate: float) -> list[Optimizer]:
    """One Adam for everything."""
    return [torch.optim.Adam(model.parameters(), lr=rate)]


@dataclass(frozen=True)
class Method:
    """One row of the comparison.

    Attributes:
        name: as in tables.
        build: makes the network for a size.
        forward: gaze [B, 2] (pitch, yaw), radians, of a batch.
        losses: what is minimized; None for ``gaze_losses(forward)``.
        optimizers: of a network, with a peak learning rate.
        backward: how gradients reach the parameters.
    """

    name: str
    build: Callable[[Size], nn.Module]
    forward: Callable[[nn.Module, Sample], Tensor]
    losses: Losses | None = None
    optimizers: Callable[[nn.Module, float], list[Optimizer]] = adam
    backward: Backward = backward_total


def _eyes(count: int, head_pose: bool) -> Callable[[Size], nn.Module]:
    return lambda size: EyeNet(count, EYE_SIZE, head_pose=head_pose, width=size.width)


def _itracker(face_only: bool) -> Callable[[Size], nn.Module]:
    return lambda size: ITracker(size.face, face_only=face_only, width=size.width, stride=size.stride)


def _full_face(spatial_weights: bool) -> Callable[[Size], nn.Module]:
    # PyTorch's initialization: the deviations made for 43,264 inputs leave a small network almost without a signal.
    return lambda size: FullFace(
        size.face,
        form="two_tower",
        width=size.width,
        stride=size.stride,
        spatial_weights=spatial_weights,
        weights_std=None,
    )


def from_eyes(model: nn.Module, batch: Sample) -> Tensor:
    """Gaze from eye crops and head pose."""
    right, left = eye_crops(batch.float_image(), batch.landmarks, EYE_SIZE)
    return model(right, left, batch.head)


def from_face(model: nn.Module, batch: Sample) -> Tensor:
    """Gaze from the whole face."""
    return model(batch.float_image())


def from_everything(model: nn.Module, batch: Sample) -> Tensor:
    """Gaze from face, eye crops and face grid."""
    if batch.face_center is None:
        raise ValueError("batch.face_center must be [B, 3]; got None: without it there is no face grid.")
    right, left = eye_crops(batch.float_image(), batch.landmarks, EYE_SIZE)
    return model(batch.float_image(), right, left, face_grid(batch.face_center))


METHODS = {
    method.name: method
    for method in (
        Method("single eye", _eyes(1, head_pose=False), from_eyes),
        Method("two eyes", _eyes(2, head_pose=False), from_eyes),
        Method("two eyes and head pose", _eyes(2, head_pose=True), from_eyes),
        Method("iTracker", _itracker(face_only=False), from_everything),
        Method("iTracker (face only)", _itracker(face_only=True), from_face),
        Method("Full-Face without weights", _full_face(spatial_weights=False), from_face),
        Method("Full-Face", _full_face(spatial_weights=True), from_face),
    )
}
"""The trained methods, from the least to the most that a network sees."""


def augmented(batch: Sample) -> Sample:
    """Half of the faces mirrored, their landmarks off by a pixel."""
    batch = randomly_mirrored(batch)
    return batch if batch.landmarks is None else shaken_landmarks(batch)


def gaze_losses(forward: Callable[[nn.Module, Sample], Tensor]) -> Losses:
    """``losses`` for ``train``: L1 on augmented faces."""

    def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
        batch = augmented(batch)
        return {"loss": gaze_l1(forward(model, batch).float(), batch.gaze)}

    return losses


@dataclass(frozen=True)
class Recipe:
    """How every method is trained: Adam, one cycle, L1.

    ``rate`` is the peak learning rate; the other names are those of ``training.Settings``.
    """

    epochs: int = 10
    batch_size: int = 50
    rate: float = 1e-3


def fit(
    method: Method,
    data: Dataset,
    recipe: Recipe = Recipe(),
    *,
    size: Size | None = None,
    seed: int = 0,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    observer: Observer | None = None,
    fabric: Fabric | None = None,
    schedule: Schedule | None = None,
    folder: Path | None = None,
    resume: bool = False,
    workers: int = 0,
) -> tuple[nn.Module, History]:
    """A network of one method, trained on ``data``, and what its training recorded.

    Args:
        size: default that of the profile. seed: of initial weights, data order and augmentation.
        evaluate, observer, fabric, schedule, folder, resume: as in ``training.train``.
        workers: processes that load data, for sets that are not in memory.
    """
    seed_all(seed)
    model = method.build(size or size_of_profile())
    history = train(
        model,
        method.losses or gaze_losses(method.forward),
        data,
        method.optimizers(model, recipe.rate),
        Settings(recipe.epochs, min(recipe.batch_size, len(data)), seed=seed, workers=workers),
        schedule=schedule or OneCycle(),
        backward=method.backward,
        evaluate=evaluate,
        observer=observer,
        folder=folder,
        resume=resume,
        fabric=fabric,
    )
    return model, history


def regress_head_pose(head: Tensor, gaze: Tensor) -> Callable[[Tensor], Tensor]:
    """Linear regression from head pose to gaze: ĝ = A h + b by least squares.

    Args:
        head, gaze: [N, 2] (pitch, yaw), radians; N of 3 or more.
    Returns:
        A function from head poses [M, 2] to gaze [M, 2].
    """
    head = torch.as_tensor(check_array("head", head, ("N", 2)))
    gaze = torch.as_tensor(check_array("gaze", gaze, (len(head), 2)))
    if len(head) < 3:
        raise ValueError(f"head must hold three poses or more, for a line has three unknowns; got {len(head)}.")
    design = torch.cat([head, torch.ones_like(head[:, :1])], dim=1).double()
    solution = torch.linalg.lstsq(design, gaze.double()).solution

    def predict(other: Tensor) -> Tensor:
        other = torch.as_tensor(check_array("head", other, ("N", 2)))
        return (torch.cat([other, torch.ones_like(other[:, :1])], dim=1).double() @ solution).to(other.dtype)

    return predict


def groups_of_people(people: Sequence[int], groups: int, seed: int = 0) -> list[list[int]]:
    """Leave-one-group-out: everybody is in exactly one group, groups differ by at most one person.

    Args:
        people: identities, as ``FaceDataset.people``.
        groups: how many; as many as people means leave-one-person-out.
        seed: which people share a group.
    Raises:
        ValueError: fewer than 2 groups, more than people, or somebody named twice.
    """
    check_whole("groups", groups, 2, len(people))
    if len(set(people)) != len(people):
        raise ValueError("people must name everybody once; somebody is named twice.")
    order = np.random.default_rng(seed).permutation(np.asarray(people))
    return [sorted(part.tolist()) for part in np.array_split(order, groups)]
