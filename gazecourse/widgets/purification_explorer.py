"""``PurificationExplorer``: PureGaze's adversarial loss on one image and one reconstruction, taken apart by sliders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gazecourse import plotting
from gazecourse.losses import adversarial_loss, eye_attention, likeness
from gazecourse.plotting import COLORS, GRID
from gazecourse.purification import RELEASED_WIDTH
from gazecourse.validation import Array, check_array, check_choice, check_number, describe
from gazecourse.widgets.screen import Explorer

LIMITS = {"k": (0.0, 0.99), "sigma": (0.02, 0.5)}
"""From where to where the sliders reach; sigma in widths of the image."""

STEPS = {"k": 0.01, "sigma": 0.005}
ATTENTIONS = {"none": "none", "gaussian": "Gaussian", "exponential": "exponential (released maps)"}
"""What the drop-down offers, by the name that code uses."""

LABELS = {"k": "k (truncation)", "sigma": "sigma (widths)", "attention": "attention", "negative": "negative (1 − I)"}


@dataclass(frozen=True)
class Measured:
    """The adversarial loss of one drawing, and what it is made of.

    Attributes:
        likeness: t [3, H, W].
        kept: bool [3, H, W], whether t ≥ k.
        counted: [H, W], M ⊙ t · 1[t ≥ k], mean over the colors; the loss is its mean.
        loss: L_adv.
        gradient: ‖∂L_adv/∂Î‖, the length of the gradient with respect to all pixels and colors.
    """

    likeness: Tensor
    kept: Tensor
    counted: Tensor
    loss: float
    gradient: float

    @property
    def share(self) -> float:
        """Of the pixels and colors that are kept, from 0 to 1."""
        return float(self.kept.float().mean())


def measure(drawing: Tensor, image: Tensor, attention: Tensor, k: float) -> Measured:
    """Take the adversarial loss of one drawing apart.

    Args:
        drawing, image: Î and I, [3, H, W] in [0, 1].
        attention: M [H, W].
        k: where the loss is cut off, in [0, 1).
    """
    drawing, attention = drawing.detach()[None].requires_grad_(), attention.detach().clone().requires_grad_()
    loss = adversarial_loss(drawing, image[None], attention, k)
    felt, slope = torch.autograd.grad(loss, (drawing, attention))
    t = likeness(drawing.detach(), image[None])[0]
    # The loss is linear in M: a pixel adds its M times the slope there.
    counted = attention.detach() * slope * slope.numel()
    return Measured(t, t >= k, counted, loss.item(), float(torch.linalg.vector_norm(felt)))


class PurificationExplorer(Explorer):
    """Sliders for the truncation and the attention; the picture shows which pixels the adversarial loss still counts.

    ``show()`` puts it into the notebook; the last picture stays in the saved notebook with its description.
    ``set(name=value, …)`` moves sliders from code; ``values`` holds where they stand.

    Args:
        image: I [3, H, W] in [0, 1].
        reconstruction: Î, same shape and range.
        centers: [2, 2], both eyes' (x, y) in pixels of the image; (0, 0) is its corner.
        k: where the loss is cut off, from 0 to 0.99.
        sigma: of the attention, in widths of the image (of one of 224 pixels in the exponential form), 0.02 to 0.5.
        attention: "none", "gaussian" or "exponential"; see ``eye_attention``.
        negative: put 1 − I in the place of the reconstruction.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """

    def __init__(
        self,
        image: Array,
        reconstruction: Array,
        centers: Array,
        *,
        k: float = 0.75,
        sigma: float = 0.1,
        attention: str = "gaussian",
        negative: bool = False,
    ) -> None:
        hint = "It is one picture [3, H, W] of floats in [0, 1]."
        check_array("image", image, (3, "H", "W"), low=0.0, high=1.0, hint=hint)
        check_array("reconstruction", reconstruction, tuple(image.shape), low=0.0, high=1.0)
        check_array("centers", centers, (2, 2), hint="They are both eyes' (x, y) in pixels.")
        self.image, self.reconstruction, self.centers = (
            torch.as_tensor(value).detach().cpu().float() for value in (image, reconstruction, centers)
        )
        eye_attention(self.centers, tuple(self.image.shape[1:]))  # refuses eyes outside the image
        super().__init__(photo=True)
        self.set(k=k, sigma=sigma, attention=attention, negative=negative)

    def set(self, **values: float | str | bool) -> None:
        """Move sliders: ``k``, ``sigma``, ``attention`` or ``negative``.

        Raises:
            TypeError: another type. ValueError: no such slider, or a value that it does not have.
        """
        for name, value in values.items():
            check_choice("slider", name, list(LABELS))
            if name in LIMITS:
                values[name] = check_number(name, value, *LIMITS[name])
            elif name == "attention":
                check_choice(name, value, list(ATTENTIONS))
            elif not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False; got {describe(value)}.")
        self.values |= values
        self._refresh()

    # ------------------------------------------------------------------ numbers
    @property
    def drawing(self) -> Tensor:
        """Î [3, H, W]: the reconstruction, or the negative of the image."""
        return 1 - self.image if self.values["negative"] else self.reconstruction

    @property
    def reach(self) -> float:
        """σ in pixels; in the exponential form 2σ², over which M falls to 1/e."""
        return self._sigma() if self.values["attention"] == "gaussian" else 2 * self._sigma() ** 2

    def _sigma(self) -> float:
        """As ``eye_attention`` wants it, by the rule of ``purification.attention_for``."""
        width = self.image.shape[2]
        grown = width if self.values["attention"] == "gaussian" else math.sqrt(RELEASED_WIDTH * width)
        return self.values["sigma"] * grown

    def attention_map(self) -> Tensor:
        """M [H, W] as the sliders stand; 1 everywhere without attention."""
        size = tuple(self.image.shape[1:])
        if self.values["attention"] == "none":
            return torch.ones(size)
        return eye_attention(self.centers, size, self._sigma(), form=self.values["attention"])

    def measured(self) -> Measured:
        """The loss and its parts as the sliders stand."""
        return measure(self.drawing, self.image, self.attention_map(), self.values["k"])

    # ------------------------------------------------------------------ picture
    def figure(self) -> tuple[Figure, str]:
        """The picture as the sliders stand, and its description in words."""
        plotting.use_style()
        return draw(self), self.describe()

    def describe(self) -> str:
        """Everything that the picture says, in a few sentences."""
        now, uncut = self.measured(), measure(self.drawing, self.image, self.attention_map(), 0.0)
        k, (_, height, width) = self.values["k"], self.image.shape
        what = "its negative 1 − I, which holds all that the image holds" if self.values["negative"] else "a drawing Î"
        bumps = {
            "none": "no attention: every pixel counts alike",
            "gaussian": f"Gaussian attention around the eyes, σ = {_pixels(self.reach)}",
            "exponential": f"exponential attention around the eyes, 2σ² = {_pixels(self.reach)}",
        }[self.values["attention"]]
        cut = f"; without truncation {uncut.loss:.4f} and {_scientific(uncut.gradient)}" if k else ""
        return (
            f"An image I of {width} × {height} pixels and {what}; beside them maps of the likeness t, of what is kept, "
            f"of M and of their product. k = {k:.2f}, {bumps}. {_percent(now.share)} of the pixels are kept, those "
            f"that are off by {math.sqrt(1 - k):.2f} at most. The loss L_adv is {now.loss:.4f} and the gradient with "
            f"respect to Î has the length {_scientific(now.gradient)}{cut}."
        )

    # ------------------------------------------------------------------ widgets
    def show(self) -> None:
        """Put sliders and picture into the notebook."""
        import ipywidgets

        self._controls = {name: self._control(name) for name in LABELS}
        stack = ipywidgets.Layout(flex="0 0 auto")  # side by side where there is room, else one below the other
        columns = (("k", "sigma"), ("attention", "negative"))
        boxes = [ipywidgets.VBox([self._controls[name] for name in column], layout=stack) for column in columns]
        box = ipywidgets.HBox(boxes, layout=ipywidgets.Layout(flex_flow="row wrap"))
        plain = "Sliders for k and sigma, a list of attentions, a box for the negative (in a live notebook)."
        self._put(box, plain)

    def _control(self, name: str):
        import ipywidgets

        look = {"style": {"description_width": "110px"}, "layout": ipywidgets.Layout(width="380px")}
        look |= {"description": LABELS[name], "value": self.values[name]}
        if name in LIMITS:
            low, high = LIMITS[name]
            decimals = 2 if name == "k" else 3
            control = ipywidgets.FloatSlider(
                min=low, max=high, step=STEPS[name], readout_format=f".{decimals}f", **look
            )
        elif name == "attention":
            control = ipywidgets.Dropdown(options=[(label, key) for key, label in ATTENTIONS.items()], **look)
        else:
            control = ipywidgets.Checkbox(**look)
        control.disabled = name == "sigma" and self.values["attention"] == "none"
        return self._watched(name, control)

    def _refresh(self) -> None:
        if self._screen.is_on:
            self._controls["sigma"].disabled = self.values["attention"] == "none"
        super()._refresh()


# --- drawing ------------------------------------------------------------------------------------

WIDTH, MARGIN, GAP = 9.6, 0.1, 0.14  # inches, as all lengths below
TITLES, SCALE, NUMBERS = 0.48, 0.62, 0.98  # heights above, below and far below the row of pictures
SLOT = (WIDTH - 2 * MARGIN - 5 * GAP) / 6
FLATTEST, TALLEST = 0.4, 2.4
GRAY = "#5F5F5F"
CUT = COLORS["vermillion"]
MAP = "viridis"
KEPT = ListedColormap(LinearSegmentedColormap.from_list("kept", [CUT, "#F2F2F2"])(np.linspace(0, 1, 4)))
"""One color for each number of kept colors of a pixel, 0 to 3."""


def draw(explorer: PurificationExplorer) -> Figure:
    """The six pictures in a row, each map with its scale; below them the numbers, with and without truncation.

    Everything lies on one page with inches for coordinates, which is drawn faster than ten axes.
    """
    attention, now = explorer.attention_map(), explorer.measured()
    _, height, width = explorer.image.shape
    k, drawn = explorer.values["k"], "negative, 1 − I" if explorer.values["negative"] else "reconstruction"
    tall = min(max(SLOT * height / width, FLATTEST), TALLEST)
    page = _page(NUMBERS + SCALE + tall + TITLES)
    pictures = (
        ("image I", f"{width} × {height} pixels", explorer.image.permute(1, 2, 0)),
        ("drawing Î", drawn, explorer.drawing.permute(1, 2, 0)),
        ("likeness t", "1 − (I − Î)²", now.likeness.mean(0)),
        ("kept", f"t ≥ {k:.2f}", now.kept.sum(0)),
        ("attention M", _attention_words(explorer), attention),
        ("M ⊙ t · 1[t ≥ k]", rf"mean: $L_{{\mathrm{{adv}}}}$ = {now.loss:.4f}", now.counted),
    )
    for column, (title, words, values) in enumerate(pictures):
        left = MARGIN + column * (SLOT + GAP)
        middle, bottom = left + SLOT / 2, NUMBERS + SCALE
        look = {"cmap": KEPT, "vmin": -0.5, "vmax": 3.5} if title == "kept" else {"cmap": MAP, "vmin": 0, "vmax": 1}
        _draw_picture(page, middle, bottom + tall / 2, tall, values, label=title, **look)
        page.text(middle, bottom + tall + 0.26, title, fontsize=10.5, fontweight="bold", ha="center")
        page.text(middle, bottom + tall + 0.08, words, fontsize=9, color=GRAY, ha="center")
        if values.ndim == 2:
            form = explorer.values["attention"].replace("none", "").replace("gaussian", "Gaussian")
            about = {"kept": "of 3 colors kept", "attention M": form}.get(title, "mean of 3 colors")
            _draw_scale(page, middle, about, **look)
        if title == "likeness t":
            _mark_k(page, middle, k)
    _draw_numbers(page, explorer, attention, now)
    return page.figure


def _attention_words(explorer: PurificationExplorer) -> str:
    if explorer.values["attention"] == "none":
        return "none: 1 everywhere"
    return {"gaussian": "σ", "exponential": "2σ²"}[explorer.values["attention"]] + f" = {_pixels(explorer.reach)}"


def _pixels(length: float) -> str:
    return f"{length:.1f} pixels" if length < 99.95 else f"{length:,.0f} pixels"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _scientific(number: float) -> str:
    """0.0000123 as 1.23 × 10⁻⁵."""
    if number == 0:
        return "0"
    mantissa, exponent = f"{number:.2e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _page(tall: float) -> Axes:
    page = Figure(figsize=(WIDTH, tall), layout="none").add_axes((0, 0, 1, 1), autoscale_on=False)
    page.set_axis_off()
    page.set(xlim=(0, WIDTH), ylim=(0, tall))
    return page


def _draw_picture(page: Axes, x: float, y: float, tall: float, values: Tensor, **look: Any) -> None:
    """A picture or map in its own proportions around (x, y), in a frame."""
    height, width = values.shape[:2]
    inch = min(SLOT / width, tall / height)  # of a pixel
    wide, high = width * inch, height * inch
    place = (x - wide / 2, x + wide / 2, y - high / 2, y + high / 2)
    page.imshow(values.numpy(), extent=place, aspect="auto", **look)
    page.add_patch(_frame(place))


def _frame(place: tuple[float, float, float, float]) -> Rectangle:
    left, right, bottom, top = place
    return Rectangle((left, bottom), right - left, top - bottom, facecolor="none", edgecolor=GRAY, linewidth=0.6)


SCALE_TOP, SCALE_HIGH, SCALE_WIDE = NUMBERS + SCALE - 0.12, 0.09, 0.84 * SLOT


def _draw_scale(page: Axes, x: float, about: str, *, cmap: str | ListedColormap, vmin: float, vmax: float) -> None:
    """The colors of a map and their numbers, below it."""
    left, bottom = x - SCALE_WIDE / 2, SCALE_TOP - SCALE_HIGH
    place = (left, left + SCALE_WIDE, bottom, SCALE_TOP)
    ticks = (0, 1, 2, 3) if cmap is KEPT else (0, 0.5, 1)
    steps = np.array(ticks) if cmap is KEPT else np.linspace(vmin, vmax, 128)
    page.imshow(steps[None], extent=place, aspect="auto", cmap=cmap, vmin=vmin, vmax=vmax, label="scale")
    page.add_patch(_frame(place))
    for tick in ticks:
        at = left + SCALE_WIDE * (tick - vmin) / (vmax - vmin)
        page.plot([at, at], [bottom, bottom - 0.03], color=GRAY, linewidth=0.8, linestyle="-")
        page.text(at, bottom - 0.15, f"{tick:g}", fontsize=8.5, ha="center")
    page.text(x, bottom - 0.31, about, fontsize=8.5, color=GRAY, ha="center")


def _mark_k(page: Axes, x: float, k: float) -> None:
    """A pointer at k, above the scale of t."""
    at = x + SCALE_WIDE * (k - 0.5)
    page.plot(at, SCALE_TOP + 0.02, marker="v", markersize=5.5, color=CUT, zorder=5)


def _draw_numbers(page: Axes, explorer: PurificationExplorer, attention: Tensor, now: Measured) -> None:
    """Loss, share and gradient as bars, as the sliders stand and without truncation.

    The gray tracks have the same length for the reconstruction and for the negative, so that both can be compared.
    """
    image, k = explorer.image, explorer.values["k"]
    uncut = measure(explorer.drawing, image, attention, 0.0)
    perfect = measure(image, image, attention, 0.0).loss
    steepest = max(measure(one, image, attention, 0.0).gradient for one in (explorer.reconstruction, 1 - image))
    blocks = (
        (
            rf"loss $L_{{\mathrm{{adv}}}}$ = {now.loss:.4f}",
            (now.loss, uncut.loss, perfect),
            "{:.4f}".format,
            f"gray: a perfect copy, Î = I: {perfect:.4f}",
        ),
        (
            f"pixels kept: {_percent(now.share)}",
            (now.share, uncut.share, 1.0),
            _percent,
            f"off by |I − Î| ≤ {math.sqrt(1 - k):.2f}, counted in each color",
        ),
        (
            f"length of the gradient: {_scientific(now.gradient)}",
            (now.gradient, uncut.gradient, steepest),
            _scientific,
            r"‖∂$L_{\mathrm{adv}}$ / ∂Î‖; what is not kept adds 0",
        ),
    )
    for column, (title, (value, without, most), form, caption) in enumerate(blocks):
        left = MARGIN + column * (WIDTH - 2 * MARGIN) / 3
        page.text(left, NUMBERS - 0.17, title, fontsize=10.5, fontweight="bold")
        _draw_bar(page, left, NUMBERS - 0.4, f"k = {k:.2f}", value, most, form(value), COLORS["blue"])
        if k:
            _draw_bar(page, left, NUMBERS - 0.61, "k = 0", without, most, form(without), COLORS["sky"])
        page.text(left, NUMBERS - 0.9, caption, fontsize=8.5, color=GRAY)


def _draw_bar(page: Axes, left: float, y: float, label: str, value: float, most: float, words: str, color: str) -> None:
    for share, shade in ((1.0, GRID), (value / most if most else 0.0, color)):
        page.add_patch(Rectangle((left + 0.62, y - 0.065), 1.42 * share, 0.13, facecolor=shade, edgecolor="none"))
    page.text(left, y, label, fontsize=9, va="center")
    page.text(left + 2.12, y, words, fontsize=9, va="center")
