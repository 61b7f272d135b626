"""Exercises of notebook 08: the weights of the separation loss, the rank loss, and the personal token."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gazecourse.exercises import Checks, Slips, Wrong, examine, same_gradient

check = Checks()

# --- separation weights -------------------------------------------------------------------------


def _separation_weights(clip_features: Tensor, text_features: Tensor, temperature: float) -> Tensor:
    cosines = normalize(clip_features, dim=1) @ normalize(text_features, dim=1).T
    return (cosines / temperature).softmax(1)


@check.exercise(
    reference=_separation_weights,
    difficulty=1,
    minutes=6,
    hints=(
        "CLIP knows what an image shows: which of the K sentences are close to it? One number for each pair.",
        "These are cosines: normalize both with dim=1 and multiply, [B, D] @ [D, K].",
        "The weights of one image should be positive and sum to 1, and the closest factor should have the largest.",
        "return (normalize(clip_features, dim=1) @ normalize(text_features, dim=1).T / temperature).softmax(1)",
    ),
)
def separation_weights(candidate):
    """Each image shares out a weight of 1 among the factors, most of it to those that CLIP sees in it."""
    for images, factors, dim, temperature in ((4, 3, 8, 0.2), (2, 6, 5, 0.07), (3, 3, 4, 1.0)):
        given = (3 * torch.rand(images, 1) * torch.randn(images, dim), torch.randn(factors, dim), temperature)
        setting = f"with {images} images, {factors} factors and temperature {temperature:g}"
        examine(candidate, _separation_weights, given, _slips_of_weights(*given), name="w", setting=setting)


def _slips_of_weights(clip_features: Tensor, text_features: Tensor, temperature: float) -> Slips:
    u, v = normalize(clip_features, dim=1), normalize(text_features, dim=1)
    cosines = u @ v.T
    right = (cosines / temperature).softmax(1)
    absolute = cosines.abs()
    return [
        ((cosines / temperature).softmax(0), "the softmax runs over the images; each image weighs its own factors."),
        ((v @ u.T / temperature).softmax(1), "this is [factors, images]; each row should be an image."),
        (right.T, "this is [factors, images]; each row should be an image."),
        (cosines.softmax(1), "the temperature is missing: all factors count nearly alike."),
        ((cosines * temperature).softmax(1), "divide by the temperature; a small one picks the closest factor."),
        ((-cosines / temperature).softmax(1), "the sign is turned around: what an image shows should count most."),
        ((clip_features @ text_features.T / temperature).softmax(1), "these are no cosines: normalize both features."),
        ((clip_features @ v.T / temperature).softmax(1), "the image features are not normalized."),
        ((u @ text_features.T / temperature).softmax(1), "the text features are not normalized."),
        ((absolute / temperature).softmax(1), "what is the opposite of an image counts as if it were shown: no abs."),
        (cosines / temperature, "these are not weights yet: a softmax makes each row sum to 1."),
        (absolute / absolute.sum(1, keepdim=True), "this is the share of |cos|; the weights are a softmax."),
        (cosines / cosines.sum(1, keepdim=True), "cosines may be negative; a softmax makes weights of them."),
        ((cosines / temperature).sigmoid(), "each row should sum to 1: softmax, not sigmoid."),
        (right.log(), "these are logarithms: softmax, not log_softmax."),
        (torch.full_like(cosines, 1 / cosines.shape[1]), "all factors count alike; those that are shown count more."),
    ]


# --- the rank loss ------------------------------------------------------------------------------


def _rank_loss(likeness: Tensor, closeness: Tensor, margin: float) -> Tensor:
    apart = ~torch.eye(len(likeness), dtype=torch.bool, device=likeness.device)
    # [i, j, k]: anchor i, and two others of which j should be the closer one.
    ordered = (closeness.unsqueeze(2) > closeness.unsqueeze(1)) & apart.unsqueeze(2) & apart.unsqueeze(1)
    hinge = (likeness.unsqueeze(1) - likeness.unsqueeze(2) + margin).clamp(min=0)
    return (hinge * ordered).sum() / ordered.sum().clamp(min=1)


@check.exercise(
    reference=_rank_loss,
    difficulty=3,
    minutes=15,
    hints=(
        "Take one face i and two others, j and k. If j is closer to i in gaze than k, its features should be more like "
        "those of i. By how much are they not?",
        "All triplets at once: closeness.unsqueeze(2) is s_g(i, j) at [i, j, k], closeness.unsqueeze(1) is s_g(i, k). "
        "The same for the likeness.",
        "ordered = closeness.unsqueeze(2) > closeness.unsqueeze(1) says which triplets count, without those in which j "
        "or k is i itself. hinge = (likeness.unsqueeze(1) - likeness.unsqueeze(2) + margin).clamp(min=0)",
        "(hinge * ordered).sum() / ordered.sum(), and 0 where nothing is ordered: .clamp(min=1) below.",
    ),
)
def rank_loss(candidate):
    """Every triplet out of order costs by how much, ties cost nothing, and gradients push the right pairs."""
    for faces, margin, ties in ((5, 0.3, False), (4, 0.0, False), (6, 0.1, True), (3, 0.5, False), (4, 0.2, None)):
        given = (*_similarities(faces, ties), margin)
        setting = f"with {faces} faces and margin {margin:g}" + (", some of equal gaze" if ties else "")
        setting += ", all of equal gaze" if ties is None else ""
        examine(candidate, _rank_loss, given, _slips_of_rank_loss(*given), name="the loss", setting=setting)
        closeness = given[1]
        try:
            same_gradient(
                # Where nothing is ordered, a plain 0 has the right gradient, too: 0 · s gives it a graph.
                lambda s, c=closeness, m=margin, t=ties: candidate(s, c, m) + (0 * s.sum() if t is None else 0),
                lambda likeness, c=closeness, m=margin: _rank_loss(likeness, c, m),
                given[0],
            )
        except Wrong as wrong:
            raise Wrong(f"{setting}: the loss is right, but {wrong}") from None


def _similarities(faces: int, ties: bool | None) -> tuple[Tensor, Tensor]:
    """Cosines of random features and of gaze vectors; some or (None) all of the gaze vectors equal."""
    z, gaze = normalize(torch.randn(faces, 4), dim=1), normalize(torch.randn(faces, 3) + 2, dim=1)
    if ties:
        gaze = gaze[torch.arange(faces) % 3]
    closeness = torch.ones(faces, faces) if ties is None else (gaze @ gaze.T * 1e4).round() / 1e4  # ties are exact
    return z @ z.T, closeness


def _slips_of_rank_loss(likeness: Tensor, closeness: Tensor, margin: float) -> Slips:
    faces = len(likeness)
    apart = ~torch.eye(faces, dtype=torch.bool)
    others = apart.unsqueeze(2) & apart.unsqueeze(1)
    closer = closeness.unsqueeze(2) > closeness.unsqueeze(1)
    ordered = closer & others
    difference = likeness.unsqueeze(1) - likeness.unsqueeze(2)
    hinge = (difference + margin).clamp(min=0)
    count = ordered.sum().clamp(min=1)
    violated = ((hinge > 0) & ordered).sum().clamp(min=1)
    turned = (-difference + margin).clamp(min=0)
    ties = (closeness.unsqueeze(2) >= closeness.unsqueeze(1)) & others
    if not bool(ordered.any()):
        return [
            (torch.tensor(torch.nan), "nothing is ordered, and 0 / 0 is NaN: divide by .sum().clamp(min=1)."),
            ((hinge * ties).sum() / ties.sum(), "faces of equal gaze are in no order: >, not >=."),
        ]
    return [
        ((turned * ordered).sum() / count, "the sign is turned around: it costs when k is more alike than j."),
        ((hinge * closer).sum() / closer.sum(), "j or k may be the anchor itself here; leave these triplets out."),
        ((hinge * ties).sum() / ties.sum(), "faces of equal gaze are in no order: >, not >=."),
        ((hinge * ordered).sum(), "this is the sum; divide by the number of ordered triplets."),
        ((hinge * ordered).mean(), "this is the mean over all B³; divide by the number of ordered triplets."),
        ((hinge * ordered).sum() / others.sum(), "divide by the number of ordered triplets, not of all."),
        ((hinge * ordered).sum() / violated, "only violated triplets are counted below; count all ordered ones."),
        (((difference + margin) * ordered).sum() / count, "no hinge: right orders would pay for wrong ones."),
        ((difference.clamp(min=0) * ordered).sum() / count, "the margin is missing."),
        ((difference.clamp(min=0) * ordered).sum() / count + margin, "the margin belongs inside the hinge."),
        (
            ((difference - margin).clamp(min=0) * ordered).sum() / count,
            "the margin is subtracted: j should be more alike than k by the margin, so it is added.",
        ),
        ((hinge.square() * ordered).sum() / count, "the hinge is not squared."),
        (((hinge > 0) & ordered).sum() / count, "this counts the triplets out of order; add up by how much they are."),
        (hinge[others].mean(), "all triplets count here; only those in which j is closer in gaze should."),
    ]


# --- the personal token -------------------------------------------------------------------------


def _personal_prompts(start: Tensor, context: Tensor, token: Tensor, phrases: Tensor) -> Tensor:
    people, prompts = len(token), len(phrases)
    personal = context + token.unsqueeze(1)  # [P, m, W]
    return torch.cat(
        [
            start.expand(people, prompts, 1, -1),
            personal.unsqueeze(1).expand(-1, prompts, -1, -1),
            phrases.expand(people, -1, -1, -1),
        ],
        dim=2,
    )


@check.exercise(
    reference=_personal_prompts,
    difficulty=2,
    minutes=10,
    hints=(
        "One prompt is [start | v₁ + π, …, v_m + π | words of the factor | end]: 1 + m + L vectors. The words and the "
        "end are in `phrases` already.",
        "context + token.unsqueeze(1) is [P, m, W]: every person's token is added to each of the context vectors.",
        "Each of the three parts has to become [P, K, its length, W]: .unsqueeze and .expand repeat without copying.",
        "torch.cat([start.expand(P, K, 1, -1), (context + token.unsqueeze(1)).unsqueeze(1).expand(-1, K, -1, -1), "
        "phrases.expand(P, -1, -1, -1)], dim=2)",
    ),
)
def personal_prompts(candidate):
    """Every person has every prompt, the token is in each context vector and nowhere else, and gradients reach it."""
    for people, length, prompts, words, width in ((2, 3, 4, 2, 5), (3, 1, 2, 4, 6), (1, 4, 3, 3, 4)):
        given = (
            torch.randn(width),
            torch.randn(length, width),
            torch.randn(people, width),
            torch.randn(prompts, words, width),
        )
        setting = f"{people} people, {length} context vectors, {prompts} phrases of {words}"
        slips = _slips_of_prompts(*given)
        examine(candidate, _personal_prompts, given, slips, name="the prompts", setting=setting)
        try:
            same_gradient(candidate, _personal_prompts, *given)
        except Wrong as wrong:
            raise Wrong(f"{setting}: the prompts are right, but {wrong}") from None


def _slips_of_prompts(start: Tensor, context: Tensor, token: Tensor, phrases: Tensor) -> Slips:
    people, prompts = len(token), len(phrases)
    begin = start.expand(people, prompts, 1, -1)
    plain = context.expand(people, prompts, -1, -1)
    personal = (context + token.unsqueeze(1)).unsqueeze(1).expand(-1, prompts, -1, -1)
    words = phrases.expand(people, -1, -1, -1)
    added = token.view(people, 1, 1, -1)
    extra = added.expand(-1, prompts, -1, -1)
    only_first = torch.cat([personal[:, :, :1], plain[:, :, 1:]], dim=2)

    def joined(*parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=2)

    right = joined(begin, personal, words)
    return [
        (joined(begin, plain, words), "the token is missing: all people have the same prompts."),
        (
            joined(begin + added, personal, words + added),
            "the token is added to the start and the words, too; only the context is personal.",
        ),
        (joined(begin, personal, words + added), "the token is added to the words, too; only the context is personal."),
        (joined(begin + added, personal, words), "the token is added to the start, too; only the context is personal."),
        (joined(begin, only_first, words), "the token is added to the first context vector only; add it to each."),
        (joined(begin, extra, plain, words), "the token is a vector of its own here; add it to every context vector."),
        (joined(begin, plain, extra, words), "the token is a vector of its own here; add it to every context vector."),
        (joined(begin, plain * added, words), "the token is multiplied; add it."),
        (joined(begin, words, personal), "the words come after the context, and the end of the sentence last."),
        (joined(personal, begin, words), "the start comes first."),
        (joined(personal, words), "the start of the sentence is missing."),
        (joined(begin, personal), "the words are missing."),
        (right.transpose(0, 1), "this is [phrases, people, …]; people come first."),
        (right.flatten(0, 1), "people and phrases share an axis; keep them apart: [P, K, …]."),
        (right[0], "this is the first person's; every person has prompts of their own."),
    ]
