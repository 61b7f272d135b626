"""Losses between images and words (CLIP, CLIP-Gaze), and losses that put features in the order of their gaze.

No code of CLIP-Gaze was released. What its text leaves open is an option here, and the default is a reconstruction; the
docstrings say so with the word "reconstruction".
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gazecourse.angles import unit_vector
from gazecourse.losses.gaze import gaze_angular
from gazecourse.validation import check_array, check_choice, check_not_negative, check_positive, check_whole, describe

LARGEST_SCALE = 100.0
"""CLIP's limit to 1/temperature: a larger one makes training unstable."""
SINKHORN_STEPS = 10
"""Scalings of rows and columns; after them, rows of captions' targets sum to 1 within a few hundredths."""
CERTAIN_ORDER = 1e-12
"""Squared distances between gaze vectors that differ by less are equal but for rounding."""

WEIGHTINGS = ("softmax", "uniform")
SIMILARITIES = ("absolute", "squared", "positive")
PAIRS = ("anchored", "any")
AVERAGES = ("ordered", "violated")
RANKINGS = ("hinge", "ranksim")
"""What is asked of the order: ``rank_loss`` or ``rank_similarity_loss``."""


def unit_features(features: Tensor) -> Tensor:
    """Features [..., D] at length 1, whose scalar products are cosines; a zero vector stays zero.

    So the cosine with a zero vector is 0 and sends no gradient, where x / |x| would send NaN into every weight.
    """
    length = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
    is_zero = length == 0
    return torch.where(is_zero, torch.zeros_like(features), features / torch.where(is_zero, 1.0, length))


# ---------------------------------------------------------------------- contrastive learning


def bounded_scale(log_scale: Tensor) -> Tensor:
    """1/temperature = exp(log_scale), at most 100, as in CLIP.

    The gradient passes through the limit unchanged. With a plain clamp it would be zero beyond the limit, and a
    temperature that once got there could never come back.
    """
    excess = (log_scale - math.log(LARGEST_SCALE)).clamp(min=0)
    return (log_scale - excess.detach()).exp()


def identical_captions(captions: Sequence[Hashable]) -> Tensor:
    """bool [B, B]: whether two captions of a batch are the same. For ``contrastive_loss(positives=...)``."""
    numbers: dict[Hashable, int] = {}
    ids = torch.tensor([numbers.setdefault(caption, len(numbers)) for caption in captions])
    return ids.unsqueeze(1) == ids


def contrastive_loss(
    image_features: Tensor, text_features: Tensor, log_scale: Tensor | float, *, positives: Tensor | None = None
) -> Tensor:
    """CLIP's symmetric loss: every image finds its caption among all of the batch, every caption its image.

        s_ij = exp(log_scale) · cos(u_i, v_j)        L = ½ (CE over rows + CE over columns)     (Radford et al. 2021)

    With ``positives`` None the target of row i is its own caption i. Others of the batch may be true of the image as
    well, so single steps push it away from sentences that describe it. On average that is no mistake: the loss is
    smallest where s_ij is log p(x, s) / (p(x) p(s)) and a constant (van den Oord et al. 2018), how much more likely the
    sentence is beside this image than beside any. But it is noise. With ``positives`` the target is about what that of
    ``None`` would be on average over all ways to give the captions to images of which they are true, one to each: a
    matrix whose rows and columns all sum to 1, found by scaling them in turn (Sinkhorn and Knopp 1967). (For captions
    that agree word for word, ``identical_captions``, both forms are equal: twins have one feature, so it does not
    matter which of them the target names.)

    Args:
        image_features, text_features: [B, D], of any length; row i of both belong together.
        log_scale: logarithm of 1/temperature; see ``bounded_scale``.
        positives: bool [B, B], whether caption j is true of image i, such as ``identical_captions``. The diagonal
            always counts.
    Returns:
        Scalar, 0 or more; ln B for features that do not depend on their input.
    Raises:
        ValueError: the shapes differ or are not [B, D], or ``positives`` is not bool [B, B].
    """
    _check_features(image_features, text_features)
    cosines = unit_features(image_features) @ unit_features(text_features).T
    logits = bounded_scale(torch.as_tensor(log_scale, dtype=cosines.dtype, device=cosines.device)) * cosines
    batch = len(logits)
    if positives is None:
        own = torch.arange(batch, device=logits.device)
        return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    if not isinstance(positives, Tensor) or positives.shape != (batch, batch) or positives.dtype != torch.bool:
        raise ValueError(f"positives must be bool [{batch}, {batch}]; got {describe(positives)}.")
    true = (positives.to(logits.device) | torch.eye(batch, dtype=torch.bool, device=logits.device)).to(logits.dtype)
    shares = true
    for _ in range(SINKHORN_STEPS):
        shares = shares / shares.sum(1, keepdim=True)
        shares = shares / shares.sum(0)
    rows = cross_entropy(logits, shares / shares.sum(1, keepdim=True))
    columns = cross_entropy(logits.T, shares.T)
    return (rows + columns) / 2


