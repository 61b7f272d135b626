"""Penalties and losses of landmarks against values computed by hand, loops, and what their papers promise of slopes."""

import functools
import math
import warnings

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gazecourse.exercises import landmarks as exercises
from gazecourse.losses import (
    adaptive_wing,
    l1,
    l2,
    landmark_loss,
    relative_location_loss,
    smooth_l1,
    soft_wing,
    wing,
)

PENALTIES = [l1, l2, smooth_l1, wing, soft_wing, adaptive_wing]
JOINTS = {l1: (), l2: (), smooth_l1: (1.0,), wing: (10.0,), soft_wing: (2.0,), adaptive_wing: (0.5,)}
SIZES = st.floats(-300, 300, allow_nan=False)
CONSTANTS = st.floats(0.05, 50)


def at(penalty, value, *constants):
    return float(penalty(torch.tensor(value, dtype=torch.float64), *constants))


def slope(penalty, value, *constants):
    x = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    penalty(x, *constants).backward()
    return float(x.grad)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def faces(*shape, seed=0):
    """Landmarks in pixels, far from [0, 1]."""
    return 100 + 20 * randn(*shape, seed=seed)


def ring(points):
    """Laplacian of a ring, in which every point has two neighbors."""
    matrix = torch.eye(points, dtype=torch.float64)
    for i in range(points):
        matrix[i, (i + 1) % points] = matrix[i, (i - 1) % points] = -0.5
    return matrix


# ---------------------------------------------------------------------- values


@pytest.mark.parametrize(("error", "expected"), [(0, 0), (0.5, 0.5), (5, 17.769), (20, 44.083), (100, 75.877)])
def test_soft_wing_has_the_published_values(error, expected):
    assert at(soft_wing, error) == pytest.approx(expected, abs=5e-4)
    assert at(soft_wing, -error) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("penalty", "error", "expected"),
    [
        (l1, -3.0, 3.0),
        (l2, -3.0, 4.5),
        (smooth_l1, 0.5, 0.125),
        (smooth_l1, -3.0, 2.5),
        (wing, 2.0, 10 * math.log(2)),
        (wing, -8.0, 10 * math.log(5)),
        (wing, 12.0, 10 * math.log(6) + 2),  # ω ln(1 + ω/ε) at 10, then slope 1
        (soft_wing, 1.9, 1.9),
        (soft_wing, 7.0, 2 + 20 * math.log(15 / 5)),  # (1 + 14) / (1 + 4)
        (adaptive_wing, 0.5, 14 * math.log1p(0.5**1.1)),
        (adaptive_wing, 0.25, 14 * math.log1p(0.25**1.1)),
    ],
)
def test_penalties_have_values_computed_by_hand(penalty, error, expected):
    assert at(penalty, error) == pytest.approx(expected, rel=1e-12)


def by_branches(name, x, a, b, c=None):
    """Wing and soft wing with if and else, and the constant as the papers print it."""
    x = abs(x)
    if name == "wing":
        return a * math.log(1 + x / b) if x < a else x - (a - a * math.log(1 + a / b))
    return x if x < a else b * math.log(1 + x / c) + (a - b * math.log(1 + a / c))


@settings(max_examples=40)
@given(SIZES, CONSTANTS, CONSTANTS, CONSTANTS)
def test_wings_are_their_formulas_written_with_branches_for_all_constants(x, a, b, c):
    assert at(wing, x, a, b) == pytest.approx(by_branches("wing", x, a, b), rel=1e-9, abs=1e-9)
    assert at(soft_wing, x, a, b, c) == pytest.approx(by_branches("soft wing", x, a, b, c), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("omega", "theta", "epsilon", "alpha"), [(14.0, 0.5, 1.0, 2.1), (8.0, 0.7, 0.4, 2.6)])
