"""``ConvolutionCalculator``: where a kernel lands on a row of pixels, what comes out, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from gazecourse import plotting
from gazecourse.models.layers import conv_multiply_adds, conv_output_size, conv_parameters
from gazecourse.plotting import COLORS, GRID, INK
from gazecourse.validation import check_choice, check_whole
from gazecourse.widgets.screen import Screen, show_controls

LIMITS = {"size": (4, 512), "kernel": (1, 15), "stride": (1, 8), "padding": (0, 8)}
"""Pixels that the sliders reach from and to."""

COUNTS = (1, 2, 3, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Steps of the sliders for channels, filters and groups; a value given at the start is added to them."""

MOST_CHANNELS = 4096
LABELS = {"size": "input size", "channels": "input channels"}

PIXEL, PADDING, WINDOW = "#D9D9D9", "white", COLORS["sky"]
UNREAD = COLORS["vermillion"]
GRAY = "#5F5F5F"
GROUP_COLORS = (COLORS["sky"], COLORS["orange"], COLORS["green"], COLORS["purple"])


@dataclass(frozen=True)
class Convolution:
    """One convolution of a square image; sizes in pixels. It may be impossible: see ``misfit`` and ``unshared``."""

    size: int
    channels: int
    kernel: int
    stride: int
    padding: int
    filters: int
    groups: int

    @property
    def padded(self) -> int:
        """Pixels of a row with its padding."""
        return self.size + 2 * self.padding

    @property
    def output(self) -> int:
        """Positions of the kernel along a row; 0 where it does not fit."""
        return 0 if self.misfit else conv_output_size(self.size, self.kernel, self.stride, self.padding)

    @property
    def remainder(self) -> int:
        """Pixels of the padded row to the right of the last position."""
        return (self.padded - self.kernel) % self.stride

    @property
    def short(self) -> int:
        """Pixels that the row would need for one more position; 0 where the last one ends with the row."""
        return -(self.padded - self.kernel) % self.stride

    @property
    def starts(self) -> np.ndarray:
        """First pixel of the kernel at each position; padding has negative numbers."""
        return np.arange(self.output) * self.stride - self.padding

    @property
    def unread(self) -> np.ndarray:
        """[size], whether each pixel of the row is under no position of the kernel."""
        first = np.clip(self.starts, 0, self.size)
        last = np.clip(self.starts + self.kernel, 0, self.size)
        steps = np.bincount(first, minlength=self.size + 1) - np.bincount(last, minlength=self.size + 1)
        return np.cumsum(steps)[: self.size] == 0

    @property
    def misfit(self) -> str:
        """In words, why the kernel does not fit into the image; empty if it does."""
        if self.kernel <= self.padded:
            return ""
        row = f"{self.size} + 2·{self.padding} = {self.padded}" if self.padding else f"{self.size}"
        return (
            f"A kernel of {self.kernel} pixels does not fit into a row of {row}. "
            "Make the kernel smaller, the input larger, or add padding."
        )

    @property
    def unshared(self) -> str:
        """In words, why the groups do not divide the channels or filters; empty if they do."""
        counts = {"input channels": self.channels, "filters": self.filters}
        odd = [f"{count} {name}" for name, count in counts.items() if count % self.groups]
        if not odd:
            return ""
        return (
            f"{self.groups} groups cannot share {' or '.join(odd)} evenly. "
            "Groups must divide the input channels and the filters."
        )

    def formula(self) -> str:
        """The output size with the numbers put in."""
        room, stride = self.padded - self.kernel, self.stride
        start = f"({self.size} + 2·{self.padding} − {self.kernel}) / {stride}"
        if self.remainder == 0:
            return f"{start} + 1 = {room} / {stride} + 1 = {self.output}"
        return f"⌊{start}⌋ + 1 = ⌊{room / stride:g}⌋ + 1 = {self.output}"

    def verdict(self) -> str:
        """Which pixels are never read."""
        unread = self.unread
        edge = int(unread[max(int(self.starts[-1]) + self.kernel, 0) :].sum())
        between = int(unread.sum()) - edge
        if not edge and not between:
            lost = f"{_count(self.remainder, 'pixel')} of padding {_is(self.remainder)} left over"
            return f"Every pixel is read; {lost}." if self.remainder else "Every pixel is read."
        where = f": {edge} at the right edge and {between} between the positions"
        if not (edge and between):
            where = ", at the right edge" if edge else ", between the positions"
        lost = edge + between
        return f"{_count(lost, 'pixel')} of each row {_is(lost)} never read{where}."

    def costs(self, groups: int) -> tuple[int, int]:
        """Parameters and multiply-adds with this many groups; the latter 0 where the kernel does not fit."""
        numbers = self.channels, self.filters, self.kernel
        multiply_adds = conv_multiply_adds(*numbers, self.output, groups) if self.output else 0
        return conv_parameters(*numbers, groups), multiply_adds


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _millions(number: int) -> str:
    return f"{number / 1e6:,.1f} M" if number >= 50_000 else f"{number:,}"


