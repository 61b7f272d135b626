"""In a real browser: the controls of the purification explorer redraw its picture, and the picture stays one."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

EXPLORER = """
import torch

from gazecourse.faces.domains import LAPTOP
from gazecourse.faces.renderer import Renderer
from gazecourse.widgets.purification_explorer import PurificationExplorer

images, labels = Renderer(96, "cpu").render(LAPTOP.sample([7], people=40, seed=0, split="train"))
image = images[0]
reconstruction = torch.nn.functional.avg_pool2d(image, 7, stride=1, padding=3)
explorer = PurificationExplorer(image, reconstruction, labels["eye_centers"][0])
explorer.show()
"""


@pytest.fixture
def explorer(scratch):
    """A notebook whose only cell has shown an explorer; its output."""
    return scratch("explorer.ipynb", EXPLORER).run_cell(0)


def test_controls_redraw_the_picture_and_its_description(explorer):
    picture = explorer.locator("img")
    before = picture.get_attribute("src")
    expect(explorer).to_contain_text("k = 0.75, Gaussian attention")

    slider = explorer.locator(".widget-slider", has_text="k (truncation)").locator(".noUi-handle")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    expect(explorer.locator(".widget-readout", has_text="0.78")).to_be_visible(timeout=30_000)
    expect(explorer).to_contain_text("k = 0.78", timeout=30_000)
    expect(picture).not_to_have_attribute("src", before, timeout=30_000)

    explorer.locator(".widget-dropdown", has_text="attention").locator("select").select_option("none")
    expect(explorer).to_contain_text("every pixel counts alike", timeout=30_000)
    before = picture.get_attribute("src")
    explorer.locator(".widget-checkbox input").check()
    expect(explorer).to_contain_text("its negative 1 − I", timeout=30_000)
    expect(picture).not_to_have_attribute("src", before, timeout=30_000)
    expect(picture).to_have_count(1)
