"""PureGaze's losses against loops over pixels, and their gradients against what the paper promises."""

import math

import numpy as np
import pytest
import torch

from gazecourse.exercises import puregaze as exercises
from gazecourse.losses import adversarial_loss, eye_attention, likeness, reconstruction_loss

EYES = torch.tensor([[2.5, 3.5], [8.5, 3.5]], dtype=torch.float64)


def rand(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pair(*shape, seed=0):
    """A reconstruction and an image; their squared differences lie on both sides of 0.25."""
    return rand(*shape, seed=seed), rand(*shape, seed=seed + 1)


# ---------------------------------------------------------------------- the adversarial loss


def by_loops(reconstruction, image, attention, k):
    total, (batch, colors, height, width) = 0.0, image.shape
    for b in range(batch):
        for c in range(colors):
            for y in range(height):
                for x in range(width):
                    t = 1 - (float(image[b, c, y, x]) - float(reconstruction[b, c, y, x])) ** 2
                    total += float(attention[b, y, x]) * (t if t >= k else 0.0)
    return total / (batch * colors * height * width)


@pytest.mark.parametrize("k", [0, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 3, 5, 3)])  # in the second, a wrong broadcast would run
def test_adversarial_loss_is_the_formula_written_with_loops(shape, k):
    reconstruction, image = pair(*shape)
    attention = rand(shape[0], *shape[2:], seed=2)
    expected = by_loops(reconstruction, image, attention, k)
    assert adversarial_loss(reconstruction, image, attention, k).item() == pytest.approx(expected, rel=1e-12)
    shared = attention[0].expand_as(attention)
    expected = by_loops(reconstruction, image, shared, k)
    assert adversarial_loss(reconstruction, image, attention[0], k).item() == pytest.approx(expected, rel=1e-12)


def test_adversarial_loss_of_a_hand_computed_image():
    image = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.25, 0.0]).view(1, 3, 1, 2)
    reconstruction = torch.tensor([1.0, 0.5, 0.4, 0.1, 1.0, 1.0]).view(1, 3, 1, 2)
    t = [1.0, 0.75, 0.64, 0.99, 0.4375, 0.0]
    torch.testing.assert_close(likeness(reconstruction, image).flatten(), torch.tensor(t))
    loss = adversarial_loss(reconstruction, image)
    assert loss.item() == pytest.approx((1.0 + 0.75 + 0.99) / 6), "k is 0.75, and t = k counts"
    attention = torch.tensor([[[1.0, 0.1]]])
    loss = adversarial_loss(reconstruction, image, attention)
    assert loss.item() == pytest.approx((1.0 + 0.1 * 0.75 + 0.1 * 0.99) / 6)
    assert adversarial_loss(reconstruction, image, k=0).item() == pytest.approx(sum(t) / 6)


def test_adversarial_loss_is_1_for_a_perfect_drawing_and_0_for_the_negative_of_black_and_white():
    image = (rand(2, 3, 4, 4) > 0.5).double()
    assert adversarial_loss(image, image).item() == 1
    assert adversarial_loss(1 - image, image).item() == 0
    assert adversarial_loss(1 - image, image, k=0).item() == 0
    assert adversarial_loss(image, image).shape == reconstruction_loss(image, image).shape == ()


@pytest.mark.parametrize("k", [0, 0.75])
def test_gradient_agrees_with_finite_differences_away_from_the_threshold(k):
    reconstruction, image = pair(2, 3, 3, 4)
    distance = (reconstruction - image).abs()
    assert bool((distance > 0.5).any() and (distance < 0.5).any())
    near = (distance - 0.5).abs() < 1e-2
    reconstruction = torch.where(near, image, reconstruction).clamp(0.01, 0.99).requires_grad_()
    attention = rand(2, 3, 4, seed=2)
    assert torch.autograd.gradcheck(lambda r: adversarial_loss(r, image, attention, k), (reconstruction,))


def test_gradient_is_exactly_zero_where_the_likeness_is_below_k_and_nowhere_else():
    reconstruction, image = pair(4, 3, 8, 8)
    t = 1 - (image - reconstruction) ** 2
    for k in (0.5, 0.75, 0.9):
        leaf = reconstruction.clone().requires_grad_()
        adversarial_loss(leaf, image, k=k).backward()
        assert bool((t < k).any())
        assert torch.equal(leaf.grad == 0, t < k)
        expected = torch.where(t < k, 0.0, 2 * (image - reconstruction) / image.numel())
        torch.testing.assert_close(leaf.grad, expected)


