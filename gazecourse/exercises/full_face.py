"""Exercises of notebook 04: spatial weights, how they start, their gradient, and maps of what a network looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gazecourse.exercises import Checks, Wrong, compare
from gazecourse.exercises.compare import kind
from gazecourse.models import SpatialWeights as LibrarySpatialWeights

check = Checks()

LAYERS = ("conv1", "conv2", "conv3")


# --- spatial weights ----------------------------------------------------------------------------


@check.exercise(
    reference=LibrarySpatialWeights,
    difficulty=2,
    minutes=12,
    hints=(
        "__init__ makes three nn.Conv2d with kernels of 1 × 1. Such a convolution mixes channels and leaves height and "
        "width alone. How many channels come out of the last one?",
        "weights(u): conv1, ReLU, conv2, ReLU, conv3, ReLU. The result has shape [B, 1, h, w]: one map for each face.",
        "forward(u): a tensor [B, 1, h, w] times one of [B, N, h, w] repeats the single map for all N channels. No "
        "loop is needed.",
        "self.conv1 = nn.Conv2d(channels, channels, 1), conv2 the same, self.conv3 = nn.Conv2d(channels, 1, 1); "
        "return self.weights(u) * u.",
    ),
)
def SpatialWeights(candidate):
    """One map W scales every feature map, and gradients reach all three layers."""
    for channels in (4, 6):
        reference = _scrambled(channels)
        module = candidate(channels)
        _load(module, reference)
        for shape in ((1, channels, 4, 4), (3, channels, 2, 5), (channels, channels, 5, 3)):
            _check_maps(module, reference, _maps(reference, shape))
        _check_gradients(module, reference, _maps(reference, (2, channels, 3, 4)))


def _scrambled(channels: int) -> LibrarySpatialWeights:
    """A module with weights so large that each of the three ReLUs cuts some values and leaves some."""
    module = LibrarySpatialWeights(channels)
    while True:
        for layer in (module.conv1, module.conv2, module.conv3):
            nn.init.normal_(layer.weight, std=1.5 * channels**-0.5)
            nn.init.normal_(layer.bias, std=0.2)
        if 0.3 < (module.weights(torch.randn(50, channels, 5, 5)) > 0).float().mean() < 0.7:
            return module


def _maps(reference: LibrarySpatialWeights, shape: tuple[int, ...]) -> Tensor:
    """Random feature maps U for which W is positive at some places of every image and zero at others."""
    while True:
        u = torch.randn(shape)
        open_at = (reference.weights(u) > 0).flatten(1)
        if bool((open_at.any(1) & ~open_at.all(1)).all()):
            return u


def _load(module: Any, reference: LibrarySpatialWeights) -> None:
    """Give the learner's layers the reference's weights; say which layer is not as it should be."""
    if not isinstance(module, nn.Module):
        raise Wrong(f"SpatialWeights(4) is a {type(module).__name__}; it should be an nn.Module.")
    shapes = {name: getattr(reference, name).weight.shape for name in LAYERS}
    for name, shape in shapes.items():
        layer, other = getattr(module, name, None), getattr(reference, name)
        if layer is None:
            raise Wrong(f"there is no self.{name}; __init__ should make conv1, conv2 and conv3.")
        if not isinstance(layer, nn.Conv2d):
            raise Wrong(f"self.{name} is a {type(layer).__name__}; it should be an nn.Conv2d.")
        if layer.weight.shape != shape:
            maps = "one map" if name == "conv3" else f"{shape[0]} maps"
            raise Wrong(
                f"with {shape[1]} channels self.{name}.weight has shape {list(layer.weight.shape)}; it should be "
                f"{list(shape)}: {maps} from {shape[1]}, with a kernel of 1 × 1."
            )
        if layer.bias is None:
            raise Wrong(f"self.{name} has no bias; it should have one.")
        with torch.no_grad():
            layer.weight.copy_(other.weight)
            layer.bias.copy_(other.bias)


def _call(words: str, function: Callable, *inputs: Tensor) -> Any:
    """The result of one method, which may still be the stub although the others are written."""
    try:
        return function(*inputs)
    except NotImplementedError as error:
        if error.args and "forward" not in str(error):
            raise
        raise Wrong(f"__init__ makes the three layers; `{words}` is still to be written.") from None


def _check_maps(module: nn.Module, reference: LibrarySpatialWeights, u: Tensor) -> None:
    """W and V of one batch of feature maps."""
    if not callable(getattr(module, "weights", None)):
        raise Wrong("there is no method weights(u).")
    shape = list(u.shape)
    for words, function in (("weights", module.weights), ("forward", module)):
        given = u.clone()
        got = _call(words, function, given)
        if not torch.equal(given, u):
            raise Wrong(f"`{words}` changes its argument `u` in place; build a new tensor.")
        want = reference.weights(u) if words == "weights" else reference(u)
        slips = _slips_of_w(reference, u) if words == "weights" else _slips_of_v(reference, u)
        if isinstance(got, Tensor) and not _same(got, want):
            for value, slip in slips:
                if _same(got, value):
                    raise Wrong(slip)
        try:
            compare("W" if words == "weights" else "V", got, want)
        except Wrong as wrong:
            raise Wrong(f"{wrong} Here U has shape {shape}.") from None


def _same(got: Tensor, want: Tensor) -> bool:
    return got.shape == want.shape and torch.allclose(got.float(), want, atol=1e-5)


def _slips_of_w(reference: LibrarySpatialWeights, u: Tensor) -> list[tuple[Tensor, str]]:
    """What usual slips make of W, each with words."""

    def chain(first: Callable, second: Callable, third: Callable) -> Tensor:
        hidden = second(reference.conv2(first(reference.conv1(u))))
        return third(reference.conv3(hidden))

    relu, none, sigmoid = torch.relu, nn.Identity(), torch.sigmoid
    softmax = nn.Sequential(nn.Flatten(), nn.Softmax(1), nn.Unflatten(1, (1, *u.shape[-2:])))
    return [
        (chain(relu, relu, none), "the ReLU after conv3 is missing: W has negative weights."),
        (chain(relu, none, relu), "the ReLU after conv2 is missing."),
        (chain(none, relu, relu), "the ReLU after conv1 is missing."),
        (chain(none, none, relu), "the ReLUs after conv1 and conv2 are missing; without them three layers are one."),
        (chain(none, none, none), "the ReLUs are missing: one follows each of the three layers."),
        (chain(relu, relu, sigmoid), "a sigmoid follows conv3; it should be a ReLU, so that weights can exceed 1."),
        (chain(none, none, sigmoid), "a sigmoid ends the chain; a ReLU should follow each of the three layers."),
        (chain(sigmoid, sigmoid, sigmoid), "sigmoids follow the layers; they should be ReLUs."),
        (chain(relu, relu, softmax), "a softmax follows conv3; it should be a ReLU: weights need not sum to 1."),
        (reference.weights(u).squeeze(1), "W has lost its channel axis; it should have shape [B, 1, h, w]."),
        (reference(u), "weights(u) returns V = W ⊙ U; it should return W alone. forward multiplies."),
    ]


def _slips_of_v(reference: LibrarySpatialWeights, u: Tensor) -> list[tuple[Tensor, str]]:
    """What usual slips make of V, each with words."""
    w = reference.weights(u)
    signed = reference.conv3(torch.relu(reference.conv2(torch.relu(reference.conv1(u)))))
    return [
        (u, "forward returns U as it was; it should be W ⊙ U."),
        (w, "forward returns W; it should be W ⊙ U."),
        (w.expand_as(u), "forward returns W; it should be W ⊙ U."),
        (w + u, "forward adds W to U; it should multiply."),
        (u + w * u, "forward returns U + W ⊙ U; it should be W ⊙ U alone."),
        (w * u.relu(), "forward cuts off U's negative values; U should be weighted as it is."),
        (signed * u, "forward uses the values before the last ReLU; W is what weights(u) returns."),
        (w.sigmoid() * u, "forward sends W through a sigmoid; it should be W ⊙ U."),
        (w * w * u, "forward multiplies by W twice."),
        ((w * u).sum(1, keepdim=True), "forward sums over the feature maps; each of them should be scaled and kept."),
        (w[:1] * u, "forward uses the first image's W for all images; each image has its own."),
        *([(w @ u, "@ is a matrix product; ⊙ multiplies value by value: *.")] if u.shape[2] == u.shape[3] else []),
    ]


def _gradients(module: nn.Module, forward: Callable[[Tensor], Tensor], u: Tensor) -> dict[str, Tensor | None]:
    """Gradients of a weighted sum of V with respect to U and the three layers' parameters."""
    module.zero_grad()
    u = u.clone().requires_grad_()
    v = forward(u)
    if v.requires_grad:
        (v * torch.linspace(-1, 1, v.numel()).view_as(v)).sum().backward()
    parameters = {
        f"{name}.{kind}": getattr(getattr(module, name), kind) for name in LAYERS for kind in ("weight", "bias")
    }
    return {"U": u.grad} | {name: parameter.grad for name, parameter in parameters.items()}


