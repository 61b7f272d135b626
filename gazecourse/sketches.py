"""Drawings of a direction: what the camera sees, from above, from the side, and how data sets write it down."""

from __future__ import annotations

import math

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Polygon
from torch import Tensor

from gazecourse.angles import pitchyaw_to_vector
from gazecourse.plotting import COLORS, INK, draw_gaze
from gazecourse.validation import check_array

DISTANCE = 2.2  # of the camera from the face in the drawings, in lengths of a gaze arrow
HEAD_RADIUS = 0.28
GRAY = "#8A8A8A"


def stored_as(gaze: Tensor) -> dict[str, Tensor]:
    """The numbers that each data set stores for a gaze direction [2] (pitch, yaw), by the name of its convention."""
    check_array("gaze", gaze, (2,))
    turned = torch.tensor([-1.0, -1.0, 1.0], dtype=gaze.dtype, device=gaze.device)
    return {
        "ETH-XGaze\n(pitch, yaw)": gaze,
        "GazeHub label files\n(yaw, pitch)": gaze.flip(-1),
        "MPIIFaceGaze, normalized\n(−pitch, −yaw)": -gaze,
        "Gaze360\n(x left, y up, z away)": turned * pitchyaw_to_vector(gaze),
    }


def direction_views(gaze: Tensor, head: Tensor | None = None, picture: Tensor | None = None) -> Figure:
    """One gaze direction three times: on the picture, from above with its yaw, from the side with its pitch.

    Below stands what each data set would store for it. Margins are fixed, so that a slider can redraw the figure.

    Args:
        gaze: [2] (pitch, yaw), radians.
        head: [2] (pitch, yaw) of the head; default: as the gaze.
        picture: [3, H, W] in [0, 1], the face in the middle; default: an outline.
    Raises:
        TypeError, ValueError: another shape, dtype or NaN.
    """
    check_array("gaze", gaze, (2,))
    head = gaze if head is None else check_array("head", head, (2,))
    fig = Figure(figsize=(9.6, 4.3), layout="none")
    seen, above, side = fig.subplots(1, 3)
    fig.subplots_adjust(left=0.01, right=0.99, top=0.93, bottom=0.24, wspace=0.04)
    _draw_picture(seen, gaze, picture)
    _draw_above(above, float(gaze[1]), float(head[1]), math.cos(float(gaze[0])))
    _draw_side(side, float(gaze[0]), float(head[0]))
    for ax, title in zip((seen, above, side), _titles(gaze), strict=True):
        ax.set_axis_off()
        ax.set_title(title, loc="center", y=1.0)
    for column, (name, numbers) in enumerate(stored_as(gaze).items()):
        x = 0.13 + 0.247 * column
        fig.text(x, 0.12, name, fontsize=9, ha="center", va="center")
        values = ", ".join(f"{number:+.2f}" for number in numbers.tolist())
        fig.text(x, 0.03, f"({values})", fontsize=11, ha="center", va="center", fontweight="bold")
    return fig


def _titles(gaze: Tensor) -> tuple[str, str, str]:
    pitch, yaw = torch.rad2deg(gaze).tolist()
    return "what the camera sees", f"from above: yaw {yaw:+.0f}°", f"from the side: pitch {pitch:+.0f}°"


def describe_direction(gaze: Tensor) -> str:
    """A direction in words, for the description of a figure: "20° up and 15° to the left of the image"."""
    check_array("gaze", gaze, (2,))
    pitch, yaw = torch.rad2deg(gaze).round().int().tolist()
    parts = [f"{abs(pitch)}° {'up' if pitch > 0 else 'down'}"] if pitch else []
    parts += [f"{abs(yaw)}° to the {'left' if yaw > 0 else 'right'} of the image"] if yaw else []
    return " and ".join(parts) or "straight into the camera"


def _draw_picture(ax: Axes, gaze: Tensor, picture: Tensor | None) -> None:
    if picture is None:
        x, y, _ = pitchyaw_to_vector(gaze).tolist()
        ax.set(xlim=(-1.3, 1.3), ylim=(1.3, -1.3), aspect="equal")
        ax.add_patch(Circle((0, 0), 0.7, facecolor="white", edgecolor=INK, linewidth=1.4))
        _arrow(ax, (0, 0), (x, y), COLORS["vermillion"], 3.0)
        _axes_cross(ax, (-1.2, -1.2), ("x", (1, 0)), ("y", (0, 1)))
        return
    _, height, width = picture.shape
    ax.imshow(picture.permute(1, 2, 0).cpu().numpy(), extent=(0, width, height, 0))
    draw_gaze(ax, (width / 2, height / 2), gaze, length=0.45 * width)


