"""The direction explorer without a browser: sliders turn the face, and the picture follows."""

import math

import pytest
import torch

from gazecourse.angles import angular_error
from gazecourse.faces.domains import LAPTOP
from gazecourse.faces.renderer import Renderer
from gazecourse.widgets.direction_explorer import LIMITS, DirectionExplorer
from gazecourse.widgets.screen import WIDGET_VIEW


@pytest.fixture(scope="module")
def renderer():
    return Renderer(64, "cpu")


@pytest.fixture(scope="module")
def face():
    return LAPTOP.sample([7], people=40, seed=0, split="train")


def test_labels_of_the_drawn_face_are_the_directions_asked_for(renderer, face):
    explorer = DirectionExplorer(renderer, face, gaze=(10, -25), head=(-5, 20))
    assert explorer.picture().shape == (3, 64, 64)
    _, labels = renderer.render(explorer.turned_face())
    assert angular_error(labels["gaze"][0], torch.deg2rad(torch.tensor([10.0, -25.0]))) < 0.01
    assert angular_error(labels["head"][0], torch.deg2rad(torch.tensor([-5.0, 20.0]))) < 0.01


def test_sliders_and_a_described_picture_are_shown(renderer, face, notebook):
    DirectionExplorer(renderer, face).show()
    controls, picture, spoken = notebook.shown
    assert WIDGET_VIEW in controls
    assert "Sliders" in controls["text/plain"]
    assert "straight into the camera" in picture["text/plain"]
    assert "image/jpeg" in picture
    assert "Figure:" in spoken["text/html"]


def test_moving_a_slider_redraws_the_picture_with_a_new_description(renderer, face, notebook, controls):
    explorer = DirectionExplorer(renderer, face)
    explorer.show()
    controls["gaze yaw °"].value = 30
    assert explorer.gaze.tolist() == pytest.approx([0.0, math.radians(30)])
    (data, metadata), (spoken, _) = notebook.updates[-2:]
    assert "30° to the left of the image" in data["text/plain"]
    assert metadata["image/png"]["alt"] == data["text/plain"]
    assert "30° to the left of the image" in spoken["text/html"]
    controls["gaze yaw °"].value = -30
    assert notebook.updates[-2][0]["image/png"] != data["image/png"]


def test_more_than_one_face_and_angles_beyond_the_sliders_are_refused(renderer, face):
    two = LAPTOP.sample([0, 1], people=40, seed=0, split="train")
    with pytest.raises(ValueError, match="face must be the factors of one face; got those of 2"):
        DirectionExplorer(renderer, two)
    with pytest.raises(ValueError, match=f"gaze yaw must lie within ±{LIMITS['gaze yaw']} degrees"):
        DirectionExplorer(renderer, face, gaze=(0, 90))
