"""Right answers to the exercises of notebook 11, written in other ways than its solutions."""

import torch

from gazecourse.angles import pitchyaw_to_vector

# --- gaze in the camera's frame -----------------------------------------------------------------


def with_the_library(gaze, rotation):
    return rotation.mT @ pitchyaw_to_vector(gaze)


def row_times_matrix(gaze, rotation):
    pitch, yaw = gaze[0], gaze[1]
    toward = torch.stack([torch.cos(pitch) * torch.sin(yaw), torch.sin(pitch), torch.cos(pitch) * torch.cos(yaw)])
    return -toward @ rotation


def by_the_inverse(gaze, rotation):
    return torch.linalg.inv(rotation) @ pitchyaw_to_vector(gaze)


# --- one person's offset ------------------------------------------------------------------------


def with_precisions(errors, noise, spread):
    n = errors.shape[0]
    return (errors.sum(0) / noise**2) / (n / noise**2 + 1 / spread**2)


def mean_times_a_fraction(errors, noise, spread):
    weight = spread**2 / (spread**2 + noise**2 / errors.shape[0])
    return weight * errors.mean(dim=0)


def added_up_picture_by_picture(errors, noise, spread):
    offset, weight = torch.zeros_like(errors[0]), 1 / spread**2
    for error in errors:
        weight = weight + 1 / noise**2
        offset = offset + (error - offset) / noise**2 / weight
    return offset


# --- what a change does -------------------------------------------------------------------------


def means_subtracted(before, after, person):
    return torch.stack([after[person == p].mean() - before[person == p].mean() for p in person.unique()])


def sums_over_counts(before, after, person):
    _, number = person.unique(return_inverse=True)
    people = int(number.max()) + 1
    sums = torch.zeros(people, dtype=before.dtype).index_add(0, number, after - before)
    return sums / torch.bincount(number)


def in_a_loop(before, after, person):
    return torch.tensor(
        [(after[person == p] - before[person == p]).mean().item() for p in sorted(set(person.tolist()))],
        dtype=before.dtype,
    )


RIGHT = {
    "gaze_in_camera": [with_the_library, row_times_matrix, by_the_inverse],
    "person_offset": [with_precisions, mean_times_a_fraction, added_up_picture_by_picture],
    "effect_by_person": [means_subtracted, sums_over_counts, in_a_loop],
}
