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
from gazecourse.losses.vision_language import (
    ClipGazeWeights,
    bounded_scale,
    clip_gaze_loss,
    contrastive_loss,
    distillation_loss,
    factor_weights,
    identical_captions,
    prompt_loss,
    rank_loss,
    rank_similarity_loss,
    separation_loss,
    unit_features,
)

__all__ = [
    "ClipGazeWeights",
    "adaptive_wing",
    "adversarial_loss",
    "bounded_scale",
    "clip_gaze_loss",
    "contrastive_loss",
    "distillation_loss",
    "eye_attention",
    "factor_weights",
    "gaze_angular",
    "gaze_l1",
    "identical_captions",
    "l1",
    "l2",
    "landmark_loss",
    "likeness",
    "prompt_loss",
    "rank_loss",
    "rank_similarity_loss",
    "reconstruction_loss",
    "relative_location_loss",
    "separation_loss",
    "smooth_l1",
    "soft_wing",
    "unit_features",
    "wing",
]
