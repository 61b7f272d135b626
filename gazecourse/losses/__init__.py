"""Losses, one file a kind."""

from gazecourse.losses.gaze import gaze_angular, gaze_l1

__all__ = ["gaze_angular", "gaze_l1"]
