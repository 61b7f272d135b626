"""How CLIP-Gaze is trained: what CLIP sees in each face, words for what gaze is not, and the total of the losses.

CLIP is frozen, so what it sees in a face is computed once for every face and its mirror image, and what the prompts say
once for every person. Learned context is learned beforehand, by telling the factors apart (``prompt_loss``); while the
gaze network learns, it stays as it is.

>>> clip, _ = load_clip()
>>> faces = ClipFaces(source_faces("studio"), clip)
>>> settings = ClipGazeSettings()
>>> context = learn_context(clip, faces, settings)
>>> model, history = fit(clip_gaze(clip, Prompts(clip, context, faces), settings), faces, second_part())
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, Dataset
from tqdm import tqdm

from gazecourse.augment import mirror, mirror_classes, randomly_mirrored
from gazecourse.batches import fetch, seed_all
from gazecourse.comparison import Method, Size
from gazecourse.cross_domain import face_band, from_band
from gazecourse.faces.attributes import Factors
from gazecourse.faces.captions import GROUPS, factor_phrases, seen
from gazecourse.losses import ClipGazeWeights, clip_gaze_loss, gaze_angular, prompt_loss, unit_features
from gazecourse.models.clip import TwoTowers, clip_features
from gazecourse.models.clip_gaze import CONTEXTS, ClipGaze, PersonalizedContext, frozen
from gazecourse.sample import Sample
from gazecourse.training import Losses, OneCycle, Settings, train
from gazecourse.validation import check_array, check_choice, check_positive, check_whole, describe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from gazecourse.logbook import Observer

SEEN, WHO = "what CLIP sees", "whose prompts"
"""What ``ClipFaces`` adds to a batch's factors: f_v [B, 2, D] of face and mirror image, and row [B] of ``people``."""

IMAGES_OF_A_PERSON = 16
LESSONS = {"coop": 4 * IMAGES_OF_A_PERSON, "cocoop": 4, "pco": 4}
"""From how many images, for PCO people, context is learned at each step.

So CoOp and PCO see as many images, and differ in the token alone. CoCoOp encodes all prompts anew for every image, PCO
for every person: with as much work CoCoOp sees a sixteenth of the images. That is its price, and a part of what is
compared.
"""


@dataclass(frozen=True)
class ClipGazeSettings:
    """What is to be decided about a training of CLIP-Gaze.

    Nothing was released. All numbers, that context is learned beforehand, and what the options of ``ClipGazeWeights``
    offer are a reconstruction.

    Attributes:
        weights: of the losses, with their options. A weight of 0 leaves a loss out; ``ranking`` chooses the rank loss.
        prompts: "written" by hand, "coop", "cocoop" or "pco"; see ``PersonalizedContext``.
        groups: of factors: some of "appearance", "wearable" and "quality".
        centered: whether the mean of all prompts is taken off each. Prompts have much in common ("a face with"), and
            z can move away from that, which lowers the loss, and keep every factor.
        length: context vectors. steps, rate: optimizer steps and peak learning rate in which they are learned.
    Raises:
        TypeError, ValueError: naming the setting, what was expected and what came.
    """

    weights: ClipGazeWeights = field(default_factory=ClipGazeWeights)
    prompts: str = "pco"
    groups: tuple[str, ...] = GROUPS
    centered: bool = False
    length: int = 4
    steps: int = 100
    rate: float = 2e-3

    def __post_init__(self) -> None:
        if not isinstance(self.weights, ClipGazeWeights):
            raise TypeError(f"weights must be ClipGazeWeights; got {describe(self.weights)}.")
        if not isinstance(self.centered, bool):
            raise TypeError(f"centered must be True or False; got {describe(self.centered)}.")
        check_choice("prompts", self.prompts, CONTEXTS)
        factor_phrases(self.groups)  # refuses none and unknown ones
        for name in ("length", "steps"):
            check_whole(name, getattr(self, name), 1)
        check_positive("rate", self.rate)


# --- faces and prompts --------------------------------------------------------------------------


