"""In a real browser: a slider of the convolution calculator redraws its picture and its description."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

CALCULATOR = """
from gazecourse.widgets.convolution_calculator import ConvolutionCalculator

ConvolutionCalculator(size=227, kernel=11, stride=4).show()
"""


@pytest.fixture
def calculator(scratch):
    """A notebook whose only cell has shown a calculator; its output."""
    output = scratch("calculator.ipynb", CALCULATOR).run_cell(0)
    expect(output.locator(".widget-slider")).to_have_count(7)
    return output


def test_slider_changes_the_picture_and_what_is_read_out(calculator, move):
    picture = calculator.locator("img")
    before = picture.get_attribute("src")
    expect(calculator).to_contain_text("Every pixel is read.")
    move(calculator, "input size", "ArrowLeft", 3)
    expect(calculator).to_contain_text("1 pixel of each row is never read", timeout=30_000)
    expect(calculator).to_contain_text("54 positions")
    expect(picture).not_to_have_attribute("src", before)
    expect(picture).to_have_count(1)


def test_impossible_settings_are_explained_in_words(calculator, move):
    move(calculator, "groups", "ArrowRight", 1)
    expect(calculator).to_contain_text("2 groups cannot share 3 input channels evenly.", timeout=30_000)
    move(calculator, "groups", "ArrowRight", 1)
    expect(calculator).to_contain_text("each filter sees 1 channel;", timeout=30_000)
