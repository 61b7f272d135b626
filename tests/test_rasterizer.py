"""The z-buffer against a loop over pixels, and what every z-buffer owes its user."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecourse.faces.eyes import eye_mesh
from gazecourse.faces.rasterizer import depth_map, rasterize


def random_scene(seed: int, count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(2, 3 * count, 3, generator=generator)
    points = points * torch.tensor([1.6 * size, 1.6 * size, 50.0]) + torch.tensor([-0.3 * size, -0.3 * size, 10.0])
    return points, torch.arange(3 * count).view(-1, 3)


def brute_force(points: np.ndarray, triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Visible triangle (-1 for none), its weights, and the distance in weight space to the nearest decision."""
    winner = np.full((size, size), -1)
    weights, margin = np.zeros((size, size, 3)), np.full((size, size), np.inf)
    for row in range(size):
        for column in range(size):
            p, best = np.array([column + 0.5, row + 0.5]), -np.inf
            for number, (a, b, c) in enumerate(points[triangles]):
                matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
                if np.linalg.det(matrix) > -1e-6:  # clockwise on the screen faces the camera, y points down
                    continue
                screen = np.linalg.solve(matrix, [*p, 1.0])
                margin[row, column] = min(margin[row, column], abs(screen.min()))
                if screen.min() < 0:
                    continue
                inverse = screen @ (1 / np.array([a[2], b[2], c[2]]))
                margin[row, column] = min(margin[row, column], abs(inverse - best) / inverse)
                if inverse > best:
                    best, winner[row, column] = inverse, number
                    weights[row, column] = screen / np.array([a[2], b[2], c[2]]) / inverse
    return winner, weights, margin


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
def test_every_pixel_shows_the_nearest_triangle_that_a_loop_over_pixels_finds(seed, count):
    size = 12
    points, triangles = random_scene(seed, count, size)
    seen = rasterize(points, triangles, size, size)
    for image in range(2):
        got = np.full(size * size, -1)
        got_weights = np.zeros((size * size, 3))
        mine = seen.image == image
        place = (seen.pixel[mine] - image * size * size).numpy()
        got[place] = seen.triangle[mine].numpy()
        got_weights[place] = seen.weights[mine].numpy()
        winner, weights, margin = brute_force(points[image].double().numpy(), triangles.numpy(), size)
        clear = (margin > 1e-3).ravel()
        assert (got[clear] == winner.ravel()[clear]).all()
        np.testing.assert_allclose(got_weights[clear], weights.reshape(-1, 3)[clear], atol=2e-3)


def sphere_on_screen(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    points, triangles = eye_mesh()
    return torch.stack(
        [points[:, 0] * size * 0.4 + size / 2, points[:, 1] * size * 0.4 + size / 2, points[:, 2] + 10], dim=1
    )[None], triangles


def test_a_closed_surface_has_no_holes_between_its_triangles():
    size = 97
    points, triangles = sphere_on_screen(size)
    covered = torch.zeros(size * size)
    covered[rasterize(points, triangles, size, size).pixel] = 1
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    inside = ((x - size / 2) ** 2 + (y - size / 2) ** 2).sqrt() < 0.37 * size
    assert covered.view(size, size)[inside].all()


def test_the_back_of_a_surface_is_not_drawn():
    points, triangles = sphere_on_screen(64)
    assert rasterize(points, triangles.flip(1), 64, 64).pixel.numel() == 0


def test_interpolating_the_vertices_gives_the_place_of_each_pixel_center():
    size = 40
    points, triangles = sphere_on_screen(size)
    seen = rasterize(points, triangles, size, size)
    # Weights are perspective-correct: x·z and z interpolate linearly in space, x does not.
    homogeneous = torch.cat([points[..., :2] * points[..., 2:], points[..., 2:]], dim=-1)
    place = seen.interpolate(homogeneous, triangles)
    expected = torch.stack([seen.pixel % size + 0.5, seen.pixel // size + 0.5], dim=1)
    assert torch.allclose(place[:, :2] / place[:, 2:], expected.float(), atol=1e-3)
    assert torch.allclose(seen.weights.sum(1), torch.ones(len(seen.weights)), atol=1e-5)


def test_a_tilted_triangle_is_interpolated_with_perspective():
    # From depth 1 (left) to depth 3 (right): the middle of the screen shows the point a quarter along the way.
    points = torch.tensor([[[0.0, 0.0, 10.0], [0.0, 100.0, 10.0], [100.0, 0.0, 30.0], [100.0, 100.0, 30.0]]])
    triangles = torch.tensor([[0, 1, 2], [2, 1, 3]])
    seen = rasterize(points, triangles, 100, 100)
    along = seen.interpolate(torch.tensor([[[0.0], [0.0], [1.0], [1.0]]]), triangles)
    middle = along[(seen.pixel % 100 == 49) & (seen.pixel // 100 == 40)]
    screen = 49.5 / 100
    expected = (screen / 30) / ((1 - screen) / 10 + screen / 30)
    assert math.isclose(float(middle), expected, rel_tol=1e-3)


def test_the_depth_map_agrees_with_the_visible_triangles():
    size = 16
    points, triangles = random_scene(5, 9, size)
    seen = rasterize(points, triangles, size, size)
    depth = depth_map(points, triangles, size, size)
    assert torch.allclose(depth.reshape(-1)[seen.pixel], seen.interpolate(points[..., 2:], triangles)[:, 0], rtol=1e-4)
    assert int(torch.isfinite(depth).sum()) == len(seen.pixel)


def test_an_image_does_not_depend_on_its_batch():
    points, triangles = random_scene(3, 20, 24)
    both = rasterize(points, triangles, 24, 24)
    alone = rasterize(points[1:], triangles, 24, 24)
    second = both.image == 1
    assert torch.equal(both.triangle[second], alone.triangle)
    assert torch.equal(both.weights[second], alone.weights)


@pytest.mark.parametrize(
    ("points", "triangles", "size", "message"),
    [
        (torch.zeros(3, 3), torch.zeros(1, 3, dtype=torch.long), 8, "points must have shape"),
        (torch.zeros(1, 3, 3, dtype=torch.long), torch.zeros(1, 3, dtype=torch.long), 8, "points must be floating"),
        (torch.full((1, 3, 3), math.nan), torch.zeros(1, 3, dtype=torch.long), 8, "points must be finite"),
        (torch.zeros(1, 3, 3), torch.zeros(1, 4, dtype=torch.long), 8, "triangles must have shape"),
        (torch.zeros(1, 3, 3), torch.zeros(1, 3, dtype=torch.long), 0, "height must be"),
    ],
)
def test_bad_input_is_named(points, triangles, size, message):
    with pytest.raises((TypeError, ValueError), match=message):
        rasterize(points, triangles, size, size)


def test_a_picture_with_nothing_in_it_is_empty():
    points = torch.full((2, 3, 3), -50.0)
    points[..., 2] = 10.0
    assert rasterize(points, torch.tensor([[0, 1, 2]]), 8, 8).pixel.numel() == 0
    assert torch.isinf(depth_map(points, torch.tensor([[0, 1, 2]]), 8, 8)).all()
