"""``FeatureExplorer``: maps of what a network has learned, and the faces behind their points."""

from __future__ import annotations

import base64
import html
import io
import math
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex, to_rgba_array
from matplotlib.lines import Line2D
from PIL import Image

from gazecourse import plotting
from gazecourse.analysis.embedding import neighborhood_agreement
from gazecourse.validation import Array, check_array, check_choice, check_whole, describe
from gazecourse.widgets.screen import show_controls

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Labels = Array | Sequence[str]
Box = tuple[np.ndarray, np.ndarray]  # lower left and upper right corner
Place = tuple[float, float, float, float]  # left, bottom, width, height

CATEGORY_COLORS = (*plotting.COLORS.values(), "#882255", "#6E4B1F")
"""Ten colors that stay apart under every kind of color vision: those of the course, wine and brown."""
OTHERS, OTHERS_COLOR = "others", "#BBBBBB"
COLORMAP = "viridis"

MOST_SHOWN = 12
"""Thumbnails of a selection, and of the picture that stays."""
THUMBNAIL = 112  # pixels of a stored thumbnail at most
VIEW_WIDTH, VIEW_HEIGHT, STRIP = 570, 460, 70
"""Pixels of the plot, and the width of a face below it."""
PAGE, WIDEST_PANEL, LEFT, GAP, ABOVE, BELOW = 9.6, 3.2, 0.5, 0.1, 0.3, 0.32
"""Inches of the picture that stays: its width at most, a panel's, and what is kept free around panels."""
FACE_SHARE = 0.17
"""Width of a face in the picture, as a share of its panel."""
SETTLED = 1.0  # seconds after a change in which even a slow browser has drawn it
NEIGHBORS = 10  # on the map, for its description
FACE = "[face]"  # column of the table
HINT = (
    "Point at a dot to see its face. Drag around dots to select them; Esc lets go of them. "
    "The wheel zooms, the arrows at the left drag the map."
)


# --- what points are colored by -----------------------------------------------------------------


@dataclass(frozen=True)
class Quantity:
    """A continuous label, such as an angle: one color map from the smallest value to the largest."""

    name: str
    values: np.ndarray

    @property
    def limits(self) -> tuple[float, float]:
        low, high = float(self.values.min()), float(self.values.max())
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def point_colors(self) -> np.ndarray:
        """[N, 4] RGBA."""
        low, high = self.limits
        return mpl.colormaps[COLORMAP]((self.values - low) / (high - low))

    def encoding(self) -> dict[str, Any]:
        """How ``Scatter.color`` is told the same."""
        return {"map": COLORMAP, "norm": self.limits}

    def column(self) -> np.ndarray:
        return self.values

    def written(self, value: float) -> str:
        """A value with as many digits as tell points apart."""
        low, high = self.limits
        digits = max(0, 2 - math.floor(math.log10(high - low)))
        return f"{round(float(value), digits) + 0.0:.{digits}f}".replace("-", "−")

    def said(self, row: int) -> str:
        return self.written(self.values[row])

    def summary(self, rows: Sequence[int]) -> str:
        chosen = self.values[list(rows)]
        mean, low, high = map(self.written, (chosen.mean(), chosen.min(), chosen.max()))
        return f"{self.name}: mean {mean}, {low} to {high}"

    def legend(self) -> str:
        """HTML."""
        stops = ", ".join(to_hex(mpl.colormaps[COLORMAP](x)) for x in np.linspace(0, 1, 9))
        low, high = self.limits
        ticks = "".join(f"<span>{self.written(value)}</span>" for value in (low, (low + high) / 2, high))
        return (
            f"<b>{html.escape(self.name)}</b>"
            f'<div style="height:14px;background:linear-gradient(to right, {stops})"></div>'
            f'<div style="display:flex;justify-content:space-between">{ticks}</div>'
        )


