"""Whether features that are similar belong to gaze that is: the order that CLIP-Gaze's rank loss asks for."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import rankdata

from gazecourse.losses import unit_features
from gazecourse.losses.vision_language import CERTAIN_ORDER, gaze_closeness
from gazecourse.validation import Array, check_array


def rank_agreement(features: Array, gaze: Array) -> float:
    """Spearman's correlation of the similarity of features and that of gaze, over all pairs of faces.

        ρ = correlation of rank(cos(z_i, z_j)) and rank(cos(g_i, g_j)),  i < j

    The pairs of N faces are compared, N (N − 1) / 2 of them; memory and time grow with N².

    Args:
        features: z [N, D], N of 3 or more. gaze: [N, 2] (pitch, yaw), radians.
    Returns:
        From -1 to 1: 1 where the more similar of two pairs in gaze is always the more similar in features, about 0 for
        features that know nothing of gaze. Pairs of equal similarity share a rank.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also where all pairs are equally
            similar.
    """
    check_array("features", features, ("N", "D"))
    check_array("gaze", gaze, (len(features), 2))
    if len(features) < 3:
        raise ValueError(f"features must hold three faces or more, for two pairs; got {len(features)}.")
    row, column = np.triu_indices(len(features), 1)
    z = unit_features(torch.as_tensor(features).detach().cpu().double())
    ranks = []
    for name, similarity in (("features", z @ z.T), ("gaze", gaze_closeness(torch.as_tensor(gaze).cpu()))):
        # Similarities that differ by less are equal but for rounding.
        rounded = (similarity.numpy()[row, column] / CERTAIN_ORDER).round()
        if (rounded == rounded[0]).all():
            raise ValueError(f"{name} must differ between pairs of faces; all pairs are equally similar.")
        ranks.append(rankdata(rounded))
    return float(np.corrcoef(*ranks)[0, 1])
