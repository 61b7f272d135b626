"""Right answers to the exercise of notebook 00, written in other ways than its solution."""

import torch


def angle_of_a_complex_mean(angles):
    return torch.angle(torch.exp(1j * angles).mean())


def sums_for_means(angles):
    return torch.atan2(torch.sum(torch.sin(angles)), torch.sum(torch.cos(angles)))


def mean_point_on_the_circle(angles):
    x, y = torch.stack([angles.cos(), angles.sin()], dim=-1).mean(dim=0)
    return torch.atan2(y, x)


RIGHT = {"mean_angle": [angle_of_a_complex_mean, sums_for_means, mean_point_on_the_circle]}