# ---------------------------------------------------------------------- distillation and separation


def distillation_loss(features: Tensor, clip_features: Tensor) -> Tensor:
    """L_d = mean(1 − cos(f, f_v)): draws the features of the gaze network into CLIP's space (CLIP-Gaze).

    Args:
        features: f [B, D] of the gaze network, before its filter.
        clip_features: f_v = E_v(x) [B, D] of the frozen CLIP; detached.
    Returns:
        Scalar from 0 to 2; a zero vector counts as cos = 0.
    Raises:
        ValueError: the shapes differ or are not [B, D].
    """
    _check_features(features, clip_features, "features", "clip_features")
    return (1 - (unit_features(features) * unit_features(clip_features.detach())).sum(1)).mean()


def factor_weights(
    clip_features: Tensor, text_features: Tensor, temperature: float = 0.07, *, weighting: str = "softmax"
) -> Tensor:
    """w [B, K], how much each factor counts for each image; every row sums to 1. Arguments: ``separation_loss``."""
    check_positive("temperature", temperature)
    check_choice("weighting", weighting, WEIGHTINGS)
    _check_texts(clip_features, text_features)
    cosines = _cosines(clip_features, text_features)
    return (
        (cosines / temperature).softmax(1) if weighting == "softmax" else torch.full_like(cosines, 1 / len(cosines[0]))
    )


def separation_loss(
    features: Tensor,
    clip_image_features: Tensor,
    text_features: Tensor,
    temperature: float = 0.07,
    *,
    weighting: str = "softmax",
    similarity: str = "absolute",
) -> Tensor:
    """L_sep = mean over images of Σ_k w_k |cos(z, t_k)|: away from the words for what gaze is not (CLIP-Gaze).

        w = softmax_k(cos(f_v, t_k) / temperature)

    An image counts the factors that it shows: "sunglasses" matters to z where CLIP sees sunglasses. The weights are
    taken as constants: no gradient flows into what CLIP sees.

    The softmax, its temperature and the absolute value are a reconstruction; the paper's text says that the more
    similar z is to the irrelevant features an image shows, the larger is the loss.

    Args:
        features: z [B, D], after the filter.
        clip_image_features: f_v [B, D] of the frozen CLIP.
        text_features: t [K, D], or [B, K, D] where every image has its own (personalized context).
        temperature: a small one leaves an image only its most similar factor, a large one all alike.
        weighting: "softmax", or "uniform" for 1/K.
        similarity: "absolute" |cos|; "squared" cos², whose pull fades near 0; "positive" max(0, cos), which lets z be
            the opposite of a factor.
    Returns:
        Scalar from 0 to 1; a zero vector counts as cos = 0.
    Raises:
        ValueError: the shapes do not fit, no factor, another option, or no positive temperature.
    """
    check_choice("similarity", similarity, SIMILARITIES)
    _check_features(features, clip_image_features, "features", "clip_image_features")
    weights = factor_weights(clip_image_features, text_features, temperature, weighting=weighting).detach()
    cosines = _cosines(features, text_features)
    if similarity == "squared":
        cost = cosines.square()
    else:
        cost = cosines.abs() if similarity == "absolute" else cosines.clamp(min=0)
    return (weights * cost).sum(1).mean()


def _cosines(features: Tensor, text_features: Tensor) -> Tensor:
    """[B, K] between features [B, D] and texts [K, D] or [B, K, D]."""
    return (unit_features(text_features) @ unit_features(features).unsqueeze(-1)).squeeze(-1)