class ConvolutionCalculator:
    """Sliders for one convolution; the picture shows where its kernel lands and what it costs.

    ``show()`` puts it into the notebook; the last picture stays in the saved notebook with its description.
    ``set(name=value, …)`` moves sliders from code; ``convolution`` holds where they stand.

    Args:
        size: pixels of the input along each side.
        channels: of the input.
        kernel, stride, padding: pixels.
        filters: channels of the output.
        groups: parts into which channels and filters are divided; a filter sees the channels of its part.
    Raises:
        TypeError: not a whole number.
        ValueError: a value out of ``LIMITS``, a kernel larger than the padded input, or groups that do not divide
            channels and filters.
    """

    def __init__(
        self,
        size: int = 227,
        channels: int = 3,
        kernel: int = 11,
        stride: int = 4,
        padding: int = 0,
        filters: int = 96,
        groups: int = 1,
    ) -> None:
        given = {"size": size, "channels": channels, "kernel": kernel, "stride": stride}
        given |= {"padding": padding, "filters": filters, "groups": groups}
        checked = {n: check_whole(n, value, *LIMITS.get(n, (1, MOST_CHANNELS))) for n, value in given.items()}
        self.convolution = Convolution(**checked)
        if self.convolution.misfit:
            raise ValueError(f"kernel must fit into the padded input. {self.convolution.misfit}")
        if self.convolution.unshared:
            raise ValueError(f"groups must divide channels and filters. {self.convolution.unshared}")
        self._counts = {n: sorted({*COUNTS, checked[n]}) for n in ("channels", "filters", "groups")}
        self._sliders: dict[str, Any] = {}
        self._screen = Screen()

    def set(self, **values: int) -> None:
        """Move sliders. A convolution that is impossible is explained in the picture.

        Raises:
            TypeError: not a whole number. ValueError: no such slider, or a value that it does not have.
        """
        for name, value in values.items():
            check_choice("slider", name, [field.name for field in fields(Convolution)])
            if name in LIMITS:
                values[name] = check_whole(name, value, *LIMITS[name])
            else:
                check_choice(name, value, self._counts[name])
        self.convolution = replace(self.convolution, **values)
        self._refresh()

    # ------------------------------------------------------------------ picture
    def figure(self) -> tuple[Figure, str]:
        """The picture as the sliders stand, and its description in words."""
        plotting.use_style()
        return draw(self.convolution), self.describe()

    def describe(self) -> str:
        """Everything that the picture says, in a few sentences."""
        c = self.convolution
        start = (
            f"A row of {_count(c.size, 'pixel')} with {c.padding} of padding on each side, and a kernel of "
            f"{_count(c.kernel, 'pixel')} that moves by {c.stride}."
        )
        landing = c.misfit or f"It lands on {_count(c.output, 'position')}: {c.formula()}. {c.verdict()}"
        if c.unshared:
            return f"{start} {landing} {c.unshared}"
        parameters, multiply_adds = c.costs(c.groups)
        block = f"{_count(c.channels, 'input channel')}, {_count(c.filters, 'filter')}, {_count(c.groups, 'group')}"
        share = f"each filter sees {_count(c.channels // c.groups, 'channel')}"
        products = f" and {_millions(multiply_adds)} multiply-adds" if c.output else ""
        costs = f"{parameters:,} parameters{products}"
        if c.groups > 1:
            parameters, multiply_adds = c.costs(1)
            products = f" and {_millions(multiply_adds)}" if c.output else ""
            costs += f", in one group {parameters:,}{products}"
        return f"{start} {landing} {block}: {share}; {costs}."

    # ------------------------------------------------------------------ widgets
    def show(self) -> None:
        """Put sliders and picture into the notebook."""
        import ipywidgets

        self._sliders = {field.name: self._slider(field.name) for field in fields(Convolution)}
        columns = (("size", "kernel", "stride", "padding"), ("channels", "filters", "groups"))
        stack = ipywidgets.Layout(flex="0 0 auto")  # side by side where there is room, else one below the other
        boxes = [ipywidgets.VBox([self._sliders[name] for name in column], layout=stack) for column in columns]
        box = ipywidgets.HBox(boxes, layout=ipywidgets.Layout(flex_flow="row wrap"))
        plain = "Sliders for input size, kernel, stride, padding, channels, filters and groups (in a live notebook)."
        show_controls(box, plain)
        self._screen.show(*self.figure())

    def _slider(self, name: str):
        import ipywidgets

        value = getattr(self.convolution, name)
        look = {"style": {"description_width": "110px"}, "layout": ipywidgets.Layout(width="380px")}
        look["description"] = LABELS.get(name, name)
        if name in LIMITS:
            slider = ipywidgets.IntSlider(value=value, min=LIMITS[name][0], max=LIMITS[name][1], **look)
        else:
            slider = ipywidgets.SelectionSlider(value=value, options=self._counts[name], **look)
        slider.observe(lambda change: self._moved(name, change["new"]), names="value")
        return slider

    def _moved(self, name: str, value: int) -> None:
        if getattr(self.convolution, name) != value:
            self.convolution = replace(self.convolution, **{name: value})
            self._refresh()

    def _refresh(self) -> None:
        """Draw again, and let every slider show its value."""
        if not self._screen.is_on:
            return
        for name, slider in self._sliders.items():
            slider.value = getattr(self.convolution, name)
        self._screen.update(*self.figure())


