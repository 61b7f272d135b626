"""The landmark systems by the names of the command line, and how each is trained: the course's way, or the paper's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset, Subset

from gazecourse import protocols
from gazecourse.alignment import (
    PAPER,
    AlignmentFaces,
    Augmentation,
    Scale,
    alignment,
    augmentation,
    landmarks_of,
    recipe,
    scale,
    score,
    subsets,
)
from gazecourse.checkpoint import save_checkpoint
from gazecourse.comparison import Method, Recipe, adam
from gazecourse.datasets.releases import LANDMARK_SETS
from gazecourse.datasets.store import StoredFaces, find
from gazecourse.errors import CourseError
from gazecourse.faces.dataset import FaceDataset
from gazecourse.faces.domains import DOMAINS
from gazecourse.losses.landmarks import Penalty, soft_wing, wing
from gazecourse.metrics import nme
from gazecourse.models.structure_coherent import load_landmark_net
from gazecourse.pose_balance import balanced_over_pose
from gazecourse.profiles import pick
from gazecourse.trainable import Trainable, digits, summary
from gazecourse.training import OneCycle, Schedule, StepDecay
from gazecourse.validation import check_choice

NETWORK = "network.safetensors"
"""A run's trained network, in its folder: weights, graph and mean face."""
POINTS = {"wflw": 98, "300w": 68, "cofw": 29} | dict.fromkeys((*DOMAINS, protocols.RENDERED), 68)
"""Landmarks of a face, by set. Between sets of one scheme a network trained on the one can be tested on the other."""
_NME = {"wflw": "4.35–4.40", "300w": "3.28", "cofw": "3.63"}
PAPERS = {"structure_coherent": {(name, name): error for name, error in _NME.items()}}
"""NME in percent that Lin et al. 2021 report, as printed, by system and (source, target); of 300W on its full test."""


# ---------------------------------------------------------------------- sets


def real_scale() -> Scale:
    """Sizes for photographs. Quick: faces of 64² and a small ResNet. Full: the paper's, on faces of 256²."""
    return pick(quick=Scale(64, "small", 32), full=Scale(256, "resnet34", 128))


def landmark_faces(name: str, role: str, side: int) -> AlignmentFaces | StoredFaces:
    """Training or test faces of a set, each in the square around its landmarks or around its box.

    Args:
        name: a rendered domain, "rendered" for all of them, or a prepared set for landmarks.
        role: "train" or "test".
        side: height and width of the faces in pixels.
    Raises:
        ValueError, FileNotFoundError, CourseError: no such set, not prepared, damaged, not for this role, or for gaze.
    """
    points_of(name)
    known = protocols.base(name)
    if known in LANDMARK_SETS:
        return protocols.stored_faces(name, role, [role], side)
    if known == protocols.RENDERED and role == "test":
        raise CourseError(protocols.ONLY_A_SOURCE)
    domains = DOMAINS if known == protocols.RENDERED else (known,)
    return AlignmentFaces([FaceDataset(domain, role) for domain in domains], side, boxed=True)


def points_of(name: str) -> int:
    """Landmarks of a face of a set.

    Raises:
        ValueError, CourseError: there is no such set, or it is one for gaze.
    """
    known = protocols.base(name)
    if known not in POINTS:
        raise CourseError(
            f"{known} is for gaze and has no landmarks to learn; those for landmarks: {', '.join(POINTS)}."
        )
    return POINTS[known]


def photo_subsets(faces: Dataset) -> dict[str, Tensor]:
    """Masks, bool [N]: all photographs, those that a factor flags, and "common" of 300W. A mask may choose nobody.

    Args:
        faces: a data set with ``factors``, of photographs.
    """
    masks = {"all": torch.ones(len(faces), dtype=torch.bool)}
    for name, values in faces.factors.items():
        masks[name] = values.bool() if values.ndim == 1 else values.bool().any(1)
    if "challenge" in masks:
        masks["common"] = ~masks["challenge"]
    return masks


# ---------------------------------------------------------------------- training