class ClipFaces(Dataset):
    """Faces with what CLIP-Gaze has to know about each: f_v, of its mirror image too, and who it is.

    The gaze network learns from faces of which half are mirrored. In the mirror light comes from the other side, and
    CLIP sees that; so f_v is that of the very picture that the network gets. A person stays who they are: what makes
    left and right of a head differ has no words.

    Args:
        faces: a data set of samples. Of rendered faces the rest is known; see ``factors_of``.
        clip: what looks at them.
        identity: [N, 126] coefficients of the morphable head for data whose heads are not known, one row for all images
            of a person; see ``fitting.fit_identity``.
        batch_size: faces that CLIP looks at at once.
        sight: f_v as in ``seen``, if CLIP has looked at these faces before.
    Attributes:
        seen: f_v [N, 2, D], of each face and of its mirror image.
        people: [P, 126] the different rows of ``identity``, and who: [N] which of them each face has; or None.
        facts: class [N] of each named factor, as ``captions.seen``; or None where the factors are not known.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """

    def __init__(
        self,
        faces: Dataset,
        clip: TwoTowers,
        *,
        identity: Tensor | None = None,
        batch_size: int = 256,
        sight: Tensor | None = None,
    ) -> None:
        self.faces = faces
        if sight is None:
            sight = what_clip_sees(clip, faces, batch_size)
        self.seen = check_array("sight", sight, (len(faces), 2, clip.dim))
        factors = factors_of(faces)
        self.facts = None if factors is None else seen(factors)
        if identity is None and factors is not None:
            identity = factors.identity
        self.people = self.who = None
        if identity is not None:
            check_array("identity", identity, (len(faces), "K"))
            self.people, self.who = identity.float().unique(dim=0, return_inverse=True)

    def __len__(self) -> int:
        return len(self.faces)

    def __getitems__(self, indices: Sequence[int] | Tensor) -> Sample:
        """The faces of one batch, with ``SEEN`` and ``WHO`` among their factors."""
        rows = torch.as_tensor(indices)
        batch = fetch(self.faces, rows.tolist())
        known = {SEEN: self.seen[rows]} | ({} if self.who is None else {WHO: self.who[rows]})
        return replace(batch, factors={**batch.factors, **known})


def factors_of(faces: Dataset) -> Factors | None:
    """Everything that rendered faces depend on, those of several sets together too; None where it is not known."""
    parts = faces.datasets if isinstance(faces, ConcatDataset) else [faces]
    known = [getattr(part, "factors", None) for part in parts]
    # A real set's factors are what its release tells, such as "occlusion"; they draw no face.
    return Factors.concatenate(known) if all(isinstance(factors, Factors) for factors in known) else None


@torch.no_grad()
def what_clip_sees(clip: TwoTowers, faces: Dataset, batch_size: int = 256) -> Tensor:
    """f_v [N, 2, D] of each face and of its mirror image, a batch of images in memory at a time."""
    clip, found = frozen(clip), []
    for chunk in tqdm(torch.arange(len(faces)).split(batch_size), desc="what CLIP sees", disable=None, leave=False):
        image = fetch(faces, chunk.tolist()).float_image().to(clip.scale.device)
        both = [clip_features(clip, image), clip_features(clip, image.flip(3))]
        found.append(torch.stack(both, dim=1).float().cpu())
    return torch.cat(found)


