"""Right answers to the exercises of notebook 01, written in other ways than its solutions."""

import torch
from torch.nn.functional import normalize
from wrong_answers import geometry as wrong

from gazecourse import angles, normalization


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
