"""Where the faces in a photograph are: cascades on Haar features (Viola, Jones 2001), from OpenCV 4.

OpenCV comes with their weights, so that no network is needed. Where the first cascade finds nobody, it looks again for
heads that lean to a side; then a second cascade looks, for the first misses many bald and white-haired people. The last
try believes a single window: it is for those who look closer at what was found, as ``looking.Finder`` does.
``benchmarks/detectors.py`` compares detectors whose weights come with a package, on real photographs that packages
carry (``results/detectors.json``: 180 faces, of which 20 lean by 15° and 20 by 30°, and 107 pictures without people;
median time of a frame of 640 × 480, one core):

    the course's, checked by the landmark network   174 found,  0 false,  29 ms
    its cascades alone, at 400 pixels               177 found,  0 false,  20 ms
    OpenCV's "default" at 640 pixels                154 found,  6 false,  18 ms
    OpenCV's "alt"                                  152 found,  0 false,  17 ms
    OpenCV's "alt2"                                 154 found,  1 false,  14 ms
    LBP of scikit-image                             152 found, 45 false, 192 ms
    MTCNN of facenet-pytorch                        179 found,  0 false,  31 ms

MTCNN finds a few more. But its package has had no release since 2024 and asks for torch below 2.3 and numpy below 2, so
that it cannot be installed beside the course; OpenCV is maintained, of the Apache license, and needs numpy alone. The
wheels of OpenCV 5 and MediaPipe hold no face detector's weights, those of OpenCV 4 do. Faces in profile are missed:
such people are not looked at. Nor is somebody whose head leans while another face in the picture is upright.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np

from gazecourse.errors import CourseError
from gazecourse.validation import check_number, describe

INSTALL = 'Finding faces needs OpenCV 4, which is not installed: pip install "opencv-python-headless<5"'
Box = tuple[float, float, float, float]
"""x, y, width and height in pixels; (0, 0) is the corner of the picture."""

STEP = 1.1
"""From one size of faces that is looked for to the next."""
WORKING_SIDE = 400
"""Longer side that pictures are reduced to; detection time grows with its square."""
SMALLEST = 24
"""Side of the smallest face in the reduced picture, pixels."""


class Try(NamedTuple):
    """A way to look for faces.

    Attributes:
        cascade: name of OpenCV's. lean: degrees by which heads may lean to a side, clockwise.
        votes: windows beside each other that must agree on a face.
        sure: whether what it finds may be believed without a closer look.
    """

    cascade: str
    lean: float = 0.0
    votes: int = 4
    sure: bool = True


TRIES = (Try("alt"), Try("alt", -30.0), Try("alt", 30.0), Try("alt2"), Try("alt2", votes=1, sure=False))
"""In this order; the next is tried where the one before has found nobody."""
OFFSET, SIDE = (0.0, 0.19), 0.93
"""Where the box around a face's 68 landmarks lies: middle, from that of the cascade's box, x and y, and longer side; in
sides of the cascade's box, which has more forehead. Medians over rendered faces, from ``benchmarks/detectors.py``."""


def opencv() -> ModuleType:
    """The module ``cv2``, with cascades.

    Raises:
        CourseError: OpenCV is not installed, or it is version 5, which has none.
    """
    try:
        import cv2
    except ImportError as error:
        raise CourseError(f"{INSTALL}.") from error
    if not hasattr(cv2, "CascadeClassifier"):
        raise CourseError(
            f"Finding faces needs OpenCV 4, and {cv2.__version__} is installed, which has no face detector: "
            'pip install "opencv-python-headless<5"'
        )
    return cv2


