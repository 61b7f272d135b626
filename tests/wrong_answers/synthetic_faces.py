"""Plausible wrong answers to the exercises of notebook 02."""

import torch


def _edges(corners):
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    return b - a, c - a


def keeps_the_back(corners):
    ab, ac = _edges(corners)
    return ab[..., 0] * ac[..., 1] - ac[..., 0] * ab[..., 1] > 0


def keeps_edge_on_triangles(corners):
    ab, ac = _edges(corners)
    return ac[..., 0] * ab[..., 1] - ab[..., 0] * ac[..., 1] >= 0


def returns_the_area(corners):
    ab, ac = _edges(corners)
    return ac[..., 0] * ab[..., 1] - ab[..., 0] * ac[..., 1]


def dot_instead_of_cross(corners):
    ab, ac = _edges(corners)
    return (ab * ac).sum(-1) > 0


def _area(p, q, r):
    return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (r[..., 0] - p[..., 0]) * (q[..., 1] - p[..., 1])


def next_corner(points, corners):
    a, b, c = corners
    return torch.stack([_area(points, c, a), _area(points, a, b), _area(points, b, c)], -1) / _area(a, b, c)


def not_divided(points, corners):
    a, b, c = corners
    return torch.stack([_area(points, b, c), _area(points, c, a), _area(points, a, b)], -1)


def absolute_areas(points, corners):
    a, b, c = corners
    parts = torch.stack([_area(points, b, c), _area(points, c, a), _area(points, a, b)], -1)
    return parts.abs() / _area(a, b, c).abs()


def by_distance(points, corners):
    weights = 1 / (torch.cdist(points, corners) + 1e-6)
    return weights / weights.sum(1, keepdim=True)


def light_from_behind(normal, to_light, light_color, albedo):
    return albedo * light_color * (normal * to_light).sum(-1, keepdim=True)


def both_sides_lit(normal, to_light, light_color, albedo):
    return albedo * light_color * (normal * to_light).sum(-1, keepdim=True).abs()


def light_points_away(normal, to_light, light_color, albedo):
    return albedo * light_color * (-(normal * to_light).sum(-1, keepdim=True)).clamp(min=0)


def colorless(normal, to_light, light_color, albedo):
    return albedo * light_color.mean() * (normal * to_light).sum(-1, keepdim=True).clamp(min=0)


def without_albedo(normal, to_light, light_color, albedo):
    return light_color * (normal * to_light).sum(-1, keepdim=True).clamp(min=0).expand(-1, 3)


WRONG = {
    "faces_camera": [keeps_the_back, keeps_edge_on_triangles, returns_the_area, dot_instead_of_cross],
    "barycentric_weights": [next_corner, not_divided, absolute_areas, by_distance],
    "lambert": [light_from_behind, both_sides_lit, light_points_away, colorless, without_albedo],
}