class Prompts:
    """t, the features of all prompts, for faces of one data set; without gradient.

    Written prompts and CoOp's are the same for all faces, PCO's are encoded once for each person. CoCoOp's depend on
    the image and are encoded for each batch, which takes several times as long as a step of training.

    Args:
        clip: the one that the context was made for.
        context: as ``learn_context`` returns it.
        faces: the data set, whose people have prompts of their own.
        centered: see ``ClipGazeSettings``.
    Raises:
        ValueError: personal prompts for faces without identity.
    """

    def __init__(
        self, clip: TwoTowers, context: PersonalizedContext, faces: ClipFaces, *, centered: bool = False
    ) -> None:
        self.clip, self.context, self.centered = clip, context, centered
        if context.kind == "cocoop":
            return
        with torch.no_grad():
            if context.kind == "pco":
                people = _people_of(faces)
                self.features = torch.cat([self._encode(rows) for rows in people.split(LESSONS["pco"])])
            else:
                self.features = self._encode(None)

    def __call__(self, clip_features: Tensor, who: Tensor | None) -> Tensor:
        """t [K, D], or [B, K, D] where faces have their own.

        Args:
            clip_features: f_v [B, D] of the faces. who: int64 [B], their rows of ``ClipFaces.people``.
        """
        if self.context.kind == "cocoop":
            with torch.no_grad():
                return self._encode(clip_features)
        self.features = self.features.to(clip_features.device)
        return self.features[who] if self.context.kind == "pco" else self.features

    def _encode(self, condition: Tensor | None) -> Tensor:
        device = self.clip.scale.device if condition is None else condition.device
        features = self.context.to(device)(self.clip.to(device), condition)
        return unit_features(features - features.mean(-2, keepdim=True)) if self.centered else features


def _people_of(faces: ClipFaces) -> Tensor:
    if faces.people is None:
        raise ValueError(
            "faces must have identity parameters for personal prompts; got none. ClipFaces(..., identity=...) takes "
            "those of fit_identity."
        )
    return faces.people


# --- learning context ---------------------------------------------------------------------------


