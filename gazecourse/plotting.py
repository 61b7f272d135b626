"""One look for every figure of the course, and the one way in which figures enter a notebook.

Colors are those of Okabe and Ito (2008), which people with any color vision tell apart; curves also
differ by line style and marker. ``show`` puts a figure into the notebook as a picture with its
description: the description is the picture's text form, the ``alt`` text of exported pages, and a
paragraph beneath it for screen readers that takes no room, because JupyterLab 4 ignores ``alt``.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from io import BytesIO

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from IPython.display import display
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gazecourse.angles import pitchyaw_to_vector
from gazecourse.validation import Array, check_array, check_positive, describe

COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
    "yellow": "#F0E442",
}
PALETTE = tuple(COLORS.values())[:7]  # yellow lines are too faint on white; it stays for fills
LINESTYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK = "#262626"
GRID = "#DDDDDD"

DOTS_PER_INCH = 100  # of the page: a figure 8 inches wide takes 800 pixels of it
SHARPNESS = 2  # stored pixels per page pixel, for screens with fine pixels
JPEG_QUALITY = 85
HIDDEN = "position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;white-space:nowrap"

STYLE = {
    "figure.figsize": (7.0, 4.0),
    "figure.dpi": DOTS_PER_INCH,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=PALETTE) + cycler(linestyle=LINESTYLES),
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "image.cmap": "viridis",
    "image.interpolation": "antialiased",
}


def use_style() -> None:
    """Give every figure made from here on the look of the course."""
    mpl.rcParams.update(STYLE)


def curve_style(index: int) -> dict[str, object]:
    """Color, line style and marker of curve number ``index``, as keywords of ``Axes.plot``."""
    return {
        "color": PALETTE[index % len(PALETTE)],
        "linestyle": LINESTYLES[index % len(LINESTYLES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


# --- into the notebook --------------------------------------------------------------------------


def figure_png(fig: Figure) -> bytes:
    """The figure as a PNG of at most 256 colors, ``SHARPNESS`` times as fine as the page.

    Axes, lines and text need few colors, and a palette makes the file three to five times smaller.
    """
    buffer = BytesIO()
    _rasterize(fig).quantize(256).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def figure_jpeg(fig: Figure) -> bytes:
    """The figure as a JPEG, for figures that are mostly photographs or renderings."""
    buffer = BytesIO()
    _rasterize(fig).save(buffer, "jpeg", quality=JPEG_QUALITY, optimize=True, progressive=True)
    return buffer.getvalue()


def _rasterize(fig: Figure) -> Image.Image:
    if not isinstance(fig, Figure):
        raise TypeError(f"fig must be a matplotlib Figure; got {describe(fig)}.")
    if not isinstance(fig.canvas, FigureCanvasAgg):
        FigureCanvasAgg(fig)
    buffer = BytesIO()
    fig.savefig(buffer, format="png", dpi=SHARPNESS * DOTS_PER_INCH, bbox_inches="tight", pad_inches=0.08)
    return Image.open(buffer).convert("RGB")


def bundle(fig: Figure, alt: str, *, photo: bool = False) -> tuple[dict[str, str], dict[str, dict]]:
    """The figure as (data, metadata) of a notebook output, for ``display(data, metadata=..., raw=True)``.

    Args:
        fig: the figure.
        alt: what it shows, in a sentence or two, for those who cannot see it.
        photo: store as JPEG rather than as PNG.
    Raises:
        TypeError, ValueError: ``fig`` is no figure, or ``alt`` is empty.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt must describe the figure in words; got {describe(alt)}.")
    kind = "image/jpeg" if photo else "image/png"
    picture = figure_jpeg(fig) if photo else figure_png(fig)
    width = Image.open(BytesIO(picture)).width // SHARPNESS
    data = {kind: base64.b64encode(picture).decode("ascii"), "text/plain": alt.strip()}
    return data, {kind: {"width": width, "alt": alt.strip()}}


def show(fig: Figure, alt: str, *, photo: bool = False) -> None:
    """Put the figure and its description into the notebook, and close the figure.

    Args:
        fig: the figure.
        alt: what it shows, in a sentence or two, for those who cannot see it.
        photo: store as JPEG rather than as PNG; for figures that are mostly photographs or renderings.
    """
    data, metadata = bundle(fig, alt, photo=photo)
    plt.close(fig)
    display(data, metadata=metadata, raw=True)
    display(spoken(alt), raw=True)


def spoken(alt: str) -> dict[str, str]:
    """A notebook output that screen readers read out and that takes no room on the page."""
    return {"text/html": f'<p style="{HIDDEN}">Figure: {html.escape(alt.strip())}</p>', "text/plain": ""}


# --- faces --------------------------------------------------------------------------------------


