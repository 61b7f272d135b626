"""``LiveCurve``: losses and errors drawn while a run goes on, with progress, time left, images/s and a Stop button."""

from __future__ import annotations

import base64
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from gazecourse.history import History, smooth
from gazecourse.logbook import Progress
from gazecourse.validation import check_array, check_positive

if TYPE_CHECKING:
    from IPython.display import DisplayHandle
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

Figures = Callable[[History], tuple["Figure", str]]

DRAWING_SHARE = 0.015  # of a run's time, at most
STATUS_SECONDS = 0.5  # between two updates of the line with progress and speed
_NOT_LOSSES = ("learning_rate", "images_per_second")
_MOST_PICTURES = 10
_PLAIN_STATUS = {
    "finished": "Finished",
    "stopped": "Stopped",
    "interrupted": "Interrupted",
    "failed": "Ended by an error",
}


class LiveCurve:
    """Watches a run: ``train(..., observer=LiveCurve())``.

    In a notebook: a picture that is drawn anew as often as 1.5 % of the time allow, and above it the progress, the
    time left, the speed, and a button that ends the run after the step at hand, with a checkpoint. The last picture
    stays in the saved notebook, with its description. Elsewhere: one printed line per evaluation.

    Args:
        title: what is trained, above the picture.
        error_label: the vertical axis of the evaluations, with its unit.
        references: horizontal lines among the evaluations, name to error: what an error must beat to mean something.
        unit: of the errors, written behind the values of the references.
        pictures: called for each drawing; returns images [N, 3, H, W], uint8 or floats in [0, 1], shown in a row
            below the curves (the first ten). For example reconstructions that change during training.
    """

    def __init__(
        self,
        title: str = "",
        *,
        error_label: str = "gaze error (degrees)",
        references: Mapping[str, float] | None = None,
        unit: str = "°",
        pictures: Callable[[], Tensor] | None = None,
    ) -> None:
        self.title, self.error_label, self.unit, self.pictures = title, error_label, unit, pictures
        self.references = dict(references or {})
        for name, value in self.references.items():
            check_positive(f"references[{name!r}]", value)
        self._stop = threading.Event()
        self._screen: _Notebook | _Lines = _Lines()

    @property
    def stop_requested(self) -> bool:
        """Whether Stop was pressed or ``stop`` called since the run began."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End the run after the step at hand; what the button does. Safe from any thread."""
        self._stop.set()

    def begin(self, history: History, progress: Progress) -> None:
        """A run starts (one ``LiveCurve`` may watch several, one after the other)."""
        self._stop.clear()
        self._history = history
        self._screen = _Notebook(self.stop, progress.total_steps) if in_notebook() else _Lines()
        self._screen.begin(history, self.figure)

    def update(self, progress: Progress) -> None:
        """Show the progress if it is time to; returns at once otherwise."""
        self._screen.update(self._history, progress, self.figure)

    def end(self, progress: Progress) -> None:
        """Leave the last picture and one line that says how the run ended."""
        self._screen.end(self._history, progress, self.figure, photo=self.pictures is not None)

    def figure(self, history: History) -> tuple[Figure, str]:
        """The picture of a history and its description in words."""
        pictures = None if self.pictures is None else self.pictures()
        return draw_run(history, self.title, self.error_label, self.references, pictures, self.unit)


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel, which can show pictures and buttons."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


# ---------------------------------------------------------------------------------------------------------- drawing


