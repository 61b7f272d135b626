"""Losses, one file a kind."""

from gazecourse.losses.gaze import gaze_angular, gaze_l1
from gazecourse.losses.landmarks import (
    adaptive_wing,
    l1,
    l2,
    landmark_loss,
    relative_location_loss,
    smooth_l1,
    soft_wing,
    wing,
)
from gazecourse.losses.purification import adversarial_loss, eye_attention, likeness, reconstruction_loss

__all__ = [
    "adaptive_wing",
    "adversarial_loss",
    "eye_attention",
    "gaze_angular",
    "gaze_l1",
    "l1",
    "l2",
    "landmark_loss",
    "likeness",
    "reconstruction_loss",
    "relative_location_loss",
    "smooth_l1",
    "soft_wing",
    "wing",
]
