"""A z-buffer in plain PyTorch: triangles in, visible triangle and barycentric weights per pixel out.

Every triangle is expanded into the rows of pixels that it crosses, and every row into the pixels between the two
edges, found with the edge functions of Pineda (1988, "A parallel algorithm for polygon rasterization"). The nearest
triangle wins each pixel through one ``scatter_reduce``. There is no loop over images, triangles or pixels, so the
same lines run on a CPU and on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gazecourse.validation import check_array, check_positive

DEPTH_STEPS = 1 << 40
"""near/z is compared in this many steps, finer than float32 resolves it."""

OVERLAP = 1e-4
"""Spans are this many pixels longer at both ends, so that rounding leaves no gap between two triangles."""


@dataclass
class Visibility:
    """What a z-buffer pass leaves behind, for the P pixels that any triangle covers.

    Attributes:
        pixel: [P] flat index into B × H × W.
        triangle: [P] index of the visible triangle.
        weights: [P, 3] perspective-correct barycentric weights of its corners.
        image: [P] index of the image in the batch.
        shape: (B, H, W).
    """

    pixel: Tensor
    triangle: Tensor
    weights: Tensor
    image: Tensor
    shape: tuple[int, int, int]

    def subset(self, index: Tensor) -> Visibility:
        """The chosen covered pixels [Q] alone."""
        chosen = [t.index_select(0, index) for t in (self.pixel, self.triangle, self.weights, self.image)]
        return Visibility(*chosen, self.shape)

    def interpolate(self, attributes: Tensor, triangles: Tensor) -> Tensor:
        """Attributes of vertices [B, V, A] interpolated at every covered pixel, [P, A]."""
        batch, count, width = attributes.shape
        rows = attributes.reshape(batch * count, width)
        corners = triangles.index_select(0, self.triangle) + (self.image * count).unsqueeze(1)
        out = rows.index_select(0, corners[:, 0]) * self.weights[:, 0:1]
        out.addcmul_(rows.index_select(0, corners[:, 1]), self.weights[:, 1:2])
        return out.addcmul_(rows.index_select(0, corners[:, 2]), self.weights[:, 2:3])

    def scatter(self, values: Tensor, background: Tensor | float = 0.0) -> Tensor:
        """Values [P, A] of the covered pixels as an image [B, A, H, W] over ``background``."""
        batch, height, width = self.shape
        flat = values.new_empty(batch * height * width, values.shape[1])
        if isinstance(background, Tensor):
            flat.copy_(background.expand(batch, -1, height, width).permute(0, 2, 3, 1).reshape(flat.shape))
        else:
            flat.fill_(background)
        flat.index_copy_(0, self.pixel, values)
        return flat.view(batch, height, width, -1).permute(0, 3, 1, 2)


@dataclass
class _Setup:
    """Constants of the T triangles that face the camera and may cover a pixel center.

    The barycentric weights w_a and w_b of the first two corners and 1/z are linear in the image; ``planes`` [T, 9]
    holds slope in x, slope in y and value at the pixel center (0, row) for each of the three.
    """

    source: Tensor  # [T] flat index into B × F
    row: Tensor  # [T] first row of pixels
    high: Tensor  # [T] rows
    left: Tensor  # [T] first and last column of the bounding box
    right: Tensor
    planes: Tensor


def _planes(corners: Tensor, area: Tensor, row: Tensor) -> Tensor:
    """Planes [T, 9] of w_a, w_b and 1/z for corners [T, 9]; see ``_Setup``."""
    ax, ay, az, bx, by, bz, cx, cy, cz = corners.unbind(1)
    ax_slope, ay_slope = (cy - by) / area, (bx - cx) / area
    bx_slope, by_slope = (ay - cy) / area, (cx - ax) / area
    x, y = 0.5 - cx, row + 0.5 - cy
    a_start, b_start = ax_slope * x + ay_slope * y, bx_slope * x + by_slope * y
    za, zb, zc = 1 / az, 1 / bz, 1 / cz
    zx = (za - zc) * ax_slope + (zb - zc) * bx_slope
    zy = (za - zc) * ay_slope + (zb - zc) * by_slope
    planes = [ax_slope, ay_slope, a_start, bx_slope, by_slope, b_start, zx, zy, zc + zx * x + zy * y]
    return torch.stack(planes, dim=1)


def _set_up(points: Tensor, triangles: Tensor, height: int, width: int, near: float) -> _Setup:
    """Drop triangles that face away, lie too near or cover no pixel center; prepare the planes of the others."""
    batch, faces = points.shape[0], triangles.shape[0]
    corners = points.index_select(1, triangles.reshape(-1)).view(batch * faces, 9)
    xs, ys, zs = corners[:, 0::3], corners[:, 1::3], corners[:, 2::3]
    # Positive for triangles that are wound counter-clockwise in space and face the camera (y points down).
    area = (xs[:, 2] - xs[:, 0]) * (ys[:, 1] - ys[:, 0]) - (xs[:, 1] - xs[:, 0]) * (ys[:, 2] - ys[:, 0])
    left, right = torch.ceil(xs.amin(1) - 0.5).clamp_(min=0), torch.floor(xs.amax(1) - 0.5).clamp_(max=width - 1)
    row, last = torch.ceil(ys.amin(1) - 0.5).clamp_(min=0), torch.floor(ys.amax(1) - 0.5).clamp_(max=height - 1)
    seen = (area > 1e-6) & (zs.amin(1) > near) & (right >= left) & (last >= row)

    source = seen.nonzero().squeeze(1)
    kept = [t.index_select(0, source) for t in (corners, area, row, last, left, right)]
    corners, area, row, last, left, right = kept
    high = (last - row + 1).long()
    return _Setup(source, row.long(), high, left, right, _planes(corners, area, row))


def _repeat(count: Tensor) -> tuple[Tensor, Tensor]:
    """Owner and running number of each of ``count[i]`` copies of every i."""
    owner = torch.repeat_interleave(torch.arange(count.numel(), device=count.device), count)
    start = count.cumsum(0) - count
    return owner, torch.arange(owner.numel(), device=count.device) - start.index_select(0, owner)


def _spans(setup: _Setup) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Triangle [S], row within it [S], first column [S] and number of pixels [S] of every row of every triangle."""
    owner, down = _repeat(setup.high)
    planes = setup.planes.index_select(0, owner)
    first, last = setup.left.index_select(0, owner), setup.right.index_select(0, owner)
    a_slope, b_slope = planes[:, 0], planes[:, 3]
    a, b = planes[:, 2] + planes[:, 1] * down, planes[:, 5] + planes[:, 4] * down
    # Inside, each weight is >= 0: where it rises along the row it bounds x from the left, else from the right.
    for slope, value in ((a_slope, a), (b_slope, b), (-a_slope - b_slope, 1 - a - b)):
        crossing = -value / slope
        level_outside = (slope == 0) & (value < 0)
        first = torch.where(slope > 0, torch.maximum(first, torch.ceil(crossing - OVERLAP)), first)
        last = torch.where(slope < 0, torch.minimum(last, torch.floor(crossing + OVERLAP)), last)
        last = torch.where(level_outside, first - 1, last)
    return owner, down, first.long(), (last - first + 1).clamp_(min=0).long()


