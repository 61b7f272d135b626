"""From light to picture: lens, motion, sensor, tone, and JPEG compression, each a function of its own.

Light is linear RGB, proportional to energy; display values are sRGB-encoded in [0, 1]. Blur and noise happen to
light, compression to display values, in the order of a real camera.

Everything here is sums and products of whole tensors with hashed noise, not convolutions or matrix products: those
round differently for different batch sizes, precisions and devices, and the rounding inside JPEG would turn a last
bit into a visible step. So an image has the same bytes alone and in any batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gazecourse.faces.attributes import Factors
from gazecourse.faces.noise import normal
from gazecourse.validation import check_array

NOISE_STREAM = 1001
WHITE_LEVEL = 4.0
"""Light of this strength, after exposure, is drawn as pure white; 1 is a white sheet of paper in full light."""
SHOULDER = 0.5
"""Up to here the tone curve is a straight line; above it bends towards white."""
MIDDLE_GRAY = 0.18
READ_NOISE = 0.04
"""Share of the noise variance at middle gray that does not depend on the light."""
SMALLEST_SENSOR = 4
"""A sensor has at least this many pixels along each side."""

JPEG_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantization of the luma, ITU-T T.81 table K.1; rows are vertical frequencies."""
JPEG_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""Quantization of the chroma, ITU-T T.81 table K.2."""


def capture(light: Tensor, factors: Factors) -> Tensor:
    """The picture that a camera takes of ``light``.

    Lens and motion blur, exposure, then the sensor: fewer pixels, noise, tone curve, sRGB, back to full size, JPEG.

    Args:
        light: [B, 3, H, W] linear RGB, at least 0.
        factors: B images; exposure, defocus, motion, resolution, noise, compression and seed are read.
    Returns:
        [B, 3, H, W] display values in [0, 1].
    Raises:
        TypeError, ValueError: if ``light`` is not as described.
    """
    check_array("light", light, [len(factors), 3, "H", "W"], low=0.0)
    light = motion_blur(defocus(light, factors.defocus), factors.motion)
    light = light * factors.exposure.view(-1, 1, 1, 1)
    return jpeg(expose_sensor(light, factors.resolution, factors.noise, factors.seed), factors.compression)


# ---------------------------------------------------------------------- encoding
def linear_to_srgb(light: Tensor) -> Tensor:
    """Display values of linear light in [0, 1], any shape (IEC 61966-2-1).

    Raises:
        TypeError, ValueError: if ``light`` is no float tensor with values in [0, 1].
    """
    check_array("light", light, low=0.0, high=1.0)
    root = light.clamp(min=0.0031308).sqrt_()
    # x^(1/2.4) = x^(1/4) · (x^(1/2))^(1/3)
    curve = _cube_root(root).mul_(root.sqrt_()).mul_(1.055).sub_(0.055)
    return torch.where(light <= 0.0031308, light * 12.92, curve)


def _cube_root(value: Tensor) -> Tensor:
    """Cube root of values in [0.05, 1], to float32's precision: a parabola, then two steps of Halley's method.

    The last bit of ``pow`` depends on whether a value falls into the vectorized part of a loop; that of sums,
    products and quotients does not.
    """
    twice = value * 2
    root = (value * -0.35).add_(0.98).mul_(value).add_(0.36)
    for _ in range(2):
        cube = root * root
        cube *= root
        root *= (cube + twice).div_(cube.mul_(2).add_(value))
    return root


def srgb_to_linear(display: Tensor) -> Tensor:
    """Linear light of display values in [0, 1], any shape (IEC 61966-2-1).

    Raises:
        TypeError, ValueError: if ``display`` is no float tensor with values in [0, 1].
    """
    check_array("display", display, low=0.0, high=1.0)
    curve = display.clamp(min=0.04045).add(0.055).div_(1.055).pow_(2.4)
    return torch.where(display <= 0.04045, display / 12.92, curve)


def to_uint8(display: Tensor) -> Tensor:
    """Display values, any shape, rounded to 0 … 255; what lies outside [0, 1] is clipped.

    Raises:
        TypeError, ValueError: if ``display`` is no float tensor or not finite.
    """
    check_array("display", display)
    return (display * 255).round_().clamp_(0, 255).to(torch.uint8)


def tone_curve(light: Tensor) -> Tensor:
    """Exposed light ≥ 0, any shape, to [0, 1]: straight up to ``SHOULDER``, then bending smoothly to ``WHITE_LEVEL``.

    The bend is the curve of Reinhard et al. 2002 ("Photographic tone reproduction for digital images", eq. 4),
    applied to what exceeds the shoulder; its slope there is 1.

    Raises:
        TypeError, ValueError: if ``light`` is no float tensor with finite values of at least 0.
    """
    check_array("light", light, low=0.0)
    room = 1 - SHOULDER
    over = (light - SHOULDER).clamp_(min=0).div_(room)
    top = (WHITE_LEVEL - SHOULDER) / room
    bent = (over / top**2).add_(1).mul_(over).div_(over + 1)
    return bent.mul_(room).add_(light.clamp(max=SHOULDER)).clamp_(max=1)


# ---------------------------------------------------------------------- blur
def defocus(light: Tensor, sigma: Tensor) -> Tensor:
    """Blur by a Gaussian; the picture continues beyond its border with the border's colors.

    Args:
        light: [B, C, H, W].
        sigma: [B] standard deviation in units of the picture's width, at least 0.
    Returns:
        [B, C, H, W]; a new tensor unless nothing is blurred.
    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    check_array("light", light, ["B", "C", "H", "W"])
    check_array("sigma", sigma, [light.shape[0]], low=0.0)
    pixels = sigma.double() * light.shape[3]
    # Below 0.2 pixels the neighbors' weight is under 4e-6.
    return _on_some(light, pixels > 0.2, lambda part, rows: _gaussian(part, pixels.index_select(0, rows)))