def draw_run(
    history: History,
    title: str = "",
    error_label: str = "gaze error (degrees)",
    references: Mapping[str, float] | None = None,
    pictures: Tensor | None = None,
    unit: str = "°",
) -> tuple[Figure, str]:
    """Losses on the left, evaluations with reference lines on the right, images below; and all that in words.

    Arguments as in ``LiveCurve``. Margins are fixed: finding them anew would double the cost of a drawing.
    """
    from matplotlib.figure import Figure

    from gazecourse import plotting

    plotting.use_style()
    losses = [name for name in history.names("train") if name not in _NOT_LOSSES]
    errors = history.names("evaluation")
    rows = max(1, *(-(-len(names) // _legend_columns(names)) for names in (losses, errors)))
    above, below = 0.5 + 0.22 * rows, 0.55 if pictures is None else 1.75
    height = above + 2.6 + below
    fig = Figure(figsize=(9.6, height), layout="none")
    axes = fig.subplots(1, 2 if errors or references else 1, squeeze=False)[0]
    fig.subplots_adjust(left=0.075, right=0.985, top=1 - above / height, bottom=below / height, wspace=0.2)
    words = [_draw_losses(axes[0], history, losses)]
    _finish(axes[0], f"{title}: training" if title else "training", "loss (bold: moving average)", rows)
    if len(axes) == 2:
        words.append(_draw_errors(axes[1], history, errors, error_label, references or {}, unit))
        _finish(axes[1], "after each epoch", error_label, rows)
    for ax in axes:
        ax.set_xlim(0, 1.02 * max((record["step"] for record in history.records), default=1))
    if pictures is not None:
        words.append(_draw_strip(fig, pictures, 1.15 / height))
    return fig, " ".join(words)


def _draw_losses(ax: Axes, history: History, names: Sequence[str]) -> str:
    """Each loss as recorded, faint, and its moving average over about a thirtieth of the run."""
    from gazecourse import plotting

    words = []
    for index, name in enumerate(names):
        steps, values = history.curve(name, "train")
        average = smooth(values, 1 - 1 / max(1, len(values) / 30))
        style = plotting.curve_style(index)
        shown = _evenly(len(steps), 400)
        every = max(1, len(shown) // 7)
        ax.plot(steps[shown], values[shown], color=style["color"], linestyle="-", linewidth=0.8, alpha=0.3)
        ax.plot(steps[shown], average[shown], **style, markevery=(index * every // 4, every), label=name)
        words.append(f"{name} from {values[0]:.3g} to {average[-1]:.3g}")
    return f"Training losses over the steps: {', '.join(words) or 'none yet'}."


def _draw_errors(
    ax: Axes, history: History, names: Sequence[str], label: str, references: Mapping[str, float], unit: str
) -> str:
    """Each evaluation with its points, from zero up, and the reference lines."""
    from gazecourse import plotting

    words, highest = [], max(references.values(), default=0.0)
    for index, name in enumerate(names):
        steps, values = history.curve(name, "evaluation")
        ax.plot(steps, values, **plotting.curve_style(index), markevery=max(1, len(steps) // 15), label=name)
        words.append(f"{name} now {values[-1]:.3g}, best {values.min():.3g}")
        highest = max(highest, values.max())
    for name, value in references.items():
        plotting.prior_line(ax, value, name, unit)
        words.append(f"for comparison {name} {value:.3g}")
    ax.set_ylim(0, 1.12 * highest or 1)
    return f"Evaluations, {label}: {', '.join(words)}."


def _finish(ax: Axes, title: str, ylabel: str, legend_rows: int) -> None:
    """Labels, few ticks, and the legend between title and axes, where it hides nothing."""
    from matplotlib.ticker import MaxNLocator

    ax.set_title(title, y=1.0, pad=8 + 16 * legend_rows)  # a fixed y saves a search that takes a fifth of the drawing
    ax.set_xlabel("step")
    ax.set_ylabel(ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    if names := ax.get_legend_handles_labels()[1]:
        style = {"fontsize": 9, "columnspacing": 1.2, "handlelength": 2.4}
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.97), ncols=_legend_columns(names), **style)


def _legend_columns(names: Sequence[str]) -> int:
    """Entries side by side that fit above one panel, in inches: the handle with its gaps, and the letters."""
    return max(1, int(4.2 / (0.62 + 0.075 * max(map(len, names), default=0))))


def _draw_strip(fig: Figure, pictures: Tensor, height: float) -> str:
    """Images in a row along the lower edge; ``height`` is their part of the figure's."""
    check_array("pictures", pictures, ("N", 3, "H", "W"), floating=False)
    if pictures.is_floating_point():
        check_array("pictures", pictures, low=0.0, high=1.0)
    row = pictures[:_MOST_PICTURES].detach().cpu().permute(0, 2, 3, 1).numpy()
    for index, picture in enumerate(row):
        ax = fig.add_axes((0.02 + 0.096 * index, 0.02, 0.092, height - 0.02))
        ax.imshow(picture)
        ax.set_axis_off()
    return f"Below: a row of {len(row)} images."


def _evenly(count: int, most: int) -> np.ndarray:
    """Indices of at most ``most`` of ``count`` points, evenly spread, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def quick_png(fig: Figure) -> bytes:
    """A PNG at screen resolution, made in a fraction of the time of a carefully packed one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    buffer = BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


# ---------------------------------------------------------------------------------------------------------- screens


class _Lines:
    """Outside a notebook: a printed line per evaluation, or per epoch where nothing is evaluated."""

    def __init__(self) -> None:
        self._epoch = 0

    def begin(self, history: History, figure: Figures) -> None:
        """Nothing to show yet."""

    def update(self, history: History, progress: Progress, figure: Figures) -> None:
        if progress.epoch > self._epoch and progress.step % progress.steps_per_epoch == 0:
            evaluated = history.of_kind("evaluation")
            if evaluated and evaluated[-1]["step"] != progress.step:
                return
            self._epoch = progress.epoch
            print(f"{status_line(progress)}  {latest(history)}", flush=True)

    def end(self, history: History, progress: Progress, figure: Figures, photo: bool) -> None:
        print(summary(progress), flush=True)


class _Notebook:
    """In a notebook: controls in a box of their own, and one picture that is replaced again and again."""

    def __init__(self, stop: Callable[[], None], total_steps: int) -> None:
        import ipywidgets
        from IPython.display import display

        self._button = ipywidgets.Button(
            description="Stop", icon="stop", tooltip="End the run after this step and keep a checkpoint"
        )
        self._bar = ipywidgets.IntProgress(max=total_steps, layout=ipywidgets.Layout(width="12em"))
        self._label = ipywidgets.Label("starting …")
        self._button.on_click(lambda _: self._pressed(stop))
        self._box = ipywidgets.HBox([self._button, self._bar, self._label])
        self._controls: DisplayHandle = display(self._box, display_id=True)
        self._picture: DisplayHandle | None = None
        self._next_status = self._next_drawing = 0.0

    def _pressed(self, stop: Callable[[], None]) -> None:
        stop()
        self._button.description, self._button.disabled = "Stopping", True

    def begin(self, history: History, figure: Figures) -> None:
        """Show empty axes at once. What this first drawing costs, imports and fonts, says nothing of the next."""
        self.draw(history, figure)
        self._next_drawing = 0.0

    def draw(self, history: History, figure: Figures) -> None:
        """Replace the picture, and set the time of the next drawing by what this one cost."""
        began = time.perf_counter()
        fig, alt = figure(history)
        self._put(quick_png(fig), alt, width=int(fig.get_figwidth() * 100))
        ended = time.perf_counter()
        self._next_drawing = ended + (ended - began) / DRAWING_SHARE

    def update(self, history: History, progress: Progress, figure: Figures) -> None:
        now = time.perf_counter()
        if now >= self._next_status:
            self._bar.value, self._label.value = progress.step, status_line(progress)
            self._next_status = now + STATUS_SECONDS
        if now >= self._next_drawing:
            self.draw(history, figure)

    def _put(self, png: bytes, alt: str, width: int) -> None:
        data = {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": alt}
        self._replace(data, {"image/png": {"width": width, "alt": alt}})

    def _replace(self, data: dict, metadata: dict) -> None:
        from IPython.display import display

        if self._picture is None:
            self._picture = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self._picture.update(data, metadata=metadata, raw=True)

    def end(self, history: History, progress: Progress, figure: Figures, photo: bool) -> None:
        from IPython.display import display

        from gazecourse import plotting

        fig, alt = figure(history)
        self._replace(*plotting.bundle(fig, alt, photo=photo))
        display(plotting.spoken(alt), raw=True)
        self._controls.update({"text/plain": summary(progress)}, raw=True)
        for widget in (self._box, *self._box.children):
            widget.close()


# ------------------------------------------------------------------------------------------------------------ words


def status_line(progress: Progress) -> str:
    """For example ``epoch 3 of 10 · step 132 of 620 · 310 images/s · 0:42 left``."""
    epochs = -(-progress.total_steps // progress.steps_per_epoch)
    epoch = min(progress.epoch + 1, epochs)
    parts = [f"epoch {epoch} of {epochs}", f"step {progress.step} of {progress.total_steps}"]
    if progress.seconds_left is not None:
        parts += [f"{progress.images_per_second:.0f} images/s", f"{clock(progress.seconds_left)} left"]
    return " · ".join(parts)


def summary(progress: Progress) -> str:
    """For example ``Finished: 620 of 620 steps in 2:05 (310 images/s).``"""
    steps = f"{progress.step} of {progress.total_steps} steps in {clock(progress.seconds)}"
    return f"{_PLAIN_STATUS[progress.status]}: {steps} ({progress.images_per_second:.0f} images/s)."


def latest(history: History) -> str:
    """The last value of each loss and evaluation."""
    names = [name for name in history.names() if name not in _NOT_LOSSES]
    return " · ".join(f"{name} {history.curve(name)[1][-1]:.4g}" for name in names)


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any: ``0:42``, ``1:02:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
