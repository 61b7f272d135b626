"""WFLW: 10,000 faces in the wild with 98 landmarks and six attributes.

Source: Wu, Qian, Yang, Wang, Cai and Zhou, "Look at Boundary: A Boundary-Aware Face Alignment Algorithm", CVPR 2018.
The data is for research; the course does not ship it: learners download it.

The release is two folders, ``WFLW_images`` and ``WFLW_annotations``. In the latter ``list_98pt_rect_attr_train.txt``
(7,500 lines) and ``list_98pt_rect_attr_test.txt`` (2,500) hold one face a line, 207 fields with spaces between them:

    196 coordinates x₀ y₀ x₁ y₁ …, 4 of the face's box (xmin ymin xmax ymax),
    6 flags (pose, expression, illumination, make-up, occlusion, blur), the name of the image below ``WFLW_images``

The release does not say where its pixels begin. They are read as if (0, 0) were the middle of the first pixel, which is
(0.5, 0.5) here, and are so right within a pixel.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gazecourse.datasets.face_photos import (
    FacePhotos,
    check_boxes,
    check_count,
    check_upright,
    read_photo,
)
from gazecourse.datasets.source import Release, folder_of, numbers, read_text
from gazecourse.errors import CourseError
from gazecourse.validation import check_choice

POINTS = 98
FIELDS = 2 * POINTS + 4 + 6 + 1
FLAGS = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")
"""Whether a face is hard for that reason, in the order of the columns."""

FACES = {"train": 7_500, "test": 2_500}
RELEASE = Release(
    "wflw",
    "photos",
    "WFLW",
    "its authors",
    "https://wywu.github.io/projects/LAB/WFLW.html",
    "research only",
    "Download WFLW_images.tar.gz and WFLW_annotations.tar.gz, unpack both, and pass the folder that holds WFLW_images.",
)
HOW_TO_GET = RELEASE.how_to_get


class WFLW(FacePhotos):
    """The faces of one split, in the course's form; see ``FacePhotos`` for what all readers have in common.

    Args:
        root: folder that holds ``WFLW_images`` and ``WFLW_annotations``.
        split: "train" or "test".
        size: height and width of the squares around the faces, pixels.
    Attributes:
        factors: for each of ``FLAGS`` int64 [N], 1 where the face is hard for that reason. They are the test's subsets:
            ``faces.subset(faces.factors["occlusion"] == 1)``.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        FileNotFoundError: the folder, a list or a photograph is not there; the message says how to get the data.
        CourseError: a list is cut off, or does not hold what the release holds; the message names the line.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "train", *, size: int = 256) -> None:
        check_choice("split", split, tuple(FACES))
        self.root = folder_of(root, HOW_TO_GET)
        path = _list_of(self.root, split)
        rows, names = _read(path)
        check_count(str(path), len(rows), FACES[split], HOW_TO_GET)
        landmarks = rows[:, : 2 * POINTS].reshape(-1, POINTS, 2) + 0.5
        corners = rows[:, 2 * POINTS : 2 * POINTS + 4]
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        check_boxes(str(path), landmarks, boxes, "xmin ymin xmax ymax")
        check_upright(str(path), landmarks)
        flags = torch.from_numpy(rows[:, 2 * POINTS + 4 :]).long()
        super().__init__(size, "wflw", landmarks, boxes, dict(zip(FLAGS, flags.unbind(1), strict=True)))
        self._names = names

    def _photo(self, index: int) -> Tensor:
        return read_photo(Path(self.where(index)), HOW_TO_GET)

    def where(self, index: int) -> str:
        """The photograph."""
        return str(self.root / "WFLW_images" / self._names[index])

    def _keep(self, rows: Tensor) -> None:
        self._names = [self._names[number] for number in torch.arange(len(self))[rows].tolist()]
        super()._keep(rows)


def _list_of(root: Path, split: str) -> Path:
    """The list of a split, in the folder that the release has for it or above."""
    name = f"list_98pt_rect_attr_{split}.txt"
    annotations = root / "WFLW_annotations"
    for folder in (annotations / "list_98pt_rect_attr_train_test", annotations, root):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{root} does not hold {name}, in WFLW_annotations or elsewhere. {HOW_TO_GET}")


def _read(path: Path) -> tuple[np.ndarray, list[str]]:
    """The numbers [N, 206] of all lines, and the names of the images.

    Raises:
        CourseError: a line is not what the release has.
    """
    lines = read_text(path, HOW_TO_GET).splitlines()
    rows, names = [], []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if len(fields) != FIELDS:
            raise CourseError(
                f"{path}: line {number} must hold {FIELDS} fields (196 coordinates, 4 of the box, 6 flags, the name); "
                f"it holds {len(fields)}. {HOW_TO_GET}"
            )
        try:
            values = numbers(fields[:-1], f"what stands in line {number} before the name")
        except ValueError as error:
            raise CourseError(f"{path}: {error} {HOW_TO_GET}") from error
        if not np.isin(values[-6:], (0, 1)).all():
            given = " ".join(fields[-7:-1])
            raise CourseError(
                f"{path}: the six flags of line {number} must be 0 or 1; they are {given}. Are columns in another "
                "order in this copy?"
            )
        rows.append(values)
        names.append(fields[-1])
    return np.stack(rows), names
