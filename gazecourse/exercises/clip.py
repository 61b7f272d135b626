"""Exercises of notebook 07: the symmetric loss, zero-shot classification, and several prompts for one class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from gazecourse.exercises import Checks, Slips, Wrong, examine, same_gradient

check = Checks()


def _features(*shape: int) -> Tensor:
    """Random features of very different lengths, with something in common, as CLIP's have."""
    lengths = 0.3 + 4 * torch.rand(*shape[:-1], 1)
    return lengths * (torch.randn(*shape) + 0.7)


# --- the symmetric loss -------------------------------------------------------------------------


def _symmetric_loss(images: Tensor, texts: Tensor, temperature: float) -> Tensor:
    logits = normalize(images, dim=1) @ normalize(texts, dim=1).T / temperature
    own = torch.arange(len(logits))
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


@check.exercise(
    reference=_symmetric_loss,
    difficulty=2,
    minutes=12,
    hints=(
        "First the similarity matrix: B images against B captions. What must happen to the features so that their "
        "products are cosines?",
        "torch.nn.functional.normalize(x, dim=1) gives rows of length 1; then u @ v.T is [B, B], and / temperature "
        "spreads it.",
        "Row i asks which caption belongs to image i: a classification with B classes whose right answer is i. "
        "torch.nn.functional.cross_entropy(logits, torch.arange(B)) is its mean loss.",
        "Columns ask the other way around: the same with logits.T. The loss is the mean of both.",
    ),
)
def symmetric_loss(candidate):
    """Every image finds its caption and every caption its image, and gradients reach both towers."""
    for batch, dim, temperature in ((5, 8, 0.2), (3, 4, 0.07), (1, 6, 0.5), (6, 5, 2.0)):
        images, texts = _features(batch, dim), _features(batch, dim)
        given = (images, texts, temperature)
        setting = f"with {batch} pair{'s'[: batch > 1]} and temperature {temperature:g}"
        examine(candidate, _symmetric_loss, given, _slips_of_loss(*given), name="the loss", setting=setting)
        try:
            same_gradient(candidate, _symmetric_loss, *given)
        except Wrong as wrong:
            raise Wrong(f"{setting}: the loss is right, but {wrong}") from None


def _slips_of_loss(images: Tensor, texts: Tensor, temperature: float) -> Slips:
    u, v = normalize(images, dim=1), normalize(texts, dim=1)
    cosines = u @ v.T
    own = torch.arange(len(cosines))

    def both(logits: Tensor) -> Tensor:
        return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2

    logits = cosines / temperature
    rows, columns = cross_entropy(logits, own), cross_entropy(logits.T, own)
    along_batch = normalize(images, dim=0) @ normalize(texts, dim=0).T
    return [
        (rows, "only images look for their captions; add the captions that look for their images: logits.T."),
        (columns, "only captions look for their images; add the images that look for their captions."),
        (rows + columns, "this is the sum of both directions; take their mean."),
        (len(own) * (rows + columns) / 2, "this is the sum over the batch; take the mean."),
        (both(images @ texts.T / temperature), "the features are not normalized: cosines need vectors of length 1."),
        (both(u @ texts.T / temperature), "the captions' features are not normalized."),
        (both(images @ v.T / temperature), "the images' features are not normalized."),
        (both(along_batch / temperature), "normalize each feature, dim=1, not each coordinate over the batch."),
        (both(cosines), "the temperature is missing."),
        (both(cosines * temperature), "divide by the temperature; a small one makes differences large."),
        (both(cosines / torch.tensor(temperature).exp()), "here the temperature itself is given, not its logarithm."),
        (both(logits.softmax(1)), "cross_entropy takes logits; it does the softmax itself."),
        (-logits.diag().mean(), "only the right pairs are looked at: without the others, all features may be alike."),
        ((1 - cosines.diag()).mean(), "only the right pairs are looked at; the wrong ones have to be pushed apart."),
        (-both(logits), "the sign is turned around: the loss is minimized."),
        (both(u @ u.T / temperature), "images are compared with images; compare them with texts."),
    ]


# --- zero-shot classification -------------------------------------------------------------------


def _zero_shot(image_features: Tensor, class_features: Tensor, temperature: float) -> Tensor:
    cosines = normalize(image_features, dim=1) @ normalize(class_features, dim=1).T
    return (cosines / temperature).softmax(1)


