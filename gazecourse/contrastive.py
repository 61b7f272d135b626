"""How the course's CLIP is trained on rendered faces and their captions, and what it is then asked."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gazecourse.augment import randomly_mirrored
from gazecourse.faces.attributes import NAMED
from gazecourse.faces.captions import (
    HELD_OUT_COMBINATIONS,
    TEMPLATES,
    UNSEEN,
    WORDINGS,
    Combination,
    Weights,
    captions,
    class_prompts,
    held_out,
    seen,
    true_of,
)
from gazecourse.faces.dataset import FaceDataset
from gazecourse.losses import contrastive_loss
from gazecourse.models.clip import TwoTowers, clip_features
from gazecourse.sample import Sample
from gazecourse.subsets import Subsets
from gazecourse.training import Losses, predict
from gazecourse.validation import check_choice, check_whole

POSITIVES = ("own", "true")
RESAMPLES = 1000
"""Draws of people behind an interval."""


class CaptionedFaces(Subsets, Dataset):
    """Faces of several data sets with what can be said about them.

    Args:
        sets: of one image size.
    Attributes:
        images: uint8 [N, 3, H, W]. facts: class [N] of each named factor, -1 where it is not seen; see
        ``captions.seen``. person: int64 [N]. domain: name [N].
    Raises:
        ValueError: no set, or sets of several sizes.
    """

    def __init__(self, sets: Sequence[FaceDataset]) -> None:
        sizes = sorted({tuple(faces.images.shape[-2:]) for faces in sets})
        if len(sizes) != 1:
            raise ValueError(f"sets must be of one image size; got {sizes}.")
        facts = [seen(faces.factors) for faces in sets]
        self.images = torch.cat([faces.images for faces in sets])
        self.facts = {name: torch.cat([one[name] for one in facts]) for name in facts[0]}
        self.gaze = torch.cat([faces.gaze for faces in sets])
        self.person = torch.cat([faces.person for faces in sets])
        self.domain = [faces.domain for faces in sets for _ in range(len(faces))]

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: Sequence[int] | Tensor) -> Sample:
        """A batch; ``factors`` are the facts."""
        rows = torch.as_tensor(indices)
        return Sample(
            image=self.images.index_select(0, rows),
            gaze=self.gaze[rows],
            person=self.person[rows],
            domain=[self.domain[row] for row in rows.tolist()],
            factors={name: values[rows] for name, values in self.facts.items()},
        )

    def _keep(self, rows: Tensor) -> None:
        numbers = rows.nonzero().squeeze(1) if rows.dtype == torch.bool else rows
        self.images, self.gaze, self.person = self.images[numbers], self.gaze[numbers], self.person[numbers]
        self.facts = {name: values[numbers] for name, values in self.facts.items()}
        self.domain = [self.domain[number] for number in numbers.tolist()]

    def without_held_out(self) -> CaptionedFaces:
        """The faces that show no combination held out of training."""
        return self.subset(~held_out(self.facts))


def clip_losses(
    *,
    most: int = 3,
    texts: int = 1,
    positives: str = "own",
    weights: Weights | None = None,
    alone: Sequence[str] = (),
) -> Losses:
    """``losses`` for ``train``: the contrastive loss on mirrored faces and captions that are new at every step.

    Args:
        most: factors in a caption.
        texts: captions for each image at a step; sentences cost less than pictures. The loss is the mean over them.
            2 or more if one is to speak ``alone``: there may be nobody of whom it can.
        positives: which captions of a batch count as an image's: only its "own", as in CLIP, or what it has of all that
            are "true" of it, which is the same on average and less noisy; see ``contrastive_loss``.
        weights: how readily captions mention each class; see ``captions.captions``.
        alone: factors of which the last of the captions speaks and of nothing else, wherever an image shows one. As
            long as the sentences for two classes have nearly the same feature, images gain little by telling these
            apart, and the other way around; where nothing else is said, they part soonest.
    """
    check_choice("positives", positives, POSITIVES)
    check_whole("texts", texts, 2 if alone else 1)
    for name in alone:
        check_choice("alone", name, tuple(NAMED))

    def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
        batch = randomly_mirrored(batch)
        rng = random.Random(int(torch.randint(2**62, ())))
        rounds = [(torch.arange(len(batch.image)), batch.factors)] * texts
        if alone:
            rounds[-1] = _that_show(alone, batch.factors)
        rounds = [(rows, facts) for rows, facts in rounds if len(rows)]
        sets = [captions(facts, rng=rng, most=most, weights=weights) for _, facts in rounds]
        images, sentences = model(batch.float_image(), [caption.text for stated in sets for caption in stated])
        of_sets = sentences.float().split([len(stated) for stated in sets])
        scale = model.log_scale.float()
        parts = [
            contrastive_loss(
                images[rows].float(), of_set, scale, positives=true_of(stated, facts) if positives == "true" else None
            )
            for (rows, facts), stated, of_set in zip(rounds, sets, of_sets, strict=True)
        ]
        return {"loss": torch.stack(parts).mean(), "scale": model.scale.detach().float()}

    return losses


def _that_show(names: Sequence[str], facts: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Numbers of the images that show one of these factors or more, and what they show of them."""
    rows = torch.stack([facts[name] != UNSEEN for name in names]).any(0).nonzero().squeeze(1)
    return rows, {name: facts[name][rows] for name in names}


