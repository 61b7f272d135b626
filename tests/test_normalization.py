"""The normalized camera: geometry by hand and by projection, and the warped image against one drawn directly."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gazecourse import normalization
from gazecourse.angles import angular_error, pitchyaw_to_rotation, pitchyaw_to_vector, vector_to_pitchyaw
from gazecourse.faces.domains import LAPTOP
from gazecourse.faces.renderer import Renderer
from gazecourse.normalization import normalize, normalizing_rotation, warp_image, warp_points

CAMERA = np.array([[620.0, 0.0, 330.0], [0.0, 610.0, 236.0], [0.0, 0.0, 1.0]])
BLANK = np.zeros((480, 640, 3), np.uint8)
IDENTITY = np.eye(3)


def roll(angle):
    return np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])


def project(camera, points):
    homogeneous = points @ camera.T
    return homogeneous[..., :2] / homogeneous[..., 2:]


face_centers = st.tuples(st.floats(-300, 300), st.floats(-200, 200), st.floats(300, 1500)).map(np.array)
heads = st.builds(
    lambda pitch, yaw, tilt: pitchyaw_to_rotation(np.array([pitch, yaw])) @ roll(tilt),
    st.floats(-0.9, 0.9),
    st.floats(-0.9, 0.9),
    st.floats(-0.9, 0.9),
)
face_points = np.random.default_rng(0).uniform(-80, 80, size=(20, 3))  # millimeters, in the head's frame


@given(face_centers, heads)
def test_rotation_looks_at_the_face_with_the_heads_x_axis_horizontal(center, head):
    rotation = normalizing_rotation(center, head)
    np.testing.assert_allclose(rotation @ rotation.T, IDENTITY, atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation @ center, (0, 0, np.linalg.norm(center)), atol=1e-9)
    head_x = rotation @ head[:, 0]
    assert head_x[1] == pytest.approx(0, abs=1e-12)
    assert head_x[0] > 0


def test_rotation_of_a_face_45_degrees_to_the_right_by_hand():
    root = math.sqrt(0.5)
    expected = [[root, 0, -root], [0, 1, 0], [root, 0, root]]
    np.testing.assert_allclose(normalizing_rotation(np.array([500.0, 0, 500]), IDENTITY), expected, atol=1e-12)


def test_rotation_takes_batches_and_tensors_and_is_differentiable():
    centers = torch.tensor([[10.0, -20.0, 500.0], [100.0, 50.0, 900.0]], dtype=torch.float64, requires_grad=True)
    head = pitchyaw_to_rotation(torch.tensor([[0.1, 0.2], [-0.3, 0.4]], dtype=torch.float64))
    batch = normalizing_rotation(centers, head)
    assert batch.shape == (2, 3, 3)
    one = normalizing_rotation(centers[1].detach().numpy(), head[1].numpy())
    np.testing.assert_allclose(batch[1].detach().numpy(), one, atol=1e-12)
    assert torch.autograd.gradcheck(lambda center: normalizing_rotation(center, head), (centers,))


def test_warp_is_the_papers_product_of_camera_zoom_rotation_and_inverse_camera():
    center, head = np.array([80.0, -40.0, 900.0]), pitchyaw_to_rotation(np.array([0.2, -0.3])) @ roll(0.2)
    result = normalize(BLANK, CAMERA, center, head, focal=1600, distance=1000, size=(200, 100))
    virtual_camera = np.array([[1600, 0, 100], [0, 1600, 50], [0, 0, 1.0]])
    zoom = np.diag([1, 1, 1000 / np.linalg.norm(center)])
    np.testing.assert_allclose(result.warp, virtual_camera @ zoom @ result.rotation @ np.linalg.inv(CAMERA))
    assert result.image.shape == (100, 200, 3)
    seen_focal = 1600 * np.linalg.norm(center) / 1000
    np.testing.assert_allclose(result.camera_matrix, [[seen_focal, 0, 100], [0, seen_focal, 50], [0, 0, 1]])


@given(face_centers, heads)
def test_warping_pixels_equals_projecting_with_the_virtual_camera(center, head):
    """Independent of W: points of the head, seen by the real camera and warped, or seen by the turned, zoomed one."""
    points = face_points @ head.T + center
    assume(points[:, 2].min() > 50)
    result = normalize(BLANK, CAMERA, center, head, size=(32, 32))
    seen_by_virtual = project(result.camera_matrix, points @ result.rotation.T)
    np.testing.assert_allclose(result.warp_points(project(CAMERA, points)), seen_by_virtual, atol=1e-6)


@given(face_centers, heads)
def test_face_center_lands_in_the_middle_of_the_image(center, head):
    result = normalize(BLANK, CAMERA, center, head, size=(60, 36))
    np.testing.assert_allclose(result.warp_points(project(CAMERA, center)), (30, 18), atol=1e-8)


@given(face_centers, heads)
def test_a_face_has_the_same_size_wherever_it_is(center, head):
    """A short bar at the face center, across the line of sight, is focal / distance pixels a millimeter."""
    result = normalize(BLANK, CAMERA, center, head, size=(32, 32))
    bar = np.array([[-0.5, 0, 0], [0.5, 0, 0]]) @ result.rotation + center
    left, right = result.warp_points(project(CAMERA, bar))
    np.testing.assert_allclose(right - left, (960 / 600, 0), atol=1e-6)


@given(face_centers, heads)
def test_gaze_label_is_rotated_by_R_only(center, head):
    result = normalize(BLANK, CAMERA, center, head, size=(32, 32))
    into_the_camera = -center / np.linalg.norm(center)
    np.testing.assert_allclose(result.rotate(into_the_camera), (0, 0, -1), atol=1e-12)
    a, b = np.array([0.3, -0.2, -0.9]), np.array([-0.5, 0.1, -0.8])
    assert np.linalg.norm(result.rotate(a)) == pytest.approx(np.linalg.norm(a))
    assert angular_error(result.rotate(a), result.rotate(b)) == pytest.approx(float(angular_error(a, b)))


def test_gaze_of_a_face_45_degrees_to_the_right_by_hand():
    """They look straight along -z, past the camera, which is at their right hand: the image's left."""
    result = normalize(BLANK, CAMERA, np.array([500.0, 0, 500]), IDENTITY)
    gaze = result.rotate(np.array([0.0, 0.0, -1.0]))
    np.testing.assert_allclose(gaze, (math.sqrt(0.5), 0, -math.sqrt(0.5)), atol=1e-12)
    np.testing.assert_allclose(vector_to_pitchyaw(gaze), (0, -math.pi / 4), atol=1e-12)