@check.exercise(
    reference=_zero_shot,
    difficulty=1,
    minutes=6,
    hints=(
        "The same cosines as in the loss, but now between B images and K sentences, one for each class. What shape?",
        "Each image chooses among the classes: its K numbers should become probabilities that sum to 1.",
        "(cosines / temperature).softmax(dim=1) works along the classes.",
        "normalize both with dim=1; return (image_features @ class_features.T / temperature).softmax(1)",
    ),
)
def zero_shot(candidate):
    """Each image has probabilities that sum to 1 over the classes, sharper with a lower temperature."""
    for batch, classes, dim, temperature in ((4, 3, 8, 0.1), (2, 5, 6, 0.5), (3, 3, 4, 0.03)):
        given = (_features(batch, dim), _features(classes, dim), temperature)
        setting = f"with {batch} images, {classes} classes and temperature {temperature:g}"
        slips = _slips_of_zero_shot(*given)
        examine(candidate, _zero_shot, given, slips, name="the probabilities", setting=setting)


def _slips_of_zero_shot(images: Tensor, classes: Tensor, temperature: float) -> Slips:
    u, v = normalize(images, dim=1), normalize(classes, dim=1)
    cosines = u @ v.T
    right = (cosines / temperature).softmax(1)
    return [
        ((cosines / temperature).softmax(0), "the softmax runs over the images; each image chooses among the classes."),
        (right.T, "this is [classes, images]; each row should be an image."),
        ((v @ u.T / temperature).softmax(1), "this is [classes, images]; each row should be an image."),
        (right.argmax(1), "these are the chosen classes; return the probabilities of all."),
        (cosines / temperature, "these are the logits; a softmax over the classes makes them probabilities."),
        (cosines, "these are cosines; divide by the temperature, then softmax over the classes."),
        (cosines.softmax(1), "the temperature is missing: all classes are nearly alike."),
        ((cosines * temperature).softmax(1), "divide by the temperature; a small one makes the choice sharp."),
        ((images @ classes.T / temperature).softmax(1), "the features are not normalized: cosines are compared."),
        ((u @ classes.T / temperature).softmax(1), "the class features are not normalized: long ones would win."),
        ((images @ v.T / temperature).softmax(1), "the image features are not normalized."),
        ((cosines / temperature).log_softmax(1), "these are logarithms of probabilities: softmax, not log_softmax."),
        ((cosines / temperature).sigmoid(), "the classes exclude each other: softmax, not sigmoid."),
        (cosines / cosines.sum(1, keepdim=True), "cosines are divided by their sum; take exp first, as softmax does."),
    ]


# --- prompt ensembling --------------------------------------------------------------------------


def _ensemble(prompt_features: list[Tensor]) -> Tensor:
    means = [normalize(features, dim=1).mean(0) for features in prompt_features]
    return normalize(torch.stack(means), dim=1)


@check.exercise(
    reference=_ensemble,
    difficulty=2,
    minutes=8,
    hints=(
        'One class may be said in many ways: "a cap", "a cap on the head". Each way has a feature [D]. Which single '
        "feature stands for all?",
        "Their mean, but no sentence should count more because its feature is longer: normalize each first.",
        "The mean of unit vectors is shorter than 1. Normalize once more, or a class whose wordings differ would lose.",
        "return normalize(torch.stack([normalize(f, dim=1).mean(0) for f in prompt_features]), dim=1)",
    ),
)
def ensemble(candidate):
    """Each class has one feature of length 1 in which all its wordings count alike."""
    for counts, dim in (((3, 1, 5), 8), ((2, 2), 4), ((4,), 6)):
        features = [_features(count, dim) for count in counts]
        setting = f"with {', '.join(map(str, counts))} wordings"
        slips = _slips_of_ensemble(features)
        examine(candidate, _ensemble, (features,), slips, name="the class features", setting=setting)


def _slips_of_ensemble(features: list[Tensor]) -> Slips:
    unit = [normalize(one, dim=1) for one in features]
    means = torch.stack([one.mean(0) for one in unit])
    raw = torch.stack([one.mean(0) for one in features])
    return [
        (means, "the mean of unit vectors is shorter than 1: normalize it once more."),
        (normalize(raw, dim=1), "normalize each wording's feature first, or long ones count more."),
        (raw, "normalize each wording's feature first, and the mean once more."),
        (torch.stack([one[0] for one in unit]), "only the first wording of each class is used; take the mean of all."),
        (torch.stack([one.sum(0) for one in unit]), "this is the sum; normalize it to length 1."),
        (torch.cat(unit), "every wording still has its own feature; there should be one for each class."),
        (means.T, "this is [D, classes]; each row should be a class."),
        (normalize(means, dim=1).T, "this is [D, classes]; each row should be a class."),
        (normalize(means, dim=0), "normalize each class's feature, dim=1, not each coordinate."),
        (torch.cat(unit).mean(0), "the mean runs over all classes; each has its own."),
        (normalize(torch.stack([one.amax(0) for one in unit]), dim=1), "this is the largest value; take the mean."),
        (normalize(torch.stack([one.median(0).values for one in unit]), dim=1), "this is the median; take the mean."),
    ]