def test_adaptive_wing_is_its_formula_written_with_branches(y, omega, theta, epsilon, alpha):
    power = alpha - y
    a = omega * (1 / (1 + (theta / epsilon) ** power)) * power * (theta / epsilon) ** (power - 1) / epsilon
    c = theta * a - omega * math.log(1 + (theta / epsilon) ** power)
    for x in (-3.0, -theta, -0.4, 0.0, 0.1, 0.6, 0.8, 2.0):
        size = abs(x)
        expected = omega * math.log(1 + (size / epsilon) ** power) if size < theta else a * size - c
        assert at(adaptive_wing, x, y, omega, theta, epsilon, alpha) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_adaptive_wing_takes_a_heat_map_and_forgives_small_errors_on_the_background():
    heat_map = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    values = adaptive_wing(torch.full((2, 3), 0.1, dtype=torch.float64), heat_map)
    for row in values:
        assert row.tolist() == pytest.approx([14 * math.log1p(0.1**power) for power in (2.1, 1.6, 1.1)])
    assert values[0, 0] < 0.15 * values[0, 2]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties_are_elementwise_and_keep_shape_and_dtype(penalty):
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = (8 * randn(3, 4, 2)).to(dtype)
        values = penalty(x)
        assert values.shape == x.shape
        assert values.dtype == dtype
    assert [at(penalty, v) for v in x.double().flatten().tolist()] == pytest.approx(
        penalty(x.double()).flatten().tolist()
    )
    assert penalty(torch.zeros(0)).shape == (0,)


# ---------------------------------------------------------------------- properties


@pytest.mark.parametrize("penalty", PENALTIES)
@settings(max_examples=40)
@given(SIZES)
def test_penalties_are_even_nonnegative_and_zero_at_zero(penalty, x):
    assert at(penalty, x) == at(penalty, -x) >= 0
    assert at(penalty, 0.0) == 0


@pytest.mark.parametrize("penalty", PENALTIES)
@settings(max_examples=40)
@given(st.floats(0, 300), st.floats(0, 300))
def test_a_larger_error_costs_more(penalty, x, y):
    assume(abs(x - y) > 1e-6)
    assert (at(penalty, x) < at(penalty, y)) == (x < y) or max(x, y) < 1e-3


@settings(max_examples=40)
@given(CONSTANTS, CONSTANTS, CONSTANTS)
def test_pieces_meet_where_they_are_joined_for_all_constants(a, b, c):
    for penalty, constants in ((wing, (a, b)), (soft_wing, (a, b, c))):
        below, above = (at(penalty, a * (1 + side * 1e-12), *constants) for side in (-1, 1))
        assert below == pytest.approx(above, rel=1e-9)


@pytest.mark.parametrize("penalty", [smooth_l1, adaptive_wing])
def test_smooth_penalties_have_one_slope_on_both_sides_of_the_joint(penalty):
    joint = JOINTS[penalty][0]
    assert slope(penalty, joint - 1e-9) == pytest.approx(slope(penalty, joint + 1e-9), rel=1e-6)
    assert at(penalty, joint - 1e-9) == pytest.approx(at(penalty, joint + 1e-9), rel=1e-6)


# ---------------------------------------------------------------------- gradients


def test_soft_wings_slope_is_1_below_omega1_jumps_to_8_and_falls():
    assert slope(soft_wing, 0.001) == slope(soft_wing, 1.999) == 1
    assert slope(soft_wing, 2.0) == pytest.approx(8)
    assert slope(soft_wing, 2.000001) == pytest.approx(8, rel=1e-5)
    assert slope(soft_wing, 5.0) == pytest.approx(20 / 5.5)
    assert slope(soft_wing, 100.0) == pytest.approx(20 / 100.5)
    assert slope(soft_wing, -5.0) == pytest.approx(-20 / 5.5)


def test_wings_slope_is_5_near_zero_and_1_beyond_omega():
    assert slope(wing, 1e-9) == pytest.approx(5)
    assert slope(wing, 9.999999) == pytest.approx(10 / 12)
    assert slope(wing, 10.0) == slope(wing, 250.0) == 1
    assert slope(wing, -250.0) == -1


