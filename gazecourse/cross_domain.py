"""PureGaze's four cross-domain tasks: train on one domain, be tested on another that nobody looked at in between.

Every network is trained in two parts. In the first it learns gaze, as the ImageNet weights and long schedules of the
papers would have it learn before. In the second it goes on from there, once plainly and once with an opponent: the two
differ in nothing but the purification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gazecourse.augment import randomly_blurred, randomly_lit
from gazecourse.comparison import (
    EYE_SIZE,
    METHODS,
    Method,
    Recipe,
    Size,
    augmented,
    from_eyes,
    from_face,
    gaze_losses,
)
from gazecourse.crops import Band, eye_crops
from gazecourse.faces.dataset import FaceDataset, face_set
from gazecourse.faces.shards import FaceSet
from gazecourse.losses import gaze_l1
from gazecourse.models import CANet, DilatedNet, DomainAdversarial, PureGaze, ResNetGaze, RTGene, purify
from gazecourse.models.pretrained import load_weights
from gazecourse.models.puregaze import WIDTHS
from gazecourse.profiles import pick
from gazecourse.purification import Purification, purification_losses, self_adversarial_backward, three_adams
from gazecourse.sample import Sample
from gazecourse.validation import check_choice

SOURCES, TARGETS = ("studio", "wild"), ("laptop", "lab")
DILATED_EYE_SIZE = (64, 96)
FEW = 90
"""Labeled target faces to fine-tune with."""
OPPONENTS = ("sa_module.", "domain.")
"""How the layers of the opponents begin."""
DOMAIN_WEIGHT = 0.1
"""Of the domain loss beside the gaze loss, which is about as large."""


@dataclass(frozen=True)
class Task:
    """Train on ``source``, be tested on ``target``.

    Raises:
        ValueError: no domain of that role; a target's images must not be trained on.
    """

    source: str
    target: str

    def __post_init__(self) -> None:
        if self.source in TARGETS and self.source == self.target:
            raise ValueError(f"source must not be the target domain; got {self.source!r} for both.")
        check_choice("source", self.source, SOURCES)
        check_choice("target", self.target, TARGETS)

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"


TASKS = tuple(Task(source, target) for source in SOURCES for target in TARGETS)


def source_set(domain: str) -> FaceSet:
    """Which faces networks are trained on."""
    check_choice("domain", domain, SOURCES)
    return face_set(domain, "train")


def source_faces(domain: str) -> FaceDataset:
    """What networks are trained on."""
    check_choice("domain", domain, SOURCES)
    return FaceDataset(domain, "train")


def test_faces(domain: str) -> FaceDataset:
    """What networks are tested on: people whom no training set holds."""
    return FaceDataset(domain, "test", **pick(quick={"people": 40, "images": 2_000}, full={}))


def target_faces(domain: str) -> FaceDataset:
    """Other people of a target domain, for methods that may look at it: fine-tuning and domain-adversarial learning."""
    check_choice("domain", domain, TARGETS)
    return FaceDataset(domain, "train")


def few_faces(domain: str, seed: int = 0) -> FaceDataset:
    """The 90 labeled target faces of the paper's last row, "fewer than 100", drawn by ``seed`` from those people."""
    faces = target_faces(domain)
    order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(seed))
    return faces.subset(order[:FEW])


def first_part() -> Recipe:
    """How a network learns gaze."""
    return pick(quick=Recipe(epochs=4, rate=2e-3), full=Recipe(epochs=15, rate=1e-3))


def second_part() -> Recipe:
    """How it goes on, plainly or with an opponent."""
    return pick(quick=Recipe(epochs=2, rate=1e-3), full=Recipe(epochs=5, rate=5e-4))


def opponent() -> Purification:
    """How hard the opponent plays.

    The paper's setting; on two cores, where a second part lasts a minute or two, with five times the adversarial loss,
    so that the game is felt in that time. No target domain was looked at for it; the ablations of
    ``benchmarks/puregaze.py`` have other weights.
    """
    return pick(quick=Purification(w2=5.0), full=Purification())


def fine_tuning() -> Recipe:
    """How it learns from a few target faces."""
    return Recipe(epochs=20, batch_size=30, rate=3e-4)


def face_band() -> Band:
    """What the ResNets see of a face: all of it, or on two cores the band with the eyes, enlarged."""
    return pick(quick=Band((96, 224), 1 / 7, 4 / 7), full=Band((224, 224)))


def decoder_widths() -> tuple[int, ...]:
    """Stages of PureGaze's SA-module: 7 × 7 maps become 224 × 224, or on two cores 3 × 7 maps 12 × 28."""
    return pick(quick=(32, 16), full=WIDTHS)


def plugged_widths() -> tuple[int, ...] | None:
    """Stages of an SA-module in another network; None for as many as its maps can be doubled."""
    return pick(quick=(32, 16), full=None)


# --- networks -----------------------------------------------------------------------------------


def from_band(model: nn.Module, batch: Sample) -> Tensor:
    """Gaze from the profile's part of the face."""
    return model(face_band().cut(batch.float_image()))


def from_face_and_eyes(model: nn.Module, batch: Sample) -> Tensor:
    """Gaze from the face and CA-Net's eye crops."""
    return model(batch.float_image(), *eye_crops(batch.float_image(), batch.landmarks, EYE_SIZE))


def from_face_and_large_eyes(model: nn.Module, batch: Sample) -> Tensor:
    """Gaze from the face and Dilated-Net's eye crops."""
    return model(batch.float_image(), *eye_crops(batch.float_image(), batch.landmarks, DILATED_EYE_SIZE))