def _check_gradients(module: nn.Module, reference: LibrarySpatialWeights, u: Tensor) -> None:
    """Gradients reach everything; plain ones and the paper's normalized ones are both right here."""
    got = _gradients(module, module, u)
    plain = _gradients(reference, lambda u: reference.weights(u) * u, u)
    for name, value in got.items():
        if value is None or not bool(value.any()):
            raise Wrong(f"no gradient reaches {name}: is there a detach(), a no_grad() or an item() in the way?")
    normalized = _gradients(reference, reference, u)
    if not all(torch.allclose(got[name], want, rtol=1e-3, atol=1e-4) for name, want in normalized.items()):
        through_product = _gradients(reference, lambda u: reference.weights(u.detach()) * u, u)["U"]
        if torch.allclose(got["U"], through_product, rtol=1e-3, atol=1e-4):
            raise Wrong("U's gradient lacks the part that comes through W: is there a detach() before conv1?")
        for name, want in plain.items():
            compare(f"the gradient of {name}", got[name], want, tolerance=1e-3)


# --- initial values -----------------------------------------------------------------------------


def _initialize(module: nn.Module) -> None:
    for layer, deviation, bias in ((module.conv1, 0.01, 0.1), (module.conv2, 0.01, 0.1), (module.conv3, 0.001, 1.0)):
        nn.init.normal_(layer.weight, std=deviation)
        nn.init.constant_(layer.bias, bias)


