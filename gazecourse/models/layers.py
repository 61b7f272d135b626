"""What every layer of a network costs and sees: output shapes, parameters, multiplications, receptive fields.

``conv_output_size``, ``conv_parameters``, ``conv_multiply_adds`` and ``receptive_field`` are the formulas for one
layer or a plain stack. ``layers`` runs any model once and writes the same numbers down for each of its layers;
``layer_table`` prints them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gazecourse.validation import check_whole, describe

# --- formulas -----------------------------------------------------------------------------------


def conv_output_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, *, ceil: bool = False
) -> int:
    """Positions at which a kernel fits along one axis: ⌊(size + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1.

    The rule is the same for convolutions and pooling.

    Args:
        size: pixels of the input.
        kernel: pixels of the kernel.
        stride: pixels from one position to the next.
        padding: pixels added on each side.
        dilation: pixels from one tap of the kernel to the next.
        ceil: round up, as pooling with ``ceil_mode`` does, unless the last position would begin beyond the input.
    Raises:
        TypeError, ValueError: not whole numbers, out of range, or a kernel larger than the padded input.
    """
    size, kernel = check_whole("size", size, 1), check_whole("kernel", kernel, 1)
    stride, padding = check_whole("stride", stride, 1), check_whole("padding", padding, 0)
    reach = check_whole("dilation", dilation, 1) * (kernel - 1) + 1
    room = size + 2 * padding - reach
    if room < 0:
        raise ValueError(
            f"kernel must fit into the padded input, {size} + 2·{padding} = {size + 2 * padding} pixels; "
            f"it reaches over {reach}."
        )
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def conv_parameters(
    in_channels: int, out_channels: int, kernel: int | Sequence[int], groups: int = 1, *, bias: bool = True
) -> int:
    """Weights and biases of a convolution: out · (in / groups) · k · k, plus one bias per filter.

    Args:
        in_channels, out_channels: channels of the input, and filters.
        kernel: side of a square kernel, or (height, width).
        groups: parts into which channels and filters are divided; each filter sees the channels of its part.
        bias: whether each filter has one.
    Raises:
        TypeError, ValueError: not whole numbers, out of range, or channels that ``groups`` does not divide.
    """
    _check_channels(in_channels, out_channels, groups)
    weights = out_channels * (in_channels // groups) * _area("kernel", kernel)
    return weights + (out_channels if bias else 0)


def conv_multiply_adds(
    in_channels: int, out_channels: int, kernel: int | Sequence[int], output: int | Sequence[int], groups: int = 1
) -> int:
    """Multiplications (each with its addition) of a convolution of one image: every weight once per output pixel.

    Args:
        in_channels, out_channels: channels of the input, and filters.
        kernel: side of a square kernel, or (height, width).
        output: side of a square output, or (height, width); ``conv_output_size`` has it.
        groups: parts into which channels and filters are divided.
    Raises:
        TypeError, ValueError: as ``conv_parameters``.
    """
    weights = conv_parameters(in_channels, out_channels, kernel, groups, bias=False)
    return weights * _area("output", output)


def receptive_field(layers: Sequence[tuple[int, ...]]) -> int:
    """Input pixels along one axis that one output pixel of a stack of layers depends on.

        r ← r + (kernel − 1) · dilation · jump,    jump ← jump · stride,    from r = jump = 1

    ``jump`` is how far apart, in input pixels, two neighbors in the present layer are.

    Args:
        layers: (kernel, stride) or (kernel, stride, dilation) of each layer, from the input on.
    Raises:
        TypeError, ValueError: an entry is neither, or is out of range.
    """
    extent = jump = 1
    for index, layer in enumerate(layers):
        if not isinstance(layer, (tuple, list)) or len(layer) not in (2, 3):
            raise ValueError(f"layers[{index}] must be (kernel, stride) or (kernel, stride, dilation); got {layer!r}.")
        parts = zip(("kernel", "stride", "dilation"), (*layer, 1)[:3], strict=True)
        kernel, stride, dilation = (check_whole(f"{name} of layers[{index}]", value, 1) for name, value in parts)
        extent += (kernel - 1) * dilation * jump
        jump *= stride
    return extent


def _check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    check_whole("groups", groups, 1)
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if check_whole(name, channels, 1) % groups:
            raise ValueError(f"groups must divide {name}; {channels} / {groups} is not whole.")


def _area(name: str, side: int | Sequence[int]) -> int:
    """Pixels of a square of this side, or of (height, width)."""
    sides = (side, side) if not isinstance(side, (tuple, list)) else tuple(side)
    if len(sides) != 2:
        raise ValueError(f"{name} must be one number or (height, width); got {describe(side)}.")
    return math.prod(check_whole(name, value, 1) for value in sides)


# --- what a model sees --------------------------------------------------------------------------

Field = tuple[tuple[Fraction, Fraction], ...]
"""(extent, jump) in input pixels along each axis of a feature map; empty where a value depends on the whole image."""

WHOLE: Field = ()
MIXING = {"linear", "matmul", "bmm", "einsum", "scaled_dot_product_attention", "multi_head_attention_forward"}
"""Functions after which a value can depend on every pixel."""


class _FieldTracker(TorchFunctionMode):
    """Hands the receptive field on from the inputs of each torch function to its outputs.

    It rides on the tensors themselves, so that branches, skip connections and shared layers each get their own.
    """

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        known = [tensor for tensor in _tensors((args, kwargs)) if _field(tensor) is not None]
        shape, field = known[0].shape if known else (), _union(known)
        result = func(*args, **kwargs)
        if field is not None:
            for out in _tensors(result):
                out.field = _after(getattr(func, "__name__", ""), field, shape, out.shape, args, kwargs)
        return result


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)) and not isinstance(value, torch.Size):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


def _field(tensor: Tensor) -> Field | None:
    return getattr(tensor, "field", None)


def _union(tensors: Sequence[Tensor]) -> Field | None:
    """What a sum or concatenation of feature maps sees: along each axis the most of what any of them sees."""
    fields = [field for tensor in tensors if (field := _field(tensor)) is not None]
    if not fields:
        return None
    if len({len(field) for field in fields}) > 1:
        return WHOLE
    return tuple((max(e for e, _ in axis), max(j for _, j in axis)) for axis in zip(*fields, strict=True))


def _after(
    name: str, field: Field, before: Sequence[int], after: Sequence[int], args: tuple, kwargs: dict[str, Any]
) -> Field:
    """The field behind the torch function ``name``, which made a tensor of shape ``after`` from one of ``before``."""
    axes = len(field)
    if field == WHOLE or len(after) != axes + 2 or name in MIXING:
        return WHOLE

    def argument(key: str, position: int, default: Any = 1) -> tuple[int, ...]:
        value = args[position] if len(args) > position else kwargs.get(key)
        value = default if value is None or value == [] else value
        return (value,) * axes if isinstance(value, int) else tuple(value)

    if name.startswith("conv_transpose"):
        reach = [d * (k - 1) + 1 for k, d in zip(args[1].shape[2:], argument("dilation", 7), strict=True)]
        steps = argument("stride", 3)
        kernels = [-(-r // s) for r, s in zip(reach, steps, strict=True)]
        return _slide(field, kernels, [Fraction(1, s) for s in steps])
    if name.startswith("conv"):
        weight = args[1] if len(args) > 1 else kwargs["weight"]
        return _slide(field, weight.shape[2:], argument("stride", 3), argument("dilation", 5))
    if name.startswith("adaptive_"):
        return _adapt(field, before[2:], after[2:])
    if name.startswith(("max_pool", "avg_pool")):
        kernel = argument("kernel_size", 1)
        dilation = argument("dilation", 4) if name.startswith("max") else (1,) * axes
        return _slide(field, kernel, argument("stride", 2, kernel), dilation)
    if name == "interpolate":
        steps = [Fraction(b, a) for b, a in zip(before[2:], after[2:], strict=True)]
        return _slide(field, [1 if "nearest" in kwargs.get("mode", "nearest") else 2] * axes, steps)
    collapsed = math.prod(after[2:]) == 1 and math.prod(before[2:]) > 1
    return WHOLE if collapsed else field


def _slide(field: Field, kernel: Sequence, stride: Sequence, dilation: Sequence | None = None) -> Field:
    """A window of ``kernel`` pixels that moves by ``stride``, along each axis."""
    dilation = dilation or (1,) * len(field)
    return tuple(
        (extent + (k - 1) * d * jump, jump * s)
        for (extent, jump), k, s, d in zip(field, kernel, stride, dilation, strict=True)
    )


def _adapt(field: Field, before: Sequence[int], after: Sequence[int]) -> Field:
    """Adaptive pooling: output i covers pixels ⌊i·before/after⌋ to ⌈(i + 1)·before/after⌉; the widest counts."""
    if math.prod(after) == 1 and math.prod(before) > 1:
        return WHOLE
    widest = [max(-(-(i + 1) * b // a) - i * b // a for i in range(a)) for b, a in zip(before, after, strict=True)]
    return _slide(field, widest, [Fraction(b, a) for b, a in zip(before, after, strict=True)])


# --- layers of a model --------------------------------------------------------------------------

NORMALIZATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True)
class Layer:
    """One layer, or parameters that belong to no layer.

    Attributes:
        name: path of the module in the model.
        kind: class of the module; "parameters" for those of no layer that was run.
        shape: of the output, without the batch; () in rows that only count parameters.
        parameters: weights and biases that no earlier row has counted.
        multiply_adds: multiplications, each with its addition, of one image.
        receptive_field: input pixels along one axis that one output value depends on (the longer axis counts; it
            can exceed the image, as padding is included); None: the whole image.
        stride: input pixels between two neighboring outputs; None with the whole image.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int | None
    stride: int | float | None


def layers(model: nn.Module, *inputs_or_size: int | tuple[int, int] | Tensor) -> list[Layer]:
    """Run a model once and describe its layers in the order in which they ran.

    Listed are modules without children: convolutions, pooling, linear and recurrent layers, and what changes the
    shape. Activations and dropout are left out; normalization layers are one row per kind at the end. A module that
    runs twice has two rows, the second without parameters. All parameters of the model are in some row.
    Multiply-adds are those of convolutions, linear and recurrent layers; products written in the model's own
    ``forward`` are not seen. Receptive fields follow every path through the model; the statistics of normalization
    layers do not count.

    Args:
        model: any module. It is run in evaluation mode without gradients and left as it was.
        inputs_or_size: the side of a square RGB input, or (height, width), which is then all zeros; or the model's
            inputs as tensors with a batch axis, of which the first sample is used.
    Raises:
        TypeError: ``model`` is no module, or the inputs are neither sizes nor tensors.
        ValueError: the model does not run on such an input.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module; got {describe(model)}.")
    inputs = _inputs(model, inputs_or_size)
    recorder = _Recorder(model)
    training = {module: module.training for module in model.modules()}
    hooks = [module.register_forward_hook(recorder) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad(), _FieldTracker():
            model(*inputs)
    except RuntimeError as error:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs)
        raise ValueError(f"inputs_or_size must suit the model; it does not run on {shapes}: {error}") from error
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    return [*recorder.rows, *recorder.remainder()]


def _inputs(model: nn.Module, given: tuple) -> list[Tensor]:
    """Fresh tensors of one sample, each seeing itself: one pixel, moving by one."""
    if given and all(isinstance(value, Tensor) for value in given):
        if any(value.ndim < 2 or not len(value) for value in given):
            raise ValueError("inputs_or_size must be tensors with a batch axis and at least one sample.")
        inputs = [value[:1].detach().clone() for value in given]
    elif len(given) == 1 and isinstance(given[0], (int, tuple, list)):
        size = (given[0], given[0]) if isinstance(given[0], int) else given[0]
        if len(size) != 2:
            raise ValueError(f"inputs_or_size must be one side or (height, width) in pixels; got {describe(given[0])}.")
        height, width = (check_whole("inputs_or_size", side, 1) for side in size)
        weight = next(model.parameters(), torch.zeros(()))
        inputs = [torch.zeros(1, 3, height, width, device=weight.device, dtype=weight.dtype)]
    else:
        kinds = ", ".join(map(describe, given)) or "nothing"
        raise TypeError(f"inputs_or_size must be a side in pixels, (height, width), or input tensors; got {kinds}.")
    for tensor in inputs:
        tensor.field = ((Fraction(1), Fraction(1)),) * (tensor.ndim - 2)
    return inputs


class _Recorder:
    """The forward hook of every module: writes a row for those without children."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.names = {module: name or "(model)" for name, module in model.named_modules()}
        self.rows: list[Layer] = []
        self._norms: dict[str, list[int]] = defaultdict(list)
        self._counted: set[nn.Parameter] = set()

    def __call__(self, module: nn.Module, inputs: tuple, output: Any) -> None:
        outs = list(_tensors(output))
        for out in outs:
            if _field(out) is None and (seen := _union(list(_tensors(inputs)))) is not None:
                out.field = seen if len(seen) == out.ndim - 2 else WHOLE  # made where torch functions do not show
        if not outs or any(module.children()):
            return
        if isinstance(module, NORMALIZATIONS):
            if parameters := self._count(module):
                self._norms[type(module).__name__].append(parameters)
            return
        first = next(_tensors(inputs), outs[0])
        pooled = "Pool" in type(module).__name__
        if pooled or outs[0].shape != first.shape or any(True for _ in module.parameters()):
            self._write(module, first, outs[0])

    def _write(self, module: nn.Module, given: Tensor, out: Tensor) -> None:
        seen = _field(out) or WHOLE
        extent = math.ceil(max(e for e, _ in seen)) if seen else None
        stride = max(j for _, j in seen) if seen else None
        if stride is not None:
            stride = int(stride) if stride.denominator == 1 else float(stride)
        cost, parameters = _multiply_adds(module, given, out), self._count(module)
        kind, shape = type(module).__name__, tuple(out.shape[1:])
        self.rows.append(Layer(self.names[module], kind, shape, parameters, cost, extent, stride))

    def _count(self, module: nn.Module) -> int:
        """Parameters of the module itself that are in no row so far."""
        new = [p for p in module.parameters(recurse=False) if p not in self._counted]
        self._counted.update(new)
        return sum(p.numel() for p in new)

    def remainder(self) -> Iterator[Layer]:
        """Normalization layers, and the parameters of modules with children or that were not run."""
        for kind, counts in self._norms.items():
            yield Layer(f"{len(counts)} × {kind}", kind, (), sum(counts), 0, None, None)
        for module, name in self.names.items():
            if parameters := self._count(module):
                yield Layer(name, "parameters", (), parameters, 0, None, None)


def _multiply_adds(module: nn.Module, given: Tensor, out: Tensor) -> int:
    """Of one call on one sample."""
    if isinstance(module, nn.modules.conv._ConvNd):
        outputs = given if module.transposed else out  # a transposed one runs from each *input* pixel
        return module.weight[0].numel() * outputs.numel()
    if isinstance(module, nn.Linear):
        return module.in_features * out.numel()
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        steps = given.numel() // module.input_size
        return steps * sum(p.numel() for p in module.parameters() if p.ndim > 1)
    return 0


# --- as text ------------------------------------------------------------------------------------

HEADER = ("layer", "kind", "output", "parameters", "mult-adds/M", "sees", "stride")
LONGEST_LINE, LONGEST_KIND = 100, 20


def layer_table(layers: Sequence[Layer]) -> str:
    """The layers as text: a line each and the totals, at most 100 characters wide.

    "sees" is the receptive field and "stride" the step of the output, both in input pixels along one axis.

    Raises:
        TypeError, ValueError: something else than layers, or none.
    """
    if not len(layers):
        raise ValueError("layers must hold at least one layer; got none.")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layers must be a list of Layer, as layers(model, size) returns it; got {describe(layer)}."
            )
    totals = sum(layer.parameters for layer in layers), sum(layer.multiply_adds for layer in layers)
    rows = [HEADER, *map(_cells, layers), ("total", "", "", *_amounts(*totals), "", "")]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    widths[0] = min(widths[0], LONGEST_LINE - sum(widths[1:]) - 2 * (len(widths) - 1))
    lines = [_line(row, widths) for row in rows]
    rule = "─" * len(lines[0])
    return "\n".join(line.rstrip() for line in (lines[0], rule, *lines[1:-1], rule, lines[-1]))


def _cells(layer: Layer) -> tuple[str, ...]:
    shape = " × ".join(map(str, layer.shape))
    sees = stride = ""
    if layer.shape:
        sees = "all" if layer.receptive_field is None else str(layer.receptive_field)
        stride = "–" if layer.stride is None else f"{layer.stride:g}"
    amounts = _amounts(layer.parameters, layer.multiply_adds)
    return (layer.name, layer.kind[:LONGEST_KIND], shape, *amounts, sees, stride)


def _amounts(parameters: int, multiply_adds: int) -> tuple[str, str]:
    return f"{parameters:,}" if parameters else "–", f"{multiply_adds / 1e6:,.1f}" if multiply_adds else "–"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, numbers to the right; of a name that is too long the end is kept."""
    name = row[0] if len(row[0]) <= widths[0] else "…" + row[0][1 - widths[0] :]
    words = [name.ljust(widths[0]), row[1].ljust(widths[1]), row[2].ljust(widths[2])]
    return "  ".join(words + [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)])
