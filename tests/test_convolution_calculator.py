"""The convolution calculator without a browser: its numbers against torch, its words, and what its sliders do."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gazecourse.widgets.convolution_calculator import Convolution, ConvolutionCalculator, draw
from gazecourse.widgets.screen import WIDGET_VIEW

possible = st.builds(
    Convolution,
    size=st.integers(9, 40),
    channels=st.just(4),
    kernel=st.integers(1, 9),
    stride=st.integers(1, 8),
    padding=st.integers(0, 8),
    filters=st.just(8),
    groups=st.sampled_from([1, 2, 4]),
)


# --- numbers and words --------------------------------------------------------------------------


@given(possible)
def test_numbers_are_those_of_a_real_convolution(c):
    conv = nn.Conv2d(c.channels, c.filters, c.kernel, c.stride, c.padding, groups=c.groups)
    with torch.no_grad():
        out = conv(torch.zeros(1, c.channels, c.size, c.size))
    assert out.shape[-1] == c.output
    assert c.costs(c.groups)[0] == sum(p.numel() for p in conv.parameters())


@given(possible)
def test_unread_pixels_are_those_without_a_gradient(c):
    row = torch.zeros(1, 1, c.size, requires_grad=True)
    nn.functional.conv1d(row, torch.ones(1, 1, c.kernel), stride=c.stride, padding=c.padding).sum().backward()
    assert np.array_equal(c.unread, (row.grad[0, 0] == 0).numpy())


def test_alexnet_fits_227_pixels_and_not_224():
    fits = ConvolutionCalculator().describe()
    assert "55 positions: (227 + 2·0 − 11) / 4 + 1 = 216 / 4 + 1 = 55. Every pixel is read." in fits
    assert "34,944 parameters and 105.4 M multiply-adds" in fits
    misses = ConvolutionCalculator(size=224).describe()
    assert "⌊(224 + 2·0 − 11) / 4⌋ + 1 = ⌊53.25⌋ + 1 = 54. 1 pixel of each row is never read, at the right" in misses


def test_gaps_between_positions_and_unused_padding_are_told():
    gaps = ConvolutionCalculator(size=20, kernel=2, stride=5).convolution
    assert gaps.verdict() == "12 pixels of each row are never read: 3 at the right edge and 9 between the positions."
    assert gaps.unread.sum() == 12
    padded = ConvolutionCalculator(size=224, kernel=7, stride=2, padding=3).convolution
    assert padded.verdict() == "Every pixel is read; 1 pixel of padding is left over."


def test_groups_are_compared_with_one_group():
    text = ConvolutionCalculator(27, 96, 5, 1, 2, 256, groups=2).describe()
    assert "each filter sees 48 channels; 307,456 parameters and 223.9 M multiply-adds" in text
    assert "in one group 614,656 and 447.9 M" in text


@given(possible)
def test_every_possible_convolution_is_drawn(c):
    assert draw(c).axes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 9}, "kernel must fit into the padded input. A kernel of 11 pixels does not fit into a row of 9"),
        ({"groups": 2}, "groups must divide channels and filters. 2 groups cannot share 3 input channels evenly"),
        ({"channels": 4, "groups": 4, "filters": 6}, "4 groups cannot share 6 filters evenly"),
        ({"size": 1000}, "size must be 4 or more, at most 512"),
        ({"stride": 0}, "stride must be 1 or more"),
        ({"filters": 0}, "filters must be 1 or more"),
    ],
)
def test_impossible_values_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvolutionCalculator(**arguments)


def test_fractions_of_pixels_are_refused():
    with pytest.raises(TypeError, match="padding must be a whole number"):
        ConvolutionCalculator(padding=0.5)


# --- in a notebook ------------------------------------------------------------------------------


def test_sliders_and_a_described_picture_are_shown(notebook):
    ConvolutionCalculator().show()
    controls, picture, spoken = notebook.shown
    assert WIDGET_VIEW in controls
    assert controls["text/plain"].endswith("(in a live notebook).")
    assert "image/png" in picture
    assert "Every pixel is read." in picture["text/plain"]
    assert "Figure: A row of 227 pixels" in spoken["text/html"]


def test_moving_a_slider_redraws_the_picture_and_what_is_read_out(notebook, controls):
    calculator = ConvolutionCalculator()
    calculator.show()
    controls["input size"].value = 224
    assert calculator.convolution.size == 224
    (data, metadata), (spoken, _) = notebook.updates[-2:]
    assert "1 pixel of each row is never read" in data["text/plain"]
    assert metadata["image/png"] == {"width": 800, "alt": data["text/plain"]}
    assert "1 pixel of each row is never read" in spoken["text/html"]
    controls["padding"].value = 2
    assert notebook.updates[-2][0]["image/png"] != data["image/png"]


def test_impossible_settings_are_explained_and_not_raised(notebook, controls):
    ConvolutionCalculator(size=13, kernel=3, stride=1, channels=4).show()
    controls["kernel"].value = 15
    assert "A kernel of 15 pixels does not fit into a row of 13." in notebook.updates[-2][0]["text/plain"]
    controls["groups"].value = 3
    text = notebook.updates[-2][0]["text/plain"]
    assert "3 groups cannot share 4 input channels evenly." in text
    controls["kernel"].value = 3
    assert "does not fit" not in notebook.updates[-2][0]["text/plain"]


def test_code_moves_the_sliders(notebook, controls):
    calculator = ConvolutionCalculator(filters=100)
    calculator.show()
    calculator.set(size=13, kernel=3, stride=1, padding=1, channels=256, filters=384, groups=2)
    assert [controls[name].value for name in ("input size", "stride", "input channels", "groups")] == [13, 1, 256, 2]
    assert len(notebook.updates) == 2  # the picture and what is read out, once
    with pytest.raises(ValueError, match="size must be 4 or more"):
        calculator.set(size=0)
    with pytest.raises(ValueError, match="slider must be one of 'size', 'channels'"):
        calculator.set(dilation=2)
    with pytest.raises(ValueError, match="groups must be one of 1, 2, 3"):
        calculator.set(groups=5)
    assert calculator.convolution.size == 13
