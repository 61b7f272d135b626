"""Balancing over pose: yaw is what the coordinate finds, and rare poses are shown again until they are as frequent."""

from __future__ import annotations

import math

import pytest
import torch

from gazecourse.pose_balance import balanced_over_pose, pose_coordinate


def heads(yaws, seed=0):
    """Landmarks of one bent surface with 40 points, turned by yaw, then rolled, sized and put anywhere."""
    generator = torch.Generator().manual_seed(seed)
    points = 2 * torch.rand(40, 2, generator=generator, dtype=torch.float64) - 1
    depth = 1 - 0.5 * points.square().sum(1)
    shapes = []
    for yaw in yaws:
        x = points[:, 0] * math.cos(yaw) + depth * math.sin(yaw)
        roll, size = torch.rand(2, generator=generator, dtype=torch.float64)
        flat = torch.complex(x, points[:, 1]) * torch.polar(20 + 10 * size, roll - 0.5)
        shapes.append(torch.view_as_real(flat) + 50 * torch.rand(2, generator=generator, dtype=torch.float64))
    return torch.stack(shapes)


def test_pose_coordinate_orders_faces_by_yaw_whatever_their_place_size_and_roll():
    yaws = torch.linspace(-0.7, 0.7, 21)
    found = pose_coordinate(heads(yaws))
    steps = found.diff()
    assert bool((steps > 0).all()) or bool((steps < 0).all())
    assert abs(float(found.mean())) < 1e-9


def test_rare_poses_are_shown_again_until_all_are_about_equally_frequent():
    yaws = torch.cat([0.05 * torch.randn(90, generator=torch.Generator().manual_seed(1)), torch.full((10,), 0.8)])
    landmarks = heads(yaws)
    rows = balanced_over_pose(landmarks, bins=2)
    assert set(rows.tolist()) == set(range(100))
    turned = rows >= 90
    assert int((~turned).sum()) == 90
    assert int(turned.sum()) == 90
    assert torch.bincount(rows[turned] - 90).tolist() == [9] * 10


def test_no_image_comes_more_often_than_allowed_and_one_bin_changes_nothing():
    yaws = torch.cat([torch.zeros(50), torch.full((2,), 0.8)])
    landmarks = heads(yaws)
    rows = balanced_over_pose(landmarks, bins=3, most=4)
    assert int(torch.bincount(rows).max()) == 4
    assert balanced_over_pose(landmarks, bins=1).sort().values.tolist() == list(range(52))


def test_every_seed_draws_other_images_and_the_same_seed_the_same():
    landmarks = heads(torch.cat([torch.zeros(10), torch.full((4,), 0.8)]))
    draws = [balanced_over_pose(landmarks, bins=2, seed=seed).tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: balanced_over_pose(torch.rand(5, 68, 2), bins=0), "bins must be"),
        (lambda: balanced_over_pose(torch.rand(5, 68, 2), most=0), "most must be"),
        (lambda: pose_coordinate(torch.rand(1, 68, 2)), "two faces or more"),
        (lambda: pose_coordinate(torch.ones(3, 68, 2)), "landmarks of face 0 all lie in one place"),
        (lambda: pose_coordinate(torch.rand(3, 68)), "landmarks must"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