START = {"conv1": (0.01, 0.1), "conv2": (0.01, 0.1), "conv3": (0.001, 1.0)}
"""Deviation of the weights and value of the biases."""

UNTOUCHED = 3.0


@check.exercise(
    reference=_initialize,
    difficulty=1,
    minutes=6,
    hints=(
        "Each layer has a weight and a bias: module.conv1.weight, module.conv1.bias. torch.nn.init has functions that "
        "fill them in place; their names end in an underscore.",
        "nn.init.normal_(tensor, std=...) draws normal numbers around 0, nn.init.constant_(tensor, value) fills in one "
        "number. In N(0, 0.01), 0.01 is the deviation.",
        "conv1 and conv2: nn.init.normal_(layer.weight, std=0.01), nn.init.constant_(layer.bias, 0.1). conv3: "
        "std=0.001 and bias 1.",
    ),
)
def initialize(candidate):
    """Weights and biases begin as in the paper, so W begins close to 1 everywhere."""
    for channels in (400, 256):
        module = LibrarySpatialWeights(channels)
        for parameter in module.parameters():
            nn.init.constant_(parameter, UNTOUCHED)
        candidate(module)
        for name, (deviation, bias) in START.items():
            layer, maps = getattr(module, name), 1 if name == "conv3" else channels
            _check_tensor(f"{name}.weight", layer.weight, [maps, channels, 1, 1])
            _check_tensor(f"{name}.bias", layer.bias, [maps])
            _check_weights(f"{name}'s weights", layer.weight.detach(), deviation)
            off = layer.bias.detach()[(layer.bias.detach() - bias).abs() > 1e-6]
            if len(off):
                raise Wrong(f"{name}'s bias is {off[0].item():.3g}; the paper has {bias:g}.")
        if torch.equal(module.conv1.weight, module.conv2.weight):
            raise Wrong("conv1 and conv2 have the same weights; draw new ones for each.")


