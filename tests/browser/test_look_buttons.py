"""In a real browser: photographs, files that are none, and the camera; the explorer says what it cannot use."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image
from playwright.sync_api import expect

from gazecourse.lab import LARGEST_UPLOAD
from gazecourse.video import VideoWriter

EXPLORER = """
import torch

from gazecourse.looking import Gazer, finder
from gazecourse.widgets.look_explorer import LookExplorer

def forward(model, batch):
    return torch.zeros(len(batch.image), 2)

explorer = LookExplorer(finder(), Gazer(torch.nn.Linear(1, 1), forward, 112), "hopper.jpg")
explorer.show()
"""
PLUG_IN = """
import cv2

real = cv2.VideoCapture
cv2.VideoCapture = lambda number: real("camera.mp4")
"""


@pytest.fixture(scope="module")
def files(lab):
    """Beside the notebooks: a photograph, and files that are none, or show nobody."""
    folder = lab.folder / "notebooks"
    photo = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    photo.save(folder / "hopper.jpg")
    both = Image.new("RGB", (2 * photo.width, photo.height))
    for x in (0, photo.width):
        both.paste(photo, (x, 0))
    both.save(folder / "both.jpg")
    (folder / "notes.jpg").write_text("no picture")
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
    Image.fromarray(noise).save(folder / "large.bmp")  # 12 MB
    with VideoWriter(folder / "camera.mp4", 10.0) as writer:
        for _ in range(10):
            writer.write(np.asarray(photo))
    return folder


@pytest.fixture
def explorer(files, scratch):
    """A notebook whose first cell has shown an explorer of a photograph, open at it."""
    opened = scratch("look.ipynb", EXPLORER, PLUG_IN)
    expect(opened.run_cell(0)).to_contain_text("hopper.jpg: 1 face.")
    return opened


def choose(opened, file):
    """Click the button, and choose a file in the browser's dialog."""
    with opened.page.expect_file_chooser() as dialog:
        opened.output(0).get_by_role("button", name="open …").click()
    dialog.value.set_files(file)


def test_photographs_are_looked_at_and_what_is_none_is_named(explorer, files):
    output, picture = explorer.output(0), explorer.output(0).locator("img")
    first = picture.get_attribute("src")
    choose(explorer, files / "both.jpg")
    expect(output).to_contain_text("both.jpg: 2 faces.")
    expect(picture).not_to_have_attribute("src", first)
    before = picture.get_attribute("src")
    choose(explorer, files / "notes.jpg")
    expect(output.locator(".widget-html")).to_have_text("notes.jpg is no image, or of a format that cannot be read.")
    expect(picture).to_have_attribute("src", before)
    assert (files / "large.bmp").stat().st_size > 10 * 2**20, "above what the server takes by itself"
    assert (files / "large.bmp").stat().st_size < LARGEST_UPLOAD
    choose(explorer, files / "large.bmp")
    expect(output).to_contain_text("large.bmp: no face was found.")
    expect(output.locator(".widget-html")).to_contain_text("Take one in which eyes and mouth can be seen")
    choose(explorer, files / "both.jpg")  # once more
    expect(output).to_contain_text("both.jpg: 2 faces.")
    expect(output.locator(".widget-html")).to_contain_text("face 2: ")
    expect(picture).to_have_count(1)


def test_camera_takes_a_picture_or_says_that_there_is_none(explorer, files):
    output = explorer.output(0)
    camera = output.get_by_role("button", name="take a picture")
    explorer.run_cell(1)
    camera.click()
    expect(output).to_contain_text("camera 0: 1 face.")
    (files / "camera.mp4").unlink()
    camera.click()
    expect(output.locator(".widget-html")).to_contain_text(re.compile("There is no camera 0|Camera 0 does not open"))