def _gaussian(light: Tensor, sigma: Tensor) -> Tensor:
    """Separable Gaussian of ``sigma`` [B] pixels, cut off at 3σ. The widest kernels come first, the rest drop out."""
    radius, order = (3 * sigma).ceil().long().sort(descending=True, stable=True)
    sigma = sigma.index_select(0, order).unsqueeze(1)
    steps = torch.arange(int(radius[0]) + 1, device=light.device)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2) * (steps <= radius.unsqueeze(1))
    weights = (weights / (2 * weights.sum(1, keepdim=True) - 1)).to(light.dtype)
    counts = (radius.unsqueeze(0) >= steps.unsqueeze(1)).sum(1).tolist()
    blurred = _symmetric_filter(light.index_select(0, order), weights, counts, axis=3)
    blurred = _symmetric_filter(blurred, weights, counts, axis=2)
    return blurred.index_select(0, order.argsort())


def _symmetric_filter(light: Tensor, weights: Tensor, counts: list[int], axis: int) -> Tensor:
    """Σₖ wₖ (x₋ₖ + x₊ₖ) along one axis; tap k reaches only the first ``counts[k]`` images."""
    radius, size = weights.shape[1] - 1, light.shape[axis]
    margin = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
    padded = torch.nn.functional.pad(light, margin, mode="replicate")
    weights = weights.view(*weights.shape, 1, 1, 1)
    total = light * weights[:, 0]
    for k in range(1, radius + 1):
        some = padded[: counts[k]]
        pair = some.narrow(axis, radius - k, size) + some.narrow(axis, radius + k, size)
        total[: counts[k]] += pair.mul_(weights[: counts[k], k])
    return total


