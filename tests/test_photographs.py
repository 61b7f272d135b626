"""Rendered photographs: the same people looking the same way, somewhere in a webcam's picture, with labels that fit."""

import numpy as np
import pytest
import torch

from gazecourse.angles import angular_error
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.photographs import ASIDE, DISTANCES, PHOTO_SIZE, photographed
from gazecourse.faces.pose import head_pose
from gazecourse.faces.renderer import Renderer


@pytest.fixture(scope="module")
def factors():
    return DOMAINS["laptop"].sample(range(4), people=4, seed=0, split="test")


@pytest.fixture(scope="module")
def rendered(factors):
    photos = photographed(factors)
    return photos, *Renderer(PHOTO_SIZE, "cpu").render(photos)


def test_gaze_and_head_pose_in_the_cameras_frame_stay_what_they_were(factors, rendered):
    _, before = Renderer(32, "cpu").render(factors)
    _, _, after = rendered
    assert angular_error(before["gaze"], after["gaze"]).max() < 0.01
    assert angular_error(before["head"], after["head"]).max() < 0.01


def test_landmarks_lie_where_the_camera_projects_the_head(rendered):
    photos, images, labels = rendered
    assert images.shape == (4, 3, *PHOTO_SIZE)
    width = PHOTO_SIZE[1]
    lens = photos.camera.clone()
    lens[:, :2] *= width
    for row in range(4):
        found = head_pose(labels["landmarks"][row], lens[row])
        assert found.error < 4.0, "pixels"
        np.testing.assert_allclose(found.position, photos.head_position[row], atol=40.0)
        projected = lens[row] @ labels["face_center"][row]
        middle = labels["landmarks"][row, [36, 39, 42, 45, 48, 54]].mean(0)
        assert (projected[:2] / projected[2] - middle).norm() < 15.0


def test_faces_stand_anywhere_in_the_picture_and_never_leave_it():
    some = DOMAINS["laptop"].sample(range(200), people=40, seed=0, split="test")
    place = photographed(some).head_position
    assert (place[:, 2] >= DISTANCES[0]).all()
    assert (place[:, 2] <= DISTANCES[1]).all()
    for axis, most in enumerate(ASIDE):
        share = place[:, axis] / place[:, 2]
        assert share.abs().max() <= most
        assert share.std() > most / 3


def test_a_face_has_its_place_whatever_faces_are_beside_it_and_another_with_another_seed(factors):
    whole = photographed(factors)
    assert torch.equal(photographed(factors[torch.tensor([2])]).head_position, whole.head_position[2:3])
    assert not torch.equal(photographed(factors, seed=1).head_position, whole.head_position)


def test_blur_stays_what_it_was_on_the_face(factors):
    factors = factors.replace(defocus=0.01)
    photos = photographed(factors)

    def face_width(some):
        return some.camera[:, 0, 0] / some.head_position[:, 2]

    torch.testing.assert_close(photos.defocus / face_width(photos), factors.defocus / face_width(factors))


def test_what_is_no_face_and_a_focal_length_of_zero_are_refused_by_name(factors):
    with pytest.raises(TypeError, match="factors must be Factors"):
        photographed("a face")
    with pytest.raises(ValueError, match="focal"):
        photographed(factors, focal=0.0)
    with pytest.raises(ValueError, match="seed"):
        photographed(factors, seed=-1)
