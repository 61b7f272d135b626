"""Full-Face: gaze from the whole face, with spatial weights (Zhang, Sugano, Fritz, Bulling, CVPR Workshops 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gazecourse.models.alexnet import alexnet_features, map_shape, scaled
from gazecourse.models.inputs import ImageInput, check_size
from gazecourse.validation import check_choice, describe

SCREEN_UNIT = 100.0
"""Millimeters on the screen per unit of the last layer, which so learns points and angles at the same pace."""


class Weigh(torch.autograd.Function):
    r"""V_c = W ⊙ U_c for every feature map c, with the normalized gradient of section 3.3.

        ∂L/∂U_c = W ⊙ ∂L/∂V_c,        ∂L/∂W = 1/N Σ_c U_c ⊙ ∂L/∂V_c

    One weight map serves all N = 256 feature maps, so its plain gradient is a sum over 256 terms; the paper divides
    by N, so that W learns at the pace of the other layers.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, u: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(u, w)
        return w * u

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        u, w = ctx.saved_tensors
        return w * gradient, (u * gradient).mean(1, keepdim=True)


class SpatialWeights(nn.Module):
    """Spatial weights: three 1 × 1 convolutions find one map W [h, w] that scales every feature map (section 3.2).

        W = ReLU(conv₃(ReLU(conv₂(ReLU(conv₁(U)))))),        V_c = W ⊙ U_c

    The start is the paper's: conv₁ and conv₂ N(0, 0.01) with bias 0.1, conv₃ N(0, 0.001) with bias 1. So W begins
    close to 1 everywhere, and nothing is lost before anything is learned.

    Args:
        channels: N, the number of feature maps in U.
    """

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        self.conv3 = nn.Conv2d(channels, 1, 1)
        for layer, deviation, bias in ((self.conv1, 0.01, 0.1), (self.conv2, 0.01, 0.1), (self.conv3, 0.001, 1.0)):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.constant_(layer.bias, bias)

    def weights(self, u: Tensor) -> Tensor:
        """W [B, 1, h, w], zero or more, for feature maps U [B, N, h, w]."""
        hidden = torch.relu(self.conv1(u))
        hidden = torch.relu(self.conv2(hidden))
        return torch.relu(self.conv3(hidden))

    def forward(self, u: Tensor) -> Tensor:
        """V [B, N, h, w] for feature maps U [B, N, h, w]."""
        channels = self.conv1.in_channels
        if not isinstance(u, Tensor) or u.ndim != 4 or u.shape[1] != channels:
            raise ValueError(f"u must be feature maps [B, {channels}, h, w]; got {describe(u)}.")
        return Weigh.apply(u, self.weights(u))


class FullFace(nn.Module):
    """AlexNet's convolutions, spatial weights, and three fully connected layers (figure 2 of the paper).

    At 448² with the one-tower convolutions it has 196.60 M parameters, 177 M of them in the first fully connected
    layer: 256 · 13 · 13 = 43,264 inputs to 4096 units.

    Args:
        size: height and width of the normalized face. 448 gives 13 × 13 maps, 224 gives 6 × 6.
        output: "3d" for the gaze direction (pitch, yaw) in radians, "2d" for the point on the screen (x, y) in mm.
        form: of AlexNet's convolutions; "one_tower" is the form of the 196.60 M parameters.
        width: factor of all channel numbers and of the 4096 units.
        stride: of conv1; 2 gives small images the maps of images twice their size.
        spatial_weights: False leaves the weights out, to see what they are good for.
        dropout: share of units that are silenced in training after the first and the second hidden layer.
        weights_std: deviations of the three fully connected layers at the start. The default is that of a known
            re-implementation (hysts), made for 43,264 inputs; None leaves PyTorch's, which small networks need.
    Raises:
        ValueError: an unknown form or output, or a size that leaves no feature map.
    """

    def __init__(
        self,
        size: int = 448,
        output: str = "3d",
        *,
        form: str = "one_tower",
        width: float = 1.0,
        stride: int = 4,
        spatial_weights: bool = True,
        dropout: float = 0.5,
        weights_std: tuple[float, float, float] | None = (0.005, 1e-4, 1e-4),
    ) -> None:
        super().__init__()
        check_choice("output", output, ("2d", "3d"))
        self.output, self.size = output, check_size(size)
        self.input = ImageInput(self.size)
        self.features = alexnet_features(form, width=width, stride=stride)
        channels, height, across = map_shape(self.features, self.size)
        self.spatial_weights = SpatialWeights(channels) if spatial_weights else nn.Identity()
        hidden = scaled(4096, width)
        self.fc1 = nn.Linear(channels * height * across, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, 2)
        self.dropout = nn.Dropout(dropout)
        self._initialize(weights_std)

    def _initialize(self, deviations: tuple[float, float, float] | None) -> None:
        if deviations is None:
            return
        if not isinstance(deviations, (tuple, list)) or len(deviations) != 3:
            raise ValueError(f"weights_std must be three deviations, of fc1, fc2 and fc3; got {describe(deviations)}.")
        for layer, deviation, bias in zip((self.fc1, self.fc2, self.fc3), deviations, (1.0, 0.0, 0.0), strict=True):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.constant_(layer.bias, bias)

    def stages(self, image: Tensor) -> dict[str, Tensor]:
        """What the network knows on its way: ``conv5`` U and ``weighted conv5`` V [B, C, h, w], ``fc`` [B, hidden]."""
        u = self.features(self.input(image))
        v = self.spatial_weights(u)
        hidden = self.dropout(torch.relu(self.fc1(v.flatten(1))))
        hidden = self.dropout(torch.relu(self.fc2(hidden)))
        return {"conv5": u, "weighted conv5": v, "fc": hidden}

    def weight_map(self, image: Tensor) -> Tensor:
        """W [B, h, w] for RGB images [B, 3, size, size] in [0, 1].

        Raises:
            ValueError: the network was built without spatial weights.
        """
        if isinstance(self.spatial_weights, nn.Identity):
            raise ValueError("this FullFace has no weight map; it was built with spatial_weights=False.")
        return self.spatial_weights.weights(self.features(self.input(image))).squeeze(1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 2] for RGB images [B, 3, size, size] in [0, 1]: (pitch, yaw) in radians, or (x, y) in mm."""
        gaze = self.fc3(self.stages(image)["fc"])
        return SCREEN_UNIT * gaze if self.output == "2d" else gaze
