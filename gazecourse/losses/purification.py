"""PureGaze's losses: attention around the eyes (LP-Loss) and the truncated adversarial loss (TA-Loss)."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.validation import check_array, check_choice, check_image_size, check_positive, describe

FORMS = ("gaussian", "exponential")


def eye_attention(
    centers: Tensor, size: int | tuple[int, int], sigma: float = 20.0, *, form: str = "gaussian"
) -> Tensor:
    """M, where the adversarial loss counts: a bump on either eye, the largest value 1 (Cheng et al. 2022, LP-Loss).

        gaussian      M(p) ∝ Σ exp(−‖p − c‖² / 2σ²)     the paper's mixture of two Gaussians
        exponential   M(p) ∝ Σ exp(−‖p − c‖ / 2σ²)      the form that the released maps fit, with σ² = 20 at 224²

    The sum runs over both eyes. Released maps fall off with the distance itself, not its square: they have a sharp tip
    and long tails.

    Args:
        centers: [B, 2, 2] or [2, 2], both eyes' (x, y) in pixels; (0, 0) is the image's corner.
        size: (height, width) of the map, or one number for squares.
        sigma: σ in pixels.
        form: "gaussian" or "exponential".
    Returns:
        M [B, H, W] or [H, W], in [0, 1].
    Raises:
        TypeError, ValueError: another shape, an eye outside the image, or no positive σ.
    """
    height, width = check_image_size("size", size)
    check_positive("sigma", sigma)
    check_choice("form", form, FORMS)
    centers = torch.as_tensor(check_array("centers", centers, ("...", 2, 2)))
    check_inside(centers, height, width)
    y = torch.arange(height, device=centers.device, dtype=centers.dtype) + 0.5
    x = torch.arange(width, device=centers.device, dtype=centers.dtype) + 0.5
    across = x - centers[..., 0, None]  # [..., 2, W]
    down = y - centers[..., 1, None]  # [..., 2, H]
    squared = down.square()[..., :, None] + across.square()[..., None, :]
    distance = squared if form == "gaussian" else squared.sqrt()
    exponent = -distance / (2 * sigma**2)
    # Counted from the largest: a very narrow bump may fall between all pixels of a coarse map, where exp gives 0.
    attention = torch.exp(exponent - exponent.amax((-3, -2, -1), keepdim=True)).sum(-3)
    return attention / attention.amax((-2, -1), keepdim=True)


def check_inside(centers: Tensor, height: int, width: int) -> None:
    """Raise ``ValueError`` unless eye centers [..., 2] (x, y) lie in an image of so many pixels."""
    limit = torch.tensor([width, height], device=centers.device)
    outside = ((centers < 0) | (centers > limit)).any(-1)
    if bool(outside.any()):
        x, y = centers[outside][0].tolist()
        raise ValueError(
            f"centers must lie in the image, x in [0, {width}] and y in [0, {height}] pixels; got ({x:.1f}, {y:.1f}). "
            "Landmarks of another image size have to be scaled first."
        )


def likeness(reconstruction: Tensor, image: Tensor) -> Tensor:
    """t = 1 − (I − Î)² of every pixel and color: 1 where the reconstruction is exact.

    Args:
        reconstruction, image: [B, 3, H, W] in [0, 1]. NaN in a reconstruction is passed on: ``train`` ends such a run.
    Raises:
        TypeError, ValueError: other shapes or values.
    """
    for name, value in (("image", image), ("reconstruction", reconstruction)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor [B, 3, H, W]; got {describe(value)}.")
    check_array("image", image, ("B", 3, "H", "W"), low=-0.05, high=1.05)
    check_array("reconstruction", reconstruction, tuple(image.shape), finite=False, low=0.0, high=1.0)
    return 1 - (image - reconstruction).square()


def adversarial_loss(reconstruction: Tensor, image: Tensor, attention: Tensor | None = None, k: float = 0.75) -> Tensor:
    """What the gaze features are punished for: pixels near the eyes that can be drawn again from them.

        L_adv = mean(M ⊙ t · 1[t ≥ k]),   t = 1 − (I − Î)²

    A pixel that is already off by more than 1 − k in squared error gives no more gradient. Without this limit (k = 0)
    the best the features can do is to make the decoder draw the negative of the face, which holds as much of it.

    Args:
        reconstruction: Î [B, 3, H, W] in [0, 1].
        image: I, same shape.
        attention: M [B, H, W] or [H, W], not below 0; None counts every pixel alike (no LP-Loss).
        k: where the loss is cut off, in [0, 1); 0 never cuts.
    Returns:
        Scalar from 0 to 1.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_truncation(k)
    t = likeness(reconstruction, image)
    kept = t * (t >= k)
    if attention is None:
        return kept.mean()
    batch, _, height, width = image.shape
    if not isinstance(attention, Tensor) or tuple(attention.shape) not in ((batch, height, width), (height, width)):
        raise ValueError(
            f"attention must be [{batch}, {height}, {width}] or [{height}, {width}]; got {describe(attention)}."
        )
    check_array("attention", attention, low=0.0)
    return (attention.to(kept).unsqueeze(-3) * kept).mean()


def check_truncation(k: float) -> None:
    """Raise ``ValueError`` unless k, where the adversarial loss is cut off, lies in [0, 1)."""
    if isinstance(k, bool) or not isinstance(k, (int, float)) or not 0 <= k < 1:
        raise ValueError(f"k must lie in [0, 1); got {k!r}.")


def reconstruction_loss(reconstruction: Tensor, image: Tensor) -> Tensor:
    """What the decoder minimizes: the mean squared error of all pixels and colors, without any attention."""
    return (1 - likeness(reconstruction, image)).mean()
