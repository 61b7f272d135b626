"""Plausible wrong answers to the exercises of notebook 01."""

import torch
from torch.nn.functional import normalize


def plus_signs(pitchyaw):
    pitch, yaw = pitchyaw[..., 0], pitchyaw[..., 1]
    return torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()], dim=-1)


def yaw_first(pitchyaw):
    yaw, pitch = pitchyaw[..., 0], pitchyaw[..., 1]
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()], dim=-1)


def without_cos_pitch(pitchyaw):
    pitch, yaw = pitchyaw[..., 0], pitchyaw[..., 1]
    return torch.stack([-yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()], dim=-1)


def cos_yaw_twice(pitchyaw):
    pitch, yaw = pitchyaw[..., 0], pitchyaw[..., 1]
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -yaw.cos() * yaw.cos()], dim=-1)


def components_first(pitchyaw):
    pitch, yaw = pitchyaw[..., 0], pitchyaw[..., 1]
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()])


def only_two_axes(pitchyaw):
    pitch, yaw = pitchyaw[:, 0], pitchyaw[:, 1]
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()], dim=1)


def unnormalized_asin(vector):
    x, y, z = vector.unbind(-1)
    return torch.stack([torch.asin(-y), torch.atan2(-x, -z)], dim=-1)


def plain_atan(vector):
    x, y, z = normalize(vector, dim=-1).unbind(-1)
    return torch.stack([torch.asin(-y), torch.atan(x / z)], dim=-1)


def plus_y(vector):
    x, y, z = normalize(vector, dim=-1).unbind(-1)
    return torch.stack([torch.asin(y), torch.atan2(-x, -z)], dim=-1)


def gaze360_yaw(vector):
    x, y, z = normalize(vector, dim=-1).unbind(-1)
    return torch.stack([torch.asin(-y), torch.atan2(x, -z)], dim=-1)


def yaw_pitch_order(vector):
    x, y, z = normalize(vector, dim=-1).unbind(-1)
    return torch.stack([torch.atan2(-x, -z), torch.asin(-y)], dim=-1)


def in_degrees(vector):
    x, y, z = normalize(vector, dim=-1).unbind(-1)
    return torch.rad2deg(torch.stack([torch.asin(-y), torch.atan2(-x, -z)], dim=-1))


def normalizes_over_the_batch(vector):
    x, y, z = normalize(vector, dim=0).unbind(-1)
    return torch.stack([torch.asin(-y), torch.atan2(-x, -z)], dim=-1)


def _cosine(a, b):
    return (normalize(a, dim=-1) * normalize(b, dim=-1)).sum(-1)


def plain_arccos(a, b):
    return torch.rad2deg(torch.acos(_cosine(a, b)))


def clipped_arccos(a, b):
    return torch.rad2deg(torch.acos(_cosine(a, b).clamp(-1, 1)))


def clipped_inside_arccos(a, b):
    return torch.rad2deg(torch.acos(_cosine(a, b).clamp(-1 + 1e-7, 1 - 1e-7)))


def arccos_of_the_dot_product(a, b):
    return torch.rad2deg(torch.acos((a * b).sum(-1).clamp(-1, 1)))


def arcsin_of_the_cross_product(a, b):
    cross = torch.linalg.cross(normalize(a, dim=-1), normalize(b, dim=-1), dim=-1)
    return torch.rad2deg(torch.asin(cross.norm(dim=-1).clamp(max=1)))


def chord(a, b):
    half = (normalize(a, dim=-1) - normalize(b, dim=-1)).norm(dim=-1) / 2
    return torch.rad2deg(2 * torch.asin(half.clamp(max=1)))


def left_in_radians(a, b):
    return torch.atan2(torch.linalg.cross(a, b, dim=-1).norm(dim=-1), (a * b).sum(-1))


def mean_over_the_batch(a, b):
    return torch.rad2deg(left_in_radians(a, b)).mean()


def own_square_root(a, b):
    sine = torch.linalg.cross(a, b, dim=-1).square().sum(-1).sqrt()
    return torch.rad2deg(torch.atan2(sine, (a * b).sum(-1)))


def without_gradient(a, b):
    return torch.rad2deg(left_in_radians(a.detach(), b.detach()))


def _axes(face_center, head_x):
    z_axis = normalize(face_center, dim=0)
    y_axis = normalize(torch.linalg.cross(z_axis, head_x), dim=0)
    return torch.linalg.cross(y_axis, z_axis), y_axis, z_axis


