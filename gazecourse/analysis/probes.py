"""What frozen features know: a linear probe for every factor that the renderer knows.

A probe is the simplest model that can read a factor from features: logistic regression for classes, ridge regression
for quantities. It learns from some people and is judged on others. Otherwise it could learn by heart who is how old,
and any feature that tells people apart would seem to know their age.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from torch.utils.data import Dataset

from gazecourse.comparison import from_face
from gazecourse.faces import attributes
from gazecourse.faces.attributes import main_light
from gazecourse.faces.captions import UNSEEN, seen
from gazecourse.sample import Sample
from gazecourse.training import predict
from gazecourse.validation import Array, check_array, check_choice, check_whole, describe

if TYPE_CHECKING:
    from gazecourse.faces.dataset import FaceDataset

CLASS_STRENGTHS = (10.0, 0.3, 0.01)
RIDGE_STRENGTHS = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Weights of the penalty ½ |W|² beside the mean loss of a sample, strongest first."""
TUNING_PARTS = 4
"""One of so many parts of the people a probe learns from decides how strong its penalty is."""
SPLITS = ("person", "image")

FACTORS: Mapping[str, Callable[[FaceDataset], Tensor]] = MappingProxyType(
    {
        "gaze pitch": lambda data: data.gaze[:, 0],
        "gaze yaw": lambda data: data.gaze[:, 1],
        "head yaw": lambda data: data.head[:, 1],
        "identity": lambda data: data.person,
        "age": lambda data: data.factors.age,
        "sex": lambda data: data.factors.male > 0,
        "skin tone": lambda data: data.factors.skin_tone,
        "beard": lambda data: data.factors.beard > 0,
        "glasses": lambda data: data.factors.glasses > 0,
        "hat": lambda data: data.factors.hat > 0,
        "light direction": lambda data: main_light(data.factors),
        "brightness": lambda data: attributes.brightness(data.factors).clamp(min=1e-3).log2(),
        "background": lambda data: data.factors.background,
        "defocus": lambda data: data.factors.defocus,
        "noise": lambda data: data.factors.noise,
    }
)
"""What ``leakage`` probes for by default: gaze and head first, then what gaze does not depend on.

Beard, glasses and hat are worn or not; light direction is the unit vector to the strongest light; brightness is in
stops; the other quantities are those of ``Factors``. Identity is also told by what people keep: hair, frames, and in
some domains clothes and the wall behind.
"""


@dataclass(frozen=True)
class Probe:
    """How well a factor can be read from features: 1 perfectly, 0 not at all, below 0 worse than guessing.

    Attributes:
        score: for classes (balanced accuracy − chance) / (1 − chance), for quantities R².
        low, high: its bootstrap interval over people.
        kind: "classes" or "quantity". The two cannot be compared.
    """

    score: float
    low: float
    high: float
    kind: str

    def __str__(self) -> str:
        return f"{self.score:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Leakage(dict[str, Probe]):
    """Probes by factor; ``left_out`` says of every factor that was asked for and has no probe why it has none."""

    def __init__(self, probes: Mapping[str, Probe], left_out: Mapping[str, str]) -> None:
        super().__init__(probes)
        self.left_out = dict(left_out)

    def __missing__(self, name: str) -> Probe:
        reason = f"left out, because {self.left_out[name]}" if name in self.left_out else "not among the factors"
        raise KeyError(f"{name} is {reason}.")

    def __str__(self) -> str:
        width = max(map(len, (*self, *self.left_out)), default=0)
        rows = [f"{name:{width}}  {probe}  {probe.kind}" for name, probe in self.items()]
        return "\n".join(rows + [f"{name:{width}}  left out: {reason}" for name, reason in self.left_out.items()])


def features_of(
    model: nn.Module,
    data: Dataset,
    layer: str | None = None,
    *,
    forward: Callable[[nn.Module, Any], Tensor] = from_face,
    batch_size: int = 256,
) -> Tensor:
    """One feature vector per face: what a layer puts out, feature maps averaged over all positions.

    >>> features_of(model, faces, "backbone")  # a PureGaze
    >>> features_of(model, faces, forward=lambda m, batch: m.stages(batch.float_image())["fc"])  # a FullFace

    Args:
        layer: name of a submodule, as in ``model.named_modules()``; None takes what ``forward`` returns.
        forward: calls the model on a batch, e.g. a ``Method``'s.
        batch_size: faces at once.
    Returns:
        float32 [N, D] on the CPU.
    Raises:
        ValueError: there is no such layer, ``forward`` does not run it exactly once, or it gives neither [B, D] nor
            [B, D, h, w].
    """
    if layer is None:
        return predict(model, data, lambda m, batch: _pooled("forward", forward(m, batch)), batch_size)
    check_choice("layer", layer, [name for name, _ in model.named_modules() if name])
    seen: list[Any] = []
    watch = model.get_submodule(layer).register_forward_hook(lambda _, __, output: seen.append(output))

    def watched(m: nn.Module, batch: Sample) -> Tensor:
        seen.clear()
        forward(m, batch)
        if len(seen) != 1:
            raise ValueError(f"layer must run once in a forward pass; {layer!r} ran {len(seen)} times.")
        return _pooled(f"layer {layer!r}", seen[0])

    try:
        return predict(model, data, watched, batch_size)
    finally:
        watch.remove()