def rasterize(points: Tensor, triangles: Tensor, height: int, width: int, *, near: float = 1.0) -> Visibility:
    """Find the visible triangle of every pixel.

    Args:
        points: [B, V, 3] projected vertices: x and y in pixels (the image's corner is (0, 0), pixel centers lie at
            .5) and depth z > 0.
        triangles: [F, 3] vertex indices, wound counter-clockwise seen from outside; shared by the batch.
        height, width: of the images, in pixels.
        near: triangles with a corner nearer than this depth are dropped.
    Returns:
        Visibility of the covered pixels, in the order of their flat index.
    Raises:
        TypeError, ValueError: wrong shape or dtype, NaN, or a size that is not positive.
    """
    _check(points, triangles, height, width)
    setup = _set_up(points, triangles, height, width, near)
    pixel, inverse_depth, triangle = _fragments(setup, triangles.shape[0], height, width)

    # The fragment with the largest 1/z wins its pixel; the triangle's number breaks ties.
    batch, total = points.shape[0], max(setup.source.numel(), 1)
    key = (inverse_depth * -(near * DEPTH_STEPS)).long() * total + triangle
    empty = torch.iinfo(torch.int64).max
    nearest = torch.full((batch * height * width,), empty, dtype=torch.int64, device=points.device)
    nearest.scatter_reduce_(0, pixel, key, reduce="amin")

    covered = (nearest != empty).nonzero().squeeze(1)
    winner = nearest.index_select(0, covered) % total
    return _resolve(covered, winner, setup, points, triangles, (batch, height, width))