@given(face_centers, heads)
def test_denormalize_undoes_rotate(center, head):
    result = normalize(BLANK, CAMERA, center, head, size=(32, 32))
    gaze = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_allclose(result.denormalize(result.rotate(gaze)), gaze, atol=1e-12)
    as_tensor = torch.from_numpy(gaze).float()
    assert result.rotate(as_tensor).dtype == torch.float32
    torch.testing.assert_close(
        result.rotate(as_tensor).double(), torch.from_numpy(result.rotate(gaze)), atol=1e-5, rtol=0
    )


@given(face_centers, st.floats(-1.2, 1.2))
def test_head_tilt_is_taken_out_and_the_head_pose_is_relative_to_the_virtual_camera(center, tilt):
    straight, tilted = (
        normalize(BLANK, CAMERA, center, normalizing_rotation(center, IDENTITY).T @ head, size=(32, 32))
        for head in (
            pitchyaw_to_rotation(np.array([0.2, 0.0])),
            roll(tilt) @ pitchyaw_to_rotation(np.array([0.2, 0.0])),
        )
    )
    np.testing.assert_allclose(straight.head, (0.2, 0.0), atol=1e-9)
    np.testing.assert_allclose(tilted.head, (0.2, 0.0), atol=1e-9)
    np.testing.assert_allclose(tilted.rotation, roll(tilt).T @ straight.rotation, atol=1e-9)