def prompt_loss(
    image_features: Tensor,
    text_features: Tensor,
    labels: Mapping[str, Tensor],
    places: Mapping[str, slice],
    log_scale: Tensor | float,
) -> Tensor:
    """What trains learned context (CoOp, Zhou et al. 2022): its prompts should tell every factor's classes apart.

        L = mean over images and factors of −log softmax_k(exp(log_scale) cos(f_v, t_k)), k among the factor's prompts

    A factor with a single prompt, such as "motion blur", is always told: it counts as 0, and its prompt learns nothing
    but what all share.

    Args:
        image_features: f_v [B, D] of the frozen CLIP. text_features: t [K, D] or [B, K, D].
        labels: for each factor the place [B] of its true prompt among the factor's own; -1 where it has none.
        places: which of the K prompts belong to a factor.
        log_scale: logarithm of 1/temperature.
    Returns:
        Scalar; 0 with zero gradient where no label is given.
    Raises:
        ValueError: no factor, or shapes that do not fit.
    """
    _check_texts(image_features, text_features)
    if not labels:
        raise ValueError("labels must hold a factor or more; got none.")
    logits = bounded_scale(torch.as_tensor(log_scale)).to(image_features) * _cosines(image_features, text_features)
    total, count = 0.0 * logits.sum(), 0
    for name, label in labels.items():
        check_array(f"labels[{name!r}]", label, (len(logits),), floating=False)
        total = total + cross_entropy(logits[:, places[name]], label, ignore_index=-1, reduction="sum")
        count = count + (label >= 0).sum()
    return total / count.clamp(min=1)


# ---------------------------------------------------------------------- rank


def gaze_closeness(gaze: Tensor) -> Tensor:
    """[B, B] float64, −|a − b|² of unit gaze vectors: in the same order as their cosine 1 − |a − b|²/2.

    Near 1 the cosine of two float32 vectors has steps of 0.03°, and those of equal vectors differ by rounding.
    """
    vectors = unit_vector(gaze.detach().double())
    return -(vectors.unsqueeze(1) - vectors).square().sum(-1)


def rank_loss(
    features: Tensor,
    gaze: Tensor,
    margin: float = 0.0,
    *,
    samples: int | None = None,
    pairs: str = "anchored",
    average: str = "ordered",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Pairs of faces that look alike in gaze should be alike in features: the order of both must agree (CLIP-Gaze).

        L_rank = mean over pairs p, q with s_g(p) > s_g(q) of max(0, s_f(q) − s_f(p) + margin)

    s_g is the cosine of two gaze vectors, s_f that of two features z. The hinge, the margin and the set of pairs are a
    reconstruction. By default p and q share a face: (anchor, j) and (anchor, k), every triplet of the batch. The sum
    over B³/2 triplets takes O(B² log B) steps, for it is enough to count for every pair with how
    many others it is out of order; the counts are the gradient.

    Args:
        features: z [B, D].
        gaze: [B, 2] (pitch, yaw), radians.
        margin: by how much the similarities should differ; 0 or more.
        samples: so many random triplets (or pairs of pairs) instead of all, for large batches.
        pairs: "anchored", or "any" for p and q without a face in common.
        average: over all "ordered" p, q, or over the "violated" ones, whose hinge is not 0, which keeps the gradient
            large when few are left.
        generator: of the samples.
    Returns:
        Scalar, 0 or more. Exactly 0, with zero gradient, where nothing can be ordered: fewer than three faces (for
        one anchor), or all with the same gaze.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    _check_ranked(features, gaze)
    check_choice("pairs", pairs, PAIRS)
    check_choice("average", average, AVERAGES)
    check_not_negative("margin", margin)
    normed = unit_features(features)
    closeness, likeness = gaze_closeness(gaze), normed @ normed.T
    layout = _without_self if pairs == "anchored" else _upper_triangle
    closeness, likeness = layout(closeness), layout(likeness)
    if samples is not None:
        check_whole("samples", samples, 1)
        return _sampled_hinge(closeness, likeness, margin, samples, average, generator)
    return _every_hinge(closeness, likeness, margin, average)


def _without_self(matrix: Tensor) -> Tensor:
    """[B, B − 1]: every face beside all others."""
    count = len(matrix)
    if count < 2:
        return matrix[:, :0]
    # From the second number on, the diagonal is the last column of rows one longer than the matrix's.
    return matrix.reshape(-1)[1:].view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)


def _upper_triangle(matrix: Tensor) -> Tensor:
    """[1, B (B − 1) / 2]: every pair once."""
    row, column = torch.triu_indices(len(matrix), len(matrix), 1, device=matrix.device)
    return matrix[row, column].unsqueeze(0)