def depth_map(points: Tensor, triangles: Tensor, height: int, width: int, *, near: float = 1.0) -> Tensor:
    """Depth [B, H, W] of the nearest surface at every pixel center, infinity where there is none.

    Arguments and errors as for ``rasterize``; cheaper, because nobody asks which triangle it is.
    """
    _check(points, triangles, height, width)
    setup = _set_up(points, triangles, height, width, near)
    pixel, inverse_depth, _ = _fragments(setup, triangles.shape[0], height, width)
    nearest = points.new_zeros(points.shape[0] * height * width)
    nearest.scatter_reduce_(0, pixel, inverse_depth, reduce="amax")
    return (1 / nearest).view(-1, height, width)


def _check(points: Tensor, triangles: Tensor, height: int, width: int) -> None:
    check_array("points", points, ["B", "V", 3])
    check_array("triangles", triangles, ["F", 3], floating=False)
    check_positive("height", height)
    check_positive("width", width)


def _fragments(setup: _Setup, faces: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Flat pixel index, 1/z and triangle (a row of ``setup``) of every pixel inside every triangle, [N] each."""
    triangle, down, first, count = _spans(setup)
    planes = setup.planes[:, 6:].index_select(0, triangle)
    start_depth = planes[:, 2] + planes[:, 1] * down + planes[:, 0] * first
    image = torch.div(setup.source, faces, rounding_mode="floor")
    start_pixel = (image * height + setup.row).index_select(0, triangle).add_(down).mul_(width).add_(first)
    span, along = _repeat(count)
    inverse_depth = start_depth.index_select(0, span) + planes[:, 0].index_select(0, span) * along
    return start_pixel.index_select(0, span) + along, inverse_depth, triangle.index_select(0, span)


def _resolve(
    pixel: Tensor, winner: Tensor, setup: _Setup, points: Tensor, triangles: Tensor, shape: tuple[int, int, int]
) -> Visibility:
    """Perspective-correct weights of the winning triangle at every covered pixel."""
    _, height, width = shape
    faces = triangles.shape[0]
    line = torch.div(pixel, width, rounding_mode="floor")
    x, y = pixel - line * width, line % height - setup.row.index_select(0, winner)
    planes = setup.planes.index_select(0, winner)
    a = planes[:, 2] + planes[:, 0] * x + planes[:, 1] * y
    b = planes[:, 5] + planes[:, 3] * x + planes[:, 4] * y
    inverse_depth = planes[:, 8] + planes[:, 6] * x + planes[:, 7] * y
    source = setup.source.index_select(0, winner)
    image = torch.div(source, faces, rounding_mode="floor")
    triangle = source - image * faces
    rows = triangles.index_select(0, triangle) + (image * points.shape[1]).unsqueeze(1)
    corner_depth = points.reshape(-1, 3)[:, 2].index_select(0, rows.reshape(-1)).view(-1, 3)
    # Weights in space: each screen weight times its corner's 1/z, divided by the pixel's 1/z.
    weights = torch.stack([a, b, 1 - a - b], dim=1) / corner_depth / inverse_depth.unsqueeze(1)
    return Visibility(pixel=pixel, triangle=triangle, weights=weights, image=image, shape=shape)