def axes_as_columns(face_center, head_rotation):
    return torch.stack(_axes(face_center, head_rotation[:, 0]), dim=1)


def row_of_the_head(face_center, head_rotation):
    return torch.stack(_axes(face_center, head_rotation[0]))


def cross_product_turned_around(face_center, head_rotation):
    z_axis = normalize(face_center, dim=0)
    y_axis = normalize(torch.linalg.cross(head_rotation[:, 0], z_axis), dim=0)
    return torch.stack([torch.linalg.cross(y_axis, z_axis), y_axis, z_axis])


def mirrored(face_center, head_rotation):
    x_axis, y_axis, z_axis = _axes(face_center, head_rotation[:, 0])
    return torch.stack([x_axis, -y_axis, z_axis])


def down_not_normalized(face_center, head_rotation):
    z_axis = normalize(face_center, dim=0)
    y_axis = torch.linalg.cross(z_axis, head_rotation[:, 0])
    return torch.stack([torch.linalg.cross(y_axis, z_axis), y_axis, z_axis])


def heads_own_x_axis(face_center, head_rotation):
    _, y_axis, z_axis = _axes(face_center, head_rotation[:, 0])
    return torch.stack([head_rotation[:, 0], y_axis, z_axis])


def head_tilt_left_in(face_center, head_rotation):
    return torch.stack(_axes(face_center, torch.tensor([1.0, 0.0, 0.0])))


def looks_away(face_center, head_rotation):
    x_axis, y_axis, z_axis = _axes(face_center, head_rotation[:, 0])
    return torch.stack([-x_axis, y_axis, -z_axis])


def inverse_of_the_head(face_center, head_rotation):
    return head_rotation.T.contiguous()


def scaled_to_the_distance(face_center, head_rotation):
    scale = torch.tensor([[1.0], [1.0], [600.0]]) / torch.stack([*torch.ones(2), face_center.norm()]).view(3, 1)
    return scale * torch.stack(_axes(face_center, head_rotation[:, 0]))


WRONG = {
    "pitchyaw_to_vector": [
        plus_signs,
        yaw_first,
        without_cos_pitch,
        cos_yaw_twice,
        components_first,
        only_two_axes,
    ],
    "vector_to_pitchyaw": [
        unnormalized_asin,
        plain_atan,
        plus_y,
        gaze360_yaw,
        yaw_pitch_order,
        in_degrees,
        normalizes_over_the_batch,
    ],
    "angular_error": [
        plain_arccos,
        clipped_arccos,
        clipped_inside_arccos,
        arccos_of_the_dot_product,
        arcsin_of_the_cross_product,
        chord,
        left_in_radians,
        mean_over_the_batch,
        own_square_root,
        without_gradient,
    ],
    "normalizing_rotation": [
        axes_as_columns,
        row_of_the_head,
        cross_product_turned_around,
        mirrored,
        down_not_normalized,
        heads_own_x_axis,
        head_tilt_left_in,
        looks_away,
        inverse_of_the_head,
        scaled_to_the_distance,
    ],
}

WORDS = [
    ("pitchyaw_to_vector", plus_signs, "the vector of someone who looks into the camera"),
    ("pitchyaw_to_vector", yaw_first, "someone who looks straight up"),
    ("pitchyaw_to_vector", components_first, "shape [3, 1]; it should be [1, 3]"),
    ("vector_to_pitchyaw", in_degrees, "radians are wanted"),
    ("vector_to_pitchyaw", plain_atan, "away, half to the right"),
    ("vector_to_pitchyaw", yaw_pitch_order, "swapped"),
    ("angular_error", plain_arccos, "0.001° apart"),
    ("angular_error", clipped_inside_arccos, "0.001° apart your error is 0.02"),
    ("angular_error", chord, "179"),
    ("angular_error", left_in_radians, "degrees are wanted"),
    ("angular_error", own_square_root, "for the same direction twice the gradient is ["),
    ("angular_error", without_gradient, "no gradient reaches"),
    ("normalizing_rotation", axes_as_columns, "transpose of R"),
    ("normalizing_rotation", mirrored, "determinant"),
    ("normalizing_rotation", head_tilt_left_in, "not horizontal"),
    ("normalizing_rotation", down_not_normalized, "length 1"),
    ("normalizing_rotation", inverse_of_the_head, "should see the face at (0, 0,"),
]
"""Part of what is said to a wrong answer: exercise, answer, words."""
