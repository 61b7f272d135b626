"""300W: faces of four collections in the wild with 68 landmarks.

Source: Sagonas, Tzimiropoulos, Zafeiriou and Pantic, "300 Faces in-the-Wild Challenge: The First Facial Landmark
Localization Challenge", ICCV Workshops 2013. The data is for research; the course does not ship it: learners download
it.

The release has a folder for each collection, ``afw``, ``helen/{trainset,testset}``, ``lfpw/{trainset,testset}`` and
``ibug``, with a picture and a ``.pts`` file of the same name for each face:

    version: 1
    n_points: 68
    {
    x₁ y₁
    …
    }

Its pixels are MATLAB's: the middle of the first one is (1, 1), which is (0.5, 0.5) here. As everybody does, training
takes afw and both trainsets (3,148 faces), "common" both testsets (554), "challenge" ibug (135), "full" both.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from torch import Tensor, arange, zeros

from gazecourse.datasets.face_photos import FacePhotos, check_count, check_upright, read_photo
from gazecourse.datasets.source import Release, folder_of, numbers, read_text
from gazecourse.errors import CourseError
from gazecourse.validation import check_choice

POINTS = 68
COMMON, CHALLENGE = ("helen/testset", "lfpw/testset"), ("ibug",)
FOLDERS = {
    "train": ("afw", "helen/trainset", "lfpw/trainset"),
    "common": COMMON,
    "challenge": CHALLENGE,
    "full": (*COMMON, *CHALLENGE),
}
FACES = {"train": 3_148, "common": 554, "challenge": 135, "full": 689}
PICTURES = (".jpg", ".png", ".jpeg")
RELEASE = Release(
    "300w",
    "photos",
    "300W",
    "iBUG at Imperial College London",
    "https://ibug.doc.ic.ac.uk/resources/facial-point-annotations/",
    "research only",
    "Download 300W, AFW, HELEN, LFPW and IBUG, unpack them side by side, and pass the folder that holds afw, helen, "
    "lfpw and ibug.",
)
HOW_TO_GET = RELEASE.how_to_get


class IBug300W(FacePhotos):
    """The faces of one split, in the course's form; see ``FacePhotos`` for what all readers have in common.

    The box of a face is that of its landmarks, as is usual for this data set.

    Args:
        root: folder that holds ``afw``, ``helen``, ``lfpw`` and ``ibug``; only those of the split are needed.
        split: "train", "common", "challenge" or "full".
        size: height and width of the squares around the faces, pixels.
    Attributes:
        factors: "challenge", int64 [N], 1 for the faces of ibug.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        FileNotFoundError: a folder, a picture or its points are not there; the message says how to get the data.
        CourseError: a file of points is cut off, or is not what the release has; the message names it.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "train", *, size: int = 256) -> None:
        check_choice("split", split, tuple(FOLDERS))
        self.root = folder_of(root, HOW_TO_GET)
        self._paths = [path for name in FOLDERS[split] for path in _pictures(self.root / name)]
        check_count(f"{self.root} ({split})", len(self._paths), FACES[split], HOW_TO_GET)
        # (1, 1) is the middle of the first pixel there and (0.5, 0.5) here.
        landmarks = np.stack([read_points(path.with_suffix(".pts")) for path in self._paths]) - 0.5
        check_upright(str(self.root), landmarks)
        low = landmarks.min(1)
        challenge = zeros(len(landmarks)).long()
        challenge[[self.root / "ibug" in path.parents for path in self._paths]] = 1
        boxes = np.concatenate([low, landmarks.max(1) - low], axis=1)
        super().__init__(size, "300w", landmarks, boxes, {"challenge": challenge})

    def _photo(self, index: int) -> Tensor:
        return read_photo(self._paths[index], HOW_TO_GET)

    def where(self, index: int) -> str:
        """The photograph."""
        return str(self._paths[index])

    def _keep(self, rows: Tensor) -> None:
        self._paths = [self._paths[number] for number in arange(len(self))[rows].tolist()]
        super()._keep(rows)


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a collection, sorted; mirrored copies, which some archives hold, are left out."""
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}. {HOW_TO_GET}")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.stem.endswith("_mirror"))
    lonely = [path.name for path in found if not path.with_suffix(".pts").is_file()]
    if lonely:
        raise FileNotFoundError(f"{folder} lacks the points of {', '.join(lonely[:3])}: files .pts. {HOW_TO_GET}")
    return found


def read_points(path: Path) -> np.ndarray:
    """Landmarks [68, 2] of one ``.pts`` file as they are written there, float64; (1, 1) is the first pixel's middle.

    Raises:
        CourseError: it is cut off, or is not what the release has.
    """
    lines = [line.strip() for line in read_text(path, HOW_TO_GET).splitlines() if line.strip()]
    head = dict(line.split(":", 1) for line in lines[:2] if ":" in line)
    if len(lines) < 3 or lines[2] != "{" or "n_points" not in head:
        raise CourseError(
            f"{path} must begin with version, n_points and {{; it begins {' '.join(lines[:3])[:60]!r}. {HOW_TO_GET}"
        )
    if head["n_points"].strip() != str(POINTS):
        raise CourseError(f"{path} must hold {POINTS} points; it says n_points: {head['n_points'].strip()}.")
    if lines[-1] != "}" or len(lines) != POINTS + 4:
        held = len(lines) - 3 - (lines[-1] == "}")
        raise CourseError(f"{path} must hold {POINTS} points and end with }}; it holds {held}. Unpack it again.")
    return np.stack([_point(path, number, line) for number, line in enumerate(lines[3:-1], start=1)])


def _point(path: Path, number: int, line: str) -> np.ndarray:
    try:
        point = numbers(line.split(), f"point {number}")
    except ValueError as error:
        raise CourseError(f"{path}: {error} Unpack it again.") from error
    if len(point) != 2:
        raise CourseError(f"{path}: point {number} must be two numbers; it is {line!r}.")
    return point
