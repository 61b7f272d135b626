"""Losses, one file a kind."""

from gazecourse.losses.gaze import gaze_angular, gaze_l1
from gazecourse.losses.purification import adversarial_loss, eye_attention, likeness, reconstruction_loss

__all__ = ["adversarial_loss", "eye_attention", "gaze_angular", "gaze_l1", "likeness", "reconstruction_loss"]
