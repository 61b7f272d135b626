"""The conventions of gaze: hand-computed directions, inverses, accuracy and gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecourse import angles
from gazecourse.angles import (
    angular_error,
    check_rotation,
    from_gaze360,
    from_gazehub,
    from_mpiifacegaze_normalized,
    pitchyaw_to_rotation,
    pitchyaw_to_vector,
    rotation_to_pitchyaw,
    vector_to_pitchyaw,
)

HALF, ROOT = 0.5, math.sqrt(3) / 2  # sin 30°, cos 30°
THIRTY = math.pi / 6

# (pitch, yaw) and its vector, worked out on paper from the frame: x image right, y down, z away from the camera.
BY_HAND = {
    "into the camera": ((0.0, 0.0), (0.0, 0.0, -1.0)),
    "up": ((THIRTY, 0.0), (0.0, -HALF, -ROOT)),
    "down": ((-THIRTY, 0.0), (0.0, HALF, -ROOT)),
    "to the image's left": ((0.0, THIRTY), (-HALF, 0.0, -ROOT)),
    "to the image's right": ((0.0, -THIRTY), (HALF, 0.0, -ROOT)),
    "up and left": ((THIRTY, THIRTY), (-ROOT * HALF, -HALF, -ROOT * ROOT)),
    "up and right": ((THIRTY, -THIRTY), (ROOT * HALF, -HALF, -ROOT * ROOT)),
    "down and left": ((-THIRTY, THIRTY), (-ROOT * HALF, HALF, -ROOT * ROOT)),
    "down and right": ((-THIRTY, -THIRTY), (ROOT * HALF, HALF, -ROOT * ROOT)),
    "away, to the left": ((0.0, 5 * THIRTY), (-HALF, 0.0, ROOT)),
    "away, to the right": ((0.0, -5 * THIRTY), (HALF, 0.0, ROOT)),
}
by_hand = pytest.mark.parametrize(("pitchyaw", "vector"), BY_HAND.values(), ids=BY_HAND.keys())

pitches = st.floats(-1.55, 1.55)
yaws = st.floats(-3.1, 3.1)
pitchyaws = st.tuples(pitches, yaws).map(np.array)
components = st.floats(-10, 10)
vectors = st.tuples(components, components, components).map(np.array).filter(lambda v: np.linalg.norm(v) > 1e-3)


@by_hand
def test_pitchyaw_to_vector_agrees_with_paper_and_pencil(pitchyaw, vector):
    np.testing.assert_allclose(pitchyaw_to_vector(np.array(pitchyaw)), vector, atol=1e-12)
    torch.testing.assert_close(pitchyaw_to_vector(torch.tensor(pitchyaw)), torch.tensor(vector), atol=1e-6, rtol=0)


@by_hand
def test_vector_to_pitchyaw_agrees_with_paper_and_pencil_at_any_length(pitchyaw, vector):
    np.testing.assert_allclose(vector_to_pitchyaw(700.0 * np.array(vector)), pitchyaw, atol=1e-12)
    torch.testing.assert_close(vector_to_pitchyaw(0.2 * torch.tensor(vector)), torch.tensor(pitchyaw))


@given(pitchyaws)
def test_pitchyaw_survives_the_way_to_a_vector_and_back(pitchyaw):
    np.testing.assert_allclose(vector_to_pitchyaw(pitchyaw_to_vector(pitchyaw)), pitchyaw, atol=1e-9)


@given(vectors)
def test_vector_survives_the_way_to_pitchyaw_and_back_up_to_its_length(vector):
    expected = vector / np.linalg.norm(vector)
    np.testing.assert_allclose(pitchyaw_to_vector(vector_to_pitchyaw(vector)), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("vector", "expected"),
    [((0, -1, 0), (math.pi / 2, 0)), ((0, 1, 0), (-math.pi / 2, 0)), ((0, 0, 1), (0, math.pi))],
)
def test_straight_up_down_and_away_have_a_definite_yaw_and_a_finite_gradient(vector, expected):
    tensor = torch.tensor(vector, dtype=torch.float64, requires_grad=True)
    pitchyaw = vector_to_pitchyaw(tensor)
    assert pitchyaw.tolist() == pytest.approx(expected)
    pitchyaw.sum().backward()
    assert torch.isfinite(tensor.grad).all()


@given(pitchyaws)
def test_rotation_to_pitchyaw_is_the_direction_the_face_looks_in(pitchyaw):
    """v = R[:, 2] with asin(v_y), atan2(v_x, v_z) is the same as (pitch, yaw) of the looking direction -v."""
    rotation = pitchyaw_to_rotation(pitchyaw)
    v = rotation[:, 2]
    by_formula = (math.asin(v[1]), math.atan2(v[0], v[2]))
    np.testing.assert_allclose(rotation_to_pitchyaw(rotation), by_formula, atol=1e-7)
    np.testing.assert_allclose(vector_to_pitchyaw(-v), by_formula, atol=1e-7)


@given(pitchyaws)
def test_pitchyaw_to_rotation_is_the_upright_rotation_with_that_direction(pitchyaw):
    rotation = pitchyaw_to_rotation(pitchyaw)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation[1, 0] == 0, "the head's x axis must stay horizontal"
    assert rotation[1, 1] > 0, "the head must stand upright"
    np.testing.assert_allclose(rotation @ (0, 0, -1), pitchyaw_to_vector(pitchyaw), atol=1e-12)
    np.testing.assert_allclose(rotation_to_pitchyaw(rotation), pitchyaw, atol=1e-9)


def test_a_face_turned_to_the_images_left_moves_its_nose_left_and_a_raised_one_moves_it_up():
    nose = np.array([0.0, 0.0, -1.0])  # in front of the face, in the head's frame
    assert np.allclose(pitchyaw_to_rotation(np.zeros(2)), np.eye(3))
    assert (pitchyaw_to_rotation(np.array([0.0, 0.4])) @ nose)[0] < 0
    assert (pitchyaw_to_rotation(np.array([0.4, 0.0])) @ nose)[1] < 0


@given(pitchyaws, st.floats(-1.5, 1.5))
def test_head_direction_ignores_roll(pitchyaw, roll):
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    np.testing.assert_allclose(rotation_to_pitchyaw(pitchyaw_to_rotation(pitchyaw) @ about_z), pitchyaw, atol=1e-9)


@given(vectors, vectors)
def test_angular_error_equals_arccos_in_double_precision(a, b):
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    assert angular_error(a, b) == pytest.approx(np.degrees(np.arccos(np.clip(cosine, -1, 1))), abs=2e-6)


@given(vectors, vectors)
def test_angular_error_is_symmetric_and_blind_to_length(a, b):
    assert angular_error(a, b) == pytest.approx(float(angular_error(3.0 * b, 0.1 * a)), abs=1e-9)


@settings(max_examples=50)
@given(pitchyaws, vectors, pitchyaws)
def test_angular_error_does_not_change_when_both_directions_are_rotated(pitchyaw, vector, turn):
    rotation = pitchyaw_to_rotation(turn)
    before = angular_error(pitchyaw_to_vector(pitchyaw), vector)
    after = angular_error(rotation @ pitchyaw_to_vector(pitchyaw), rotation @ vector)
    assert after == pytest.approx(before, abs=1e-6)


def test_angular_error_of_hand_computed_pairs():
    assert angular_error(np.zeros(2), np.array([0.0, THIRTY])) == pytest.approx(30)
    assert angular_error(np.zeros(2), np.array([-THIRTY, 0.0])) == pytest.approx(30)
    assert angular_error(np.array([0.0, 0.0, -2.0]), np.array([5.0, 0.0, 0.0])) == pytest.approx(90)
    assert angular_error(np.array([0.0, math.pi]), np.zeros(2)) == pytest.approx(180)
    # At a pitch of 60° a degree of yaw is worth half a degree.
    steep = np.radians([[60.0, 0.0], [60.0, 1.0]])
    assert angular_error(steep[0], steep[1]) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("degrees", [0.0, 1e-5, 1e-3, 0.01, 1.0, 90.0, 179.0, 179.99, 180.0])
def test_angular_error_is_exact_to_1e_5_degrees_in_float32(degrees):
    axis = torch.tensor([0.3, -0.7, -0.65])
    start = torch.linalg.cross(axis, torch.tensor([1.0, 0.2, 0.1])).double()
    side = torch.linalg.cross(axis.double(), start)
    turn = math.radians(degrees)
    end = math.cos(turn) * start / start.norm() + math.sin(turn) * side / side.norm()
    single = angular_error(start.float(), end.float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(degrees, abs=3e-5), "guarded arccos is off by up to 0.03° here"


@pytest.mark.parametrize("degrees", [1e-4, 0.01, 1.0, 90.0, 179.0, 179.99])
def test_gradient_of_angular_error_is_one_degree_per_degree_at_every_angle(degrees):
    yaw = torch.tensor([0.0, math.radians(degrees)], requires_grad=True)
    angular_error(yaw, torch.zeros(2)).backward()
    assert yaw.grad[1].item() == pytest.approx(180 / math.pi, rel=1e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gradient_of_angular_error_is_finite_at_exactly_0_and_180_degrees(sign):
    a = torch.tensor([0.3, -0.5, -0.8], requires_grad=True)
    b = (sign * a).detach().requires_grad_()
    angular_error(a, b).backward()
    assert torch.isfinite(a.grad).all()
    assert torch.isfinite(b.grad).all()


def test_descending_the_angular_error_ends_at_the_target():
    target = torch.tensor([[0.2, -0.4], [-0.3, 0.1], [0.0, 0.0]])
    estimate = torch.tensor([[-0.9, 1.2], [0.6, 2.9], [0.0, 3.14]], requires_grad=True)
    optimizer = torch.optim.SGD([estimate], lr=0.05)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 400) * math.pi / 180
        optimizer.zero_grad()
        angular_error(estimate, target).sum().backward()
        optimizer.step()
    assert angular_error(estimate.detach(), target).max() < 0.1


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (pitchyaw_to_vector, (4, 2)),
        (vector_to_pitchyaw, (4, 3)),
        (pitchyaw_to_rotation, (4, 2)),
        (lambda v: rotation_to_pitchyaw(pitchyaw_to_rotation(v)), (4, 2)),
        (from_gaze360, (4, 3)),
        (from_gazehub, (4, 2)),
        (from_mpiifacegaze_normalized, (4, 2)),
        (lambda v: angular_error(v[:2], v[2:]), (4, 2)),
        (lambda v: angular_error(v[:2], v[2:]), (4, 3)),
        (lambda v: angular_error(v[:, :2], v[:, 2:]), (4, 5)),
    ],
)
def test_gradients_agree_with_finite_differences(function, shape):
    generator = torch.Generator().manual_seed(3)
    value = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (value,))


CONVERSIONS = [
    (pitchyaw_to_vector, 2),
    (vector_to_pitchyaw, 3),
    (pitchyaw_to_rotation, 2),
    (from_gaze360, 3),
    (from_gazehub, 2),
    (from_mpiifacegaze_normalized, 2),
    (lambda value: angular_error(value, value), 2),
    (lambda value: angular_error(value, value), 3),
]


@pytest.mark.parametrize(("function", "width"), CONVERSIONS)
def test_arrays_give_arrays_and_tensors_give_tensors_of_the_same_dtype_and_values(function, width):
    value = np.random.default_rng(0).normal(size=(2, 5, width))
    as_array, as_tensor = function(value), function(torch.from_numpy(value))
    assert isinstance(as_array, np.ndarray)
    assert isinstance(as_tensor, torch.Tensor)
    assert as_array.shape[:2] == (2, 5)
    np.testing.assert_allclose(as_array, as_tensor.numpy(), atol=1e-12)
    assert function(value.astype(np.float32)).dtype == np.float32
    assert function(torch.from_numpy(value).float()).dtype == torch.float32
    assert function(value[0, 0]).shape == as_array.shape[2:]
    assert function(value[:, :0]).shape == (2, 0, *as_array.shape[2:]), "an empty batch stays an empty batch"


def test_rotation_to_pitchyaw_keeps_kind_and_batch_axes():
    rotation = pitchyaw_to_rotation(torch.zeros(2, 5, 2))
    assert rotation.shape == (2, 5, 3, 3)
    assert rotation_to_pitchyaw(rotation).shape == (2, 5, 2)
    assert isinstance(rotation_to_pitchyaw(rotation.numpy()), np.ndarray)


# What each data set would store for someone who looks up (30°) and to the image's left (30°).
UP_LEFT = (THIRTY, THIRTY)


def test_gaze360_vector_up_and_left_in_its_own_frame():
    """x left and y up are positive there, so all that is turned around is x and y."""
    stored = np.array([ROOT * HALF, HALF, -ROOT * ROOT])
    np.testing.assert_allclose(from_gaze360(stored), UP_LEFT, atol=1e-12)
    np.testing.assert_allclose(from_gaze360(np.array([0.0, 0.0, -1.0])), (0, 0), atol=1e-12)


@given(vectors)
def test_gaze360_agrees_with_the_formula_of_its_authors(vector):
    x, y, z = vector / np.linalg.norm(vector)
    converted = from_gaze360(vector)
    assert converted[0] == pytest.approx(math.asin(np.clip(y, -1, 1)), abs=1e-7)
    same_yaw = math.remainder(converted[1] - math.atan2(x, -z), 2 * math.pi)
    assert same_yaw == pytest.approx(0, abs=1e-9)


def test_gazehub_stores_yaw_before_pitch():
    np.testing.assert_array_equal(from_gazehub(np.array([[-0.2, 0.1]])), [[0.1, -0.2]])


def test_normalized_mpiifacegaze_has_both_signs_opposite():
    np.testing.assert_allclose(from_mpiifacegaze_normalized(-np.array(UP_LEFT)), UP_LEFT)
    np.testing.assert_array_equal(from_mpiifacegaze_normalized(np.array([0.1, -0.2])), [-0.1, 0.2])


@pytest.mark.parametrize(("function", "width"), CONVERSIONS)
@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda v: v.tolist(), TypeError),
        (lambda v: v.astype(np.int64), TypeError),
        (lambda v: torch.from_numpy(v).long(), TypeError),
        (lambda v: np.full_like(v, np.nan), ValueError),
        (lambda v: torch.full_like(torch.from_numpy(v), math.inf), ValueError),
        (lambda v: np.concatenate([v, v], -1), ValueError),
    ],
)
def test_lists_integers_nan_and_wrong_shapes_are_refused(function, width, spoil, error):
    with pytest.raises(error):
        function(spoil(np.ones((5, width))))


def test_errors_name_the_argument_and_say_what_came():
    with pytest.raises(ValueError, match=r"pitchyaw must have shape \[\.\.\., 2\]; got array of shape \[32, 3\]"):
        pitchyaw_to_vector(np.zeros((32, 3)))
    with pytest.raises(ValueError, match=r"vector must have a direction; got zero"):
        vector_to_pitchyaw(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"b must have a direction"):
        angular_error(np.ones(3), np.zeros(3))
    with pytest.raises(TypeError, match=r"pass all tensors or all arrays"):
        angular_error(torch.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"a must have shape"):
        angular_error(np.ones(4), np.ones(3))


def test_angular_error_broadcasts_only_where_that_is_meant():
    many, one = torch.rand(32, 2), torch.rand(2)
    assert angular_error(many, one).shape == (32,)
    assert angular_error(torch.rand(4, 1, 3), torch.rand(1, 5, 3)).shape == (4, 5)
    with pytest.raises(ValueError, match="matching leading axes"):
        angular_error(many, torch.rand(32, 1, 2))
    with pytest.raises(ValueError, match="matching leading axes"):
        angular_error(many, torch.rand(31, 2))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.diag([1.0, 1.0, -1.0]), "reflection"),
        (2 * np.eye(3), "orthonormal"),
        (np.zeros((3, 3)), "orthonormal"),
        (np.eye(2), "shape"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_what_is_not_a_rotation_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        rotation_to_pitchyaw(matrix)
    with pytest.raises(ValueError, match=message):
        check_rotation("head", torch.from_numpy(np.stack([matrix, matrix])))


def test_norm_has_a_zero_gradient_at_the_zero_vector():
    zero = torch.zeros(3, requires_grad=True)
    angles.norm(zero).backward()
    assert zero.grad.tolist() == [0, 0, 0]


def test_cross_product_follows_the_right_hand():
    np.testing.assert_array_equal(
        angles.cross(np.eye(3), np.roll(np.eye(3), -1, axis=0)), np.roll(np.eye(3), 1, axis=0)
    )
