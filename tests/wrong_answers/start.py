"""Wrong answers to notebook 00."""

import math

import torch


def plain_mean(angles):
    return angles.mean()


def arctan_loses_the_quadrant(angles):
    return torch.atan(angles.sin().mean() / angles.cos().mean())


def sine_and_cosine_swapped(angles):
    return torch.atan2(angles.cos().mean(), angles.sin().mean())


def wrapped_to_positive_before_averaging(angles):
    return torch.remainder(angles, 2 * math.pi).mean()


def in_degrees(angles):
    return torch.rad2deg(torch.atan2(angles.sin().mean(), angles.cos().mean()))


def one_mean_per_angle(angles):
    return torch.atan2(angles.sin(), angles.cos())


def a_python_number(angles):
    return math.atan2(float(angles.sin().mean()), float(angles.cos().mean()))


WRONG = {
    "mean_angle": [
        plain_mean,
        arctan_loses_the_quadrant,
        sine_and_cosine_swapped,
        wrapped_to_positive_before_averaging,
        in_degrees,
        one_mean_per_angle,
        a_python_number,
    ]
}
