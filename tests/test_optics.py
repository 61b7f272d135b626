"""The camera: encoding, blur, sensor and compression, each against an independent reference."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from gazecourse.faces import optics
from gazecourse.faces.attributes import Factors
from gazecourse.faces.domains import WILD
from gazecourse.faces.noise import fbm, uniform

SIZE = 64


def pictures(count: int, height: int = SIZE, width: int = SIZE, seed: int = 0) -> Tensor:
    """Natural-looking pictures in [0, 1]: mostly gray structure, some color, one hard-edged patch."""
    seeds = torch.arange(count) + seed
    color = torch.stack([fbm(seeds, height, width, stream, octaves=5, gain=0.7) for stream in range(3)], dim=1)
    image = (color.mean(1, keepdim=True) * 0.25 + color * 0.1 + 0.5).clamp(0, 1)
    image[:, :, 10:25, 8:20] = torch.tensor([0.85, 0.2, 0.15]).view(3, 1, 1)
    return image


def point(size: int = 65) -> Tensor:
    """One bright pixel in the middle."""
    light = torch.zeros(1, 3, size, size)
    light[..., size // 2, size // 2] = 1.0
    return light


def spread(light: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (x, y) and covariance [2, 2] in pixels of the first image's light."""
    weights = light[0, 0].double()
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in weights.shape), indexing="ij")
    places = torch.stack([columns.flatten(), rows.flatten()])
    share = weights.flatten() / weights.sum()
    mean = places @ share
    centered = places - mean.unsqueeze(1)
    return mean, (centered * share) @ centered.T


def perfect(count: int = 1) -> Factors:
    """Factors of a camera that changes nothing but the tone."""
    factors = WILD.sample(range(count), people=count, seed=0, split="train")
    return factors.replace(exposure=1.0, defocus=0.0, motion=0.0, resolution=1.0, noise=0.0, compression=100.0)


@pytest.fixture(scope="module")
def wild() -> Factors:
    """Eight images with everything on, in very different strengths."""
    factors = WILD.sample(range(8), people=8, seed=3, split="train")
    numbers = uniform(factors.seed, 8, 77)
    return factors.replace(
        defocus=0.03 * numbers[:, 0] * (numbers[:, 1] < 0.7),
        motion=(numbers[:, 2:4] - 0.5) * 0.16,
        resolution=0.3 + 0.7 * numbers[:, 4],
        noise=0.05 * numbers[:, 5],
        compression=20 + 80 * numbers[:, 6],
    )


# ---------------------------------------------------------------------- encoding
def test_srgb_follows_the_standard():
    light = torch.tensor([0.0, 0.001, 0.0031308, 0.18, 0.5, 1.0])
    expected = torch.tensor([0.0, 0.01292, 0.04045, 0.46136, 0.73536, 1.0])
    assert torch.allclose(optics.linear_to_srgb(light), expected, atol=2e-5)


def test_srgb_matches_the_power_law_to_single_precision():
    light = torch.linspace(0, 1, 100_001)
    exact = light.double()
    exact = torch.where(exact <= 0.0031308, 12.92 * exact, 1.055 * exact ** (1 / 2.4) - 0.055)
    assert float((optics.linear_to_srgb(light) - exact).abs().max()) < 1e-6


def test_srgb_and_linear_light_are_inverses():
    values = torch.linspace(0, 1, 10_001)
    assert torch.allclose(optics.srgb_to_linear(optics.linear_to_srgb(values)), values, atol=2e-6)
    assert torch.allclose(optics.linear_to_srgb(optics.srgb_to_linear(values)), values, atol=2e-6)


def test_every_byte_survives_the_round_trip_through_light():
    codes = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(optics.to_uint8(optics.linear_to_srgb(optics.srgb_to_linear(codes / 255))), codes)


def test_bytes_are_rounded_and_clipped():
    values = torch.tensor([-0.5, 0.0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 1.0, 7.0])
    assert optics.to_uint8(values).tolist() == [0, 0, 0, 1, 254, 255, 255]
    assert optics.to_uint8(values).dtype == torch.uint8


