"""Plausible wrong answers to the exercises of notebook 11, and what is said to some of them."""

import torch

from gazecourse.angles import pitchyaw_to_vector

# --- gaze in the camera's frame -----------------------------------------------------------------


def forward_again(gaze, rotation):
    return rotation @ pitchyaw_to_vector(gaze)


def never_turned(gaze, rotation):
    return pitchyaw_to_vector(gaze)


def opposite(gaze, rotation):
    return -(rotation.T @ pitchyaw_to_vector(gaze))


def yaw_first(gaze, rotation):
    return rotation.T @ pitchyaw_to_vector(gaze.flip(0))


def mirrored(gaze, rotation):
    return rotation.T @ (pitchyaw_to_vector(gaze) * torch.tensor([-1.0, 1.0, 1.0]))


def upside_down(gaze, rotation):
    return rotation.T @ (pitchyaw_to_vector(gaze) * torch.tensor([1.0, -1.0, 1.0]))


def into_the_picture(gaze, rotation):
    return rotation.T @ (pitchyaw_to_vector(gaze) * torch.tensor([1.0, 1.0, -1.0]))


def in_degrees(gaze, rotation):
    return rotation.T @ pitchyaw_to_vector(gaze.rad2deg())


# --- one person's offset ------------------------------------------------------------------------


def plain_mean(errors, noise, spread):
    return errors.mean(0)


def without_squares(errors, noise, spread):
    n = len(errors)
    return errors.mean(0) * n * spread / (n * spread + noise)


def as_if_one_picture(errors, noise, spread):
    return errors.mean(0) * spread**2 / (spread**2 + noise**2)


def other_way_round(errors, noise, spread):
    n = len(errors)
    return errors.mean(0) * noise**2 / (n * spread**2 + noise**2)


def subtracted(errors, noise, spread):
    n = len(errors)
    return -errors.mean(0) * n * spread**2 / (n * spread**2 + noise**2)


def summed(errors, noise, spread):
    n = len(errors)
    return errors.sum(0) * n * spread**2 / (n * spread**2 + noise**2)


def over_everything(errors, noise, spread):
    n = len(errors)
    return errors.mean() * n * spread**2 / (n * spread**2 + noise**2)


# --- what a change does -------------------------------------------------------------------------


def before_minus_after(before, after, person):
    return torch.stack([(before - after)[person == p].mean() for p in person.unique()])


def picture_by_picture(before, after, person):
    return after - before


def one_number(before, after, person):
    return (after - before).mean()


def mean_of_people(before, after, person):
    return torch.stack([(after - before)[person == p].mean() for p in person.unique()]).mean()


def sums(before, after, person):
    return torch.stack([(after - before)[person == p].sum() for p in person.unique()])


def after_alone(before, after, person):
    return torch.stack([after[person == p].mean() for p in person.unique()])


def without_signs(before, after, person):
    return torch.stack([(after - before)[person == p].abs().mean() for p in person.unique()])


def relative(before, after, person):
    return torch.stack([((after - before) / before)[person == p].mean() for p in person.unique()])


WRONG = {
    "gaze_in_camera": [
        forward_again,
        never_turned,
        opposite,
        yaw_first,
        mirrored,
        upside_down,
        into_the_picture,
        in_degrees,
    ],
    "person_offset": [
        plain_mean,
        without_squares,
        as_if_one_picture,
        other_way_round,
        subtracted,
        summed,
        over_everything,
    ],
    "effect_by_person": [
        before_minus_after,
        picture_by_picture,
        one_number,
        mean_of_people,
        sums,
        after_alone,
        without_signs,
        relative,
    ],
}

WORDS = [
    ("gaze_in_camera", forward_again, "transpose"),
    ("gaze_in_camera", never_turned, "still the normalized frame"),
    ("gaze_in_camera", opposite, "points the wrong way"),
    ("gaze_in_camera", yaw_first, "pitch comes first"),
    ("gaze_in_camera", mirrored, "left and right"),
    ("gaze_in_camera", upside_down, "up and down"),
    ("person_offset", plain_mean, "Weigh it"),
    ("person_offset", without_squares, "squares are missing"),
    ("person_offset", as_if_one_picture, "σ²/n"),
    ("person_offset", other_way_round, "other side"),
    ("person_offset", subtracted, "sign"),
    ("person_offset", over_everything, "pitch and yaw"),
    ("effect_by_person", before_minus_after, "sign"),
    ("effect_by_person", picture_by_picture, "each picture"),
    ("effect_by_person", one_number, "each person"),
    ("effect_by_person", sums, "sum"),
    ("effect_by_person", after_alone, "before"),
    ("effect_by_person", without_signs, "signs matter"),
]
