"""The gaze systems by the names of the command line, and how each is trained: the course's way, or as in its paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from gazecourse import protocols
from gazecourse.angles import angular_error
from gazecourse.checkpoint import FILE_NAME, load_checkpoint
from gazecourse.clip_gaze_source import ClipGazeSource
from gazecourse.clip_gaze_training import ClipGazeSettings, clip_gaze, gaze_alone
from gazecourse.comparison import Method, Recipe, Size, size_of_profile
from gazecourse.cross_domain import NETWORKS, first_part, plain, purified, second_part, with_light
from gazecourse.errors import CourseError
from gazecourse.models.clip import load_course_clip
from gazecourse.models.pretrained import load_imagenet
from gazecourse.purification import Purification, three_adams
from gazecourse.sample import Sample
from gazecourse.trainable import Trainable, digits, summary
from gazecourse.training import OneCycle, Schedule, StepDecay, predict
from gazecourse.validation import check_choice

BETAS = (0.9, 0.95)
"""Of PureGaze's Adams."""
RELEASED = Purification(sigma=20**0.5 / 224, form="exponential")
"""PureGaze's game with the attention maps that its authors use."""

_ACROSS = {
    "full_face": (12.35, 30.15, 11.13, 14.42),
    "rt_gene": (None, None, 21.81, 38.60),
    "dilated_net": (None, None, 18.45, 23.88),
    "ca_net": (None, None, 27.13, 31.41),
    "resnet": (8.13, 7.74, 9.89, 11.42),
    "puregaze": (7.08, 7.48, 9.28, 9.32),
    "clip_gaze": (6.41, 7.51, 6.89, 7.06),
}
"""In the order of ``protocols.CROSS``: Cheng et al. 2022, table 1; CLIP-Gaze (Yin et al. 2024) as later papers do."""
_WITHIN = {
    "full_face": {"mpiifacegaze": 4.93, "eyediap": 6.53, "gaze360": 14.99},
    "rt_gene": {"mpiifacegaze": 4.66, "eyediap": 6.02, "gaze360": 12.26},
    "dilated_net": {"mpiifacegaze": 4.42, "eyediap": 6.19, "gaze360": 13.73},
    "ca_net": {"mpiifacegaze": 4.27, "eyediap": 5.27, "gaze360": 11.20},
}
"""Within one data set, by its own protocol (Cheng et al.'s survey, GazeHub)."""


def _published(name: str) -> dict[tuple[str, str], str]:
    across = dict(zip(protocols.CROSS, _ACROSS.get(name, ()), strict=False))
    within = {(data, data): error for data, error in _WITHIN.get(name, {}).items()}
    return {task: f"{error:.2f}" for task, error in (across | within).items() if error is not None}


PAPERS = {name: _published(name) for name in _ACROSS}
"""Gaze errors in degrees that papers report, as they are printed, by system and (source, target)."""


@dataclass(frozen=True)
class System(Trainable):
    """A gaze system.

    Attributes:
        title: as in tables.
        network: its name in ``cross_domain.NETWORKS``, or one of its own.
        purified: whether it is trained with an SA-module as opponent.
        needs: labels of a ``Sample`` that it looks at, besides the image.
    """

    title: str
    network: str
    purified: bool = False
    needs: tuple[str, ...] = ()
    measure: ClassVar[str] = "gaze error in degrees"

    def preset(self, name: str) -> Preset:
        """See ``preset_for``."""
        return preset_for(name, self)

    def size(self, source: str) -> Size:
        """The same for all sources."""
        return size_of_profile()

    def faces(self, name: str, role: str, size: Size) -> Dataset:
        """See ``protocols.faces``."""
        return protocols.faces(name, role, size.face)

    def folds(self, source: str, target: str | None, size: Size) -> list[protocols.Fold]:
        """See ``protocols.folds`` and ``protocols.training``."""
        if target is None:
            return [protocols.training(source, size.face)]
        return protocols.folds(source, target, size.face)

    def method(self, size: Size, opponent: Purification | None) -> Method:
        """How it is built, fed and trained; without an opponent's settings the opponent only watches."""
        return purified(self.network, size, opponent or Purification(w2=0.0)) if self.purified else plain(self.network)

    def learning(self, data: Dataset, size: Size, *, seed: int, folder: Path, precision: str) -> Learning:
        """The faces as they are, by ``method``."""
        return lambda part: (data, part.method(self, size))

    def check(self, batch: Sample, name: str) -> None:
        """Refuse faces without what the system ``needs``."""
        for label in self.needs:
            if getattr(batch, label) is None:
                raise CourseError(f"{self.title} needs {_WORDS[label]} of each face, and {name} has none.")

    def check_test(self, name: str) -> None:
        """Refuse a set for landmarks, and ETH-XGaze, whose test labels nobody has."""
        protocols.check_gaze(name)
        if protocols.base(name) == "eth_xgaze":
            raise CourseError(
                "ETH-XGaze keeps the labels of its test set: python -m gazecourse predict writes what its server "
                "scores."
            )

    def load(self, folder: Path, run: dict) -> tuple[nn.Module, Size]:
        """From the checkpoint of the last part."""
        size = Size(**run["size"])
        model = self.method(size, None).build(size)
        load_checkpoint(folder / f"part{run['parts']}" / FILE_NAME, model)
        return model, size

    def estimates(self, model: nn.Module, faces: Dataset, size: Size) -> Tensor:
        """Gaze [N, 2] (pitch, yaw) of faces, radians."""
        return predict(model, faces, self.method(size, None).forward)

    def score(self, estimated: Tensor, faces: Dataset) -> dict:
        """Angles in degrees."""
        return summary(angular_error(estimated, faces.gaze), faces)

    def describe(self, found: dict) -> str:
        """In a line."""
        interval = f"[{found['low']:.2f}, {found['high']:.2f}]"
        return f"{found['error']:.2f}° {interval}, {found['images']:,} images of {found['people']} people"

    def columns(self, estimated: Tensor, faces: Dataset) -> dict[str, list[str]]:
        """Angles in radians, and degrees of error where it is known."""
        columns = _angles("", estimated)
        if bool(faces.gaze.isnan().any()):
            return columns
        errors = digits(angular_error(estimated, faces.gaze).tolist(), 4)
        return {**columns, **_angles("true_", faces.gaze), "error": errors}