class _Lessons(Dataset):
    """What context is learned from: views, which are faces or their mirror images, drawn by seed.

    A sample is one view, or for PCO a person, of whom a few views are taken.
    """

    def __init__(self, faces: ClipFaces, context: PersonalizedContext, count: int, seed: int) -> None:
        if faces.facts is None:
            raise ValueError("faces must have known factors to learn context from, such as rendered ones; got none.")
        self.seen, self.kind = faces.seen, context.kind
        which = torch.ones(len(faces), dtype=torch.bool)
        mirrored = {name: mirror_classes(name, values, which) for name, values in faces.facts.items()}
        labels, others = context.labels(faces.facts), context.labels(mirrored)
        self.labels = {name: torch.stack([labels[name], others[name]], dim=1) for name in labels}
        if self.kind == "pco":
            self.people = _people_of(faces)
            self.rows = [(faces.who == person).nonzero().flatten() for person in range(len(self.people))]
        choices = len(self.people) if self.kind == "pco" else len(faces)
        self.chosen = torch.randint(choices, (count,), generator=torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        chosen = self.chosen[torch.as_tensor(indices)]
        if self.kind == "pco":
            rows = torch.stack([self._some_of(person) for person in chosen.tolist()]).flatten()
        else:
            rows = chosen
        view = rows, torch.randint(2, rows.shape)
        lesson = {"seen": self.seen[view], "labels": {name: values[view] for name, values in self.labels.items()}}
        if self.kind == "pco":
            lesson["condition"] = self.people[chosen].repeat_interleave(IMAGES_OF_A_PERSON, 0)
        elif self.kind == "cocoop":
            lesson["condition"] = lesson["seen"]
        return lesson

    def _some_of(self, person: int) -> Tensor:
        rows = self.rows[person]
        return rows[torch.randint(len(rows), (IMAGES_OF_A_PERSON,))]


def new_context(clip: TwoTowers, settings: ClipGazeSettings) -> PersonalizedContext:
    """Context for the settings' prompts that has not learned anything yet."""
    return PersonalizedContext(
        frozen(clip), factor_phrases(settings.groups), settings.prompts, length=settings.length
    ).eval()


def learn_context(
    clip: TwoTowers,
    faces: ClipFaces,
    settings: ClipGazeSettings = ClipGazeSettings(),
    *,
    seed: int = 0,
    observer: Observer | None = None,
    fabric: Fabric | None = None,
) -> PersonalizedContext:
    """Context whose prompts tell the factors of the source's faces apart, frozen. Written prompts learn nothing.

    Args:
        clip: the one that looked at ``faces``.
        faces: of the source domain, with known factors.
        settings: ``prompts``, ``groups``, ``length``, ``steps`` and ``rate`` count.
        seed: of the initial vectors and of the faces drawn. observer, fabric: as in ``training.train``.
    Raises:
        ValueError: faces without factors, or for PCO without identity.
    """
    seed_all(seed)
    kind, context = settings.prompts, new_context(clip, settings)
    if kind == "written":
        return context

    def losses(model: nn.Module, lesson: dict[str, Any]) -> dict[str, Tensor]:
        features = model(clip.to(lesson["seen"].device), lesson.get("condition"))
        scale = clip.scale.detach().log()
        return {"loss": prompt_loss(lesson["seen"], features.float(), lesson["labels"], context.places, scale)}

    lessons = _Lessons(faces, context, settings.steps * LESSONS[kind], seed)
    optimizer = torch.optim.Adam(context.parameters(), lr=settings.rate)
    plan = Settings(epochs=1, batch_size=LESSONS[kind], seed=seed)
    train(context, losses, lessons, optimizer, plan, schedule=OneCycle(), observer=observer, fabric=fabric)
    return context.requires_grad_(False)


@torch.no_grad()
def loss_of_prompts(prompts: Prompts, faces: ClipFaces) -> float:
    """How well the prompts of faces tell their factors apart: ``prompt_loss`` on all of them as they are.

    Args:
        prompts: of these faces, e.g. with context that was learned from other people's. faces: with known factors.
    """
    labels, scale = prompts.context.labels(faces.facts), prompts.clip.scale.log()
    total, count = 0.0, 0
    for rows in torch.arange(len(faces)).split(64):
        features = faces.seen[rows, 0].to(scale.device)
        texts = prompts(features, None if faces.who is None else faces.who[rows])
        part = {name: values[rows].to(scale.device) for name, values in labels.items()}
        said = sum(int((values >= 0).sum()) for values in part.values())
        total += said * float(prompt_loss(features, texts, part, prompts.context.places, scale))
        count += said
    return total / max(count, 1)


# --- the gaze network ---------------------------------------------------------------------------


def clip_gaze_losses(
    forward: Callable[[Callable, Sample], tuple[Tensor, Tensor, Tensor]],
    prompts: Prompts,
    weights: ClipGazeWeights,
) -> Losses:
    """``losses`` for ``train``: CLIP-Gaze's total and its terms, on batches of ``ClipFaces``, half of them mirrored.

    Args:
        forward: as a ``Method``'s, e.g. ``cross_domain.from_band``; the model must know ``features=True``.
        prompts: of the same faces. weights: of the terms.
    """

    def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
        count = len(batch.image)
        which = torch.rand(count, device=batch.image.device) < 0.5
        batch = mirror(batch, which)
        sight = batch.factors[SEEN][torch.arange(count, device=which.device), which.long()]
        predicted, f, z = (value.float() for value in forward(partial(model, features=True), batch))
        texts = prompts(sight, batch.factors.get(WHO))
        return clip_gaze_loss(predicted, batch.gaze, f, z, sight, texts, weights)

    return losses


def clip_gaze(clip: TwoTowers, prompts: Prompts, settings: ClipGazeSettings = ClipGazeSettings()) -> Method:
    """CLIP-Gaze as a method of the cross-domain tasks, to be trained on the ``ClipFaces`` of ``prompts``."""
    losses = clip_gaze_losses(from_band, prompts, settings.weights)
    return Method("CLIP-Gaze", partial(_build, clip), from_band, losses)


def gaze_alone(clip: TwoTowers) -> Method:
    """The same network with the gaze loss alone: it needs nothing but faces, and is what CLIP-Gaze goes on from."""

    def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
        batch = randomly_mirrored(batch)
        return {"loss": gaze_angular(from_band(model, batch).float(), batch.gaze)}

    return Method("gaze loss alone", partial(_build, clip), from_band, losses)


def _build(clip: TwoTowers, size: Size) -> ClipGaze:
    return ClipGaze(clip, face_band().size, width=size.width)