# --- drawing ------------------------------------------------------------------------------------

WIDTH, HEIGHT = 8.0, 5.9  # inches
CELLS = 44  # pixels that can be told apart in a drawing of the whole row
LANES_TALL = 2.6  # height of all lanes together, where the row of pixels is 1


def draw(c: Convolution) -> Figure:
    """The row with the positions of the kernel, both edges enlarged, the formula, the costs and the groups.

    Margins are fixed, so that a slider can redraw the figure.
    """
    fig = Figure(figsize=(WIDTH, HEIGHT), layout="none")
    _draw_rows(fig, c)
    _write_output(fig, c)
    fig.add_artist(Rectangle((0.01, 0.375), 0.98, 0.002, transform=fig.transFigure, facecolor=GRID))
    if c.unshared:
        fig.text(0.5, 0.19, _wrapped(c.unshared), color=UNREAD, fontsize=12, ha="center", va="center")
    else:
        _write_costs(fig, c)
        _draw_groups(fig.add_axes((0.56, 0.01, 0.43, 0.35)), c)
    return fig


def _wrapped(text: str) -> str:
    """A line for each sentence."""
    return text.replace(". ", ".\n")


def _title(ax: Axes, text: str) -> None:
    ax.set_title(text, fontsize=10, fontweight="normal", loc="left", y=1.0, pad=4)


def _draw_rows(fig: Figure, c: Convolution) -> None:
    whole = f"one row: {_count(c.size, 'pixel')}" + (f", {c.padding} of padding on each side" if c.padding else "")
    low, high = -c.padding, c.size + c.padding
    if c.misfit:
        _draw_misfit(fig.add_axes((0.02, 0.56, 0.96, 0.36)), c, whole)
        return
    if c.padded <= CELLS:
        ax = fig.add_axes((0.02, 0.55, 0.96, 0.39))
        _title(ax, f"{whole}; the kernel lands on {_count(c.output, 'position')}")
        _draw_row(ax, c, low, high + c.short, close=True)
        return
    ax = fig.add_axes((0.02, 0.79, 0.96, 0.16))
    _title(ax, f"{whole}; the kernel lands on {_count(c.output, 'position')}")
    _draw_row(ax, c, low, high, close=False)
    span = min(max(c.kernel + 2 * c.stride + 3, 20), 34)
    for left, start, name in ((0.02, low, "left edge"), (0.51, high + c.short - span, "right edge")):
        ax = fig.add_axes((left, 0.53, 0.47, 0.205))
        _title(ax, f"its {name}, enlarged")
        _draw_row(ax, c, start, start + span, close=True)