def test_tone_curve_is_straight_in_the_shadows_and_ends_at_white():
    low = torch.linspace(0, optics.SHOULDER, 50)
    assert torch.allclose(optics.tone_curve(low), low, atol=1e-6)
    assert float(optics.tone_curve(torch.tensor(optics.WHITE_LEVEL))) == pytest.approx(1, abs=1e-6)
    assert float(optics.tone_curve(torch.tensor(100.0))) == 1


def test_tone_curve_rises_everywhere_and_has_no_kink():
    light = torch.linspace(0, optics.WHITE_LEVEL, 40_001, dtype=torch.float64)
    slope = optics.tone_curve(light).diff() / light.diff()
    assert float(slope.min()) > 0
    assert float(slope.max()) < 1 + 1e-6
    assert float(slope.diff().abs().max()) < 1e-3


# ---------------------------------------------------------------------- defocus
def reference_gaussian(light: Tensor, sigma: float) -> Tensor:
    """Dense 2-D convolution with a Gaussian, by its definition."""
    radius = math.ceil(5 * sigma)
    steps = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-(steps**2 + steps.unsqueeze(1) ** 2) / (2 * sigma**2))
    padded = torch.nn.functional.pad(light.double(), (radius,) * 4, mode="replicate")
    kernel = (kernel / kernel.sum()).expand(light.shape[1], 1, -1, -1)
    return torch.nn.functional.conv2d(padded, kernel, groups=light.shape[1])


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3, 4.0])
def test_defocus_is_a_gaussian(sigma):
    light = pictures(2, 48, SIZE)
    blurred = optics.defocus(light, torch.full((2,), sigma / SIZE))
    assert float((blurred - reference_gaussian(light, sigma)).abs().max()) < 4e-3