def motion_blur(light: Tensor, motion: Tensor) -> Tensor:
    """Blur along a straight line, as when the camera moves evenly while the shutter is open.

    Args:
        light: [B, C, H, W].
        motion: [B, 2] the path (x, y) in units of the picture's width; its middle stays in place.
    Returns:
        [B, C, H, W]; a new tensor unless nothing is blurred.
    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    check_array("light", light, ["B", "C", "H", "W"])
    check_array("motion", motion, [light.shape[0], 2])
    path = motion.double() * light.shape[3]
    x, y = path.unbind(1)
    # A path of up to one pixel lies within the pixel.
    level, steep = (x.abs() >= y.abs()) & (x.abs() > 1), (y.abs() > x.abs()) & (y.abs() > 1)
    light = _on_some(light, level, lambda part, rows: _smear(part, path.index_select(0, rows)))
    return _on_some(light, steep, lambda part, rows: _smear_steep(part, path.index_select(0, rows)))


def _smear_steep(light: Tensor, path: Tensor) -> Tensor:
    turned = _smear(light.transpose(2, 3).contiguous(), path.flip(1))
    return turned.transpose(2, 3).contiguous()


def _smear(light: Tensor, path: Tensor) -> Tensor:
    """Mean along ``path`` [B, 2] pixels, which is at least as wide as high.

    Whole columns are stepped through; in each, the line's height lies between two rows.
    """
    batch, channels, height, width = light.shape
    length, slope = path[:, 0].abs(), path[:, 1] / path[:, 0]
    radius = int((length.max() / 2 + 0.5).floor())
    rows = torch.nn.functional.pad(light, (radius, radius, 0, 0), mode="replicate").view(-1, width + 2 * radius)
    plane = torch.arange(batch * channels, device=light.device).view(batch, channels, 1) * height
    line = torch.arange(height, device=light.device)
    total = torch.zeros_like(light)
    for step in range(-radius, radius + 1):
        covered = (length / 2 - abs(step) + 0.5).clamp(0, 1) / length
        rise = step * slope
        share = rise - rise.floor()
        for offset, weight in ((0, covered * (1 - share)), (1, covered * share)):
            row = (line + rise.floor().long().view(-1, 1, 1) + offset).clamp(0, height - 1) + plane
            picked = rows.index_select(0, row.flatten()).view(batch, channels, height, -1)
            total += picked.narrow(3, radius + step, width) * weight.to(light.dtype).view(-1, 1, 1, 1)
    return total


# ---------------------------------------------------------------------- sensor
def expose_sensor(light: Tensor, resolution: Tensor, noise: Tensor, seed: Tensor) -> Tensor:
    """What a sensor with few or many pixels makes of exposed light, enlarged to full size.

    Args:
        light: [B, 3, H, W] exposed linear light, at least 0.
        resolution: [B] linear share of the sensor's pixels, in (0, 1].
        noise: [B] standard deviation in display values at middle gray, in [0, 1].
        seed: [B] int64.
    Returns:
        [B, 3, H, W] display values in [0, 1].
    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    check_array("light", light, ["B", 3, "H", "W"], low=0.0)
    batch, _, height, width = light.shape
    check_array("resolution", resolution, [batch], low=1e-6, high=1.0)
    check_array("noise", noise, [batch], low=0.0, high=1.0)
    check_array("seed", seed, [batch], floating=False)
    sizes = [(_pixels(share, height), _pixels(share, width)) for share in resolution.tolist()]
    members = {size: [i for i, other in enumerate(sizes) if other == size] for size in dict.fromkeys(sizes)}
    groups = [(size, torch.tensor(numbers, device=light.device)) for size, numbers in members.items()]
    # Sensors with fewer pixels use the top left of a full-sized sheet, so that all can be developed together.
    sheet = torch.zeros_like(light)
    for (rows, columns), images in groups:
        small = _shrink(light.index_select(0, images), (rows, columns))
        sheet[:, :, :rows, :columns].index_copy_(0, images, small)
    sheet = linear_to_srgb(tone_curve(add_noise(sheet, noise, seed)))
    picture = torch.empty_like(sheet)
    for (rows, columns), images in groups:
        small = sheet.index_select(0, images)[:, :, :rows, :columns]
        picture.index_copy_(0, images, _enlarge(small, (height, width)))
    return picture


