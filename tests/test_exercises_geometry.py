"""The checks of notebook 01 accept every right answer, however it is written, and say what is wrong with others."""

import pytest
import torch
from torch.nn.functional import normalize
from wrong_answers import geometry as wrong
from wrong_answers.geometry import WRONG

from gazecourse import angles, normalization
from gazecourse.exercises.geometry import check
from gazecourse.exercises.registry import STEPS


def indexing_and_cat(pitchyaw):
    pitch, yaw = pitchyaw[..., :1], pitchyaw[..., 1:]
    return -torch.cat([torch.cos(pitch) * torch.sin(yaw), torch.sin(pitch), torch.cos(pitch) * torch.cos(yaw)], dim=-1)


def filling_an_empty_tensor(pitchyaw):
    vector = pitchyaw.new_empty(*pitchyaw.shape[:-1], 3)
    vector[..., 0] = -torch.cos(pitchyaw[..., 0]) * torch.sin(pitchyaw[..., 1])
    vector[..., 1] = -torch.sin(pitchyaw[..., 0])
    vector[..., 2] = -torch.cos(pitchyaw[..., 0]) * torch.cos(pitchyaw[..., 1])
    return vector


def rotating_the_frontal_direction(pitchyaw):
    return angles.pitchyaw_to_rotation(pitchyaw) @ torch.tensor([0.0, 0.0, -1.0])


def normalizing_and_arcsin(vector):
    x, y, z = (vector / vector.norm(dim=-1, keepdim=True)).unbind(-1)
    return torch.stack([torch.asin(-y), torch.atan2(-x, -z)], dim=-1)


def pitch_by_its_tangent(vector):
    horizontal = torch.sqrt(vector[..., 0] ** 2 + vector[..., 2] ** 2)
    return torch.stack([-torch.atan(vector[..., 1] / horizontal), torch.atan2(-vector[..., 0], -vector[..., 2])], -1)


def kahan(a, b):
    a, b = normalize(a, dim=-1), normalize(b, dim=-1)
    return torch.rad2deg(2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1)))


def guarded_arccos_in_double_precision(a, b):
    cosine = (normalize(a.double(), dim=-1) * normalize(b.double(), dim=-1)).sum(-1)
    return torch.rad2deg(torch.acos(cosine.clamp(-1 + 1e-11, 1 - 1e-11))).to(a.dtype)


def cross_product_by_hand(a, b):
    ax, ay, az = a.unbind(-1)
    bx, by, bz = b.unbind(-1)
    cross = torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim=-1)
    return torch.atan2(cross.norm(dim=-1), (a * b).sum(-1)) * (180 / torch.pi)


def gram_schmidt(face_center, head_rotation):
    z = normalize(face_center, dim=0)
    x = head_rotation[:, 0] - (head_rotation[:, 0] @ z) * z
    x = normalize(x, dim=0)
    return torch.stack([x, torch.linalg.cross(z, x), z])


def columns_then_transposed(face_center, head_rotation):
    return wrong.axes_as_columns(face_center, head_rotation).T


RIGHT = {
    "pitchyaw_to_vector": [
        angles.pitchyaw_to_vector,
        indexing_and_cat,
        filling_an_empty_tensor,
        rotating_the_frontal_direction,
    ],
    "vector_to_pitchyaw": [angles.vector_to_pitchyaw, normalizing_and_arcsin, pitch_by_its_tangent],
    "angular_error": [angles.angular_error, kahan, guarded_arccos_in_double_precision, cross_product_by_hand],
    "normalizing_rotation": [normalization.normalizing_rotation, gram_schmidt, columns_then_transposed],
}


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in RIGHT.items() for answer in answers])
def test_check_accepts_right_answers_written_in_other_ways(name, answer):
    verdict = check.exercises[name].judge(answer)
    assert verdict.state == "passed", verdict.message


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in WRONG.items() for answer in answers])
def test_check_rejects_wrong_answers_in_words(name, answer):
    verdict = check.exercises[name].judge(answer)
    assert verdict.state == "wrong"
    assert "the check cannot use" not in verdict.message


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("pitchyaw_to_vector", wrong.plus_signs, "the vector of someone who looks into the camera"),
        ("pitchyaw_to_vector", wrong.yaw_first, "someone who looks straight up"),
        ("pitchyaw_to_vector", wrong.components_first, "shape [3, 1]; it should be [1, 3]"),
        ("vector_to_pitchyaw", wrong.in_degrees, "radians are wanted"),
        ("vector_to_pitchyaw", wrong.plain_atan, "away, half to the right"),
        ("vector_to_pitchyaw", wrong.yaw_pitch_order, "swapped"),
        ("angular_error", wrong.plain_arccos, "0.001° apart"),
        ("angular_error", wrong.clipped_inside_arccos, "0.001° apart your error is 0.02"),
        ("angular_error", wrong.chord, "179"),
        ("angular_error", wrong.left_in_radians, "degrees are wanted"),
        ("angular_error", wrong.own_square_root, "for the same direction twice the gradient is ["),
        ("angular_error", wrong.without_gradient, "no gradient reaches"),
        ("normalizing_rotation", wrong.axes_as_columns, "transpose of R"),
        ("normalizing_rotation", wrong.mirrored, "determinant"),
        ("normalizing_rotation", wrong.head_tilt_left_in, "not horizontal"),
        ("normalizing_rotation", wrong.down_not_normalized, "length 1"),
        ("normalizing_rotation", wrong.inverse_of_the_head, "should see the face at (0, 0,"),
    ],
)
def test_wrong_answer_gets_the_message_that_helps(name, answer, words):
    assert words in check.exercises[name].judge(answer).message


@pytest.mark.parametrize("name", list(RIGHT))
def test_every_exercise_states_its_difficulty_and_minutes_and_has_three_hints(name):
    exercise = check.exercises[name]
    assert exercise.badge.startswith(STEPS[exercise.difficulty - 1])
    assert len(exercise.hints) == 3