@dataclass(frozen=True)
class Network:
    """A gaze network of the tables, and how it is fed.

    Attributes:
        build: makes it for a size.
        forward: gaze [B, 2] (pitch, yaw), radians, of a batch.
        purified: makes it with an SA-module; None where the paper plugs none in.
        band: the part of the face that the SA-module draws.
    """

    build: Callable[[Size], nn.Module]
    forward: Callable[[nn.Module, Sample], Tensor]
    purified: Callable[[Size], nn.Module] | None = None
    band: Callable[[Size], Band] = lambda size: Band((size.face, size.face))


def _plugged(build: Callable[[Size], nn.Module]) -> Callable[[Size], nn.Module]:
    return lambda size: purify(build(size), widths=plugged_widths())


def _vgg(kind: type[nn.Module], *sizes: object) -> Callable[[Size], nn.Module]:
    # VGG's convolutions cost several times as much as the other networks': half their width is about as much work.
    return lambda size: kind(*(sizes or (size.face,)), width=size.width / 2)


def _dilated_net(size: Size) -> nn.Module:
    # Of the 32 units that the face ends in, an eighth of the width leaves 4: with half of them dropped, and half of the
    # next layers' too, the network does not even learn the head pose in the passes that it has.
    return DilatedNet(size.face, width=size.width / 2, dropout=0.5 if size.width == 1 else 0.0)


NETWORKS = {
    "Full-Face": Network(METHODS["Full-Face"].build, from_face, _plugged(METHODS["Full-Face"].build)),
    "RT-Gene": Network(_vgg(RTGene, EYE_SIZE), from_eyes),
    "Dilated-Net": Network(_dilated_net, from_face_and_large_eyes),
    "CA-Net": Network(_vgg(CANet), from_face_and_eyes, _plugged(_vgg(CANet))),
    "ResNet": Network(
        lambda size: ResNetGaze(face_band().size, width=size.width),
        from_band,
        lambda size: PureGaze(face_band().size, width=size.width, widths=decoder_widths()),
        lambda _: face_band(),
    ),
}
"""The gaze networks. ResNet is the paper's "Baseline", and with its SA-module it is PureGaze."""


# --- methods ------------------------------------------------------------------------------------


def plain(name: str) -> Method:
    """A network on its own, trained with the gaze loss alone."""
    check_choice("name", name, tuple(NETWORKS))
    return Method(name, NETWORKS[name].build, NETWORKS[name].forward)


def purified(name: str, size: Size, settings: Purification) -> Method:
    """A network with its opponent. With ``w2`` of 0 the opponent learns to draw and is not yet listened to."""
    check_choice("name", name, [name for name, network in NETWORKS.items() if network.purified])
    network = NETWORKS[name]
    losses = purification_losses(network.forward, network.band(size), settings)
    return Method(name, network.purified, network.forward, losses, three_adams, self_adversarial_backward)


def first(name: str, size: Size) -> Method:
    """How a network learns gaze. One that can be purified has its decoder watching."""
    return purified(name, size, Purification(w2=0.0)) if NETWORKS[name].purified else plain(name)


def with_blur(method: Method) -> Method:
    """The method on faces of which half are out of focus.

    Notebook 05 finds that blur is the largest difference between *studio* and *lab*; this is the plain remedy for it.
    """
    return _on_changed(method, randomly_blurred)


def with_light(method: Method) -> Method:
    """The method on faces of which half are in other light: for networks that are to look at photographs."""
    return _on_changed(method, randomly_lit)


def _on_changed(method: Method, change: Callable[[Sample], Sample]) -> Method:
    on_faces = method.losses or gaze_losses(method.forward)
    return replace(method, losses=lambda model, batch: on_faces(model, change(batch)))


def continued(method: Method, start: nn.Module) -> Method:
    """The method, begun with the weights of ``start`` instead of random ones.

    Only what has no part in estimating gaze, an opponent, may be new.

    Raises:
        ValueError: when the network is built: ``start`` is another network, or one of another size.
    """
    weights = start.state_dict()
    weights = {name.removeprefix("gaze_model."): value for name, value in weights.items()} | weights

    def build(size: Size) -> nn.Module:
        model = method.build(size)
        own = model.state_dict()
        opponent = {name: value for name, value in own.items() if name.startswith(OPPONENTS)}
        load_weights(model, opponent | {name: value for name, value in weights.items() if name in own})
        return model

    return replace(method, build=build)


def domain_adversarial(target: FaceDataset) -> Method:
    """The baseline that sees unlabeled target faces: its backbone must not let a second head tell the domains apart.

    Args:
        target: faces of the target domain; their labels are not read.
    """

    def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
        batch = augmented(batch)
        count = len(batch.image)
        others = target.images[torch.randint(len(target), (count,))].to(batch.image.device)
        faces = torch.cat([batch.float_image(), others.float() / 255])
        gaze, logit = model(face_band().cut(faces), tell_domain=True)
        is_target = (torch.arange(2 * count, device=logit.device) >= count).float()
        gaze_loss = gaze_l1(gaze[:count].float(), batch.gaze)
        domain_loss = binary_cross_entropy_with_logits(logit.float(), is_target)
        return {"loss": gaze_loss + DOMAIN_WEIGHT * domain_loss, "gaze": gaze_loss, "domain": domain_loss}

    return Method("ADL", lambda size: DomainAdversarial(face_band().size, width=size.width), from_band, losses)