def test_small_errors_pull_five_times_as_hard_with_wing_as_with_soft_wing():
    assert slope(wing, 0.01) / slope(soft_wing, 0.01) == pytest.approx(5, rel=0.01)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_subgradient_at_zero_is_zero(penalty):
    assert slope(penalty, 0.0) == 0


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients_agree_with_finite_differences_away_from_kinks(penalty):
    x = torch.cat([0.7 * randn(20), 6 * randn(20, seed=1), 40 * randn(20, seed=2)])
    for kink in (0.0, *JOINTS[penalty]):
        x = x[(x.abs() - kink).abs() > 1e-2]
    assert len(x) > 40
    assert torch.autograd.gradcheck(penalty, (x.requires_grad_(),))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients_are_finite_at_huge_errors_and_nan_is_passed_on(penalty):
    assert math.isfinite(slope(penalty, 1e8))
    assert math.isnan(at(penalty, math.nan))


# ---------------------------------------------------------------------- the mean over landmarks


@pytest.mark.parametrize("penalty", PENALTIES)
def test_landmark_loss_is_the_mean_over_all_faces_points_and_axes(penalty):
    pred, target = faces(3, 5, 2), faces(3, 5, 2, seed=1)
    total = 0.0
    for face in range(3):
        for point in range(5):
            for axis in range(2):
                total += at(penalty, float(pred[face, point, axis] - target[face, point, axis]))
    assert float(landmark_loss(pred, target, penalty)) == pytest.approx(total / 30)


def test_landmark_loss_takes_soft_wing_unless_told_otherwise():
    pred, target = faces(3, 5, 2), faces(3, 5, 2, seed=1)
    assert landmark_loss(pred, target) == landmark_loss(pred, target, soft_wing) != landmark_loss(pred, target, wing)


def test_gradient_of_the_loss_pulls_predictions_to_the_truth():
    target = faces(2, 4, 2)
    pred = (target + 3 * randn(2, 4, 2, seed=1)).requires_grad_()
    landmark_loss(pred, target).backward()
    assert torch.equal(pred.grad.sign(), (pred - target).sign())


# ---------------------------------------------------------------------- relative location


def relative_by_loops(pred, target, matrix, penalty):
    """Δ of both faces, row by row."""
    batch, points, _ = pred.shape
    total = 0.0
    for face in range(batch):
        for i in range(points):
            for axis in range(2):
                delta = [
                    sum(float(matrix[i, j]) * float(shape[face, j, axis]) for j in range(points))
                    for shape in (pred, target)
                ]
                total += at(penalty, delta[0] - delta[1])
    return total / (batch * points * 2)


@pytest.mark.parametrize("penalty", [l2, wing, soft_wing])
def test_relative_location_loss_is_the_formula_written_with_loops(penalty):
    matrix = ring(6)
    matrix[0] = torch.tensor([1.0, -1.0, 0, 0, 0, 0])  # not symmetric, so that a transpose would show
    pred, target = faces(3, 6, 2), faces(3, 6, 2, seed=1)
    expected = relative_by_loops(pred, target, matrix, penalty)
    assert float(relative_location_loss(pred, target, matrix, penalty)) == pytest.approx(expected)
    assert float(relative_location_loss(pred, target, matrix.float(), penalty)) == pytest.approx(expected)


def test_relative_location_loss_of_three_points_by_hand():
    matrix = torch.tensor([[1.0, -1.0, 0.0], [-0.5, 1.0, -0.5], [0.0, -1.0, 1.0]])
    target = torch.tensor([[[10.0, 20.0], [20.0, 20.0], [30.0, 20.0]]])
    pred = target + torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 0.0]])  # the middle one slips: Δ off by −4, 4, −4
    assert float(relative_location_loss(pred, target, matrix, l1)) == pytest.approx(12 / 6)
    assert float(relative_location_loss(pred, target, matrix)) == pytest.approx(3 * (2 + 20 * math.log(9 / 5)) / 6)