@dataclass(frozen=True)
class Categories:
    """A label without order, such as the person: one color each, grey for those beyond the ten most frequent."""

    name: str
    values: np.ndarray

    @cached_property
    def shown(self) -> list[str]:
        """What has a color of its own, in ascending order."""
        kinds, counts = np.unique(self.values, return_counts=True)
        if len(kinds) > len(CATEGORY_COLORS):
            kinds = np.sort(kinds[np.argsort(-counts, kind="stable")[: len(CATEGORY_COLORS)]])
        return [str(kind) for kind in kinds]

    @cached_property
    def words(self) -> list[str]:
        """The category of each point, or "others"."""
        return [word if (word := str(value)) in self.shown else OTHERS for value in self.values]

    @cached_property
    def palette(self) -> dict[str, str]:
        """Color of each category that occurs in ``words``."""
        colors = dict(zip(self.shown, CATEGORY_COLORS, strict=False))
        return {**colors, OTHERS: OTHERS_COLOR} if OTHERS in self.words else colors

    def point_colors(self) -> np.ndarray:
        """[N, 4] RGBA."""
        return to_rgba_array([self.palette[word] for word in self.words])

    def encoding(self) -> dict[str, Any]:
        """How ``Scatter.color`` is told the same."""
        return {"map": list(self.palette.values()), "norm": None}

    def column(self) -> Any:
        import pandas as pd

        return pd.Categorical(self.words, categories=list(self.palette))

    def said(self, row: int) -> str:
        return str(self.values[row])

    def summary(self, rows: Sequence[int]) -> str:
        kinds, counts = np.unique(self.values[list(rows)], return_counts=True)
        if len(kinds) == 1:
            return f"{self.name}: all {kinds[0]}"
        most = int(counts.argmax())
        return f"{self.name}: {len(kinds)} different, most often {kinds[most]} ({counts[most]})"

    def legend(self) -> str:
        """HTML."""
        items = "".join(
            f'<span style="white-space:nowrap"><span style="display:inline-block;width:12px;height:12px;'
            f'border-radius:6px;background:{color};margin-right:4px"></span>{html.escape(word)}</span>'
            for word, color in self.palette.items()
        )
        return f'<b>{html.escape(self.name)}</b><div style="display:flex;flex-wrap:wrap;gap:2px 14px">{items}</div>'


def _as_array(values: Array) -> np.ndarray:
    if not isinstance(values, torch.Tensor):
        return values
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()  # NumPy has no bfloat16


def _coloring(name: str, values: Labels, count: int) -> Quantity | Categories:
    """Floats are quantities; integers, bool and words are categories."""
    argument = f"colors[{name!r}]"
    array = np.asarray(values) if isinstance(values, (list, tuple)) else values
    if isinstance(array, torch.Tensor):
        array = _as_array(array)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiubU":
        raise TypeError(f"{argument} must be an array of floats, integers, bool or words; got {describe(values)}.")
    if array.ndim != 1 or len(array) != count:
        raise ValueError(f"{argument} must be one label per image, [{count}]; got {describe(array)}.")
    if array.dtype.kind != "f":
        return Categories(name, array)
    return Quantity(name, check_array(argument, array).astype(np.float64))


# --- the explorer -------------------------------------------------------------------------------


