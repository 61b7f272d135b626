"""Labels against an independent reprojection, pictures against what was asked for."""

import math

import numpy as np
import pytest
import torch

from gazecourse.angles import angular_error, pitchyaw_to_vector
from gazecourse.faces.attributes import CATEGORIES, Factors
from gazecourse.faces.domains import DOMAINS
from gazecourse.faces.head import FACE_CENTER_POINTS, HeadModel
from gazecourse.faces.renderer import Renderer
from gazecourse.normalization import normalize

SIZE = 64


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(SIZE, "cpu")


@pytest.fixture(scope="module")
def faces() -> Factors:
    """A few faces of every domain."""
    return Factors.concatenate([d.sample([3, 14], people=20, seed=1, split="train") for d in DOMAINS.values()])


def plain(count: int = 1, **changes) -> Factors:
    """Neutral, undisturbed, frontal faces that look into the camera."""
    factors = DOMAINS["studio"].sample(list(range(count)), people=count, seed=7, split="test")
    light = torch.zeros_like(factors.light_color)
    light[:, 0] = 1.0
    towards = torch.zeros_like(factors.light_direction)
    towards[:, :, 2] = -1.0
    settings = {
        "camera": torch.tensor([[720 / 224, 0, 0.5], [0, 720 / 224, 0.5], [0, 0, 1]]),
        "head_rotation": torch.eye(3), "head_position": torch.tensor([0.0, 0.0, 600.0]),
        "target": torch.zeros(3), "normalization": torch.eye(3), "neck": 0.0, "glasses": 0, "hat": 0, "occluder": 0,
        "expression": 0, "blink": 0.0, "hair_style": 1, "beard": 0, "noise": 0.0, "motion": 0.0, "defocus": 0.0,
        "resolution": 1.0, "compression": 100.0, "exposure": 1.0, "light_color": light, "light_direction": towards,
        "ambient_above": 0.3, "ambient_below": 0.3, "skin_tone": 0.3, "makeup": 0.0,
    }  # fmt: skip
    return factors.replace(**(settings | changes))


def project(point: np.ndarray, camera: np.ndarray, size: int) -> np.ndarray:
    """A pinhole written out, in double precision."""
    x, y, z = point
    return size * np.array([camera[0, 0] * x / z + camera[0, 2], camera[1, 1] * y / z + camera[1, 2]])


# ---------------------------------------------------------------------- labels
def test_gaze_points_from_the_face_center_to_the_target(renderer, faces):
    _, labels = renderer.render(faces)
    direction = pitchyaw_to_vector(labels["gaze"]).double().numpy()
    to_target = (faces.target - faces.head_position).double().numpy()
    to_target /= np.linalg.norm(to_target, axis=1, keepdims=True)
    np.testing.assert_allclose(direction, to_target, atol=1e-5)


def test_both_eyes_converge_on_the_target(renderer, faces):
    """From each eye's place in the picture, its own direction passes through the target."""
    _, labels = renderer.render(faces)
    model = HeadModel()
    centers = model.shape(faces).eye_centers.double()
    for image in range(len(faces)):
        rotation = faces.head_rotation[image].double().numpy()
        for side, name in ((0, "gaze_left"), (1, "gaze_right")):
            eye = rotation @ centers[image, side].numpy() + faces.head_position[image].double().numpy()
            place = project(eye, faces.camera[image].double().numpy(), SIZE)
            np.testing.assert_allclose(labels["eye_centers"][image, side].numpy(), place, atol=1e-3)
            direction = pitchyaw_to_vector(labels[name][image]).double().numpy()
            to_target = faces.target[image].double().numpy() - eye
            assert np.linalg.norm(np.cross(direction, to_target)) < 1e-4 * np.linalg.norm(to_target)
            assert direction @ to_target > 0


