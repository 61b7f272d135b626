"""Drawings of directions: the numbers and words on them are right."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gazecourse import angles
from gazecourse.sketches import describe_direction, direction_views, stored_as

READERS = (lambda g: g, angles.from_gazehub, angles.from_mpiifacegaze_normalized, angles.from_gaze360)


@given(st.floats(-1.4, 1.4), st.floats(-3.0, 3.0))
def test_readers_turn_what_is_shown_for_each_data_set_back_into_the_gaze(pitch, yaw):
    gaze = torch.tensor([pitch, yaw], dtype=torch.float64)
    for numbers, read in zip(stored_as(gaze).values(), READERS, strict=True):
        torch.testing.assert_close(read(numbers), gaze)


@pytest.mark.parametrize(
    ("degrees", "words"),
    [
        ((0, 0), "straight into the camera"),
        ((20, 0), "20° up"),
        ((-5, -30), "5° down and 30° to the right of the image"),
        ((0, 12), "12° to the left of the image"),
    ],
)
def test_direction_in_words(degrees, words):
    assert describe_direction(torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))) == words


def _arrow_tips(fig):
    """Where the gaze arrow of each of the three panels points, in the panel's own axes."""
    return [next(a for a in ax.texts if hasattr(a, "arrow_patch") and a.arrow_patch).xy for ax in fig.axes]


def test_arrows_point_where_the_gaze_goes_in_all_three_views():
    gaze = torch.tensor([math.radians(30), math.radians(60)])  # up, and to the left of the image
    seen, above, side = _arrow_tips(direction_views(gaze))
    x, y, z = angles.pitchyaw_to_vector(gaze).tolist()
    assert seen == pytest.approx((x, y))
    assert above == pytest.approx((x, z))
    assert side == pytest.approx((-math.hypot(x, z), y))


def test_titles_show_the_angles_in_degrees():
    fig = direction_views(torch.tensor([math.radians(-10), math.radians(25)]))
    titles = " ".join(ax.get_title() for ax in fig.axes)
    assert "yaw +25°" in titles
    assert "pitch -10°" in titles


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="gaze must have shape"):
        direction_views(torch.zeros(3))
    with pytest.raises(ValueError, match="head must have shape"):
        direction_views(torch.zeros(2), torch.zeros(1, 2))