class FeatureExplorer:
    """Maps of features at several stages of a network: color them by any label, look at the faces behind the points.

    ``show()`` puts it into the notebook: a scatter plot in which a face appears under the pointer, and the faces of
    whatever is selected below it. A picture of all stages in all colors stays in the saved notebook.

    Args:
        embeddings: by name of the stage, in the order of the network: [N, 2] coordinates (``umap_embedding``), no unit.
        colors: by name with its unit, such as "gaze yaw (degrees)": [N] labels. Floats are quantities; integers, bool
            and words are categories. At most ten categories get a color of their own.
        images: uint8 [N, 3, H, W], the face of each point.
        method: what made the maps; names the axes.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """

    def __init__(
        self, embeddings: Mapping[str, Array], colors: Mapping[str, Labels], images: Array, *, method: str = "UMAP"
    ) -> None:
        self.images = _as_images(images)
        _check_names("embeddings", embeddings)
        _check_names("colors", colors)
        self.embeddings = {name: self._as_map(name, points) for name, points in embeddings.items()}
        self.colors = {name: _coloring(name, values, len(self.images)) for name, values in colors.items()}
        self.method = method
        self.stage, self.color = next(iter(self.embeddings)), next(iter(self.colors))
        self.selected: list[int] = []
        self._scatter: Any = None
        self._sending, self._again = threading.Lock(), threading.Timer(SETTLED, self._send_again)

    def _as_map(self, name: str, points: Array) -> np.ndarray:
        argument = f"embeddings[{name!r}]"
        check_array(argument, points, ("N", 2))
        if len(points) != len(self.images):
            raise ValueError(f"{argument} must be one point per image, {len(self.images)}; got {len(points)}.")
        return np.asarray(_as_array(points), dtype=np.float64)

    # ------------------------------------------------------------------ state
    def choose(self, *, stage: str | None = None, color: str | None = None) -> None:
        """Show another stage or another color, as the pickers do.

        Raises:
            ValueError: there is no such stage or color.
        """
        if stage is not None:
            self.stage = check_choice("stage", stage, list(self.embeddings))
        if color is not None:
            self.color = check_choice("color", color, list(self.colors))
        if self._scatter is not None:
            self._pickers["stage"].value, self._pickers["color"].value = self.stage, self.color
            self._redraw()

    def select(self, rows: Sequence[int]) -> None:
        """Select points by number, as the lasso does; an empty list lets go of all.

        Raises:
            TypeError, ValueError: not numbers of points.
        """
        last = len(self.images) - 1
        self.selected = sorted({check_whole("rows", row, 0, last) for row in rows})
        if self._scatter is not None:
            self._scatter.selection(self.selected)
            self._describe_selection()

    def examples(self) -> list[int]:
        """At most twelve of the selected points, spread evenly over the values of the color in use."""
        values = self.colors[self.color].values[self.selected]
        ordered = np.asarray(self.selected, dtype=int)[np.argsort(values, kind="stable")]
        return ordered[np.linspace(0, len(ordered) - 1, min(len(ordered), MOST_SHOWN)).round().astype(int)].tolist()

    def summary(self) -> str:
        """How many points are selected, and what their labels are; one line each."""
        if not self.selected:
            return f"Selected: none of {len(self.images)} faces."
        lines = [color.summary(self.selected) for color in self.colors.values()]
        return "\n".join([f"Selected: {len(self.selected)} of {len(self.images)} faces.", *lines])

    # ------------------------------------------------------------------ picture
    def figure(self) -> tuple[Figure, str]:
        """The picture that stays, stages by colors with faces at the right, and its description in words."""
        from matplotlib.figure import Figure

        plotting.use_style()
        columns = [*self.colors.values(), None]  # the last one for faces
        sheet = _Sheet([_box_around(points) for points in self.embeddings.values()], columns)
        fig = Figure(figsize=sheet.size, layout="none")  # placed by hand: faces must not cover each other
        for row, (stage, points) in enumerate(self.embeddings.items()):
            fig.text(*sheet.stage(row), stage, rotation=90, va="center", ha="center", weight="bold", size=10)
            for column, color in enumerate(columns):
                ax = fig.add_axes(sheet.panel(row, column))
                self._draw_map(ax, points, color, sheet.boxes[row])
                ax.set_ylabel(f"{self.method} 2 (no unit)" if column == 0 else "", size=9)
                ax.set_xlabel(f"{self.method} 1 (no unit)" if row == len(sheet.boxes) - 1 else "", size=9)
                if row == 0:
                    ax.set_title(_without_unit(color.name) if color else "some of the faces", fontsize=10)
        for column, color in enumerate(self.colors.values()):
            _draw_legend(fig.add_axes(sheet.legend(column)), color, sheet.width)
        return fig, self.describe()

    def _draw_map(self, ax: Axes, points: np.ndarray, color: Quantity | Categories | None, box: Box) -> None:
        """The points in their colors; without a color, gray points and faces that do not cover each other."""
        low, high = box
        ax.scatter(*points.T, c=OTHERS_COLOR if color is None else color.point_colors(), s=7, linewidths=0)
        size = FACE_SHARE * (high[0] - low[0])
        for row in _spread(points, MOST_SHOWN, size) if color is None else ():
            x, y = points[row]
            face = self.images[row].transpose(1, 2, 0)
            ax.imshow(face, extent=(x - size / 2, x + size / 2, y - size / 2, y + size / 2), aspect="auto", zorder=3)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])

    def describe(self) -> str:
        """The picture in words: what is colored, and how far neighboring points of each map are alike."""
        stages = []
        for stage, points in self.embeddings.items():
            said = [f"{_without_unit(name)} {_agreement(points, color)}" for name, color in self.colors.items()]
            stages.append(f"{stage}: {', '.join(said)}")
        return (
            f"{self.method} maps of {len(self.images)} faces, a row per stage ({', '.join(self.embeddings)}), "
            f"colored by {', '.join(self.colors)}; at the right some of the faces at their points. How far "
            f"the {NEIGHBORS} nearest points of a map agree, from 0 (not at all) to 1: {'; '.join(stages)}."
        )

    # ------------------------------------------------------------------ widgets
    def show(self) -> None:
        """Put the explorer and the picture into the notebook."""

        plain = (
            f"A scatter plot with pickers for the stage ({', '.join(self.embeddings)}) and the color "
            f"({', '.join(self.colors)}), the face under the pointer and those of a selection (in a live notebook)."
        )
        show_controls(self._box(), plain)
        plotting.show(*self.figure(), photo=True)

    def _box(self) -> Any:
        """All widgets of the explorer, one within another."""
        import ipywidgets

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it uses what pandas 4 will not have
            import jscatter

        self._scatter = jscatter.Scatter(
            data=self._table(),
            **self._coordinates(),
            height=VIEW_HEIGHT,
            axes=False,
            legend=False,
            mouse_mode="lasso",
            size=7,
            opacity=0.9,
            opacity_unselected=0.25,
            background_color="white",
            tooltip=True,
            tooltip_properties=[_told(name) for name in self.colors],
            tooltip_histograms=False,
            tooltip_preview=FACE,
            tooltip_preview_type="image",
            tooltip_preview_image_height=THUMBNAIL,
        )
        self._scatter.color(by=_colored(self.color), **self.colors[self.color].encoding())
        self._scatter.selection(self.selected)
        plot = self._scatter.show(["lasso", "pan_zoom", "full_screen", "reset"])
        plot.observe(self._on_select, names="selection")
        self._pickers = {
            "stage": self._picker("stage", list(self.embeddings), self.stage),
            "color": self._picker("color", list(self.colors), self.color),
        }
        self._legend, self._text, self._strip = (ipywidgets.HTML() for _ in range(3))
        hint = ipywidgets.HTML(_paragraph(f"{self.method} 1 across, {self.method} 2 up, without unit. {HINT}"))
        side = [*self._pickers.values(), self._legend, hint, self._text]
        # The plot in a column of its own: in a row it would get no width.
        left = ipywidgets.VBox([plot], layout=ipywidgets.Layout(width=f"{VIEW_WIDTH}px"))
        right = ipywidgets.VBox(side, layout=ipywidgets.Layout(width="360px", padding="0 0 0 12px"))
        above = ipywidgets.HBox([left, right], layout=ipywidgets.Layout(flex_flow="row wrap"))
        self._describe_selection()
        return ipywidgets.VBox([above, self._strip])

    def _coordinates(self) -> dict[str, Any]:
        """Columns of the stage in use, on the same scale for all stages."""
        limits = (-1.05, 1.05)
        return {"x": _axis(self.stage, 0), "y": _axis(self.stage, 1), "x_scale": limits, "y_scale": limits}

    def _picker(self, name: str, options: list[str], value: str) -> Any:
        import ipywidgets

        words = {"stage": "stage", "color": "colored by"}[name]
        picker = ipywidgets.Dropdown(options=options, value=value, description=words)
        picker.observe(lambda change: self._pick(name, change["new"]), names="value")
        return picker

    def _pick(self, name: str, value: str) -> None:
        if getattr(self, name) != value:  # else it was ``choose`` that moved the picker
            self.choose(**{name: value})

    def _table(self) -> Any:
        """One row per point: coordinates of each stage in [-1, 1], labels, and the face as a data URI."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for stage, points in self.embeddings.items():
            middle = (points.max(axis=0) + points.min(axis=0)) / 2
            unit = np.ptp(points, axis=0).max() / 2 or 1.0
            for axis in (0, 1):
                columns[_axis(stage, axis)] = (points[:, axis] - middle[axis]) / unit
        for name, color in self.colors.items():
            columns[_told(name)] = [color.said(row) for row in range(len(self.images))]
            columns[_colored(name)] = color.column()
        columns[FACE] = [self.thumbnail(row) for row in range(len(self.images))]
        return pd.DataFrame(columns)

    def thumbnail(self, row: int) -> str:
        """A face as a data URI (JPEG)."""
        picture = Image.fromarray(self.images[row].transpose(1, 2, 0))
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

    def _redraw(self) -> None:
        """Send stage and color as one drawing, without animation, and once more when the browser has come to rest.

        The plot drops what it is sent while it is still drawing. Of changes in quick succession the last might be lost.
        """
        with self._sending:
            encoding = self.colors[self.color].encoding()
            self._scatter.color(by=_colored(self.color), **encoding, skip_widget_update=True)
            self._scatter.xy(**self._coordinates(), animate=False)
        self._again.cancel()
        self._again = threading.Timer(SETTLED, self._send_again)
        self._again.daemon = True
        self._again.start()
        self._describe_selection()

    def _send_again(self) -> None:
        with self._sending:
            points = self._scatter.widget.points.copy()
            points[:, 0] += 1e-6  # what is equal would not be sent
            self._scatter.widget.points = points

    def _on_select(self, change: dict) -> None:
        rows = sorted(int(row) for row in change["new"])
        if rows != self.selected:
            self.selected = rows
            self._describe_selection()

    def _describe_selection(self) -> None:
        """Legend, text and thumbnails beside the plot."""
        color = self.colors[self.color]
        self._legend.value = _paragraph(color.legend())
        self._text.value = _paragraph(html.escape(self.summary()).replace("\n", "<br>"))
        faces = "".join(
            f'<figure style="margin:0;width:{STRIP}px"><img src="{self.thumbnail(row)}" width="{STRIP}" '
            f'alt="face {row}"><figcaption>{html.escape(color.said(row))}</figcaption></figure>'
            for row in self.examples()
        )
        if faces:  # as high with faces as without: what stands below must not jump
            faces = f'<div style="display:flex;flex-wrap:wrap;gap:4px">{faces}</div>'
        else:
            faces = "The faces of a selection will stand here."
        height = round(STRIP * self.images.shape[2] / self.images.shape[3]) + 22
        self._strip.value = _paragraph(f'<div style="min-height:{height}px">{faces}</div>')


def _check_names(argument: str, arrays: object) -> None:
    if not isinstance(arrays, Mapping) or not all(isinstance(name, str) for name in arrays):
        raise TypeError(f"{argument} must be a dictionary of arrays by name; got {describe(arrays)}.")
    if not arrays:
        raise ValueError(f"{argument} must hold at least one array by name; got none.")


def _as_images(images: Array) -> np.ndarray:
    """[N, 3, H, W] uint8."""
    check_array("images", images, ("N", 3, "H", "W"), floating=False)
    pictures = _as_array(images)
    if pictures.dtype != np.uint8:
        raise TypeError(f"images must be uint8 (0 to 255); got {describe(images)}.")
    if 0 in pictures.shape:
        raise ValueError(f"images must hold at least one image; got {describe(images)}.")
    return pictures


def _paragraph(content: str) -> str:
    """JupyterLab's own lines stand as far apart as buttons."""
    return f'<div style="line-height:1.35;margin:4px 0">{content}</div>'


