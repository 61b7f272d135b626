"""Exercises of notebook 03: what a convolution costs and sees, and AlexNet turned into a gaze regressor."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from gazecourse.exercises import Checks, Wrong
from gazecourse.models import AlexNet, layers

check = Checks()


# --- answers that are whole numbers -------------------------------------------------------------


def _check_numbers(
    candidate: Callable, reference: Callable, calls: Sequence[tuple[tuple, dict]], slips: dict[Callable, str]
) -> None:
    """Call after call, with the call itself in the message; a slip is named if it explains every answer."""
    name = reference.__name__.removeprefix("_")
    for args, keywords in calls:
        got, want = candidate(*deepcopy(args), **keywords), reference(*args, **keywords)
        call = f"{name}({', '.join([*map(repr, args), *(f'{key}={value!r}' for key, value in keywords.items())])})"
        if got is None:
            raise Wrong(f"{call} is None: is the `return` missing?")
        if isinstance(got, (str, tuple, list)):
            raise Wrong(f"{call} is a {type(got).__name__}; it should be the whole number {want}.")
        if got != want:
            raise Wrong(f"{call} is {_show(got)}; it should be {want}.{_find_slip(candidate, calls, slips)}")
        try:
            operator.index(got)
        except TypeError:
            raise Wrong(
                f"{call} is {_show(got)}, a {type(got).__name__}; it should be the whole number {want}. "
                f"// divides whole numbers and leaves a whole number."
            ) from None


def _show(number: Any) -> str:
    """A number without the name of its type."""
    value = number.item() if hasattr(number, "item") else number
    return f"{value:.6g}" if isinstance(value, float) and not value.is_integer() else f"{value}"


def _find_slip(candidate: Callable, calls: Sequence[tuple[tuple, dict]], slips: dict[Callable, str]) -> str:
    """The words for the usual slip that gives the candidate's answer to every call it answers."""
    answers = []
    for args, keywords in calls:
        try:
            answers.append((args, keywords, candidate(*deepcopy(args), **keywords)))
        except Exception:  # whatever the learner's code raises: the message is about the calls that work
            continue
    for slip, words in slips.items():
        if all(slip(*args, **keywords) == got for args, keywords, got in answers):
            return f" {words}"
    return ""


# --- output size --------------------------------------------------------------------------------


def _conv_output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    # (size + 2 * padding - kernel) // stride + 1, and an error where the kernel does not fit
    return layers.conv_output_size(size, kernel, stride, padding)


SIZE_SLIPS = {
    lambda n, k, stride=1, padding=0: (n + 2 * padding - k) // stride: (
        "Is the very first position counted? A kernel as large as the input has one."
    ),
    lambda n, k, stride=1, padding=0: (n + 2 * padding - k + 1) // stride: (
        "The first position costs no step: the 1 is added after the division."
    ),
    lambda n, k, stride=1, padding=0: -((k - n - 2 * padding) // stride) + 1: (
        "Round down: a step that does not fit whole is not taken."
    ),
    lambda n, k, stride=1, padding=0: (n + 2 * padding - k) / stride + 1: (
        "Round down: a step that does not fit whole is not taken."
    ),
    lambda n, k, stride=1, padding=0: round((n + 2 * padding - k) / stride) + 1: (
        "Round down, not to the nearest: a step that does not fit whole is not taken."
    ),
    lambda n, k, stride=1, padding=0: round((n + 2 * padding - k) / stride + 1): (
        "Round down, not to the nearest: a step that does not fit whole is not taken."
    ),
    lambda n, k, stride=1, padding=0: (n + padding - k) // stride + 1: "Padding is added on both sides.",
    lambda n, k, stride=1, padding=0: (n - k) // stride + 1: "Is the padding used?",
    lambda n, k, stride=1, padding=0: (n - 2 * padding - k) // stride + 1: "Padding makes the input larger.",
    lambda n, k, stride=1, padding=0: n + 2 * padding - k + 1: "Is the stride used?",
    lambda n, k, stride=1, padding=0: (n + 2 * padding) // stride: "Is the size of the kernel used?",
    lambda n, k, stride=1, padding=0: (n + 2 * padding) // stride - k + 1: (
        "Take the kernel off before you divide by the stride."
    ),
}


