"""CA-Net: a coarse gaze from the face, refined by what the eyes add (Cheng, Huang, Wang, Qian, Lu, AAAI 2020)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from gazecourse.models.alexnet import map_shape, scaled
from gazecourse.models.inputs import ImageInput, check_size
from gazecourse.models.vgg import VGG16, vgg_features
from gazecourse.validation import check_array

FACE_PLAN = VGG16[:-1]
"""All thirteen convolutions of VGG-16 and four halvings: without the last, a face of 112² keeps a map of 7 × 7."""

EYE_PLAN = VGG16[:13]
"""Its first ten convolutions and three halvings: as many feature maps as the face has, from a smaller image."""


class EyeAttention(nn.Module):
    """Additive attention (Bahdanau et al. 2015): what the face has shown says how much each eye counts.

        mᵢ = vᵀ tanh(W_h h + W_e eᵢ + b),        a = softmax(m)

    An eye may be in shadow, or turned away behind the nose.

    Args:
        state: length of h. features: length of e. units: between them and the score.
    """

    def __init__(self, state: int, features: int, units: int) -> None:
        super().__init__()
        self.state = nn.Linear(state, units)
        self.eye = nn.Linear(features, units, bias=False)
        self.score = nn.Linear(units, 1, bias=False)  # one bias for both scores would cancel in the softmax

    def forward(self, state: Tensor, eyes: Tensor) -> Tensor:
        """a [B, 2], which sums to 1, for states [B, S] and the features of both eyes [B, 2, F]."""
        scores = self.score(torch.tanh(self.state(state).unsqueeze(1) + self.eye(eyes)))
        return scores.squeeze(2).softmax(dim=1)


class CANet(nn.Module):
    """Coarse to fine: g = g_b + g_r, a basic gaze from the face and a residual from the eyes.

        f    = average of the face's feature map         eᵣ, eₗ = averages of the eyes' maps
        h_b  = GRU(f, 0)                                 g_b = W_b h_b + b_b
        a    = attention(h_b, eᵣ, eₗ)
        h_r  = GRU(aᵣ eᵣ + aₗ eₗ, h_b)                   g_r = W_r h_r + b_r

    One GRU cell makes both steps, so that the second knows what the first has understood.

    A reconstruction: there is no official code. From the paper are the sum, the GRU from coarse to fine and the
    attention over the two eyes. Chosen here are VGG-16's convolutions with BatchNorm (all for the face, ten for the
    eyes, with weights that both eyes share), the 256 units of GRU and attention, and that h_b weighs the eyes. At
    width 1 the network has 23.2 M parameters. It starts from random weights.

    ``features`` is a layer of its own, from RGB faces in [0, 1] to the feature map: ``features(face)`` gives it,
    ``regress`` goes on from there, and an SA-module can be plugged in between.

    Args:
        size: height and width of the face, 16 or more; the map is 16 times smaller, 7 × 7 at 112².
        eye_size: (height, width) of the eye crops.
        width: factor of all channel and unit numbers.
    Raises:
        ValueError: a size that leaves no feature map.
    """

    def __init__(
        self, size: int | tuple[int, int] = 224, *, eye_size: tuple[int, int] = (36, 60), width: float = 1.0
    ) -> None:
        super().__init__()
        self.size, self.eye_size = check_size(size), check_size(eye_size)
        self.features = nn.Sequential(
            OrderedDict(input=ImageInput(self.size, "face"), vgg=vgg_features(FACE_PLAN, width=width, norm=True))
        )
        self.maps = map_shape(self.features.eval(), self.size)  # a dry run must not reach BatchNorm's statistics
        self.features.train()
        self.eye_input = nn.ModuleDict({name: ImageInput(self.eye_size, name) for name in ("right", "left")})
        self.eye_features = vgg_features(EYE_PLAN, width=width, norm=True)
        channels, units = scaled(512, width), scaled(256, width)
        self.gru = nn.GRUCell(channels, units)
        self.attention = EyeAttention(units, channels, units)
        self.basic = nn.Linear(units, 2)
        self.residual = nn.Linear(units, 2)

    def stages(self, feature_map: Tensor, right: Tensor, left: Tensor) -> dict[str, Tensor]:
        """What adds up to the gaze: ``basic`` g_b and ``residual`` g_r [B, 2], radians; ``attention`` a [B, 2].

        Args:
            feature_map: [B, C, h, w], as ``features(face)`` gives it.
            right, left: RGB crops [B, 3, h, w] in [0, 1]; ``attention`` has them in this order.
        Raises:
            TypeError, ValueError: the map or an eye crop is missing, or has another shape or range.
        """
        check_array("feature_map", feature_map, ("B", self.maps[0], "h", "w"), hint="CANet.features(face) gives it.")
        crops = [self._checked(name, crop, len(feature_map)) for name, crop in (("right", right), ("left", left))]
        coarse = self.gru(feature_map.mean((2, 3)))
        eyes = torch.stack([self.eye_features(crop).mean((2, 3)) for crop in crops], dim=1)
        attention = self.attention(coarse, eyes)
        fine = self.gru((attention.unsqueeze(2) * eyes).sum(1), coarse)
        return {"basic": self.basic(coarse), "residual": self.residual(fine), "attention": attention}

    def _checked(self, name: str, crop: Tensor, count: int) -> Tensor:
        """Standardized crops, one for each face."""
        standardized = self.eye_input[name](crop)
        check_array(name, crop, (count, 3, *self.eye_size), hint="Each face needs its two eyes.")
        return standardized

    def regress(self, feature_map: Tensor, right: Tensor, left: Tensor) -> Tensor:
        """Gaze [B, 2] (pitch, yaw) in radians from the face's feature map and both eyes; see ``stages``."""
        stages = self.stages(feature_map, right, left)
        return stages["basic"] + stages["residual"]

    def forward(self, face: Tensor, right: Tensor, left: Tensor) -> Tensor:
        """Gaze [B, 2] (pitch, yaw) in radians from RGB images in [0, 1]: faces [B, 3, H, W], eyes [B, 3, h, w].

        Raises:
            TypeError, ValueError: an image is missing, or has another shape or range.
        """
        return self.regress(self.features(face), right, left)