@pytest.mark.parametrize("sigma", [0.8, 2.0, 5.0])
def test_defocus_spreads_a_point_by_sigma_and_keeps_its_place(sigma):
    mean, covariance = spread(optics.defocus(point(), torch.tensor([sigma / 65])))
    assert torch.allclose(mean, torch.full((2,), 32.0, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(covariance, torch.eye(2, dtype=torch.float64) * sigma**2, rtol=0.05, atol=1e-4)


def test_defocus_of_0_changes_nothing():
    light = pictures(3)
    assert torch.equal(optics.defocus(light, torch.zeros(3)), light)


def test_defocus_blurs_every_image_by_its_own_sigma():
    light, sigma = pictures(5), torch.tensor([0.0, 0.04, 0.01, 0.0, 0.02])
    together = optics.defocus(light, sigma)
    for row in range(5):
        assert torch.equal(together[row], optics.defocus(light[row : row + 1], sigma[row : row + 1])[0])


# ---------------------------------------------------------------------- motion
@pytest.mark.parametrize("degrees", [0, 30, 45, 60, 90, 135, 200, 270, 300])
def test_motion_spreads_a_point_along_its_path(degrees):
    """A line of length L that is stepped through has a variance of L²/12 along it and none across."""
    length, angle = 15.0, math.radians(degrees)
    along = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    mean, covariance = spread(optics.motion_blur(point(), (along * length / 65).float().unsqueeze(0)))
    assert torch.allclose(mean, torch.full((2,), 32.0, dtype=torch.float64), atol=1e-4)
    across = torch.stack([-along[1], along[0]])
    assert float(along @ covariance @ along) == pytest.approx(length**2 / 12, rel=0.05)
    assert float(across @ covariance @ across) < 0.3
    assert abs(float(along @ covariance @ across)) < 0.3


def test_motion_is_the_same_forwards_and_backwards():
    light, motion = pictures(2), torch.tensor([[0.1, 0.03], [-0.02, 0.15]])
    assert torch.allclose(optics.motion_blur(light, motion), optics.motion_blur(light, -motion), atol=1e-6)


def test_motion_along_x_is_a_moving_average_of_rows():
    light = pictures(1)
    blurred = optics.motion_blur(light, torch.tensor([[5 / SIZE, 0.0]]))
    expected = light.unfold(3, 5, 1).mean(4)
    assert torch.allclose(blurred[..., 2:-2], expected, atol=1e-6)


def test_motion_within_a_pixel_changes_nothing():
    light = pictures(2)
    assert torch.equal(optics.motion_blur(light, torch.tensor([[0.0, 0.0], [0.7 / SIZE, -0.7 / SIZE]])), light)


@given(
    sigma=st.floats(0.0, 0.06),
    x=st.floats(-0.15, 0.15),
    y=st.floats(-0.15, 0.15),
)
def test_blur_neither_adds_nor_loses_light(sigma, x, y):
    blurred = optics.motion_blur(optics.defocus(point(), torch.tensor([sigma])), torch.tensor([[x, y]]))
    assert float(blurred.sum()) == pytest.approx(3, rel=1e-4)
    flat = torch.full((1, 3, 20, 30), 0.4)
    blurred = optics.motion_blur(optics.defocus(flat, torch.tensor([sigma])), torch.tensor([[x, y]]))
    assert torch.allclose(blurred, flat, atol=1e-6)


# ---------------------------------------------------------------------- sensor
def flat_gray(count: int = 4, size: int = 96, level: float = optics.MIDDLE_GRAY) -> Tensor:
    return torch.full((count, 3, size, size), level)


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.05])
def test_noise_has_the_wanted_strength_in_display_values_at_middle_gray(noise):
    seeds = torch.arange(4)
    shown = optics.expose_sensor(flat_gray(), torch.ones(4), torch.full((4,), noise), seeds)
    assert float(shown.std(dim=(0, 2, 3)).mean()) == pytest.approx(noise, rel=0.05)
    assert float(optics.srgb_to_linear(shown).mean()) == pytest.approx(optics.MIDDLE_GRAY, rel=0.01)


def test_noise_grows_with_the_light_as_photon_noise_does():
    seeds, noise = torch.arange(4), torch.full((4,), 0.02)
    dim = optics.add_noise(flat_gray(level=0.1), noise, seeds).var()
    bright = optics.add_noise(flat_gray(level=0.8), noise, seeds).var()
    read = optics.READ_NOISE / (1 - optics.READ_NOISE) * optics.MIDDLE_GRAY
    assert float(bright / dim) == pytest.approx((0.8 + read) / (0.1 + read), rel=0.05)


def test_half_of_the_noise_is_common_to_the_three_colors():
    noisy = optics.add_noise(flat_gray(), torch.full((4,), 0.02), torch.arange(4)).transpose(0, 1).flatten(1)
    correlation = torch.corrcoef(noisy)
    assert torch.allclose(correlation, 0.25 + 0.75 * torch.eye(3), atol=0.03)


def test_stronger_noise_always_shows_more():
    strengths = torch.tensor([0.0, 0.01, 0.02, 0.04, 0.08, 0.16])
    shown = optics.expose_sensor(flat_gray(6), torch.ones(6), strengths, torch.full((6,), 9))
    assert bool((shown.flatten(1).std(1).diff() > 0).all())


