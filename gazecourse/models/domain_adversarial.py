"""Domain-adversarial learning, the comparison that may look at the target domain (Ganin et al. 2016; "ADL")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gazecourse.models.puregaze import ResNetGaze


class ReverseGradient(torch.autograd.Function):
    """The identity whose gradient points the other way: what serves the layers behind it harms those before it."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, z: Tensor) -> Tensor:
        return z.view_as(z)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        return -gradient


class DomainAdversarial(ResNetGaze):
    """The baseline with a second head that tells source from target faces, and a backbone that deceives it.

    PureGaze's table lists such a method as "ADL". Its code is not public; this is domain-adversarial training as it is
    commonly done: two layers behind a reversed gradient.

    Args:
        size, depth, hidden, width, stride: see ``ResNetGaze``.
    """

    def __init__(
        self, size: int = 224, *, depth: int = 18, hidden: int | None = 1000, width: float = 1.0, stride: int = 32
    ) -> None:
        super().__init__(size, depth=depth, hidden=hidden, width=width, stride=stride)
        channels = self.maps[0]
        self.domain = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, 1))

    def forward(self, image: Tensor, *, tell_domain: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Gaze [B, 2] (pitch, yaw) in radians for RGB images [B, 3, size, size] in [0, 1].

        With ``tell_domain``, also a logit [B], large where the face looks like one of the target domain.
        """
        z = self.features(image)
        gaze = self.regress(z)
        return (gaze, self.domain(ReverseGradient.apply(z.mean((2, 3)))).squeeze(1)) if tell_domain else gaze