def test_without_the_threshold_every_pixel_is_pushed_away_from_the_image():
    reconstruction, image = pair(2, 3, 6, 6)
    leaf = reconstruction.clone().requires_grad_()
    adversarial_loss(leaf, image, k=0).backward()
    assert torch.equal((-leaf.grad).sign(), (reconstruction - image).sign()), "descent leads further off, on and on"


def test_gradient_weighs_as_much_as_the_attention():
    reconstruction, image = pair(2, 3, 4, 4)
    attention = rand(2, 4, 4, seed=2)
    attention[:, :2] = 0
    leaves = [reconstruction.clone().requires_grad_() for _ in range(2)]
    adversarial_loss(leaves[0], image, attention).backward()
    adversarial_loss(leaves[1], image).backward()
    torch.testing.assert_close(leaves[0].grad, attention.unsqueeze(1) * leaves[1].grad)
    assert not leaves[0].grad[:, :, :2].any()


def test_attention_of_another_dtype_leaves_the_loss_in_that_of_the_images():
    reconstruction, image = pair(1, 3, 4, 4)
    loss = adversarial_loss(reconstruction.float(), image.float(), rand(4, 4, seed=2))
    assert loss.dtype == torch.float32


# ---------------------------------------------------------------------- the decoder's loss


def test_reconstruction_loss_is_the_mean_squared_error_of_all_pixels_and_colors():
    reconstruction, image = pair(2, 3, 5, 4)
    expected = np.mean((image.numpy() - reconstruction.numpy()) ** 2)
    assert reconstruction_loss(reconstruction, image).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda r: reconstruction_loss(r, image), (reconstruction.requires_grad_(),))


def test_the_two_opponents_pull_in_opposite_directions_where_nothing_is_cut_off():
    reconstruction, image = pair(2, 3, 4, 4)
    leaves = [reconstruction.clone().requires_grad_() for _ in range(2)]
    adversarial_loss(leaves[0], image, k=0).backward()
    reconstruction_loss(leaves[1], image).backward()
    torch.testing.assert_close(leaves[0].grad, -leaves[1].grad)


# ---------------------------------------------------------------------- attention


def attention_by_loops(centers, height, width, sigma, form):
    attention = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for eye_x, eye_y in centers:
                distance = math.hypot(x + 0.5 - eye_x, y + 0.5 - eye_y)
                power = distance**2 if form == "gaussian" else distance
                attention[y, x] += math.exp(-power / (2 * sigma**2))
    return attention / attention.max()


@pytest.mark.parametrize("form", ["gaussian", "exponential"])
@pytest.mark.parametrize("sigma", [0.8, 2.5])
def test_attention_is_the_formula_written_with_loops(form, sigma):
    centers = torch.tensor([[[2.2, 3.1], [7.9, 4.6]], [[0.0, 0.0], [11.0, 9.0]]], dtype=torch.float64)
    attention = eye_attention(centers, (9, 11), sigma, form=form)
    assert attention.shape == (2, 9, 11)
    for image, eyes in zip(attention, centers, strict=True):
        np.testing.assert_allclose(image, attention_by_loops(eyes.tolist(), 9, 11, sigma, form), atol=1e-12)
    single = eye_attention(centers[1], (9, 11), sigma, form=form)
    torch.testing.assert_close(single, attention[1])


@pytest.mark.parametrize("form", ["gaussian", "exponential"])
def test_attention_is_largest_at_the_eyes_where_it_is_1(form):
    attention = eye_attention(EYES, (8, 11), 1.0, form=form)
    assert attention.max().item() == 1
    assert attention[3, 2].item() == pytest.approx(1), "row 3 has its middle at y = 3.5"
    assert attention[3, 8].item() == pytest.approx(1)
    assert sorted(attention.flatten().topk(2).indices.tolist()) == [3 * 11 + 2, 3 * 11 + 8]
    assert attention.min() >= 0


@pytest.mark.parametrize("form", ["gaussian", "exponential"])
def test_attention_to_symmetric_eyes_is_symmetric_and_does_not_care_about_their_order(form):
    attention = eye_attention(EYES, (7, 11), 1.7, form=form)
    torch.testing.assert_close(attention, attention.flip(1))
    torch.testing.assert_close(attention, attention.flip(0), msg="y = 3.5 is the middle of 7 rows")
    torch.testing.assert_close(attention, eye_attention(EYES.flip(0), (7, 11), 1.7, form=form))