def test_a_head_turned_away_by_more_than_90_degrees_comes_out_upside_down():
    head = pitchyaw_to_rotation(np.array([0.0, math.radians(120)]))
    rotation = normalizing_rotation(np.array([0.0, 0.0, 600.0]), head)
    np.testing.assert_allclose(rotation, np.diag([-1.0, -1.0, 1.0]), atol=1e-12)


def scene(rays):
    """A smooth colored panorama: the color seen along each ray [..., 3], in [0, 1]."""
    x, y = rays[..., 0] / rays[..., 2], rays[..., 1] / rays[..., 2]
    waves = (np.sin(25 * x) * np.cos(19 * y), np.sin(17 * (x + y)), np.cos(31 * x - 8 * y))
    return 0.5 + 0.5 * np.stack(waves, -1)


def photograph(camera, rotation, size):
    """The scene drawn directly by a camera that is turned by ``rotation``."""
    u, v = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    return scene(np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera).T @ rotation)


RAW = photograph(CAMERA, IDENTITY, (640, 480))


@settings(max_examples=15)
@given(
    st.tuples(st.floats(-60, 60), st.floats(-40, 40), st.floats(550, 650)).map(np.array),
    st.builds(roll, st.floats(-0.5, 0.5)),
)
def test_normalized_image_equals_the_image_taken_by_the_virtual_camera(center, head):
    result = normalize(RAW, CAMERA, center, head, size=(112, 112))
    direct = photograph(result.camera_matrix, result.rotation, (112, 112))
    assert np.abs(result.image - direct).max() < 0.01


def seen_by(face, camera, rotation, width):
    """The same rendered scene before a camera in the same place, turned by ``rotation``; ``camera`` in pixels."""
    return face.replace(
        camera=camera / torch.tensor([[width], [width], [1.0]]),
        head_rotation=rotation @ face.head_rotation,
        head_position=face.head_position @ rotation.T,
        target=face.target @ rotation.T,
        light_direction=face.light_direction @ rotation.T,
    )


@pytest.mark.parametrize(
    ("center", "pitchyaw", "tilt"),
    [((130.0, -70.0, 520.0), (-0.15, 0.3), 0.35), ((-180.0, 60.0, 620.0), (0.2, -0.5), -0.5)],
)
def test_rendered_face_normalized_is_the_face_rendered_by_the_virtual_camera(center, pitchyaw, tilt):
    """Landmarks to 0.01 pixels, labels to 0.01°, and on the face a mean difference of at most 6 of 255.

    What differs are edges (bilinear sampling of a picture against sampling of the scene) and shadows, which the
    renderer finds on a grid that turns with the camera. Light comes evenly from all sides, or it would turn too.
    """
    camera = torch.tensor([[900.0, 0, 400], [0, 900, 300], [0, 0, 1]])
    center = torch.tensor(center)
    head = pitchyaw_to_rotation(torch.tensor(pitchyaw)) @ torch.from_numpy(roll(tilt)).float()
    face = LAPTOP.sample([7], people=40, seed=0, split="train")
    ambient = (face.ambient_above + face.ambient_below) / 2
    face = face.replace(
        head_position=center, head_rotation=head, target=torch.tensor([-100.0, 150.0, 0.0]), occluder=0,
        ambient_above=ambient, ambient_below=ambient, noise=0, defocus=0, motion=0, resolution=1, compression=100,
    )  # fmt: skip
    photos, raw = Renderer((600, 800), "cpu").render(seen_by(face, camera, torch.eye(3), 800))
    result = normalize(photos[0], camera, center, head, focal=720)
    direct, seen = Renderer(224, "cpu").render(seen_by(face, result.camera_matrix, result.rotation, 224))

    assert (result.warp_points(raw["landmarks"][0]) - seen["landmarks"][0]).abs().max() < 0.01
    assert angular_error(result.rotate(pitchyaw_to_vector(raw["gaze"][0])), seen["gaze"][0]) < 0.01
    assert angular_error(result.head, seen["head"][0]) < 0.01
    v, u = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
    on_face = (u - 112) ** 2 + (v - 112) ** 2 < 55**2
    assert (result.image - direct[0]).abs()[:, on_face].mean() < 6 / 255


