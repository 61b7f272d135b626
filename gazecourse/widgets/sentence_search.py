"""``SentenceSearch``: type a sentence, and see which faces CLIP finds like it, and which least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gazecourse import plotting
from gazecourse.contrastive import CaptionedFaces, image_features
from gazecourse.faces.captions import UNSEEN, WORDINGS
from gazecourse.models.clip import TwoTowers
from gazecourse.plotting import COLORS, INK
from gazecourse.validation import Array, check_array, check_whole, describe
from gazecourse.widgets.screen import Screen, show_controls

EXAMPLES = (
    "a face with sunglasses",
    "a face with a cap",
    "a person with a full beard",
    "a blurred picture",
    "a face lit from the left",
    "an old woman with white hair",
    "a face with a hand in front of the face",
)
"""Offered by the box; any sentence of the model's words can be typed."""

MOST_SHARED = 3
"""Facts that are said of the best faces."""


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes:
        cosines: [N] of the sentence with each face.
        best, least: numbers of the most and the least similar faces, those furthest from the middle first.
        shared: what the best faces show more often than all do: words, in how many of the best that show the factor at
            all, in how many those are, and the share in all faces.
    """

    cosines: Tensor
    best: Tensor
    least: Tensor
    shared: tuple[tuple[str, int, int, float], ...]


class SentenceSearch:
    """A box for a sentence, and below it the faces that match it best and least.

    ``show()`` puts it into the notebook; the last picture stays in the saved notebook with its description.
    ``search(sentence)`` does the same from code; ``found`` holds the numbers.

    Args:
        clip: a trained CLIP.
        faces: what is searched.
        sentence: to begin with.
        features: [N, D] of the faces, if ``contrastive.image_features`` has been asked already.
        count: faces in a row.
    Raises:
        TypeError, ValueError: naming the argument; also a word in the sentence that the model has not learned.
    """

    def __init__(
        self,
        clip: TwoTowers,
        faces: CaptionedFaces,
        sentence: str = EXAMPLES[0],
        *,
        features: Array | None = None,
        count: int = 8,
    ) -> None:
        if not isinstance(clip, TwoTowers):
            raise TypeError(f"clip must be a CLIP, such as load_clip() returns; got {type(clip).__name__}.")
        self.count = check_whole("count", count, 1, len(faces) // 2)
        if features is None:
            features = image_features(clip, faces)
        check_array("features", features, (len(faces), clip.dim), hint="They are of these faces and this CLIP.")
        self.clip, self.faces, self.features = clip, faces, torch.as_tensor(features).detach().cpu().float()
        self.problem = ""
        self._box, self._screen = None, Screen(photo=True)
        self.search(sentence)

    def search(self, sentence: str) -> Found:
        """Find the faces for a sentence and show them.

        Raises:
            TypeError, ValueError: no text, or a word that the model has not learned; what is shown stays as it is.
        """
        self.found = self._find(sentence)
        self.sentence, self.problem = sentence.strip(), ""
        if self._box is not None:
            self._box.value = self.sentence
        self._refresh()
        return self.found

    @torch.no_grad()
    def _find(self, sentence: str) -> Found:
        if not isinstance(sentence, str):
            raise TypeError(f"sentence must be a text; got {describe(sentence)}.")
        feature = self.clip.encode_text([sentence])[0].float().cpu()
        cosines = torch.cosine_similarity(self.features, feature, dim=1)
        order = cosines.argsort(descending=True, stable=True)
        best = order[: self.count]
        return Found(cosines, best, order[-self.count :].flip(0), _shared(self.faces.facts, best))

    # ------------------------------------------------------------------ picture
    def figure(self) -> tuple[Figure, str]:
        """The picture of what was found, and its description in words."""
        plotting.use_style()
        return draw(self), self.describe()

    def describe(self) -> str:
        """Everything that the picture says, in a few sentences."""
        found = self.found
        best, least = found.cosines[found.best], found.cosines[found.least]
        before = f"{self.problem} The search before that: " if self.problem else ""
        shared = "; ".join(map(said, found.shared)) or "nothing that all faces do not share"
        return (
            f"{before}“{self.sentence}”: of {len(self.faces)} faces the {self.count} best, with cosines from "
            f"{best[0]:.2f} to {best[-1]:.2f}, the {self.count} least, from {least[-1]:.2f} to {least[0]:.2f}, and a "
            f"histogram of all. The best show: {shared}."
        )

    # ------------------------------------------------------------------ widgets
    def show(self) -> None:
        """Put box and picture into the notebook."""
        import ipywidgets

        self._box = ipywidgets.Combobox(
            value=self.sentence,
            options=EXAMPLES,
            description="sentence",
            placeholder="a face with …",
            continuous_update=False,
            ensure_option=False,
            layout=ipywidgets.Layout(width="560px"),
        )
        self._box.observe(lambda change: self._typed(change["new"]), names="value")
        plain = "A box for a sentence (in a live notebook)."
        show_controls(self._box, plain)
        self._screen.show(*self.figure())

    def _typed(self, sentence: str) -> None:
        """What is wrong with a typed sentence is said above the picture."""
        if sentence.strip() == self.sentence and not self.problem:
            return
        try:
            self.search(sentence)
        except (TypeError, ValueError) as error:
            self.problem = str(error)
            self._refresh()

    def _refresh(self) -> None:
        if not self._screen.is_on:
            return
        self._screen.update(*self.figure())


def _shared(facts: dict[str, Tensor], best: Tensor) -> tuple[tuple[str, int, int, float], ...]:
    """What is more frequent among the best than among all, first what most more of them show than chance would have."""
    found = []
    for name, values in facts.items():
        seen, of_best = values[values != UNSEEN], values[best]
        of_best = of_best[of_best != UNSEEN]
        for number, wordings in enumerate(WORDINGS[name]):
            count = int((of_best == number).sum())
            if count:
                everywhere = float((seen == number).float().mean())
                more = count - everywhere * len(of_best)
                found.append((more, (wordings[0], count, len(of_best), everywhere)))
    found.sort(key=lambda one: -one[0])
    return tuple(fact for more, fact in found[:MOST_SHARED] if more > 0)


def said(fact: tuple[str, int, int, float]) -> str:
    """E.g. "a cap: 7 of 8, 12 % of all"."""
    words, count, of, everywhere = fact
    return f"{words}: {count} of {of}, {100 * everywhere:.0f} % of all"


# --- drawing ------------------------------------------------------------------------------------

WIDTH, MARGIN, GAP = 9.6, 0.1, 0.06  # inches, as all lengths below
LABEL, COSINE, HISTOGRAM = 0.34, 0.2, 1.15
GRAY = "#5F5F5F"
BINS = 48


def draw(search: SentenceSearch) -> Figure:
    """The sentence, the best faces, the least, and how the cosines of all faces are spread."""
    found, count = search.found, search.count
    height, width = search.faces.images.shape[-2:]
    side = (WIDTH - 2 * MARGIN - (count - 1) * GAP) / count
    tall = side * height / width
    problem = 0.3 if search.problem else 0.0
    total = problem + 0.4 + 2 * (LABEL + tall + COSINE) + HISTOGRAM + 0.85
    fig = Figure(figsize=(WIDTH, total), layout="none")
    page = fig.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, WIDTH), ylim=(0, total))
    page.set_axis_off()
    top = total
    if search.problem:
        page.text(MARGIN, top - 0.2, search.problem, fontsize=9.5, color=COLORS["vermillion"], va="center", wrap=True)
        top -= problem
    page.text(MARGIN, top - 0.22, f"“{search.sentence}”", fontsize=13, fontweight="bold", va="center")
    top -= 0.4
    shared = ";  ".join(map(said, found.shared))
    rows = (("most alike", shared, found.best), ("least alike", "", found.least))
    for title, words, numbers in rows:
        page.text(MARGIN, top - 0.2, title, fontsize=10.5, fontweight="bold", va="center")
        page.text(MARGIN + 1.15, top - 0.2, words, fontsize=9.5, color=GRAY, va="center")
        top -= LABEL
        for column, number in enumerate(numbers.tolist()):
            left = MARGIN + column * (side + GAP)
            picture = search.faces.images[number].permute(1, 2, 0).numpy()
            page.imshow(picture, extent=(left, left + side, top - tall, top), aspect="auto", zorder=2)
            page.text(
                left + side / 2, top - tall - 0.1, f"{found.cosines[number]:.2f}", fontsize=9, ha="center", va="center"
            )
        top -= tall + COSINE
    page.set(xlim=(0, WIDTH), ylim=(0, total))  # imshow moves them
    _draw_histogram(fig, search, total)
    return fig


def _draw_histogram(fig: Figure, search: SentenceSearch, total: float) -> None:
    """Cosines of all faces; the best ones in orange, the least in blue."""
    found = search.found
    ax = fig.add_axes((0.08, 0.5 / total, 0.9, HISTOGRAM / total))
    cosines = found.cosines.numpy()
    edges = np.linspace(cosines.min(), cosines.max() + 1e-6, BINS + 1)
    styles: tuple[tuple[Any, str, str], ...] = (
        (slice(None), "#BBBBBB", "all faces"),
        (found.best.numpy(), COLORS["orange"], "most alike"),
        (found.least.numpy(), COLORS["blue"], "least alike"),
    )
    for rows, color, label in styles:
        ax.hist(cosines[rows], edges, color=color, label=label)
    ax.set(xlabel="cosine of face and sentence", ylabel="faces")
    ax.xaxis.label.set_color(INK)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=9, borderaxespad=0.2)
