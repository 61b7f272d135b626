"""Plausible wrong answers to the exercises of notebook 08, and what is said to some of them."""

import torch
import torch.nn.functional as F

# --- separation weights -------------------------------------------------------------------------


def _cosines(a, b):
    return F.normalize(a) @ F.normalize(b).T


def over_the_images(clip_features, text_features, temperature):
    return (_cosines(clip_features, text_features) / temperature).softmax(0)


def factors_first(clip_features, text_features, temperature):
    return (_cosines(text_features, clip_features) / temperature).softmax(1)


def without_temperature(clip_features, text_features, temperature):
    return _cosines(clip_features, text_features).softmax(1)


def times_temperature(clip_features, text_features, temperature):
    return (_cosines(clip_features, text_features) * temperature).softmax(1)


def not_normalized(clip_features, text_features, temperature):
    return (clip_features @ text_features.T / temperature).softmax(1)


def images_not_normalized(clip_features, text_features, temperature):
    return (clip_features @ F.normalize(text_features).T / temperature).softmax(1)


def of_absolute_cosines(clip_features, text_features, temperature):
    return (_cosines(clip_features, text_features).abs() / temperature).softmax(1)


def away_from_what_is_shown(clip_features, text_features, temperature):
    return (-_cosines(clip_features, text_features) / temperature).softmax(1)


def shares_of_cosines(clip_features, text_features, temperature):
    cosines = _cosines(clip_features, text_features).abs()
    return cosines / cosines.sum(1, keepdim=True)


def logits(clip_features, text_features, temperature):
    return _cosines(clip_features, text_features) / temperature


def all_alike(clip_features, text_features, temperature):
    return torch.full((len(clip_features), len(text_features)), 1 / len(text_features))


# --- the rank loss ------------------------------------------------------------------------------


def _triplets(likeness, closeness):
    """(i, j, k): difference of likeness k − j, whether j is closer than k, whether neither is i."""
    apart = ~torch.eye(len(likeness), dtype=torch.bool)
    difference = likeness[:, None, :] - likeness[:, :, None]
    return difference, closeness[:, :, None] > closeness[:, None, :], apart[:, :, None] & apart[:, None, :]


def _mean(values, counts):
    return (values * counts).sum() / counts.sum().clamp(min=1)


