"""GazeHub's label folders: the four data sets as the comparisons of gaze estimators prepare them.

Source: Cheng, Wang, Bao and Lu, "Appearance-based Gaze Estimation With Deep Learning: A Review and Benchmark", TPAMI
2024, whose authors offer scripts that turn the releases into these folders.

A folder holds ``Label`` with text files and ``Image`` with pictures. A label file has one header line; fields stand
between spaces, vectors have commas inside. The first field is the face, a path below ``Image``. Counted from 0:

==============  ========================  =======================================  ======================
data set        label files               gaze                                     head
==============  ========================  =======================================  ======================
mpiifacegaze    ``p00`` to ``p14``        7 (yaw, pitch); 5 the vector             8 (yaw, pitch)
eyediap         ``p1`` to ``p16``         6 (yaw, pitch); 4 the vector             7 (yaw, pitch)
gaze360         ``train``, ``val``, …     5 (yaw, pitch); 4 Gaze360's own vector   none
eth_xgaze       ``train``                 1 (pitch, yaw)                           2 (pitch, yaw)
==============  ========================  =======================================  ======================

Three of the four have the yaw first; taking it for the pitch costs some 20° and no error message. Where a file has the
vector too, both are compared, and a warning tells where they differ.

GazeHub's script for MPIIFaceGaze rotates labels by the matrix that the paper of 2018 advises against (M = S R), and
mirrors half of the faces, so that they are not those of the raw release.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gazecourse.angles import angular_error, from_gaze360, from_gazehub, vector_to_pitchyaw
from gazecourse.datasets.eth_xgaze import ETHXGaze
from gazecourse.datasets.eyediap import EyeDiap
from gazecourse.datasets.gaze360 import Gaze360
from gazecourse.datasets.mpiifacegaze_raw import MPIIFaceGazeRaw
from gazecourse.datasets.source import Release, Source, digest, listed, numbers, read_text
from gazecourse.errors import CourseError
from gazecourse.images import read_image, resized, to_tensor
from gazecourse.sample import Sample

LABEL, IMAGE = "Label", "Image"
SUBJECT = re.compile(r"subject(\d+)")
AGREE = 1.0
"""Degrees between the two accounts of the gaze that are put down to rounding."""


@dataclass(frozen=True)
class Layout:
    """What the label files of one data set look like.

    Attributes:
        base: the data set itself, for its name, its terms and its splits.
        files: names of the label files; people for those with a file each.
        fields: in a line, at least. gaze, head, vector, origin: numbers of fields, from 0; None where there is none.
        yaw_first: whether two numbers of a direction are (yaw, pitch).
        optional: label files that nobody misses: of people who only looked at a ball, of pictures without a use.
    """

    base: type[Source]
    files: tuple[str, ...]
    fields: int
    gaze: int
    head: int | None
    vector: int | None
    origin: int
    yaw_first: bool = True
    optional: tuple[str, ...] = ()


LAYOUTS = {
    "mpiifacegaze": Layout(MPIIFaceGazeRaw, tuple(f"p{n:02d}" for n in range(15)), 12, 7, 8, 5, 3),
    "eyediap": Layout(EyeDiap, tuple(f"p{n}" for n in range(1, 17)), 11, 6, 7, 4, 3, optional=("p12", "p13")),
    "gaze360": Layout(Gaze360, ("train", "val", "test", "unused"), 6, 5, None, 4, 3, optional=("val", "unused")),
    "eth_xgaze": Layout(ETHXGaze, ("train",), 7, 1, 2, None, 3, yaw_first=False),
}


class GazeHub(Source):
    """A label folder of GazeHub: a folder with ``Label`` and ``Image``; see the module.

    Args:
        root: the folder.
        missing_ok: go on with the label files that are there.
        name: which data set it is: "mpiifacegaze", "eyediap", "gaze360" or "eth_xgaze".
    Raises:
        FileNotFoundError, CourseError: a file is missing, damaged, or of another data set.
        ValueError: no such data set.
    """

    columns = (*Source.columns, "_file", "_line", "_image", "_gaze", "_head")

    def __init__(self, root: str | os.PathLike[str], *, name: str, missing_ok: bool = False) -> None:
        if name not in LAYOUTS:
            raise ValueError(f"name must be one of {', '.join(map(repr, LAYOUTS))}; got {name!r}.")
        self.layout = LAYOUTS[name]
        base = self.layout.base
        self.release = release_of(name)
        self.splits, self.typical_eyes = base.splits, base.typical_eyes
        self.holds = ("gaze",) if self.layout.head is None else ("gaze", "head")
        super().__init__(root)
        self.require(LABEL, IMAGE)
        self._files = self._find(missing_ok)
        texts = [read_text(self._label(file), self.release.how_to_get) for file in self._files]
        rows = [row for number, text in enumerate(texts) for row in self._parse(number, text)]
        self._file = np.array([row[0] for row in rows], np.int32)
        self._line = np.array([row[1] for row in rows], np.int32)
        self._image = [row[2] for row in rows]
        self._gaze = np.array([row[3] for row in rows]).reshape(-1, 2)
        self._head = np.array([row[4] for row in rows]).reshape(-1, 2)
        self.problem = [row[6] for row in rows]
        self.split = np.array([self._split(file) for file in self._files], np.int8)[self._file]
        self.person = self._people([row[7] for row in rows])
        self._compare(np.array([row[5] for row in rows]).reshape(-1, 3))
        self.fingerprint = digest(*self._files, *texts)

    def _label(self, file: str) -> Path:
        return self.root / LABEL / f"{file}.label"

    def _find(self, missing_ok: bool) -> list[str]:
        """Names of the label files that are there."""
        there = [file for file in self.layout.files if self._label(file).is_file()]
        if not there:
            found = listed(path.name for path in sorted((self.root / LABEL).iterdir()))
            raise FileNotFoundError(
                f"{self.root / LABEL} must hold label files of {self.release.name}, such as "
                f"{self.layout.files[0]}.label; it holds {found or 'nothing'}. {self.release.how_to_get}"
            )
        needed = [file for file in self.layout.files if file not in self.layout.optional]
        missing = [f"{file}.label" for file in needed if file not in there]
        if missing and not missing_ok:
            raise FileNotFoundError(
                f"{self.root / LABEL} lacks {listed(missing)}. Make them too, or go on without them with --missing-ok."
            )
        if missing:
            self.warnings.append(f"label files missing: {listed(missing, len(missing))}")
        return there

    def _split(self, file: str) -> int:
        return self.splits.index(file) if file in self.splits else 0

    def _parse(self, number: int, text: str) -> list[tuple]:
        """File, line, image, gaze, head, vector, problem and origin of every line after the header."""
        header, *lines = text.splitlines()
        path = self._label(self._files[number])
        if not header.lower().startswith("face"):
            raise CourseError(
                f"{path} must begin with a header line, Face ...; it begins with {header[:40]!r}. "
                f"{self.release.how_to_get}"
            )
        fields = header.split()
        wanted = "gaze" if not self.layout.yaw_first else "2dgaze"
        if len(fields) <= self.layout.gaze or fields[self.layout.gaze].lower() != wanted:
            raise CourseError(
                f"{path} must have {wanted} as field {self.layout.gaze}, counted from 0; its header is "
                f"{header[:200]!r}. It seems to be a label file of another data set than {self.release.name}."
            )
        return [(number, at, *self._fields(line)) for at, line in enumerate(lines, 2) if line.strip()]

    def _fields(self, line: str) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, str, str]:
        """Image, gaze, head, vector, problem and origin of a line."""
        layout, fields, nothing = self.layout, line.split(), np.full(2, np.nan)
        if len(fields) < layout.fields:
            return "", nothing, nothing, np.full(3, np.nan), f"must have {layout.fields} fields; has {len(fields)}.", ""
        image, origin = (fields[n].replace("\\", "/") for n in (0, layout.origin))
        try:
            gaze = _direction(fields[layout.gaze], "the gaze", layout.yaw_first)
            head = nothing if layout.head is None else _direction(fields[layout.head], "the head", layout.yaw_first)
            vector = np.full(3, np.nan)
            if layout.vector is not None:
                vector = numbers(fields[layout.vector].split(","), "the vector of the gaze").reshape(3)
        except ValueError as error:
            return image, nothing, nothing, np.full(3, np.nan), str(error), origin
        return image, gaze, head, vector, "", origin

    def _people(self, origins: list[str]) -> np.ndarray:
        """Who is on each image: by the label file, by the subject's folder, or by the recording and its identity."""
        name = self.release.name
        if name in ("mpiifacegaze", "eyediap"):
            return np.array([int(file[1:]) for file in self._files], np.int64)[self._file]
        if name == "eth_xgaze":
            subjects = [SUBJECT.search(image) for image in self._image]
            return np.array([int(found[1]) if found else -1 for found in subjects], np.int64)
        _, number = np.unique([origin.rpartition("/")[0] for origin in origins], return_inverse=True)
        return number.astype(np.int64)

    def _compare(self, vectors: np.ndarray) -> None:
        """Warn where the two accounts of the gaze differ."""
        known = np.isfinite(vectors).all(1) & np.isfinite(self._gaze).all(1) & (np.abs(vectors) > 0).any(1)
        if not known.any():
            return
        convert = from_gaze360 if self.release.name == "gaze360" else vector_to_pitchyaw
        off = angular_error(convert(vectors[known]), self._gaze[known])
        if (off > AGREE).any():
            self.warnings.append(
                f"in {(off > AGREE).sum()} of {len(off)} lines the vector and the two angles of the gaze differ, by "
                f"{np.median(off[off > AGREE]):.1f}° in the median; the angles are used"
            )

    def where(self, row: int) -> str:
        """The label file and its line."""
        return f"{self._label(self._files[self._file[row]])}, line {self._line[row]}"

    def face(self, row: int, size: int) -> Sample:
        """The face and its labels."""
        path = self.root / IMAGE / self._image[row]
        if not path.is_file():  # some scripts put the images of each label file into a folder of their own
            below = self.root / IMAGE / self._files[self._file[row]] / self._image[row]
            path = below if below.is_file() else path
        return Sample(
            image=resized(to_tensor(read_image(path)), size),
            gaze=torch.from_numpy(self._gaze[row]).float(),
            head=None if self.layout.head is None else torch.from_numpy(self._head[row]).float(),
            person=int(self.person[row]),
            domain=self.release.name,
        )


def release_of(name: str) -> Release:
    """Where a data set's label folder comes from."""
    base = LAYOUTS[name].base.release
    return Release(
        name=base.name,
        kind="gazehub",
        title=f"{base.title.removesuffix(' (raw)')} (GazeHub)",
        holder=f"{base.holder}, and turn it into label files with GazeHub's script",
        page=f"{base.page} and https://phi-ai.buaa.edu.cn/Gazehub/3D-dataset",
        agreement=base.agreement,
        download="Pass the folder that holds Label and Image.",
    )


def _direction(field: str, what: str, yaw_first: bool) -> np.ndarray:
    """Two numbers with a comma between as the course's (pitch, yaw).

    Raises:
        ValueError: they are not two numbers, or no angles in radians.
    """
    angles = numbers(field.split(","), what)
    if len(angles) != 2:
        raise ValueError(f"{what} must be two numbers; got {len(angles)}.")
    if np.abs(angles).max() > np.pi:
        raise ValueError(f"{what} must be radians, at most π; got {np.abs(angles).max():.4g}.")
    return from_gazehub(angles) if yaw_first else angles