def image_grid(
    images: Array | Sequence[Array],
    titles: Sequence[str] | None,
    alt: str,
    *,
    columns: int = 8,
    gaze: Array | None = None,
    centers: Array | None = None,
) -> None:
    """Show images in rows, each under its title, with gaze arrows if asked for.

    Args:
        images: [B, 3, H, W], [B, H, W, 3] or [B, H, W], or a sequence of single images; uint8, or floats in [0, 1].
        titles: one per image, or None.
        alt: what the rows show.
        columns: images per row.
        gaze: [B, 2] (pitch, yaw), radians; an arrow in each image.
        centers: [B, 2] (x, y) in pixels, where the arrows start; default the middle of each image.
    Raises:
        ValueError: no image, another shape or range, or not one title, gaze or center per image.
    """
    check_positive("columns", columns)
    pictures = [_as_picture(image) for image in images]
    if not pictures:
        raise ValueError("images must hold at least one image; got none.")
    for name, values in {"titles": titles, "gaze": gaze, "centers": centers}.items():
        if values is not None and len(values) != len(pictures):
            raise ValueError(f"{name} must be one per image, {len(pictures)}; got {len(values)}.")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    side = min(9.0 / columns, 2.6)
    height, width = pictures[0].shape[:2]
    fig = Figure(figsize=(side * columns, rows * (side * height / width + (0.3 if titles else 0.0))))
    fig.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
    for index, ax in enumerate(np.ravel(fig.subplots(rows, columns, squeeze=False))):
        ax.set_axis_off()
        if index < len(pictures):
            ax.imshow(pictures[index], cmap="gray", vmin=0, vmax=1)
            ax.set_title(titles[index] if titles else "", fontsize=10, fontweight="normal", loc="left", pad=3)
            if gaze is not None:
                start = (width / 2, height / 2) if centers is None else centers[index]
                draw_gaze(ax, start, gaze[index], 0.5 * width, width=1.4 * side)
    show(fig, alt, photo=True)


def _as_picture(image: Array) -> np.ndarray:
    """[H, W, 3] or [H, W] as matplotlib wants it, floats in [0, 1]."""
    picture = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if picture.ndim == 3 and picture.shape[0] == 3 and picture.shape[2] != 3:
        picture = picture.transpose(1, 2, 0)
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3):
        raise ValueError(f"images must each be [3, H, W], [H, W, 3] or [H, W]; got {describe(image)}.")
    if picture.dtype == np.uint8:
        return picture / 255.0
    return check_array("images", picture.astype(np.float64), low=0.0, high=1.0)


def draw_gaze(
    ax: Axes,
    center: Sequence[float],
    pitchyaw: Array,
    length: float = 60.0,
    *,
    color: str = COLORS["vermillion"],
    width: float = 2.5,
) -> None:
    """Draw a gaze direction over an image: an arrow from ``center``, as seen from the camera.

    The camera frame has x to the right of the image and y down, as pixels have, so the arrow is the
    (x, y) part of the gaze vector. It shrinks to a dot when the person looks into the camera.

    Args:
        ax: axes that show the image in pixels (``imshow``).
        center: (x, y) in pixels, where the arrow starts.
        pitchyaw: [2], (pitch, yaw) in radians.
        length: pixels that a gaze at right angles to the camera axis would get.
        color: of the arrow; it has a white rim, so that it is seen on any face.
        width: of its line, in points.
    Raises:
        TypeError, ValueError: another shape, NaN, or a length that is not positive.
    """
    check_array("pitchyaw", pitchyaw, (2,), hint="gaze must be (pitch, yaw) in radians.")
    check_positive("length", length)
    x, y, _ = (float(component) for component in pitchyaw_to_vector(pitchyaw))
    start = np.asarray([float(value) for value in center])
    look = {"arrowstyle": "-|>", "color": color, "lw": width, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 6 * width}
    arrow = ax.annotate("", xy=tuple(start + length * np.array([x, y])), xytext=tuple(start), arrowprops=look)
    arrow.arrow_patch.set_path_effects([patheffects.withStroke(linewidth=2 * width, foreground="white")])
    ax.plot(*start, "o", markersize=2.8 * width, color=color, markeredgecolor="white", zorder=5)


def prior_line(ax: Axes, error: float, label: str = "head pose taken as gaze", unit: str = "°") -> None:
    """Mark an error that needs no learning, such as the head-pose prior's, by a line across a gaze curve.

    Networks learn the head pose first and can stay there; a curve without this line hides that.

    Args:
        ax: axes with the error upward.
        error: degrees, or another unit.
        label: what reaches that error; written on the line with its value.
        unit: written behind the value.
    """
    check_positive("error", error)
    ax.axhline(error, color=INK, linestyle=(0, (2, 2)), linewidth=1.2, zorder=1)
    text = ax.annotate(
        f"{label}: {error:.1f}{unit}",
        xy=(0.995, error),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=9,
        color=INK,
    )
    text.set_path_effects([patheffects.withStroke(linewidth=3.0, foreground="white")])


def draw_differences(
    ax: Axes, differences: Mapping[str, Mapping[str, Sequence[float]]], *, of: str, xlabel: str, form: str = "+.1f"
) -> str:
    """Differences with their intervals: a line for each task, in it a mark for each rival, and a line at zero.

    Args:
        ax: the axes to draw on.
        differences: by rival and task, (mean, low, high), or (mean,) where there is no interval.
        of: what the rivals are, for the title of the legend.
        xlabel: what is taken from what, with its unit.
        form: of the numbers in the description.
    Returns:
        The same in words, for the figure's description.
    """
    tasks = list(next(iter(differences.values())))
    said, step = [], min(0.22, 0.8 / len(differences))
    for number, (rival, by_task) in enumerate(differences.items()):
        style = dict(color=PALETTE[number], marker=MARKERS[number], linestyle="", capsize=3)
        at = np.arange(len(tasks)) + step * (number - (len(differences) - 1) / 2)
        means, lows, highs = np.array([(*by_task[task], *by_task[task][:1] * 2)[:3] for task in tasks]).T
        ax.errorbar(means, at, xerr=[means - lows, highs - means], label=rival, **style)
        for task, *values in zip(tasks, means, lows, highs, strict=True):
            mean, low, high = (format(value, form) for value in values)
            said.append(f"{rival}, {task}: {mean} [{low}, {high}].")
    ax.axvline(0, color="0.5", lw=1)
    ax.set(yticks=range(len(tasks)), yticklabels=tasks, xlabel=xlabel, ylim=(len(tasks) - 0.5, -0.5))
    ax.legend(title=of, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return " ".join(said)
