"""Exercises of notebook 06: adversarial loss, its truncation, attention to the eyes, and who gets which gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gazecourse.exercises import Checks, Wrong, compare
from gazecourse.losses import adversarial_loss as library_adversarial_loss
from gazecourse.losses import gaze_l1, reconstruction_loss

check = Checks()


# --- losses: a number, and the gradient of the reconstruction -----------------------------------


def _check_loss(
    candidate: Callable, reference: Callable, inputs: tuple, slips: list[tuple[Tensor, str]], setting: str
) -> None:
    """The value, then the gradient with respect to the first argument; a slip is named if it gives the value."""
    given = [value.clone() if isinstance(value, Tensor) else value for value in inputs]
    given[0].requires_grad_()
    got = candidate(*given)
    for number, (before, after) in enumerate(zip(inputs, given, strict=True)):
        if isinstance(before, Tensor) and not torch.equal(before, after.detach()):
            name = ("reconstruction", "image", "attention")[number]
            raise Wrong(f"your code changes its argument `{name}` in place; build a new tensor.")
    if got is None:
        raise Wrong("the loss is None: is the `return` missing?")
    if not isinstance(got, Tensor):
        raise Wrong(f"the loss is a {type(got).__name__}; it should be a torch tensor, or no gradient can flow back.")
    leaf = inputs[0].clone().requires_grad_()
    want = reference(leaf, *inputs[1:])
    if not _same(got, want):
        for value, words in slips:
            if _same(got, value):
                if got.ndim:
                    shown = f"has shape {list(got.shape)}; it should be a single number"
                else:
                    shown = f"is {got.item():.4g}; it should be {want.item():.4g}"
                raise Wrong(f"{setting}: the loss {shown}. {words}")
        compare(f"{setting}: the loss", got, want)
    if not got.requires_grad:
        raise Wrong("no gradient reaches `reconstruction`: is there a detach(), a no_grad() or an item() in the way?")
    got.backward()
    want.backward()
    if given[0].grad is None:
        raise Wrong("no gradient reaches `reconstruction`: is there a detach() or a copy in the way?")
    try:
        compare("the gradient of the reconstruction", given[0].grad, leaf.grad, tolerance=1e-6)
    except Wrong as wrong:
        raise Wrong(f"{setting}: the loss is right, but {wrong}") from None


def _same(got: Tensor, want: Tensor) -> bool:
    return got.shape == want.shape and torch.allclose(got.detach().to(want.dtype), want.detach(), rtol=1e-4, atol=1e-5)


def _images(*shape: int) -> tuple[Tensor, Tensor]:
    """A reconstruction and its image, in [0, 1]."""
    reconstruction, image = torch.rand(2, *shape)
    return reconstruction, image


# --- the adversarial loss -----------------------------------------------------------------------


def _adversarial_loss(reconstruction: Tensor, image: Tensor) -> Tensor:
    t = 1 - (image - reconstruction).square()
    return t.mean()


@check.exercise(
    reference=_adversarial_loss,
    difficulty=1,
    minutes=5,
    hints=(
        "The features are punished for every pixel that can be drawn again from them. What is t where the drawing is "
        "exact, and what where black was drawn as white?",
        "(image - reconstruction).square() has one value for each pixel and color. One minus it is t.",
        "The loss is a single number: .mean() averages over images, colors, rows and columns.",
        "return (1 - (image - reconstruction).square()).mean()",
    ),
)
def adversarial_loss(candidate):
    """The loss is 1 for a perfect drawing and falls with the squared error of every pixel and color."""
    _, image = _images(2, 3, 4, 5)
    black_and_white = image.round()
    cases = (
        ("for a drawing without error", image.clone(), image),
        ("for the negative of a black and white image", 1 - black_and_white, black_and_white),
        ("for random images", *_images(2, 3, 4, 5)),
        ("for one image", *_images(1, 3, 2, 2)),
    )
    for setting, reconstruction, image in cases[2:] + cases[:2]:
        slips = _slips_of_adversarial_loss(reconstruction, image)
        _check_loss(candidate, _adversarial_loss, (reconstruction, image), slips, setting)


def _slips_of_adversarial_loss(reconstruction: Tensor, image: Tensor) -> list[tuple[Tensor, str]]:
    squared = (image - reconstruction).square()
    t = 1 - squared
    return [
        (squared.mean(), "This is the squared error, which the decoder minimizes; its opponent minimizes 1 minus it."),
        (-squared.mean(), "The gradient is right, but t = 1 − (I − Î)² is 1, not 0, where the drawing is exact."),
        (t.sum(), "This is the sum over all pixels; take the mean."),
        (t.sum((1, 2, 3)).mean(), "This is the sum over the pixels of an image; take the mean over them, too."),
        (t, "It has a value for every pixel and color; take the mean of all."),
        (t.mean((1, 2, 3)), "It has a value for every image; take the mean of all."),
        (t.mean(1), "It has a value for every pixel; take the mean of all."),
        (1 - squared.sum(), "Take the mean of the squared errors, not their sum."),
        (1 - squared.mean().sqrt(), "There is a root too many: t holds the squared error itself."),
        ((1 - (image - reconstruction)).square().mean(), "This is (1 − (I − Î))²; square the difference first."),
        ((1 - (image - reconstruction)).mean(), "The difference is not squared."),
        ((1 - (image - reconstruction).abs()).mean(), "This is 1 − |I − Î|; the difference should be squared."),
        (1 - (image - reconstruction).mean().square(), "Square first, then take the mean: errors must not cancel."),
        (t.square().mean(), "t is squared once more; it holds the squared error already."),
        ((squared - 1).mean(), "The sign is turned around."),
        ((1 + squared).mean(), "The squared error is to be subtracted from 1."),
        ((image.square() - reconstruction.square()).mean(), "Subtract the images first, then square."),
    ]


# --- the truncated loss -------------------------------------------------------------------------


def _truncated_loss(reconstruction: Tensor, image: Tensor, attention: Tensor, k: float) -> Tensor:
    t = 1 - (image - reconstruction).square()
    kept = t * (t >= k)
    return (attention.unsqueeze(1) * kept).mean()


@check.exercise(
    reference=_truncated_loss,
    difficulty=2,
    minutes=8,
    hints=(
        "Three things for every pixel and color: its t, whether that t is large enough, and how much the place counts. "
        "What shape has each?",
        "t >= k is a tensor of True and False, and t * (t >= k) is t where it counts and 0 where it does not. Nothing "
        "else happens to t.",
        "attention is [B, H, W], t is [B, 3, H, W]: attention.unsqueeze(1) has an axis of length 1 that is repeated "
        "for the three colors.",
        "return (attention.unsqueeze(1) * t * (t >= k)).mean(), with the t of the exercise before.",
    ),
)
def truncated_loss(candidate):
    """Every pixel and color is cut off by itself, counts as much as its place, and all of them share the mean."""
    cases = []
    for shape, k in (((3, 3, 4, 5), 0.75), ((2, 3, 5, 4), 0.75), ((1, 3, 6, 6), 0.9), ((2, 3, 4, 4), 0.0)):
        inputs = (*_images(*shape), torch.rand(shape[0], *shape[2:]), k)
        cases.append((f"with {shape[0]} image{'s'[: shape[0] > 1]} and k = {k:g}", inputs))
    exact = torch.tensor([0.25, 0.5, 0.0, 1.0]).repeat(3, 1).view(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.75)
    cases.append(("with pixels whose t is exactly k = 0.75", (*exact, torch.tensor([[[1.0, 0.5], [0.2, 0.8]]]), 0.75)))
    for setting, inputs in cases:
        _check_loss(candidate, _truncated_loss, inputs, _slips_of_truncated_loss(*inputs), setting)


def _slips_of_truncated_loss(
    reconstruction: Tensor, image: Tensor, attention: Tensor, k: float
) -> list[tuple[Tensor, str]]:
    squared = (image - reconstruction).square()
    t, m = 1 - squared, attention.unsqueeze(1)
    kept = t >= k
    total = (m * t * kept).sum()
    rough = 1 - (image - reconstruction).abs()
    colors = t.mean(1)
    slips = [
        ((m * t * (t > k)).mean(), "A pixel with t = k counts, too: 1[t ≥ k] is >=, not >."),
        ((m * t * (t <= k)).mean(), "The wrong pixels are kept: those with t ≥ k count."),
        ((m * t * (t < k)).mean(), "The wrong pixels are kept: those with t ≥ k count."),
        (total / kept.sum(), "It is divided by the number of kept pixels; the mean runs over all of them."),
        (total / m.expand_as(t).sum(), "It is divided by the sum of the attention; it should be the plain mean."),
        (total / (m * kept).sum(), "It is divided by the attention to the kept pixels; it should be the plain mean."),
        (total, "This is the sum; it should be the mean."),
        (total / len(image), "This is the sum over an image's pixels; take the mean over them, too."),
        (
            (m * t * (m * t >= k)).mean(),
            "M ⊙ t is compared with k; compare t alone, then multiply. Where M is small nothing would count.",
        ),
        ((m * t * (squared >= k)).mean(), "The squared error is compared with k; it is t = 1 − (I − Î)² that counts."),
        ((m * squared * (squared >= k)).mean(), "This is the squared error where it is k or more; t belongs there."),
        ((m * squared * kept).mean(), "The pixels are right, but t = 1 − (I − Î)² belongs there, not (I − Î)²."),
        (
            (m * t * (squared <= k)).mean(),
            "The squared error is compared with k; t ≥ k means an error of 1 − k or less.",
        ),
        ((m * t.clamp(min=k)).mean(), "clamp lifts every t below k to k; it should count as 0."),
        ((m * t.clamp(max=k)).mean(), "clamp cuts t at k from above; it is below k that t counts as 0."),
        ((m * (t - k).clamp(min=0)).mean(), "k is subtracted from t; where t ≥ k it should stay as it is."),
        ((m * t).mean(), "Nothing is cut off: 1[t ≥ k] is asked of every pixel and color, not of their mean."),
        (torch.zeros(()), "Is 1[t ≥ k] asked of the mean? It is asked of every pixel and color, before the mean."),
        ((t * kept).mean(), "The attention M is missing."),
        ((m * kept).mean(), "This counts the kept pixels; each should count with its t."),
        ((m * t * kept).mean((1, 2, 3)), "It has a value for every image; take the mean of all."),
        (m * t * kept, "It has a value for every pixel and color; take the mean of all."),
        (
            (attention * colors * (colors >= k)).mean(),
            "t is averaged over the colors before it is compared; each color is cut off by itself.",
        ),
        ((m * rough * (rough >= k)).mean(), "t = 1 − |I − Î| was used; the difference should be squared."),
        ((m * t * kept).mean() * 3, "This is the sum over the colors; take the mean over them, too."),
        (-(m * t * kept).mean(), "The sign is turned around: the gaze side minimizes this loss."),
        ((m.mean() * t * kept).mean(), "Every pixel has the mean attention; each should have that of its place."),
        ((t * kept).mean() * m.mean(), "This is a product of means; take the mean of the products."),
    ]
    if k != 0.75:
        slips.append(((m * t * (t >= 0.75)).mean(), "0.75 is written into your code; k is an argument."))
    if len(image) == 3:
        wrong_axis = "M [B, H, W] is multiplied with the three colors instead of the three images: M[:, None] puts"
        slips.append(((attention * t * kept).mean(), f"{wrong_axis} the axis in its place."))
    return slips


# --- attention to the eyes ----------------------------------------------------------------------


def _eye_attention(centers: Tensor, size: int, sigma: float) -> Tensor:
    middles = torch.arange(size) + 0.5
    across = middles - centers[:, :, 0, None]  # [B, 2, W]
    down = middles - centers[:, :, 1, None]  # [B, 2, H]
    squared = down.square()[:, :, :, None] + across.square()[:, :, None, :]
    bumps = torch.exp(-squared / (2 * sigma**2))
    attention = bumps.sum(1)
    return attention / attention.amax((1, 2), keepdim=True)


@check.exercise(
    reference=_eye_attention,
    difficulty=2,
    minutes=10,
    hints=(
        "Draw a single bump first: what are x and y of the middle of the pixel in row 2, column 5? How far is it from "
        "the eye?",
        "torch.arange(size) + 0.5 are the middles. Distances across belong to the columns, the last axis; distances "
        "down to the rows. [B, 2, 1, W] and [B, 2, H, 1] add up to [B, 2, H, W].",
        "A bump is exp(−(dx² + dy²) / (2σ²)), with the 2σ² in brackets. Both eyes' bumps are added: .sum(1).",
        "Each image is divided by its own largest value: attention / attention.amax((1, 2), keepdim=True).",
    ),
)
def eye_attention(candidate):
    """Both bumps lie on their eyes, with the right width, and the largest value of each image is 1."""
    cases = (
        ([[[3.2, 4.6], [6.4, 5.1]], [[1.3, 2.2], [7.7, 6.9]]], 9, 1.8),
        ([[[2.6, 1.7], [4.9, 2.4]]], 6, 1.3),
        ([[[2.1, 8.4], [9.3, 7.7]], [[5.2, 3.3], [6.1, 3.8]], [[0.4, 11.2], [11.6, 0.9]]], 12, 2.5),
    )
    for places, size, sigma in cases:
        centers = torch.tensor(places)
        given = centers.clone()
        got = candidate(given, size, sigma)
        if not torch.equal(given, centers):
            raise Wrong("your code changes its argument `centers` in place; build a new tensor.")
        count = f"{len(centers)} image{'s'[: len(centers) > 1]}"
        _check_attention(got, centers, size, sigma, f"{count} of {size} × {size}, σ = {sigma:g}")


def _check_attention(got: Any, centers: Tensor, size: int, sigma: float, setting: str) -> None:
    want = _eye_attention(centers, size, sigma)
    if isinstance(got, Tensor) and got.shape != want.shape:
        shape, words = list(got.shape), ""
        if shape == [len(centers), 2, size, size]:
            words = " Add the bumps of both eyes."
        elif shape == [size, size]:
            words = " Each image has a map of its own."
        elif shape == [len(centers), 1, size, size]:
            words = " The axis of the eyes is gone once they are added: no keepdim there."
        raise Wrong(f"{setting}: the attention has shape {shape}; it should be {list(want.shape)}.{words}")
    if isinstance(got, Tensor) and got.is_floating_point() and not _close(got, want):
        for value, words in _slips_of_attention(centers, size, sigma):
            if value.shape == got.shape and _close(got, value):
                raise Wrong(f"{setting}: {words}")
    compare(f"{setting}: the attention", got, want, tolerance=1e-4)


def _close(got: Tensor, want: Tensor) -> bool:
    return torch.allclose(got.detach().float(), want, rtol=1e-3, atol=1e-4)


def _slips_of_attention(centers: Tensor, size: int, sigma: float) -> list[tuple[Tensor, str]]:
    """What usual slips make of the attention, each with words."""

    def bumps(half: float = 0.5, exponent: Callable[[Tensor], Tensor] = lambda d: -d / (2 * sigma**2)) -> Tensor:
        middles = torch.arange(size) + half
        across, down = middles - centers[:, :, 0, None], middles - centers[:, :, 1, None]
        return torch.exp(exponent(down.square()[:, :, :, None] + across.square()[:, :, None, :]))

    def normalized(values: Tensor) -> Tensor:
        return values / values.amax((1, 2), keepdim=True)

    right = bumps()
    total = right.sum(1)
    flat = total - total.amin((1, 2), keepdim=True)
    per_eye = right / right.amax((2, 3), keepdim=True)
    pixel = "the middle of the first pixel is at 0.5, not at 0: torch.arange(size) + 0.5."
    slips = [
        (normalized(total).transpose(1, 2), "x and y are swapped: x counts columns, the last axis; y counts rows."),
        (normalized(bumps(half=0).sum(1)), pixel),
        (normalized(bumps(half=1).sum(1)), "the middle of the first pixel is at 0.5, not at 1."),
        (normalized(bumps(half=0).sum(1)).transpose(1, 2), f"x and y are swapped, and {pixel}"),
        (
            normalized(bumps(exponent=lambda d: -d.sqrt() / (2 * sigma**2)).sum(1)),
            "the distance is not squared. (The released maps are made so; here the Gaussian of the paper is wanted.)",
        ),
        (normalized(bumps(exponent=lambda d: -d.square() / (2 * sigma**2)).sum(1)), "the distance is squared twice."),
        (normalized(bumps(exponent=lambda d: -d / sigma**2).sum(1)), "the 2 of 2σ² is missing."),
        (normalized(bumps(exponent=lambda d: -d / (2 * sigma)).sum(1)), "σ is not squared."),
        (normalized(bumps(exponent=lambda d: -d / sigma).sum(1)), "the bump is exp(−d² / 2σ²): σ squared, times 2."),
        (normalized(bumps(exponent=lambda d: -d).sum(1)), "the division by 2σ² is missing."),
        (normalized(bumps(exponent=lambda d: -d / 2).sum(1)), "the division by σ² is missing."),
        (
            normalized(bumps(exponent=lambda d: -d / (4 * sigma**2)).sum(1)),
            "the exponent is divided by 2 once too often.",
        ),
        (
            normalized(bumps(exponent=lambda d: -d / 2 * sigma**2).sum(1)),
            "Python reads a / 2 * b as (a / 2) * b: put brackets around 2σ².",
        ),
        (normalized(bumps(exponent=lambda d: d / (2 * sigma**2)).sum(1)), "the minus in the exponent is missing."),
        (total, "the largest value of each image should be 1; divide by it."),
        (right.mean(1), "the largest value of each image should be 1; divide by it."),
        (total / total.max(), "the largest value of all images is divided by; each image has its own."),
        (total / total.amax(0, keepdim=True), "the largest value runs over the batch; take it over rows and columns."),
        (total / total.amax(2, keepdim=True), "every row is divided by its own largest value; take that of the image."),
        (total / total.amax(1, keepdim=True), "every column is divided by its own largest value; take the image's."),
        (total / total.sum((1, 2), keepdim=True), "the map is divided by its sum; divide by its largest value."),
        (total / (2 * torch.pi * sigma**2), "the largest value of each image should be 1; divide by it."),
        (total / 2, "the largest value of each image should be 1, also where the bumps overlap; divide by it."),
        (flat / flat.amax((1, 2), keepdim=True), "the smallest value is subtracted; only divide by the largest."),
        (total.clamp(max=1), "values above 1 are cut off; divide by the largest value instead."),
        (right.amax(1), "this is the larger of the two bumps; add them."),
        (normalized(right.amax(1)), "this is the larger of the two bumps; add them, then divide."),
        (normalized(right.prod(1)), "the bumps are multiplied; add them."),
        (right.prod(1), "the bumps are multiplied; add them."),
        (normalized(right[:, 0]), "this is the bump on the first eye alone; add that on the second."),
        (right[:, 0], "this is the bump on the first eye alone; add that on the second."),
        (per_eye.sum(1), "each bump is divided by its own largest value; add the bumps, then divide once."),
        (normalized(per_eye.sum(1)), "each bump is divided by its own largest value; add the bumps, then divide once."),
        (per_eye.mean(1), "each bump is divided by its own largest value; add the bumps, then divide once."),
        (per_eye.amax(1), "this is the larger of the two bumps; add them, then divide."),
    ]
    if len(centers) == 2:
        slips.append(
            (normalized(right.sum(0)), "the images are added, not the eyes: axis 0 is the batch, axis 1 the eyes.")
        )
    return slips


# --- who gets which gradient --------------------------------------------------------------------


def _self_adversarial_backward(
    gaze_side: list[nn.Parameter], decoder: list[nn.Parameter], losses: dict[str, Tensor]
) -> None:
    losses["loss"].backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].backward(inputs=decoder)


W1, W2 = 3.0, 2.0


class _Game:
    """The opponents in small: a backbone, a perceptron and a decoder, and what their gradients are made of."""

    def __init__(self) -> None:
        self.parts = {
            "backbone": nn.Linear(12, 8).double(),
            "perceptron": nn.Linear(8, 2).double(),
            "decoder": nn.Linear(8, 12).double(),
        }
        self.gaze_side = [p for name in ("backbone", "perceptron") for p in self.parts[name].parameters()]
        self.decoder = list(self.parts["decoder"].parameters())

    def losses(self) -> dict[str, Tensor]:
        """One forward pass for new images, and the four losses of ``gazecourse.purification``."""
        image, gaze = torch.rand(6, 3, 2, 2).double(), torch.rand(6, 2).double() - 0.5
        z = torch.tanh(self.parts["backbone"](image.flatten(1)))
        drawing = torch.sigmoid(4 * self.parts["decoder"](z)).view_as(image)
        terms = {
            "gaze": gaze_l1(self.parts["perceptron"](z), gaze),
            "adversarial": library_adversarial_loss(drawing, image, torch.rand(6, 2, 2).double(), k=0.75),
            "reconstruction": reconstruction_loss(drawing, image),
        }
        return {"loss": W1 * terms["gaze"] + W2 * terms["adversarial"], **terms}

    def gradients(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """[3, P] for each part: the gradients of gaze, adversarial and reconstruction loss."""
        return {
            name: torch.stack([_flat(part, losses[term]) for term in ("gaze", "adversarial", "reconstruction")])
            for name, part in self.parts.items()
        }


def _flat(part: nn.Module, loss: Tensor) -> Tensor:
    parameters = list(part.parameters())
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([values.flatten() for values in found])


@check.exercise(
    reference=_self_adversarial_backward,
    difficulty=3,
    minutes=15,
    hints=(
        "Both losses hang on the same drawing, so a plain backward() of either reaches backbone and decoder alike. "
        "What can backward() be told about where gradients should arrive?",
        "loss.backward(inputs=parameters) adds the gradient to the .grad of these parameters and of no others. What is "
        "in between, here the decoder, is passed through.",
        "The first backward() frees the graph that the second needs: retain_graph=True keeps it. (torch.autograd.grad "
        "does the same by hand: it returns gradients, which you would have to add to each .grad.)",
        'losses["loss"].backward(inputs=gaze_side, retain_graph=True), then losses["reconstruction"].backward('
        "inputs=decoder).",
    ),
)
def self_adversarial_backward(candidate):
    """The gaze side feels gaze and adversarial loss, the decoder the reconstruction alone, and gradients add up."""
    game = _Game()
    for micro_batch in range(3):
        losses = game.losses()
        parts = game.gradients(losses)
        before = {name: _grad_of(part) for name, part in game.parts.items()}
        values = [p.detach().clone() for p in game.gaze_side + game.decoder]
        _call(candidate, game, losses)
        _check_left_alone(game, values)
        for name, components in parts.items():
            _check_part(name, game.parts[name], components, before[name], micro_batch)


def _grad_of(part: nn.Module) -> Tensor:
    return torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in part.parameters()])


def _call(candidate: Callable, game: _Game, losses: dict[str, Tensor]) -> None:
    try:
        candidate(list(game.gaze_side), list(game.decoder), dict(losses))
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise Wrong(
            "the first backward frees the graph, and the second goes through the same graph: give the first "
            "retain_graph=True."
        ) from None


def _check_left_alone(game: _Game, values: list[Tensor]) -> None:
    """Nothing but gradients has changed."""
    for name, part in game.parts.items():
        if not all(p.requires_grad for p in part.parameters()):
            raise Wrong(
                f"the {name}'s parameters are left with requires_grad = False: nothing would learn in the next step. "
                "Switch it on again, or use backward(inputs=...), which needs no switch."
            )
    if not all(torch.equal(p, value) for p, value in zip(game.gaze_side + game.decoder, values, strict=True)):
        raise Wrong("the parameters themselves have changed; fill their .grad only. The optimizers take the step.")


def _check_part(name: str, part: nn.Module, components: Tensor, before: Tensor, micro_batch: int) -> None:
    """The gradient of one part is made of the right losses, and was added to what was there."""
    of_loss = torch.tensor([0.0, 0.0, 1.0] if name == "decoder" else [W1, W2, 0.0]).double()
    want = of_loss @ components
    if any(p.grad is None for p in part.parameters()):
        raise Wrong(f"no gradient reaches the {name}.")
    got = _grad_of(part).detach()
    if _near(got, before + want):
        return
    if micro_batch and _near(got, want):
        raise Wrong(
            f"what the {name}'s .grad held before is gone. Add to it: train() accumulates the gradients of "
            "micro-batches, and clears them itself before each step."
        )
    if micro_batch and _near(got, before):
        raise Wrong(f"on a second call no gradient is added to the {name}'s .grad.")
    added = got - before
    found = torch.linalg.lstsq(components.T, added.unsqueeze(1), driver="gelsd").solution.squeeze(1)
    if not _near(found @ components, added):
        raise Wrong(f"the {name}'s gradient is made of something else than gaze, adversarial and reconstruction loss.")
    if name == "perceptron":  # the drawing does not come from it
        found[1:] = of_loss[1:]
    raise Wrong(f"the {name}'s gradient is {_sum_of(found)}; it should be {_sum_of(of_loss)}.{_reason(name, found)}")


def _near(got: Tensor, want: Tensor) -> bool:
    return bool((got - want).norm() <= 1e-6 * want.norm() + 1e-12)


def _sum_of(factors: Tensor) -> str:
    """E.g. "3 ∇L_gaze + 2 ∇L_adv"."""
    text = ""
    for factor, name in zip(factors.tolist(), ("∇L_gaze", "∇L_adv", "∇L_rec"), strict=True):
        if abs(factor) > 1e-4:
            size = "" if abs(abs(factor) - 1) < 1e-4 else f"{abs(factor):.4g} "
            text += f" {'-' if factor < 0 else '+'} {size}{name}"
    if text.startswith(" - "):
        return "-" + text[3:]
    return text.removeprefix(" + ") or "0"


def _reason(name: str, found: Tensor) -> str:
    """What usually makes a gradient of these losses."""
    gaze, adversarial, reconstruction = (round(value, 4) for value in found.tolist())
    if name == "decoder":
        slips = {
            (W2, 1.0): " A plain backward() of the gaze side's loss goes into the decoder, too: inputs=gaze_side.",
            (W2, 0.0): " The decoder has the gradient of its opponent: the adversarial loss only passes through it.",
            (-W2, 1.0): " The gaze side's loss should only pass through it.",
            (1.0, 1.0): " The adversarial loss is the gaze side's alone.",
            (0.0, -1.0): " The sign is turned around: the decoder wants to draw well.",
            (0.0, 2.0): " The reconstruction loss arrives twice.",
            (0.0, 0.0): " What the reconstruction loss gave it is gone.",
        }
        return slips.get((adversarial, reconstruction), "")
    if (gaze, adversarial) == (W1, W2) and reconstruction < 0:
        return " The adversarial loss works against the decoder already."
    if (gaze, adversarial) == (W1, W2) and reconstruction:
        return " The reconstruction loss is the decoder's alone: backward(inputs=decoder)."
    slips = {
        (W1, 0.0, 0.0): " The adversarial loss never reaches it.",
        (1.0, 0.0, 0.0): ' The adversarial loss never reaches it: losses["loss"] holds both, with their weights.',
        (1.0, 0.0, 1.0): ' Take losses["loss"], which holds both losses with their weights.',
        (1.0, 1.0, 0.0): ' losses["loss"] has the weights w₁ and w₂ in it.',
        (0.0, W2, 0.0): " The gaze loss never reaches it.",
        (0.0, 1.0, 0.0): " The gaze loss never reaches it.",
        (0.0, 0.0, 1.0): " The two losses are swapped.",
        (0.0, 0.0, -1.0): ' Turning the decoder\'s gradient around is not the truncated loss; take losses["loss"].',
        (W1, -W2, 0.0): " The sign of the adversarial loss is turned around.",
        (-W1, -W2, 0.0): " The sign is turned around.",
        (2 * W1, 2 * W2, 0.0): " It arrives twice.",
        (0.0, 0.0, 0.0): " What the loss gave it is gone.",
    }
    return slips.get((gaze, adversarial, reconstruction), "")