def test_noise_differs_between_seeds_and_pixels_and_colors():
    noisy = optics.add_noise(flat_gray(2), torch.full((2,), 0.02), torch.tensor([1, 2]))
    assert not torch.equal(noisy[0], noisy[1])
    columns = noisy[0, 0] - noisy[0, 0].mean()
    assert abs(float((columns[:, 1:] * columns[:, :-1]).mean() / columns.var())) < 0.05


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_fewer_sensor_pixels_take_away_fine_detail_but_no_light(share):
    fine = torch.zeros(1, 3, SIZE, SIZE)
    fine[..., ::2] = 0.4
    shown = optics.expose_sensor(fine, torch.tensor([share]), torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    sharp = optics.expose_sensor(fine, torch.ones(1), torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    assert float(shown.std()) < 0.75 * float(sharp.std())
    assert float(optics.srgb_to_linear(shown).mean()) == pytest.approx(0.2, rel=0.12)


def test_noise_of_a_coarse_sensor_has_coarse_grain():
    shares, noise = torch.tensor([1.0, 0.25]), torch.full((2,), 0.05)
    shown = optics.expose_sensor(flat_gray(2), shares, noise, torch.arange(2))
    deviation = shown - shown.mean(dim=(2, 3), keepdim=True)
    likeness = (deviation[..., 1:] * deviation[..., :-1]).mean((1, 2, 3)) / deviation.var((1, 2, 3))
    assert abs(float(likeness[0])) < 0.05
    assert float(likeness[1]) > 0.6


def test_a_coarse_sensor_does_not_move_the_picture():
    light = torch.zeros(1, 3, SIZE, SIZE)
    light[..., 20:30, 36:46] = 0.4
    for share in (0.3, 0.45, 0.7):
        none = torch.zeros(1), torch.zeros(1, dtype=torch.int64)
        shown = optics.srgb_to_linear(optics.expose_sensor(light, torch.tensor([share]), *none))
        mean, _ = spread(shown)
        assert torch.allclose(mean, torch.tensor([40.5, 24.5], dtype=torch.float64), atol=0.15)


# ---------------------------------------------------------------------- compression
def libjpeg(image: Tensor, quality: int) -> np.ndarray:
    """One picture [3, H, W] through Pillow's encoder and decoder, as floats [H, W, 3] from 0 to 255."""
    stream = io.BytesIO()
    bytes_ = optics.to_uint8(image).permute(1, 2, 0).numpy()
    Image.fromarray(bytes_).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(stream)).astype(float)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / np.mean((a - b) ** 2))


@pytest.mark.parametrize("quality", [20, 35, 50, 75, 90])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (61, 47)])
def test_compression_is_that_of_libjpeg(quality, height, width):
    original = optics.to_uint8(pictures(2, height, width)) / 255
    ours = optics.jpeg(original, torch.full((2,), float(quality)))
    for image, compressed in zip(original, ours, strict=True):
        reference = libjpeg(image, quality)
        before = image.permute(1, 2, 0).numpy() * 255.0
        after = compressed.permute(1, 2, 0).numpy() * 255.0
        assert psnr(after, reference) > 37
        assert psnr(after, before) == pytest.approx(psnr(reference, before), abs=0.25)


def test_quality_100_is_no_compression_at_all():
    image = pictures(2)
    assert torch.equal(optics.jpeg(image, torch.tensor([100.0, 99.7])), image)


def test_lower_quality_always_loses_more():
    image = pictures(1).expand(6, -1, -1, -1)
    after = optics.jpeg(image, torch.tensor([95.0, 80.0, 60.0, 40.0, 20.0, 5.0]))
    error = (after - image).square().mean((1, 2, 3))
    assert bool((error.diff() > 0).all())


def test_blocks_keep_their_place():
    """Strong compression draws 8 × 8 blocks whose borders lie at multiples of 8."""
    after = optics.jpeg(pictures(4), torch.full((4,), 8.0))
    jumps = after.diff(dim=3).abs().mean((0, 1, 2))
    borders = jumps[7::8].mean()
    inside = torch.stack([jumps[k::8].mean() for k in range(7)]).mean()
    assert float(borders) > 1.5 * float(inside)


def test_black_white_and_gray_survive_compression():
    flat = torch.tensor([0.0, 128 / 255, 1.0]).view(3, 1, 1, 1).expand(3, 3, 24, 40)
    assert torch.allclose(optics.jpeg(flat, torch.full((3,), 50.0)), flat, atol=1.01 / 255)