def half_width(profile):
    """Distance in pixels from the largest value of a row to where it has fallen to one half, interpolated."""
    peak = int(profile.argmax())
    right = profile[peak:]
    after = int((right < 0.5).nonzero()[0])
    return after - 1 + float((right[after - 1] - 0.5) / (right[after - 1] - right[after]))


@pytest.mark.parametrize("sigma", [4.0, 9.0])
def test_half_width_is_sigma_times_the_root_of_2_ln_2_or_2_sigma_squared_ln_2(sigma):
    one_place = torch.tensor([[0.5, 0.5], [0.5, 0.5]], dtype=torch.float64)
    gaussian = eye_attention(one_place, (1, 400), sigma)[0]
    exponential = eye_attention(one_place, (1, 400), sigma, form="exponential")[0]
    assert half_width(gaussian) == pytest.approx(sigma * math.sqrt(2 * math.log(2)), abs=0.02)
    assert half_width(exponential) == pytest.approx(2 * sigma**2 * math.log(2), abs=0.02)


def test_exponential_form_has_a_sharp_tip_and_long_tails():
    one_place = torch.tensor([[30.5, 30.5], [30.5, 30.5]], dtype=torch.float64)
    gaussian = eye_attention(one_place, 61, 5.0)[30, 30:]
    # the same half-width: 2σ² ln 2 = 5 √(2 ln 2)
    exponential = eye_attention(one_place, 61, math.sqrt(5 / math.sqrt(2 * math.log(2))), form="exponential")[30, 30:]
    assert exponential[1] < gaussian[1] < 1
    assert exponential[30] > 1000 * gaussian[30]


def test_released_map_for_eth_xgaze_is_the_exponential_one_with_variance_20():
    centers = torch.tensor([[63.0, 74.0], [151.0, 74.0]])
    attention = eye_attention(centers, 224, math.sqrt(20), form="exponential")
    expected = attention_by_loops(centers.tolist(), 224, 224, math.sqrt(20), "exponential")
    np.testing.assert_allclose(attention, expected, atol=1e-5)


def test_bump_that_falls_between_all_pixels_still_has_the_largest_value_1():
    attention = eye_attention(torch.tensor([[2.0, 2.0], [6.2, 6.2]]), 8, sigma=1e-3)
    assert attention.max() == 1
    assert attention.isfinite().all()
    assert attention[6, 6] == 1, "the pixel nearest to an eye"


def test_attention_takes_arrays():
    attention = eye_attention(EYES.numpy(), (8, 11), 1.5)
    torch.testing.assert_close(attention, eye_attention(EYES, (8, 11), 1.5))


# ---------------------------------------------------------------------- the exercises' versions


def test_versions_of_the_exercises_are_the_librarys():
    reconstruction, image = pair(2, 3, 8, 8)
    centers = torch.tensor([[[2.0, 3.0], [6.5, 2.5]], [[0.5, 7.0], [5.0, 4.0]]], dtype=torch.float64)
    attention = exercises._eye_attention(centers, 8, 1.5)
    torch.testing.assert_close(attention, eye_attention(centers, 8, 1.5))
    torch.testing.assert_close(
        exercises._adversarial_loss(reconstruction, image), adversarial_loss(reconstruction, image, k=0)
    )
    torch.testing.assert_close(
        exercises._truncated_loss(reconstruction, image, attention, 0.75),
        adversarial_loss(reconstruction, image, attention, 0.75),
    )


# ---------------------------------------------------------------------- bad input

IMAGE = torch.full((2, 3, 4, 5), 0.5)