def _pooled(name: str, output: Any) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim not in (2, 4):
        raise ValueError(f"{name} must give features [B, D] or maps [B, D, h, w]; got {describe(output)}.")
    return output if output.ndim == 2 else output.mean((2, 3))


def probe(
    features: Array,
    target: Array,
    person: Array,
    *,
    split: str = "person",
    folds: int = 5,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Probe:
    """How well a linear model reads ``target`` from features of people it has not seen.

    The people are dealt into ``folds`` groups. Each group is predicted by a probe that learned from the others: its
    features standardized by their means and deviations, its penalty chosen on a quarter of those people, then fitted to
    all of them. All predictions together give the score:

        classes      (a − c) / (1 − c),   a: recall of each class, averaged;  c = 1 / number of classes
        quantities   1 − Σ |v − v̂|² / Σ |v − v̄|²,   v̄: the mean in the part that the probe learned from

    The interval comes from drawing people again with replacement, as in ``metrics.bootstrap_ci``. The groups depend on
    people, classes and ``seed`` alone, so that all features of the same faces are judged alike.

    Args:
        features: [N, D], floating point, any unit.
        target: [N] integers or bool for classes, [N] or [N, M] floats for a quantity or a vector.
        person: [N] integers, who is in each image.
        split: "person" has nobody in both parts. "image" has everybody in both, other images of them: the only way to
            ask for identity, and for anything else a way to see what knowing people by heart is worth.
        folds: groups of people (or of images), 2 or more; 5 learn from four fifths of them.
        level, resamples, seed: as in ``metrics.bootstrap_ci``; ``seed`` also deals the groups.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also where a probe would mean
            nothing, because the target is the same everywhere or too few people have one of its classes.
    """
    check_array("features", features, ("N", "D"))
    rows = _array(features).astype(np.float64)
    if 0 in rows.shape:
        raise ValueError(f"features must hold at least one face and one feature; got {describe(features)}.")
    people = _array(check_array("person", person, (len(rows),), floating=False))
    if people.dtype.kind not in "iu":
        raise TypeError(f"person must be integers; got {describe(person)}.")
    values = _targets(target, len(rows))
    check_choice("split", split, SPLITS)
    check_whole("folds", folds, 2)
    check_whole("resamples", resamples, 1)
    check_whole("seed", seed, 0)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}.")
    reason = _why_not(values, people, split, folds)
    if reason:
        raise ValueError(f"target cannot be probed for, because {reason}.")
    is_class = values.ndim == 1
    if is_class:
        values = np.unique(values, return_inverse=True)[1]
    member = np.unique(people, return_inverse=True)[1]
    group = _deal(member, values if is_class else None, split, folds, seed)
    guesses = _held_out(_fit_classes if is_class else _fit_quantity, rows, values, member, group, split, seed)
    draws = _draws(member.max() + 1, resamples, seed)
    if is_class:
        scores = _class_scores(values, guesses, member, draws)
    else:
        means = np.stack([values[group != number].mean(0) for number in range(folds)])[group]
        scores = _quantity_scores(values, guesses, means, member, draws)
    low, high = np.quantile(scores[1:], [(1 - level) / 2, (1 + level) / 2])
    return Probe(float(scores[0]), float(low), float(high), "classes" if is_class else "quantity")


def leakage(
    features: Array, data: FaceDataset, factors: Sequence[str] | None = None, *, folds: int = 5, **settings: Any
) -> Leakage:
    """What features know of each factor of rendered faces: a probe for every one, identity split by image.

    >>> print(leakage(features_of(model, faces, "backbone"), faces))

    Args:
        features: [N, D] of the faces of ``data``, in their order; see ``features_of``.
        data: the faces; only labels and factors are used.
        factors: names in ``FACTORS``; default all of them.
        folds, settings: as in ``probe``.
    Returns:
        ``Probe`` by factor. A factor that is the same in all images, or has a class that fewer than ``folds`` people
        show, is not in it but in its ``left_out``, with the reason.
    Raises:
        TypeError, ValueError: as ``probe``, or for a factor that is not known.
    """
    names = _asked(factors, FACTORS)
    check_array("features", features, (len(data.person), "D"))
    check_whole("folds", folds, 2)
    probes: dict[str, Probe] = {}
    left_out: dict[str, str] = {}
    for name in names:
        target, split = FACTORS[name](data), "image" if name == "identity" else "person"
        reason = _why_not(_targets(target, len(features)), _array(data.person), split, folds)
        if reason:
            left_out[name] = reason
        else:
            probes[name] = probe(features, target, data.person, split=split, folds=folds, **settings)
    return Leakage(probes, left_out)


