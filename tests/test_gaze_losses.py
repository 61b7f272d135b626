"""Gaze losses against NumPy and against the metric, and their gradients where other ways of writing them have none."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gazecourse.angles import angular_error
from gazecourse.losses import gaze_angular, gaze_l1

ANGLES = arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(2)), elements=st.floats(-1.4, 1.4))
LOSSES = [gaze_l1, gaze_angular]


def both(values):
    """Two arrays of one shape from one: the values, and the same in another order."""
    return torch.from_numpy(values), torch.from_numpy(np.roll(values, 1) * 0.7 + 0.1)


# ---------------------------------------------------------------------- values


@settings(max_examples=40)
@given(ANGLES)
def test_l1_is_the_mean_absolute_difference_over_images_and_both_angles(values):
    pred, target = both(values)
    expected = np.abs(pred.numpy() - target.numpy()).sum() / (2 * len(values))
    assert gaze_l1(pred, target).item() == pytest.approx(expected)


def test_l1_of_a_hand_computed_batch():
    pred, target = torch.tensor([[0.1, 0.2], [0.0, -0.3]]), torch.tensor([[0.3, 0.2], [0.1, 0.2]])
    assert gaze_l1(pred, target).item() == pytest.approx((0.2 + 0.0 + 0.1 + 0.5) / 4)


def test_l1_takes_screen_points_in_mm():
    assert gaze_l1(torch.tensor([[100.0, 50.0]]), torch.tensor([[70.0, 60.0]])).item() == pytest.approx(20.0)


@settings(max_examples=40)
@given(ANGLES)
def test_angular_loss_is_the_angular_error_in_radians(values):
    pred, target = both(values)
    expected = math.radians(angular_error(pred, target).mean().item())
    assert gaze_angular(pred, target).item() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("pred", "target", "degrees"),
    [
        ([[0.0, 0.0]], [[0.0, 0.0]], 0.0),
        ([[0.0, 0.0]], [[0.0, math.pi / 2]], 90.0),
        ([[math.pi / 4, 0.0]], [[-math.pi / 4, 0.0]], 90.0),
        ([[0.0, 0.0], [0.0, 0.2]], [[0.0, math.pi], [0.0, 0.2]], 90.0),  # the mean of 180 and 0
        ([[math.radians(60), 0.0]], [[math.radians(60), math.pi]], 60.0),  # yaw counts less at large pitch: 60° up
    ],
)
def test_angular_loss_of_hand_computed_directions(pred, target, degrees):
    assert gaze_angular(torch.tensor(pred), torch.tensor(target)).item() == pytest.approx(
        math.radians(degrees), abs=3e-6
    )


def test_losses_do_not_care_which_of_the_two_is_the_prediction():
    pred, target = torch.rand(5, 2), torch.rand(5, 2)
    for loss in LOSSES:
        assert loss(pred, target).item() == pytest.approx(loss(target, pred).item())
        assert loss(pred, target).shape == ()


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_agrees_with_finite_differences(loss):
    generator = torch.Generator().manual_seed(0)
    pred = (torch.rand(6, 2, generator=generator, dtype=torch.float64) - 0.5).requires_grad_()
    target = torch.rand(6, 2, generator=generator, dtype=torch.float64) - 0.5
    assert torch.autograd.gradcheck(lambda p: loss(p, target), (pred,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.0, math.pi)], ids=["identical", "opposite"])
def test_gradient_is_finite_where_directions_agree_and_where_they_are_opposite(offset, dtype):
    target = torch.tensor([[0.0, 0.0], [0.3, -0.7], [-1.2, 0.4]], dtype=dtype)
    sign = -1 if offset[1] else 1
    pred = (target * torch.tensor([sign, 1], dtype=dtype) + torch.tensor(offset, dtype=dtype)).requires_grad_()
    gaze_angular(pred, target).backward()
    assert pred.grad.isfinite().all()
    assert pred.grad.abs().max() <= 1.01, "no more than one radian per radian"


def test_gradient_is_finite_in_float16_where_directions_agree():
    pred = torch.tensor([[0.0, 0.0], [0.3, -0.7]], dtype=torch.float16).requires_grad_()
    gaze_angular(pred, pred.detach().clone()).backward()
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize("degrees", [0.01, 0.1, 1.0, 30.0, 170.0])
def test_gradient_of_small_and_large_angles_has_length_1(degrees):
    """One radian of loss per radian of yaw, right down to a hundredth of a degree: training does not stall there."""
    pred = torch.tensor([[0.0, math.radians(degrees)]], requires_grad=True)
    gaze_angular(pred, torch.zeros(1, 2)).backward()
    assert pred.grad[0, 1].item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_descent_on_either_loss_finds_the_target(loss):
    target = torch.tensor([[0.3, -0.5], [-0.2, 0.1]])
    pred = torch.zeros(2, 2, requires_grad=True)
    optimizer = torch.optim.SGD([pred], lr=0.05)
    for step in range(200):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 200)
        optimizer.zero_grad()
        loss(pred, target).backward()
        optimizer.step()
    torch.testing.assert_close(pred.detach(), target, atol=0.01, rtol=0)


def test_outputs_under_autocast_can_be_compared_with_float_labels():
    pred, target = torch.tensor([[0.5, 0.25]], dtype=torch.bfloat16), torch.zeros(1, 2)
    assert gaze_l1(pred, target).item() == pytest.approx(0.375)
    expected = math.acos(math.cos(0.5) * math.cos(0.25))
    assert gaze_angular(pred, target).item() == pytest.approx(expected, abs=1e-3)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(1, 2), r"one shape; got \[3, 2\] and \[1, 2\]"),
        (torch.zeros(3, 2), torch.zeros(2), r"target must be a tensor \[B, 2\]; got tensor of shape \[2\]"),
        (torch.zeros(3, 1), torch.zeros(3, 2), r"pred must be a tensor \[B, 2\]; got tensor of shape \[3, 1\]"),
        (torch.zeros(3, 3), torch.zeros(3, 3), r"pred must be a tensor \[B, 2\]"),
        (torch.zeros(3, 1, 2), torch.zeros(3, 2), r"pred must be a tensor \[B, 2\]"),
        (np.zeros((3, 2)), torch.zeros(3, 2), "pred must be a tensor .* got array"),
        (torch.zeros(3, 2), None, "target must be a tensor .* got NoneType None"),
    ],
)
def test_shapes_that_would_broadcast_are_refused_by_name(loss, pred, target, message):
    with pytest.raises(ValueError, match=message):
        loss(pred, target)


def test_nan_in_a_prediction_is_passed_on_by_l1():
    """The training loop ends a run whose loss is NaN, and can say which step and batch it was."""
    assert gaze_l1(torch.full((2, 2), torch.nan), torch.zeros(2, 2)).isnan()


def test_nan_in_a_prediction_is_passed_on_by_the_angular_loss():
    assert gaze_angular(torch.full((2, 2), torch.nan), torch.zeros(2, 2)).isnan()