@check.exercise(
    reference=_conv_output_size,
    difficulty=1,
    minutes=5,
    hints=(
        "Lay a kernel of 3 on a row of 7 pixels and slide it: how many steps of 1 can it take before it hangs over the "
        "edge? And how many positions is that?",
        "Padding makes the row longer, on both sides: size + 2 * padding pixels. The kernel takes up some of them; the "
        "rest is room for steps.",
        "A step that does not fit whole is not taken: room // stride rounds down. The position before the first step "
        "counts too.",
        "(size + 2 * padding - kernel) // stride + 1",
    ),
)
def conv_output_size(candidate):
    """Every position is counted, with padding on both sides, and none that hangs over the edge."""
    calls = [((7, 3), {}), ((5, 5), {}), ((7, 3), {"padding": 1}), ((7, 3), {"stride": 2}), ((8, 3), {"stride": 2})]
    calls += [((227, 11), {"stride": 4}), ((224, 11, 4, 2), {}), ((27, 5), {"padding": 2}), ((13, 3, 2), {})]
    calls += [((size, 4, 3, 2), {}) for size in range(4, 16)]
    _check_numbers(candidate, _conv_output_size, calls, SIZE_SLIPS)


# --- parameters ---------------------------------------------------------------------------------


def _conv_parameters(in_channels: int, out_channels: int, kernel: int, groups: int = 1) -> int:
    weights = out_channels * (in_channels // groups) * kernel * kernel
    return weights + out_channels  # and one bias for each filter


PARAMETER_SLIPS = {
    lambda i, o, k, groups=1: o * (i // groups) * k * k: "Each filter has a bias, too.",
    lambda i, o, k, groups=1: o * (i // groups) * k * k + 1: "Each filter has a bias of its own, not one for all.",
    lambda i, o, k, groups=1: (
        o * (i // groups) * k * k + i
    ): "There is a bias for each filter (out), not for each input.",
    lambda i, o, k, groups=1: o * (i // groups) * k * k + o // groups: "The biases are not divided by the groups.",
    lambda i, o, k, groups=1: o * (i // groups) * k * k + o / groups: "The biases are not divided by the groups.",
    lambda i, o, k, groups=1: (o * i * k * k + o) // groups: "The biases are not divided by the groups.",
    lambda i, o, k, groups=1: (o * i * k * k + o) / groups: "The biases are not divided by the groups.",
    lambda i, o, k, groups=1: o * ((i // groups) * k * k + 1) * groups: (
        "There are `out` filters in all groups together, not in each."
    ),
    lambda i, o, k, groups=1: o * i * k * k + o: "With groups, a filter sees only the channels of its own group.",
    lambda i, o, k, groups=1: o * i * groups * k * k + o: "Groups save weights: divide by them.",
    lambda i, o, k, groups=1: (o // groups) * (i // groups) * k * k + o: (
        "That is the weights of one group; there are as many of them as groups."
    ),
    lambda i, o, k, groups=1: o * (i // groups) * k + o: "A kernel has two sides.",
    lambda i, o, k, groups=1: (i // groups) * k * k + o: "Each of the filters has its own weights: times out_channels.",
    lambda i, o, k, groups=1: o * k * k + o: "Each filter has k × k weights for every channel that it sees.",
}


@check.exercise(
    reference=_conv_parameters,
    difficulty=1,
    minutes=6,
    hints=(
        "Count for one filter first. How many channels does it see, how many weights does it have for each of them, "
        "and what does it add at the end?",
        "In a grouped convolution channels and filters are divided into groups, and a filter sees only its group's "
        "channels: in_channels // groups of them. The number of filters stays.",
        "One filter: (in_channels // groups) * kernel * kernel weights and 1 bias. There are out_channels of them.",
    ),
)
def conv_parameters(candidate):
    """Weights and biases are counted as PyTorch has them, with groups and without."""
    calls = [((1, 1, 3), {}), ((3, 8, 3), {}), ((16, 8, 1), {}), ((4, 6, 3), {"groups": 2}), ((8, 8, 3, 8), {})]
    calls += [((3, 96, 11), {}), ((96, 256, 5), {"groups": 2}), ((256, 384, 3), {}), ((384, 256, 3, 2), {})]
    calls += [((12, 24, 5, groups), {}) for groups in (1, 2, 3, 4, 6, 12)]
    _check_numbers(candidate, _conv_parameters, calls, PARAMETER_SLIPS)


# --- receptive field ----------------------------------------------------------------------------


def _receptive_field(layers: list[tuple[int, int]]) -> int:
    extent = jump = 1
    for kernel, stride in layers:
        extent += (kernel - 1) * jump
        jump *= stride
    return extent


def _walk(
    start: int = 1, *, early: bool = False, whole_kernel: bool = False, sums: bool = False, strides: bool = True
) -> Callable[[list], int]:
    """The receptive field with a slip in it."""

    def extent_of(layers: list[tuple[int, int]]) -> int:
        extent, jump = start, 1
        for kernel, stride in layers:
            after = jump + stride if sums else jump * stride if strides else jump
            extent += (kernel - (not whole_kernel)) * (after if early else jump)
            jump = after
        return extent

    return extent_of


def _last_stride_only(layers: list[tuple[int, int]]) -> int:
    before = [1, *(stride for _, stride in layers)]
    return 1 + sum((kernel - 1) * stride for (kernel, _), stride in zip(layers, before, strict=False))


def _product(layers: list[tuple[int, int]]) -> int:
    product = 1
    for kernel, _ in layers:
        product *= kernel
    return product


FIELD_SLIPS = {
    _walk(strides=False): "Do the strides count? After a layer with stride 2, a step to the next neighbor is 2 pixels.",
    _walk(early=True): "A layer's own stride spreads the pixels of the *next* layers, not those it sees itself.",
    _walk(0): "One pixel sees one pixel to begin with: start from 1.",
    _walk(0, whole_kernel=True): "A kernel of k adds k − 1 steps between neighbors, not k.",
    _walk(whole_kernel=True): "A kernel of k adds k − 1 steps between neighbors, not k.",
    _walk(sums=True): "Two layers of stride 2 put neighbors 4 pixels apart: strides multiply.",
    _last_stride_only: "The strides of *all* layers before it multiply, not only the last one's.",
    _product: "Kernels do not multiply: two 3 × 3 layers see 5 pixels, not 9.",
    lambda layers: sum(kernel for kernel, _ in layers): (
        "Windows of neighbors overlap: two 3 × 3 layers see 5 pixels, not 6."
    ),
    lambda layers: max(kernel for kernel, _ in layers): "Layers add up: two 3 × 3 layers see 5 pixels.",
    lambda layers: _receptive_field(layers[::-1]): "The layers are listed from the input to the output.",
    lambda layers: _receptive_field(layers[:-1]): "Is the last layer left out?",
    lambda layers: _receptive_field(layers[1:]): "Is the first layer left out?",
}


@check.exercise(
    reference=_receptive_field,
    difficulty=2,
    minutes=10,
    hints=(
        "Draw two 3 × 3 layers in one dimension. The second sees three neighbors of the first, and their windows "
        "overlap. How many pixels of the input do they cover together?",
        "Walk from the input to the output with two numbers: `extent`, what one value sees, and `jump`, how many input "
        "pixels two neighbors lie apart. Both start at 1.",
        "A layer of kernel k sees k neighbors, and from the first to the last of them it is k − 1 jumps. Those are the "
        "jumps *before* its own stride.",
        "For each (kernel, stride): extent += (kernel - 1) * jump, and after that jump *= stride.",
    ),
)
def receptive_field(candidate):
    """Kernels and strides add up to the pixels that one output depends on."""
    pool = (3, 2)
    alexnet = [(11, 4), pool, (5, 1), pool, (3, 1), (3, 1), (3, 1), pool]
    stacks = [[(3, 1)], [(3, 1), (3, 1)], [(1, 1), (5, 1), (2, 1)], [(3, 2)], [(3, 2), (3, 1)], [(3, 1), (3, 2)]]
    stacks += [alexnet[:2], [(3, 2), (3, 2), (3, 2)], [(2, 3), (4, 2), (3, 1), (5, 2)], alexnet]
    stacks += [torch.randint(1, 6, (5, 2)).tolist() for _ in range(5)]
    stacks = [[tuple(layer) for layer in stack] for stack in stacks]
    _check_numbers(candidate, _receptive_field, [((stack,), {}) for stack in stacks], FIELD_SLIPS)
    given = list(alexnet)
    candidate(given)
    if given != alexnet:
        raise Wrong("your code changes the list `layers` that it is given; work on a copy: list(layers).")


# --- from classes to gaze -----------------------------------------------------------------------


def _gaze_regressor(network: AlexNet) -> AlexNet:
    last = network.classifier[-1]
    layer = nn.Linear(last.in_features, 2)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    network.classifier[-1] = layer
    return network


SMALL = 0.015
"""Largest size of the new weights (root mean square) that still counts as N(0, 0.01)."""


@check.exercise(
    reference=_gaze_regressor,
    difficulty=2,
    minutes=8,
    hints=(
        "print(network.classifier) shows where the 1000 classes come from. Which one layer has to go? Everything else "
        "stays.",
        "network.classifier[-1] is that layer; it can be read and assigned to. The new nn.Linear takes as many inputs "
        "as the old one: .in_features.",
        "nn.init.normal_(layer.weight, std=0.01) and nn.init.zeros_(layer.bias) make the first predictions small. No "
        "activation follows: angles can be negative.",
        "layer = nn.Linear(network.classifier[-1].in_features, 2), set its weights and bias, then "
        "network.classifier[-1] = layer and return network.",
    ),
)
def gaze_regressor(candidate):
    """The new layer gives pitch and yaw from near zero, and everything before it is as it was."""
    for form, width in (("two_tower", 0.05), ("one_tower", 0.03)):
        trained = AlexNet(1000, form, size=64, width=width, stride=2).eval()
        for name, parameter in trained.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.1)  # as after training
        images = torch.rand(4, 3, 64, 64)
        network = candidate(deepcopy(trained))
        output, (layer, given, gave) = _run_replaced(network, trained, images)
        _check_rest(network, trained, layer)
        if not torch.allclose(given, _run(trained, images)[1][1], atol=1e-6):
            raise Wrong("what reaches the last layer is not what it was: is an activation lost, or one too many?")
        if not torch.allclose(output, gave, atol=1e-7):
            raise Wrong(
                f"something follows the last layer{_follower(output, gave)}. Angles are any numbers, negative ones "
                f"too, so what the layer gives is the answer."
            )
        _check_start(layer, trained)
        _check_learning(network, images)


Call = tuple[nn.Linear, Tensor, Tensor]
"""A linear layer that ran, what it was given and what it gave."""


def _run(network: AlexNet, images: Tensor) -> tuple[Tensor, Call]:
    """The network's output, and the linear layer that ran last."""
    calls: list[Call] = []

    def record(layer: nn.Linear, given: tuple[Tensor], gave: Tensor) -> None:
        calls.append((layer, given[0].detach().clone(), gave.detach().clone()))

    hooks = [m.register_forward_hook(record) for m in network.modules() if isinstance(m, nn.Linear)]
    try:
        output = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        raise Wrong("no nn.Linear layer is left in the network. Only the last one should be replaced.")
    return output, calls[-1]


def _run_replaced(network: Any, trained: AlexNet, images: Tensor) -> tuple[Tensor, Call]:
    """The same for the learner's network, if a layer with two outputs stands where the one with the classes stood."""
    if network is None:
        raise Wrong("the answer is None: is the `return` missing?")
    if not isinstance(network, AlexNet):
        raise Wrong(f"the answer is a {type(network).__name__}; it should be the AlexNet itself.")
    hidden = trained.classifier[-1].in_features
    try:
        output, call = _run(network.eval(), images)
    except RuntimeError:
        for layer in network.classifier.modules():
            if isinstance(layer, nn.Linear) and layer.weight.shape[0] == 2 and layer.weight.shape[1] != hidden:
                raise Wrong(
                    f"the new layer takes {layer.weight.shape[1]} inputs; the layer in whose place it stands took "
                    f"{hidden} here (4096 only at full width). Read the number from that layer: .in_features."
                ) from None
        raise
    outputs, inputs = call[0].weight.shape
    if output.shape == (len(images), 1000):
        raise Wrong("the network still gives 1000 numbers for an image; pitch and yaw are two.")
    if inputs == 1000:
        raise Wrong(
            "the new layer stands behind the one with the 1000 classes, not in its place: gaze would have to pass "
            "through the classes' scores."
        )
    if output.shape != (len(images), 2):
        raise Wrong(f"for {len(images)} images the output has shape {list(output.shape)}; it should be [4, 2].")
    if outputs != 2:
        raise Wrong(f"the last layer has {outputs} outputs, of which two are used; it should have 2 itself.")
    if inputs != hidden:
        raise Wrong(
            f"the last layer takes {inputs} inputs, the old one took {hidden}: more than that one layer was replaced."
        )
    return output, call


def _follower(output: Tensor, gave: Tensor) -> str:
    """What was done to the output of the last layer, where that is easy to see."""
    known = {
        ", a softmax": gave.softmax(1), ", a log-softmax": gave.log_softmax(1), ", a ReLU": gave.relu(),
        ", a sigmoid": gave.sigmoid(), ", a tanh": gave.tanh(),
    }  # fmt: skip
    return next((name for name, value in known.items() if torch.allclose(output, value, atol=1e-6)), "")


def _parameters(network: AlexNet, layer: nn.Linear) -> list[Tensor]:
    """All parameters but those of ``layer``, in the order of the network."""
    own = {id(parameter) for parameter in layer.parameters()}
    return [parameter.detach() for parameter in network.parameters() if id(parameter) not in own]


def _check_rest(network: AlexNet, trained: AlexNet, layer: nn.Linear) -> None:
    """Everything but the last layer has the values it had."""
    old = dict(list(trained.named_parameters())[:-2])
    new = _parameters(network, layer)
    for (name, before), now in zip(old.items(), new, strict=False):
        if now.shape != before.shape or not torch.equal(now, before):
            raise Wrong(f"{name} has other values than before; only the last layer should be new.")
    if len(new) != len(old):
        change = "more" if len(new) > len(old) else "fewer"
        raise Wrong(
            f"before the last layer there are {change} parameters than there were; only that layer is replaced."
        )
    dropouts = [[m.p for m in net.modules() if isinstance(m, nn.Dropout)] for net in (network, trained)]
    if dropouts[0] != dropouts[1]:
        raise Wrong(
            f"the network has {len(dropouts[0])} dropout layers, with shares {dropouts[0]}; before they were "
            f"{dropouts[1]}. Only the last layer should be replaced."
        )


def _check_start(layer: nn.Linear, trained: AlexNet) -> None:
    """Small new weights, and a bias of zero."""
    weight, classes = layer.weight.detach(), trained.classifier[-1].weight
    if any(bool((row == classes).all(1).any()) for row in weight):
        raise Wrong("the new layer has the old one's weights for two of the classes; gaze needs new ones.")
    size = weight.square().mean().sqrt().item()
    if not size <= SMALL:
        slip = " In nn.init.normal_(weight, 0.01) the 0.01 is the mean: write std=0.01." if 0.8 < size < 1.2 else ""
        raise Wrong(
            f"the new layer's weights have deviation {size:.2g}; 0.01 makes the first predictions small, close to "
            f"straight ahead.{slip}"
        )
    if abs(weight.mean().item()) > 5 * SMALL / weight.numel() ** 0.5:
        raise Wrong(
            f"the new layer's weights have mean {weight.mean().item():.2g}; it should be 0: thousands of inputs, none "
            "of them negative, would add up to a prediction of many turns."
        )
    if torch.equal(weight[0], weight[1]) and bool((weight != 0).any()):
        raise Wrong("pitch and yaw have the same weights; they should begin with different ones.")
    if layer.bias is None:
        raise Wrong("the new layer has no bias; it should have one that starts at zero.")
    if bool((layer.bias != 0).any()):
        first, second = layer.bias.tolist()
        raise Wrong(f"the new layer's bias is ({first:.3g}, {second:.3g}); it should start at zero.")


def _check_learning(network: AlexNet, images: Tensor) -> None:
    """Every parameter learns."""
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    if frozen:
        raise Wrong(f"{frozen[0]} does not learn: its requires_grad is False. Here the whole network is trained.")
    network.zero_grad()
    output = network(images)
    if output.requires_grad:
        output.sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.grad is None:
            raise Wrong(f"no gradient reaches {name}: is there a detach() or a no_grad() in the way?")