def _draw_above(ax: Axes, yaw: float, head_yaw: float, length: float) -> None:
    """Seen from above: x to the right, z (away from the camera) up. Straight into the camera is straight down."""
    ax.set(xlim=(-1.75, 1.75), ylim=(-DISTANCE - 0.2, 1.1), aspect="equal")
    _camera(ax, (0, -DISTANCE), pointing=90)
    ax.plot([0, 0], [-DISTANCE + 0.2, 0], color=GRAY, linestyle=":", linewidth=1.3)
    _head(ax, -90 - math.degrees(head_yaw))
    tip = (-math.sin(yaw) * length, -math.cos(yaw) * length)
    _angle(ax, -90, -90 - math.degrees(yaw))
    _arrow(ax, (0, 0), tip, COLORS["vermillion"], 3.0)
    _axes_cross(ax, (-1.5, -DISTANCE - 0.05), ("x", (1, 0)), ("z", (0, 1)))


def _draw_side(ax: Axes, pitch: float, head_pitch: float) -> None:
    """Seen from the side, in the upright plane of the direction: the horizon to the left, y down."""
    ax.set(xlim=(-DISTANCE - 0.2, 1.1), ylim=(1.75, -1.75), aspect="equal")
    ax.plot([-DISTANCE, 0], [0, 0], color=GRAY, linestyle=":", linewidth=1.3)
    ax.text(-DISTANCE, -0.1, "horizontal", color=GRAY, fontsize=9)
    _head(ax, 180 + math.degrees(head_pitch))
    tip = (-math.cos(pitch), -math.sin(pitch))
    _angle(ax, 180, 180 + math.degrees(pitch))
    _arrow(ax, (0, 0), tip, COLORS["vermillion"], 3.0)
    _axes_cross(ax, (-DISTANCE - 0.1, 0.95), ("y", (0, 1)))


def _camera(ax: Axes, place: tuple[float, float], pointing: float) -> None:
    turn = math.radians(pointing)
    corners = [(-0.14, -0.12), (0.06, -0.12), (0.06, -0.05), (0.16, -0.11), (0.16, 0.11), (0.06, 0.05), (0.06, 0.12)]
    corners += [(-0.14, 0.12)]
    turned = [
        (place[0] + a * math.cos(turn) - b * math.sin(turn), place[1] + a * math.sin(turn) + b * math.cos(turn))
        for a, b in corners
    ]
    ax.add_patch(Polygon(turned, facecolor=INK, edgecolor="none"))
    ax.text(place[0] + 0.26, place[1], "camera", fontsize=9, va="center", color=INK)


def _head(ax: Axes, facing: float) -> None:
    """A head at the origin with a nose; ``facing`` in degrees of the plane's own axes."""
    turn = math.radians(facing)
    nose = [
        (radius * math.cos(turn + spread), radius * math.sin(turn + spread))
        for radius, spread in ((HEAD_RADIUS, -0.3), (1.35 * HEAD_RADIUS, 0.0), (HEAD_RADIUS, 0.3))
    ]
    ax.add_patch(Polygon(nose, facecolor="#DDDDDD", edgecolor=INK, linewidth=1.2))
    ax.add_patch(Circle((0, 0), HEAD_RADIUS, facecolor="#DDDDDD", edgecolor=INK, linewidth=1.2))


def _angle(ax: Axes, start: float, end: float) -> None:
    """The arc between two directions, in degrees of the plane's own axes."""
    low, high = min(start, end), max(start, end)
    if high - low > 0.5:
        ax.add_patch(Arc((0, 0), 1.3, 1.3, theta1=low, theta2=high, color=COLORS["blue"], linewidth=2.2))


def _arrow(ax: Axes, start: tuple[float, float], tip: tuple[float, float], color: str, width: float) -> None:
    look = {"arrowstyle": "-|>", "color": color, "lw": width, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 15}
    ax.annotate("", xy=tip, xytext=start, arrowprops=look, zorder=4)


def _axes_cross(ax: Axes, origin: tuple[float, float], *axes: tuple[str, tuple[float, float]]) -> None:
    """The frame's axes as short arrows with their names."""
    for name, (x, y) in axes:
        tip = (origin[0] + 0.4 * x, origin[1] + 0.4 * y)
        _arrow(ax, origin, tip, INK, 1.2)
        ax.text(origin[0] + 0.52 * x, origin[1] + 0.52 * y, name, fontsize=10, ha="center", va="center", style="italic")