# Columns of the table. None can have the name of another, or one that jupyter-scatter reserves, such as "size".


def _axis(stage: str, axis: int) -> str:
    return f"{stage} [{axis}]"


def _colored(name: str) -> str:
    return f"{name} [color]"


def _told(name: str) -> str:
    """The column that the tooltip shows, under its name."""
    return f"{name} "


def _agreement(points: np.ndarray, color: Quantity | Categories) -> str:
    """Agreement of neighboring points in words; a label that is the same for all has none."""
    if len(points) <= NEIGHBORS or len(np.unique(color.values)) < 2:
        return "cannot be told"
    return f"{max(0.0, neighborhood_agreement(points, color.values, neighbors=NEIGHBORS)):.1f}"


def _spread(points: np.ndarray, count: int, apart: float) -> list[int]:
    """Points far from each other: first the one nearest the middle, then always the one farthest from all so far.

    Ends with ``count``, or when the next would be nearer than ``apart``, both across and up.
    """
    chosen = [int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, np.abs(points - points[chosen[-1]]).max(axis=1))
        if nearest.max() < apart:
            break
        chosen.append(int(nearest.argmax()))
    return chosen


# --- the picture --------------------------------------------------------------------------------


def _box_around(points: np.ndarray) -> Box:
    """Lower left and upper right corner of a panel, with room for half a face, not too flat and not too high."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, (width, height) = (low + high) / 2, high - low
    width = max(width, height / 1.1) or 1.0
    half = np.array([width, max(height, 0.5 * width)]) / 2
    half += 0.65 * FACE_SHARE * 2 * half[0]
    return middle - half, middle + half


class _Sheet:
    """Where panels and legends stand in the picture that stays. In inches; places are fractions of the picture.

    Args:
        boxes: corners of the map of each row, in its own units.
        columns: what each column of panels is colored by; None where nothing is.
    """

    def __init__(self, boxes: list[Box], columns: Sequence[Quantity | Categories | None]) -> None:
        self.boxes = boxes
        self.width = min(WIDEST_PANEL, (PAGE - LEFT) / len(columns) - GAP)
        self.heights = [self.width * (high[1] - low[1]) / (high[0] - low[0]) for low, high in boxes]
        self.legends = max(_legend_height(color, self.width) for color in columns if color is not None)
        high = ABOVE + sum(self.heights) + GAP * (len(boxes) - 1) + BELOW + self.legends
        self.size = (LEFT + len(columns) * (self.width + GAP), high)

    def panel(self, row: int, column: int) -> Place:
        above = ABOVE + sum(self.heights[: row + 1]) + GAP * row
        return self._place(self._left(column), self.size[1] - above, self.heights[row])

    def legend(self, column: int) -> Place:
        return self._place(self._left(column), 0.0, self.legends)

    def stage(self, row: int) -> tuple[float, float]:
        """Middle of the name of a row."""
        _, bottom, _, height = self.panel(row, 0)
        return 0.13 / self.size[0], bottom + height / 2

    def _left(self, column: int) -> float:
        return LEFT + column * (self.width + GAP)

    def _place(self, left: float, bottom: float, height: float) -> Place:
        width, high = self.size
        return left / width, bottom / high, self.width / width, height / high


def _without_unit(name: str) -> str:
    return name.split(" (")[0]


def _legend_columns(color: Categories, panel: float) -> int:
    longest = max(map(len, color.palette))
    return max(1, min(5, len(color.palette), int(panel / (0.27 + 0.08 * longest))))


def _legend_height(color: Quantity | Categories, panel: float) -> float:
    """Inches."""
    if isinstance(color, Quantity):
        return 0.6
    return 0.1 + 0.17 * -(-len(color.palette) // _legend_columns(color, panel))


def _draw_legend(ax: Axes, color: Quantity | Categories, panel: float) -> None:
    """Below a column of panels ``panel`` inches wide: a color bar, or a dot and a word for each category."""
    ax.set_axis_off()
    if isinstance(color, Quantity):
        inches = ax.get_position().height * ax.figure.get_figheight()
        bar_ax = ax.inset_axes((0.04, 1 - 0.14 / inches, 0.92, 0.14 / inches))
        bar = ax.figure.colorbar(ScalarMappable(Normalize(*color.limits), COLORMAP), bar_ax, orientation="horizontal")
        bar.set_label(color.name, size=9)
        bar.ax.tick_params(labelsize=9)
        bar.outline.set_visible(False)
        return
    dots = [Line2D([], [], linestyle="", marker="o", color=c, label=word) for word, c in color.palette.items()]
    ax.legend(
        handles=dots,
        loc="upper center",
        ncols=_legend_columns(color, panel),
        fontsize=9,
        handletextpad=0.1,
        columnspacing=0.8,
        borderaxespad=0.0,
        labelspacing=0.2,
    )