def test_left_is_the_persons_left(renderer):
    """A person who looks into the camera has the left eye on the right of the picture; both turn to a near target."""
    _, labels = renderer.render(plain(target=torch.tensor([0.0, -20.0, 300.0])))
    left, right = labels["eye_centers"][0]
    assert left[0] > SIZE / 2 > right[0]
    # Yaw is positive towards the left of the picture: the left eye turns there, the right eye away from it.
    assert labels["gaze_left"][0, 1] > 0.03
    assert labels["gaze_right"][0, 1] < -0.03


def test_landmarks_are_the_projected_points_of_the_head(renderer, faces):
    _, labels = renderer.render(faces)
    geometry, _, _ = renderer._pose(faces)
    for image in range(len(faces)):
        rotation, shift = faces.head_rotation[image].double().numpy(), faces.head_position[image].double().numpy()
        for point, label in zip(
            geometry.landmarks[image].double().numpy(), labels["landmarks"][image].numpy(), strict=True
        ):
            place = project(rotation @ point + shift, faces.camera[image].double().numpy(), SIZE)
            np.testing.assert_allclose(label, place, atol=2e-3)


def test_landmarks_lie_on_the_drawn_surface_even_where_the_neck_bends(renderer):
    face = plain(expression=4, expression_strength=1.0, neck=torch.tensor([[0.6, 0.8]]))
    geometry, _, _ = renderer._pose(face)
    bent = renderer._bend_neck(geometry.points, face)
    drawn = renderer.model.landmarks(bent @ face.head_rotation.transpose(1, 2) + face.head_position.unsqueeze(1))
    _, labels = renderer.render(face)
    for point, label in zip(drawn[0].double().numpy(), labels["landmarks"][0].numpy(), strict=True):
        np.testing.assert_allclose(label, project(point, face.camera[0].double().numpy(), SIZE), atol=2e-3)


def test_the_face_center_is_the_mean_of_eye_and_mouth_corners_and_lies_in_the_middle(renderer, faces):
    model = HeadModel()
    corners = model.shape(faces).landmarks[:, FACE_CENTER_POINTS]
    assert corners.mean(1).abs().max() < 1e-3
    _, labels = renderer.render(plain())
    middle = labels["landmarks"][0, FACE_CENTER_POINTS].mean(0)
    assert (middle - SIZE / 2).abs().max() < 0.7


def test_head_pose_says_where_the_face_points(renderer):
    turned = pitchyaw_to_rotation_by_hand(0.2, -0.4)
    _, labels = renderer.render(plain(head_rotation=turned))
    assert torch.allclose(labels["head"][0], torch.tensor([0.2, -0.4]), atol=1e-5)
    # The tip of the nose moves to where the face turns: yaw -0.4 is the right of the picture, pitch 0.2 is up.
    nose, straight = labels["landmarks"][0, 30], renderer.render(plain())[1]["landmarks"][0, 30]
    assert nose[0] > straight[0] + 2
    assert nose[1] < straight[1] - 0.5


def pitchyaw_to_rotation_by_hand(pitch: float, yaw: float) -> torch.Tensor:
    """Columns: where the head's x, y and z axes point when the face looks along (pitch, yaw), without roll."""
    back = -np.array([-math.cos(pitch) * math.sin(yaw), -math.sin(pitch), -math.cos(pitch) * math.cos(yaw)])
    x = np.cross([0.0, 1.0, 0.0], back)
    x /= np.linalg.norm(x)
    return torch.tensor(np.stack([x, np.cross(back, x), back], axis=1), dtype=torch.float32)


def test_the_far_side_of_a_turned_face_is_marked_hidden(renderer):
    turned = plain(head_rotation=pitchyaw_to_rotation_by_hand(0.0, 1.1))
    visible = renderer.render(turned)[1]["visibility"][0]
    # Yaw 1.1 turns the face to the left of the picture: the person's right side (points 0 to 7) faces away.
    assert not visible[0:5].any()
    assert visible[45].item()
    assert renderer.render(plain())[1]["visibility"][0, 17:].float().mean() > 0.95