def _check_tensor(name: str, values: Tensor | None, shape: list[int]) -> None:
    """It was filled, and is still a parameter of its shape that learns."""
    if values is None or list(values.shape) != shape:
        raise Wrong(f"{name} has shape {None if values is None else list(values.shape)}; it should stay {shape}.")
    if values.dtype != torch.float32:
        raise Wrong(f"{name} is {values.dtype} now; it should stay torch.float32, as the features are.")
    if bool((values == UNTOUCHED).all()):
        raise Wrong(f"{name} still has its old values. Fill the tensors of the module that is given, in place.")
    if not bool(torch.isfinite(values).all()):
        raise Wrong(f"{name} is not finite.")
    if not values.requires_grad:
        raise Wrong(f"{name} would not learn any more: its requires_grad is False.")


def _check_weights(name: str, values: Tensor, wanted: float) -> None:
    """N(0, wanted), as far as a sample of this size can tell."""
    count = values.numel()
    mean, deviation = values.mean().item(), values.std().item()
    tolerance = 0.03 + 4 / (2 * count) ** 0.5
    if abs(deviation / wanted - 1) > tolerance:
        shown, slip = f"{deviation:.1g}", ""
        if shown == f"{wanted:g}":
            shown = f"{deviation:.3g}"
        if abs(deviation / wanted**0.5 - 1) < tolerance:
            slip = f" That is the root of {wanted:g}: here {wanted:g} is the deviation itself, not the variance."
        elif abs(deviation / wanted**2 - 1) < tolerance:
            slip = f" That is the square of {wanted:g}: here {wanted:g} is the deviation itself, not the variance."
        elif abs(deviation - 1) < tolerance and abs(mean - wanted) < 5 / count**0.5:
            slip = f" In nn.init.normal_(weight, {wanted:g}) the {wanted:g} is the mean: write std={wanted:g}."
        elif deviation < 1e-8:
            shown, slip = "0", " All of them are equal, so all channels would learn the same."
        raise Wrong(f"{name} have deviation {shown}; the paper has {wanted:g}.{slip}")
    if abs(mean) > 5 * wanted / count**0.5:
        raise Wrong(f"{name} have mean {mean:.2g}; the paper has 0.")
    fourth = ((values - mean) / deviation).pow(4).mean().item()
    if count > 10_000 and not 2.7 < fourth < 3.3:
        kind = " They look uniform: nn.init.normal_ draws normal ones." if fourth < 2 else ""
        raise Wrong(f"{name} have the right deviation, but are not normally distributed.{kind}")


# --- the normalized gradient --------------------------------------------------------------------


