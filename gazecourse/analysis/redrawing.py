"""How much of the face is left in gaze features: a decoder that has time learns to draw it from them.

The opponent of an adversarial training may fail because it is weak or late. So it is not asked: a decoder that has the
frozen features to itself, and learns until it draws well, tells what they hold.

Two networks are compared by decoders that begin alike, with random weights. One that has watched a network from the
start draws better from it than a new one does, and one that was led astray by an opponent draws worse: such decoders
tell their own past, not what the features hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from gazecourse.comparison import Recipe
from gazecourse.crops import Band
from gazecourse.losses import likeness, reconstruction_loss
from gazecourse.models.puregaze import ResNetGaze, SAModule
from gazecourse.sample import Sample
from gazecourse.training import OneCycle, Settings, predict, train

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from gazecourse.logbook import Observer


@dataclass(frozen=True)
class FrozenFeatures(Dataset):
    """Features of a network that no longer learns, and the faces that they came from; a batch of them is one too.

    Attributes:
        z: [N, C, h, w]. faces: [N, 3, H, W] in [0, 1], in the size in which they are to be drawn.
    """

    z: Tensor
    faces: Tensor

    def __len__(self) -> int:
        return len(self.z)

    def __getitems__(self, indices: Sequence[int]) -> FrozenFeatures:
        return FrozenFeatures(self.z[indices], self.faces[indices])

    def to(self, device: torch.device | str) -> FrozenFeatures:
        """The same on that device."""
        return FrozenFeatures(self.z.to(device), self.faces.to(device))


def frozen_features(
    gaze_model: ResNetGaze, data: Dataset, band: Band, size: tuple[int, int], *, mirrored: bool = False
) -> FrozenFeatures:
    """Everything that a decoder needs, computed once, so that it can go over it as often as it likes.

    Args:
        data: N faces.
        band: the part of them that the network sees.
        size: height and width of the drawings.
        mirrored: whether all faces come a second time as in a mirror, which is what the network has learned from too.
    """

    def as_seen(flipped: bool) -> FrozenFeatures:
        def band_of(batch: Sample) -> Tensor:
            images = batch.float_image()
            return band.cut(images.flip(-1) if flipped else images)

        z = predict(gaze_model, data, lambda model, batch: model.features(band_of(batch)))
        return FrozenFeatures(
            z, predict(gaze_model, data, lambda _, batch: interpolate(band_of(batch), size, mode="area"))
        )

    seen = as_seen(False)
    if not mirrored:
        return seen
    turned = as_seen(True)
    return FrozenFeatures(torch.cat([seen.z, turned.z]), torch.cat([seen.faces, turned.faces]))


def learn_to_redraw(
    decoder: SAModule,
    features: FrozenFeatures,
    recipe: Recipe,
    *,
    seed: int = 0,
    observer: Observer | None = None,
    fabric: Fabric | None = None,
) -> None:
    """Train the decoder in place.

    Args:
        observer, fabric: as in ``training.train``.
    """

    def losses(model: nn.Module, batch: FrozenFeatures) -> dict[str, Tensor]:
        return {"loss": reconstruction_loss(model(batch.z).float(), batch.faces)}

    optimizer = torch.optim.Adam(decoder.parameters(), lr=recipe.rate)
    settings = Settings(recipe.epochs, min(recipe.batch_size, len(features)), seed=seed)
    train(decoder, losses, features, optimizer, settings, schedule=OneCycle(), observer=observer, fabric=fabric)


def redrawing_errors(decoder: SAModule, features: FrozenFeatures) -> Tensor:
    """Mean squared error of the drawing of each face [N]; an average face for everybody has the faces' variance."""
    return predict(decoder, features, lambda model, batch: (1 - likeness(model(batch.z), batch.faces)).mean((1, 2, 3)))