def test_uint8_float_array_and_tensor_give_the_same_picture():
    center = np.array([30.0, -20.0, 620.0])
    as_float = normalize(RAW, CAMERA, center, IDENTITY).image
    as_bytes = normalize((RAW * 255).round().astype(np.uint8), CAMERA, center, IDENTITY).image
    assert as_bytes.dtype == np.uint8
    assert np.abs(as_bytes / 255 - as_float).max() < 1.01 / 255
    chw = torch.from_numpy(RAW).permute(2, 0, 1)
    result = normalize(chw, torch.from_numpy(CAMERA), torch.from_numpy(center), torch.eye(3))
    assert result.image.dtype == torch.float64
    assert result.image.shape == (3, 224, 224)
    np.testing.assert_allclose(result.image.permute(1, 2, 0).numpy(), as_float, atol=1e-9)
    assert normalize(chw.half(), CAMERA, center, IDENTITY).image.dtype == torch.float16
    assert isinstance(result.rotation, torch.Tensor)
    assert isinstance(result.head, torch.Tensor)
    assert result.warp_points(torch.tensor([[320.0, 240.0]])).shape == (1, 2)


@settings(max_examples=40, deadline=None)
@given(st.floats(-0.55, 0.55), st.floats(-0.4, 0.4), st.floats(300, 1500), heads, st.integers(16, 64))
def test_part_of_a_photograph_gives_the_same_face_as_all_of_it(across, down, distance, head, size):
    center = distance * np.array([across, down, 1.0])  # from beyond one edge of the picture to beyond the other
    image = np.random.default_rng(7).uniform(0.2, 1.0, size=(120, 160, 3))
    camera = np.diag([0.25, 0.25, 1.0]) @ CAMERA
    options = {"size": (size, size), "focal": 960 / 224 * size}
    found = normalize(image, camera, center, head, **options).image
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normalization, "_cropped", lambda image, grid: (image, grid))
        np.testing.assert_allclose(found, normalize(image, camera, center, head, **options).image, atol=1e-9)


def test_the_virtual_camera_itself_is_left_as_it_is():
    """No warp, no half-pixel shift, no blur: the image comes back byte for byte."""
    image = np.random.default_rng(5).integers(0, 256, size=(36, 60, 3), dtype=np.uint8)
    camera = np.array([[960.0, 0, 30], [0, 960.0, 18], [0, 0, 1]])
    result = normalize(image, camera, np.array([0.0, 0, 600]), IDENTITY, size=(60, 36))
    np.testing.assert_allclose(result.warp, IDENTITY, atol=1e-12)
    np.testing.assert_array_equal(result.image, image)


def test_a_whole_pixel_shift_moves_the_image_and_leaves_black_behind():
    image = np.random.default_rng(6).integers(1, 256, size=(20, 30, 3), dtype=np.uint8)
    shift = np.array([[1.0, 0, 4], [0, 1.0, -2], [0, 0, 1]])
    moved = warp_image(image, shift, (30, 20))
    np.testing.assert_array_equal(moved[:18, 4:], image[2:, :26])
    assert (moved[:, :4] == 0).all()
    assert (moved[18:] == 0).all()