# --- zero-shot tests --------------------------------------------------------------------------------


def image_features(clip: TwoTowers, faces: Dataset, batch_size: int = 256) -> Tensor:
    """Unit features [N, D] of all faces, resized to CLIP's size where they have another, on the CPU."""
    return predict(clip, faces, lambda model, batch: clip_features(model, batch.float_image()), batch_size)


@dataclass(frozen=True)
class ZeroShot:
    """How well a factor is told by words alone.

    Attributes:
        accuracy: share of right answers. balanced: mean over the classes that occur of their share of right answers.
        chance: of the balanced accuracy. majority: accuracy of always naming the most frequent class.
        images: how many showed the factor.
        classes: usual words for them. confusion: [true][named] numbers of images.
        interval: of the balanced accuracy, 95 % over people; None where it was not asked who is shown.
    """

    accuracy: float
    balanced: float
    chance: float
    majority: float
    images: int
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"{self.accuracy:.1%} ({self.balanced:.1%} balanced, chance {self.chance:.1%}; {self.images} images)"


@torch.no_grad()
def zero_shot_accuracy(
    clip: TwoTowers,
    features: Tensor,
    facts: Mapping[str, Tensor],
    name: str,
    *,
    test: bool = False,
    people: Tensor | None = None,
) -> ZeroShot:
    """Zero-shot classification of one factor, with the features of all its prompts averaged.

    Args:
        features: [N, D] from ``image_features``. facts: [N], from ``captions.seen``; images that do not show the
            factor are left out.
        name: of the factor. test: prompts in the wordings that are held out of training.
        people: int64 [N], who is shown; asks for the interval.
    Raises:
        ValueError: no such factor, or no image shows it.
    """
    check_choice("name", name, tuple(facts))
    rows = facts[name] != UNSEEN
    if not bool(rows.any()):
        raise ValueError(f"facts must hold an image that shows {name}; none does.")
    true = facts[name][rows]
    named = clip.zero_shot(features[rows].to(clip.scale.device), class_prompts(name, test=test)).argmax(1).cpu()
    count = len(WORDINGS[name])
    confusion = torch.zeros(count, count, dtype=torch.int64)
    confusion.index_put_((true, named), torch.ones_like(true), accumulate=True)
    sizes = confusion.sum(1)
    occurs = sizes > 0
    return ZeroShot(
        accuracy=float((true == named).float().mean()),
        balanced=float((confusion.diag()[occurs] / sizes[occurs]).mean()),
        chance=1 / int(occurs.sum()),
        majority=float(sizes.max() / sizes.sum()),
        images=len(true),
        classes=tuple(wordings[0] for wordings in WORDINGS[name]),
        confusion=tuple(map(tuple, confusion.tolist())),
        interval=None if people is None else _balanced_interval(true, named, people[rows], count),
    )


