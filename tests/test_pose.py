"""Head pose from landmarks: heads that were placed are found where they were placed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from gazecourse.angles import pitchyaw_to_rotation, rotation_to_pitchyaw
from gazecourse.faces.domains import LAPTOP
from gazecourse.faces.head import HeadModel
from gazecourse.faces.pose import JAW, NOISE, average_landmarks, guessed_camera, head_pose, known_shapes

CAMERA = np.array([[900.0, 0.0, 640.0], [0.0, 880.0, 360.0], [0.0, 0.0, 1.0]])


def photographed(rotation, position, shape=None, camera=CAMERA) -> np.ndarray:
    placed = (average_landmarks() if shape is None else shape) @ np.asarray(rotation).T + position
    seen = placed @ camera.T
    return seen[:, :2] / seen[:, 2:]


def degrees_between(a, b) -> float:
    return float(np.degrees(Rotation.from_matrix(a @ b.T).magnitude()))


heads = st.builds(
    lambda pitch, yaw, tilt: (
        pitchyaw_to_rotation(np.array([pitch, yaw])) @ Rotation.from_rotvec([0, 0, tilt]).as_matrix()
    ),
    st.floats(-0.6, 0.6),
    st.floats(-1.0, 1.0),
    st.floats(-0.8, 0.8),
)
places = st.tuples(st.floats(-300, 300), st.floats(-150, 150), st.floats(300, 1500)).map(np.array)


@settings(max_examples=40)
@given(heads, places)
def test_average_head_is_found_exactly_wherever_it_is(rotation, position):
    pose = head_pose(photographed(rotation, position), CAMERA)
    assert degrees_between(pose.rotation, rotation) < 0.01
    np.testing.assert_allclose(pose.position, position, atol=0.05)
    assert pose.error < 1e-3
    assert np.linalg.det(pose.rotation) == pytest.approx(1)


def test_face_that_looks_up_left_has_positive_angles():
    rotation = pitchyaw_to_rotation(np.array([0.3, 0.4]))
    pose = head_pose(photographed(rotation, [50.0, -20.0, 600.0]), CAMERA)
    np.testing.assert_allclose(rotation_to_pitchyaw(pose.rotation), (0.3, 0.4), atol=1e-4)


def test_small_errors_of_landmarks_make_small_errors_of_the_pose():
    generator = np.random.default_rng(0)
    rotation, position = pitchyaw_to_rotation(np.array([-0.1, 0.5])), np.array([100.0, 50.0, 700.0])
    errors = []
    for _ in range(20):
        noisy = photographed(rotation, position) + generator.normal(0, 1.5, (68, 2))
        pose = head_pose(noisy, CAMERA)
        errors.append(degrees_between(pose.rotation, rotation))
        assert 1.0 < pose.error < 3.0
    assert np.mean(errors) < 2.5


def test_landmarks_that_are_wholly_wrong_and_the_outline_do_not_matter():
    rotation, position = pitchyaw_to_rotation(np.array([0.2, -0.3])), np.array([-80.0, 30.0, 500.0])
    points = photographed(rotation, position)
    points[[20, 33, 50, 60, 66]] += [80.0, -60.0]
    points[:JAW] += np.random.default_rng(1).normal(0, 40, (JAW, 2))
    pose = head_pose(points, CAMERA)
    assert degrees_between(pose.rotation, rotation) < 3


def test_other_peoples_heads_are_turned_right_within_some_degrees():
    model = HeadModel()
    people = LAPTOP.sample(range(8), people=8, seed=3, split="train").replace(expression=0, blink=0.0)
    straight = torch.zeros(8, 2)
    shapes = model.express(model.shape(people), model.actions(people, straight, straight)).landmarks.double().numpy()
    rotation, position = pitchyaw_to_rotation(np.array([0.1, 0.35])), np.array([40.0, 20.0, 600.0])
    errors = [
        degrees_between(head_pose(photographed(rotation, position, s), CAMERA).rotation, rotation) for s in shapes
    ]
    assert np.mean(errors) < 6
    own = head_pose(photographed(rotation, position, shapes[0]), CAMERA, shapes[0])
    assert degrees_between(own.rotation, rotation) < 0.01


@pytest.mark.parametrize("own", [False, True], ids=["unknown shape", "known shape"])
def test_it_is_the_minimum_that_scipy_finds(own):
    shapes = known_shapes()
    true = shapes.at(shapes.expected + shapes.spread * np.random.default_rng(2).normal(0, 1, len(shapes.spread)))
    rotation, position = pitchyaw_to_rotation(np.array([0.2, 0.6])), np.array([-60.0, 80.0, 650.0])
    points = photographed(rotation, position, true) + np.random.default_rng(3).normal(0, 1.0, (68, 2))
    pose = head_pose(points, CAMERA, true if own else None)
    sigma = NOISE * np.linalg.norm(points[45] - points[36])

    def cost(six: np.ndarray) -> float:
        """With the best shape for this pose, which is another least-squares problem."""
        turned = Rotation.from_rotvec(six[:3]).as_matrix()
        if own:
            distance = np.linalg.norm(photographed(turned, six[3:], true)[JAW:] - points[JAW:], axis=1) / sigma
            return np.where(distance < 3, distance**2 / 2, 3 * distance - 4.5).sum()

        def off(weights: np.ndarray) -> np.ndarray:
            seen = photographed(turned, six[3:], shapes.at(weights))[JAW:]
            return np.concatenate([
                ((seen - points[JAW:]) / sigma).ravel(), (weights - shapes.expected) / shapes.spread
            ])  # fmt: skip

        return least_squares(off, shapes.expected, method="lm", max_nfev=300).cost

    found = np.concatenate([Rotation.from_matrix(pose.rotation).as_rotvec(), pose.position])
    least = cost(found)
    for number, size in enumerate((0.02, 0.02, 0.02, 2, 2, 6)):
        for sign in (-1, 1):
            other = found.copy()
            other[number] += sign * size
            assert cost(other) > least, f"number {number} is at its minimum"


def test_tensors_are_taken_too_and_nothing_is_changed():
    points = photographed(np.eye(3), [0.0, 0.0, 600.0])
    kept = points.copy()
    one, two = head_pose(torch.from_numpy(points), torch.from_numpy(CAMERA)), head_pose(points, CAMERA)
    np.testing.assert_array_equal(one.rotation, two.rotation)
    np.testing.assert_array_equal(points, kept)


def test_guessed_camera_looks_through_the_middle():
    assert guessed_camera(640, 480).tolist() == [[640, 0, 320], [0, 640, 240], [0, 0, 1]]
    assert guessed_camera(480, 640)[0, 0] == 640
    assert guessed_camera(640, 480, 500)[1, 1] == 500


@pytest.mark.parametrize(
    ("landmarks", "error", "message"),
    [
        (np.zeros((68, 3)), ValueError, r"landmarks must have shape \[68, 2\]"),
        (np.zeros((29, 2)), ValueError, r"landmarks must have shape \[68, 2\]"),
        (np.full((68, 2), np.nan), ValueError, "landmarks must be finite"),
        (np.zeros((68, 2), int), TypeError, "landmarks must be floating point"),
        (np.ones((68, 2)), ValueError, "landmarks must be those of a face; the outer eye corners coincide"),
        (None, TypeError, "landmarks must be a tensor or array"),
    ],
)
def test_landmarks_that_are_none_are_named(landmarks, error, message):
    with pytest.raises(error, match=message):
        head_pose(landmarks, CAMERA)
