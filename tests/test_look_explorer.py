"""The look explorer without a browser: photographs, pictures of videos, the camera, and what is none of these."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from test_looking import landmarks_at, photo, told, video

from gazecourse import camera
from gazecourse.errors import CourseError
from gazecourse.looking import in_words
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


def test_places_of_faces_are_those_before_a_camera_of_this_focal_length(explorer, tmp_path):
    np.testing.assert_allclose(explorer.found[0].pose.position, [-100.0, 0.0, 700.0], atol=20.0)
    longer = LookExplorer(find, told()[0], tmp_path / "photo.png", focal=1280.0)
    np.testing.assert_allclose(longer.found[0].pose.position, [-100.0, 0.0, 1400.0], atol=40.0)


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
    explorer.open(path)
    assert "film.mp4, picture 0 of 5" in explorer.describe(), "from its beginning again"
    explorer.set(picture=3)
    assert abs(int(explorer.picture[5, 5, 0]) - 30) < 12
    explorer.open(tmp_path / "photo.png")
    with pytest.raises(ValueError, match="picture must be 0 or more, at most 0; got 1"):
        explorer.set(picture=1)


def test_camera_and_files_are_looked_at_by_buttons_and_mistakes_are_said(explorer, notebook, controls, monkeypatch):
    explorer.show()
    view, picture, _ = notebook.shown
    assert WIDGET_VIEW in view
    assert "image/jpeg" in picture
    assert controls["picture"].layout.display == "none", "a photograph has one picture"
    monkeypatch.setattr(camera, "snapshot", lambda number: photo((255, 0, 0)))
    controls["take a picture"].click()
    assert "camera 0: 2 faces" in notebook.updates[-2][0]["text/plain"]

    def missing(number):
        raise CourseError("There is no camera 0 <here>.")

    monkeypatch.setattr(camera, "snapshot", missing)
    controls["take a picture"].click()
    assert explorer._message.value == "There is no camera 0 &lt;here&gt;."
    assert len(notebook.updates) == 2, "the picture stays"
    controls["landmarks"].value = False
    assert explorer.values["landmarks"] is False
    one, other = explorer._message.value.split("<br>")
    assert one.startswith("face 1: ")
    assert other == in_words(explorer.found).splitlines()[1]


def chosen(path, name=None):
    """What the browser sends of a file."""
    now, content = datetime.now(tz=UTC), path.read_bytes()
    return ({"name": name or path.name, "type": "", "size": len(content), "content": content, "last_modified": now},)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "notes.txt is neither a photograph"),
        ("notes.jpg", "notes.jpg is no image"),
        ("empty.jpg", "empty.jpg is empty"),
        ("film.mp4", "film.mp4 is a video; open it by its path"),
    ],
)
def test_file_that_is_no_photograph_is_named_as_its_owner_knows_it(
    name, message, explorer, notebook, controls, tmp_path
):
    explorer.show()
    (tmp_path / name).write_text("" if name == "empty.jpg" else "a face")
    controls["open …"].value = chosen(tmp_path / name, f"../{name}")
    assert explorer._message.value.startswith(message)
    assert notebook.updates == [], "the picture stays"
    explorer.open(tmp_path / "photo.png")
    assert explorer._message.value.startswith("face 1: "), "what was said is over"


def test_same_file_may_be_chosen_again_and_faces_that_are_missed_are_advised_on(explorer, notebook, controls, tmp_path):
    explorer.show()
    Image.fromarray(photo((0, 0, 255))).save(tmp_path / "wall.png")
    file = chosen(tmp_path / "wall.png")
    controls["open …"].value = file
    assert explorer._message.value.startswith("No face was found. Take one in which eyes and mouth can be seen")
    explorer.open(tmp_path / "photo.png")
    controls["open …"].value = file
    assert explorer.name == "wall.png"
    controls["landmarks"].value = False
    assert explorer._message.value.startswith("No face was found.")
    controls["open …"].value = chosen(tmp_path / "photo.png")
    assert explorer.name == "photo.png"
    assert explorer._message.value.startswith("face 1: ")


def test_mistake_of_the_course_is_not_swallowed(explorer, notebook, controls, monkeypatch):
    explorer.show()

    def broken(number):
        raise AttributeError("no attribute 'setLogLevel'")

    monkeypatch.setattr(camera, "snapshot", broken)
    with pytest.raises(AttributeError):
        explorer._try(explorer.snapshot)
    assert "AttributeError: no attribute &#x27;setLogLevel&#x27;" in explorer._message.value


def title(ax):
    """The words above it."""
    return next(text for text in ax.get_children() if isinstance(text, Text) and text.get_text())


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (3000, 300), (4000, 3000)])
@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_picture_faces_and_their_titles_lie_beside_each_other(size, count, explorer):
    width, height = size
    explorer.picture = np.zeros((height, width, 3), np.uint8)
    explorer.found = explorer.found[:1] * count
    fig, _ = explorer.figure()
    fig.canvas.draw()
    whole, *faces = fig.axes
    assert len(faces) == min(count, 3)
    boxes = [ax.get_window_extent() for ax in fig.axes]
    everything = [*boxes, *(title(ax).get_window_extent() for ax in fig.axes)]
    for number, box in enumerate(everything):
        assert fig.bbox.x0 - 1 <= box.x0
        assert box.x1 <= fig.bbox.x1 + 1
        assert fig.bbox.y0 - 1 <= box.y0
        assert box.y1 <= fig.bbox.y1 + 1
        assert not any(box.overlaps(other) for other in everything[:number])
    drawn = np.asarray(whole.images[0].get_array())
    assert boxes[0].width / boxes[0].height == pytest.approx(width / height, rel=0.02)
    assert max(drawn.shape) < 3500, "reduced to what can be seen"


def test_long_names_leave_room_in_the_title(explorer):
    explorer.name = "IMG_" + 100 * "x" + " costs $5 or $6.jpg"
    fig, alt = explorer.figure()
    fig.canvas.draw()
    words = title(fig.axes[0])
    assert words.get_window_extent().x1 < fig.bbox.x1
    assert "costs $5 or $6.jpg: 1 face" in words.get_text()
    assert explorer.name in alt


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