def _every_hinge(closeness: Tensor, likeness: Tensor, margin: float, average: str) -> Tensor:
    """Mean hinge over all ordered pairs of entries within each row."""
    rank = _dense_ranks(closeness)
    behind, ahead, ordered = _count_disorder(rank, likeness.detach(), margin)
    violated = behind.sum()
    count = ordered if average == "ordered" else violated
    # Σ over disordered p, q of s_f(q) − s_f(p) + margin: each entry as often as it is q, less as often as it is p.
    total = ((ahead - behind).to(likeness.dtype) * likeness).sum() + margin * violated.to(likeness.dtype)
    return total / count.clamp(min=1)


def _sampled_hinge(
    closeness: Tensor, likeness: Tensor, margin: float, samples: int, average: str, generator: torch.Generator | None
) -> Tensor:
    """Mean hinge over random pairs of entries within rows; those of equal closeness do not count."""
    rows, entries = closeness.shape
    if entries < 2:
        return 0.0 * likeness.sum()
    row = torch.randint(rows, (samples,), generator=generator).to(closeness.device)
    first = torch.randint(entries, (samples,), generator=generator).to(closeness.device)
    # Any entry but the first, equally likely.
    step = torch.randint(1, entries, (samples,), generator=generator).to(closeness.device)
    second = (first + step) % entries
    lead = closeness[row, first] - closeness[row, second]
    hinge = (lead.sign() * (likeness[row, second] - likeness[row, first]) + margin).clamp(min=0)
    counts = lead.abs() > CERTAIN_ORDER
    hinge = torch.where(counts, hinge, torch.zeros_like(hinge))
    count = counts.sum() if average == "ordered" else (hinge > 0).sum()
    return hinge.sum() / count.clamp(min=1)


def _dense_ranks(values: Tensor) -> Tensor:
    """int64, 0 for the smallest of each row [R, N]; equal but for rounding means the same rank."""
    ascending, order = values.sort(1)
    step = torch.zeros_like(order)
    step[:, 1:] = ascending.diff(dim=1) > CERTAIN_ORDER
    return torch.empty_like(order).scatter_(1, order, step.cumsum(1))


def _count_disorder(rank: Tensor, value: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
    """How often each entry of a row [R, N] is in disorder, and how many pairs of entries are ordered at all.

    Entries p, q with rank(p) > rank(q) are in disorder if value(q) + margin > value(p). Two different ranks agree in
    their highest bits, down to one that p has and q has not. So entries are sorted by value, and their line is split
    bit by bit into groups of equal highest bits, each still sorted by value: there the disordered q of a p are those
    that come after it. Every pair of ranks is met once, and equal ranks never.

    Returns:
        For each entry, how many q it has as p, and how many p as q, int64 [R, N] each; the number of ordered pairs.
    """
    rows, entries = rank.shape
    # Every entry stands in line twice, as q with the margin added and as p. At equal values, where the hinge is 0,
    # q comes first and is not in disorder.
    line = torch.cat([value + margin, value], dim=1).sort(dim=1, stable=True).indices
    row = torch.arange(rows, device=rank.device).unsqueeze(1)
    entry = (line % max(entries, 1) + row * entries).flatten()
    is_p = (line >= entries).flatten()
    key = rank.flatten().gather(0, entry)
    start = (2 * entries * row).expand(-1, 2 * entries).flatten()
    stop = start + 2 * entries
    place = torch.arange(len(entry), device=rank.device)
    behind, ahead = (torch.zeros(rows * entries, dtype=torch.int64, device=rank.device) for _ in range(2))
    ordered = torch.zeros((), dtype=torch.int64, device=rank.device)
    for bit in reversed(range(entries.bit_length())):
        high = ((key >> bit) & 1).bool()
        p, q = is_p & high, ~(is_p | high)
        p_before, q_before, low_before = (_count_before(flag) for flag in (p, q, ~high))
        q_until_stop = q_before.gather(0, stop)
        behind.scatter_add_(0, entry, (q_until_stop - q_before[1:]) * p)
        ahead.scatter_add_(0, entry, (p_before[:-1] - p_before.gather(0, start)) * q)
        ordered += ((q_until_stop - q_before.gather(0, start)) * p).sum()
        low_until_start = low_before.gather(0, start)
        middle = start + low_before.gather(0, stop) - low_until_start
        low_place = start + low_before[:-1] - low_until_start
        new_place = torch.where(high, middle + place - low_place, low_place)
        moved = (entry, is_p, key, torch.where(high, middle, start), torch.where(high, stop, middle))
        entry, is_p, key, start, stop = (torch.empty_like(t).scatter_(0, new_place, t) for t in moved)
    return behind.view(rows, entries), ahead.view(rows, entries), ordered


def _count_before(flags: Tensor) -> Tensor:
    """int64 [n + 1]: how many of flags [n] are true before each place, and in all."""
    return torch.nn.functional.pad(flags.cumsum(0), (1, 0))


class _RankMismatch(torch.autograd.Function):
    """Mean squared difference between the ranks of scores and given ranks, row by row, as shares of the row's length.

    Ranks are piecewise constant. Blackbox differentiation (Vlastelica et al. 2020) replaces their gradient: with the
    gradient g of the loss at the ranks, the scores' gradient is −(rank(a) − rank(a + λ g)) / λ.
    """

    @staticmethod
    def forward(ctx, scores: Tensor, ranks: Tensor, strength: float) -> Tensor:
        own = _descending_ranks(scores)
        ctx.save_for_backward(scores, own, ranks)
        ctx.strength = strength
        return ((own - ranks) / scores.shape[1]).square().mean(1)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None, None]:
        scores, own, ranks = ctx.saved_tensors
        count = scores.shape[1]
        toward = 2 * (own - ranks) / count**2
        moved = _descending_ranks(scores + ctx.strength * toward)
        return upstream.unsqueeze(1) * (moved - own) / (count * ctx.strength), None, None


