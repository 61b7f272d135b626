"""Exercises of notebook 11: gaze in the camera's frame, one person's offset, and what a change does to people."""

from __future__ import annotations

import torch
from torch import Tensor

from gazecourse.angles import pitchyaw_to_vector
from gazecourse.exercises import Checks, examine

check = Checks()

# --- gaze in the camera's frame -----------------------------------------------------------------


def _gaze_in_camera(gaze: Tensor, rotation: Tensor) -> Tensor:
    pitch, yaw = gaze
    vector = torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()])
    return rotation.T @ vector


@check.exercise(
    reference=_gaze_in_camera,
    difficulty=2,
    minutes=8,
    hints=(
        "Two steps: the angles become a unit vector, and the vector is turned back. R led from the camera's frame to "
        "the normalized one.",
        "As in notebook 01, pitch is positive upward and yaw to the left of the picture: x = −cos(pitch) sin(yaw), "
        "y = −sin(pitch), z = −cos(pitch) cos(yaw). So (0, 0) looks into the camera, along −z.",
        "A rotation's inverse is its transpose. R v goes to the normalized frame, and rotation.T @ v goes back.",
        "pitch, yaw = gaze; v = torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()]); "
        "return rotation.T @ v",
    ),
)
def gaze_in_camera(candidate):
    """A unit vector from pitch and yaw, turned back by the transpose."""
    for setting in ("for a face off to one side", "for another one"):
        gaze = (torch.rand(2, dtype=torch.float64) - 0.5) * torch.tensor([1.0, 1.6]) + 0.1
        axis = torch.nn.functional.normalize(torch.randn(3, dtype=torch.float64), dim=0)
        rotation = _turn(axis * (0.3 + 0.3 * torch.rand(1, dtype=torch.float64)))
        vector = pitchyaw_to_vector(gaze)
        swapped = pitchyaw_to_vector(gaze.flip(0))
        slips = [
            (
                rotation @ vector,
                "R leads from the camera's frame to the normalized one; the way back is its transpose.",
            ),
            (vector, "this is still the normalized frame; turn it back by the transpose of R."),
            (-(rotation.T @ vector), "the vector points the wrong way: who looks into the camera looks along −z."),
            (rotation.T @ swapped, "pitch comes first, yaw second."),
            (
                rotation.T @ (vector * torch.tensor([-1.0, 1.0, 1.0])),
                "left and right are exchanged: x is −cos(pitch) sin(yaw).",
            ),
            (
                rotation.T @ (vector * torch.tensor([1.0, -1.0, 1.0])),
                "up and down are exchanged: in pictures y points down, so that y is −sin(pitch).",
            ),
            (rotation.T @ (vector * torch.tensor([1.0, 1.0, -1.0])), "who looks into the camera looks along −z."),
        ]
        examine(candidate, _gaze_in_camera, (gaze, rotation), slips, name="the gaze", setting=setting)


def _turn(vector: Tensor) -> Tensor:
    """The rotation [3, 3] about a vector, by its length in radians."""
    x, y, z = vector.tolist()
    return torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64).matrix_exp()


# --- one person's offset ------------------------------------------------------------------------


def _person_offset(errors: Tensor, noise: float, spread: float) -> Tensor:
    count = len(errors)
    return errors.mean(0) * count * spread**2 / (count * spread**2 + noise**2)


@check.exercise(
    reference=_person_offset,
    difficulty=2,
    minutes=8,
    hints=(
        "With very many pictures the offset is the mean of their errors. With one noisy picture it should be nearly 0. "
        "What stands between?",
        "The mean of n errors has the noise variance σ²/n. Compare it with s², the variance of people's offsets.",
        "b = s² / (s² + σ²/n) · mean. The fraction goes to 1 for many pictures, and to 0 where people hardly differ.",
        "n = len(errors); return errors.mean(0) * n * spread**2 / (n * spread**2 + noise**2)",
    ),
)
def person_offset(candidate):
    """The mean error, weighed by how much people differ and how noisy it is."""
    for count, noise, spread in ((1, 0.08, 0.05), (4, 0.1, 0.03), (9, 0.05, 0.06)):
        errors = 0.05 * torch.randn(count, 2, dtype=torch.float64) + 0.04
        mean = errors.mean(0)
        right = _person_offset(errors, noise, spread)
        slips = [
            (mean * count * spread / (count * spread + noise), "squares are missing: s² and σ² are variances."),
            (mean * spread**2 / (spread**2 + noise**2), "the mean of n errors has the variance σ²/n, not σ²."),
            (mean * noise**2 / (count * spread**2 + noise**2), "these are the weights of the other side: with many "
             "pictures the weight of their mean goes to 1."),
            (-right, "the sign is the other one: errors are true minus predicted, and the offset is added."),
            (mean, "this is the mean error itself; one noisy picture would move everything. Weigh it."),
            (right / count, "divide by n once: the mean has done so already."),
            (right * count, "these are sums of errors; take their mean."),
            (right.mean(), "pitch and yaw have an offset each: take the mean over pictures alone."),
        ]  # fmt: skip
        setting = f"{count} picture{'s' if count > 1 else ''}, σ = {noise:g}, s = {spread:g}"
        examine(candidate, _person_offset, (errors, noise, spread), slips, name="the offset", setting=setting)


# --- what a change does -------------------------------------------------------------------------


def _effect_by_person(before: Tensor, after: Tensor, person: Tensor) -> Tensor:
    change = after - before
    return torch.stack([change[person == number].mean() for number in person.unique()])


@check.exercise(
    reference=_effect_by_person,
    difficulty=1,
    minutes=6,
    hints=(
        "The same face was drawn twice. So the difference is taken picture by picture, before any mean.",
        "Then each person gets one number, the mean of their differences: pictures of one person resemble each other, "
        "and a hundred of them are not a hundred people.",
        "person.unique() gives the people in ascending order, and change[person == number] the differences of one.",
        "change = after - before; return torch.stack([change[person == number].mean() for number in person.unique()])",
    ),
)
def effect_by_person(candidate):
    """Differences after − before, one mean for each person."""
    for setting, sizes in (("three people", (4, 2, 5)), ("two people", (1, 6))):
        person = torch.cat([torch.full((size,), 3 * number + 2) for number, size in enumerate(sizes)])
        person = person[torch.randperm(len(person))]
        before = 5 + 3 * torch.rand(len(person), dtype=torch.float64)
        after = before + torch.randn(len(person), dtype=torch.float64) + 0.5 * person
        right = _effect_by_person(before, after, person)
        of_each = [person == number for number in person.unique()]
        change = after - before
        slips = [
            (-right, "the sign is the other one: after minus before, so that harm is positive."),
            (change, "this has a number for each picture; take the mean of each person's."),
            (change.mean(), "each person should have a number of their own."),
            (right.mean(), "each person should have a number of their own; the mean over people comes later."),
            (torch.stack([change[rows].sum() for rows in of_each]), "this is a sum; take the mean."),
            (torch.stack([after[rows].mean() for rows in of_each]), "this is the error after; subtract that before."),
            (torch.stack([change[rows].abs().mean() for rows in of_each]), "signs matter: a change may help."),
        ]  # fmt: skip
        inputs = (before, after, person)
        examine(candidate, _effect_by_person, inputs, slips, name="the effect", setting=setting)