# ---------------------------------------------------------------------- the whole camera
def test_a_perfect_camera_only_bends_the_tone():
    light = pictures(2) * 2
    expected = optics.linear_to_srgb(optics.tone_curve(light))
    assert torch.equal(optics.capture(light, perfect(2)), expected)


def test_exposure_multiplies_the_light():
    light = pictures(2) * 0.4
    brighter = optics.capture(light, perfect(2).replace(exposure=torch.tensor([0.5, 1.25])))
    assert torch.allclose(optics.srgb_to_linear(brighter[0]), light[0] * 0.5, atol=1e-5)
    assert torch.allclose(optics.srgb_to_linear(brighter[1]), light[1] * 1.25, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("defocus", 0.02),
        ("motion", 0.1),
        ("exposure", 1.5),
        ("noise", 0.05),
        ("resolution", 0.4),
        ("compression", 25.0),
    ],
)
def test_every_factor_of_the_camera_changes_the_picture(name, value):
    light = pictures(1) * 0.5
    plain = optics.capture(light, perfect())
    changed = optics.capture(light, perfect().replace(**{name: value}))
    assert float((changed - plain).abs().mean()) > 2e-3


@pytest.mark.parametrize(("height", "width"), [(SIZE, SIZE), (36, 60), (45, 33)])
def test_a_picture_is_the_same_alone_and_in_any_batch(wild, height, width):
    light = pictures(8, height, width) * 1.3
    together = optics.to_uint8(optics.capture(light, wild))
    for rows in ([0], [3], [7], [1, 2, 3, 4, 5], [6, 0, 5]):
        apart = optics.to_uint8(optics.capture(light[rows], wild[rows]))
        assert torch.equal(apart, together[rows])


def test_a_picture_is_the_same_every_time(wild):
    light = pictures(8)
    before = light.clone()
    assert torch.equal(optics.capture(light, wild), optics.capture(light, wild))
    assert torch.equal(light, before)


def test_pictures_stay_within_the_display_range(wild):
    shown = optics.capture(pictures(8) * 30, wild)
    assert float(shown.min()) >= 0
    assert float(shown.max()) <= 1


GRAY = torch.full((2, 3, 16, 16), 0.5)
TWO = torch.tensor([0.5, 0.5])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: optics.capture(GRAY[:1], perfect(2)), ValueError, "light must have shape"),
        (lambda: optics.capture(-GRAY, perfect(2)), ValueError, "light must lie in"),
        (lambda: optics.capture(GRAY * math.nan, perfect(2)), ValueError, "light must be finite"),
        (lambda: optics.capture(optics.to_uint8(GRAY), perfect(2)), TypeError, "light must be floating"),
        (lambda: optics.defocus(GRAY, -TWO), ValueError, "sigma"),
        (lambda: optics.defocus(GRAY[0], TWO), ValueError, "light"),
        (lambda: optics.motion_blur(GRAY, TWO), ValueError, "motion"),
        (lambda: optics.expose_sensor(GRAY, 0 * TWO, TWO, torch.arange(2)), ValueError, "resolution"),
        (lambda: optics.expose_sensor(GRAY, TWO, TWO[:1], torch.arange(2)), ValueError, "noise"),
        (lambda: optics.expose_sensor(GRAY, TWO, TWO, torch.arange(3)), ValueError, "seed"),
        (lambda: optics.add_noise(GRAY, 3 * TWO, torch.arange(2)), ValueError, "noise"),
        (lambda: optics.jpeg(GRAY, TWO), ValueError, "quality"),
        (lambda: optics.jpeg(3 * GRAY, 100 * TWO), ValueError, "picture"),
        (lambda: optics.linear_to_srgb(torch.tensor([1.5])), ValueError, "light"),
        (lambda: optics.srgb_to_linear(torch.tensor([math.nan])), ValueError, "display"),
        (lambda: optics.tone_curve(torch.tensor([-1.0])), ValueError, "light"),
        (lambda: optics.to_uint8([0.5]), TypeError, "display"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
