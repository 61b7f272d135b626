"""Landmarks drawn on faces: points, graphs, the way from one prediction to another; and curves of their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from gazecourse.analysis.occlusion import Influence
from gazecourse.plotting import COLORS, INK, curve_style
from gazecourse.validation import Array, check_array, check_positive

RIM = "white"


def draw_face(ax: Axes, image: Array) -> None:
    """An image [3, H, W], uint8 or in [0, 1], with pixels for coordinates; (0, 0) is its corner."""
    check_array("image", image, (3, "H", "W"), floating=False)
    _, height, width = image.shape
    ax.imshow(torch.as_tensor(image).detach().cpu().permute(1, 2, 0).numpy(), extent=(0, width, height, 0))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()


def draw_points(ax: Axes, points: Array, *, color: str = COLORS["sky"], size: float = 9.0, label: str = "") -> None:
    """Landmarks [N, 2] as dots with a white rim."""
    check_array("points", points, ("N", 2))
    x, y = torch.as_tensor(points).detach().cpu().unbind(1)
    ax.scatter(x, y, s=size, color=color, edgecolor=RIM, linewidth=0.5, zorder=3, label=label or None)


def edges_of(adjacency: Tensor) -> Tensor:
    """Undirected edges [E, 2] of a graph, bool [N, N]: pairs i < j of which one listens to the other."""
    check_array("adjacency", adjacency, ("N", "N"), floating=False)
    return (adjacency | adjacency.T).triu(diagonal=1).nonzero()


def draw_graph(
    ax: Axes, points: Array, adjacency: Tensor, *, weights: Tensor | None = None, color: str = COLORS["orange"]
) -> None:
    """A graph on the landmarks that it connects.

    Args:
        points: [N, 2] pixels.
        adjacency: bool [N, N], as ``landmark_graph`` makes it.
        weights: [N, N], 0 or more; an edge is drawn the thicker the more i and j hear of each other together. Default:
            all edges alike.
        color: of the edges.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_array("points", points, (len(adjacency), 2))
    places, edges = torch.as_tensor(points).detach().cpu(), edges_of(adjacency).cpu()
    widths = np.full(len(edges), 1.3)
    if weights is not None:
        check_array("weights", weights, tuple(adjacency.shape), low=0.0)
        together = (weights + weights.T).detach().cpu()[edges[:, 0], edges[:, 1]]
        widths = (0.2 + 4.0 * together).numpy()
    lines = places[edges].numpy()
    ax.add_collection(LineCollection(lines, colors=RIM, linewidths=widths + np.minimum(widths, 1.0), zorder=2))
    ax.add_collection(LineCollection(lines, colors=color, linewidths=widths, zorder=2))
    draw_points(ax, places)


def draw_moves(ax: Axes, image: Array, before: Array, moved: Array, hidden: Tensor, *, enlarged: float = 1.0) -> None:
    """Where landmarks go when something is covered: an arrow for each, of one color if it is hidden, else of another.

    Args:
        image: [3, H, W], with the cover.
        before: [N, 2] where they were, pixels.
        moved: [N, 2] their way, pixels.
        hidden: bool [N].
        enlarged: factor of the arrows' length.
    """
    check_array("before", before, ("N", 2))
    check_array("moved", moved, tuple(before.shape))
    check_positive("enlarged", enlarged)
    draw_face(ax, image)
    start, way = torch.as_tensor(before).detach().cpu(), enlarged * torch.as_tensor(moved).detach().cpu()
    for rows, color in ((hidden.cpu(), COLORS["vermillion"]), (~hidden.cpu(), COLORS["blue"])):
        draw_points(ax, start[rows], color=color, size=5.0)
        style = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.008, "color": color, "zorder": 4}
        ax.quiver(*start[rows].T, *way[rows].T, **style)


def draw_influence(ax: Axes, found: Influence, *, most: float | None = None) -> None:
    """The influence matrix in percent of the face size, with its numbers.

    Args:
        found: from ``influence``.
        most: percent at the end of the color scale, so that two matrices can be compared; default the largest number.
    """
    percent = 100 * found.matrix.cpu().numpy()
    most = float(percent.max()) if most is None else check_positive("most", most)
    ax.imshow(percent, vmin=0, vmax=most, cmap="viridis")
    for (row, column), value in np.ndenumerate(percent):
        shade = "white" if value < 0.6 * most else INK
        ax.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=8, color=shade)
    numbers = range(len(found.names))
    ax.set(xticks=numbers, yticks=numbers, xlabel="moves", ylabel="covered")
    ax.set_xticklabels(found.names, rotation=45, ha="right")
    ax.set_yticklabels(found.names)
    ax.grid(False)


def draw_error_curves(fig: Figure, curves: Mapping[str, Sequence[float]], limits: Sequence[float]) -> Axes:
    """Cumulative error curves, by name, each with a line style and a marker of its own."""
    ax = fig.subplots()
    for number, (name, shares) in enumerate(curves.items()):
        ax.plot([100 * limit for limit in limits], shares, **curve_style(number), label=name)
    ax.set(xlabel="NME (% of the inter-ocular distance)", ylabel="share of faces", ylim=(0, 1))
    ax.legend(loc="upper left")
    return ax
