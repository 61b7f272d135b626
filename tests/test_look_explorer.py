"""The look explorer without a browser: photographs, pictures of videos, the camera, and what is none of these."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from test_looking import landmarks_at, photo, told, video

from gazecourse import camera
from gazecourse.errors import CourseError
from gazecourse.widgets.look_explorer import LookExplorer
from gazecourse.widgets.screen import WIDGET_VIEW


def find(picture):
    """A face in every picture that is not blue; red pictures have two."""
    red, _, blue = (int(value) for value in picture[5, 5])
    one = landmarks_at([-100.0, 0.0, 700.0])
    return [] if blue > 200 else [one, landmarks_at([100.0, 0.0, 700.0])] if red > 200 else [one]


@pytest.fixture
def explorer(tmp_path):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    return LookExplorer(find, told()[0], tmp_path / "photo.png")


def test_picture_shows_arrows_and_the_face_as_the_network_sees_it(explorer):
    fig, alt = explorer.figure()
    whole, face = fig.axes
    drawn = np.asarray(whole.images[0].get_array())
    assert (drawn != photo()).any()
    assert np.asarray(face.images[0].get_array()).shape == (112, 112, 3)
    assert alt.startswith("photo.png: 1 face. An arrow shows where each looks: face 1: 0° ")
    explorer.set(landmarks=False)
    bare = np.asarray(explorer.figure()[0].axes[0].images[0].get_array())
    assert (bare != drawn).any()


def test_photograph_without_a_face_says_so(explorer, tmp_path):
    Image.fromarray(photo((0, 0, 255))).save(tmp_path / "wall.png")
    explorer.open(tmp_path / "wall.png")
    fig, alt = explorer.figure()
    assert alt == "wall.png: no face was found."
    assert len(fig.axes) == 1


def test_slider_walks_through_a_video(explorer, tmp_path):
    path = video(tmp_path / "film.mp4", 5)  # its red grows by ten from picture to picture
    explorer.open(path)
    assert "film.mp4, picture 0 of 5" in explorer.describe()
    explorer.set(picture=3)
    assert abs(int(explorer.picture[5, 5, 0]) - 30) < 12
    with pytest.raises(ValueError, match="picture must be 0 or more, at most 4; got 5"):
        explorer.set(picture=5)
    explorer.open(tmp_path / "photo.png")
    with pytest.raises(ValueError, match="picture must be 0 or more, at most 0; got 1"):
        explorer.set(picture=1)


def test_camera_and_files_are_looked_at_by_buttons_and_mistakes_are_said(explorer, notebook, controls, monkeypatch):
    explorer.show()
    view, picture, _ = notebook.shown
    assert WIDGET_VIEW in view
    assert "image/jpeg" in picture
    assert controls["picture"].disabled
    monkeypatch.setattr(camera, "snapshot", lambda number: photo((255, 0, 0)))
    controls["take a picture"].click()
    assert "camera 0: 2 faces" in notebook.updates[-2][0]["text/plain"]

    def missing(number):
        raise CourseError("There is no camera 0 <here>.")

    monkeypatch.setattr(camera, "snapshot", missing)
    controls["take a picture"].click()
    assert explorer._message.value == "There is no camera 0 &lt;here&gt;."
    assert len(notebook.updates) == 2, "the picture stays"
    explorer._try(lambda: explorer._uploaded(({"name": "../notes.txt", "content": b"a face"},)))
    assert "notes.txt is neither a photograph" in explorer._message.value
    controls["landmarks"].value = False
    assert explorer.values["landmarks"] is False
    assert explorer._message.value == ""


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"picture": 0.5}, TypeError, "picture must be a whole number"),
        ({"landmarks": 1}, TypeError, "landmarks must be True or False; got"),
        ({"arrows": True}, ValueError, "control must be one of 'picture', 'landmarks'"),
    ],
)
def test_bad_values_are_named(explorer, options, error, message):
    with pytest.raises(error, match=message):
        explorer.set(**options)