def sign_flipped(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    return _mean((-difference + margin).clamp(min=0), closer & others)


def with_the_anchor_itself(likeness, closeness, margin):
    difference, closer, _ = _triplets(likeness, closeness)
    return _mean((difference + margin).clamp(min=0), closer)


def ties_count(likeness, closeness, margin):
    difference, _, others = _triplets(likeness, closeness)
    ties = closeness[:, :, None] >= closeness[:, None, :]
    return _mean((difference + margin).clamp(min=0), ties & others)


def summed(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    return ((difference + margin).clamp(min=0) * (closer & others)).sum()


def mean_of_the_cube(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    return ((difference + margin).clamp(min=0) * (closer & others)).mean()


def mean_of_the_violated(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    hinge = (difference + margin).clamp(min=0)
    return _mean(hinge, (hinge > 0) & closer & others)


def without_hinge(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    return _mean(difference + margin, closer & others)


def without_margin(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    return _mean(difference.clamp(min=0), closer & others)


def margin_subtracted(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    return _mean((difference - margin).clamp(min=0), closer & others)


def squared(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    return _mean((difference + margin).clamp(min=0).square(), closer & others)


def nan_without_order(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    counts = closer & others
    return ((difference + margin).clamp(min=0) * counts).sum() / counts.sum()


def counted(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness, closeness)
    return _mean((difference + margin > 0).float(), closer & others)


def detached(likeness, closeness, margin):
    difference, closer, others = _triplets(likeness.detach(), closeness)
    return _mean((difference + margin).clamp(min=0), closer & others)


# --- the personal token -------------------------------------------------------------------------


def _parts(start, context, token, phrases):
    p, k = len(token), len(phrases)
    personal = (context + token[:, None])[:, None].expand(-1, k, -1, -1)
    return start.expand(p, k, 1, -1), context.expand(p, k, -1, -1), personal, phrases.expand(p, -1, -1, -1)


def without_the_token(start, context, token, phrases):
    first, plain, _, words = _parts(start, context, token, phrases)
    return torch.cat([first, plain, words], dim=2)


def token_everywhere(start, context, token, phrases):
    first, plain, _, words = _parts(start, context, token, phrases)
    return torch.cat([first, plain, words], dim=2) + token[:, None, None]


def token_in_the_words(start, context, token, phrases):
    first, _, personal, words = _parts(start, context, token, phrases)
    return torch.cat([first, personal, words + token[:, None, None]], dim=2)


def first_vector_only(start, context, token, phrases):
    first, plain, personal, words = _parts(start, context, token, phrases)
    return torch.cat([first, personal[:, :, :1], plain[:, :, 1:], words], dim=2)


def token_as_a_vector(start, context, token, phrases):
    first, plain, _, words = _parts(start, context, token, phrases)
    own = token[:, None, None].expand(-1, len(phrases), 1, -1)
    return torch.cat([first, own, plain, words], dim=2)


def multiplied(start, context, token, phrases):
    first, plain, _, words = _parts(start, context, token, phrases)
    return torch.cat([first, plain * token[:, None, None], words], dim=2)


def words_first(start, context, token, phrases):
    first, _, personal, words = _parts(start, context, token, phrases)
    return torch.cat([first, words, personal], dim=2)


def start_forgotten(start, context, token, phrases):
    _, _, personal, words = _parts(start, context, token, phrases)
    return torch.cat([personal, words], dim=2)


def phrases_first(start, context, token, phrases):
    first, _, personal, words = _parts(start, context, token, phrases)
    return torch.cat([first, personal, words], dim=2).transpose(0, 1)


def one_person(start, context, token, phrases):
    first, _, personal, words = _parts(start, context, token, phrases)
    return torch.cat([first, personal, words], dim=2)[0]


def token_detached(start, context, token, phrases):
    first, _, personal, words = _parts(start, context, token.detach(), phrases)
    return torch.cat([first, personal, words], dim=2)


def adds_in_place(start, context, token, phrases):
    context += token[0]
    first, plain, _, words = _parts(start, context, token, phrases)
    return torch.cat([first, plain, words], dim=2)


WRONG = {
    "separation_weights": [
        over_the_images,
        factors_first,
        without_temperature,
        times_temperature,
        not_normalized,
        images_not_normalized,
        of_absolute_cosines,
        away_from_what_is_shown,
        shares_of_cosines,
        logits,
        all_alike,
    ],
    "rank_loss": [
        sign_flipped,
        with_the_anchor_itself,
        ties_count,
        summed,
        mean_of_the_cube,
        mean_of_the_violated,
        without_hinge,
        without_margin,
        margin_subtracted,
        squared,
        nan_without_order,
        counted,
        detached,
    ],
    "personal_prompts": [
        without_the_token,
        token_everywhere,
        token_in_the_words,
        first_vector_only,
        token_as_a_vector,
        multiplied,
        words_first,
        start_forgotten,
        phrases_first,
        one_person,
        token_detached,
        adds_in_place,
    ],
}

WORDS = [
    ("separation_weights", over_the_images, "each image weighs its own factors"),
    ("separation_weights", factors_first, "each row should be an image"),
    ("separation_weights", without_temperature, "the temperature is missing"),
    ("separation_weights", not_normalized, "these are no cosines"),
    ("separation_weights", of_absolute_cosines, "no abs"),
    ("separation_weights", away_from_what_is_shown, "the sign is turned around"),
    ("separation_weights", logits, "a softmax makes each row sum to 1"),
    ("separation_weights", all_alike, "all factors count alike"),
    ("rank_loss", sign_flipped, "the sign is turned around"),
    ("rank_loss", with_the_anchor_itself, "j or k may be the anchor itself"),
    ("rank_loss", ties_count, "faces of equal gaze are in no order"),
    ("rank_loss", summed, "divide by the number of ordered triplets"),
    ("rank_loss", mean_of_the_cube, "the mean over all B³"),
    ("rank_loss", mean_of_the_violated, "only violated triplets are counted below"),
    ("rank_loss", without_hinge, "no hinge"),
    ("rank_loss", without_margin, "the margin is missing"),
    ("rank_loss", margin_subtracted, "the margin is subtracted"),
    ("rank_loss", squared, "the hinge is not squared"),
    ("rank_loss", nan_without_order, "0 / 0 is NaN"),
    ("rank_loss", detached, "no gradient"),
    ("personal_prompts", without_the_token, "the token is missing"),
    ("personal_prompts", token_everywhere, "added to the start and the words, too"),
    ("personal_prompts", token_in_the_words, "added to the words, too"),
    ("personal_prompts", first_vector_only, "the first context vector only"),
    ("personal_prompts", token_as_a_vector, "a vector of its own here"),
    ("personal_prompts", multiplied, "the token is multiplied"),
    ("personal_prompts", words_first, "the end of the sentence last"),
    ("personal_prompts", start_forgotten, "the start of the sentence is missing"),
    ("personal_prompts", phrases_first, "people come first"),
    ("personal_prompts", one_person, "every person has prompts of their own"),
    ("personal_prompts", token_detached, "no gradient reaches `token`"),
    ("personal_prompts", adds_in_place, "changes its argument `context` in place"),
]
