"""What the readers of the landmark data sets share: photographs, a box around each face, landmarks in its square."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gazecourse.crops import Square, face_square
from gazecourse.errors import CourseError
from gazecourse.images import read_image, to_tensor
from gazecourse.metrics import OUTER_EYE_CORNERS
from gazecourse.sample import Sample
from gazecourse.subsets import Subsets
from gazecourse.validation import check_whole

CHIN_AND_NOSE = {29: (28, 20), 68: (8, 30), 98: (16, 54)}
"""Numbers of the chin and of the tip of the nose, by scheme: in an upright face the first is below the second."""

MOST_ODD = 0.1
"""Share of faces that may lie outside their box, as a box that was drawn badly does."""
FARTHEST = 2.0
"""How far a landmark or a box may reach beyond the photograph, in its longer sides; what is farther is a mistake."""


class FacePhotos(Subsets, Dataset):
    """Photographs with landmarks; every sample is the square around one face, at one size.

    All labels are in memory, photographs are read when asked for. Nobody knows who is who in these data sets, so that
    every photograph counts as a person of its own.

    Args:
        size: height and width of the squares in pixels, 16 to 1024.
        domain: name of the data set.
        landmarks: float64 [N, P, 2] (x, y) in pixels of the photographs, (0, 0) is the corner.
        boxes: float64 [N, 4] x, y, width, height of the faces, pixels of the photographs.
        factors: what else is known, a tensor with N rows for each name.
    Attributes:
        landmarks: float32 [N, P, 2] (x, y) in pixels of the squares.
        squares: the part of its photograph that each sample is.
        factors, domain, size: as passed. person: int64 [N] number of the photograph's face.
    """

    def __init__(
        self, size: int, domain: str, landmarks: np.ndarray, boxes: np.ndarray, factors: Mapping[str, Tensor]
    ) -> None:
        self.size, self.domain = check_whole("size", size, 16, 1024), domain
        self.squares = [face_square(box) for box in boxes.tolist()]
        placed = [s.locate(torch.from_numpy(p), size) for s, p in zip(self.squares, landmarks, strict=True)]
        self.landmarks = torch.stack(placed).float()
        self.factors = dict(factors)
        self.person = torch.arange(len(landmarks))

    def _photo(self, index: int) -> Tensor:
        """uint8 RGB [3, H, W] of one sample's photograph.

        Raises:
            FileNotFoundError, CourseError: it is gone or cannot be read.
        """
        raise NotImplementedError

    def where(self, index: int) -> str:
        """The file of one sample's photograph, and the place in it, for people to find it."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.person)

    def __repr__(self) -> str:
        points = self.landmarks.shape[1]
        return f"{type(self).__name__}({len(self)} faces of {points} landmarks, {self.size} × {self.size})"

    def __getitem__(self, index: int) -> Sample:
        """One face; negative numbers count from the end.

        Raises:
            IndexError: no face of that number. FileNotFoundError, CourseError: the photograph cannot be read.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must lie in [{-len(self)}, {len(self) - 1}]; got {index}.")
        return self.face(index % len(self), self.size)

    def face(self, index: int, size: int) -> Sample:
        """One face in an image of ``size`` × ``size`` pixels; faces are numbered from 0.

        Raises:
            FileNotFoundError, CourseError: the photograph cannot be read, or the face lies far outside.
        """
        photo = self._photo(index)
        self._check_place(index, *photo.shape[1:])
        return Sample(
            image=self.squares[index].cut(photo, size),
            landmarks=self.landmarks[index] * (size / self.size),
            person=int(self.person[index]),
            domain=self.domain,
            factors={name: values[index] for name, values in self.factors.items()},
        )

    def _check_place(self, index: int, height: int, width: int) -> None:
        """Refuse a face that is not near its photograph: its square would fill the memory."""
        square, reach = self.squares[index], FARTHEST * max(height, width)
        corners = (square.left, square.top, square.left + square.side, square.top + square.side)
        near = -reach <= min(corners) and max(corners) <= max(height, width) + reach
        # Asked in this order: places of a square that is not near may be too large for a tensor.
        points = self.photo_landmarks(index) if near else None
        if points is None or not bool(((points >= -reach) & (points <= max(height, width) + reach)).all()):
            raise CourseError(
                f"{self.where(index)}: the box or a landmark lies far outside the photograph, {width} × {height}."
            )

    def photo_landmarks(self, index: int) -> Tensor:
        """Landmarks [P, 2] of one face in pixels of its photograph."""
        return self.squares[index].place_back(self.landmarks[index], self.size)

    def _keep(self, rows: Tensor) -> None:
        numbers = torch.arange(len(self))[rows].tolist()
        self.squares: list[Square] = [self.squares[number] for number in numbers]
        self.landmarks, self.person = self.landmarks[rows], self.person[rows]
        self.factors = {name: values[rows] for name, values in self.factors.items()}


def read_photo(path: Path, how_to_get: str) -> Tensor:
    """A photograph as uint8 RGB [3, H, W].

    Raises:
        FileNotFoundError, CourseError: it is not there, or it is cut off or no picture.
    """
    try:
        return to_tensor(read_image(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} {how_to_get}") from error
    except CourseError as error:
        raise CourseError(f"{error} Unpack it again. {how_to_get}") from error


def check_upright(where: str, landmarks: np.ndarray) -> None:
    """Refuse landmarks of which most faces lie on their side or are mirrored: their columns are in another order.

    Args:
        where: the file, as a message begins.
        landmarks: [N, P, 2] with P of 29, 68 or 98.
    Raises:
        CourseError: the chin is not below the nose, or the person's right eye not on the left, in the median.
    """
    scheme = landmarks.shape[1]
    chin, nose = CHIN_AND_NOSE[scheme]
    across, down = np.median(landmarks[:, chin] - landmarks[:, nose], axis=0)
    if down <= abs(across):
        raise CourseError(
            f"{where}: in the median the chin lies {across:.0f} pixels to the right of and {down:.0f} below the tip of "
            "the nose; it should be below. Are x and y swapped in this copy, or columns in another order?"
        )
    right, left = OUTER_EYE_CORNERS[scheme]
    gap = np.median(landmarks[:, left, 0] - landmarks[:, right, 0])
    if gap <= 0:
        raise CourseError(
            f"{where}: in the median the outer corner of the left eye lies {-gap:.0f} pixels to the left of the right "
            "eye's; it should be to the right. Is the order of the landmarks another one in this copy?"
        )


def check_boxes(where: str, landmarks: np.ndarray, boxes: np.ndarray, form: str) -> None:
    """Refuse boxes [N, 4] (x, y, width, height) that are empty or do not hold their faces.

    Args:
        where: the file. landmarks: [N, P, 2]. form: what the file's four columns should be.
    Raises:
        CourseError: a box has no extent, or more than a tenth of the faces have their middle outside.
    """
    empty = (boxes[:, 2:] <= 0).any(1)
    if empty.any():
        row = int(empty.argmax())
        raise CourseError(f"{where}: the box of face {row + 1} has no extent; the columns should be {form}.")
    middle = (landmarks.min(1) + landmarks.max(1)) / 2
    outside = ((middle < boxes[:, :2]) | (middle > boxes[:, :2] + boxes[:, 2:])).any(1)
    if outside.mean() > MOST_ODD:
        raise CourseError(
            f"{where}: {outside.mean():.0%} of the faces lie outside their boxes; the columns should be {form}. "
            "Are columns in another order in this copy?"
        )


def check_count(where: str, count: int, expected: int, how_to_get: str) -> None:
    """Refuse a set that does not hold as many faces as the release.

    Raises:
        CourseError: as said.
    """
    if count != expected:
        cut = "it was cut off" if count < expected else "something was added"
        raise CourseError(f"{where} must hold {expected:,} faces; it holds {count:,}: {cut}. {how_to_get}")
