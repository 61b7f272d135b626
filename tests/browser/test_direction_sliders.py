"""In a real browser: a slider of the direction explorer turns the face, and the picture and its words follow."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

EXPLORER = """
from gazecourse.faces.domains import LAPTOP
from gazecourse.faces.renderer import Renderer
from gazecourse.widgets.direction_explorer import DirectionExplorer

face = LAPTOP.sample([7], people=40, seed=0, split="train")
explorer = DirectionExplorer(Renderer(96), face)
explorer.show()
"""


@pytest.fixture
def explorer(scratch):
    """A notebook whose only cell has shown an explorer; its output."""
    return scratch("explorer.ipynb", EXPLORER).run_cell(0)


def test_slider_turns_the_gaze_and_the_picture_follows(explorer):
    picture = explorer.locator("img")
    before = picture.get_attribute("src")
    slider = explorer.locator(".widget-slider", has_text="gaze yaw").locator(".noUi-handle")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    expect(explorer.locator(".widget-readout", has_text="3")).to_be_visible(timeout=30_000)
    expect(picture).not_to_have_attribute("src", before, timeout=30_000)
    expect(picture).to_have_count(1)
