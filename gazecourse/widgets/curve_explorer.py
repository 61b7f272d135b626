"""``CurveExplorer``: any recorded runs side by side, with smoothing, log scale and the values under the pointer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure

from gazecourse import plotting
from gazecourse.history import History, load_runs, smooth
from gazecourse.validation import check_choice, describe

MOST_POINTS = 2000  # of one curve in the page
OVER = ("step", "seconds")
_NAMED_DASHES = {"--": "dashed", "-.": "dashdot", ":": "dotted"}


class CurveExplorer:
    """Compare recorded runs. The last expression of a cell shows it, or ``show()`` does.

    An ordinary picture comes first and stays in the saved notebook. Where the page can run scripts (JupyterLab, an
    exported page), the explorer takes its place: pick metric and runs, smooth, switch to a log scale, point at the
    curves or use the arrow keys to read values. It lives in the page alone, without network and without kernel.

    Args:
        runs: histories by name, or a folder with recorded runs (``load_runs``).
        metric: what to show first; default: the first evaluation, or the first loss.
        over: horizontal axis, "step" or "seconds".
        smoothing: weight w in [0, 1) of the moving average (``gazecourse.history.smooth``).
        log: logarithmic vertical axis; values that are not above zero are left out.
    Raises:
        ValueError: there is no run, no run has the metric, or a choice is out of range.
    """

    def __init__(
        self,
        runs: Mapping[str, History] | Path | str,
        metric: str | None = None,
        *,
        over: str = "step",
        smoothing: float = 0.0,
        log: bool = False,
    ) -> None:
        self.runs = load_runs(runs) if isinstance(runs, (Path, str)) else dict(runs)
        for name, run in self.runs.items():
            if not isinstance(run, History):
                raise TypeError(f"runs[{name!r}] must be a History; got {describe(run)}.")
        self.metrics = self._metrics()
        if not self.metrics:
            raise ValueError(f"runs must hold at least one recorded number; got {len(self.runs)} runs without any.")
        self.metric = check_choice("metric", self.metrics[0] if metric is None else metric, self.metrics)
        self.over = check_choice("over", over, OVER)
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must lie in [0, 1); got {smoothing!r}.")
        self.smoothing, self.log = float(smoothing), bool(log)

    def _metrics(self) -> list[str]:
        """Evaluations first: they are what runs are compared by."""
        kinds = ("evaluation", "train")
        return list(dict.fromkeys(name for kind in kinds for run in self.runs.values() for name in run.names(kind)))

    def curve(self, run: str, metric: str) -> dict[str, np.ndarray] | None:
        """One curve as ``step``, ``seconds`` and ``value``, [N] each with N at most 2000; None if not recorded."""
        records = [record for record in self.runs[run].records if metric in record]
        if not records:
            return None
        shown = np.unique(np.linspace(0, len(records) - 1, min(len(records), MOST_POINTS)).round().astype(int))
        columns = {"step": "step", "seconds": "seconds", "value": metric}
        return {key: np.array([float(records[i].get(name, 0)) for i in shown]) for key, name in columns.items()}

    # ---- the picture

    def figure(self) -> tuple[Figure, str]:
        """The picture that stays, and its description in words."""
        plotting.use_style()
        fig = Figure(figsize=(9.6, 3.9), layout="constrained")
        ax = fig.subplots()
        words = []
        for index, name in enumerate(self.runs):
            curve = self.curve(name, self.metric)
            if curve is not None:
                words.append(f"{name} ends at {self._draw(ax, index, name, curve):.3g}")
        if self.log:
            ax.set_yscale("log", nonpositive="mask")
        ax.set_xlabel(self.over)
        ax.set_ylabel(self.metric + (f" (smoothed, w = {self.smoothing:g})" if self.smoothing else ""))
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return fig, f"{self.metric} over {self.over}: {', '.join(words)}."

    def _draw(self, ax: mpl.axes.Axes, index: int, name: str, curve: dict[str, np.ndarray]) -> float:
        style = plotting.curve_style(index)
        average = smooth(curve["value"], self.smoothing)
        if self.smoothing:
            ax.plot(curve[self.over], curve["value"], color=style["color"], linestyle="-", linewidth=0.8, alpha=0.3)
        ax.plot(curve[self.over], average, **style, markevery=max(1, len(average) // 7), label=name)
        return float(average[-1])

    # ---- the explorer

    def html(self, element: str | None = None) -> str:
        """The explorer as a piece of a page: an empty element and the script that fills it."""
        element = element or f"curves-{uuid.uuid4().hex[:12]}"
        data = json.dumps(self._data(), separators=(",", ":")).replace("</", "<\\/")
        script = f'(() => {{\n{_script()}\nplaceExplorer("{element}", {data});\n}})();'
        return f'<div id="{element}"></div><script>{script}</script>'

    def _data(self) -> dict:
        return {
            "runs": [self._run_data(index, name) for index, name in enumerate(self.runs)],
            "metrics": self.metrics,
            "state": {"metric": self.metric, "over": self.over, "smoothing": self.smoothing, "log": self.log},
        }

    def _run_data(self, index: int, name: str) -> dict:
        style = plotting.curve_style(index)
        curves = {metric: self.curve(name, metric) for metric in self.metrics}
        return {
            "name": name,
            "color": style["color"],
            "dashes": _dashes(style["linestyle"]),
            "marker": style["marker"],
            "curves": {
                metric: {key: [float(f"{value:.6g}") for value in values] for key, values in curve.items()}
                for metric, curve in curves.items()
                if curve is not None
            },
        }

    def show(self) -> None:
        """Put the picture and the explorer into the notebook."""
        plotting.show(*self.figure())
        display({"text/html": self.html(), "text/plain": ""}, raw=True)

    def _ipython_display_(self) -> None:
        self.show()


def _dashes(linestyle: str | tuple) -> list[float]:
    """A matplotlib line style as lengths of strokes and gaps in pixels; empty for a solid line."""
    if linestyle == "-":
        return []
    pattern = (
        linestyle[1] if isinstance(linestyle, tuple) else mpl.rcParams[f"lines.{_NAMED_DASHES[linestyle]}_pattern"]
    )
    return [2.2 * float(length) for length in pattern]


@cache
def _script() -> str:
    return files("gazecourse.widgets").joinpath("curve_explorer.js").read_text(encoding="utf-8")