@pytest.mark.parametrize("sparse", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr], ids=["coo", "csr"])
def test_sparse_laplacians_give_the_loss_and_gradient_of_dense_ones(sparse):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR")
        other = sparse(ring(6))
    target = faces(3, 6, 2, seed=1)
    grads, values = [], []
    for matrix in (ring(6), other):
        pred = faces(3, 6, 2).requires_grad_()
        loss = relative_location_loss(pred, target, matrix)
        loss.backward()
        values.append(loss)
        grads.append(pred.grad)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*grads)
    assert grads[0].abs().max() > 0


@settings(max_examples=40)
@given(st.floats(-200, 200), st.floats(-200, 200))
def test_relative_location_loss_does_not_see_a_shift_of_the_whole_face(x, y):
    pred, target = faces(2, 5, 2), faces(2, 5, 2, seed=1)
    shift = torch.tensor([x, y], dtype=torch.float64)
    expected = float(relative_location_loss(pred, target, ring(5)))
    assert float(relative_location_loss(pred + shift, target, ring(5))) == pytest.approx(expected, rel=1e-9)
    assert float(relative_location_loss(target + shift, target, ring(5), l1)) == pytest.approx(0, abs=1e-9)


def test_relative_location_loss_takes_soft_wing_unless_told_otherwise_and_its_gradient_is_exact():
    pred, target = faces(2, 5, 2), faces(2, 5, 2, seed=1)
    assert relative_location_loss(pred, target, ring(5)) == relative_location_loss(pred, target, ring(5), soft_wing)
    assert torch.autograd.gradcheck(lambda p: relative_location_loss(p, target, ring(5)), (pred.requires_grad_(),))


# ---------------------------------------------------------------------- shares of the image instead of pixels


def losses(pred, target, **options):
    return (
        functools.partial(landmark_loss, pred, target, **options),
        functools.partial(relative_location_loss, pred, target, ring(4).to(target), **options),
    )


@pytest.mark.parametrize("penalty", [smooth_l1, wing, soft_wing, functools.partial(soft_wing, omega1=0.1)])
def test_landmarks_as_shares_of_the_image_bring_a_warning(penalty):
    pred, target = torch.rand(2, 3, 4, 2)
    below_the_image = 1.2 * target
    for loss in [
        one for shares in (target, 2 * target - 1, below_the_image) for one in losses(pred, shares, penalty=penalty)
    ]:
        with pytest.warns(UserWarning, match=r"lie within ±2, as shares.* Soft wing is plain L1 there.* in pixels"):
            loss()


def test_soft_wing_of_landmarks_between_0_and_1_is_l1_as_the_warning_says():
    pred, target = torch.rand(2, 3, 4, 2)
    with pytest.warns(UserWarning, match="plain L1"):
        assert landmark_loss(pred, target) == landmark_loss(pred, target, l1)


def test_pixels_and_scale_free_penalties_bring_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_beyond = torch.rand(3, 4, 2)
        one_beyond[2, 3, 1] = 2.01
        for target in (faces(3, 4, 2).float(), one_beyond, -one_beyond):
            for loss in losses(torch.rand(3, 4, 2), target):
                loss()
        for penalty in (l1, l2):
            for loss in losses(torch.rand(3, 4, 2), torch.rand(3, 4, 2), penalty=penalty):
                loss()


# ---------------------------------------------------------------------- bad input

