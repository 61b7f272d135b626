"""How much of the face is left in gaze features: a decoder learns to draw it from them, while they stay as they are.

The opponent of an adversarial training may fail because it is weak or late. So it is not asked: a decoder that has the
frozen features to itself, and time to learn, tells what they hold.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gazecourse.comparison import Recipe, augmented
from gazecourse.crops import Band
from gazecourse.losses import likeness
from gazecourse.models.puregaze import ResNetGaze, SAModule
from gazecourse.sample import Sample
from gazecourse.training import OneCycle, Settings, predict, train

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch.utils.data import Dataset

    from gazecourse.logbook import Observer


class Redrawing(nn.Module):
    """A gaze network that no longer learns, and a decoder that does; both are copies.

    Args:
        gaze_model: gives the features; used as in evaluation, whatever mode this module is in.
        decoder: draws from them.
    """

    def __init__(self, gaze_model: ResNetGaze, decoder: SAModule) -> None:
        super().__init__()
        # Copies: the decoder may be a part of the network, and neither must change for those who go on using it.
        self.gaze_model, self.decoder = copy.deepcopy(gaze_model), copy.deepcopy(decoder)
        self.gaze_model.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As in ``nn.Module``; the gaze network stays in evaluation mode, with the statistics it has."""
        super().train(mode)
        self.gaze_model.eval()
        return self

    def forward(self, face: Tensor) -> Tensor:
        """Î [B, 3, h, w] in (0, 1) from the features of faces [B, 3, H, W] in [0, 1]."""
        return self.decoder(self.gaze_model.features(face))


def learn_to_redraw(
    model: Redrawing,
    data: Dataset,
    recipe: Recipe,
    band: Band,
    *,
    seed: int = 0,
    observer: Observer | None = None,
    fabric: Fabric | None = None,
) -> None:
    """Train the decoder of ``model`` in place, on the faces that the gaze network has learned from.

    Args:
        band: the part of the face that the gaze network sees.
        observer, fabric: as in ``training.train``.
    """

    def losses(redrawing: nn.Module, batch: Sample) -> dict[str, Tensor]:
        face = band.cut(augmented(batch).float_image())
        return {"loss": drawing_error(redrawing(face).float(), face).mean()}

    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=recipe.rate)
    settings = Settings(recipe.epochs, min(recipe.batch_size, len(data)), seed=seed)
    train(model, losses, data, optimizer, settings, schedule=OneCycle(), observer=observer, fabric=fabric)


def drawing_error(drawing: Tensor, face: Tensor) -> Tensor:
    """Mean squared error [B] between drawings and the faces averaged to their size; both in [0, 1]."""
    small = interpolate(face, tuple(drawing.shape[-2:]), mode="area")
    return (1 - likeness(drawing, small)).mean((1, 2, 3))


def redrawing_errors(model: Redrawing, data: Dataset, band: Band) -> Tensor:
    """``drawing_error`` of each face [N]; an average face drawn for everybody has the variance of the faces."""
    return predict(model, data, lambda m, batch: drawing_error(m(faces := band.cut(batch.float_image())), faces))