def _pixels(share: float, full: int) -> int:
    return min(full, max(SMALLEST_SENSOR, round(share * full)))


def _shrink(light: Tensor, size: tuple[int, int]) -> Tensor:
    """Every sensor pixel takes the mean light around it, weighted by a triangle two sensor pixels wide."""
    if light.shape[2:] == size:
        return light
    return torch.nn.functional.interpolate(light, size, mode="bilinear", antialias=True, align_corners=False)


def _enlarge(picture: Tensor, size: tuple[int, int]) -> Tensor:
    if picture.shape[2:] == size:
        return picture
    # With "antialias" PyTorch takes one axis after the other, which is faster; there is nothing to alias here.
    large = torch.nn.functional.interpolate(picture, size, mode="bicubic", antialias=True, align_corners=False)
    return large.clamp_(0, 1)


def add_noise(light: Tensor, noise: Tensor, seed: Tensor) -> Tensor:
    """Photon (shot) noise, whose variance grows with the light, plus constant read noise.

    Half of the variance is common to the three colors, as after a camera's color smoothing; clipped at black.

    Args:
        light: [B, 3, H, W] exposed linear light, at least 0.
        noise: [B] standard deviation in display values at middle gray.
        seed: [B] int64.
    Returns:
        [B, 3, H, W]; a new tensor unless there is no noise at all.
    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    check_array("light", light, ["B", 3, "H", "W"], low=0.0)
    check_array("noise", noise, [light.shape[0]], low=0.0, high=1.0)
    check_array("seed", seed, [light.shape[0]], floating=False)
    return _on_some(
        light, noise > 0, lambda part, rows: _noisy(part, noise.index_select(0, rows), seed.index_select(0, rows))
    )


def _noisy(light: Tensor, noise: Tensor, seed: Tensor) -> Tensor:
    grain = normal(seed, light[0].numel(), NOISE_STREAM).view_as(light)
    common = (grain[:, 0:1] + grain[:, 1:2]).add_(grain[:, 2:3]).div_(3)
    # Var(common) = 1/3 and Var(grain - common) = 2/3: the weights split a variance of 1 into halves.
    grain.sub_(common).mul_(0.75**0.5).add_(common.mul_(1.5**0.5))
    display_per_light = 1.055 / 2.4 * MIDDLE_GRAY ** (1 / 2.4 - 1)
    scale = (noise / display_per_light).view(-1, 1, 1, 1)
    spread = (light * ((1 - READ_NOISE) / MIDDLE_GRAY)).add_(READ_NOISE).sqrt_().mul_(scale)
    return grain.mul_(spread).add_(light).clamp_(min=0)


# ---------------------------------------------------------------------- compression
def jpeg(picture: Tensor, quality: Tensor) -> Tensor:
    """What is left of a picture after JPEG compression with 4:2:0 chroma (ITU-T T.81, as in libjpeg).

    Args:
        picture: [B, 3, H, W] display values in [0, 1].
        quality: [B] libjpeg's quality from 1 to 100, rounded; 100 leaves the picture alone.
    Returns:
        [B, 3, H, W] display values in [0, 1]; a new tensor unless nothing is compressed.
    Raises:
        TypeError, ValueError: naming the argument that does not fit.
    """
    check_array("picture", picture, ["B", 3, "H", "W"], low=0.0, high=1.0)
    check_array("quality", quality, [picture.shape[0]], low=1.0, high=100.0)
    quality = quality.round()
    return _on_some(picture, quality < 100, lambda part, rows: _compress(part, quality.index_select(0, rows)))


def _compress(picture: Tensor, quality: Tensor) -> Tensor:
    height, width = picture.shape[2:]
    margin = (0, -width % 16, 0, -height % 16)
    red, green, blue = torch.nn.functional.pad((picture * 255).round_(), margin, mode="replicate").unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.stack([(blue - luma) / 1.772, (red - luma) / 1.402], dim=1)
    luma = _quantize_blocks((luma - 128).unsqueeze(1), _table(JPEG_LUMINANCE, quality)).squeeze(1).add_(128)
    chroma = _double(_double(_quantize_blocks(_halve(chroma), _table(JPEG_CHROMINANCE, quality)), 3), 2)
    cb, cr = chroma.unbind(1)
    colors = [luma + 1.402 * cr, luma - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587, luma + 1.772 * cb]
    restored = torch.stack(colors, dim=1)[..., :height, :width]
    return restored.round_().clamp_(0, 255).div_(255)


def _table(base: tuple[tuple[int, ...], ...], quality: Tensor) -> Tensor:
    """Quantization steps [8, 8, B, 1, 1, 1], scaled to ``quality`` [B] by libjpeg's rule."""
    steps = torch.tensor(base, device=quality.device, dtype=quality.dtype).unsqueeze(2)
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    return ((steps * percent + 50) / 100).floor_().clamp_(1, 255).view(8, 8, -1, 1, 1, 1)