def _weigh_backward(u: Tensor, w: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    gradient_of_u = w * gradient
    gradient_of_w = (u * gradient).mean(dim=1, keepdim=True)  # plain would be the sum
    return gradient_of_u, gradient_of_w


@check.exercise(
    reference=_weigh_backward,
    difficulty=2,
    minutes=10,
    hints=(
        "Look at one position of one channel: v = w · u. What is the derivative of v with respect to u, and with "
        "respect to w? The chain rule multiplies each by ∂L/∂v.",
        "U's gradient has one value for each value of U. A weight w serves all N channels, so N products u · ∂L/∂v "
        "arrive at it; the paper takes their mean, where the plain gradient would be their sum.",
        "(u * gradient).mean(dim=1, keepdim=True) keeps the channel axis, with length 1, as W has it.",
        "return w * gradient, (u * gradient).mean(dim=1, keepdim=True)",
    ),
)
def weigh_backward(candidate):
    """U's gradient is weighted by W, and W's is the mean over the feature maps."""
    for batch, channels, height, width in ((2, 4, 3, 5), (1, 4, 2, 2), (5, 6, 4, 3)):
        u, gradient = torch.randn(2, batch, channels, height, width)
        w = torch.rand(batch, 1, height, width) + 0.5
        given = [value.clone() for value in (u, w, gradient)]
        got = candidate(*given)
        for name, before, after in zip(("u", "w", "gradient"), (u, w, gradient), given, strict=True):
            if not torch.equal(before, after):
                raise Wrong(f"your code changes its argument `{name}` in place; build a new tensor.")
        _check_pair(got, u, w, gradient)


def _check_pair(got: Any, u: Tensor, w: Tensor, gradient: Tensor) -> None:
    want = _weigh_backward(u, w, gradient)
    if got is None:
        raise Wrong("the answer is None: is the `return` missing?")
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        count = f"{len(got)} values" if isinstance(got, (tuple, list)) else f"one {type(got).__name__}"
        raise Wrong(f"the answer is {count}; it should be two: the gradient of U and the gradient of W.")
    shapes = [list(value.shape) for value in got if isinstance(value, Tensor)]
    if shapes == [list(w.shape), list(u.shape)]:
        raise Wrong("the two gradients are in the wrong order: first that of U, then that of W.")
    for name, value, wanted, slips in (
        ("U", got[0], want[0], _slips_of_gradient_u(u, w, gradient)),
        ("W", got[1], want[1], _slips_of_gradient_w(u, w, gradient)),
    ):
        if not isinstance(value, Tensor):
            hint = "" if value is None else "; it should be a torch tensor."
            raise Wrong(f"the gradient of {name} is {kind(value)}{hint}")
        value = value.to(wanted.dtype)  # as autograd does
        if not (value.shape == wanted.shape and torch.allclose(value, wanted, atol=1e-5)):
            for other, words in slips:
                if value.shape == other.shape and torch.allclose(value, other, atol=1e-5):
                    raise Wrong(f"the gradient of {name} {words}")
        compare(f"the gradient of {name}", value, wanted)


def _slips_of_gradient_u(u: Tensor, w: Tensor, gradient: Tensor) -> list[tuple[Tensor, str]]:
    count = u.shape[1]
    return [
        (gradient, "is ∂L/∂V as it came; it should be weighted by W."),
        (u * gradient, "is u · ∂L/∂V; the derivative of w · u with respect to u is w."),
        (w * u, "is w · u; that is V itself. It should be w · ∂L/∂V."),
        (w.expand_as(u), "is w; the chain rule multiplies it by ∂L/∂V."),
        (w * gradient / count, f"is N = {count} times too small: only the gradient of W is divided by N."),
        ((w * gradient).sum(1, keepdim=True), "is summed over the feature maps; every map of U has its own."),
        ((w * gradient).mean(1, keepdim=True), "is averaged over the feature maps; every map of U has its own."),
    ]


def _slips_of_gradient_w(u: Tensor, w: Tensor, gradient: Tensor) -> list[tuple[Tensor, str]]:
    batch, count, height, width = u.shape
    product = u * gradient
    total = product.sum(1, keepdim=True)
    axis = f"has no channel axis: it should have shape {list(w.shape)}, as W has. keepdim=True keeps it."
    return [
        (total, f"is N = {count} times too large: the paper divides by the number of feature maps."),
        (product, f"has shape {list(u.shape)}: one map serves all feature maps, so take the mean over them."),
        (product.mean(1), axis),
        (product.sum(1), axis),
        (total / 256, f"is divided by 256; here there are N = {count} feature maps."),
        (total / (height * width), f"is divided by the {height * width} positions, not by the {count} feature maps."),
        (total / batch, f"is divided by the {batch} images, not by the {count} feature maps."),
        (total / count**0.5, "is divided by √N; the paper divides by N."),
        (gradient.mean(1, keepdim=True), "is the mean of ∂L/∂V alone; the derivative of w · u with respect to w is u."),
        (gradient.sum(1, keepdim=True), "is the sum of ∂L/∂V alone; the derivative of w · u with respect to w is u."),
        (u.mean(1, keepdim=True), "is the mean of u alone; the chain rule multiplies u by ∂L/∂V."),
        (u.mean(1, keepdim=True) * gradient.mean(1, keepdim=True), "is a product of means; take the mean of products."),
        ((w * gradient).mean(1, keepdim=True), "is the mean of w · ∂L/∂V; the derivative of w · u by w is u."),
        ((w * product).mean(1, keepdim=True), "has a factor w too many; the derivative of w · u by w is u alone."),
    ]


# --- region importance --------------------------------------------------------------------------


def _region_importance(error: Callable[[Tensor], Tensor], images: Tensor, mask: int, stride: int) -> Tensor:
    """At every position: masked = images.clone(), a gray square in it, then error(masked) - error(images)."""
    from gazecourse.analysis.region_importance import region_importance

    return region_importance(error, images, mask=mask, stride=stride)


GRAY = 0.5


class _Probe:
    """An error function that depends on every pixel, knows its images, and remembers what it was shown."""

    def __init__(self, images: Tensor) -> None:
        self.images = images.clone()
        self.sensitivity = 0.5 * torch.randn(images.shape)
        self.seen: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        count = len(self.images)
        if not isinstance(images, Tensor):
            raise Wrong(f"`error` was called with a {type(images).__name__}; it takes the images, a tensor.")
        if images.ndim == 4 and len(images) != count:
            given = "one image" if len(images) == 1 else f"{len(images)} images"
            raise Wrong(
                f"`error` was called with {given}; it knows the true gaze of all {count}, so it takes all "
                f"of them at once, in their order. One position of the mask after the other."
            )
        if images.shape != self.images.shape:
            raise Wrong(f"`error` was called with shape {list(images.shape)}; it takes {list(self.images.shape)}.")
        self.seen.append(images.detach().clone())
        return 20 + (images * self.sensitivity).sum((1, 2, 3))


@check.exercise(
    reference=_region_importance,
    difficulty=3,
    minutes=15,
    hints=(
        "Two loops, over the top edge and the left edge of the mask. At each position: copy the images, paint the "
        "square, ask for the error. What is that error to be compared with?",
        "The top edge takes the values range(0, height - mask + 1, stride), the left edge likewise with the width. "
        "Their numbers are the rows and columns of the result.",
        "masked = images.clone(), then masked[:, :, top : top + mask, left : left + mask] = 0.5 leaves `images` as "
        "they are. error(images) is needed once, before the loops.",
        "Collect error(masked) - before, shape [N], for each position; torch.stack(values, dim=1) makes [N, "
        "positions], and .view(N, rows, columns) the maps.",
    ),
)
def region_importance(candidate):
    """The mask stops at every position that fits, and each image gets its own rise in error."""
    cases = (
        ((2, 3, 6, 9), 3, 3),
        ((3, 3, 8, 11), 4, 2),
        ((1, 3, 7, 5), 2, 3),
        ((2, 3, 5, 5), 1, 4),
        ((4, 3, 4, 6), 4, 1),
    )
    for shape, mask, stride in cases:
        images = torch.rand(shape)
        probe, given = _Probe(images), images.clone()
        got = candidate(probe, given, mask, stride)
        if not torch.equal(given, images):
            raise Wrong("your code changes its argument `images` in place; put the mask into a copy: images.clone().")
        seen = list(probe.seen)
        want = _region_importance(probe, images.clone(), mask, stride)
        setting = f"images of {shape[2]} × {shape[3]}, mask {mask}, stride {stride}"
        _check_map_shape(got, want, setting)
        try:
            compare(f"{setting}: the importance", got, want, tolerance=2e-4)
        except Wrong:
            _explain_masks(seen, probe.images, mask, stride, setting)
            _explain_values(got, want, probe(images), setting)
            raise


def _check_map_shape(got: Any, want: Tensor, setting: str) -> None:
    if not isinstance(got, Tensor):
        compare("the importance", got, want)
        raise Wrong(f"the importance is a {type(got).__name__}; it should be a torch tensor.")
    if got.shape == want.shape:
        return
    count, rows, columns = want.shape
    shape = list(got.shape)
    slip = ""
    if shape == [count, columns, rows] and rows != columns:
        slip = " Rows and columns are swapped: the height comes first."
    elif shape == [rows, columns]:
        slip = " Each image has a map of its own; do not average over the images."
    elif shape in ([rows, columns, count], [rows * columns, count]):
        slip = " The images come first."
    elif shape == [count, rows * columns]:
        slip = " The positions should be arranged in rows and columns."
    elif len(shape) == 3 and shape[0] == count and shape[1] <= rows and shape[2] <= columns:
        slip = " A position is missing at the end: one counts if the mask just fits."
    elif len(shape) == 3 and shape[0] == count and shape[1] >= rows and shape[2] >= columns:
        slip = " Only positions count at which the whole mask lies in the image."
    raise Wrong(f"{setting}: the importance has shape {shape}; it should be {list(want.shape)}.{slip}")


def _explain_masks(seen: list[Tensor], images: Tensor, mask: int, stride: int, setting: str) -> None:
    """Say what is wrong with the masks that the error function was shown, if anything is."""
    masked = [(shown, (shown != images)) for shown in seen if not torch.equal(shown, images)]
    if not masked:
        raise Wrong(f"{setting}: `error` was never called with a masked image.")
    height, width = images.shape[-2:]
    tops = list(range(0, height - mask + 1, stride))
    lefts = list(range(0, width - mask + 1, stride))
    for number, (shown, changed) in enumerate(masked):
        covered = changed.any(1)
        if not bool((covered == covered[0]).all()):
            raise Wrong(f"{setting}: the mask does not cover the same place in all images; it should.")
        rows, columns = covered[0].any(1).nonzero().flatten(), covered[0].any(0).nonzero().flatten()
        top, left = int(rows[0]), int(columns[0])
        tall, wide = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
        if (
            number
            and covered[0].sum() > mask * mask
            and bool((covered | masked[number - 1][1].any(1) == covered).all())
        ):
            raise Wrong(f"{setting}: masks of earlier positions are still there. Begin each time with fresh images.")
        if (tall, wide) != (mask, mask):
            raise Wrong(f"{setting}: a mask covers {tall} × {wide} pixels; it should cover {mask} × {mask}.")
        if not bool((changed.all(1) == covered).all()):
            raise Wrong(f"{setting}: the mask does not cover all three colors.")
        values = shown[changed]
        if bool((values - GRAY).abs().max() > 1e-6):
            if bool((values == values[0]).all()):
                raise Wrong(f"{setting}: the mask has the value {values[0]:.3g}; gray is 0.5.")
            raise Wrong(f"{setting}: the mask has several values; gray is 0.5 everywhere.")
        if top not in tops or left not in lefts:
            raise Wrong(
                f"{setting}: a mask has its top left corner at row {top}, column {left}; rows should be "
                f"{tops} and columns {lefts}."
            )


def _explain_values(got: Tensor, want: Tensor, before: Tensor, setting: str) -> None:
    """The masks are right; say what was done with the errors, where that can be told."""
    before = before.view(-1, 1, 1)
    slips = [
        (want + before, "this is the error with the mask; the error without it is not subtracted."),
        (want / before, "this is the relative rise; the rise itself is wanted, in degrees."),
        (100 * want / before, "this is the rise in percent; the rise itself is wanted, in degrees."),
        ((want + before) / before, "this is a ratio of errors; their difference is wanted, in degrees."),
        (want.abs(), "the sign is lost: where a mask makes the error smaller, importance is negative."),
        (want.clamp(min=0), "the sign is lost: where a mask makes the error smaller, importance is negative."),
        (-want, "the sign is turned around: importance is the error with the mask minus the error without."),
        (want + before - before.mean(), "each image's own error should be subtracted, not the mean of all."),
        (want.mean(0, keepdim=True).expand_as(want), "each image has a map of its own; do not average over them."),
        (want.flip(1), "the rows are in reverse order; the first is at the top."),
        (want.flip(2), "the columns are in reverse order; the first is at the left."),
        (want.transpose(1, 2).reshape(want.shape), "rows and columns are mixed up: rows are positions from the top."),
    ]
    for value, words in slips:
        if torch.allclose(got.float(), value, rtol=1e-4, atol=1e-3):
            raise Wrong(f"{setting}: {words}")
