"""Rendered photographs: the same people looking the same way, somewhere in a webcam's picture, with labels that fit."""

import numpy as np
import pytest
import torch

from gazecourse.angles import angular_error, pitchyaw_to_vector
from gazecourse.faces.domains import DOMAINS, NORMALIZED_DISTANCE, NORMALIZED_FOCAL, NORMALIZED_SIZE
from gazecourse.faces.photographs import ASIDE, DISTANCES, PHOTO_SIZE, photographed, render_photographs
from gazecourse.faces.pose import head_pose
from gazecourse.faces.renderer import Renderer
from gazecourse.normalization import normalize


@pytest.fixture(scope="module")
def factors():
    return DOMAINS["laptop"].sample(range(4), people=4, seed=0, split="test")


@pytest.fixture(scope="module")
def rendered(factors):
    photos = photographed(factors)
    pictures, labels = Renderer(PHOTO_SIZE, "cpu").render(photos)
    return photos, pictures, labels | {"gaze_vector": pitchyaw_to_vector(labels["gaze"].double()).numpy()}


def test_whoever_normalizes_the_photograph_gets_the_face_that_it_was_drawn_from(factors, rendered):
    size = 112
    images, before = Renderer(size, "cpu").render(factors)
    photos, pictures, after = rendered
    lens = photos.camera.double().numpy()
    lens[:, :2] *= PHOTO_SIZE[1]
    for row in range(len(factors)):
        picture = (255 * pictures[row]).round().byte().permute(1, 2, 0).numpy()
        position, rotation = photos.head_position[row].double().numpy(), photos.head_rotation[row].double().numpy()
        focal = NORMALIZED_FOCAL / NORMALIZED_SIZE * size
        face = normalize(
            picture, lens[row], position, rotation, focal=focal, distance=NORMALIZED_DISTANCE, size=(size, size)
        )
        gaze = torch.from_numpy(face.rotate(after["gaze_vector"][row]))
        assert angular_error(gaze, pitchyaw_to_vector(before["gaze"][row].double())) < 0.05
        assert angular_error(torch.from_numpy(face.head), before["head"][row].double()) < 0.05
        inner = face.warp_points(after["landmarks"][row].double().numpy())[17:]
        wanted = before["landmarks"][row].double().numpy()[17:]
        off = (inner - inner.mean(0)) - (wanted - wanted.mean(0))  # cuts of a domain are a little off center
        assert np.abs(off).max() < 2.5, "pixels of 112: another distance, another perspective"
        here = torch.from_numpy(face.image).float().mean()
        assert abs(here - 255 * images[row].mean()) < 30, "and as much light"


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


def test_light_falls_on_the_head_as_it_did(factors):
    photos = photographed(factors)

    def in_the_heads_frame(some):
        return some.light_direction @ some.head_rotation  # rows: Rᵀ l

    torch.testing.assert_close(in_the_heads_frame(photos), in_the_heads_frame(factors), atol=1e-5, rtol=0)
    assert not torch.allclose(photos.light_direction, factors.light_direction, atol=0.01)


def test_blur_stays_what_it_was_on_the_face_and_the_sensor_has_the_pictures_pixels(factors):
    factors = factors.replace(defocus=0.01, motion=torch.tensor([0.02, -0.01]), resolution=0.3)
    photos = photographed(factors)
    assert (photos.resolution == 1).all()

    def face_width(some):
        return some.camera[:, 0, 0] / some.head_position[:, 2]

    torch.testing.assert_close(photos.defocus / face_width(photos), factors.defocus / face_width(factors))
    widths = face_width(photos).unsqueeze(1), face_width(factors).unsqueeze(1)
    torch.testing.assert_close(photos.motion / widths[0], factors.motion / widths[1])


def test_photographs_are_drawn_four_at_a_time_with_all_labels_in_order():
    photos = photographed(DOMAINS["laptop"].sample(range(6), people=6, seed=0, split="test"))
    pictures, labels = render_photographs(photos)
    assert pictures.dtype == torch.uint8
    assert pictures.shape == (6, 3, *PHOTO_SIZE)
    renderer = Renderer(PHOTO_SIZE, "cpu")
    for rows in (torch.arange(4), torch.arange(4, 6)):
        images, own = renderer.render(photos[rows])
        assert torch.equal(pictures[rows], (255 * images).round().byte())
        assert own.keys() == labels.keys()
        assert all(torch.equal(labels[name][rows], values) for name, values in own.items())


def test_what_is_no_face_and_a_focal_length_of_zero_are_refused_by_name(factors):
    with pytest.raises(TypeError, match="factors must be Factors"):
        photographed("a face")
    with pytest.raises(TypeError, match="factors must be Factors"):
        render_photographs("a face")
    with pytest.raises(ValueError, match="factors must hold at least one face; got none"):
        render_photographs(factors[torch.tensor([], dtype=torch.long)])
    with pytest.raises(ValueError, match="focal"):
        photographed(factors, focal=0.0)
    with pytest.raises(ValueError, match="seed"):
        photographed(factors, seed=-1)