def _descending_ranks(values: Tensor) -> Tensor:
    """1 for the largest of each row [R, N], N for the smallest."""
    order = values.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(1, values.shape[1] + 1, dtype=values.dtype, device=values.device).expand_as(values)
    return torch.empty_like(values).scatter_(1, order, places)


def _tied_ranks(values: Tensor) -> Tensor:
    """As ``_descending_ranks``, in float64; equal values share the mean of their ranks."""
    dense = _dense_ranks(-values)
    ranks = _descending_ranks(values)
    total, count = (torch.zeros_like(ranks) for _ in range(2))
    total.scatter_add_(1, dense, ranks)
    count.scatter_add_(1, dense, torch.ones_like(ranks))
    return (total / count.clamp(min=1)).gather(1, dense)


def rank_similarity_loss(features: Tensor, gaze: Tensor, strength: float = 2.0) -> Tensor:
    """RankSim's loss, for comparison: the neighbors of a face have the same ranks in features as in gaze.

        L = mean over faces i of |rank(s_f(i, ·)) − rank(s_g(i, ·))|² / (B − 1)³           (Gong et al. 2022)

    As in the published code, ranks are shares of the others' number B − 1, so that neither the loss nor the reach of
    ``strength`` grows with the batch. Where ``rank_loss`` looks at similarities that are out of order, this one looks
    at ranks alone.

    Args:
        features: z [B, D]. gaze: [B, 2] (pitch, yaw), radians.
        strength: λ of the blackbox gradient: how far scores are moved to see how their ranks change.
    Returns:
        Scalar from 0 to 1, about 1/6 for features that know nothing of gaze. Faces of equal closeness share a rank.
        Exactly 0, with zero gradient, where nothing can be ordered.
    Raises:
        TypeError, ValueError: as ``rank_loss``.
    """
    _check_ranked(features, gaze)
    check_positive("strength", strength)
    normed = unit_features(features)
    closeness, scores = _without_self(gaze_closeness(gaze)), _without_self(normed @ normed.T)
    if scores.shape[1] < 2:
        return 0.0 * scores.sum()
    can_be_ordered = (closeness.amax(1) - closeness.amin(1) > CERTAIN_ORDER).to(scores.dtype)
    mismatch = _RankMismatch.apply(scores, _tied_ranks(closeness).to(scores.dtype), float(strength))
    return (can_be_ordered * mismatch).sum() / can_be_ordered.sum().clamp(min=1)


# ---------------------------------------------------------------------- the total


_OPTIONS = {
    "weighting": WEIGHTINGS,
    "similarity": SIMILARITIES,
    "ranking": RANKINGS,
    "pairs": PAIRS,
    "average": AVERAGES,
}