def _balanced_interval(true: Tensor, named: Tensor, people: Tensor, classes: int) -> tuple[float, float]:
    """95 % percentile bootstrap of the balanced accuracy: whole people are drawn, as many as there are.

    A class that only one person shows is missing from a third of the draws, as it would be from other samples.
    """
    _, member = people.unique(return_inverse=True)
    count = int(member.max()) + 1
    shown, right = torch.zeros(2, count, classes, dtype=torch.float64)
    ones = torch.ones(len(true), dtype=torch.float64)
    shown.index_put_((member, true), ones, accumulate=True)
    right.index_put_((member, true), ones * (true == named), accumulate=True)
    drawn = torch.randint(count, (RESAMPLES, count), generator=torch.Generator().manual_seed(0))
    times = torch.zeros(RESAMPLES, count, dtype=torch.float64).scatter_add_(1, drawn, torch.ones(drawn.shape).double())
    share = (times @ right) / (times @ shown)  # NaN where a class is not drawn
    low, high = share.nanmean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


@torch.no_grad()
def combination_accuracy(
    clip: TwoTowers, features: Tensor, facts: Mapping[str, Tensor], combination: Combination
) -> tuple[float, int]:
    """Of the images that show a combination, the share whose best sentence of four names both its parts, and how many.

    The sentences name both parts, one and the most frequent other class of the other factor (any, where no image shows
    another), or neither; chance is 1/4.

    Args:
        features, facts: as in ``zero_shot_accuracy``.
    Returns:
        (NaN, 0) where no image shows it.
    """
    shown = combination.shown(facts)
    if not bool(shown.any()):
        return float("nan"), 0
    parts = []
    for name, value in (
        (combination.first, combination.first_class),
        (combination.second, combination.second_class),
    ):
        others = facts[name][(facts[name] != UNSEEN) & (facts[name] != value)]
        other = int(others.mode().values) if len(others) else int(value == 0)
        parts.append((_said(name, value), _said(name, other)))
    prompts = [[_both(template, a, b) for template in TEMPLATES] for a in parts[0] for b in parts[1]]
    best = clip.zero_shot(features[shown].to(clip.scale.device), prompts).argmax(1)
    return float((best == 0).float().mean()), int(shown.sum())


def _said(name: str, value: int) -> tuple[str, str]:
    return name, WORDINGS[name][value][0]


def _both(template: str, a: tuple[str, str], b: tuple[str, str]) -> str:
    """One sentence about two factors; sex is said by the person."""
    who = next((words for name, words in (a, b) if name == "sex"), "a person")
    return template.format(who=who, what=" and ".join(words for name, words in (a, b) if name != "sex"))


def zero_shot_report(clip: TwoTowers, faces: CaptionedFaces) -> dict[str, dict]:
    """All zero-shot tests as JSON values: every factor in both kinds of wordings, and the held-out combinations."""
    features = image_features(clip, faces)
    factors: dict[str, dict] = {}
    for name in [name for name, values in faces.facts.items() if bool((values != UNSEEN).any())]:
        usual = zero_shot_accuracy(clip, features, faces.facts, name, people=faces.person)
        other = zero_shot_accuracy(clip, features, faces.facts, name, test=True)
        factors[name] = {
            "accuracy": round(usual.accuracy, 4),
            "balanced": round(usual.balanced, 4),
            "interval": [round(end, 4) for end in usual.interval],
            "chance": round(usual.chance, 4),
            "majority": round(usual.majority, 4),
            "held_out_wording": round(other.balanced, 4),
            "images": usual.images,
            "classes": usual.classes,
            "confusion": usual.confusion,
        }
    combinations = {}
    for combination in HELD_OUT_COMBINATIONS:
        accuracy, images = combination_accuracy(clip, features, faces.facts, combination)
        people = len(faces.person[combination.shown(faces.facts)].unique())
        combinations[str(combination)] = {
            "accuracy": round(accuracy, 4) if images else None,
            "images": images,
            "people": people,
        }
    return {"factors": factors, "held_out_combinations": combinations}