def test_shrinking_averages_what_one_sample_a_pixel_would_alias():
    stripes = np.zeros((64, 64, 3), np.float32)
    stripes[:, ::4] = 1.0
    shrunk = warp_image(stripes, np.diag([0.25, 0.25, 1.0]), (16, 16))
    np.testing.assert_allclose(shrunk[2:-2, 2:-2], 0.25, atol=1e-6)


def test_what_is_behind_the_real_camera_stays_black():
    behind = np.array([[1.0, 0, 0], [0, 1.0, 0], [-0.04, 0, 1.0]])  # its inverse sends the right part behind
    white = np.ones((20, 200, 3), np.float32)
    back = np.linalg.inv(behind)
    result = warp_image(white, np.linalg.inv(back @ np.diag([-1.0, -1.0, -1.0])), (40, 20))
    assert (result == 0).all()
    assert warp_image(white, behind, (40, 20)).max() == pytest.approx(1)


def test_rendered_labels_and_landmarks_need_a_point_in_front_of_the_camera():
    with pytest.raises(ValueError, match="points must lie in front"):
        warp_points(np.array([[1.0, 0, 0], [0, 1, 0], [-0.01, 0, 1]]), np.array([[200.0, 0.0]]))
    with pytest.raises(TypeError, match="both be tensors or both arrays"):
        warp_points(IDENTITY, torch.zeros(1, 2))


GOOD = {
    "image": BLANK,
    "camera_matrix": CAMERA,
    "face_center": np.array([0.0, 0, 600]),
    "head_rotation": IDENTITY,
}


@pytest.mark.parametrize(
    ("argument", "value", "error", "message"),
    [
        ("image", BLANK[..., 0], ValueError, "image must have shape"),
        ("image", BLANK.transpose(2, 0, 1), ValueError, "image must have shape"),
        ("image", torch.zeros(480, 640, 3), ValueError, "image must have shape"),
        ("image", BLANK.astype(np.int32), TypeError, "image must be uint8 or floating point"),
        ("image", np.full((4, 4, 3), np.nan), ValueError, "image must be finite"),
        ("image", BLANK[:0], ValueError, "image must have pixels"),
        ("image", "face.png", TypeError, "image must be a tensor or array"),
        ("camera_matrix", CAMERA.astype(int), TypeError, "camera_matrix must be floating point"),
        ("camera_matrix", np.diag([0.0, 600, 1]), ValueError, "camera_matrix must be"),
        ("camera_matrix", CAMERA.T, ValueError, "camera_matrix must be"),
        ("face_center", np.zeros(3), ValueError, r"face_center must lie in front of the camera \(z > 0\); got z = 0"),
        ("face_center", np.array([0.0, 0, -600]), ValueError, "face_center must lie in front"),
        ("face_center", np.ones((2, 3)), ValueError, "face_center must have shape"),
        ("head_rotation", -IDENTITY, ValueError, "head_rotation must be a rotation matrix"),
        ("head_rotation", pitchyaw_to_rotation(np.array([0, math.pi / 2])), ValueError, "seen exactly from its side"),
        ("focal", 0, ValueError, "focal must be"),
        ("distance", math.nan, ValueError, "distance must be"),
        ("size", (224.0, 224.0), ValueError, "size must be"),
        ("size", 224, ValueError, "size must be"),
        ("size", (224, 0), ValueError, "size must be"),
    ],
)
def test_bad_input_is_named(argument, value, error, message):
    with pytest.raises(error, match=message):
        normalize(**{**GOOD, argument: value})


def test_a_gaze_in_pitchyaw_is_not_rotated_as_if_it_were_a_vector():
    with pytest.raises(ValueError, match=r"gaze_vector must have shape .* go through pitchyaw_to_vector"):
        normalize(**GOOD).rotate(np.zeros(2))


def test_a_warp_without_an_inverse_is_refused():
    with pytest.raises(ValueError, match="warp must have an inverse"):
        warp_image(BLANK, np.ones((3, 3)), (10, 10))
