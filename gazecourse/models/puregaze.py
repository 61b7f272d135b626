"""PureGaze: a gaze network that learns to forget what is not gaze (Cheng, Bao, Lu, AAAI 2022)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gazecourse.models.alexnet import map_shape, scaled
from gazecourse.models.inputs import ImageInput, check_size
from gazecourse.validation import check_choice, check_positive, check_whole, describe

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Residual blocks in the four stages of a ResNet, by its depth."""

WIDTHS = (256, 128, 64, 32, 16)
"""Feature maps in the five stages of the decoder."""


def resnet_features(depth: int = 18, *, width: float = 1.0, stride: int = 32) -> nn.Sequential:
    """The convolutions of a ResNet (He et al. 2016), without its pooling and classifier.

        conv1  7 × 7, 64, stride 2 → BN → ReLU → max pool 3 × 3, stride 2
        layer1 … layer4: residual blocks of 64, 128, 256, 512 maps (four times as many at depth 50), each after the
        first halving the resolution

    The layers bear torchvision's names, so that its ImageNet weights fit at width 1
    (``pretrained.load_imagenet(features, "resnet18", without="fc.")``).

    Args:
        depth: 18 or 34 (basic blocks), 50 (bottlenecks).
        width: factor of all channel numbers.
        stride: pixels from one feature to the next. With 16, layer4 keeps the resolution, so that images of half the
            size give maps of the same size.
    Returns:
        A module from [B, 3, H, W] to [B, C, H/stride, W/stride] (rounded up), with C = 512 · width, and 2048 · width
        at depth 50.
    """
    from torchvision.models.resnet import BasicBlock, Bottleneck

    check_choice("depth", depth, tuple(BLOCKS))
    check_positive("width", width)
    check_choice("stride", stride, (16, 32))
    block = Bottleneck if depth == 50 else BasicBlock
    channels = scaled(64, width)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
        bn1=nn.BatchNorm2d(channels),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    steps = (1, 2, 2, stride // 16)
    for number, (count, first_step) in enumerate(zip(BLOCKS[depth], steps, strict=True)):
        planes = scaled(64 * 2**number, width)
        blocks = []
        for position in range(count):
            step = 1 if position else first_step
            blocks.append(block(channels, planes, step, _shortcut(channels, planes * block.expansion, step)))
            channels = planes * block.expansion
        layers[f"layer{number + 1}"] = nn.Sequential(*blocks)
    features = nn.Sequential(layers)
    _initialize(features)
    return features


def _shortcut(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential | None:
    """1 × 1 convolution and BatchNorm beside a residual block that changes width or resolution."""
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def _initialize(network: nn.Module) -> None:
    """Kaiming's normal distribution by fan-out for every convolution, as ResNets and the paper's decoder begin."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


class SAModule(nn.Module):
    """The decoder that tries to draw the face again from the gaze features (section "SA-Module").

        five times: nearest upsampling × 2 → two residual blocks        256, 128, 64, 32, 16 maps
        1 × 1 convolution to 3 colors → sigmoid                          7 × 7 becomes 224 × 224

    Args:
        channels: feature maps in Z.
        widths: feature maps after each upsampling; as many stages as numbers.
    """

    def __init__(self, channels: int, widths: Sequence[int] = WIDTHS) -> None:
        from torchvision.models.resnet import BasicBlock

        super().__init__()
        if not isinstance(widths, (tuple, list)) or not widths:
            raise ValueError(f"widths must be one channel number per stage; got {describe(widths)}.")
        self.channels = check_whole("channels", channels, 1)
        stages = []
        for width in widths:
            check_whole("widths", width, 1)
            first = BasicBlock(channels, width, downsample=_shortcut(channels, width))
            stages.append(nn.Sequential(nn.Upsample(scale_factor=2), first, BasicBlock(width, width)))
            channels = width
        self.stages = nn.Sequential(*stages)
        self.color = nn.Conv2d(channels, 3, 1)
        _initialize(self)

    def forward(self, z: Tensor) -> Tensor:
        """Î [B, 3, h · 2ⁿ, w · 2ⁿ] in (0, 1) from features Z [B, C, h, w], after n stages."""
        if not isinstance(z, Tensor) or z.ndim != 4 or z.shape[1] != self.channels:
            raise ValueError(f"z must be feature maps [B, {self.channels}, h, w]; got {describe(z)}.")
        return torch.sigmoid(self.color(self.stages(z)))


def _check_doubling(maps: tuple[int, int], size: tuple[int, int], stages: int) -> None:
    """Raise unless ``stages`` doublings of the feature map lead to the image, or to an even part of it."""
    drawn = tuple(side * 2**stages for side in maps)
    shrink = size[0] // drawn[0]
    if shrink < 1 or any(side * shrink != whole for side, whole in zip(drawn, size, strict=True)):
        raise ValueError(
            f"size must be the feature map's {maps[0]} × {maps[1]} doubled {stages} times, {drawn[0]} × {drawn[1]}, "
            f"or a whole multiple of it; got {size[0]} × {size[1]}. Change size, the backbone's stride, or the number "
            "of widths."
        )


class ResNetGaze(nn.Module):
    """The paper's baseline: a ResNet, global average pooling, and a perceptron of two layers.

    Args:
        size: height and width of the face.
        depth: of the ResNet: 18, 34 or 50.
        hidden: units between the pooled features and the gaze; None leads there directly, as the released code does
            for ResNet-50.
        width: factor of the channel numbers and of ``hidden``.
        stride: 32, or 16 for finer maps; see ``resnet_features``.
    """

    def __init__(
        self, size: int = 224, *, depth: int = 18, hidden: int | None = 1000, width: float = 1.0, stride: int = 32
    ) -> None:
        super().__init__()
        self.size = check_size(size)
        self.input = ImageInput(self.size)
        self.backbone = resnet_features(depth, width=width, stride=stride)
        self.maps = map_shape(self.backbone.eval(), self.size)
        self.backbone.train()
        channels = self.maps[0]
        if hidden is None:
            self.mlp = nn.Sequential(nn.Linear(channels, 2))
        else:
            units = scaled(check_whole("hidden", hidden, 1), width)
            self.mlp = nn.Sequential(nn.Linear(channels, units), nn.ReLU(inplace=True), nn.Linear(units, 2))

    def features(self, image: Tensor) -> Tensor:
        """Z = E(I) [B, C, h, w] for RGB images [B, 3, size, size] in [0, 1]."""
        return self.backbone(self.input(image))

    def regress(self, z: Tensor) -> Tensor:
        """ĝ = F(Z): gaze [B, 2] (pitch, yaw) in radians."""
        return self.mlp(z.mean((2, 3)))

    def forward(self, image: Tensor) -> Tensor:
        """Gaze [B, 2] (pitch, yaw) in radians for RGB images [B, 3, size, size] in [0, 1]."""
        return self.regress(self.features(image))


class PureGaze(ResNetGaze):
    """The baseline and its opponent (figure 2): gaze features that serve the gaze and betray nothing else.

        g = F(Z),  Z = E(I)          what stays: backbone E and perceptron F
        Î = D(Z)                     needed in training only: the SA-module D tries to see the face in Z

    With ResNet-50 at 224² the backbone has 23.51 M parameters, the SA-module 8.04 M.

    Args:
        size, depth, hidden, width, stride: see ``ResNetGaze``.
        widths: feature maps in the decoder's stages; see ``SAModule``. Fewer stages than lead to the image's size
            draw a smaller image; it is compared with the averaged face.
    Raises:
        ValueError: the decoder's doublings do not lead to the image's size, nor to an even part of it.
    """

    def __init__(
        self,
        size: int = 224,
        *,
        depth: int = 18,
        hidden: int | None = 1000,
        width: float = 1.0,
        stride: int = 32,
        widths: Sequence[int] = WIDTHS,
    ) -> None:
        super().__init__(size, depth=depth, hidden=hidden, width=width, stride=stride)
        self.sa_module = SAModule(self.maps[0], widths)
        _check_doubling(self.maps[1:], self.size, len(widths))

    def forward(self, image: Tensor, *, reconstruct: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Gaze ĝ [B, 2] (pitch, yaw) in radians for RGB images [B, 3, size, size] in [0, 1].

        With ``reconstruct``, also Î [B, 3, h, w] from the same features, as large as the face or an even part of it.
        """
        z = self.features(image)
        gaze = self.regress(z)
        return (gaze, self.sa_module(z)) if reconstruct else gaze


class Purified(nn.Module):
    """A gaze model with an SA-module plugged into one of its layers; ``purify`` makes it.

    Args:
        gaze_model: any network whose call returns gaze [B, 2].
        at: name of the submodule whose output is Z.
        sa_module: the decoder for Z.
    """

    def __init__(self, gaze_model: nn.Module, at: str, sa_module: SAModule) -> None:
        super().__init__()
        self.gaze_model, self.at, self.sa_module = gaze_model, at, sa_module

    def forward(self, *inputs: Tensor, reconstruct: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """The gaze model's answer; with ``reconstruct``, also Î from the features it came from."""
        if not reconstruct:
            return self.gaze_model(*inputs)
        seen: list[Tensor] = []
        watch = self.gaze_model.get_submodule(self.at).register_forward_hook(lambda _, __, z: seen.append(z))
        try:
            gaze = self.gaze_model(*inputs)
        finally:
            watch.remove()
        return gaze, self.sa_module(seen[0])


def purify(model: nn.Module, *, at: str = "features", widths: Sequence[int] | None = None) -> Purified:
    """Plug and play (section "Plug-and-play"): any gaze model of the course with an SA-module of its own.

    >>> purified = purify(FullFace(224))
    >>> gaze, drawing = purified(faces, reconstruct=True)

    Full-Face's 6 × 6 maps of a face of 224 double up to 192, not to 224; the drawing is compared with the face resized
    to it.

    Args:
        model: any gaze model with ``size``, (height, width) of its faces.
        at: name of the layer that turns the face into Z.
        widths: feature maps in the decoder's stages; default the last of 256, 128, 64, 32, 16, as many as the map can
            be doubled without passing the face.
    Raises:
        TypeError, ValueError: there is no such layer, it gives no maps, or the drawing would be larger than the face.
    """
    if not isinstance(model, nn.Module) or not hasattr(model, "size"):
        raise TypeError(f"model must be a gaze model with the size of its faces; got {type(model).__name__}.")
    if at not in [name for name, _ in model.named_modules() if name]:
        layers = ", ".join(repr(name) for name, _ in model.named_children())
        raise ValueError(f"at must be the name of a layer, such as {layers}, or of one in these; got {at!r}.")
    size = check_size(model.size)
    channels, *maps = _maps_of(model.get_submodule(at), at, size)
    doublings = min(whole // side for whole, side in zip(size, maps, strict=True)).bit_length() - 1
    sa_module = SAModule(channels, WIDTHS[-max(doublings, 1) :] if widths is None else widths)
    if len(sa_module.stages) > doublings:
        raise ValueError(
            f"widths must be at most {doublings} stages, for a map of {maps[0]} × {maps[1]} doubled more often is "
            f"larger than the face of {size[0]} × {size[1]}; got {len(sa_module.stages)}."
        )
    return Purified(model, at, sa_module)


def _maps_of(layer: nn.Module, at: str, size: tuple[int, int]) -> tuple[int, ...]:
    """Shape [C, h, w] that a layer gives for faces; raise if it does not take faces, or gives no maps."""
    was_training = layer.training
    try:
        shape = map_shape(layer.eval(), size)
    except (TypeError, ValueError):
        shape = ()
    finally:
        layer.train(was_training)
    if len(shape) != 3:
        raise ValueError(
            f"at must name a layer that turns faces [B, 3, {size[0]}, {size[1]}] into feature maps; {at!r} does not."
        )
    return shape