def named_leakage(
    features: Array, data: FaceDataset, factors: Sequence[str] | None = None, *, folds: int = 5, **settings: Any
) -> Leakage:
    """What features know of each factor that has words: a probe of the faces that show it for each.

    Faces that do not show a factor (``captions.seen``), and those of a class that fewer than ``folds`` people show, do
    not count for it.

    Args:
        features, data, folds, settings: as in ``leakage``.
        factors: names in ``attributes.NAMED``; default all of them.
    Returns:
        As ``leakage``; a factor of which fewer than two classes are left is in ``left_out``.
    Raises:
        TypeError, ValueError: as ``leakage``.
    """
    names = _asked(factors, attributes.NAMED)
    check_array("features", features, (len(data.person), "D"))
    check_whole("folds", folds, 2)
    facts, person, rows = seen(data.factors), _array(data.person), _array(features)
    probes: dict[str, Probe] = {}
    left_out: dict[str, str] = {}
    for name in names:
        labels = _array(facts[name])
        common = [label for label in np.unique(labels[labels != UNSEEN]) if _shown_by(labels, label, person) >= folds]
        if len(common) < 2:
            left_out[name] = f"fewer than two of its classes are shown by {folds} people"
        else:
            kept = np.isin(labels, common)
            probes[name] = probe(rows[kept], labels[kept], person[kept], folds=folds, **settings)
    return Leakage(probes, left_out)


def _asked(factors: Sequence[str] | None, known: Mapping[str, object]) -> list[str]:
    """The factors asked for, or all that are known."""
    if isinstance(factors, str):
        raise TypeError(f"factors must be a list of names; got {describe(factors)}.")
    names = list(known) if factors is None else list(factors)
    for name in names:
        check_choice("factors", name, tuple(known))
    return names


def _shown_by(labels: np.ndarray, label: int, person: np.ndarray) -> int:
    """How many people show a class."""
    return len(np.unique(person[labels == label]))


# --- arguments ----------------------------------------------------------------------------------


def _array(value: Array) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def _targets(target: Array, count: int) -> np.ndarray:
    """int64 [N] for classes, float64 [N, M] for quantities."""
    check_array("target", target, floating=False)
    values = _array(target)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"target must be floats (quantities) or integers (classes); got {describe(target)}.")
    quantity = values.dtype.kind == "f"
    if values.ndim not in ((1, 2) if quantity else (1,)) or len(values) != count or values.size == 0:
        raise ValueError(f"target must be one per row of features, [{count}]; got {describe(target)}.")
    return values.astype(np.float64).reshape(count, -1) if quantity else values.astype(np.int64)


def _why_not(values: np.ndarray, person: np.ndarray, split: str, folds: int) -> str | None:
    """Why no probe for this target would mean anything; None if one does."""
    if (values == values[0]).all():
        return "it is the same in all images"
    if split == "image":
        fewest = np.unique(person, return_counts=True)[1].min()
        return f"somebody has only {fewest} of the {folds} images it takes" if fewest < folds else None
    people = len(np.unique(person))
    if people < folds:
        return f"there are only {people} of the {folds} people it takes"
    for label in np.unique(values) if values.ndim == 1 else ():
        showing = _shown_by(values, label, person)
        if showing < folds:
            return f"class {label} is shown by only {showing} of the {folds} people it takes"
    return None


# --- who is in which part -----------------------------------------------------------------------


def _deal(member: np.ndarray, labels: np.ndarray | None, split: str, folds: int, seed: int) -> np.ndarray:
    """Number of the group of every image [N]."""
    generator = np.random.default_rng(seed)
    if split == "image":
        order = np.lexsort((generator.random(len(member)), member))
        return _in_turn(order, folds)
    order = generator.permutation(member.max() + 1)
    if labels is not None:  # every class in every group: people are dealt by the rarest class that they show
        order = order[np.argsort(_rarest_class(member, labels)[order], kind="stable")]
    return _in_turn(order, folds)[member]


def _in_turn(order: np.ndarray, folds: int) -> np.ndarray:
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.arange(len(order)) % folds
    return group


def _rarest_class(member: np.ndarray, labels: np.ndarray) -> np.ndarray:
    shows = np.zeros((member.max() + 1, labels.max() + 1), dtype=bool)
    shows[member, labels] = True
    return np.where(shows, shows.sum(0), len(shows) + 1).argmin(1)


# --- learning and judging -----------------------------------------------------------------------

Predictor = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Predictor]


