"""What ``runs`` asks of a system, for gaze or for landmarks: how it is trained, loaded, asked and judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.utils.data import Dataset

from gazecourse.comparison import Method
from gazecourse.metrics import bootstrap_ci
from gazecourse.protocols import Fold
from gazecourse.sample import Sample
from gazecourse.validation import Array


class Trainable(ABC):
    """A system that ``python -m gazecourse train`` knows.

    ``Size`` is the system's own: of its networks and of the images that they look at. ``Part`` is a stretch of a
    preset's training.

    Attributes:
        title: as in tables. measure: what its errors are.
    """

    title: str
    measure: ClassVar[str]

    @abstractmethod
    def preset(self, name: str) -> Any:
        """A named way to train: ``parts()``, and whether it begins with ``imagenet`` weights.

        Raises:
            ValueError: there is none of that name, or it is meant for other systems.
        """

    @abstractmethod
    def size(self, source: str) -> Any:
        """Sizes for what it is trained on, as the profile has them."""

    @abstractmethod
    def faces(self, name: str, role: str, size: Any) -> Dataset:
        """Faces of a set for the role "train" or "test".

        Raises:
            ValueError, FileNotFoundError, CourseError: no such set, not prepared, damaged, or not for this role.
        """

    @abstractmethod
    def folds(self, source: str, target: str | None, size: Any) -> list[Fold]:
        """The trainings of a protocol with their tests; without a target one training on all training faces.

        Raises:
            ValueError, FileNotFoundError, CourseError: see ``faces``; or the two sets do not fit together.
        """

    @abstractmethod
    def learning(
        self, data: Dataset, size: Any, *, seed: int, folder: Path, precision: str
    ) -> Callable[[Any], tuple[Dataset, Method]]:
        """From a part of a training on these faces to what it learns from, and how.

        Args:
            data: the training faces. seed, precision: of the training. folder: of its files.
        Raises:
            CourseError: the faces lack something that can only be found out by looking at them.
        """

    def check(self, batch: Sample, name: str) -> None:  # noqa: B027 - most have nothing to refuse
        """Refuse faces of the set ``name`` without a label that the system looks at.

        Raises:
            CourseError: naming the label and the set.
        """

    @abstractmethod
    def check_test(self, name: str) -> None:
        """Refuse a set that the system cannot be evaluated on.

        Raises:
            ValueError, CourseError: there is no such set, or its test faces have no labels for it.
        """

    def keep(self, model: nn.Module, folder: Path) -> None:  # noqa: B027 - for most, checkpoints are enough
        """Write into a run's folder what ``load`` needs beyond the checkpoint of the last part."""

    @abstractmethod
    def load(self, folder: Path, run: dict) -> tuple[nn.Module, Any]:
        """The network of a run, with its trained weights, and its size.

        Raises:
            FileNotFoundError, CourseError: its file is missing or damaged.
        """

    @abstractmethod
    def estimates(self, model: nn.Module, faces: Dataset, size: Any) -> Tensor:
        """What a network says of all faces: gaze [N, 2] (pitch, yaw), radians, or landmarks [N, P, 2], pixels."""

    @abstractmethod
    def score(self, estimated: Tensor, faces: Dataset) -> dict:
        """``summary`` of the errors, and whatever else belongs to them."""

    @abstractmethod
    def describe(self, found: dict) -> str:
        """What ``score`` found, in words; one line, or several."""

    @abstractmethod
    def columns(self, estimated: Tensor, faces: Dataset) -> dict[str, Sequence[str]]:
        """What a table of the estimates holds, by the title of the column."""


def summary(errors: Array, faces: Dataset) -> dict:
    """Mean of the errors [N] with its 95 % interval over people, and of how many images and people it is.

    Where nobody knows who is who, every image counts for itself and "people" is None.
    """
    interval = bootstrap_ci(errors, clusters=faces.person)
    found = dict(zip(("error", "low", "high"), (round(value, 4) for value in interval), strict=True))
    known = getattr(faces, "knows_people", True)
    return found | {"images": len(faces), "people": len(faces.people) if known else None}


def digits(values: Iterable[float], count: int) -> list[str]:
    """Numbers with so many digits after the point."""
    return [f"{value:.{count}f}" for value in values]