@dataclass(frozen=True)
class LandmarkPart:
    """A stretch of training.

    Attributes:
        recipe: epochs, batch size and peak learning rate. schedule: of the learning rate.
        augmentation: how training faces are changed.
        optimizers: of a network, with a peak learning rate.
        bins: of yaw, as landmarks tell it, that are made equally frequent; 1 leaves faces as they are.
    """

    recipe: Recipe
    schedule: Schedule = field(default_factory=OneCycle)
    augmentation: Augmentation = PAPER
    optimizers: Callable[[nn.Module, float], list[Optimizer]] = adam
    bins: int = 9

    def lesson(self, system: LandmarkSystem, size: Scale, data: Dataset, seed: int) -> tuple[Dataset, Method]:
        """The training faces, those of rare poses several times, and the method for them."""
        method = alignment(
            data.landmarks,
            size.side,
            system.head,
            system.penalty,
            relative_location=system.relative_location,
            settings=self.augmentation,
            sizes=size,
        )
        rows = balanced_over_pose(data.landmarks, self.bins, seed=seed)
        return Subset(data, rows.tolist()), replace(method, optimizers=self.optimizers)


@dataclass(frozen=True)
class LandmarkPreset:
    """A named way to train.

    Attributes:
        origin: where the numbers come from. parts: of the training.
    """

    origin: str
    parts: Callable[[], Sequence[LandmarkPart]]
    imagenet: ClassVar[bool] = False


def momentum(model: nn.Module, rate: float) -> list[Optimizer]:
    """The paper's: SGD with a momentum of 0.9 and a weight decay of 5e-4."""
    return [torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)]


LANDMARK_PRESETS = {
    "course": LandmarkPreset(
        "the course's own, for the profile in use",
        lambda: [LandmarkPart(recipe(), augmentation=augmentation(), bins=1)],
    ),
    "sdfl": LandmarkPreset(
        "Lin et al. 2021: SGD 0.01, momentum 0.9, weight decay 5e-4, batches of 64, 500 epochs, a fifth of the rate "
        "after 200 and 350; faces balanced over pose",
        lambda: [LandmarkPart(Recipe(500, 64, 0.01), StepDecay((0.4, 0.7), 0.2), PAPER, momentum)],
    ),
}
"""Ways to train landmark systems, by name."""


# ---------------------------------------------------------------------- systems


def network_of(folder: Path) -> Path:
    """The file of a run's trained network.

    Raises:
        FileNotFoundError: it is not there.
    """
    if not (folder / NETWORK).is_file():
        raise FileNotFoundError(f"{folder / NETWORK} is missing: the same train command writes it again.")
    return folder / NETWORK


