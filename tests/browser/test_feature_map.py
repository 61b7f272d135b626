"""In a real browser: the feature explorer's points, pickers, the face under the pointer, and the lasso."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from playwright.sync_api import expect

from gazecourse.widgets.feature_explorer import CATEGORY_COLORS

CELL = """
import torch
from gazecourse.widgets.feature_explorer import FeatureExplorer

# conv5: face 0 in the middle of a ring of 24. fc: face 0 at the left end, and the ring is a column at the right end.
angle = torch.arange(24) * 6.2832 / 24
ring = torch.stack([angle.cos(), angle.sin()], dim=1)
column = torch.stack([torch.ones(24), torch.linspace(-1, 1, 24)], dim=1)
maps = {
    "conv5": torch.cat([torch.zeros(1, 2), ring]),
    "fc": torch.cat([torch.tensor([[-1.0, 0.0]]), column]),
}
colors = {"gaze yaw (degrees)": torch.linspace(-20, 30, 25), "person": torch.arange(25) % 3 + 7}
gray = torch.arange(25, dtype=torch.uint8).mul(10)
explorer = FeatureExplorer(maps, colors, gray[:, None, None, None].expand(25, 3, 64, 64))
explorer.show()
"""
DARKEST, LIGHTEST, WHITE = to_rgb("#440154"), to_rgb("#FDE725"), (1, 1, 1)  # viridis from end to end
BLUE = to_rgb(CATEGORY_COLORS[0])


class Explorer:
    """The explorer in a notebook; places on the map are in its units, from -1 to 1."""

    def __init__(self, opened):
        self.opened, self.page = opened, opened.page
        self.output = opened.run_cell(0)
        self.plot = self.output.locator("canvas").first
        expect(self.plot).to_be_visible()

    def place(self, x, y):
        box = self.plot.bounding_box()
        unit = min(box["width"], box["height"]) / 2 / 1.05
        return box["x"] + box["width"] / 2 + unit * x, box["y"] + box["height"] / 2 - unit * y

    def point_at(self, x, y):
        """Come near first: the plot looks for points as the pointer moves."""
        left, top = self.place(x, y)
        self.page.mouse.move(left - 6, top - 6)
        self.page.mouse.move(left, top, steps=4)

    def color(self, x, y):
        """RGB of a place on the screen, each in [0, 1]."""
        left, top = self.place(x, y)
        shot = self.page.screenshot(clip={"x": left - 1, "y": top - 1, "width": 3, "height": 3})
        return tuple(np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))[1, 1] / 255)

    def wait_for_color(self, x, y, expected, seconds=20):
        self.page.mouse.move(5, 5)  # nothing under the pointer
        for _ in range(5 * seconds):
            if self.color(x, y) == pytest.approx(expected, abs=0.13):  # points let a tenth of the page through
                return
            self.page.wait_for_timeout(200)
        raise AssertionError(f"color at ({x}, {y}) is {self.color(x, y)}, not {expected}")

    def pick(self, name, value):
        self.output.locator(".widget-dropdown", has_text=name).locator("select").select_option(value)

    def face_under_pointer(self):
        return self.plot.locator("xpath=../..").locator('[style*="background-image"]')

    def strip(self):
        return self.output.locator("figure img")

    def lasso(self, x, y, reach):
        self.page.mouse.move(*self.place(x + reach, y))
        self.page.mouse.down()
        for turn in np.linspace(0, 2 * np.pi, 25):
            self.page.mouse.move(*self.place(x + reach * np.cos(turn), y + reach * np.sin(turn)))
            self.page.wait_for_timeout(30)  # as slow as a hand: the lasso skips what is faster
        self.page.mouse.up()


@pytest.fixture
def explorer(scratch):
    """A notebook without network whose first cell has shown an explorer."""
    opened = scratch("features.ipynb", CELL, "explorer.select([2, 0, 5])")
    shown = Explorer(opened)
    assert opened.errors() == []
    return shown


def test_color_picker_recolors_the_points_and_replaces_the_legend(explorer):
    explorer.wait_for_color(0, 0, DARKEST)
    explorer.wait_for_color(np.cos(23 * 2 * np.pi / 24), np.sin(23 * 2 * np.pi / 24), LIGHTEST)
    expect(explorer.output).to_contain_text("−20.0")
    explorer.pick("colored by", "person")
    explorer.wait_for_color(0, 0, BLUE)
    expect(explorer.output).not_to_contain_text("−20.0")
    explorer.pick("colored by", "gaze yaw (degrees)")
    explorer.wait_for_color(0, 0, DARKEST)


def test_stage_picker_moves_the_points_and_keeps_color_and_selection(explorer):
    explorer.lasso(0, 0, 0.3)
    expect(explorer.output).to_contain_text("Selected: 1 of 25 faces.")
    explorer.pick("stage", "fc")
    explorer.wait_for_color(-1, 0, DARKEST)
    explorer.wait_for_color(0, 0, WHITE)
    expect(explorer.output).to_contain_text("Selected: 1 of 25 faces.")
    explorer.pick("colored by", "person")
    explorer.wait_for_color(-1, 0, BLUE)
    explorer.pick("stage", "conv5")
    explorer.wait_for_color(0, 0, BLUE)


def test_changes_in_quick_succession_are_all_drawn(explorer):
    explorer.wait_for_color(0, 0, DARKEST)
    for stage, color in (("fc", "person"), ("conv5", "gaze yaw (degrees)"), ("fc", "person")):
        explorer.pick("stage", stage)
        explorer.pick("colored by", color)
    explorer.wait_for_color(-1, 0, BLUE)
    explorer.wait_for_color(0, 0, WHITE)


def test_pointing_at_a_dot_shows_its_face_and_labels(explorer):
    explorer.wait_for_color(0, 0, DARKEST)
    explorer.point_at(0, 1)  # a quarter of the ring: face 7
    face = explorer.face_under_pointer()
    expect(face).to_have_attribute("style", re.compile("data:image/jpeg;base64,"))
    tip = face.locator("xpath=ancestor::*[contains(., 'Gaze')][1]")
    expect(tip).to_contain_text("−5.4")
    seven = face.get_attribute("style")
    explorer.point_at(0, 0)
    expect(tip).to_contain_text("−20.0")
    expect(face).not_to_have_attribute("style", seven)


def test_lasso_shows_faces_and_their_labels_and_escape_lets_go(explorer):
    explorer.wait_for_color(0, 0, DARKEST)
    expect(explorer.output).to_contain_text("Selected: none of 25 faces.")
    before = explorer.output.bounding_box()["height"]
    explorer.lasso(0.707, 0.707, 0.3)  # the ring from 30° to 60°
    expect(explorer.strip()).to_have_count(3)
    assert [face.get_attribute("alt") for face in explorer.strip().all()] == ["face 3", "face 4", "face 5"]
    assert explorer.strip().first.evaluate("image => image.naturalWidth") == 64
    expect(explorer.output).to_contain_text("Selected: 3 of 25 faces.")
    expect(explorer.output).to_contain_text("person: 3 different, most often 7 (1)")
    assert explorer.output.bounding_box()["height"] == pytest.approx(before, abs=2)  # what is below does not jump
    explorer.page.keyboard.press("Escape")
    expect(explorer.output).to_contain_text("Selected: none of 25 faces.")


def test_selection_from_a_cell_fills_the_strip(explorer):
    explorer.opened.run_cell(1)
    expect(explorer.strip()).to_have_count(3)
    assert [face.get_attribute("alt") for face in explorer.strip().all()] == ["face 0", "face 2", "face 5"]


def test_saved_notebook_holds_the_picture_and_no_points(explorer, lab):
    explorer.page.keyboard.press("Control+s")
    explorer.page.wait_for_timeout(1500)
    saved = json.loads((lab.folder / "notebooks" / "features.ipynb").read_text())
    outputs = saved["cells"][0]["outputs"]
    assert [output.get("text", "") for output in outputs if output["output_type"] == "stream"] == []
    assert {"image/jpeg", "text/plain"} in [set(output["data"]) for output in outputs]
    assert "widgets" not in saved["metadata"]
