"""The picture that explorers draw anew: stored with its words, and both change together."""

import pytest
from matplotlib.figure import Figure

from gazecourse.validation import check_number
from gazecourse.widgets.screen import Screen


def page(height):
    return Figure(figsize=(2, height))


@pytest.mark.parametrize(("photo", "kind"), [(True, "image/jpeg"), (False, "image/png")])
def test_picture_is_shown_with_its_description_and_both_are_replaced(photo, kind, notebook):
    screen = Screen(photo=photo)
    assert not screen.is_on
    screen.show(page(1), "a page")
    assert screen.is_on
    picture, spoken = notebook.shown
    assert kind in picture
    assert picture["text/plain"] == "a page"
    assert "a page" in spoken["text/html"]
    screen.update(page(2), "another page")
    (picture, metadata), (spoken, _) = notebook.updates
    assert metadata["image/png"] == {"width": 200, "alt": "another page"}
    assert picture["text/plain"] == "another page"
    assert "another page" in spoken["text/html"]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("1", TypeError, "x must be a number from 0 to 2; got"),
        (True, TypeError, "x must be a number from 0 to 2; got"),
        (2.1, ValueError, r"x must lie in \[0, 2\]; got 2.1"),
        (float("nan"), ValueError, r"x must lie in \[0, 2\]; got nan"),
    ],
)
def test_a_number_outside_its_range_is_named(value, error, message):
    with pytest.raises(error, match=message):
        check_number("x", value, 0, 2)
    assert check_number("x", 2, 0, 2) == 2.0
