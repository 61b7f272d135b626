"""The landmark data sets as releases that can be prepared, like those for gaze.

The readers, one file for each set, know the formats; here is what turns a reader into records of a store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from gazecourse.datasets import cofw, ibug_300w, wflw
from gazecourse.datasets.face_photos import FacePhotos
from gazecourse.datasets.source import Source, digest
from gazecourse.sample import Sample


class LandmarkRelease(Source):
    """Photographs with landmarks: first the training faces, then the test's.

    Args:
        root: the folder.
        missing_ok: go on where a whole split is missing.
    """

    splits = ("train", "test")
    holds = ("landmarks",)
    default_size = 256
    knows_people = False
    reader: ClassVar[Callable[[Path, str], FacePhotos]]
    """From the folder and the name of a split to its faces."""

    def __init__(self, root: str | os.PathLike[str], *, missing_ok: bool = False) -> None:
        super().__init__(root)
        read = {number: self._read(number, missing_ok) for number in range(len(self.splits))}
        self._faces = {number: faces for number, faces in read.items() if faces is not None}
        if not self._faces:
            type(self).reader(self.root, self.splits[0])  # says what is missing and how to get it
        counts = [len(faces) for faces in self._faces.values()]
        self.split = np.repeat(np.array(list(self._faces), np.int8), counts)
        self.person = np.arange(sum(counts))
        self.problem = [""] * sum(counts)
        self.fingerprint = digest(*(content for faces in self._faces.values() for content in self._contents(faces)))

    def _read(self, number: int, missing_ok: bool) -> FacePhotos | None:
        try:
            return type(self).reader(self.root, self.splits[number])
        except FileNotFoundError:
            if not missing_ok:
                raise
            self.warnings.append(f"the {self.splits[number]} split is missing")
            return None

    def _contents(self, faces: FacePhotos) -> list[bytes | str]:
        """All labels of a split; not where the folder lies."""
        names = [faces.where(index).removeprefix(str(self.root)) for index in range(len(faces))]
        factors = [faces.factors[name].numpy().tobytes() for name in self.factors]
        return ["\n".join(names), repr(faces.squares), faces.landmarks.numpy().tobytes(), *factors]

    def _place(self, row: int) -> tuple[FacePhotos, int]:
        """The split of a record, and its number there."""
        number = self.split[row]
        return self._faces[int(number)], row - int(np.searchsorted(self.split, number))

    def part(self, rows: range) -> Self:
        """The same source with some consecutive records only."""
        part = super().part(rows)
        places = [(self.split[row], self._place(row)[1]) for row in rows]
        part._faces = {
            number: faces.subset([place for own, place in places if own == number])
            for number, faces in self._faces.items()
        }
        return part

    def where(self, row: int) -> str:
        """The photograph."""
        faces, place = self._place(row)
        return faces.where(place)

    def face(self, row: int, size: int) -> Sample:
        """The square around one face; see ``FacePhotos``."""
        faces, place = self._place(row)
        return replace(faces.face(place, size), person=int(self.person[row]))


class WFLWRelease(LandmarkRelease):
    """WFLW with its six flags."""

    release = wflw.RELEASE
    landmarks = wflw.POINTS
    factors = dict.fromkeys(wflw.FLAGS, ())
    reader = wflw.WFLW


class IBug300WRelease(LandmarkRelease):
    """300W; its test is the full one, of which "challenge" tells the hard part."""

    release = ibug_300w.RELEASE
    landmarks = ibug_300w.POINTS
    factors: ClassVar = {"challenge": ()}

    @staticmethod
    def reader(root: Path, split: str) -> FacePhotos:
        """300W calls the whole test "full"."""
        return ibug_300w.IBug300W(root, {"test": "full"}.get(split, split))


class COFWRelease(LandmarkRelease):
    """COFW, of whose landmarks it is known which are hidden."""

    release = cofw.RELEASE
    landmarks = cofw.POINTS
    factors: ClassVar = {"occluded": (cofw.POINTS,)}
    reader = cofw.COFW