def test_the_target_in_the_physical_camera_is_on_the_screen(renderer, faces):
    _, labels = renderer.render(faces)
    back = torch.einsum("bji,bj->bi", faces.normalization, faces.target)
    assert torch.allclose(labels["target_raw"], back, atol=1e-2)


# ---------------------------------------------------------------------- pictures
def iris_shift(renderer: Renderer, target: tuple[float, float, float]) -> np.ndarray:
    """How far the dark of the iris lies from each eyeball's center, in pixels, mean of both eyes."""
    factors = plain(target=torch.tensor(target), eye_color=0)
    image, labels = renderer.render(factors)
    gray = image[0].mean(0).numpy()
    shifts = []
    for x, y in labels["eye_centers"][0].numpy():
        rows, columns = np.mgrid[0 : gray.shape[0], 0 : gray.shape[1]] + 0.5
        near = ((columns - x) ** 2 + ((rows - y) * 1.6) ** 2) < (0.055 * gray.shape[1]) ** 2
        dark = np.where(near, np.clip(0.30 - gray, 0, None), 0)
        shifts.append([(dark * (columns - x)).sum() / dark.sum(), (dark * (rows - y)).sum() / dark.sum()])
    return np.mean(shifts, axis=0)


def test_the_irises_move_to_where_the_gaze_label_points():
    large = Renderer(224, "cpu")
    left, right = iris_shift(large, (-300, 0, 0)), iris_shift(large, (300, 0, 0))
    up, down = iris_shift(large, (0, -250, 0)), iris_shift(large, (0, 200, 0))
    assert left[0] + 4 < right[0]
    assert up[1] + 1 < down[1]


def test_upper_lids_follow_the_gaze_up_and_down(renderer):
    heights = []
    for target in (-250.0, 0.0, 250.0):
        labels = renderer.render(plain(target=torch.tensor([0.0, target, 0.0])))[1]
        lids = labels["landmarks"][0, [37, 38, 43, 44], 1].mean()
        heights.append(float(labels["eye_centers"][0, :, 1].mean() - lids))
    assert heights[0] > heights[1] + 0.05
    assert heights[1] > heights[2] + 0.2


def test_a_blink_closes_the_eyes(renderer):
    closed = renderer.render(plain(blink=1.0))[1]["landmarks"][0]
    opened = renderer.render(plain())[1]["landmarks"][0]
    opening = [float((p[[46, 47, 40, 41], 1] - p[[44, 43, 38, 37], 1]).mean()) for p in (closed, opened)]
    assert opening[0] < 0.1 * opening[1]


def test_no_eyeball_pokes_through_its_lids(faces):
    """The outside of the lids stays outside the eyeballs for any identity, expression and gaze."""
    model = HeadModel()
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        angles = (torch.rand(2, len(faces), 2, generator=generator) - 0.5) * 1.4
        geometry = model.express(model.shape(faces), model.actions(faces, angles[0], angles[1]))
        for side, rows in enumerate(model._lids):
            distance = (geometry.points[:, rows] - geometry.eye_centers[:, side : side + 1]).norm(dim=-1)
            assert (distance > geometry.eye_radius.view(-1, 1) + 0.3).all()


def test_the_lit_side_of_the_face_is_the_brighter_one(renderer):
    for x in (-1.0, 1.0):
        direction = torch.tensor([[x, -0.2, -0.5]] * 3) / math.sqrt(1.29)
        image = renderer.render(plain(light_direction=direction, ambient_above=0.1, ambient_below=0.1))[0][0]
        left, right = image[:, 20:50, 16:28].mean(), image[:, 20:50, 36:48].mean()
        assert (right - left) * x > 0.05