def report_table(report: Mapping[str, dict]) -> str:
    """The report as lines of text, best factors first."""
    width = max(map(len, report["factors"]))
    lines = [f"{'factor':{width}}  balanced  95 % interval   held-out wording  chance  accuracy  majority  images"]
    for name, one in sorted(report["factors"].items(), key=lambda item: -item[1]["balanced"]):
        lines.append(
            f"{name:{width}}  {one['balanced']:8.1%}  {_interval(one)}  {one['held_out_wording']:16.1%}"
            f"  {one['chance']:6.1%}  {one['accuracy']:8.1%}  {one['majority']:8.1%}  {one['images']:6}"
        )
    for name, one in report["held_out_combinations"].items():
        lines.append(f"{name}: {_of_images(one)}")
    return "\n".join(lines)


def _interval(one: Mapping[str, Any]) -> str:
    low, high = one["interval"]
    return f"[{low:6.1%}, {high:6.1%}]"


def _of_images(one: Mapping[str, Any]) -> str:
    """A combination's accuracy, and what it rests on."""
    if one["accuracy"] is None:
        return "no test image shows it"
    return f"{one['accuracy']:.0%} of {one['images']} images, {one['people']} people"


# --- the model card ---------------------------------------------------------------------------------

_CARD = """# Model card: the course's CLIP

A small contrastive image–text model (Radford et al. 2021) of {parameters:.2f} M parameters, {megabytes:.1f} MB in half
precision, at `gazecourse/models/clip.safetensors`. It tells which of some sentences fits a rendered face.

**Data.** {training_images:,} rendered faces of {training_people} people from the domains {domains}, and
captions made from what the renderer knows and the picture shows. No photograph, and no gaze. Some wordings and some
pairs of factors never occur in training.

**Training.** `{command}`: {epochs} + {more_epochs} epochs, batches of {batch_size}, {minutes:g} minutes on {processor},
seed {seed}. In the second part one of {texts} captions speaks of the side of the light alone.

**Test.** {test_images:,} faces of {test_people} other people from all four domains.

**Not for.** Photographs of real people: it has seen none. Its words for sex, age and skin name the renderer's settings.

## Zero-shot accuracy

In the balanced accuracy every class counts alike, however rare; its 95 % interval is over people. "New wording" is the
same in wordings that training never used, where a class has one. Accuracy counts every image alike; "most frequent" is
that of always naming the most frequent class.

| factor | balanced | interval | new wording | chance | accuracy | most frequent | images |
|:--|--:|:--|--:|--:|--:|--:|--:|
{accuracies}

## Pairs of factors that training never showed together

Of the faces that show a pair, the share whose best sentence of four names both parts; chance is 25 %. Images of one
person are much alike: what few people show says little.

{combinations}

## Confusion tables

Rows: what is shown. Columns, in the same order: what is named. Numbers of images.
{confusions}
"""


def model_card(record: Mapping[str, Any]) -> str:
    """What ``results/clip.json`` says of the course's CLIP, as a page in Markdown.

    Args:
        record: of ``data_scripts/train_clip.py``: settings, sizes and ``zero_shot_report``.
    """
    factors = sorted(record["factors"].items(), key=lambda item: -item[1]["balanced"])
    columns = ("held_out_wording", "chance", "accuracy", "majority")
    accuracies = [
        f"| {name} | {one['balanced']:.1%} | {_interval(one)} | "
        + " | ".join(f"{one[column]:.1%}" for column in columns)
        + f" | {one['images']} |"
        for name, one in factors
    ]
    combinations = []
    for pair, one in record["held_out_combinations"].items():
        combinations.append(f"- {pair}: {_of_images(one)}")
    words = {
        "parameters": record["parameters"] / 1e6,
        "megabytes": record["bytes"] / 1e6,
        "processor": record["hardware"].get("gpu", record["hardware"]["processor"]),
        "domains": ", ".join(record["domains"]),
        "accuracies": "\n".join(accuracies),
        "combinations": "\n".join(combinations),
        "confusions": "\n".join(_confusion_table(name, one) for name, one in factors),
    }
    return _CARD.format_map({**record, **words})


def _confusion_table(name: str, one: Mapping[str, Any]) -> str:
    count = len(one["classes"])
    lines = [f"| {name} |" + " |" * count, "|:--|" + "--:|" * count]
    lines += [
        f"| {words} | " + " | ".join(map(str, row)) + " |"
        for words, row in zip(one["classes"], one["confusion"], strict=True)
    ]
    return "\n" + "\n".join(lines)