class FaceDetector:
    """Boxes of the faces in a picture.

    Args:
        smallest: side of the smallest face that is looked for, as a share of the picture's longer side. In small
            pictures faces must have 24 pixels all the same.
        raw: boxes as the cascade has them; default those around the landmarks.
    Raises:
        TypeError, ValueError: smallest is no number from 0.01 to 1.
        CourseError: see ``opencv``.
    """

    def __init__(self, smallest: float = 0.06, *, raw: bool = False) -> None:
        self.smallest = check_number("smallest", smallest, 0.01, 1.0)
        self.raw = raw
        cv2 = opencv()
        self._cascades = {
            name: cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_{name}.xml")
            for name in {attempt.cascade for attempt in TRIES}
        }

    def __call__(self, picture: np.ndarray) -> list[Box]:
        """Boxes of all faces, from left to right; they may reach beyond the edge.

        Args:
            picture: uint8 [H, W, 3], RGB; it stays as it is.
        Raises:
            TypeError: another kind or shape.
        """
        sure = [attempt for attempt in TRIES if attempt.sure]
        return next((found for found in self._tried(picture, sure) if found), [])

    def tries(self, picture: np.ndarray) -> Iterator[list[Box]]:
        """Boxes that may hold faces, by each of ``TRIES`` in turn, for those who look closer at what was found.

        Arguments, errors and boxes as of ``__call__``.
        """
        return self._tried(picture, TRIES)

    def _tried(self, picture: np.ndarray, attempts: Sequence[Try]) -> Iterator[list[Box]]:
        check_picture(picture)
        cv2 = opencv()
        longer = max(picture.shape[:2])
        zoom = min(1.0, WORKING_SIDE / longer)
        gray = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
        if zoom < 1:
            gray = cv2.resize(gray, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        least = max(SMALLEST, round(self.smallest * longer * zoom))
        return (
            sorted(tuple(value / zoom for value in box) for box in self._found(gray, attempt, least))
            for attempt in attempts
        )

    def _found(self, gray: np.ndarray, attempt: Try, least: int) -> list[Box]:
        """Boxes of the faces in a gray picture that are at least so large, by one try."""
        cv2 = opencv()
        turned, there = _turned(gray, attempt.lean)
        cascade = self._cascades[attempt.cascade]
        found = cascade.detectMultiScale(turned, STEP, attempt.votes, minSize=(least,) * 2)
        boxes = [tuple(map(float, box)) for box in found]
        boxes = boxes if self.raw else [around_landmarks(box) for box in boxes]
        back = cv2.invertAffineTransform(there)
        return [_moved(box, back) for box in boxes]


def _turned(gray: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture, turned counterclockwise and with room for its corners, and the map [2, 3] from its places to there."""
    if degrees == 0:
        return gray, np.eye(2, 3)
    cv2 = opencv()
    height, width = gray.shape
    there = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    across, down = np.abs(there[:, :2]) @ (width, height)
    there[:, 2] += across / 2 - width / 2, down / 2 - height / 2
    return cv2.warpAffine(gray, there, (round(across), round(down)), borderValue=float(gray.mean())), there


def _moved(box: Box, by: np.ndarray) -> Box:
    """A box of the same size, around where its middle comes to."""
    x, y, width, height = box
    middle = by @ (x + width / 2, y + height / 2, 1.0)
    return float(middle[0] - width / 2), float(middle[1] - height / 2), width, height


def around_landmarks(box: Box) -> Box:
    """The square in which the landmarks of the face in a cascade's box lie."""
    x, y, width, height = box
    side = SIDE * width
    middle = x + width * (0.5 + OFFSET[0]), y + height * (0.5 + OFFSET[1])
    return middle[0] - side / 2, middle[1] - side / 2, side, side


def check_picture(picture: np.ndarray) -> None:
    """Refuse what is no picture, uint8 [H, W, 3]."""
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise TypeError(f"picture must be a uint8 array [H, W, 3], RGB; got {describe(picture)}.")


def union_share(one: Sequence[float], other: Sequence[float]) -> float:
    """Area that two boxes share, divided by the area that they cover together; 1 for equal boxes, 0 for apart."""
    across, down = (
        max(0.0, min(one[axis] + one[axis + 2], other[axis] + other[axis + 2]) - max(one[axis], other[axis]))
        for axis in (0, 1)
    )
    shared = across * down
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