def test_a_cast_shadow_darkens_the_face_under_a_brim(renderer):
    above = torch.tensor([[0.0, -0.9, -0.436]] * 3)
    dark = {"light_direction": above, "ambient_above": 0.05, "ambient_below": 0.05}
    bare, capped = (renderer.render(plain(hat=hat, **dark))[0][0] for hat in (0, 1))
    assert capped[:, 22:30, 24:40].mean() < 0.85 * bare[:, 22:30, 24:40].mean()


def test_a_raw_camera_picture_normalized_equals_the_picture_of_the_normalized_camera():
    """The proof of image normalization: two ways to the same face, within 2 % mean difference per pixel."""
    scene = plain(
        1, head_rotation=rotation_with_roll(), head_position=torch.tensor([60.0, -40.0, 480.0]),
        target=torch.tensor([-80.0, 90.0, 0.0]),
        camera=torch.tensor([[1.1, 0, 0.5], [0, 1.1, 0.375], [0, 0, 1]]),
    )  # fmt: skip
    width, height = 1280, 960
    raw, labels = Renderer((height, width), "cpu").render(scene)
    matrix = np.diag([width, width, 1.0]) @ scene.camera[0].double().numpy()
    center, rotation = scene.head_position[0].double().numpy(), scene.head_rotation[0].double().numpy()
    warped = normalize(raw[0], matrix, center, rotation, focal=720, distance=600, size=(224, 224))

    turn = torch.tensor(np.asarray(warped.rotation), dtype=torch.float32)
    distance = float(np.linalg.norm(center))
    focal = 720 / 224 * distance / 600
    normalized = scene.replace(
        head_rotation=turn @ scene.head_rotation[0],
        head_position=turn @ scene.head_position[0],
        target=turn @ scene.target[0],
        light_direction=scene.light_direction[0] @ turn.T,
        camera=torch.tensor([[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1]]),
        normalization=turn,
    )
    direct, direct_labels = Renderer(224, "cpu").render(normalized)
    inside = slice(40, 184)  # the face; backgrounds are painted for each picture anew
    difference = (warped.image[:, inside, inside] - direct[0, :, inside, inside]).abs()
    assert float(difference.mean()) < 0.02
    shifted = (warped.image[:, inside, 42:186] - direct[0, :, inside, inside]).abs()
    assert float(shifted.mean()) > 1.5 * float(difference.mean())
    points = warped.warp_points(labels["landmarks"][0].double().numpy())
    assert np.abs(np.asarray(points) - direct_labels["landmarks"][0].double().numpy()).max() < 0.05
    rotated = np.asarray(warped.rotate(pitchyaw_to_vector(labels["gaze"][0]).double().numpy()))
    assert float(angular_error(rotated, pitchyaw_to_vector(direct_labels["gaze"][0]).double().numpy())) < 0.01


