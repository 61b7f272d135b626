"""How PureGaze is trained: one forward pass, two opponents, and who gets which gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.optim import Optimizer

from gazecourse.comparison import augmented
from gazecourse.crops import Band, eye_centers
from gazecourse.losses import adversarial_loss, eye_attention, gaze_l1, reconstruction_loss
from gazecourse.losses.purification import FORMS, check_inside, check_truncation
from gazecourse.sample import Sample
from gazecourse.training import Losses
from gazecourse.validation import check_choice, check_image_size, check_not_negative, check_positive

if TYPE_CHECKING:
    from lightning_fabric import Fabric

RELEASED_WIDTH = 224
"""Pixels of the images for which the released attention maps were made."""


@dataclass(frozen=True)
class Purification:
    """The settings of the adversarial game.

    Attributes:
        w1, w2: weights of gaze loss and adversarial loss, not below 0; with 0 for w2 the decoder only watches.
        k: where the adversarial loss is cut off; 0 leaves TA-Loss out.
        sigma: of the attention around the eyes, in widths of the picture (of one of 224 pixels in the exponential form,
            where the length is 2σ²: √20 / 224 is the released maps'); None leaves LP-Loss out.
        form: of the attention; see ``eye_attention``.
    Raises:
        TypeError, ValueError: naming the setting, what was expected and what came.
    """

    w1: float = 1.0
    w2: float = 1.0
    k: float = 0.75
    sigma: float | None = 0.1
    form: str = "gaussian"

    def __post_init__(self) -> None:
        check_not_negative("w1", self.w1)
        check_not_negative("w2", self.w2)
        check_truncation(self.k)
        if self.sigma is not None:
            check_positive("sigma", self.sigma)
        check_choice("form", self.form, FORMS)


def attention_for(batch: Sample, band: Band, size: tuple[int, int], settings: Purification) -> Tensor | None:
    """M [B, *size] on a picture of the band, for each face around its own eyes; None without LP-Loss.

    Raises:
        ValueError: no landmarks, or eyes outside the face image.
    """
    if settings.sigma is None:
        return None
    if batch.landmarks is None:
        raise ValueError("batch must have landmarks, around which the eyes are; Purification(sigma=None) needs none.")
    height, width = check_image_size("size", size)
    centers, face = eye_centers(batch.landmarks), tuple(batch.image.shape[-2:])
    check_inside(centers, *face)
    centers = band.locate(centers, face)
    limit = centers.new_tensor([width, height])
    centers = centers * limit / centers.new_tensor(band.size[::-1])
    # In a face that is turned far away an eye's middle can lie outside the band; the nearest point stands for it.
    centers = centers.clamp(min=limit * 0, max=limit)
    # What grows with the picture is σ in the Gaussian and 2σ² in the exponential form.
    grown = width if settings.form == "gaussian" else (RELEASED_WIDTH * width) ** 0.5
    return eye_attention(centers, (height, width), settings.sigma * grown, form=settings.form)


def purification_losses(
    forward: Callable[[Callable, Sample], tuple[Tensor, Tensor]], band: Band, settings: Purification = Purification()
) -> Losses:
    """``losses`` for ``train``: the gaze side's L = w₁ L_gaze + w₂ L_adv is "loss", the decoder's is "reconstruction".

    Args:
        forward: as a ``Method``'s, e.g. ``comparison.from_face``; the model must know ``reconstruct=True``.
        band: the part of the face that the decoder draws.
        settings: of the game.
    """

    def losses(model: nn.Module, batch: Sample) -> dict[str, Tensor]:
        batch = augmented(batch)
        gaze, drawing = forward(partial(model, reconstruct=True), batch)
        drawing = drawing.float()
        size = tuple(drawing.shape[-2:])
        face = interpolate(band.cut(batch.float_image()), size, mode="area")
        gaze_loss = gaze_l1(gaze.float(), batch.gaze)
        adversarial = adversarial_loss(drawing, face, attention_for(batch, band, size, settings), settings.k)
        return {
            "loss": settings.w1 * gaze_loss + settings.w2 * adversarial,
            "gaze": gaze_loss,
            "adversarial": adversarial,
            "reconstruction": reconstruction_loss(drawing, face),
        }

    return losses


def opponents(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters of the gaze side and of the decoder."""
    decoder = list(model.sa_module.parameters())
    theirs = {id(parameter) for parameter in decoder}
    return [p for p in model.parameters() if id(p) not in theirs], decoder


def self_adversarial_backward(fabric: Fabric, model: nn.Module, losses: dict[str, Tensor]) -> None:
    """The gaze side feels gaze and adversarial loss, the decoder the reconstruction loss, nobody both.

    The adversarial loss passes *through* the decoder on its way to the backbone and leaves no gradient there.
    """
    gaze_side, decoder = ([p for p in side if p.requires_grad] for side in opponents(model))
    fabric.backward(losses["loss"], inputs=gaze_side, retain_graph=True)
    fabric.backward(losses["reconstruction"], inputs=decoder)


def three_adams(model: nn.Module, rate: float) -> list[Optimizer]:
    """Adam with the paper's betas for backbone, perceptron and decoder; for gaze side and decoder if plugged in."""
    if hasattr(model, "backbone"):
        groups = [model.backbone.parameters(), model.mlp.parameters(), model.sa_module.parameters()]
    else:
        groups = list(opponents(model))
    return [torch.optim.Adam(group, lr=rate, betas=(0.9, 0.95)) for group in groups]
