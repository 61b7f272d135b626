"""Drawings of the four systems: boxes of layers, the way of the data, and which loss trains which box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, FancyBboxPatch
from torch import Tensor

from gazecourse.plotting import COLORS, GRID, INK

Point = tuple[float, float]

WIDTH, TOP, BOTTOM = 10.0, 21.2, -2.2  # of one panel
BOX_WIDTH, BOX_HEIGHT = 4.6, 2.0
DATA = "#6B6B6B"

LOSS_COLORS = {
    "g": COLORS["blue"],
    "a": COLORS["vermillion"],
    "r": COLORS["green"],
    "d": COLORS["orange"],
    "s": COLORS["vermillion"],
    "o": COLORS["purple"],
    "w": COLORS["blue"],
    "l": COLORS["green"],
}


@dataclass(frozen=True)
class Box:
    """One part of a network, centered at (x, y); ``losses`` are the letters of what trains it."""

    x: float
    y: float
    text: str
    losses: str = ""
    frozen: bool = False


@dataclass(frozen=True)
class Panel:
    """One system.

    Attributes:
        boxes: its layers, each with the letters of the losses that train it.
        arrows: (start, end) of where the data goes.
        notes: (x, y, text), what flows.
        losses: (letter, what it is), the legend.
        ties: (letter, start, end), two features that a loss compares.
    """

    title: str
    source: str
    boxes: Sequence[Box]
    arrows: Sequence[tuple[Point, Point]]
    notes: Sequence[tuple[float, float, str]]
    losses: Sequence[tuple[str, str]]
    ties: Sequence[tuple[str, Point, Point]] = ()


FULL_FACE = Panel(
    "Full-Face",
    "2017 · notebook 04",
    boxes=(
        Box(5, 14.8, "AlexNet,\nconv1–conv5", "g"),
        Box(6.9, 10.6, "three 1×1\nconvolutions", "g"),
        Box(5, 5.7, "3 linear layers", "g"),
    ),
    arrows=(
        ((5, 16.9), (5, 15.9)),
        ((5, 13.8), (5, 13.2)),
        ((6.9, 12.4), (6.9, 11.7)),
        ((6.9, 9.6), (6.9, 8.6)),
        ((2.7, 12.4), (2.7, 8.6)),
        ((5, 7.7), (5, 6.8)),
        ((5, 4.7), (5, 4.0)),
    ),
    notes=(
        (5, 12.8, "feature maps U"),
        (5, 8.15, "V = W ⊙ U"),
        (7.5, 9.1, "W"),
        (2.1, 10.6, "U"),
        (5, 3.6, "gaze"),
    ),
    losses=(("g", "gaze, L1"),),
)

PUREGAZE = Panel(
    "PureGaze",
    "2022 · notebook 06",
    boxes=(
        Box(5, 14.8, "ResNet\nbackbone", "ga"),
        Box(2.5, 9.6, "pooling,\nMLP", "g"),
        Box(7.5, 9.6, "decoder\n(SA-module)", "r"),
    ),
    arrows=(
        ((5, 16.9), (5, 15.9)),
        ((5, 13.8), (5, 13.2)),
        ((3.9, 12.3), (2.5, 10.7)),
        ((6.1, 12.3), (7.5, 10.7)),
        ((2.5, 8.6), (2.5, 7.3)),
        ((7.5, 8.6), (7.5, 7.3)),
    ),
    notes=(
        (5, 12.8, "feature Z"),
        (2.5, 6.9, "gaze"),
        (7.5, 6.9, "the face again"),
        (5, 4.6, "The decoder redraws the face;\nthe backbone tries to prevent it."),
    ),
    losses=(("g", "gaze, L1"), ("r", "reconstruction"), ("a", "adversarial: it must fail")),
)

CLIP_GAZE = Panel(
    "CLIP-Gaze",
    "2024 · notebook 08",
    boxes=(
        Box(2.5, 14.8, "CNN", "gdso"),
        Box(7.5, 14.8, "CLIP image\nencoder", frozen=True),
        Box(2.5, 10.3, "filter (MLP)", "gso"),
        Box(7.5, 5.7, "CLIP text\nencoder", frozen=True),
        Box(2.5, 5.7, "linear layer", "g"),
    ),
    arrows=(
        ((4.15, 18.0), (0.9, 15.9)),
        ((5.85, 18.0), (8.2, 15.9)),
        ((2.5, 13.8), (2.5, 13.2)),
        ((7.5, 13.8), (7.5, 13.2)),
        ((1.5, 12.4), (1.5, 11.4)),
        ((2.5, 9.3), (2.5, 8.6)),
        ((2.5, 7.8), (2.5, 6.8)),
        ((7.5, 4.0), (7.5, 4.7)),
        ((7.5, 6.7), (7.5, 7.5)),
        ((2.5, 4.7), (2.5, 4.0)),
    ),
    ties=(("d", (3.8, 12.8), (5.9, 12.8)), ("s", (3.2, 8.2), (5.4, 8.2))),
    notes=(
        (2.5, 12.8, "feature f"),
        (7.5, 12.8, "feature"),
        (2.5, 8.2, "z"),
        (7.5, 8.2, "what gaze\nis not"),
        (7.5, 3.6, "“glasses”, “blur”, …"),
        (2.5, 3.6, "gaze"),
    ),
    losses=(
        ("g", "gaze, angle"),
        ("d", "distillation: f like CLIP's"),
        ("s", "separation: z unlike the words"),
        ("o", "rank: z in the order of gaze"),
    ),
)

STRUCTURE = Panel(
    "Structure-coherent",
    "2021 · notebook 10",
    boxes=(
        Box(5, 14.8, "ResNet-34", "wl"),
        Box(5, 11.4, "one embedding\nper landmark", "wl"),
        Box(2.6, 7.9, "edge\nweights", "wl"),
        Box(6.9, 5.7, "graph\nconvolutions", "wl"),
    ),
    arrows=(
        ((5, 16.9), (5, 15.9)),
        ((5, 13.8), (5, 12.6)),
        ((2.9, 10.4), (2.6, 9.1)),
        ((6.9, 10.4), (6.9, 6.9)),
        ((2.6, 6.9), (4.4, 5.9)),
        ((6.9, 4.7), (6.9, 4.0)),
    ),
    notes=(
        (7.5, 8.9, "X"),
        (3.2, 6.1, "A"),
        (6.9, 3.6, "68 points"),
    ),
    losses=(("w", "soft wing: the place of a point"), ("l", "relative place to its neighbors")),
)

PANELS = (FULL_FACE, PUREGAZE, CLIP_GAZE, STRUCTURE)

FOUR_SYSTEMS_ALT = (
    "Four network diagrams side by side, each from a face at the top to its output at the bottom, with colored "
    "letters for the losses that train each part. Full-Face: AlexNet features U, three 1 by 1 convolutions that "
    "make weights W, their product V, three fully connected layers, gaze; all trained by the gaze loss. PureGaze: "
    "a ResNet backbone feeds an MLP that predicts gaze and a decoder that redraws the face; the decoder is trained "
    "by the reconstruction loss, the backbone by the gaze loss and by an adversarial loss that makes the "
    "reconstruction fail. CLIP-Gaze: a CNN and a filter give the gaze feature z; frozen CLIP encoders of the image "
    "and of sentences about glasses and the like supply the distillation and separation losses, a rank loss orders "
    "z by gaze. Structure-coherent: ResNet-34, one embedding per landmark, graph convolutions over weighted edges, "
    "68 points; trained by soft wing and relative-location losses."
)


def four_systems() -> Figure:
    """The four systems of the course side by side."""
    fig, axes = plt.subplots(1, 4, figsize=(9.8, 6.2))
    fig.get_layout_engine().set(w_pad=0.0, wspace=0.0)
    for ax, panel in zip(axes, PANELS, strict=True):
        _draw_panel(ax, panel)
    for ax in axes[1:]:
        ax.plot([0, 0], [BOTTOM, TOP], color=GRID, linewidth=1.0, linestyle="-")
    return fig


def one_system(panel: Panel) -> Figure:
    """One of the four systems on its own."""
    fig, ax = plt.subplots(figsize=(3.4, 7.4))
    _draw_panel(ax, panel)
    return fig


def _draw_panel(ax: Axes, panel: Panel) -> None:
    ax.set(xlim=(0, WIDTH), ylim=(BOTTOM, TOP), aspect="equal")
    ax.set_axis_off()
    ax.text(WIDTH / 2, 20.6, panel.title, ha="center", va="center", fontsize=13, fontweight="bold", color=INK)
    ax.text(WIDTH / 2, 19.55, panel.source, ha="center", va="center", fontsize=8.5, color=DATA)
    _draw_face(ax, WIDTH / 2, 17.95)
    for start, end in panel.arrows:
        _draw_arrow(ax, start, end, "-|>", DATA)
    for letter, start, end in panel.ties:
        _draw_arrow(ax, start, end, "<|-|>", LOSS_COLORS[letter])
        _draw_badge(ax, (start[0] + end[0]) / 2, start[1] + 0.6, letter)
    for box in panel.boxes:
        _draw_box(ax, box)
    for x, y, text in panel.notes:
        ax.text(x, y, text, ha="center", va="center", fontsize=9, style="italic", color=INK, linespacing=1.1)
    for row, (letter, text) in enumerate(panel.losses):
        y = 1.75 - 1.1 * row
        _draw_badge(ax, 0.75, y, letter)
        ax.text(1.4, y, text, ha="left", va="center", fontsize=8.5, color=INK)


def _draw_arrow(ax: Axes, start: Point, end: Point, style: str, color: str) -> None:
    look = {"arrowstyle": style, "color": color, "lw": 1.3, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
    ax.annotate("", xy=end, xytext=start, arrowprops=look, zorder=1)


def _draw_box(ax: Axes, box: Box) -> None:
    """A box; a frozen one is gray and dashed. The badges of its losses sit on its upper edge."""
    corner = (box.x - BOX_WIDTH / 2, box.y - BOX_HEIGHT / 2)
    look = {"facecolor": "#E4E4E4", "linestyle": (0, (3, 2))} if box.frozen else {"facecolor": "white"}
    shape = "round,pad=0,rounding_size=0.35"
    ax.add_patch(FancyBboxPatch(corner, BOX_WIDTH, BOX_HEIGHT, shape, edgecolor=INK, linewidth=1.2, **look))
    text = f"{box.text}, frozen" if box.frozen else box.text
    ax.text(box.x, box.y - 0.1, text, ha="center", va="center", fontsize=9, linespacing=1.05, color=INK)
    for i, letter in enumerate(reversed(box.losses)):
        _draw_badge(ax, corner[0] + BOX_WIDTH - 0.3 - 0.92 * i, corner[1] + BOX_HEIGHT + 0.1, letter)


def _draw_badge(ax: Axes, x: float, y: float, letter: str) -> None:
    ax.add_patch(Circle((x, y), 0.42, facecolor=LOSS_COLORS[letter], edgecolor="white", linewidth=0.8, zorder=3))
    ax.text(x, y, letter, ha="center", va="center_baseline", fontsize=8, fontweight="bold", color="white", zorder=4)


def _draw_face(ax: Axes, x: float, y: float) -> None:
    """A small face that looks to its right and up."""
    ax.add_patch(Ellipse((x, y), 1.7, 2.1, facecolor="#F3DCC4", edgecolor=INK, linewidth=1.2))
    for side in (-0.38, 0.38):
        ax.add_patch(Ellipse((x + side, y + 0.2), 0.52, 0.34, facecolor="white", edgecolor=INK, linewidth=0.8))
        ax.add_patch(Circle((x + side - 0.1, y + 0.24), 0.13, facecolor=INK))
    ax.plot([x, x - 0.12, x + 0.05], [y + 0.1, y - 0.28, y - 0.3], color=INK, linewidth=0.9, linestyle="-")
    ax.plot([x - 0.3, x, x + 0.3], [y - 0.6, y - 0.68, y - 0.6], color=INK, linewidth=1.2, linestyle="-")


def directions_from_above(yaws: Tensor, means: dict[str, Tensor]) -> Figure:
    """Directions as arrows seen from above, the camera at the bottom, and means of them.

    Args:
        yaws: [N], radians; 0 points into the camera, positive to the left of its image.
        means: two of them by name, radians.
    """
    fig, ax = plt.subplots(figsize=(4.2, 4.2))
    ax.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal")
    ax.set_axis_off()
    for yaw in yaws.tolist():
        _draw_direction(ax, yaw, 0.85, DATA, 1.6)
    for (name, yaw), color in zip(means.items(), (COLORS["vermillion"], COLORS["blue"]), strict=True):
        tip = _draw_direction(ax, float(yaw), 0.7, color, 3.2)
        ax.text(*(1.52 * x for x in tip), name, color=color, fontsize=10, fontweight="bold", ha="center", va="center")
    ax.add_patch(Circle((0, 0), 0.07, facecolor=INK, zorder=5))
    ax.add_patch(FancyBboxPatch((-0.16, -1.3), 0.32, 0.16, "round,pad=0,rounding_size=0.04", facecolor=INK))
    ax.text(0.24, -1.22, "camera", fontsize=10, color=INK, va="center")
    return fig


def _draw_direction(ax: Axes, yaw: float, length: float, color: str, width: float) -> Point:
    tip = (-length * math.sin(yaw), -length * math.cos(yaw))
    look = {"arrowstyle": "-|>", "color": color, "lw": width, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 14}
    ax.annotate("", xy=tip, xytext=(0, 0), arrowprops=look)
    return tip
