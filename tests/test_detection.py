"""Faces in a real photograph, and the boxes that the landmark network gets of them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image

from gazecourse import detection
from gazecourse.crops import face_square
from gazecourse.detection import FaceDetector, around_landmarks, opencv, union_share
from gazecourse.errors import CourseError
from gazecourse.images import read_image

FACE = (166.0, 168.0, 192.0, 158.0)
"""Of Grace Hopper in the photograph that matplotlib carries: from the brows to the chin, from ear to ear."""


@pytest.fixture(scope="module")
def hopper() -> np.ndarray:
    return read_image(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    pytest.importorskip("cv2")
    return FaceDetector()


def test_face_of_a_real_photograph_is_found_once_and_where_it_is(detector, hopper):
    before = hopper.copy()
    (box,) = detector(hopper)
    assert union_share(box, FACE) > 0.5
    square = face_square(box)
    for x, y in ((210, 250), (315, 250), (260, 315)):  # both eyes and the chin
        assert square.left < x < square.left + square.side
        assert square.top < y < square.top + square.side
    np.testing.assert_array_equal(hopper, before)


def test_two_faces_are_found_from_left_to_right(detector, hopper):
    first, second = detector(np.concatenate([hopper, hopper[:, ::-1]], axis=1))
    assert first[0] < hopper.shape[1] < second[0] + second[2]
    assert union_share((second[0] - hopper.shape[1], *second[1:]), (154.0, *FACE[1:])) > 0.5


def test_box_moves_and_grows_with_the_picture(detector, hopper):
    (box,) = detector(hopper)
    large = np.asarray(Image.fromarray(hopper).resize((1024, 1200), Image.Resampling.LANCZOS))
    (twice,) = detector(large)
    assert union_share([value / 2 for value in twice], box) > 0.7


@pytest.mark.parametrize("degrees", [-30, 30])
def test_box_of_a_head_that_leans_lies_below_its_brow_not_below_in_the_picture(detector, hopper, degrees):
    around = np.array([FACE[0] + FACE[2] / 2, FACE[1] + FACE[3] / 2])
    turned = Image.fromarray(hopper).rotate(
        degrees, Image.Resampling.BICUBIC, center=tuple(around), fillcolor=(128,) * 3
    )
    middle, leaning = (
        np.array([x + width / 2, y + height / 2])
        for ((x, y, width, height),) in (detector(hopper), detector(np.asarray(turned)))
    )
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    expected = around + np.array([[cosine, sine], [-sine, cosine]]) @ (middle - around)  # rows go down
    assert np.linalg.norm(leaning - expected) < 0.05 * FACE[2]


@pytest.mark.parametrize("degrees", [-30, 30])
def test_head_that_leans_is_found_where_it_is(detector, hopper, degrees):
    middle = (FACE[0] + FACE[2] / 2, FACE[1] + FACE[3] / 2)
    turned = Image.fromarray(hopper).rotate(degrees, Image.Resampling.BICUBIC, center=middle, fillcolor=(128,) * 3)
    (box,) = detector(np.asarray(turned))
    assert union_share(box, FACE) > 0.5
    whole = np.full((900, 1400, 3), 128, np.uint8)
    whole[150:750, 700:1212] = turned
    (moved,) = detector(whole)
    assert union_share(moved, (FACE[0] + 700, FACE[1] + 150, *FACE[2:])) > 0.5


def test_surest_try_comes_first_and_the_least_sure_one_is_only_for_those_who_look_closer(detector, hopper, monkeypatch):
    tries = list(detector.tries(hopper))
    assert len(tries) == len(detection.TRIES)
    assert tries[0] == detector(hopper)
    nothing = FaceDetector()
    monkeypatch.setattr(nothing, "_found", lambda gray, attempt, least: [] if attempt.sure else [(0.0, 0.0, 9.0, 9.0)])
    assert nothing(hopper) == []
    assert [len(found) for found in nothing.tries(hopper)] == [0, 0, 0, 0, 1]


def test_people_whom_the_first_cascade_misses_are_found_by_the_second(detector, hopper, monkeypatch):
    own, asked = FaceDetector(), []
    real = own._found

    def found(gray, attempt, least):
        asked.append((attempt.cascade, attempt.votes))
        return real(gray, attempt, least) if attempt.cascade == "alt2" else []

    monkeypatch.setattr(own, "_found", found)
    (box,) = own(hopper)
    assert union_share(box, FACE) > 0.5
    assert asked == [("alt", 4)] * 3 + [("alt2", 4)], "one vote is for who looks closer"


def test_each_try_asks_for_its_own_votes(hopper, monkeypatch):
    own, asked = FaceDetector(), []

    class Cascade:
        def detectMultiScale(self, picture, step, votes, **_):
            asked.append(votes)
            return []

    monkeypatch.setattr(own, "_cascades", dict.fromkeys(("alt", "alt2"), Cascade()))
    assert list(own.tries(hopper)) == [[]] * len(detection.TRIES)
    assert asked == [4, 4, 4, 4, 1]


def test_wall_has_no_face(detector):
    assert detector(np.full((480, 640, 3), 90, np.uint8)) == []


def test_box_around_landmarks_is_square_and_holds_the_scale_of_the_picture():
    small, large = around_landmarks((10.0, 20.0, 50.0, 50.0)), around_landmarks((20.0, 40.0, 100.0, 100.0))
    assert small[2] == small[3]
    np.testing.assert_allclose(large, np.multiply(small, 2))


def test_share_of_the_union_is_that_of_the_areas():
    assert union_share((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert union_share((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(2 / 6)
    assert union_share((0, 0, 2, 2), (2, 0, 2, 2)) == 0
    assert union_share((0, 0, 2, 2), (5, 5, 1, 1)) == 0


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), None]
)
def test_what_is_no_picture_is_named(detector, picture):
    with pytest.raises(TypeError, match=r"picture must be a uint8 array \[H, W, 3\], RGB; got"):
        detector(picture)


def test_without_opencv_and_with_its_fifth_version_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CourseError, match=r'OpenCV 4, which is not installed: pip install "opencv-python-headless<5"'):
        opencv()
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(__version__="5.0.0"))
    with pytest.raises(CourseError, match=r"OpenCV 4, and 5\.0\.0 is installed, which has no face detector: pip"):
        FaceDetector()
