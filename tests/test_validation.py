"""Argument checks: what passes comes back unchanged, what does not is named."""

import warnings

import numpy as np
import pytest
import torch

from gazecourse.validation import check_array, check_choice, check_positive, describe


@pytest.mark.parametrize("value", [np.zeros((4, 2)), torch.zeros(4, 2)])
@pytest.mark.parametrize("shape", [None, (4, 2), ("N", 2), ("...", 2), ("...", "N", 2), ("...",)])
def test_a_fitting_array_or_tensor_comes_back_as_the_same_object(value, shape):
    assert check_array("gaze", value, shape, low=0, high=0) is value


@pytest.mark.parametrize("shape", [(4,), (4, 3), (2, 4), ("N", 3), ("...", 3), ("...", 1, 4, 2), ()])
def test_a_wrong_shape_is_refused_in_words(shape):
    with pytest.raises(ValueError, match=r"gaze must have shape \[.*\]; got tensor of shape \[4, 2\], float32"):
        check_array("gaze", torch.zeros(4, 2), shape)


def test_leading_axes_may_be_none_at_all():
    assert check_array("gaze", np.zeros(2), ("...", 2)).shape == (2,)


@pytest.mark.parametrize("value", [[0.0, 1.0], 0.5, None, "gaze"])
def test_what_is_no_array_is_a_type_error(value):
    with pytest.raises(TypeError, match="gaze must be a tensor or array; got"):
        check_array("gaze", value)


@pytest.mark.parametrize("value", [np.zeros(2, int), torch.zeros(2, dtype=torch.uint8), np.zeros(2, bool)])
def test_integers_are_refused_unless_allowed(value):
    with pytest.raises(TypeError, match="gaze must be floating point"):
        check_array("gaze", value)
    assert check_array("gaze", value, floating=False) is value


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_nan_and_infinity_are_refused_unless_allowed(bad, make):
    value = make([0.0, bad])
    with pytest.raises(ValueError, match="gaze must be finite; got NaN or infinity"):
        check_array("gaze", value)
    assert check_array("gaze", value, finite=False) is value


def test_range_is_inclusive_and_named():
    value = torch.tensor([0.0, 1.0])
    assert check_array("image", value, low=0, high=1) is value
    with pytest.raises(ValueError, match=r"image must lie in \[0, 0.5\]; got values from 0 to 1"):
        check_array("image", value, low=0, high=0.5)
    with pytest.raises(ValueError, match=r"image must lie in \[0.5, inf\]"):
        check_array("image", value, low=0.5)
    with pytest.raises(ValueError, match=r"image must lie in \[-inf, 0.5\]"):
        check_array("image", value, high=0.5)


def test_an_empty_array_has_no_values_out_of_range():
    assert check_array("image", np.zeros((0, 2)), ("N", 2), low=0, high=1).shape == (0, 2)


def test_the_hint_ends_the_message():
    with pytest.raises(ValueError, match=r"Vectors go through vector_to_pitchyaw first\.$"):
        check_array("gaze", np.zeros(3), (2,), hint="Vectors go through vector_to_pitchyaw first.")


@pytest.fixture
def every_warning():
    """PyTorch gives most warnings once a process only; here it gives them each time."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def test_a_tensor_that_needs_a_gradient_is_checked_without_a_warning(every_warning):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_array("gaze", torch.zeros(2, requires_grad=True), low=-1, high=1)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(2), np.int64(3)])
def test_positive_numbers_pass(value):
    assert check_positive("focal", value) == value


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
def test_other_numbers_are_refused(value):
    with pytest.raises(ValueError, match="focal must be a finite number above 0; got"):
        check_positive("focal", value)


@pytest.mark.parametrize("value", ["1", None, True, [1.0], torch.ones(1)])
def test_what_is_no_number_is_a_type_error(value):
    with pytest.raises(TypeError, match="focal must be a number above 0; got"):
        check_positive("focal", value)


def test_a_choice_outside_the_list_is_refused_with_the_list():
    assert check_choice("profile", "quick", ("quick", "full")) == "quick"
    with pytest.raises(ValueError, match="profile must be one of 'quick', 'full'; got 'fast'"):
        check_choice("profile", "fast", ("quick", "full"))


def test_describe_is_short_whatever_comes():
    assert describe(torch.zeros(2, 3)) == "tensor of shape [2, 3], float32"
    assert describe(np.zeros((), np.uint8)) == "array of shape [], uint8"
    assert describe("x" * 1000).startswith("str 'xxx")
    assert len(describe("x" * 1000)) < 80
