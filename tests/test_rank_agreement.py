"""Spearman's correlation of feature and gaze similarities, by hand and by SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from gazecourse.analysis.rank_agreement import rank_agreement
from gazecourse.angles import pitchyaw_to_vector


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def at_yaw(*degrees):
    yaw = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([torch.zeros_like(yaw), yaw], dim=1)


def test_features_that_are_the_gaze_vectors_agree_perfectly():
    gaze = 0.4 * normal(30, 2)
    assert rank_agreement(5 * pitchyaw_to_vector(gaze), gaze) == pytest.approx(1.0, abs=1e-9)


def test_three_faces_by_hand():
    """Gaze at 0°, 10° and 40°, features at 0°, 50° and 20°: the closest pair of one is the furthest of the other."""
    turn = torch.deg2rad(torch.tensor([0.0, 50.0, 20.0], dtype=torch.float64))
    features = torch.stack([turn.cos(), turn.sin()], dim=1)
    # similarity of gaze, ranks of (0, 1), (0, 2), (1, 2): 3, 1, 2; of features, 50°, 20° and 30° apart: 1, 3, 2.
    assert rank_agreement(features, at_yaw(0, 10, 40)) == pytest.approx(-1.0)
    assert rank_agreement(features[[0, 2, 1]], at_yaw(0, 10, 40)) == pytest.approx(1.0)


def test_it_is_scipys_spearman_over_all_pairs():
    features, gaze = normal(25, 6), 0.5 * normal(25, 2, seed=1)
    unit = features / features.norm(dim=1, keepdim=True)
    vectors = pitchyaw_to_vector(gaze.double())
    row, column = np.triu_indices(25, 1)
    expected = spearmanr((unit @ unit.T)[row, column], (vectors @ vectors.T)[row, column]).statistic
    assert rank_agreement(features, gaze) == pytest.approx(expected, abs=1e-6)
    assert rank_agreement(features.numpy(), gaze.numpy()) == pytest.approx(expected, abs=1e-6)


def test_neither_the_length_of_features_nor_the_order_of_faces_counts():
    features, gaze = normal(20, 4), 0.5 * normal(20, 2, seed=1)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    expected = rank_agreement(features, gaze)
    longer = features * (1 + torch.arange(20.0)).unsqueeze(1)
    assert rank_agreement(longer[order], gaze[order]) == pytest.approx(expected, abs=1e-6)


def test_pairs_of_equal_gaze_share_a_rank():
    gaze = torch.tensor([[0.1234567, -0.7654321], [0.2, 0.3]]).repeat(4, 1)
    features = pitchyaw_to_vector(gaze)
    assert rank_agreement(features, gaze) == pytest.approx(1.0)


def test_pairs_that_are_equal_but_for_rounding_share_a_rank():
    yaw = torch.arange(4, dtype=torch.float64) / 10  # steps of 0.1, and of 0.2, are each alike but for the last bits
    gaze = torch.stack([torch.zeros(4, dtype=torch.float64), yaw], dim=1)
    step = [3, 2, 1, 3, 2, 3]  # nearness of the pairs 01, 02, 03, 12, 13, 23
    features = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    unit = torch.nn.functional.normalize(features, dim=1)
    row, column = torch.triu_indices(4, 4, 1)
    expected = spearmanr(step, (unit @ unit.T)[row, column]).statistic
    assert rank_agreement(features, gaze) == pytest.approx(expected, abs=1e-12)


def test_random_features_do_not_agree():
    assert abs(rank_agreement(normal(120, 8), 0.4 * normal(120, 2, seed=1))) < 0.1


@pytest.mark.parametrize(
    ("features", "gaze", "error", "message"),
    [
        (torch.rand(2, 3), torch.rand(2, 2), ValueError, "three faces or more, .*; got 2"),
        (torch.rand(4, 3), torch.rand(3, 2), ValueError, r"gaze must have shape \[4, 2\]"),
        (torch.rand(4), torch.rand(4, 2), ValueError, r"features must have shape \[N, D\]"),
        (torch.ones(4, 3), torch.rand(4, 2), ValueError, "features must differ between pairs"),
        (torch.rand(4, 3), torch.full((4, 2), 0.2), ValueError, "gaze must differ between pairs"),
        (torch.rand(4, 3) / 0, torch.rand(4, 2), ValueError, "features must be finite"),
        ([[1.0]], torch.rand(1, 2), TypeError, "features must be a tensor or array; got list"),
    ],
)
def test_bad_arguments_are_named(features, gaze, error, message):
    with pytest.raises(error, match=message):
        rank_agreement(features, gaze)