@dataclass(frozen=True)
class ClipGazeWeights:
    """Weights of L = L_gaze + λ₁ L_sep + λ₂ L_d + λ₃ L_rank, and the options of its terms.

    L_gaze is in radians, a few tenths at first; the other terms have no unit and lie between 0 and 1 or 2. All numbers
    are a reconstruction; a weight of 0 leaves its term out of the total.

    Attributes:
        separation, distillation, rank: λ₁, λ₂, λ₃, 0 or more.
        temperature, weighting, similarity: of ``separation_loss``.
        ranking: "hinge" for ``rank_loss``, "ranksim" for ``rank_similarity_loss``.
        margin, samples, pairs, average: of ``rank_loss``. strength: of ``rank_similarity_loss``.
    Raises:
        TypeError, ValueError: naming the setting, what was expected and what came.
    """

    separation: float = 1.0
    distillation: float = 1.0
    rank: float = 1.0
    temperature: float = 0.07
    weighting: str = "softmax"
    similarity: str = "absolute"
    ranking: str = "hinge"
    margin: float = 0.0
    samples: int | None = None
    pairs: str = "anchored"
    average: str = "ordered"
    strength: float = 2.0

    def __post_init__(self) -> None:
        for name in ("separation", "distillation", "rank", "margin"):
            check_not_negative(name, getattr(self, name))
        for name in ("temperature", "strength"):
            check_positive(name, getattr(self, name))
        for name, choices in _OPTIONS.items():
            check_choice(name, getattr(self, name), choices)
        if self.samples is not None:
            check_whole("samples", self.samples, 1)


def clip_gaze_loss(
    predicted: Tensor,
    gaze: Tensor,
    features: Tensor,
    filtered: Tensor,
    clip_features: Tensor,
    text_features: Tensor,
    weights: ClipGazeWeights = ClipGazeWeights(),
) -> dict[str, Tensor]:
    """CLIP-Gaze's total, L = L_gaze + λ₁ L_sep + λ₂ L_d + λ₃ L_rank, and its terms.

    Args:
        predicted, gaze: [B, 2] (pitch, yaw), radians.
        features: f = E(x) [B, D]. filtered: z = M(f) [B, D].
        clip_features: f_v [B, D]. text_features: t [K, D] or [B, K, D], detached: what the words mean is not for the
            gaze network to change. Otherwise learned context could lower L_sep by saying nothing.
        weights: of the terms.
    Returns:
        "loss", the total, and its terms "gaze", "separation", "distillation" and "rank" without their weights.
    Raises:
        TypeError, ValueError: as the single losses.
    """
    w = weights
    options = {"weighting": w.weighting, "similarity": w.similarity}
    terms = {
        "gaze": gaze_angular(predicted, gaze),
        "separation": separation_loss(filtered, clip_features, text_features.detach(), w.temperature, **options),
        "distillation": distillation_loss(features, clip_features),
        "rank": _ranking_loss(filtered, gaze, w),
    }
    total = terms["gaze"] + sum(getattr(w, name) * terms[name] for name in ("separation", "distillation", "rank"))
    return {"loss": total, **terms}


def _ranking_loss(filtered: Tensor, gaze: Tensor, w: ClipGazeWeights) -> Tensor:
    if w.ranking == "ranksim":
        return rank_similarity_loss(filtered, gaze, w.strength)
    return rank_loss(filtered, gaze, w.margin, samples=w.samples, pairs=w.pairs, average=w.average)


# ---------------------------------------------------------------------- checks


def _check_features(a: Tensor, b: Tensor, first: str = "image_features", second: str = "text_features") -> None:
    for name, value in ((first, a), (second, b)):
        if not isinstance(value, Tensor) or value.ndim != 2 or not value.is_floating_point():
            raise ValueError(f"{name} must be features [B, D]; got {describe(value)}.")
    if a.shape != b.shape:
        raise ValueError(
            f"{first} and {second} must have one shape; got {list(a.shape)} and {list(b.shape)}. "
            "Features of two CLIPs of different widths cannot be compared."
        )
    if not a.numel():
        raise ValueError(f"{first} must hold a feature or more; got {describe(a)}.")


def _check_texts(features: Tensor, text_features: Tensor) -> None:
    batch, width = features.shape
    right = isinstance(text_features, Tensor) and text_features.ndim in (2, 3) and text_features.shape[-1] == width
    if not right or (text_features.ndim == 3 and len(text_features) != batch):
        raise ValueError(f"text_features must be [K, {width}] or [{batch}, K, {width}]; got {describe(text_features)}.")
    if not text_features.shape[-2]:
        raise ValueError("text_features must hold one factor or more; got none. Name a factor to separate from.")


def _check_ranked(features: Tensor, gaze: Tensor) -> None:
    if not isinstance(features, Tensor) or features.ndim != 2 or not features.is_floating_point():
        raise ValueError(f"features must be [B, D]; got {describe(features)}.")
    check_array("gaze", gaze, (len(features), 2))
    if not isinstance(gaze, Tensor):
        raise TypeError(f"gaze must be a tensor; got {describe(gaze)}.")