@dataclass(frozen=True)
class LandmarkSystem(Trainable):
    """A landmark network with its loss.

    Attributes:
        title: as in tables.
        head: "static", "dynamic" or "fc".
        penalty: of the residuals. relative_location: whether L_rel is added.
    """

    title: str
    head: str
    penalty: Penalty = soft_wing
    relative_location: bool = True
    measure: ClassVar[str] = "NME by the distance of the outer eye corners in percent"

    def preset(self, name: str) -> LandmarkPreset:
        """All are meant for all systems."""
        return LANDMARK_PRESETS[check_choice("preset", name, tuple(LANDMARK_PRESETS))]

    def size(self, source: str) -> Scale:
        """Photographs are looked at in the paper's size, rendered faces in their own."""
        return real_scale() if protocols.is_real(source) else scale()

    def faces(self, name: str, role: str, size: Scale) -> AlignmentFaces | StoredFaces:
        """See ``landmark_faces``."""
        return landmark_faces(name, role, size.side)

    def folds(self, source: str, target: str | None, size: Scale) -> list[protocols.Fold]:
        """One training on the training faces of a set, and the test faces of another, or the same.

        Raises:
            ValueError, FileNotFoundError, CourseError: see ``landmark_faces``; or the sets have other landmarks.
        """
        if target is not None and protocols.base(target) == protocols.RENDERED:  # now, and not after the training
            raise CourseError(protocols.ONLY_A_SOURCE)
        target = target or source
        mine, others = points_of(source), points_of(target)
        if mine != others:
            raise ValueError(f"target must have the landmarks of the source, {source}: {mine}; {target} has {others}.")
        for name in filter(protocols.is_real, (source, target)):
            find(name)
        train, test = (
            partial(landmark_faces, name, role, size.side) for name, role in ((source, "train"), (target, "test"))
        )
        return [protocols.Fold("", train, test)]

    def learning(
        self, data: AlignmentFaces | StoredFaces, size: Scale, *, seed: int, folder: Path, precision: str
    ) -> Callable[[LandmarkPart], tuple[Dataset, Method]]:
        """See ``LandmarkPart.lesson``."""
        return lambda part: part.lesson(self, size, data, seed)

    def check_test(self, name: str) -> None:
        """Refuse a set for gaze."""
        points_of(name)

    def keep(self, model: nn.Module, folder: Path) -> None:
        """The network with its graph and mean face, which come from the training faces."""
        save_checkpoint(folder / NETWORK, model, state={"settings": model.settings})

    def load(self, folder: Path, run: dict) -> tuple[nn.Module, Scale]:
        """From what ``keep`` wrote."""
        return load_landmark_net(network_of(folder)), Scale(**run["size"])

    def estimates(self, model: nn.Module, faces: Dataset, size: Scale) -> Tensor:
        """Landmarks [N, P, 2] of faces, pixels of their images.

        Raises:
            ValueError: the network knows other landmarks than the faces have.
        """
        if model.points != faces.landmarks.shape[1]:
            raise ValueError(f"faces must have {model.points} landmarks for this run; got {faces.landmarks.shape[1]}.")
        return landmarks_of(model, faces)

    def score(self, estimated: Tensor, faces: AlignmentFaces | StoredFaces) -> dict:
        """NME in percent, and of each of the "subsets" NME and failures in percent, and AUC."""
        masks = subsets(faces) if isinstance(faces, AlignmentFaces) else photo_subsets(faces)
        parts = {name: rows for name, rows in masks.items() if bool(rows.any())}
        scores = {name: score(estimated[rows], faces.landmarks[rows]) for name, rows in parts.items()}
        return {
            **summary(_errors(estimated, faces), faces),
            "subsets": {
                name: {
                    "nme": round(100 * own.nme, 4),
                    "failures": round(100 * own.failure_rate, 2),
                    "auc": round(own.auc, 4),
                    "images": own.faces,
                }
                for name, own in scores.items()
            },
        }

    def describe(self, found: dict) -> str:
        """In a line, and one for each subset."""
        whole = found["subsets"]["all"]
        lines = [
            f"NME {found['error']:.2f} % [{found['low']:.2f}, {found['high']:.2f}], "
            f"failures {whole['failures']:.1f} %, AUC {whole['auc']:.3f}, {found['images']:,} faces"
        ]
        lines += [
            f"    {name}: {own['nme']:.2f} %, failures {own['failures']:.1f} %, {own['images']:,} faces"
            for name, own in found["subsets"].items()
            if name != "all"
        ]
        return "\n".join(lines)

    def columns(self, estimated: Tensor, faces: AlignmentFaces | StoredFaces) -> dict[str, list[str]]:
        """x and y of every landmark in pixels, and the NME in percent."""
        found = {
            f"{letter}{point}": digits(estimated[:, point, axis].tolist(), 3)
            for point in range(estimated.shape[1])
            for axis, letter in enumerate("xy")
        }
        return {**found, "error": digits(_errors(estimated, faces).tolist(), 4)}


def _errors(estimated: Tensor, faces: AlignmentFaces | StoredFaces) -> np.ndarray:
    """NME [N] in percent."""
    return 100 * nme(estimated, faces.landmarks, faces.landmarks.shape[1])


LANDMARK_SYSTEMS = {
    "structure_coherent": LandmarkSystem("Structure-coherent, static graph", "static"),
    "structure_coherent_dynamic": LandmarkSystem("Structure-coherent, dynamic graph", "dynamic"),
    "landmarks_fc": LandmarkSystem("Fully connected, soft wing", "fc", relative_location=False),
    "landmarks_fc_wing": LandmarkSystem("Fully connected, wing", "fc", wing, relative_location=False),
}
"""What ``python -m gazecourse train`` trains on landmarks."""