def _draw_row(ax: Axes, c: Convolution, low: int, high: int, *, close: bool) -> None:
    """Pixels ``low`` to ``high`` of the padded row; below them, in lanes, the positions of the kernel."""
    ax.set_axis_off()
    ax.set(xlim=(low - 0.15, high + 0.15), ylim=(-LANES_TALL - 0.3, 1.75 if close else 1.05))
    _draw_pixels(ax, c, cells=close)
    edge = {"edgecolor": "white" if close else "none", "linewidth": 0.8}
    ax.broken_barh([(x, 1) for x in np.flatnonzero(c.unread)], (0, 1), facecolor=UNREAD, **edge)
    lanes = min(-(-c.kernel // c.stride) + (c.kernel % c.stride == 0), max(c.output, 1))
    height = min(LANES_TALL / (lanes + (c.remainder > 0 and close)), 0.8)
    for lane in range(lanes):
        bars = [(x, c.kernel) for x in c.starts[lane::lanes]]
        ax.broken_barh(bars, (-0.15 - (lane + 1) * height, 0.86 * height), facecolor=WINDOW, edgecolor=INK, lw=0.5)
    if close:
        _number_pixels(ax, c, low, high)
        _number_positions(ax, c, low, high, lanes, height)


def _draw_pixels(ax: Axes, c: Convolution, *, cells: bool) -> None:
    """The row, as one bar or in cells, with its padding."""
    ax.broken_barh([(0, c.size)], (0, 1), facecolor=PIXEL)
    if cells:
        ax.vlines(range(1, c.size), 0, 1, color="white", linewidth=1.0)
    outside = [(x, 1) for x in (*range(-c.padding, 0), *range(c.size, c.size + c.padding))]
    ax.broken_barh(outside, (0.03, 0.94), facecolor=PADDING, edgecolor=GRAY, linewidth=0.6, linestyle=(0, (2, 2)))


def _number_pixels(ax: Axes, c: Convolution, low: int, high: int) -> None:
    """Numbers above every few pixels, and above the last."""
    step = 5 if high - low > 24 else 2
    for x in range(max(low, 0), min(high, c.size)):
        if x == c.size - 1 or (x % step == 0 and c.size - 1 - x >= 2):
            ax.text(x + 0.5, 1.12, str(x), fontsize=8, ha="center", va="bottom", color=GRAY)


def _number_positions(ax: Axes, c: Convolution, low: int, high: int, lanes: int, height: float) -> None:
    """Number the positions that can be seen whole, and draw the next one, which does not fit any more."""
    roomy = height > 0.4 and (c.kernel > 1 or c.output < 100)
    for index in np.flatnonzero((c.starts >= low) & (c.starts + c.kernel <= high)) if roomy else ():
        place = (c.starts[index] + c.kernel / 2, -0.15 - (index % lanes + 0.57) * height)
        size = 8 if height > 0.5 else 7
        ax.text(*place, str(index + 1), fontsize=size, ha="center", va="center", color=INK)
    next_start = int(c.starts[-1]) + c.stride
    if c.short and next_start < high:
        y = -0.15 - (lanes + 1) * height
        look = {"facecolor": "none", "edgecolor": UNREAD, "linestyle": (0, (3, 2)), "linewidth": 1.2}
        ax.add_patch(Rectangle((next_start, y), c.kernel, 0.86 * height, **look))
        text = f"{_count(c.short, 'pixel')} short of position {c.output + 1}"
        inside = c.kernel > 0.5 * (high - low)
        place = next_start + (c.kernel / 2 if inside else -0.3), y + 0.43 * height
        ax.text(*place, text, fontsize=8.5, ha="center" if inside else "right", va="center", color=UNREAD)


def _draw_misfit(ax: Axes, c: Convolution, title: str) -> None:
    """A kernel that is longer than the row, below it."""
    _title(ax, title)
    ax.set_axis_off()
    ax.set(xlim=(-c.padding - 0.15, c.kernel - c.padding + 0.15), ylim=(-2.2, 1.75))
    _draw_pixels(ax, c, cells=True)
    look = {"facecolor": "none", "edgecolor": UNREAD, "linestyle": (0, (3, 2)), "linewidth": 1.4}
    ax.add_patch(Rectangle((-c.padding, -1.2), c.kernel, 0.9, **look))
    ax.text(c.kernel / 2 - c.padding, -0.75, f"kernel {c.kernel}", fontsize=10, ha="center", va="center", color=UNREAD)


def _write_output(fig: Figure, c: Convolution) -> None:
    """The formula and what follows from it; or why there is no output."""
    if c.misfit:
        fig.text(0.5, 0.46, _wrapped(c.misfit), color=UNREAD, fontsize=12, ha="center", va="center")
        return
    fig.text(0.02, 0.475, f"output size = {c.formula()}", fontsize=13, va="center", fontweight="bold")
    color = UNREAD if c.unread.any() else INK
    fig.text(0.02, 0.415, c.verdict(), fontsize=11, va="center", color=color)


def _write_costs(fig: Figure, c: Convolution) -> None:
    """Parameters and multiply-adds as products; with groups, bars that compare them with one group."""
    share = f"{c.channels}" if c.groups == 1 else f"{c.channels}/{c.groups}"
    weights = f"{c.filters} · {share} · {c.kernel}²"
    grouped, single = c.costs(c.groups), c.costs(1)
    amounts = f"{weights} + {c.filters} = {grouped[0]:,}", f"{c.output}² · {weights} = {_millions(grouped[1])}"
    rules = "parameters: the weights, and a bias for each filter", "multiply-adds: each weight, once per output pixel"
    for index, (top, write) in enumerate(((0.345, "{:,}".format), (0.165, _millions))):
        if single[index]:
            fig.text(0.02, top, rules[index], fontsize=10, va="center", color=GRAY)
            fig.text(0.02, top - 0.05, amounts[index], fontsize=11, va="center", fontweight="bold")
        if single[index] and c.groups > 1:
            bars = {f"in {c.groups} groups": grouped[index], "in one group": single[index]}
            _draw_bars(fig.add_axes((0.02, top - 0.14, 0.5, 0.065)), bars, write)


def _draw_bars(ax: Axes, bars: dict[str, int], write: Callable[[int], str]) -> None:
    ax.set_axis_off()
    ax.set(xlim=(0, 2.1 * max(bars.values())), ylim=(2, 0))
    for row, (name, amount) in enumerate(bars.items()):
        ax.add_patch(Rectangle((0, row + 0.1), amount, 0.75, facecolor=WINDOW, edgecolor=INK, linewidth=0.5))
        ax.text(amount, row + 0.5, f" {name}: {write(amount)}", fontsize=8.5, va="center_baseline", color=INK)


def _draw_groups(ax: Axes, c: Convolution) -> None:
    """Which input channels the filters of each group see: a band from channels to filters for each group."""
    ax.set_axis_off()
    ax.set(xlim=(0, 10), ylim=(10, 0))
    ax.text(2.15, 0.5, f"{c.channels} × {c.size} × {c.size}", fontsize=9.5, ha="center", va="center")
    out = f"{c.filters} × {c.output} × {c.output}" if c.output else "no output"
    ax.text(7.85, 0.5, out, fontsize=9.5, ha="center", va="center")
    shown = list(range(c.groups)) if c.groups <= 4 else [0, 1, None, c.groups - 1]
    tall = 8.6 / len(shown)
    for row, group in enumerate(shown):
        top = 1.1 + row * tall
        if group is None:
            more = f"⋮   {_count(c.groups - 3, 'more group')}"
            ax.text(5, top + tall / 2, more, fontsize=10, ha="center", va="center")
            continue
        _draw_group(ax, c, group, top, 0.86 * tall, GROUP_COLORS[row])


def _draw_group(ax: Axes, c: Convolution, group: int, top: float, tall: float, color: str) -> None:
    band = [(4.1, top), (5.9, top), (5.9, top + tall), (4.1, top + tall)]
    ax.add_patch(Polygon(band, facecolor=color, alpha=0.25, edgecolor="none"))
    for left, total, word in ((0.2, c.channels, "channel"), (5.9, c.filters, "filter")):
        ax.add_patch(Rectangle((left, top), 3.9, tall, facecolor=color, alpha=0.6, edgecolor=INK, linewidth=0.8))
        each = total // c.groups
        first, last = group * each + 1, (group + 1) * each
        text = f"{word} {first}" if each == 1 else f"{word}s {first}–{last}"
        ax.text(left + 1.95, top + tall / 2, text, fontsize=9.5, ha="center", va="center")
    ax.text(5, top + tall / 2, "→", fontsize=13, ha="center", va="center")