def rotation_with_roll() -> torch.Tensor:
    roll = 0.25
    turn = torch.tensor([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    return turn @ pitchyaw_to_rotation_by_hand(-0.1, 0.3)


# ---------------------------------------------------------------------- factors
WIDE = torch.tensor([[480 / 224, 0, 0.5], [0, 480 / 224, 0.5], [0, 0, 1]])
UNSEEN = {"normalization", "screen"}


def test_every_factor_changes_the_picture_and_none_but_geometry_changes_the_gaze():
    renderer = Renderer(96, "cpu")
    dressed = plain(
        glasses=2, hat=1, makeup=0.5, beard=4, hair_style=5, occluder=2, expression=1, expression_strength=0.5,
        glasses_reflection=0.4, glasses_tint=0.3, defocus=0.002, camera=WIDE, noise=0.02, background=2, skin_detail=0.5,
    )  # fmt: skip
    before, labels = renderer.render(dressed)
    gaze_factors = {"head_position", "target"}
    ignored = []
    for name, value in dressed.items():
        if name in UNSEEN:
            continue
        changed = dressed.replace(**{name: another(name, value)})
        if name in ("hair_length", "hair_fringe", "hair_color"):
            changed = changed.replace(hat=0)
            reference = renderer.render(dressed.replace(hat=0))[0]
        else:
            reference = before
        after, after_labels = renderer.render(changed)
        if float((after - reference).abs().max()) < 0.01:
            ignored.append(name)
        same_gaze = torch.allclose(after_labels["gaze"], labels["gaze"], atol=1e-4)
        assert same_gaze != (name in gaze_factors), name
    assert not ignored


def another(name: str, value: torch.Tensor) -> torch.Tensor:
    """A value that a factor does not have now."""
    if name in CATEGORIES:
        return (value + 1) % len(CATEGORIES[name])
    if name == "head_rotation":
        return pitchyaw_to_rotation_by_hand(0.2, 0.2)
    if name in ("person", "seed"):
        return value + 12345
    if name == "light_direction":
        return torch.tensor([-0.8, 0.0, -0.6])
    if name == "compression":
        return torch.tensor(10.0)
    if name == "identity":
        return value + 0.5 * torch.linspace(-1, 1, value.shape[1])
    if name == "camera":
        return value * torch.tensor([[1.2, 1, 1], [1, 1.2, 1], [1, 1, 1]])
    if name == "age":
        return torch.tensor(75.0)
    if name in ("iris_radius", "pupil_radius", "head_position", "target"):
        return value + 1.0 if name.endswith("radius") else value + 40.0
    if name in ("resolution", "exposure"):
        return torch.tensor(0.4)
    return torch.where(value > 0.45, value - 0.4, value + 0.4)


def test_the_same_face_has_the_same_pixels_alone_and_in_a_batch(renderer, faces):
    together, labels = renderer.render(faces)
    for index in (0, 5, len(faces) - 1):
        alone, own = renderer.render(faces[index])
        # Another batch rounds sums in another order: a gray level here and there.
        difference = (alone[0] - together[index]).abs()
        assert float(difference.mean()) < 1e-4
        assert float(difference.max()) < 0.03
        assert torch.allclose(own["landmarks"][0], labels["landmarks"][index], atol=1e-3)


def test_rendering_twice_gives_identical_bytes(renderer, faces):
    assert torch.equal(renderer.render(faces)[0], renderer.render(faces)[0])


def test_pictures_are_display_values(renderer, faces):
    images, _ = renderer.render(faces)
    assert images.shape == (len(faces), 3, SIZE, SIZE)
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images.flatten(1).std(1) > 0.03).all()


# ---------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("target", torch.full((3,), math.nan), "target must be finite"),
        ("glasses", len(CATEGORIES["glasses"]), "glasses must lie in"),
        ("exposure", -1.0, "exposure must lie in"),
        ("head_position", torch.tensor([0.0, 0.0, -600.0]), "head_position must lie in front of the camera"),
        ("blink", 2.0, "blink must lie in"),
    ],
)
def test_a_factor_that_cannot_be_drawn_is_named(renderer, name, value, message):
    with pytest.raises(ValueError, match=message):
        renderer.render(plain(**{name: value}))


def test_a_factor_of_the_wrong_kind_is_named(renderer):
    factors = plain()
    factors.hat = factors.hat.float() + 0.5
    with pytest.raises((TypeError, ValueError), match="hat"):
        renderer.render(factors)
    factors = plain()
    factors.identity = factors.identity[:, :5]
    with pytest.raises(ValueError, match="identity"):
        renderer.render(factors)


def test_something_that_is_no_factors_is_refused(renderer):
    with pytest.raises(TypeError, match="factors must be Factors"):
        renderer.render({"gaze": 0})


def test_a_size_that_is_no_size_is_refused():
    with pytest.raises(ValueError, match="size must be 1 or more; got 0"):
        Renderer(0)
    with pytest.raises(TypeError, match="size must be a whole number; got str '224'"):
        Renderer("224")
    with pytest.raises(TypeError, match="size must be a whole number; got tuple"):
        Renderer((224, 224, 3))
