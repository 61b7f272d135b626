"""``LossExplorer``: value and pull of the landmark losses, with a slider for every constant, over current errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gazecourse import plotting
from gazecourse.losses.landmarks import Penalty, adaptive_wing, l1, l2, smooth_l1, soft_wing, wing
from gazecourse.plotting import COLORS, GRID, curve_style
from gazecourse.validation import Array, check_array, check_choice, check_number, describe
from gazecourse.widgets.screen import Explorer

LOSSES: Mapping[str, Penalty] = MappingProxyType(
    {
        "L2": l2,
        "L1": l1,
        "smooth L1": smooth_l1,
        "wing": wing,
        "soft wing": soft_wing,
        "adaptive wing": adaptive_wing,
    }
)

SLIDERS: Mapping[str, tuple[str, str, float, float, float, float]] = MappingProxyType(
    {  # name: (loss, its argument, lowest, highest, step, at first)
        "wing_omega": ("wing", "omega", 1.0, 30.0, 0.5, 10.0),
        "wing_epsilon": ("wing", "epsilon", 0.1, 10.0, 0.1, 2.0),
        "soft_wing_omega1": ("soft wing", "omega1", 0.5, 15.0, 0.5, 2.0),
        "soft_wing_omega2": ("soft wing", "omega2", 1.0, 60.0, 1.0, 20.0),
        "soft_wing_epsilon": ("soft wing", "epsilon", 0.1, 10.0, 0.1, 0.5),
        "adaptive_wing_omega": ("adaptive wing", "omega", 1.0, 30.0, 0.5, 14.0),
        "adaptive_wing_theta": ("adaptive wing", "theta", 0.1, 5.0, 0.1, 0.5),
        "adaptive_wing_epsilon": ("adaptive wing", "epsilon", 0.1, 5.0, 0.1, 1.0),
        "adaptive_wing_alpha": ("adaptive wing", "alpha", 2.05, 4.0, 0.05, 2.1),
        "adaptive_wing_target": ("adaptive wing", "target", 0.0, 1.0, 0.05, 1.0),
    }
)
"""Every constant of every loss, and y of the adaptive wing."""

SYMBOLS = {"omega": "ω", "omega1": "ω₁", "omega2": "ω₂", "epsilon": "ε", "theta": "θ", "alpha": "α", "target": "y"}
REACH = (5.0, 100.0)
"""From where to where the slider of the horizontal axis reaches, pixels."""

SMALL, LARGE = 2.0, 10.0
"""Pixels at which small errors end and large ones begin."""

BANDS = (f"below {SMALL:g} px", f"{SMALL:g} to {LARGE:g} px", f"{LARGE:g} px and more")
BAND_COLORS = (COLORS["sky"], COLORS["blue"], COLORS["black"])
LOOKED_AT = (1.0, 5.0, 20.0)
"""Residuals of which the description tells value and slope, pixels."""

MOST_RESIDUALS = 100_000


class LossExplorer(Explorer):
    """Sliders for the constants; the picture shows what each loss makes of an error, and which errors it attends to.

    On the left the value, in the middle the slope, which is how hard an error of that size pulls, both over the
    histogram of the residuals that are given; on the right how all the pull is shared among small, middle-sized and
    large errors. ``show()`` puts it into the notebook; the last picture stays in the saved notebook with its
    description. ``set(name=value, …)`` moves sliders from code; ``values`` holds where they stand.

    Args:
        residuals: of a network, pixels, any shape and sign; None for the curves alone.
        shown: names of the losses that are drawn.
        reach: right end of the horizontal axes, pixels, 5 to 100.
        constants: where sliders stand at first, such as ``wing_omega=10.0``.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """

    def __init__(
        self,
        residuals: Array | None = None,
        *,
        shown: Sequence[str] = ("L2", "L1", "wing", "soft wing"),
        reach: float = 30.0,
        **constants: float,
    ) -> None:
        self.residuals = None if residuals is None else _sizes(residuals)
        super().__init__()
        self.values |= {name: slider[5] for name, slider in SLIDERS.items()}
        self.set(shown=tuple(shown), reach=reach, **constants)

    def set(self, **values: float | Sequence[str]) -> None:
        """Move sliders: constants such as ``soft_wing_omega1``, ``reach``, or ``shown``, the names of losses.

        Raises:
            TypeError: another type. ValueError: no such slider, or a value that it does not have.
        """
        for name, value in values.items():
            check_choice("slider", name, ["shown", "reach", *SLIDERS])
            if name == "shown":
                values[name] = _check_shown(value)
            else:
                low, high = REACH if name == "reach" else SLIDERS[name][2:4]
                values[name] = check_number(name, value, low, high)
        self.values |= values
        self._refresh()

    # ------------------------------------------------------------------ numbers
    def penalty(self, loss: str) -> Penalty:
        """A loss with its constants as the sliders stand."""
        check_choice("loss", loss, list(LOSSES))
        constants = {argument: self.values[name] for name, (of, argument, *_) in SLIDERS.items() if of == loss}
        return partial(LOSSES[loss], **constants)

    def curve(self, loss: str, residuals: Tensor) -> tuple[Tensor, Tensor]:
        """Value and slope of a loss at residuals [M], pixels."""
        x = residuals.detach().double().requires_grad_()
        value = self.penalty(loss)(x)
        (slope,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), slope

    def shares(self, loss: str) -> tuple[float, float, float] | None:
        """How a loss shares its pull, Σ |slope|, among small, middle-sized and large residuals; None without any."""
        if self.residuals is None:
            return None
        _, slope = self.curve(loss, self.residuals)
        band = torch.bucketize(self.residuals, self.residuals.new_tensor([SMALL, LARGE]), right=True)
        pull = torch.zeros(3, dtype=torch.float64).index_add_(0, band, slope.abs())
        total = float(pull.sum())
        return tuple((pull / total).tolist()) if total else (0.0, 0.0, 0.0)

    # ------------------------------------------------------------------ picture
    def figure(self) -> tuple[Figure, str]:
        """The picture as the sliders stand, and its description in words."""
        plotting.use_style()
        return draw(self), self.describe()

    def describe(self) -> str:
        """Everything that the picture says, in a few sentences."""
        sizes = torch.tensor(LOOKED_AT)
        words = [f"Value and slope of {len(self.values['shown'])} losses over residuals up to {self.reach:g} pixels."]
        for loss in self.values["shown"]:
            value, slope = (numbers.tolist() for numbers in self.curve(loss, sizes))
            at = ", ".join(f"{v:.1f} with slope {s:.2f}" for v, s in zip(value, slope, strict=True))
            constants = self._constants(loss)
            words.append(f"{loss}{f' ({constants})' if constants else ''} at 1, 5 and 20 pixels: {at}.")
        if self.residuals is not None:
            middle = float(self.residuals.median())
            words.append(f"Behind them the histogram of {len(self.residuals)} residuals, half of them below "
                         f"{middle:.1f} pixels.")  # fmt: skip
            for loss in self.values["shown"]:
                small, middle, large = self.shares(loss)
                words.append(f"{loss} gives {small:.0%} of its pull to errors {BANDS[0]}, {middle:.0%} to those of "
                             f"{BANDS[1]}, {large:.0%} to those of {BANDS[2]}.")  # fmt: skip
        return " ".join(words)

    def _constants(self, loss: str) -> str:
        found = [(SYMBOLS[argument], self.values[name]) for name, (of, argument, *_) in SLIDERS.items() if of == loss]
        return ", ".join(f"{symbol} = {value:g}" for symbol, value in found)

    @property
    def reach(self) -> float:
        """Right end of the horizontal axes, pixels."""
        return self.values["reach"]

    # ------------------------------------------------------------------ widgets
    def show(self) -> None:
        """Put sliders and picture into the notebook."""
        import ipywidgets

        self._controls = {"shown": self._list(), "reach": self._slider("reach", "reach (px)", *REACH, 1.0)}
        for name, (loss, argument, low, high, step, _) in SLIDERS.items():
            self._controls[name] = self._slider(name, f"{loss} {SYMBOLS[argument]}", low, high, step)
        stack = ipywidgets.Layout(flex="0 0 auto")  # side by side where there is room, else one below the other
        names = list(self._controls)
        columns = (names[:1], names[1:7], names[7:])
        boxes = [ipywidgets.VBox([self._controls[name] for name in column], layout=stack) for column in columns]
        box = ipywidgets.HBox(boxes, layout=ipywidgets.Layout(flex_flow="row wrap"))
        plain = "A list of losses and a slider for each of their constants (in a live notebook)."
        self._put(box, plain)

    def _list(self):
        import ipywidgets

        layout = ipywidgets.Layout(width="210px", height="150px")
        look = {"description": "losses", "layout": layout, "style": {"description_width": "50px"}}
        control = ipywidgets.SelectMultiple(options=tuple(LOSSES), value=self.values["shown"], **look)
        control.observe(lambda change: self._chosen(change["new"]), names="value")
        return control

    def _slider(self, name: str, label: str, low: float, high: float, step: float):
        import ipywidgets

        look = {"style": {"description_width": "110px"}, "layout": ipywidgets.Layout(width="330px")}
        decimals = 2 if step < 0.1 else 1
        control = ipywidgets.FloatSlider(
            min=low, max=high, step=step, value=self.values[name], description=label, readout_format=f".{decimals}f",
            **look,
        )  # fmt: skip
        return self._watched(name, control)

    def _chosen(self, losses: Sequence[str]) -> None:
        chosen = tuple(name for name in LOSSES if name in losses)
        if chosen and chosen != self.values["shown"]:  # with none chosen the picture stays
            self.values["shown"] = chosen
            self._refresh()


def _sizes(residuals: Array) -> Tensor:
    """|x| of at most 100,000 residuals, evenly chosen."""
    check_array("residuals", residuals)
    sizes = torch.as_tensor(residuals).detach().cpu().double().abs().flatten()
    if not len(sizes):
        raise ValueError(f"residuals must hold at least one number; got {describe(residuals)}.")
    return sizes[:: -(-len(sizes) // MOST_RESIDUALS)].contiguous()


def _check_shown(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise TypeError(f"shown must be a list of names of losses, one or more; got {describe(value)}.")
    for name in value:
        check_choice("shown", name, list(LOSSES))
    return tuple(name for name in LOSSES if name in value)


# --- drawing ------------------------------------------------------------------------------------


def draw(explorer: LossExplorer) -> Figure:
    """Values, slopes, and how the pull is shared; margins are fixed, so that a slider can redraw the figure."""
    fig = Figure(figsize=(9.6, 3.9), layout="none")
    panels = 2 if explorer.residuals is None else 3
    axes = fig.subplots(1, panels)
    fig.subplots_adjust(left=0.065, right=0.985, top=0.82, bottom=0.15, wspace=0.43)
    x = torch.linspace(0.01, explorer.reach, 601, dtype=torch.float64)  # at 0 all slopes are 0
    curves = {loss: explorer.curve(loss, x) for loss in explorer.values["shown"]}
    for column, (ax, label) in enumerate(zip(axes, ("loss", "slope"), strict=False)):
        _draw_curves(ax, x, {loss: pair[column] for loss, pair in curves.items()})
        if explorer.residuals is not None:
            _draw_histogram(ax, explorer.residuals, explorer.reach)
        title = "what an error costs" if column == 0 else "how hard it pulls"
        ax.set(xlabel="|residual| (px)", ylabel=label, xlim=(0, explorer.reach))
        ax.set_title(title, y=1.0, pad=6)
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="upper left", bbox_to_anchor=(0.055, 1.0), ncols=6, fontsize=9.5)
    if panels == 3:
        _draw_shares(axes[2], explorer)
    return fig


def _draw_curves(ax: Axes, x: Tensor, curves: Mapping[str, Tensor]) -> None:
    for loss, values in curves.items():
        number = list(LOSSES).index(loss)
        ax.plot(x, values, **curve_style(number), markevery=(20 * number, 120), label=loss, zorder=3)
    # L2 leaves every picture, and the adaptive wing is made for heat maps: the others decide how high it is.
    usual = [values for loss, values in curves.items() if loss not in ("L2", "adaptive wing")]
    ax.set_ylim(0, 1.15 * max(float(values.max()) for values in usual or curves.values()))


def _draw_histogram(ax: Axes, sizes: Tensor, reach: float) -> None:
    """The residuals, gray and behind the curves; its own height has no axis."""
    counts, edges = np.histogram(sizes.numpy(), bins=60, range=(0, reach))
    top = ax.get_ylim()[1]
    heights = 0.6 * top * counts / max(1, counts.max())
    ax.bar(edges[:-1], heights, width=np.diff(edges), align="edge", color=GRID, zorder=1, label="_residuals")


def _draw_shares(ax: Axes, explorer: LossExplorer) -> None:
    """One bar a loss, parted by the sizes of errors, with the residuals themselves as the first."""
    sizes = explorer.residuals
    band = torch.bucketize(sizes, sizes.new_tensor([SMALL, LARGE]), right=True)
    rows = {"of all errors": tuple((band == number).double().mean().item() for number in range(3))}
    rows |= {loss: explorer.shares(loss) for loss in explorer.values["shown"]}
    for y, shares in enumerate(rows.values()):
        left = 0.0
        for share, color in zip(shares, BAND_COLORS, strict=True):
            ax.barh(y, share, left=left, height=0.62, color=color, edgecolor="white")
            if share > 0.1:
                shade = "black" if color == BAND_COLORS[0] else "white"
                ax.text(left + share / 2, y, f"{share:.0%}", ha="center", va="center", fontsize=8.5, color=shade)
            left += share
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xticks=(), yticks=range(len(rows)))
    ax.set_yticks(range(len(rows)), list(rows), fontsize=8)
    ax.tick_params(axis="y", length=0, pad=2)
    ax.grid(False)
    ax.set_title("who gets the pull", y=1.0, pad=6)
    for number, (words, color) in enumerate(zip(BANDS, BAND_COLORS, strict=True)):
        ax.text(0.31 * number - 0.02, -0.1, words, transform=ax.transAxes, fontsize=8, color=color, fontweight="bold")
