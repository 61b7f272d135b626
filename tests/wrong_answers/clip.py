"""Plausible wrong answers to the exercises of notebook 07, and what is said to some of them."""

import torch
import torch.nn.functional as F

# --- the symmetric loss -------------------------------------------------------------------------


def _logits(images, texts, temperature):
    return F.normalize(images) @ F.normalize(texts).T / temperature


def rows_only(images, texts, temperature):
    logits = _logits(images, texts, temperature)
    return F.cross_entropy(logits, torch.arange(len(logits)))


def rows_twice(images, texts, temperature):
    logits = _logits(images, texts, temperature)
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits, own)) / 2


def columns_only(images, texts, temperature):
    logits = _logits(images, texts, temperature)
    return F.cross_entropy(logits.T, torch.arange(len(logits)))


def sum_of_both(images, texts, temperature):
    logits = _logits(images, texts, temperature)
    own = torch.arange(len(logits))
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)


def summed_over_the_batch(images, texts, temperature):
    logits = _logits(images, texts, temperature)
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own, reduction="sum") + F.cross_entropy(logits.T, own, reduction="sum")) / 2


def one_loss_each(images, texts, temperature):
    logits = _logits(images, texts, temperature)
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own, reduction="none") + F.cross_entropy(logits.T, own, reduction="none")) / 2


def _both(logits):
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def not_normalized(images, texts, temperature):
    return _both(images @ texts.T / temperature)


def normalized_over_the_batch(images, texts, temperature):
    return _both(F.normalize(images, dim=0) @ F.normalize(texts, dim=0).T / temperature)


def without_temperature(images, texts, temperature):
    return _both(F.normalize(images) @ F.normalize(texts).T)


def times_temperature(images, texts, temperature):
    return _both(F.normalize(images) @ F.normalize(texts).T * temperature)


def softmax_first(images, texts, temperature):
    return _both(_logits(images, texts, temperature).softmax(1))


def only_the_right_pairs(images, texts, temperature):
    return -_logits(images, texts, temperature).diag().mean()


def distillation(images, texts, temperature):
    return (1 - F.cosine_similarity(images, texts)).mean()


def sign_flipped(images, texts, temperature):
    return -_both(_logits(images, texts, temperature))


def texts_detached(images, texts, temperature):
    return _both(_logits(images, texts.detach(), temperature))


def a_number(images, texts, temperature):
    return _both(_logits(images, texts, temperature)).item()


def nothing_returned(images, texts, temperature):
    _both(_logits(images, texts, temperature))


def divides_in_place(images, texts, temperature):
    images /= images.norm(dim=1, keepdim=True)
    return _both(_logits(images, texts, temperature))


# --- zero-shot classification -------------------------------------------------------------------


def over_the_images(image_features, class_features, temperature):
    return _logits(image_features, class_features, temperature).softmax(0)


def classes_first(image_features, class_features, temperature):
    return _logits(class_features, image_features, temperature).softmax(1)


def transposed(image_features, class_features, temperature):
    return _logits(image_features, class_features, temperature).softmax(1).T


def the_class_itself(image_features, class_features, temperature):
    return _logits(image_features, class_features, temperature).argmax(1)


def logits_only(image_features, class_features, temperature):
    return _logits(image_features, class_features, temperature)


def without_a_temperature(image_features, class_features, temperature):
    return _logits(image_features, class_features, 1.0).softmax(1)


def multiplied_by_it(image_features, class_features, temperature):
    return _logits(image_features, class_features, 1 / temperature).softmax(1)


def long_features_win(image_features, class_features, temperature):
    return (image_features @ class_features.T / temperature).softmax(1)


def long_classes_win(image_features, class_features, temperature):
    return (F.normalize(image_features) @ class_features.T / temperature).softmax(1)


def sigmoids(image_features, class_features, temperature):
    return _logits(image_features, class_features, temperature).sigmoid()


def log_probabilities(image_features, class_features, temperature):
    return F.log_softmax(_logits(image_features, class_features, temperature), dim=1)


# --- prompt ensembling --------------------------------------------------------------------------


def mean_not_normalized(prompt_features):
    return torch.stack([F.normalize(one).mean(0) for one in prompt_features])