@pytest.mark.parametrize(
    ("reconstruction", "image", "options", "error", "message"),
    [
        (IMAGE, 255 * IMAGE, {}, ValueError, r"image must lie in \[-0.05, 1.05\]; got values from 127.5 to 127.5"),
        (IMAGE, IMAGE - 0.6, {}, ValueError, "image must lie in"),
        (2.2 * IMAGE, IMAGE, {}, ValueError, r"reconstruction must lie in \[0, 1\]; got values from 1.1 to 1.1"),
        (-IMAGE, IMAGE, {}, ValueError, r"reconstruction must lie in \[0, 1\]"),
        (IMAGE, IMAGE * torch.nan, {}, ValueError, "image must be finite; got NaN"),
        (IMAGE / 0, IMAGE, {}, ValueError, r"reconstruction must lie in \[0, 1\]; got values from inf"),
        (IMAGE, (255 * IMAGE).byte(), {}, TypeError, "image must be floating point; got .*uint8"),
        (IMAGE[0], IMAGE[0], {}, ValueError, r"image must have shape \[B, 3, H, W\]; got tensor of shape \[3, 4, 5\]"),
        (IMAGE[:1], IMAGE, {}, ValueError, r"reconstruction must have shape \[2, 3, 4, 5\]; got .*\[1, 3, 4, 5\]"),
        (None, IMAGE, {}, TypeError, "reconstruction must be a tensor .*; got NoneType"),
        (IMAGE, IMAGE, {"k": 1}, ValueError, r"k must lie in \[0, 1\); got 1"),
        (IMAGE, IMAGE, {"k": -0.1}, ValueError, r"k must lie in \[0, 1\); got -0.1"),
        (IMAGE, IMAGE, {"k": math.nan}, ValueError, r"k must lie in \[0, 1\); got nan"),
        (IMAGE, IMAGE, {"k": True}, ValueError, r"k must lie in \[0, 1\); got True"),
        (IMAGE, IMAGE, {"k": "0.75"}, ValueError, r"k must lie in \[0, 1\); got '0.75'"),
        (IMAGE, IMAGE, {"attention": torch.ones(5, 4)}, ValueError, r"attention must be \[2, 4, 5\] or \[4, 5\]; got"),
        (IMAGE, IMAGE, {"attention": torch.ones(2, 1, 4, 5)}, ValueError, r"got tensor of shape \[2, 1, 4, 5\]"),
        (IMAGE, IMAGE, {"attention": -torch.ones(4, 5)}, ValueError, "attention must lie in .* got values from -1"),
        (IMAGE, IMAGE, {"attention": torch.full((4, 5), math.nan)}, ValueError, "attention must be finite"),
        (IMAGE, IMAGE, {"attention": 0.5}, ValueError, "attention must be .* got float 0.5"),
    ],
)
def test_bad_arguments_of_the_adversarial_loss_are_named(reconstruction, image, options, error, message):
    with pytest.raises(error, match=message):
        adversarial_loss(reconstruction, image, **options)


def test_nan_in_a_reconstruction_is_passed_on():
    """The training loop ends a run whose loss is NaN, and can say which step and batch it was."""
    broken = IMAGE.clone()
    broken[1, 2, 3, 4] = torch.nan
    assert adversarial_loss(broken, IMAGE).isnan()
    assert adversarial_loss(broken, IMAGE, torch.ones(4, 5)).isnan()
    assert reconstruction_loss(broken, IMAGE).isnan()


@pytest.mark.parametrize(
    ("centers", "size", "options", "error", "message"),
    [
        ([[2.0, 3.0], [11.5, 3.0]], (8, 11), {}, ValueError, r"x in \[0, 11\] and y in \[0, 8\] .* got \(11.5, 3.0\)"),
        ([[2.0, 8.5], [8.0, 3.0]], (8, 11), {}, ValueError, r"got \(2.0, 8.5\)\. Landmarks of another image size"),
        ([[-0.1, 3.0], [8.0, 3.0]], 8, {}, ValueError, r"got \(-0.1, 3.0\)"),
        ([[math.nan, 3.0], [8.0, 3.0]], 8, {}, ValueError, "centers must be finite"),
        ([2.0, 3.0], 8, {}, ValueError, r"centers must have shape \[..., 2, 2\]; got tensor of shape \[2\]"),
        ([[2, 3], [8, 3]], 8, {}, TypeError, "centers must be floating point"),
        ([[2.0, 3.0], [8.0, 3.0]], 0, {}, ValueError, "size must be 1 or more; got 0"),
        ([[2.0, 3.0], [8.0, 3.0]], 8.5, {}, TypeError, "size must be a whole number; got float 8.5"),
        ([[2.0, 3.0], [8.0, 3.0]], 8, {"sigma": 0}, ValueError, "sigma must be a finite number above 0; got 0"),
        ([[2.0, 3.0], [8.0, 3.0]], 8, {"sigma": math.nan}, ValueError, "sigma must be a finite number above 0"),
        ([[2.0, 3.0], [8.0, 3.0]], 8, {"form": "box"}, ValueError, "form must be one of 'gaussian', 'exponential'"),
    ],
)  # fmt: skip
def test_bad_arguments_of_the_attention_are_named(centers, size, options, error, message):
    with pytest.raises(error, match=message):
        eye_attention(torch.tensor(centers), size, **options)


def test_centers_that_are_no_tensor_are_named():
    with pytest.raises(TypeError, match="centers must be a tensor or array; got list"):
        eye_attention([[2.0, 3.0], [8.0, 3.0]], 8)
