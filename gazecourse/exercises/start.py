"""Exercise of notebook 00: the mean of directions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gazecourse.exercises import Checks, Wrong, compare, same_output

check = Checks()


def _mean_angle(angles: Tensor) -> Tensor:
    return torch.atan2(angles.sin().mean(), angles.cos().mean())


@check.exercise(
    reference=_mean_angle,
    difficulty=1,
    minutes=5,
    hints=(
        "179° and -179° are 2° apart. What is their plain mean, and where do the two directions really meet?",
        "An angle is a point on the unit circle, (cos, sin). Points can be averaged without any seam.",
        "torch.atan2(y, x) turns the averaged point back into an angle, for all four quadrants.",
    ),
)
def mean_angle(candidate):
    """Directions on both sides of the seam at ±180° are averaged rightly."""
    same_output(candidate, _mean_angle, torch.tensor([0.2, 0.2]), name="the mean of 0.2 and 0.2 rad")
    got = torch.as_tensor(candidate(torch.tensor([math.radians(179.0), math.radians(-179.0)])))
    if abs(got.item()) < 1e-3:
        raise Wrong("179° and -179° gave 0°, the opposite direction. The mean should be 180° (or -180°).")
    compare("the cosine of the mean of 179° and -179°", got.cos(), torch.tensor(-1.0))
    same_output(candidate, _mean_angle, (torch.rand(50) - 0.5) * 2.0, name="the mean of 50 angles in radians")
    same_output(candidate, _mean_angle, torch.tensor([2.0, 2.5, 3.0]), name="the mean of 2.0, 2.5 and 3.0 rad")