def wordings_not_normalized(prompt_features):
    return F.normalize(torch.stack([one.mean(0) for one in prompt_features]))


def nothing_normalized(prompt_features):
    return torch.stack([one.mean(0) for one in prompt_features])


def the_first_wording(prompt_features):
    return torch.stack([F.normalize(one)[0] for one in prompt_features])


def not_averaged(prompt_features):
    return F.normalize(torch.cat(prompt_features))


def one_mean_of_all(prompt_features):
    return F.normalize(torch.cat(prompt_features)).mean(0)


def columns(prompt_features):
    return F.normalize(torch.stack([F.normalize(one).mean(0) for one in prompt_features])).T


def normalized_along_classes(prompt_features):
    return F.normalize(torch.stack([F.normalize(one).mean(0) for one in prompt_features]), dim=0)


def sum_not_normalized(prompt_features):
    return torch.stack([F.normalize(one).sum(0) for one in prompt_features])


def a_list(prompt_features):
    return [F.normalize(F.normalize(one).mean(0), dim=0) for one in prompt_features]


WRONG = {
    "symmetric_loss": [
        rows_only,
        rows_twice,
        columns_only,
        sum_of_both,
        summed_over_the_batch,
        one_loss_each,
        not_normalized,
        normalized_over_the_batch,
        without_temperature,
        times_temperature,
        softmax_first,
        only_the_right_pairs,
        distillation,
        sign_flipped,
        texts_detached,
        a_number,
        nothing_returned,
        divides_in_place,
    ],
    "zero_shot": [
        over_the_images,
        classes_first,
        transposed,
        the_class_itself,
        logits_only,
        without_a_temperature,
        multiplied_by_it,
        long_features_win,
        long_classes_win,
        sigmoids,
        log_probabilities,
    ],
    "ensemble": [
        mean_not_normalized,
        wordings_not_normalized,
        nothing_normalized,
        the_first_wording,
        not_averaged,
        one_mean_of_all,
        columns,
        normalized_along_classes,
        sum_not_normalized,
        a_list,
    ],
}

WORDS = [
    ("symmetric_loss", rows_only, "only images look for their captions"),
    ("symmetric_loss", rows_twice, "only images look for their captions"),
    ("symmetric_loss", columns_only, "only captions look for their images"),
    ("symmetric_loss", sum_of_both, "the sum of both directions"),
    ("symmetric_loss", summed_over_the_batch, "the sum over the batch"),
    ("symmetric_loss", one_loss_each, "the loss has shape [5]; it should be []"),
    ("symmetric_loss", not_normalized, "the features are not normalized"),
    ("symmetric_loss", normalized_over_the_batch, "dim=1, not each coordinate over the batch"),
    ("symmetric_loss", without_temperature, "the temperature is missing"),
    ("symmetric_loss", times_temperature, "divide by the temperature"),
    ("symmetric_loss", softmax_first, "it does the softmax itself"),
    ("symmetric_loss", only_the_right_pairs, "only the right pairs are looked at"),
    ("symmetric_loss", distillation, "the wrong ones have to be pushed apart"),
    ("symmetric_loss", sign_flipped, "the sign is turned around"),
    ("symmetric_loss", texts_detached, "the loss is right, but no gradient reaches `texts`"),
    ("symmetric_loss", nothing_returned, "is the `return` missing?"),
    ("symmetric_loss", divides_in_place, "changes its argument `images` in place"),
    ("zero_shot", over_the_images, "the softmax runs over the images"),
    ("zero_shot", transposed, "each row should be an image"),
    ("zero_shot", the_class_itself, "these are the chosen classes"),
    ("zero_shot", logits_only, "these are the logits"),
    ("zero_shot", without_a_temperature, "the temperature is missing"),
    ("zero_shot", long_features_win, "the features are not normalized"),
    ("zero_shot", sigmoids, "softmax, not sigmoid"),
    ("ensemble", mean_not_normalized, "shorter than 1: normalize it once more"),
    ("ensemble", wordings_not_normalized, "long ones count more"),
    ("ensemble", the_first_wording, "only the first wording"),
    ("ensemble", not_averaged, "there should be one for each class"),
    ("ensemble", one_mean_of_all, "each has its own"),
    ("ensemble", a_list, "the class features is a list; it should be a torch tensor"),
]