def _halve(plane: Tensor) -> Tensor:
    """Mean of every 2 × 2 pixels."""
    rows = plane[:, :, 0::2] + plane[:, :, 1::2]
    return (rows[..., 0::2] + rows[..., 1::2]).div_(4)


def _double(plane: Tensor, axis: int) -> Tensor:
    """Twice as many pixels along ``axis``, each ¾ its own parent and ¼ the nearer neighbor (libjpeg's default)."""
    size = plane.shape[axis]
    margin = (1, 1, 0, 0) if axis == 3 else (0, 0, 1, 1)
    padded = torch.nn.functional.pad(plane, margin, mode="replicate")
    own = plane * 0.75
    pair = [own + padded.narrow(axis, start, size) * 0.25 for start in (0, 2)]
    return torch.stack(pair, dim=axis + 1).flatten(axis, axis + 1)


def _quantize_blocks(plane: Tensor, steps: Tensor) -> Tensor:
    """Round the cosine transform of every 8 × 8 block of ``plane`` [B, C, H, W] to multiples of ``steps``."""
    batch, channels, height, width = plane.shape
    blocks = plane.view(batch, channels, height // 8, 8, width // 8, 8).permute(3, 5, 0, 1, 2, 4)
    matrix = _cosines(plane.device)
    spectrum = _transform(_transform(blocks, matrix), matrix)
    spectrum.div_(steps).round_().mul_(steps)
    restored = _transform(_transform(spectrum, matrix.T), matrix.T)
    return restored.permute(2, 3, 4, 0, 5, 1).reshape(plane.shape)


def _transform(blocks: Tensor, matrix: Tensor) -> Tensor:
    """``matrix`` [8, 8] applied along the first axis, which then becomes the second: twice does both axes."""
    weights = matrix.view(8, 8, *(1,) * (blocks.ndim - 1))
    total = blocks[0] * weights[:, 0]
    for k in range(1, 8):
        total += blocks[k] * weights[:, k]
    return total.transpose(0, 1).contiguous()


def _cosines(device: torch.device) -> Tensor:
    """Matrix [8, 8] of the orthonormal discrete cosine transform (type II); rows are frequencies."""
    frequency, place = torch.arange(8, dtype=torch.float64).view(8, 1), torch.arange(8, dtype=torch.float64)
    matrix = torch.cos((2 * place + 1) * frequency * (torch.pi / 16)) / 2
    matrix[0] /= 2**0.5
    return matrix.float().to(device)


def _on_some(images: Tensor, chosen: Tensor, effect: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``effect(part, rows)`` on the chosen [B] images; the others are passed on."""
    rows = chosen.nonzero().squeeze(1)
    if rows.numel() == 0:
        return images
    if rows.numel() == images.shape[0]:
        return effect(images, rows)
    return images.index_copy(0, rows, effect(images.index_select(0, rows), rows))