def _angles(prefix: str, gaze: Tensor) -> dict[str, list[str]]:
    return {prefix + name: digits(column.tolist(), 6) for name, column in zip(("pitch", "yaw"), gaze.T, strict=True)}


@dataclass(frozen=True)
class ClipGazeSystem(System):
    """CLIP-Gaze: prompts that are made for the people of the source join in where an opponent would.

    Nothing was released, so there is no preset of the paper's; the course's trains it as ``benchmarks/clip_gaze.py``
    does. Gaze is estimated without CLIP.

    Attributes:
        settings: of CLIP-Gaze.
    """

    settings: ClipGazeSettings = field(default_factory=ClipGazeSettings)

    def method(self, size: Size, opponent: Purification | None) -> Method:
        """The network with the gaze loss alone."""
        return gaze_alone(load_course_clip())

    def learning(self, data: Dataset, size: Size, *, seed: int, folder: Path, precision: str) -> Learning:
        """Faces as they are in parts without an opponent; in others with what CLIP sees in them, and prompts.

        Raises:
            CourseError: nobody's identity can be fitted.
        """
        clip = load_course_clip().to("cuda" if torch.cuda.is_available() else "cpu")
        source = ClipGazeSource(data, clip, folder, self.settings, seed, precision)
        source.require_identity()

        def learn(part: Part) -> tuple[Dataset, Method]:
            method = part.method(self, size)
            if part.opponent is None:
                return data, method
            with_prompts = clip_gaze(clip, source.prompts(), self.settings)
            return source.looked_at, replace(with_prompts, optimizers=method.optimizers)

        return learn


_WORDS = {"landmarks": "the landmarks", "head": "the head pose"}
SYSTEMS = {
    "full_face": System("Full-Face", "Full-Face"),
    "full_face_purified": System("Full-Face + SA-module", "Full-Face", True),
    "rt_gene": System("RT-Gene", "RT-Gene", needs=("landmarks", "head")),
    "dilated_net": System("Dilated-Net", "Dilated-Net", needs=("landmarks",)),
    "ca_net": System("CA-Net", "CA-Net", needs=("landmarks",)),
    "ca_net_purified": System("CA-Net + SA-module", "CA-Net", True, needs=("landmarks",)),
    "resnet": System("Baseline", "ResNet"),
    "puregaze": System("PureGaze", "ResNet", True),
    "clip_gaze": ClipGazeSystem("CLIP-Gaze", "CLIP-Gaze"),
}
"""What ``python -m gazecourse train`` trains."""


@dataclass(frozen=True)
class Part:
    """A stretch of training.

    Attributes:
        recipe: epochs, batch size and peak learning rate.
        schedule: of the learning rate.
        optimizers: instead of the method's own.
        opponent: settings of the game; None has an opponent watch, and CLIP-Gaze learn with the gaze loss alone.
        change: of the method, such as ``cross_domain.with_light``.
    """

    recipe: Recipe
    schedule: Schedule = field(default_factory=OneCycle)
    optimizers: Callable[[nn.Module, float], list[Optimizer]] | None = None
    opponent: Purification | None = None
    change: Callable[[Method], Method] | None = None

    def method(self, system: System, size: Size) -> Method:
        """The system's method with this part's change and optimizers."""
        method = system.method(size, self.opponent)
        method = method if self.change is None else self.change(method)
        return method if self.optimizers is None else replace(method, optimizers=self.optimizers)