def _held_out(
    fit: Fit, rows: np.ndarray, target: np.ndarray, member: np.ndarray, group: np.ndarray, split: str, seed: int
) -> np.ndarray:
    """What is said of every image by the probe that learned from the other groups."""
    guesses = np.empty_like(target)
    for number in range(group.max() + 1):
        learn = group != number
        who = np.unique(member[learn], return_inverse=True)[1]
        labels = target[learn] if target.ndim == 1 else None
        part = _deal(who, labels, split, TUNING_PARTS, seed + 1)
        guesses[~learn] = fit(rows[learn], target[learn], part)(rows[~learn])
    return guesses


def _fit_classes(rows: np.ndarray, labels: np.ndarray, part: np.ndarray) -> Predictor:
    """Logistic regression (softmax) in which every class weighs the same."""
    from sklearn.linear_model import LogisticRegression

    def fit(learn: np.ndarray, strength: float) -> Predictor:
        standardized = _standardize(rows[learn])
        model = LogisticRegression(C=1 / (strength * learn.sum()), class_weight="balanced", tol=1e-3, max_iter=300)
        model.fit(standardized(rows[learn]), labels[learn])
        return lambda other: model.predict(standardized(other))

    def accuracy(strength: float) -> float:
        guesses = np.empty_like(labels)
        for number in range(TUNING_PARTS):
            guesses[part == number] = fit(part != number, strength)(rows[part == number])
        return float(np.mean([(guesses == label)[labels == label].mean() for label in np.unique(labels)]))

    return fit(np.ones(len(rows), dtype=bool), max(CLASS_STRENGTHS, key=accuracy))


def _fit_quantity(rows: np.ndarray, values: np.ndarray, part: np.ndarray) -> Predictor:
    """Ridge regression: W = (XᵀX / n + λ I)⁻¹ Xᵀ(V − v̄) / n."""

    def fit(learn: np.ndarray) -> Callable[[float], Predictor]:
        standardized, mean = _standardize(rows[learn]), values[learn].mean(0)
        x = standardized(rows[learn])
        spectrum, axes = np.linalg.eigh(x.T @ x / len(x))  # once for all strengths
        along = axes.T @ (x.T @ (values[learn] - mean) / len(x))
        return lambda strength: (
            lambda other: mean + standardized(other) @ (axes @ (along / (spectrum + strength)[:, None]))
        )

    missed = np.zeros(len(RIDGE_STRENGTHS))
    for number in range(TUNING_PARTS):
        tuned, judge = fit(part != number), part == number
        missed += [((values[judge] - tuned(strength)(rows[judge])) ** 2).sum() for strength in RIDGE_STRENGTHS]
    return fit(np.ones(len(rows), dtype=bool))(RIDGE_STRENGTHS[int(missed.argmin())])


def _standardize(rows: np.ndarray) -> Predictor:
    """Means to 0 and deviations to 1; features that do not vary (units that never fire) to 0 throughout."""
    mean, deviation = rows.mean(0), rows.std(0)
    varies = deviation > 1e-6 * deviation.max()
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    return lambda other: (other - mean) * scale


# --- scores -------------------------------------------------------------------------------------


def _draws(people: int, resamples: int, seed: int) -> np.ndarray:
    """How often each person is in each draw [1 + resamples, people]; the first has everybody once."""
    chosen = np.random.default_rng(seed).integers(people, size=(resamples, people))
    counts = np.stack([np.bincount(row, minlength=people) for row in chosen])
    return np.concatenate([np.ones((1, people), dtype=counts.dtype), counts])


def _class_scores(labels: np.ndarray, guesses: np.ndarray, member: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Chance-corrected balanced accuracy of every draw; a class that nobody in a draw shows does not count there."""
    shape = member.max() + 1, labels.max() + 1
    shown, right = np.zeros(shape), np.zeros(shape)
    np.add.at(shown, (member, labels), 1)
    np.add.at(right, (member, labels), labels == guesses)
    if ((shown > 0).sum(0) == 1).all() and ((shown > 0).sum(1) == 1).all():  # classes are people: draw them as such
        accuracy = draws @ (right.sum(1) / shown.sum(1)) / draws.sum(1)
    else:
        total = draws @ shown
        recall = np.divide(draws @ right, total, out=np.full(total.shape, np.nan), where=total > 0)
        accuracy = np.nanmean(recall, axis=1)
    chance = 1 / shape[1]
    return (accuracy - chance) / (1 - chance)


def _quantity_scores(
    values: np.ndarray, guesses: np.ndarray, means: np.ndarray, member: np.ndarray, draws: np.ndarray
) -> np.ndarray:
    """R² of every draw."""
    missed = np.bincount(member, weights=((values - guesses) ** 2).sum(1))
    scatter = np.bincount(member, weights=((values - means) ** 2).sum(1))
    return 1 - (draws @ missed) / (draws @ scatter)
