"""Calibration: most probable offset and matrix of a person, how people differ, and what bad input gets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from gazecourse.calibration import FEWEST, Calibration, Spread, calibrate, spread_of

SPREAD = Spread(noise=0.07, offset=0.05, slope=0.2)
angles = st.floats(-1.0, 1.0, width=32)


def of_people(count, pictures, noise, offset, slope, seed=0):
    """Predictions and truth of people whose errors are drawn with that spread."""
    draw = np.random.default_rng(seed)
    person = np.repeat(np.arange(count), pictures)
    gaze = draw.uniform(-0.5, 0.5, (count * pictures, 2))
    b, s = draw.normal(0, offset, (count, 2)), draw.normal(0, slope, (count, 2, 2))
    errors = b[person] + np.einsum("nij,nj->ni", s[person], gaze) + draw.normal(0, noise, gaze.shape)
    return gaze, gaze + errors, person


@given(arrays(np.float64, (6, 2), elements=angles), arrays(np.float64, (6, 2), elements=angles))
def test_it_is_the_minimum_of_squared_errors_and_squared_coefficients(gaze, errors):
    def cost(values):
        b, s = values[:2], values[2:].reshape(2, 2)
        left = errors - b - gaze @ s.T
        return (left**2).sum() / SPREAD.noise**2 + (b**2).sum() / SPREAD.offset**2 + (s**2).sum() / SPREAD.slope**2

    found = calibrate(gaze, gaze + errors, SPREAD)
    best = minimize(cost, np.zeros(6), method="BFGS", options={"gtol": 1e-8})
    assert cost(np.concatenate([found.offset, found.slope.ravel()])) <= best.fun + 1e-6 * (1 + best.fun)


def test_many_pictures_show_offset_and_matrix_exactly_which_row_is_which():
    offset, slope = np.array([0.1, -0.2]), np.array([[0.0, 0.3], [-0.1, 0.0]])
    gaze = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 2))
    true = gaze + offset + gaze @ slope.T
    found = calibrate(gaze, true, Spread(1e-4, 1.0, 1.0))
    np.testing.assert_allclose(found.offset, offset, atol=1e-5)
    np.testing.assert_allclose(found.slope, slope, atol=1e-5)
    np.testing.assert_allclose(found(gaze), true, atol=1e-5)


def test_a_single_picture_is_believed_as_far_as_offsets_spread_beyond_noise():
    found = calibrate(np.zeros((1, 2)), np.array([[0.1, -0.1]]), Spread(0.1, 0.2, 0.3))
    np.testing.assert_allclose(found.offset, np.array([0.1, -0.1]) * 0.04 / (0.04 + 0.01))
    assert not found.slope.any(), "a picture with gaze straight ahead says nothing of the matrix"


def test_where_people_do_not_differ_nothing_is_corrected():
    gaze, true, _ = of_people(1, 9, 0.1, 0.0, 0.0)
    found = calibrate(gaze, true, Spread(0.1, 0.0, 0.0))
    np.testing.assert_array_equal(found(gaze), gaze)


def test_a_person_of_whom_only_offsets_are_known_to_vary_gets_an_offset_alone():
    gaze, true, _ = of_people(1, 9, 0.1, 0.1, 0.5)
    found = calibrate(gaze, true, Spread(0.1, 0.1, 0.0))
    assert not found.slope.any()
    assert found.offset.any()


@pytest.mark.parametrize(("noise", "offset", "slope"), [(0.05, 0.08, 0.2), (0.1, 0.05, 0.0), (0.02, 0.0, 0.1)])
def test_spread_is_found_again_in_people_who_were_drawn_with_it(noise, offset, slope):
    found = spread_of(*of_people(2_000, 20, noise, offset, slope))
    assert found.noise == pytest.approx(noise, rel=0.02)
    assert found.offset == pytest.approx(offset, rel=0.06, abs=0.006)
    assert found.slope == pytest.approx(slope, rel=0.06, abs=0.03)


def test_calibrated_errors_fall_with_the_number_of_pictures_and_never_begin_above_those_without():
    gaze, true, person = of_people(400, 40, 0.07, 0.06, 0.15)
    others = person >= 200
    spread = spread_of(gaze[others], true[others], person[others])
    errors = []
    for count in (0, 1, 3, 9, 27):
        rest = []
        for one in range(200):
            mine, yours = gaze[person == one], true[person == one]
            correct = calibrate(mine[:count], yours[:count], spread) if count else (lambda gaze: gaze)
            rest.append(np.linalg.norm(correct(mine[30:]) - yours[30:], axis=1).mean())
        errors.append(np.mean(rest))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1.06 * 0.07 * math.sqrt(math.pi / 2), "near to what noise alone leaves"


def test_tensors_are_taken_and_any_leading_axes():
    correct = Calibration(np.array([0.1, 0.0]), np.zeros((2, 2)))
    assert correct(torch.zeros(3, 4, 2)).shape == (3, 4, 2)
    calibrate(torch.zeros(2, 2, requires_grad=True), torch.zeros(2, 2), SPREAD)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: calibrate(np.zeros((0, 2)), np.zeros((0, 2)), SPREAD), ValueError, "at least one picture"),
        (lambda: calibrate(np.zeros((3, 2)), np.zeros((2, 2)), SPREAD), ValueError, r"true must have shape \[3, 2\]"),
        (lambda: calibrate(np.zeros((3, 3)), np.zeros((3, 3)), SPREAD), ValueError, "predicted must have shape"),
        (lambda: calibrate(np.full((1, 2), np.nan), np.zeros((1, 2)), SPREAD), ValueError, "predicted must be finite"),
        (lambda: calibrate([[0.0, 0.0]], np.zeros((1, 2)), SPREAD), TypeError, "predicted must be a tensor or array"),
        (lambda: Spread(0.0, 0.1, 0.1), ValueError, "noise must be"),
        (lambda: Spread(0.1, -0.1, 0.1), ValueError, "offset must be"),
        (lambda: spread_of(*of_people(1, 9, 0.1, 0.1, 0.1)), ValueError, "two people or more"),
        (lambda: spread_of(*of_people(5, FEWEST - 1, 0.1, 0.1, 0.1)), ValueError, "two people or more"),
        (lambda: spread_of(np.zeros((8, 2)), np.zeros((8, 2)), np.arange(8) % 2), ValueError, "have errors"),
        (lambda: spread_of(np.zeros((8, 2)), np.ones((8, 2)), np.zeros(7, int)), ValueError, "person must have shape"),
        (lambda: Calibration(np.zeros(2), np.zeros((2, 2)))(np.zeros(3)), ValueError, "predicted must have shape"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