PRED = 50 + torch.zeros(2, 4, 2)
LAPLACIAN = ring(4).float()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: wing(PRED, omega=0), ValueError, "omega must be a finite number above 0; got 0"),
        (lambda: wing(PRED, epsilon=-2.0), ValueError, "epsilon must be a finite number above 0; got -2.0"),
        (lambda: soft_wing(PRED, omega1=math.nan), ValueError, "omega1 must be a finite number above 0; got nan"),
        (lambda: soft_wing(PRED, omega2=math.inf), ValueError, "omega2 must be a finite number above 0; got inf"),
        (lambda: soft_wing(PRED, epsilon="1"), TypeError, "epsilon must be a number above 0; got str '1'"),
        (lambda: adaptive_wing(PRED, theta=0.0), ValueError, "theta must be a finite number above 0; got 0.0"),
        (lambda: adaptive_wing(PRED, alpha=2.0), ValueError, "alpha must be above 1 .* the largest target, 2; got 2.0"),
        (lambda: adaptive_wing(PRED, target=50.0), ValueError, r"target must lie in \[0, 1\]; got values from 50"),
        (lambda: wing(3.0), TypeError, "residual must be a floating-point tensor; got float 3.0"),
        (lambda: soft_wing(torch.tensor([3])), TypeError, "residual must be a floating-point tensor; got .*int64"),
        (lambda: l1(PRED.numpy()), TypeError, "residual must be a floating-point tensor; got array"),
        (lambda: landmark_loss(PRED[:1], PRED), ValueError, r"pred must have shape \[2, 4, 2\]; got .*\[1, 4, 2\]"),
        (lambda: landmark_loss(PRED[..., :1], PRED), ValueError, "It must have the shape of target"),
        (lambda: landmark_loss(PRED[0], PRED[0]), ValueError, r"target must have shape \[B, N, 2\]; got .*\[4, 2\]"),
        (lambda: landmark_loss(PRED, PRED.int()), TypeError, "target must be floating point; got .*int32"),
        (lambda: landmark_loss(PRED, PRED * math.nan), ValueError, "target must be finite; got NaN"),
        (lambda: landmark_loss(PRED, None), TypeError, r"target must be a tensor \[B, N, 2\]; got NoneType"),
        (lambda: landmark_loss(PRED.numpy(), PRED), TypeError, r"pred must be a tensor \[B, N, 2\]; got array"),
        (lambda: landmark_loss(PRED[:0], PRED[:0]), ValueError, "target must hold landmarks"),
        (lambda: landmark_loss(PRED, PRED, "wing"), TypeError, "penalty must be a function .* got str 'wing'"),
        (lambda: relative_location_loss(PRED, PRED[:, :3], LAPLACIAN), ValueError, "pred must have shape"),
        (
            lambda: relative_location_loss(PRED, PRED, LAPLACIAN[:3, :3]),
            ValueError,
            r"laplacian must have shape \[4, 4\]; got tensor of shape \[3, 3\]",
        ),
        (
            lambda: relative_location_loss(PRED, PRED, LAPLACIAN != 0),
            TypeError,
            r"laplacian must be a floating-point tensor \[4, 4\]; got .*bool",
        ),
        (lambda: relative_location_loss(PRED, PRED, None), TypeError, "laplacian must be .* got NoneType"),
        (
            lambda: relative_location_loss(PRED, PRED, (LAPLACIAN != 0).float()),
            ValueError,
            r"laplacian must have rows that sum to 0, .* got a row that is 3 off\. laplacian\(adjacency\) makes one",
        ),
        (
            lambda: relative_location_loss(PRED, PRED, LAPLACIAN * math.nan),
            ValueError,
            "laplacian must have rows that sum to 0",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_nan_in_a_prediction_is_passed_on():
    broken = PRED.clone()
    broken[1, 2, 0] = torch.nan
    assert landmark_loss(broken, PRED).isnan()
    assert relative_location_loss(broken, PRED, LAPLACIAN).isnan()


# ---------------------------------------------------------------------- the exercises' versions


def test_versions_of_the_exercises_are_the_librarys():
    x = 8 * randn(50)
    torch.testing.assert_close(exercises._wing(x, 7.0, 3.0), wing(x, 7.0, 3.0))
    torch.testing.assert_close(exercises._soft_wing(x, 3.0, 9.0, 1.5), soft_wing(x, 3.0, 9.0, 1.5))