Learning = Callable[[Part], tuple[Dataset, Method]]
"""From a part of a training to what it learns from, and how."""


@dataclass(frozen=True)
class Preset:
    """A named way to train.

    Attributes:
        origin: where the numbers come from.
        parts: one after the other, each beginning with the weights of the one before.
        imagenet: begin with ImageNet weights, where the network is of their size and they can be had.
        networks: it is meant for systems with these, see ``System.network``; None for all.
    """

    origin: str
    parts: Callable[[], Sequence[Part]]
    imagenet: bool = False
    networks: tuple[str, ...] | None = None


def paper_adams(model: nn.Module, rate: float) -> list[Optimizer]:
    """PureGaze's Adams; a single one for a network without an opponent."""
    if hasattr(model, "sa_module"):
        return three_adams(model, rate)
    return [torch.optim.Adam(model.parameters(), lr=rate, betas=BETAS)]


def nesterov(model: nn.Module, rate: float) -> list[Optimizer]:
    """SGD with Nesterov's momentum of 0.9 and a weight decay of 1e-4; the opponent, if any, gets an Adam."""
    settings = {"lr": rate, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}
    if not hasattr(model, "sa_module"):
        return [torch.optim.SGD(model.parameters(), **settings)]
    decoder = {id(parameter) for parameter in model.sa_module.parameters()}
    gaze_side = [parameter for parameter in model.parameters() if id(parameter) not in decoder]
    return [torch.optim.SGD(gaze_side, **settings), torch.optim.Adam(model.sa_module.parameters(), lr=1e-4)]


def _as_puregaze(epochs: int, batch_size: int) -> Callable[[], Sequence[Part]]:
    return lambda: [Part(Recipe(epochs, batch_size, 1e-4), StepDecay(), paper_adams, RELEASED)]


PRESETS = {
    "course": Preset(
        "the course's own, for the profile in use: a first part in which the opponent watches, then the second",
        lambda: [Part(first_part()), Part(second_part(), opponent=Purification())],
    ),
    "light": Preset(
        "the course's own with the light of half of the faces changed at random: gaze moves less in darker pictures, "
        "at a price in well-lit ones (results/real_photos.json)",
        lambda: [
            Part(first_part(), change=with_light),
            Part(second_part(), opponent=Purification(), change=with_light),
        ],
        networks=tuple(NETWORKS),  # all but CLIP-Gaze: what CLIP sees in a face is looked up, and is of its own light
    ),
    "puregaze-eth_xgaze": Preset(
        "Cheng et al. 2022 on ETH-XGaze: Adam 1e-4, betas 0.9 and 0.95, batches of 50, 5 epochs",
        _as_puregaze(5, 50),
        imagenet=True,
        networks=("ResNet", "Full-Face", "CA-Net"),
    ),
    "puregaze-gaze360": Preset(
        "Cheng et al. 2022 on Gaze360: Adam 1e-4, betas 0.9 and 0.95, batches of 24, 100 epochs",
        _as_puregaze(100, 24),
        imagenet=True,
        networks=("ResNet", "Full-Face", "CA-Net"),
    ),
    "full_face-mpiifacegaze": Preset(
        "a known re-implementation of Zhang et al. 2017 on MPIIFaceGaze: SGD 0.01 with Nesterov's momentum, weight "
        "decay 1e-4, batches of 32, 15 epochs, a tenth of the rate after 10 and 13",
        lambda: [Part(Recipe(15, 32, 0.01), StepDecay((10 / 15, 13 / 15)), nesterov, Purification())],
        networks=("Full-Face",),
    ),
}
"""Ways to train, by name. Faces are mirrored and their landmarks shaken in all of them."""


def preset_for(name: str, system: System) -> Preset:
    """The preset of that name.

    Raises:
        ValueError: there is none, or it is meant for other systems.
    """
    check_choice("preset", name, tuple(PRESETS))
    preset = PRESETS[name]
    if preset.networks is not None and system.network not in preset.networks:
        fitting = [key for key, other in SYSTEMS.items() if other.network in preset.networks]
        raise ValueError(f"preset {name} is meant for {', '.join(fitting)}; got {system.title}.")
    return preset


def with_imagenet(method: Method) -> Method:
    """The method, its ResNet begun with ImageNet weights where they fit and can be had; prints which it was."""

    def build(size: Size) -> nn.Module:
        model = method.build(size)
        fits = size.width == 1 and hasattr(model, "backbone")
        print(
            load_imagenet(model.backbone, "resnet18", without="fc.")
            if fits
            else "random weights: those of ImageNet are for ResNets of the full width (--profile full)"
        )
        return model

    return replace(method, build=build)
