"""Exercises of notebook 05: what a linear probe reads from features, and what one changed factor does to the error."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gazecourse.angles import angular_error
from gazecourse.exercises import Checks, Wrong, compare
from gazecourse.faces.attributes import Factors

check = Checks()


PROBE_CASES = 12

# --- the linear probe ---------------------------------------------------------------------------


def _linear_probe(features: Tensor, labels: Tensor, train: Tensor, ridge: float = 1.0) -> float:
    x = (features - features[train].mean(0)) / features[train].std(0)
    x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
    y = one_hot(labels).to(x)
    a = x[train].T @ x[train] + ridge * torch.eye(x.shape[1])
    w = torch.linalg.solve(a, x[train].T @ y[train])
    guesses = (x[~train] @ w).argmax(1)
    return (guesses == labels[~train]).float().mean().item()


@check.exercise(
    reference=_linear_probe,
    difficulty=2,
    minutes=12,
    hints=(
        "Nothing about the test rows may reach the probe before it is judged: not their labels, and not their means "
        "and deviations either. Which four steps need features[train] or labels[train]?",
        "x = (features - mean) / deviation, both of features[train]; then a column of ones beside x, which makes the "
        "last row of W the bias. The targets are one_hot(labels), one column for each class.",
        "With X and Y the training rows of x and y, W = torch.linalg.solve(X.T @ X + ridge * I, X.T @ Y), where I has "
        "one row more than there are features.",
        "guesses = (x[~train] @ W).argmax(1), and the answer is (guesses == labels[~train]).float().mean().item().",
    ),
)
def linear_probe(candidate):
    """The probe learns from the training rows alone and is judged on the others."""
    cases = [_probe_case(number) for number in range(PROBE_CASES)]
    got = []
    for features, labels, train, ridge in cases:
        given = features.clone(), labels.clone(), train.clone()
        answer = candidate(*given, ridge)
        for name, before, after in zip(("features", "labels", "train"), (features, labels, train), given, strict=True):
            if not torch.equal(before, after):
                raise Wrong(f"your code changes its argument `{name}` in place; build a new tensor.")
        _check_accuracy(answer, labels[~train])
        got.append(float(answer))
    want = [_linear_probe(*case) for case in cases]
    if _equal(got, want):
        return
    for slip, words in _PROBE_SLIPS:
        if _equal(got, [slip(*case) for case in cases]):
            raise Wrong(words)
    for answer, right, (features, labels, _, ridge) in zip(got, want, cases, strict=True):
        setting = f"{list(features.shape)} features, {int(labels.max()) + 1} classes, ridge {ridge:g}"
        compare(f"{setting}: the accuracy", answer, right, tolerance=1e-4)


def _equal(got: list[float], want: list[float]) -> bool:
    return all(abs(one - other) < 1e-4 for one, other in zip(got, want, strict=True))


def _probe_case(number: int) -> tuple[Tensor, Tensor, Tensor, float]:
    """Features of two groups of people: the test group's have another mean and spread, as in another domain.

    Drawn until all right answers agree, with the biased or unbiased deviation, with or without penalty on the bias,
    and until those slips show for which this case is there.
    """
    count, width, classes = 90 + 5 * number, 4 + number % 3, 2 + number % 3
    while True:
        labels = torch.randint(classes, (count,))
        labels[:classes] = torch.arange(classes)
        labels = torch.where(torch.rand(count) < 0.3, 0, labels)  # uneven classes, which the bias has to tell
        train = torch.rand(count) < 0.55
        features = torch.randn(classes, width)[labels] + 1.3 * torch.randn(count, width)
        features = torch.where(train[:, None], features, 1.6 * features + 0.7)
        features = features * 10 ** torch.linspace(-1, 1, width) + torch.linspace(-4, 9, width)
        ridge = (0.5, 5.0, 40.0)[number % 3]
        rows = labels[train].unique(), labels[~train].unique()
        if any(len(seen) < classes for seen in rows):
            continue
        case = features, labels, train, ridge
        right = [variant(*case) for variant in _PROBE_VARIANTS]
        slips = [slip(*case) for slip, _ in _PROBE_SLIPS[number::PROBE_CASES]]
        if _equal(right, right[:1] * len(right)) and all(abs(value - right[0]) > 1e-4 for value in slips):
            return case


def _check_accuracy(answer: Any, labels: Tensor) -> None:
    if isinstance(answer, Tensor) and answer.ndim == 1 and len(answer) == len(labels):
        raise Wrong("the answer is one value for each test row; the share of them that is right is wanted.")
    if answer is None:
        raise Wrong("the answer is None: is the `return` missing?")
    if isinstance(answer, Tensor) and answer.ndim:
        raise Wrong(f"the answer has shape {list(answer.shape)}; it should be one number, the share that is right.")
    if not isinstance(answer, (int, float, Tensor, np.number)):
        raise Wrong(f"the answer is a {type(answer).__name__}; it should be one number.")
    value = float(answer)
    if not 0 <= value <= 1:
        slip = " The share that is right is wanted: the mean, not the sum or a percentage." if value > 1 else ""
        raise Wrong(f"the accuracy is {value:.4g}; it should lie between 0 and 1.{slip}")


def _probe(
    *,
    learn: str = "train",
    judge: str = "test",
    standard: str = "train",
    divided: bool = True,
    unbiased: bool = True,
    bias: bool = True,
    penalty: Callable[[int, int], Tensor] = lambda width, _: torch.eye(width),
    numbers: bool = False,
    score: Callable[[Tensor], Tensor] = lambda right: right.mean(),
) -> Callable[..., float]:
    """A probe that differs from the reference in what is named."""

    def standardized(features: Tensor, rows: Tensor) -> Tensor:
        moved = features - features[rows].mean(0)
        return moved / features[rows].std(0, unbiased=unbiased) if divided else moved

    def probe(features: Tensor, labels: Tensor, train: Tensor, ridge: float) -> float:
        rows = {"train": train, "test": ~train, "all": torch.ones_like(train)}
        if standard == "each":
            x = torch.where(train[:, None], standardized(features, train), standardized(features, ~train))
        else:
            x = features if standard == "none" else standardized(features, rows[standard])
        if bias:
            x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        y = labels[:, None].to(x) if numbers else one_hot(labels).to(x)
        given, wanted = x[rows[learn]].double(), y[rows[learn]].double()
        a = given.T @ given + ridge * penalty(x.shape[1], len(given)).double()
        w = torch.linalg.lstsq(a, given.T @ wanted).solution
        said = x[rows[judge]].double() @ w
        guesses = said[:, 0].round() if numbers else said.argmax(1)
        return score((guesses == labels[rows[judge]]).float()).item()

    return probe


def _all_but_the_bias(width: int, _: int) -> Tensor:
    return torch.diag(torch.ones(width).index_fill(0, torch.tensor([width - 1]), 0.0))


_PROBE_VARIANTS = [
    _probe(penalty=penalty, unbiased=unbiased)
    for penalty in (lambda width, _: torch.eye(width), _all_but_the_bias)
    for unbiased in (True, False)
]
_SWAPPED = "training and test rows are swapped: `train` is True where the probe may learn."
_PROBE_SLIPS = [
    (
        _probe(judge="train"),
        "this is the accuracy on the training rows, which the probe knows; judge the test rows.",
    ),
    (
        _probe(judge="all"),
        "this is the accuracy on all rows, of which the probe knows the training rows; judge the test rows.",
    ),
    (
        _probe(learn="all"),
        "the probe learned from the test rows too: X and Y should be the training rows alone.",
    ),
    (
        _probe(learn="all", standard="all"),
        "the test rows are in everything: means, deviations, X and Y should come from the training rows alone.",
    ),
    (_probe(learn="test"), "the probe learned from the test rows: X and Y should be the training rows."),
    (_probe(learn="test", judge="train", standard="test"), _SWAPPED),
    (_probe(learn="test", judge="train"), _SWAPPED),
    (
        _probe(standard="all"),
        "the features are standardized with means and deviations of all rows; the test rows must not be in them.",
    ),
    (
        _probe(standard="each"),
        "the test rows are standardized by their own means and deviations; a probe meets them one by one, and knows "
        "those of the training rows only.",
    ),
    (
        _probe(standard="none"),
        "the features are not standardized, so that the penalty hits those hardest that vary little.",
    ),
    (_probe(divided=False), "the features are centered, but not divided by their deviations."),
    (
        _probe(bias=False),
        "the column of ones is missing: without a bias the probe does not know that some classes are frequent.",
    ),
    (
        _probe(penalty=lambda width, _: torch.zeros(width, width)),
        "the penalty is missing: add ridge * torch.eye(…) to X.T @ X.",
    ),
    (
        _probe(penalty=lambda width, _: torch.ones(width, width)),
        "the ridge is added to all of X.T @ X; it belongs on the diagonal: ridge * torch.eye(…).",
    ),
    (
        _probe(penalty=lambda width, count: count * torch.eye(width)),
        "the ridge weighs too much: X.T @ X and X.T @ Y are sums over the training rows, not means.",
    ),
    (
        lambda features, labels, train, ridge: (labels[~train] == 0).float().mean().item(),
        "all guesses are class 0. A column of ones has no deviation, so that standardizing turns it into NaN: put it "
        "beside x afterwards.",
    ),
    (_probe(numbers=True), "the labels are taken for numbers, as if class 2 were twice class 1; use one_hot(labels)."),
    (
        _probe(score=lambda right: 1 - right.mean()),
        "this is the share that is wrong; the share that is right is wanted.",
    ),
]


# --- counterfactual errors ----------------------------------------------------------------------


def _counterfactual_errors(
    predict: Callable[[Tensor], Tensor],
    render: Callable[[Factors], Tensor],
    factors: Factors,
    gaze: Tensor,
    changes: dict[str, Callable[[Factors], Factors]],
) -> dict[str, Tensor]:
    before = angular_error(predict(render(factors)), gaze)
    rises = {}
    for name, change in changes.items():
        after = angular_error(predict(render(change(factors))), gaze)
        rises[name] = after - before
    return rises


@check.exercise(
    reference=_counterfactual_errors,
    difficulty=2,
    minutes=10,
    hints=(
        "The same face twice, with and without the change: which two errors belong together? The true gaze is the same "
        "in both pictures.",
        "before = angular_error(predict(render(factors)), gaze) is needed once, before the loop. It has one error for "
        "each face.",
        "In the loop over changes.items(), change(factors) returns new factors. Keep them under another name, so that "
        "the next change begins with the faces as they were.",
        "rises[name] = angular_error(predict(render(change(factors))), gaze) - before, and return rises.",
    ),
)
def counterfactual_errors(candidate):
    """Every face is compared with itself, and each change is made alone."""
    for number in range(4):
        predict, render, factors, gaze, changes = _counterfactual_case(number)
        given, kept = gaze.clone(), factors.map(torch.clone)
        got = candidate(predict, render, factors, given, dict(changes))
        if not torch.equal(gaze, given):
            raise Wrong("your code changes its argument `gaze` in place; build a new tensor.")
        if not all(torch.equal(one.nan_to_num(), other.nan_to_num()) for one, other in _pairs(factors, kept)):
            raise Wrong("your code changes its argument `factors` in place; change(factors) returns new ones.")
        want = _counterfactual_errors(predict, render, factors, gaze, changes)
        _check_rises(got, want)
        for slip, words in _RISE_SLIPS:
            wrong = slip(predict, render, factors, gaze, changes)
            if _same_rises(got, wrong) and not _same_rises(got, want):
                raise Wrong(words)
        compare("the answer", got, want, tolerance=2e-4)


def _pairs(one: Factors, other: Factors) -> list[tuple[Tensor, Tensor]]:
    return [(a, b) for (_, a), (_, b) in zip(one.items(), other.items(), strict=True)]


_NUMBERS = ("exposure", "skin_tone", "glasses", "hat", "beard", "defocus", "noise", "age")


@cache
def _faces() -> Factors:
    from gazecourse.faces.domains import DOMAINS

    return DOMAINS["wild"].sample(range(8), people=3, seed=0, split="train")


def _counterfactual_case(number: int) -> tuple:
    """A network and a renderer of a few numbers: every factor shows in the picture, and every picture in the gaze."""
    factors = _faces()[list(range(5 + number))]
    changes = {
        "a dark room": lambda f: f.replace(exposure=0.3 * f.exposure),
        "sunglasses": lambda f: f.replace(glasses=3),
        "sensor noise": lambda f: f.replace(noise=f.noise + 0.05),
        "dark skin": lambda f: f.replace(skin_tone=1 - 0.1 * f.skin_tone),
    }
    changes = dict(list(changes.items())[: 2 + number % 3])
    while True:
        shown, read = torch.randn(len(_NUMBERS), 12), 0.1 * torch.randn(12, 2)

        def render(faces: Factors, shown: Tensor = shown) -> Tensor:
            if not isinstance(faces, Factors):
                raise Wrong(f"`render` was called with a {type(faces).__name__}; it takes Factors.")
            scale = torch.tensor([1, 1, 1, 1, 1, 0.01, 0.05, 40.0])
            numbers = torch.stack([getattr(faces, name).float() for name in _NUMBERS], dim=1) / scale
            return torch.sigmoid(numbers @ shown).view(-1, 3, 2, 2)

        def predict(images: Tensor, read: Tensor = read) -> Tensor:
            if not isinstance(images, Tensor) or images.ndim != 4:
                raise Wrong(f"`predict` was called with a {type(images).__name__}; it takes images, render(factors).")
            return (images.flatten(1) - 0.5) @ read * 2

        gaze = 0.2 * torch.randn(len(factors), 2)
        rises = torch.stack(list(_counterfactual_errors(predict, render, factors, gaze, changes).values()))
        if bool((rises < -0.5).any()) and bool((rises > 0.5).any()):
            return predict, render, factors, gaze, changes


def _check_rises(got: Any, want: dict[str, Tensor]) -> None:
    if not isinstance(got, dict):
        compare("the answer", got, want)
    for name, value in got.items():
        if name not in want:
            raise Wrong(f"the answer has {name!r}, which is none of the changes.")
        if isinstance(value, Tensor) and value.shape == want[name].shape:
            continue
        if isinstance(value, (int, float, np.number)) or (isinstance(value, Tensor) and value.numel() == 1):
            count = len(want[name])
            raise Wrong(f"the answer for {name!r} is one number; each face has its own rise, [{count}].")
        if isinstance(value, (tuple, list)):
            raise Wrong(f"the answer for {name!r} is a {type(value).__name__}; after minus before is one tensor.")


def _same_rises(got: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return got.keys() == other.keys() and all(
        isinstance(got[name], Tensor)
        and got[name].shape == value.shape
        and torch.allclose(got[name].float(), value, rtol=1e-4, atol=1e-3)
        for name, value in other.items()
    )


def _from_errors(rise: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., dict[str, Tensor]]:
    """A slip that makes something else of the errors after and before."""

    def slip(predict: Callable, render: Callable, factors: Factors, gaze: Tensor, changes: dict) -> dict[str, Tensor]:
        before = angular_error(predict(render(factors)), gaze)
        after = {n: angular_error(predict(render(change(factors))), gaze) for n, change in changes.items()}
        return {name: rise(value, before) for name, value in after.items()}

    return slip


def _accumulated(predict: Callable, render: Callable, factors: Factors, gaze: Tensor, changes: dict) -> dict:
    before, rises = angular_error(predict(render(factors)), gaze), {}
    for name, change in changes.items():
        factors = change(factors)
        rises[name] = angular_error(predict(render(factors)), gaze) - before
    return rises


def _step_by_step(predict: Callable, render: Callable, factors: Factors, gaze: Tensor, changes: dict) -> dict:
    before, rises = angular_error(predict(render(factors)), gaze), {}
    for name, change in changes.items():
        factors = change(factors)
        after = angular_error(predict(render(factors)), gaze)
        rises[name], before = after - before, after
    return rises


def _against_the_last(predict: Callable, render: Callable, factors: Factors, gaze: Tensor, changes: dict) -> dict:
    before, rises = angular_error(predict(render(factors)), gaze), {}
    for name, change in changes.items():
        after = angular_error(predict(render(change(factors))), gaze)
        rises[name], before = after - before, after
    return rises


def _moved(predict: Callable, render: Callable, factors: Factors, gaze: Tensor, changes: dict) -> dict:
    before = predict(render(factors))
    return {name: angular_error(predict(render(change(factors))), before) for name, change in changes.items()}


def _last_for_all(predict: Callable, render: Callable, factors: Factors, gaze: Tensor, changes: dict) -> dict:
    rises = _counterfactual_errors(predict, render, factors, gaze, changes)
    return dict.fromkeys(rises, list(rises.values())[-1])


def _distances(predict: Callable, render: Callable, factors: Factors, gaze: Tensor, changes: dict) -> dict:
    def error(faces: Factors) -> Tensor:
        return torch.rad2deg((predict(render(faces)) - gaze).norm(dim=1))

    return {name: error(change(factors)) - error(factors) for name, change in changes.items()}


_CHAIN = "the changes add up: each should begin with the faces as they were, not with those of the change before."
_SIGN_LOST = "the sign is lost: where a change makes the error smaller, the rise is negative."
_RISE_SLIPS = [
    (_accumulated, _CHAIN),
    (_step_by_step, _CHAIN),
    (
        _against_the_last,
        "each error is compared with that of the change before; compare it with that of the unchanged faces.",
    ),
    (
        _from_errors(lambda after, _: after),
        "this is the error with the change; the error without it is not subtracted.",
    ),
    (
        _from_errors(lambda after, before: before - after),
        "the sign is turned around: the rise is the error with the change minus the error without.",
    ),
    (_from_errors(lambda after, before: (after - before).abs()), _SIGN_LOST),
    (_from_errors(lambda after, before: (after - before).clamp(min=0)), _SIGN_LOST),
    (
        _from_errors(lambda after, before: (after - before) / before),
        "this is the relative rise; the rise itself is wanted, in degrees.",
    ),
    (_from_errors(lambda after, before: after / before), "this is a ratio of errors; their difference is wanted."),
    (
        _from_errors(lambda after, before: after - before.mean()),
        "each face's own error should be subtracted, not the mean of all: only then do hard faces cancel.",
    ),
    (
        _from_errors(lambda after, before: (after - before).mean().expand_as(after)),
        "each face has a rise of its own; do not average over them.",
    ),
    (
        _moved,
        "this is how far the prediction moved, and it may have moved towards the true gaze: compare both predictions "
        "with `gaze`.",
    ),
    (_last_for_all, "all names have the rise of the last change."),
    (
        _distances,
        "the error is the distance of two pairs of angles; angular_error gives the angle between two directions.",
    ),
]
